import { describe, expect, setSystemTime, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Collection, type Item, openStore, Store } from "../src/store.ts";
import { refusal } from "./refusal.ts";

const alice = { owner: "0xa" };
const bob = { owner: "0xb" };
const notes: Collection = { name: "notes" };
const buckets: Collection = { name: "buckets", key: "name" };
const objects: Collection = { name: "objects", key: "key", within: buckets };
const fresh = () => new Store(":memory:");

describe("an item", () => {
  test("is made, read, listed, changed and removed", () => {
    const store = fresh();
    const made = store.create(notes, { text: "hello", rank: 1 }, alice);
    expect(made).toMatchObject({ text: "hello", rank: 1 });
    expect(made.id).toBeString();
    expect(store.read(notes, made.id, alice)).toEqual(made);
    expect(store.list(notes, {}, alice)).toEqual({ items: [made], total: 1, next_cursor: null });
    const changed = store.change(notes, made.id, { text: "bye", rank: null }, alice);
    expect(changed["text"]).toBe("bye");
    expect(changed).not.toHaveProperty("rank");
    expect(store.remove(notes, made.id, alice)).toEqual({ id: made.id, deleted: true });
    expect(refusal(() => store.read(notes, made.id, alice))).toEqual([404, "not_found"]);
  });

  test("is its owner's alone", () => {
    const store = fresh();
    const { id } = store.create(notes, {}, alice);
    for (const work of [
      () => store.read(notes, id, bob),
      () => store.read(notes, id),
      () => store.change(notes, id, { text: "mine" }, bob),
      () => store.remove(notes, id, bob),
    ]) {
      expect(refusal(work)).toEqual([403, "forbidden"]);
    }
    expect(store.list(notes, {}, bob).total).toBe(0);
    expect(store.list(notes).total).toBe(0);
    expect(store.list(notes, {}, { anyone: true }).total).toBe(1);
    expect(store.read(notes, id, alice).id).toBe(id);
  });

  test("has the caller's name where it is named, and no second one has it", () => {
    const store = fresh();
    expect(store.create(buckets, { name: "a" }, alice).id).toBe("a");
    expect(refusal(() => store.create(buckets, { name: "a" }, bob))).toEqual([409, "conflict"]);
    expect(store.change(buckets, "a", { name: "b" }, alice)["name"]).toBe("a");
  });

  test("can't choose its id, its time of creation, or its first status", () => {
    const store = fresh();
    const asked: Collection = { name: "asked", status: "pending" };
    const made = store.create(asked, { id: "x", created_at: "never", status: "approved" }, alice);
    expect(made.id).not.toBe("x");
    expect(made.created_at).not.toBe("never");
    expect(made["status"]).toBe("pending");
    expect(store.change(asked, made.id, { status: "approved" }, alice)["status"]).toBe("pending");
  });

  test("is replaced whole, but for what is fixed", () => {
    const store = fresh();
    const kept: Collection = { name: "kept", key: "name", status: "open" };
    store.create(kept, { name: "a", text: "long", tags: [1] }, alice);
    const replaced = store.replace(kept, "a", { name: "b", status: "shut", text: "new" }, alice);
    expect(replaced).toMatchObject({ name: "a", status: "open", text: "new" });
    expect(replaced).not.toHaveProperty("tags");
    expect(store.read(kept, "a", alice)).toEqual(replaced);
    expect(refusal(() => store.replace(kept, "a", {}, bob))).toEqual([403, "forbidden"]);
  });

  test("is called by a whole number where its name is one", () => {
    const store = fresh();
    const counted: Collection = { name: "counted", numbers: true };
    const [first, second] = [1, 2].map(() => store.create(counted, {}, alice));
    expect(first?.id).toBeNumber();
    expect(Number(second?.id)).toBeGreaterThan(Number(first?.id));
    expect(store.read(counted, String(first?.id), alice)).toEqual(first as Item);
    expect(store.list(counted, { match: { id: Number(first?.id) } }, alice).items).toEqual([
      first as Item,
    ]);
    store.remove(counted, second?.id, alice);
    expect(store.create(counted, {}, alice).id).not.toBe(second?.id as number);
    const steps: Collection = { name: "steps", key: "step", numbers: true };
    expect(store.create(steps, { step: 7 }, alice)).toMatchObject({ step: 7, id: 7 });
    expect(store.put(steps, "8", { text: "x" }, alice)).toMatchObject({ step: 8, id: 8 });
    expect(refusal(() => store.create(steps, { step: 7 }, alice))).toEqual([409, "conflict"]);
  });

  test("goes through its statuses in order, once", () => {
    const store = fresh();
    const asked: Collection = { name: "asked", status: "pending" };
    const { id } = store.create(asked, {}, alice);
    const approve = { to: "approved", from: "pending" };
    expect(store.become(asked, id, approve, alice)["status"]).toBe("approved");
    expect(refusal(() => store.become(asked, id, approve, alice))).toEqual([409, "conflict"]);
    const once = { to: "approved", once: true };
    expect(refusal(() => store.become(asked, id, once, alice))).toEqual([409, "conflict"]);
  });

  test("has a switch turned on and off, once where that is wanted", () => {
    const store = fresh();
    const { id } = store.create(notes, { text: "a" }, alice);
    const off = { to: false, field: "archived", once: true };
    expect(refusal(() => store.become(notes, id, off, alice))).toEqual([409, "conflict"]);
    const on = { ...off, to: true };
    expect(store.become(notes, id, on, alice)).toMatchObject({ text: "a", archived: true });
    expect(store.read(notes, id, alice)).not.toHaveProperty("status");
    expect(refusal(() => store.become(notes, id, on, alice))).toEqual([409, "conflict"]);
    expect(store.become(notes, id, off, alice)["archived"]).toBe(false);
  });

  test("is not looked for by what none has", () => {
    const store = fresh();
    const lacks = ["since"];
    expect(store.list(notes, { match: { since: undefined }, lacks }, alice).total).toBe(0);
    store.asItIs({ since: undefined, text: "a" }, lacks);
    expect(refusal(() => store.asItIs({ since: "" }, lacks))).toEqual([501, "not_implemented"]);
    const asked = () => store.list(notes, { match: { since: "a" }, lacks }, alice);
    expect(refusal(asked)).toEqual([501, "not_implemented"]);
  });

  test("that was retired is seen by nobody, and its name stays taken", () => {
    const store = fresh();
    store.create(buckets, { name: "a" }, alice);
    expect(store.retire(buckets, "a", "deactivated", alice)["status"]).toBe("deactivated");
    expect(refusal(() => store.read(buckets, "a", alice))).toEqual([404, "not_found"]);
    expect(store.list(buckets, {}, alice).total).toBe(0);
    expect(refusal(() => store.create(buckets, { name: "a" }, alice))).toEqual([409, "conflict"]);
  });

  test("ends when it said it would, and its name is free again", () => {
    const store = fresh();
    const ending: Collection = { name: "ending", key: "name", ends: true };
    try {
      setSystemTime(new Date("2026-01-01T00:00:00Z"));
      const made = store.create(ending, { name: "a", ttl: 60 }, alice);
      expect(made["expires_at"]).toBe("2026-01-01T00:01:00.000Z");
      setSystemTime(new Date("2026-01-01T00:00:30Z"));
      expect(store.renew(ending, "a", {}, alice)["expires_at"]).toBe("2026-01-01T00:01:30.000Z");
      setSystemTime(new Date("2026-01-01T00:01:30Z"));
      expect(refusal(() => store.read(ending, "a", alice))).toEqual([404, "not_found"]);
      expect(store.list(ending, {}, alice).total).toBe(0);
      expect(store.create(ending, { name: "a" }, bob)).not.toHaveProperty("expires_at");
    } finally {
      setSystemTime();
    }
  });

  test("lives as long as before when other fields change, and else as it says", () => {
    const store = fresh();
    const ending: Collection = { name: "ending", ends: true };
    try {
      setSystemTime(new Date("2026-01-01T00:00:00Z"));
      const { id } = store.create(ending, { text: "a", ttl: 60 }, alice);
      setSystemTime(new Date("2026-01-01T00:00:30Z"));
      const changed = store.change(ending, id, { text: "b" }, alice);
      expect(changed).toMatchObject({ ttl: 60, expires_at: "2026-01-01T00:01:00.000Z" });
      expect(store.change(ending, id, { ttl: 90 }, alice)["expires_at"]).toBe(
        "2026-01-01T00:02:00.000Z",
      );
      expect(store.change(ending, id, { ttl: null }, alice)).not.toHaveProperty("expires_at");
      expect(store.replace(ending, id, { ttl: 10 }, alice)["expires_at"]).toBe(
        "2026-01-01T00:00:40.000Z",
      );
    } finally {
      setSystemTime();
    }
  });

  test("has its counts from nothing on, and says when it was changed", () => {
    const store = fresh();
    const kept: Collection = { name: "kept", counts: ["hits"], changed: "updated_at" };
    setSystemTime(new Date("2026-01-01T00:00:00Z"));
    try {
      const made = store.create(kept, { text: "a", updated_at: "never" }, alice);
      expect(made).toMatchObject({ hits: 0, updated_at: made.created_at });
      setSystemTime(new Date("2026-01-01T00:01:00Z"));
      const updated_at = "2026-01-01T00:01:00.000Z";
      const step = { field: "hits", way: 1 };
      expect(store.step(kept, made.id, {}, step, alice)).toMatchObject({ hits: 1, updated_at });
      const replaced = store.replace(kept, made.id, { text: "b" }, alice);
      expect(replaced).toMatchObject({ text: "b", hits: 0, updated_at });
      expect(store.read(kept, made.id, alice)).toEqual(replaced);
    } finally {
      setSystemTime();
    }
  });

  test.each(["expires_at", "expiresAt", "expires"])("ends when its %s says", (field) => {
    const store = fresh();
    const ending: Collection = { name: "ending", ends: true };
    setSystemTime(new Date("2026-01-01T00:00:00Z"));
    try {
      const codes = { ended: [410, "gone"] } as const;
      const scope = { ...alice, codes };
      const made = store.create(ending, { [field]: "2026-01-01T03:00:00+02:00" }, scope);
      expect(made["expires_at"]).toBe("2026-01-01T01:00:00.000Z");
      const later = "2026-01-01T02:00:00.000Z";
      expect(store.change(ending, made.id, { text: "a" }, scope)["expires_at"]).toBe(
        made["expires_at"],
      );
      expect(store.change(ending, made.id, { [field]: later }, scope)["expires_at"]).toBe(later);
      // What is said last holds, whichever way it is said.
      const soon = "2026-01-01T00:01:00.000Z";
      expect(store.change(ending, made.id, { ttl: 60 }, scope)["expires_at"]).toBe(soon);
      expect(store.change(ending, made.id, { [field]: later }, scope)["expires_at"]).toBe(later);
      setSystemTime(new Date(later));
      expect(refusal(() => store.read(ending, made.id, scope))).toEqual([410, "gone"]);
      const past = ["2025-12-31T23:59:59Z", later, "2027-01-01", "never", ""];
      for (const wrong of past) {
        const create = () => store.create(ending, { [field]: wrong }, scope);
        expect(refusal(create)).toEqual([400, "validation_error"]);
      }
      const never = store.create(ending, { [field]: null }, scope);
      expect(never["expires_at"] ?? null).toBeNull();
    } finally {
      setSystemTime();
    }
  });

  test.each([0, -1, "soon", 1e300])("can't live for %p", (ttl) => {
    const ending: Collection = { name: "ending", ends: true };
    expect(refusal(() => fresh().create(ending, { ttl }))).toEqual([400, "validation_error"]);
  });

  test("is refused beyond what a wallet may have", () => {
    const store = fresh();
    const few: Collection = { name: "few", most: 1 };
    store.create(few, {}, alice);
    expect(refusal(() => store.create(few, {}, alice))).toEqual([403, "limit_exceeded"]);
    expect(store.create(few, {}, bob).id).toBeString();
  });

  test("is refused with the code that the route declares", () => {
    const scope = { codes: { missing: [410, "note_gone"] } } as const;
    expect(refusal(() => fresh().read(notes, "x", scope))).toEqual([410, "note_gone"]);
  });
});

