/** What was kept by one document's rules, as it is found by those of the next one. */
import { expect, test } from "bun:test";
import { type Collection, Store } from "../src/store.ts";
import { refusal } from "./refusal.ts";

const alice = { owner: "0xa" };
const notes: Collection = { name: "/v1/notes" };
const named: Collection = { name: "/v1/kv", key: "key" };
const fresh = () => new Store(":memory:");

test("what there is one of lies beside the items below its path", () => {
  const store = fresh();
  const one: Collection = { name: "/v1/settings", own: true };
  const each: Collection = { name: "/v1/settings", key: "key", own: true };
  store.setPart(one, { theme: "dark" }, alice);
  store.put(each, "a", { value: 1 }, alice);
  expect(store.part(one, alice)).toEqual({ theme: "dark" });
  expect(store.list(each, {}, alice)).toMatchObject({ total: 1, items: [{ key: "a" }] });
  expect(store.clear(each, {}, alice)).toEqual({ deleted: 1 });
  expect(store.part(one, alice)).toEqual({ theme: "dark" });
});

test("what nobody owns is no wallet's to change", () => {
  const store = fresh();
  const { id } = store.create(notes, { text: "hi", rank: 1, on: true });
  for (const work of [
    () => store.change(notes, id, { text: "mine" }, alice),
    () => store.replace(notes, id, {}, alice),
    () => store.put(notes, id, {}, alice),
    () => store.become(notes, id, { to: "closed" }, alice),
    () => store.step(notes, id, {}, { field: "rank", way: 1 }, alice),
    () => store.flip(notes, id, "on", alice),
    () => store.renew(notes, id, { ttl: 1 }, alice),
    () => store.emptied(notes, id, alice),
    () => store.changeable(notes, id, alice),
    () => store.remove(notes, id, alice),
    () => store.retire(notes, id, "revoked", alice),
  ]) {
    expect(refusal(work)).toEqual([403, "forbidden"]);
  }
  const codes = { foreign: [404, "note_not_found"], missing: [404, "note_not_found"] } as const;
  const hidden = () => store.remove(notes, id, { ...alice, codes });
  expect(refusal(hidden)).toEqual([404, "note_not_found"]);
  expect(store.read(notes, id, alice)).toMatchObject({ text: "hi", rank: 1, on: true });
  expect(store.change(notes, id, { text: "ours" }, { anyone: true })).toMatchObject({ rank: 1 });
  // Where such are made still, whoever pays changes them.
  const unowned: Collection = { ...notes, unowned: true };
  expect(store.change(unowned, id, { text: "all" }, alice)).toMatchObject({ text: "all" });
  expect(store.remove(unowned, id, alice)).toMatchObject({ deleted: true });
});

test("a name that nobody owns is each wallet's to give, where names are its own", () => {
  const store = fresh();
  const own: Collection = { ...named, own: true };
  const one: Collection = { name: "/v1/settings", own: true };
  store.put(named, "a", { value: "everybody's" });
  store.setPart({ ...one, own: false }, { theme: "dark" });
  expect(store.read(own, "a", alice)).toMatchObject({ value: "everybody's" });
  expect(refusal(() => store.remove(own, "a", alice))).toEqual([404, "not_found"]);
  expect(store.put(own, "a", { value: "alice's" }, alice)).toMatchObject({ value: "alice's" });
  expect(store.read(own, "a", alice)).toMatchObject({ value: "alice's" });
  expect(store.read(named, "a")).toMatchObject({ value: "everybody's" });
  const step = { field: "value", way: 1, makes: true };
  store.put(named, "n", { value: 5 });
  expect(store.step(own, "n", {}, step, alice)).toMatchObject({ value: 1 });
  expect(store.part(one, alice)).toEqual({ theme: "dark" });
  store.replacePart(one, { theme: "light" }, alice);
  expect(store.part(one, alice)).toEqual({ theme: "light" });
  expect(store.part(one, { owner: "0xb" })).toEqual({ theme: "dark" });
});

test("an id of before ids were numbers is as it was", () => {
  const store = fresh();
  const numbered: Collection = { ...notes, numbers: true };
  const { id } = store.create(notes, { text: "hi" }, alice);
  expect(store.read(numbered, id, alice).id).toBe(id);
  expect(store.remove(numbered, id, alice)).toEqual({ id, deleted: true });
  expect(store.create(numbered, {}, alice).id).toBeNumber();
});

test("what is put under a name has no field that another has, and keeps its status", () => {
  const store = fresh();
  const books: Collection = { name: "/v1/books", key: "name", status: "open" };
  const scope = { ...alice, unique: { isbn: [409, "isbn_taken"] } } as const;
  store.create(books, { name: "a", isbn: "1" }, scope);
  expect(store.put(books, "b", { isbn: "2", status: "lent" }, scope)).toMatchObject({
    isbn: "2",
    status: "open",
  });
  store.become(books, "b", { to: "lent" }, scope);
  expect(store.put(books, "b", { isbn: "3" }, scope)).toMatchObject({ isbn: "3", status: "lent" });
  for (const name of ["b", "c"]) {
    expect(refusal(() => store.put(books, name, { isbn: "1" }, scope))).toEqual([
      409,
      "isbn_taken",
    ]);
  }
  expect(store.read(books, "b", alice)).toMatchObject({ isbn: "3" });
});

test("what two have alike since before that was refused stays, and is given to no third", () => {
  const store = fresh();
  const made = ["1", "1", "2"].map((isbn) => store.create(notes, { isbn }, alice));
  const scope = { ...alice, unique: { isbn: [409, "isbn_taken"] } } as const;
  const [first, , third] = made.map(({ id }) => id);
  expect(store.change(notes, first, { text: "hi" }, scope)).toMatchObject({ isbn: "1" });
  const same = () => store.change(notes, third, { isbn: "1" }, scope);
  expect(refusal(same)).toEqual([409, "isbn_taken"]);
});

test("what is required of what there is one of is there once it was set", () => {
  const store = fresh();
  const one: Collection = { name: "/v1/settings", own: true };
  const codes = { missing: [404, "no_settings"] } as const;
  const read = () => store.requirePart(one, { ...alice, codes });
  expect(refusal(read)).toEqual([404, "no_settings"]);
  store.setPart(one, { theme: "dark" }, alice);
  expect(read()).toEqual({ theme: "dark" });
  store.unsetPart(one, alice);
  expect(refusal(read)).toEqual([404, "no_settings"]);
});
