/** What fields of an item say of who sees it, how often, and what is put into it. */
import { describe, expect, setSystemTime, test } from "bun:test";
import { type Collection, Store } from "../src/store.ts";
import { attempt } from "../src/undo.ts";
import { refusal } from "./refusal.ts";

const alice = { owner: "0xa" };
const bob = { owner: "0xb" };
const anyone = { anyone: true };
const pastes: Collection = { name: "/v1/pastes" };
const fresh = () => new Store(":memory:");

describe("an item", () => {
  test.each([
    { private: true },
    { is_private: true },
    { visibility: "private" },
    { visibility: "friends" },
    { public: false },
    { is_public: false },
  ])("with %p is its owner's alone to see", (fields) => {
    const store = fresh();
    const { id } = store.create(pastes, fields, alice);
    expect(store.read(pastes, id, alice).id).toBe(id);
    expect(store.list(pastes, {}, alice).total).toBe(1);
    expect(refusal(() => store.read(pastes, id, anyone))).toEqual([404, "not_found"]);
    expect(store.list(pastes, {}, anyone)).toMatchObject({ total: 0, items: [] });
    expect(store.tally(pastes, anyone).total).toBe(0);
    const everything = { anyone: true, everything: true };
    expect(store.read(pastes, id, everything).id).toBe(id);
    expect(store.list(pastes, {}, everything).total).toBe(1);
  });

  test.each([
    {},
    { private: false },
    { private: 1 },
    { private: null, visibility: null },
    { visibility: "public" },
    { public: true },
    { is_public: true },
  ])("with %p is everybody's to see", (fields) => {
    const store = fresh();
    const { id } = store.create(pastes, fields, alice);
    expect(store.read(pastes, id, anyone).id).toBe(id);
    expect(store.list(pastes, {}, anyone).total).toBe(1);
  });

  test("that is unlisted is for who knows of it", () => {
    const store = fresh();
    const { id } = store.create(pastes, { visibility: "unlisted" }, alice);
    expect(store.read(pastes, id, anyone).id).toBe(id);
    expect(store.list(pastes, {}, anyone).total).toBe(0);
  });

  test("is read as often as it says, and nothing of it stays", () => {
    const store = fresh();
    const scope = { ...anyone, codes: { ended: [410, "gone"] } } as const;
    const { id } = store.create(pastes, { text: "a", max_views: 2 }, alice);
    expect(store.peek(pastes, id, scope)).not.toHaveProperty("views_left");
    expect(store.read(pastes, id, scope)).toMatchObject({ text: "a", views_left: 1 });
    expect(store.read(pastes, id, alice)).toMatchObject({ text: "a", views_left: 0 });
    expect(refusal(() => store.read(pastes, id, scope))).toEqual([410, "gone"]);
    expect(store.list(pastes, {}, alice).total).toBe(0);
    const burnt = store.create(pastes, { text: "a", burn_after_read: true }, alice);
    expect(store.read(pastes, burnt.id, scope)["text"]).toBe("a");
    expect(refusal(() => store.read(pastes, burnt.id, scope))).toEqual([410, "gone"]);
    const kept = store.create(pastes, { text: "a", burn_after_read: false }, alice);
    for (const _ of [1, 2]) expect(store.read(pastes, kept.id, scope)["text"]).toBe("a");
    for (const max_views of [0, -1, 1.5, "2"]) {
      const make = () => store.create(pastes, { max_views }, alice);
      expect(refusal(make)).toEqual([400, "validation_error"]);
    }
  });

  test("of bytes goes likewise, and a read that nobody paid for was none", async () => {
    const store = fresh();
    const files: Collection = { name: "/v1/files" };
    const stored = { type: "a/b", bytes: new Uint8Array([1, 2]), lasts: {} };
    const { id } = store.createBytes(files, stored, alice);
    store.change(files, id, { max_views: 1 }, alice);
    const unpaid = await attempt(async () => void store.readBytes(files, id, alice));
    expect(refusal(() => store.readBytes(files, id, alice))).toEqual([404, "not_found"]);
    unpaid.undo();
    const bytes = await store.readBytes(files, id, alice).bytes();
    expect(bytes).toEqual(new Uint8Array([1, 2]));
    expect(refusal(() => store.readBytes(files, id, alice))).toEqual([404, "not_found"]);
  });
});