describe("a list", () => {
  test("comes in pages, the newest first", () => {
    const store = fresh();
    for (const n of [1, 2, 3]) store.create(notes, { n }, alice);
    const first = store.list(notes, { limit: 2 }, alice);
    expect(first.items.map((item) => item["n"])).toEqual([3, 2]);
    expect(first.total).toBe(3);
    const second = store.list(notes, { limit: 2, after: first.next_cursor ?? "" }, alice);
    expect(second.items.map((item) => item["n"])).toEqual([1]);
    expect(second.next_cursor).toBeNull();
    expect(store.list(notes, { offset: 2 }, alice).items).toEqual(second.items);
  });

  test("has what was asked for", () => {
    const store = fresh();
    store.create(buckets, { name: "a/1", open: true, size: 1 }, alice);
    store.create(buckets, { name: "a%", open: false, size: 2 }, alice);
    const names = (selection: object) =>
      store.list(buckets, selection, alice).items.map((item) => item.id);
    expect(names({ prefix: "a/" })).toEqual(["a/1"]);
    expect(names({ prefix: "%" })).toEqual([]);
    expect(names({ search: "A%" })).toEqual(["a%"]);
    expect(names({ match: { open: true } })).toEqual(["a/1"]);
    expect(names({ match: { size: 2, open: undefined } })).toEqual(["a%"]);
    expect(names({ match: { name: "' OR 1=1 --" } })).toEqual([]);
  });

  test("is searched by what its items say, not by how they are written down", () => {
    const store = fresh();
    store.create(notes, { text: 'say "hi"\n', tags: [{ label: "Home" }], count: 42 }, alice);
    const found = (search: string) => store.list(notes, { search }, alice).total;
    expect(["HI", 'say "hi"\n', "home", "42"].map(found)).toEqual([1, 1, 1, 1]);
    expect(["text", "label", '{"', "\\n", "true"].map(found)).toEqual([0, 0, 0, 0, 0]);
  });

  test("bears an item that SQLite can't look into", () => {
    const store = fresh();
    const deep = JSON.parse(`${"[".repeat(2000)}${"]".repeat(2000)}`);
    store.create(notes, { kind: "a", deep }, alice);
    const { id } = store.create(notes, { kind: "a" }, alice);
    for (const selection of [{ match: { kind: "a" } }, { search: "a" }]) {
      expect(store.list(notes, selection, alice)).toMatchObject({ total: 1, items: [{ id }] });
    }
    expect(store.list(notes, {}, alice).total).toBe(2);
  });

  test("comes in numbered pages, and in the order that is asked for", () => {
    const store = fresh();
    const made = [3, 1, 2].map((rank) => store.create(notes, { rank, name: `n${rank}` }, alice));
    store.create(notes, { name: "n0" }, alice);
    const names = (selection: object) =>
      store.list(notes, selection, alice).items.map((item) => item["name"]);
    expect(names({ limit: 3 })).toEqual(["n0", "n2", "n1"]);
    expect(names({ limit: 3, page: 2 })).toEqual(["n3"]);
    expect(names({ order: "asc" })).toEqual(["n3", "n1", "n2", "n0"]);
    for (const sort of ["oldest", "created_at", "created_at:asc"]) {
      expect(names({ sort })).toEqual(["n3", "n1", "n2", "n0"]);
    }
    expect(names({ sort: "newest" })).toEqual(["n0", "n2", "n1", "n3"]);
    expect(names({ sort: "rank" })).toEqual(["n1", "n2", "n3", "n0"]);
    for (const way of [{ sort: "-rank" }, { sort: "rank:desc" }, { sort: "rank", order: "DESC" }]) {
      expect(names(way)).toEqual(["n3", "n2", "n1", "n0"]);
    }
    expect(names({ match: { id: String(made[1]?.id) } })).toEqual(["n1"]);
  });

  test.each([{}, { order: "asc" }, { sort: "name" }, { sort: "-rank" }])(
    "is whole when its pages of %p are taken one after the other",
    (way) => {
      const store = fresh();
      for (const rank of [3, 1, 2, 5, 4]) store.create(notes, { rank, name: `n${rank}` }, alice);
      const all = store.list(notes, way, alice).items;
      const seen: unknown[] = [];
      let after: string | null = "";
      while (after !== null) {
        const page: ReturnType<Store["list"]> = store.list(
          notes,
          { ...way, limit: 2, after },
          alice,
        );
        seen.push(...page.items);
        after = page.next_cursor;
      }
      expect(seen).toEqual(all);
      expect(seen).toHaveLength(5);
    },
  );

  test.each([
    [{ after: "1e3" }, "cursor"],
    [{ after: " 5" }, "cursor"],
    [{ after: "0x10" }, "cursor"],
    [{ after: -1 }, "cursor"],
    [{ limit: -5 }, "limit"],
    [{ limit: 1.5 }, "limit"],
    [{ offset: -1 }, "offset"],
    [{ page: 0 }, "page"],
    [{ sort: "rank desc" }, "sort"],
    [{ sort: 'a".b' }, "sort"],
    [{ order: "up" }, "order"],
  ])("is refused for %p", (selection, name) => {
    expect(() => fresh().list(notes, selection, alice)).toThrow(`${name}: must be `);
  });
});

