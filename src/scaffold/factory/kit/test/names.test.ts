/** Whose a name is, also once a document says otherwise, and in a file of before that. */
import { Database } from "bun:sqlite";
import { expect, spyOn, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Collection, Store } from "../src/store.ts";

const alice = { owner: "0xa" };
const bob = { owner: "0xb" };
const anyone = { anyone: true };
const fresh = () => new Store(":memory:");

/** A collection of which names are each wallet's own, and the same with everybody's. */
const both = (name: string, more: Partial<Collection> = {}) =>
  [
    { name, key: "key", ...more, own: true },
    { name, key: "key", ...more },
  ] as const satisfies Collection[];

test("each wallet has its own of a name", () => {
  const store = fresh();
  const [own] = both("/v1/kv");
  for (const scope of [alice, bob]) store.put(own, "a", { from: scope.owner }, scope);
  expect(store.put(own, "a", { from: "again" }, bob)).toMatchObject({ from: "again" });
  expect(store.read(own, "a", alice)).toMatchObject({ from: "0xa" });
  store.remove(own, "a", alice);
  expect(() => store.read(own, "a", alice)).toThrow("There is no a.");
  expect(() => store.remove(own, "a", alice)).toThrow("There is no a.");
  expect(store.list(own, {}, bob).total).toBe(1);
  const once = { field: "value", way: 1, makes: true };
  expect(store.step(own, "n", {}, once, alice)["value"]).toBe(1);
  expect(store.step(own, "n", {}, once, bob)["value"]).toBe(1);
  expect(store.step(own, "n", {}, once, bob)["value"]).toBe(2);
});

test("a name can be set by whose it is, and by everybody once it has ended", () => {
  const store = fresh();
  const buckets = { name: "/v1/buckets", key: "key", most: 1, ends: true };
  const objects: Collection = { name: "/v1/buckets/:/objects", key: "key", within: buckets };
  const set = (collection: Collection, scope: object) => () =>
    store.settable(collection, "a", scope);
  set(buckets, alice)();
  store.put(buckets, "a", { ttl: 60 }, alice);
  set(buckets, alice)();
  expect(set(buckets, bob)).toThrow("a belongs to another wallet.");
  expect(() => store.settable(buckets, "b", alice)).toThrow("A wallet may have 1");
  set(objects, { ...alice, within: ["a"] })();
  expect(set(objects, { ...bob, within: ["a"] })).toThrow("a belongs to another wallet.");
  const later = spyOn(Date, "now").mockReturnValue(Date.now() + 61_000);
  set(buckets, bob)();
  later.mockRestore();
});

test.each([undefined, ["x"]])(
  "own names become everybody's, and none is lost (within %p)",
  (within) => {
    const store = fresh();
    const [own, shared] = both("/v1/kv", within ? { apart: true } : {});
    const [a, b, all] = [alice, bob, anyone].map((scope) => ({ ...scope, within }));
    store.put(own, "a", { from: "alice" }, a);
    store.put(own, "a", { from: "bob" }, b);
    store.put(own, "b", { from: "bob" }, b);
    expect(store.read(shared, "a", a)["from"]).toBe("alice");
    expect(store.read(shared, "a", b)["from"]).toBe("bob");
    expect(store.read(shared, "a", all)["from"]).toBe("alice");
    expect(store.list(shared, {}, all).total).toBe(3);
    // Whoever's it is, the name is taken.
    expect(() => store.create(shared, { key: "b" }, a)).toThrow("b is there already.");
    expect(() => store.put(shared, "b", {}, a)).toThrow("b belongs to another wallet.");
    expect(store.put(shared, "a", { from: "bob still" }, b)["from"]).toBe("bob still");
    expect(store.read(shared, "a", a)["from"]).toBe("alice");
  },
);

test.each([undefined, ["x"]])(
  "everybody's names become each wallet's own (within %p)",
  (within) => {
    const store = fresh();
    const [own, shared] = both("/v1/kv", within ? { apart: true } : {});
    const [a, b, all] = [alice, bob, anyone].map((scope) => ({ ...scope, within }));
    store.put(shared, "a", { from: "alice" }, a);
    expect(store.read(own, "a", a)["from"]).toBe("alice");
    expect(() => store.read(own, "a", b)).toThrow("There is no a.");
    // One's own of before is the one that is meant, and another's is in nobody's way.
    expect(() => store.create(own, { key: "a" }, a)).toThrow("a is there already.");
    expect(store.put(own, "a", { from: "alice still" }, a)["from"]).toBe("alice still");
    expect(store.create(own, { key: "a", from: "bob" }, b)["from"]).toBe("bob");
    expect(store.list(own, {}, a).total).toBe(1);
    expect(store.read(own, "a", all)["from"]).toBe("alice still");
  },
);