describe("what everybody sees", () => {
  const polls: Collection = { name: "/v1/polls", status: "open" };
  const votes: Collection = { name: "/v1/polls/:/votes", within: polls, joined: true };
  const codes = { again: [409, "already_voted"], closed: [410, "poll_closed"] } as const;
  const vote = (store: Store, id: string | number, whose: object, fields = {}) =>
    store.create(votes, fields, { ...whose, within: [String(id)], codes });

  test("is put into by every wallet, whose own that is", () => {
    const store = fresh();
    const { id } = store.create(polls, {}, alice);
    const within = [String(id)];
    const made = vote(store, id, bob, { option: "x" });
    vote(store, id, alice, { option: "x" });
    expect(store.list(votes, {}, { ...bob, within }).items).toEqual([made]);
    expect(store.list(votes, {}, { ...anyone, within }).total).toBe(2);
    expect(store.tally(votes, { ...bob, within })).toEqual({ results: { x: 2 }, total: 2 });
    const remove = () => store.remove(votes, made.id, { ...alice, within });
    expect(refusal(remove)).toEqual([403, "forbidden"]);
    expect(refusal(() => store.change(polls, id, {}, bob))).toEqual([403, "forbidden"]);
    // But not where others don't see it.
    const hidden = store.create(polls, { private: true }, alice);
    expect(refusal(() => vote(store, hidden.id, bob))).toEqual([404, "not_found"]);
    const apart: Collection = { ...votes, joined: false };
    const put = () => store.create(apart, {}, { ...bob, within });
    expect(refusal(put)).toEqual([403, "forbidden"]);
  });

  test("takes one of each wallet where that is said, in each", () => {
    const store = fresh();
    const [one, other] = [1, 2].map(() => store.create(polls, {}, alice).id);
    vote(store, one ?? "", bob);
    expect(refusal(() => vote(store, one ?? "", bob))).toEqual([409, "already_voted"]);
    expect(vote(store, one ?? "", alice).id).toBeString();
    expect(vote(store, other ?? "", bob).id).toBeString();
    const within = [String(one)];
    for (const _ of [1, 2]) store.create(votes, {}, { ...bob, within });
  });

  test("takes nothing more once it is closed", () => {
    const store = fresh();
    setSystemTime(new Date("2026-01-01T00:00:00Z"));
    try {
      const { id } = store.create(polls, {}, alice);
      vote(store, id, bob);
      store.become(polls, id, { to: "closed" }, alice);
      expect(refusal(() => vote(store, id, alice))).toEqual([410, "poll_closed"]);
      for (const name of ["closes_at", "ends_at", "deadline"]) {
        const timed = store.create(polls, { [name]: "2026-01-01T00:01:00Z" }, alice);
        vote(store, timed.id, bob);
        setSystemTime(new Date("2026-01-01T00:01:00Z"));
        expect(refusal(() => vote(store, timed.id, alice))).toEqual([410, "poll_closed"]);
        setSystemTime(new Date("2026-01-01T00:00:00Z"));
      }
      const shut = store.create(polls, { closed: true }, alice);
      expect(refusal(() => vote(store, shut.id, alice))).toEqual([410, "poll_closed"]);
    } finally {
      setSystemTime();
    }
  });
});

describe("a number that is stepped", () => {
  const hits: Collection = { name: "/v1/hits", key: "name", ends: true };
  const step = { field: "value", way: 1, makes: true };

  test("begins as a body says, where the step makes it", () => {
    const store = fresh();
    expect(store.step(hits, "a", { initial: 10 }, step, alice)["value"]).toBe(10);
    expect(store.step(hits, "a", { initial: 10 }, step, alice)["value"]).toBe(11);
    const wrong = () => store.step(hits, "b", { initial: "x" }, step, alice);
    expect(refusal(wrong)).toEqual([400, "validation_error"]);
  });

  test("lives as long as the body says that makes it, and then begins anew", () => {
    const store = fresh();
    setSystemTime(new Date("2026-01-01T00:00:00Z"));
    try {
      const made = store.step(hits, "a", { ttl: 60 }, step, alice);
      expect(made["expires_at"]).toBe("2026-01-01T00:01:00.000Z");
      expect(store.step(hits, "a", {}, step, alice)["value"]).toBe(2);
      setSystemTime(new Date("2026-01-01T00:01:00Z"));
      expect(store.step(hits, "a", {}, step, alice)["value"]).toBe(1);
      expect(store.read(hits, "a", alice)).not.toHaveProperty("expires_at");
    } finally {
      setSystemTime();
    }
  });
});