describe("what lies within an item", () => {
  const inA = { ...alice, within: ["a"] };

  test("is apart from what lies within others, and goes with it", () => {
    const store = fresh();
    for (const name of ["a", "b"]) store.create(buckets, { name }, alice);
    store.create(objects, { key: "x/y.txt" }, inA);
    expect(store.read(objects, "x/y.txt", inA).id).toBe("x/y.txt");
    const inB = { ...alice, within: ["b"] };
    expect(refusal(() => store.read(objects, "x/y.txt", inB))).toEqual([404, "not_found"]);
    expect(refusal(() => store.emptied(buckets, "a", alice))).toEqual([409, "not_empty"]);
    store.emptied(buckets, "b", alice);
    store.remove(buckets, "a", alice);
    store.create(buckets, { name: "a" }, alice);
    expect(store.list(objects, {}, inA).total).toBe(0);
  });

  test("may lie below parts of a path that name no item, and is within it all the same", () => {
    const store = fresh();
    const texts: Collection = { name: "/v1/buckets/:/locales/:/texts", within: buckets, below: 1 };
    store.create(buckets, { name: "a" }, alice);
    const german = { ...alice, within: ["a", "de"] };
    const { id } = store.create(texts, { text: "x" }, german);
    expect(store.read(texts, id, german)).toMatchObject({ text: "x" });
    expect(store.read(texts, id, alice).id).toBe(id);
    const french = { ...alice, within: ["a", "fr"] };
    expect(refusal(() => store.read(texts, id, french))).toEqual([404, "not_found"]);
    expect(refusal(() => store.list(texts, {}, { ...german, ...bob }))).toEqual([403, "forbidden"]);
    const nowhere = { ...alice, within: ["z", "de"] };
    expect(refusal(() => store.create(texts, {}, nowhere))).toEqual([404, "not_found"]);
    expect(refusal(() => store.emptied(buckets, "a", alice))).toEqual([409, "not_empty"]);
    store.remove(buckets, "a", alice);
    store.create(buckets, { name: "a" }, alice);
    expect(refusal(() => store.read(texts, id, alice))).toEqual([404, "not_found"]);
  });

  test("is everybody's where nobody can be told apart", () => {
    const store = fresh();
    const votes: Collection = { name: "/v1/buckets/:/votes", within: buckets };
    store.create(buckets, { name: "a" }, alice);
    store.create(votes, { option: "x" }, { within: ["a"] });
    expect(store.list(votes, {}, { within: ["a"] }).total).toBe(1);
    const nowhere = { within: ["z"] };
    expect(refusal(() => store.create(votes, {}, nowhere))).toEqual([404, "not_found"]);
  });

  test("takes nobody into what is another's or is not there", () => {
    const store = fresh();
    store.create(buckets, { name: "a" }, alice);
    const scope = { ...bob, within: ["a"] };
    expect(refusal(() => store.create(objects, { key: "x" }, scope))).toEqual([403, "forbidden"]);
    expect(refusal(() => store.list(objects, {}, scope))).toEqual([403, "forbidden"]);
    const nowhere = { ...alice, within: ["z"] };
    expect(refusal(() => store.put(objects, "x", {}, nowhere))).toEqual([404, "not_found"]);
  });

  test("may be what there is one of", () => {
    const store = fresh();
    const policy: Collection = { name: "policy", within: buckets };
    store.create(buckets, { name: "a" }, alice);
    expect(store.part(policy, inA)).toEqual({});
    store.setPart(policy, { max: 1, min: 0 }, inA);
    expect(store.setPart(policy, { max: null, mid: 2 }, inA)).toEqual({ min: 0, mid: 2 });
    expect(store.part(policy, inA)).toEqual({ min: 0, mid: 2 });
    store.emptied(buckets, "a", alice);
    // What has ended fills nothing.
    const files: Collection = { name: "files", within: buckets, ends: true };
    try {
      store.create(files, { ttl: 60 }, inA);
      expect(refusal(() => store.emptied(buckets, "a", alice))).toEqual([409, "not_empty"]);
      setSystemTime(Date.now() + 61_000);
      store.emptied(buckets, "a", alice);
    } finally {
      setSystemTime();
    }
    expect(store.replacePart(policy, { last: 3 }, inA)).toEqual({ last: 3 });
    expect(store.part(policy, inA)).toEqual({ last: 3 });
  });
});