test("an id of our making is one item's, wherever it lies", () => {
  const store = fresh();
  const own: Collection = { name: "/v1/boards/:/posts", apart: true, own: true };
  const { id } = store.create(own, {}, { ...alice, within: ["x"] });
  for (const collection of [own, { ...own, own: false }]) {
    expect(store.read(collection, id, anyone).id).toBe(id);
    expect(() => store.read(collection, id, bob)).toThrow(`${id} belongs to another wallet.`);
  }
});

test("what there is one of is a wallet's own, or everybody's", () => {
  const store = fresh();
  const own: Collection = { name: "/v1/settings", own: true };
  const shared: Collection = { name: "/v1/settings" };
  store.setPart(own, { color: "red" }, alice);
  expect(store.part(own, bob)).toEqual({});
  store.setPart(own, { color: "blue" }, bob);
  expect(store.part(own, alice)).toEqual({ color: "red" });
  expect(store.part(shared, bob)).toEqual({ color: "blue" });
  expect(store.part(shared, anyone)).toEqual({ color: "red" });
});

/** The table as it was before names had a space. */
const OLDER = `CREATE TABLE items (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, collection TEXT NOT NULL, place TEXT NOT NULL,
  id TEXT NOT NULL, owner TEXT, created_at TEXT NOT NULL, ends_at INTEGER,
  gone INTEGER NOT NULL DEFAULT 0, value TEXT NOT NULL, bytes BLOB,
  UNIQUE (collection, place, id)
)`;

test("a file of before names had a space is brought over once, with all that is in it", () => {
  const folder = mkdtempSync(join(tmpdir(), "flywheel-names-"));
  const file = join(folder, "data.sqlite");
  try {
    const older = new Database(file, { create: true });
    older.run(OLDER);
    const add = (collection: string, place: string, id: string, owner: string | null) =>
      older
        .query(
          `INSERT INTO items (collection, place, id, owner, created_at, value, bytes)
           VALUES (?, ?, ?, ?, '2026-01-01T00:00:00.000Z', ?, x'01')`,
        )
        .run(collection, place, id, owner, JSON.stringify({ from: place }));
    add("buckets", "", "a", "0xa");
    add("objects", "#1", "o", "0xa");
    add("posts", '["*","x"]', "p", "0xa");
    add("posts", '[null,"x"]', "p", null);
    add("jots", '["0xa","é \\"x\\""]', "j", "0xa");
    add("jots", '["0xb","é \\"x\\""]', "j", "0xb");
    add("settings", '["0xa"]', "", "0xa");
    add("drip", "", "0xa", null);
    add("jots", "", "last", "0xa");
    older.run("DELETE FROM items WHERE id = 'last'");
    older.close();

    const buckets: Collection = { name: "/v1/buckets", noun: "buckets", key: "name" };
    const objects: Collection = {
      name: "/v1/buckets/:/objects",
      noun: "objects",
      key: "name",
      within: buckets,
    };
    const posts: Collection = { name: "/v1/on/:/posts", noun: "posts", key: "name", apart: true };
    const jots: Collection = { ...posts, name: "/v1/in/:/jots", noun: "jots", own: true };
    const settings: Collection = { name: "/v1/settings", noun: "settings", own: true };
    const all = [buckets, objects, posts, jots, settings];
    for (const store of [new Store(file, all), new Store(file, all)]) {
      expect(store.read(buckets, "a", alice)["from"]).toBe("");
      expect(store.read(objects, "o", { ...alice, within: ["a"] })["from"]).toBe("#1");
      expect(store.list(posts, {}, { ...anyone, within: ["x"] }).total).toBe(2);
      expect(store.read(posts, "p", { ...alice, within: ["x"] }).id).toBe("p");
      for (const scope of [alice, bob]) {
        const read = store.read(jots, "j", { ...scope, within: ['é "x"'] });
        expect(read["from"]).toBe(`["${scope.owner}","é \\"x\\""]`);
      }
      expect(store.part(settings, alice)).toEqual({ from: '["0xa"]' });
      expect(store.part(settings, bob)).toEqual({});
      expect(() => store.turn("drip", "0xa", 60)).toThrow("Wait");
    }
    // Its numbers go on.
    const counted: Collection = { name: "/v1/counted", numbers: true };
    expect(new Store(file, all).create(counted, {}, alice).id).toBe(10);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
