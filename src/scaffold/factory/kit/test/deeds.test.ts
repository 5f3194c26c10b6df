/** What is done to items beside making, reading and changing them. */
import { describe, expect, setSystemTime, test } from "bun:test";
import { z } from "zod";
import { type Collection, lasting, Store } from "../src/store.ts";
import { attempt } from "../src/undo.ts";
import { refused } from "./refusal.ts";

const alice = { owner: "0xa" };
const bob = { owner: "0xb" };
const notes: Collection = { name: "notes", ends: true };
const locks: Collection = { name: "locks", key: "name", ends: true };
const fresh = () => new Store(":memory:");

/** Status, code and text of the refusal that `work` throws. */
function refusal(work: () => unknown): [number, string, string] {
  const { status, code, message } = refused(work);
  return [status, code, message];
}

describe("all of them", () => {
  test("are cleared where they are one's own and fit", () => {
    const store = fresh();
    const make = (color: string, whose = alice) => store.create(notes, { color }, whose);
    for (const color of ["red", "blue", "red"]) make(color);
    make("red", bob);
    const red = { match: { color: "red" } };
    expect(store.clear(notes, red, alice)).toEqual({ deleted: 2 });
    expect(store.clear(notes, {}, alice)).toEqual({ deleted: 1 });
    expect(store.list(notes, {}, bob).total).toBe(1);
  });

  test("that are made together are made or none of them is", () => {
    const store = fresh();
    const made = store.createAll(locks, { locks: [{ name: "a" }, { name: "b" }] }, alice);
    expect(made).toMatchObject({ total: 2, items: [{ id: "a" }, { id: "b" }] });
    const again = () => store.createAll(locks, { locks: [{ name: "c" }, { name: "a" }] }, alice);
    expect(refusal(again)[1]).toBe("conflict");
    expect(store.list(locks, {}, alice).total).toBe(2);
    for (const body of [{}, { a: [], b: [] }, { a: [1] }]) {
      expect(refusal(() => store.createAll(locks, body, alice))[0]).toBe(400);
    }
  });

  test("that are made together are each what one must be", () => {
    const store = fresh();
    const unique = { title: [409, "title_taken"] } as const;
    const scope = { ...alice, unique, each: z.object({ title: z.string() }) };
    const make = (...entries: unknown[]) => store.createAll(notes, { notes: entries }, scope);
    expect(make({ title: "a", more: 1 }).items).toMatchObject([{ title: "a" }]);
    expect(make({ title: "z", more: 1 }).items[0]).not.toHaveProperty("more");
    for (const twice of [[{ title: "a" }], [{ title: "b" }, { title: "b" }]]) {
      expect(refusal(() => make(...twice)).slice(0, 2)).toEqual([409, "title_taken"]);
    }
    expect(refusal(() => make({ title: "c" }, { title: 3 }))).toEqual([
      400,
      "validation_error",
      expect.stringContaining("1.title: "),
    ]);
    for (const name of [{}, ["a"], true]) {
      const [status, , text] = refusal(() => store.createAll(locks, { locks: [{ name }] }, alice));
      expect([status, text]).toEqual([400, "name: must be a text or a number"]);
    }
    expect(store.list(notes, {}, alice).total).toBe(2);
  });

  test("that were made together are taken back together", async () => {
    const store = fresh();
    const body = { notes: [{ n: 1 }, { n: 2 }] };
    const { undo } = await attempt(async () => void store.createAll(notes, body, alice));
    expect(store.list(notes, {}, alice).total).toBe(2);
    undo();
    expect(store.list(notes, {}, alice).total).toBe(0);
  });

  test("are handed out one by one, those that are kept again after a while", () => {
    const store = fresh();
    const [first, second] = [1, 2].map((n) => store.create(notes, { n }, alice).id);
    const keeps = { keeps: true };
    expect([1, 2].map(() => store.take(notes, keeps, alice).id)).toEqual([
      first,
      second,
    ] as string[]);
    expect(refusal(() => store.take(notes, keeps, alice))[1]).toBe("not_found");
    try {
      setSystemTime(Date.now() + 31_000);
      expect(store.take(notes, {}, alice).id).toBe(first as string);
      expect(store.list(notes, {}, alice).total).toBe(1);
    } finally {
      setSystemTime();
    }
  });

  test("are counted by what was chosen, whatever that is called", () => {
    const store = fresh();
    for (const option of ["a", "__proto__", "a"]) store.create(notes, { option }, alice);
    store.create(notes, { option: ["a", "b"] }, alice);
    const { results, total } = store.tally(notes, alice);
    expect(Object.entries(results).sort()).toEqual([
      ["__proto__", 1],
      ["a", 3],
      ["b", 1],
    ]);
    expect(total).toBe(4);
  });
});