describe("what lies below a path's parameter that names no item", () => {
  const apart: Collection = { name: "apart", apart: true };
  const inX = { ...alice, within: ["x"] };

  test("is found there, or by its id alone, and not below another", () => {
    const store = fresh();
    const { id } = store.create(apart, {}, inX);
    expect(store.read(apart, id, inX).id).toBe(id);
    expect(store.read(apart, id, alice).id).toBe(id);
    expect(refusal(() => store.read(apart, id, bob))).toEqual([403, "forbidden"]);
    expect(refusal(() => store.read(apart, id, { ...alice, within: ["y"] }))).toEqual([
      404,
      "not_found",
    ]);
    expect(store.list(apart, {}, alice).total).toBe(1);
    expect(store.list(apart, {}, { ...alice, within: ["y"] }).total).toBe(0);
  });

  test("counts for what a wallet may have, wherever it lies", () => {
    const store = fresh();
    const few: Collection = { ...apart, most: 1 };
    store.create(few, {}, inX);
    const inY = { ...alice, within: ["y"] };
    expect(refusal(() => store.create(few, {}, inY))).toEqual([403, "limit_exceeded"]);
  });

  test("is each wallet's own, or everybody's", () => {
    const store = fresh();
    const own: Collection = { name: "own", key: "name", apart: true, own: true };
    const shared: Collection = { name: "shared", key: "name", apart: true };
    const bobs = { ...bob, within: ["x"] };
    for (const scope of [inX, bobs]) store.create(own, { name: "a" }, scope);
    store.create(shared, { name: "a" }, inX);
    expect(refusal(() => store.create(shared, { name: "a" }, bobs))).toEqual([409, "conflict"]);
    const anyone = { anyone: true, within: ["x"] };
    expect(store.list(shared, {}, anyone).items.map(({ id }) => id)).toEqual(["a"]);
    expect(store.read(shared, "a", anyone).id).toBe("a");
    expect(store.list(shared, {}, bobs).total).toBe(0);
    expect(refusal(() => store.change(shared, "a", {}, bobs))).toEqual([403, "forbidden"]);
  });
});

