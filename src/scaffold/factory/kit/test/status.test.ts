/** Statuses of what is kept: what is handed out by one, and what is told with one. */
import { expect, test } from "bun:test";
import { ServiceError } from "../src/index.ts";
import { type Collection, Store } from "../src/store.ts";

const jobs: Collection = { name: "jobs", status: "queued" };
const alice = { owner: "0xa" };

test("what waits is handed out once, the oldest first, until it is put back", () => {
  const store = new Store(":memory:");
  const [first, second] = ["a", "b"].map((text) => store.create(jobs, { text }, alice));
  const claim = (fields = {}, scope = alice) =>
    store.take(jobs, { to: "claimed", fields }, scope).id;
  expect(() => claim({}, { owner: "0xb" })).toThrow(ServiceError);
  expect([claim({ worker: "w", status: "done" }), claim()]).toEqual([
    first?.id ?? "",
    second?.id ?? "",
  ]);
  expect(store.read(jobs, first?.id, alice)).toMatchObject({ status: "claimed", worker: "w" });
  expect(() => claim()).toThrow("Nothing waits.");
  store.become(jobs, second?.id, { to: "queued" }, alice);
  expect(claim()).toBe(second?.id ?? "");
});

test("what is told with a status is kept, but for what the store says itself", () => {
  const store = new Store(":memory:");
  const { id } = store.create(jobs, { text: "a", note: "b" }, alice);
  const fields = { result: [1], note: null, status: "queued", id: "other" };
  const done = store.become(jobs, id, { to: "done", fields }, alice);
  expect(done).toMatchObject({ id, text: "a", result: [1], status: "done" });
  expect(done).not.toHaveProperty("note");
  const on = { to: true, field: "open", fields: { open: false } };
  expect(store.become(jobs, id, on, alice)["open"]).toBe(true);
});

test("what was kept before there were statuses has the first", () => {
  const store = new Store(":memory:");
  const { id } = store.create({ name: "jobs" }, { text: "a" }, alice);
  expect(store.read(jobs, id, alice)["status"]).toBe("queued");
  const found = (status: string) => store.list(jobs, { match: { status } }, alice).total;
  expect([found("queued"), found("done")]).toEqual([1, 0]);
  const taken = store.take(jobs, { to: "claimed" }, alice);
  expect(taken).toMatchObject({ id, status: "claimed" });
  const other = store.create({ name: "jobs" }, { text: "b" }, alice);
  const done = store.become(jobs, other.id, { to: "done", from: "queued" }, alice);
  expect(done["status"]).toBe("done");
});