describe("one", () => {
  test("is held by one alone until it ends", () => {
    const store = fresh();
    store.hold(locks, "door", { ttl: 10 }, alice);
    const codes = { taken: [423, "locked"] } as const;
    const again = () => store.hold(locks, "door", {}, { ...bob, codes });
    expect(refusal(again).slice(0, 2)).toEqual([423, "locked"]);
    try {
      setSystemTime(Date.now() + 11_000);
      expect(store.hold(locks, "door", {}, bob).id).toBe("door");
    } finally {
      setSystemTime();
    }
  });

  test("is counted with, and no text is", async () => {
    const store = fresh();
    const up = { field: "value", way: 1, makes: true };
    const down = { field: "value", way: -1 };
    expect(store.step(locks, "hits", {}, up, alice)["value"]).toBe(1);
    expect(store.step(locks, "hits", { by: 2.5 }, up, alice)["value"]).toBe(3.5);
    expect(store.step(locks, "hits", { amount: 1 }, down, alice)["value"]).toBe(2.5);
    expect(store.step(locks, "hits", {}, { field: "value", way: 0 }, alice)["value"]).toBe(0);
    expect(refusal(() => store.step(locks, "none", {}, down, alice))[0]).toBe(404);
    expect(refusal(() => store.step(locks, "hits", {}, up, bob))[0]).toBe(403);
    store.change(locks, "hits", { value: "many" }, alice);
    expect(refusal(() => store.step(locks, "hits", {}, up, alice))[1]).toBe("conflict");
    const { undo } = await attempt(async () => void store.step(locks, "new", {}, up, alice));
    undo();
    expect(refusal(() => store.read(locks, "new", alice))[0]).toBe(404);
  });

  test("that is another's is not there where its route knows no other refusal", () => {
    const store = fresh();
    const { id } = store.create(notes, {}, alice);
    const codes = { foreign: [404, "gone"], missing: [404, "gone"] } as const;
    const there = refusal(() => store.read(notes, id, { ...bob, codes }));
    const absent = refusal(() => store.read(notes, "none", { ...bob, codes }));
    expect(there).toEqual([404, "gone", `There is no ${id}.`]);
    expect(absent).toEqual([404, "gone", "There is no none."]);
  });

  test("has no field that another of the same wallet has, where that is said", () => {
    const store = fresh();
    const scope = { ...alice, unique: { title: [409, "title_taken"] } } as const;
    const first = store.create(notes, { title: "a" }, scope);
    const taken = [409, "title_taken"] as [number, string];
    expect(refusal(() => store.create(notes, { title: "a" }, scope)).slice(0, 2)).toEqual(taken);
    const second = store.create(notes, { title: "b" }, scope);
    const rename = () => store.change(notes, second.id, { title: "a" }, scope);
    expect(refusal(rename).slice(0, 2)).toEqual(taken);
    expect(store.replace(notes, first.id, { title: "a", more: 1 }, scope)["more"]).toBe(1);
    expect(store.create(notes, { title: "a" }, { ...scope, ...bob })["title"]).toBe("a");
  });

  test("lives as long as a query says, whatever its body says", () => {
    expect(lasting({ a: 1 }, { limit: 5 })).toEqual({ a: 1 });
    expect(lasting({ a: 1, ttl_ms: 5 }, { ttl: "60" })).toEqual({ a: 1, ttl: 60 });
    const store = fresh();
    expect(refusal(() => store.create(notes, lasting({}, { ttl: "" }), alice))[0]).toBe(400);
    const bytes = new Uint8Array([1]);
    const made = store.createBytes(notes, { type: "a/b", bytes, lasts: { ttl: "60" } }, alice);
    expect(made).toHaveProperty("expires_at");
  });

  test("that came as JSON has its text as bytes", async () => {
    const store = fresh();
    const { id } = store.create(notes, { content: "hello" }, alice);
    const answer = store.readBytes(notes, id, alice);
    expect(answer.headers.get("content-type")).toStartWith("text/plain");
    expect(await answer.text()).toBe("hello");
  });
});