test("bytes come back as they were, and no browser runs them", async () => {
  const store = fresh();
  store.create(buckets, { name: "a" }, alice);
  const scope = { ...alice, within: ["a"] };
  const bytes = new Uint8Array([0, 255, 10]);
  const put = store.putBytes(objects, "x/y", { type: "text/html", bytes }, scope);
  expect(put).toMatchObject({ key: "x/y", size: 3, content_type: "text/html" });
  const answer = store.readBytes(objects, "x/y", scope);
  expect(await answer.bytes()).toEqual(bytes);
  expect(answer.headers.get("content-type")).toBe("text/html");
  expect(answer.headers.get("content-security-policy")).toContain("sandbox");
  store.putBytes(objects, "x/y", { type: "a/b", bytes: new Uint8Array([1]) }, scope);
  expect((await store.readBytes(objects, "x/y", scope).bytes()).byteLength).toBe(1);
});

describe("a turn", () => {
  test("is taken once in its time, whatever the spelling", () => {
    const store = fresh();
    try {
      setSystemTime(new Date("2026-01-01T00:00:00Z"));
      store.turn("drip", "0xAb", 60);
      expect(refusal(() => store.turn("drip", "0xaB", 60))).toEqual([429, "rate_limited"]);
      expect(store.waits(["drip", "other"], "0xAB")).toEqual({
        drip: { available: false, retryAfter: 60 },
        other: { available: true, retryAfter: 0 },
      });
      setSystemTime(new Date("2026-01-01T00:01:00Z"));
      store.turn("drip", "0xab", 60);
    } finally {
      setSystemTime();
    }
  });

  test("that failed has not been", async () => {
    const store = fresh();
    const failing = store.turn("drip", "a", 60).during(() => Promise.reject(new Error("empty")));
    await expect(failing).rejects.toThrow("empty");
    expect(await store.turn("drip", "a", 60).during(() => 1)).toBe(1);
    expect(refusal(() => store.turn("drip", "a", 60))).toEqual([429, "rate_limited"]);
  });
});

test("a code that was given out is used up, exactly as it was spelled", () => {
  const store = fresh();
  store.redeem("codes", "aB", "x, aB");
  expect(refusal(() => store.redeem("codes", "aB", "x, aB"))).toEqual([409, "conflict"]);
  expect(refusal(() => store.redeem("codes", "ab", "x, aB"))).toEqual([400, "invalid_code"]);
  expect(refusal(() => store.redeem("codes", "", "x,"))).toEqual([400, "invalid_code"]);
  expect(refusal(() => store.redeem("codes", "x", undefined))).toEqual([501, "not_configured"]);
});

test("an environment has one store, and its file outlives the process", () => {
  const folder = mkdtempSync(join(tmpdir(), "flywheel-store-"));
  try {
    const env = { DB_PATH: join(folder, "data.sqlite") };
    const store = openStore(env, "DB_PATH");
    expect(openStore(env, "DB_PATH")).toBe(store);
    store.create(buckets, { name: "a" }, alice);
    expect(openStore({ ...env }, "DB_PATH").read(buckets, "a", alice).id).toBe("a");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
