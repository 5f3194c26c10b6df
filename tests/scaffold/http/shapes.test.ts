/** What `desk` does, a service with a bit of everything that small services have. */
import { expect, test } from "bun:test";
import { bob, calling, type Item } from "./calling.ts";

const call = await calling("desk");
const make = async (path: string, body?: unknown) => (await call("POST", path, body)).json as Item;

test("a change that answers nothing is made all the same", async () => {
  const { id } = await make("/v1/notes", { text: "a", color: "red" });
  const path = `/v1/notes/${id}`;
  expect(await call("PATCH", path, { text: "b" })).toMatchObject({ status: 204, text: "" });
  expect((await call("GET", path)).json).toMatchObject({ text: "b", color: "red" });
  expect(await call("PUT", path, { text: "c" })).toMatchObject({ status: 200, text: "" });
  expect((await call("GET", path)).json).not.toHaveProperty("color");
  expect((await call("POST", `${path}/pin`)).status).toBe(204);
  expect((await call("GET", path)).json.status).toBe("pinned");
  expect((await call("POST", `${path}/assign`, { to: "bob" })).json).toMatchObject({ to: "bob" });
});

test("the newest, a count, a search and a clearing are of one's own", async () => {
  await call("DELETE", "/v1/notes");
  await make("/v1/notes/batch", { notes: [{ text: "x", color: "red" }, { text: "y" }] });
  await call("POST", "/v1/notes", { text: "bob's" }, bob);
  expect((await call("GET", "/v1/notes/latest")).json.text).toBe("y");
  expect((await call("GET", "/v1/notes/stats")).json).toEqual({ count: 2 });
  const found = await call("POST", "/v1/notes/search", { query: "X", limit: 5 });
  expect(found.json.items.map(({ text }: Item) => text)).toEqual(["x"]);
  expect((await call("POST", "/v1/notes/search", { limit: "5" })).status).toBe(400);
  expect((await call("POST", "/v1/notes/batch", { notes: [1] })).status).toBe(400);
  expect((await call("DELETE", "/v1/notes?color=red")).json).toEqual({ deleted: 1 });
  expect((await call("GET", "/v1/notes")).json.total).toBe(1);
  expect((await call("DELETE", "/v1/notes")).json).toEqual({ deleted: 1 });
  expect((await call("GET", "/v1/notes/latest")).status).toBe(404);
  expect((await call("GET", "/v1/notes", undefined, bob)).json.total).toBe(1);
});

test("several are each what one must be", async () => {
  const batch = (...notes: unknown[]) => call("POST", "/v1/notes/batch", { notes });
  expect((await batch({ title: "only" })).status).toBe(201);
  for (const notes of [[{ title: "only" }], [{ title: "two" }, { title: "two" }]]) {
    expect(await batch(...notes)).toMatchObject({
      status: 409,
      json: { error: { code: "title_taken" } },
    });
  }
  expect((await batch({ title: "three" }, {})).status).toBe(400);
  expect((await batch({ title: "three" })).status).toBe(201);
});

test("a time to live may stand in the query", async () => {
  const made = await make("/v1/notes?ttl=60", { text: "short" });
  const left = new Date(made["expires_at"] as string).getTime() - Date.now();
  expect(left).toBeGreaterThan(50_000);
  expect(left).toBeLessThan(61_000);
  expect(await make("/v1/notes", { text: "long" })).not.toHaveProperty("expires_at");
});

test("a field that a code calls taken is no second note's", async () => {
  const { id } = await make("/v1/notes", { title: "a" });
  const taken = { status: 409, json: { error: { code: "title_taken" } } };
  expect(await call("POST", "/v1/notes", { title: "a" })).toMatchObject(taken);
  expect((await call("POST", "/v1/notes", { title: "a" }, bob)).status).toBe(201);
  const other = await make("/v1/notes", { title: "b" });
  expect(await call("PATCH", `/v1/notes/${other.id}`, { title: "a" })).toMatchObject(taken);
  expect((await call("PATCH", `/v1/notes/${id}`, { title: "a", more: 1 })).status).toBe(204);
});

test("who has the internal key sees what everybody has, and nobody else does", async () => {
  await call("POST", "/v1/links", { url: "https://bob.test", slug: "bobs" }, bob);
  await call("POST", "/v1/links", { url: "https://alice.test", slug: "alices" });
  expect((await call("GET", "/v1/links")).status).toBe(401);
  const key = { "x-internal-key": "a key for tests" };
  const { items } = (await call("GET", "/v1/links", undefined, bob, key)).json;
  expect(items.map(({ slug }: Item) => slug)).toEqual(["alices", "bobs"]);
});

test("what is made of nothing is removed by what a body says", async () => {
  const { id } = await make("/v1/drafts");
  expect((await call("GET", "/v1/drafts")).json.total).toBe(1);
  expect((await call("DELETE", "/v1/drafts", { id: 5 })).status).toBe(400);
  expect((await call("DELETE", "/v1/drafts", { id: "none" })).status).toBe(404);
  expect(await call("DELETE", "/v1/drafts", { id })).toMatchObject({ status: 200, text: "" });
  expect((await call("GET", "/v1/drafts")).json.total).toBe(0);
});

test("bytes that are posted are listed, told of and given back", async () => {
  const made = await make("/v1/files", new TextEncoder().encode("some bytes"));
  expect(made).toMatchObject({ size: 10 });
  expect((await call("GET", "/v1/files")).json).toMatchObject({ total: 1, items: [made] });
  expect((await call("GET", `/v1/files/${made.id}`)).text).toBe("some bytes");
  expect((await call("GET", `/v1/files/${made.id}/meta`)).json).toEqual(made);
});

test("a name is made up where none is said, and set again where that is meant", async () => {
  const made = await make("/v1/links", { url: "https://a.test" });
  expect(made["slug"]).toBeString();
  expect((await call("GET", `/v1/links/${made["slug"]}`)).json.url).toBe("https://a.test");
  expect(await make("/v1/links", { url: "https://b.test", slug: "b" })).toMatchObject({ id: "b" });
  for (const value of [1, 2]) await call("POST", "/v1/kv", { key: "a", value });
  expect((await call("GET", "/v1/kv/a")).json).toMatchObject({ key: "a", value: 2 });
});

test("counters count, switches switch, and votes are counted", async () => {
  const count = "/v1/counters/hits";
  expect((await call("POST", `${count}/increment`)).json).toMatchObject({ name: "hits", value: 1 });
  expect((await call("POST", `${count}/increment`, { by: 4 })).json.value).toBe(5);
  expect((await call("POST", `${count}/increment`, { by: "4" })).status).toBe(400);
  expect((await call("POST", `${count}/reset`)).json.value).toBe(0);
  expect((await call("GET", count)).json.value).toBe(0);
  await call("PUT", "/v1/flags/dark", { about: "colors" });
  expect((await call("POST", "/v1/flags/dark/toggle")).json.enabled).toBe(true);
  expect((await call("POST", "/v1/flags/dark/toggle")).json.enabled).toBe(false);
  const { id } = await make("/v1/polls", { question: "Which?" });
  for (const option of ["a", "b", "a"]) await make(`/v1/polls/${id}/votes`, { option });
  const results = { results: { a: 2, b: 1 }, total: 3 };
  expect((await call("GET", `/v1/polls/${id}/results`)).json).toEqual(results);
});

test("a lock is one caller's until it is let go", async () => {
  const lock = "/v1/locks/door";
  const held = await call("POST", `${lock}/acquire`, { ttl: 60 });
  expect(held).toMatchObject({ status: 200, json: { name: "door" } });
  expect(held.json).toHaveProperty("expires_at");
  const refused = { status: 409, json: { error: { code: "locked" } } };
  expect(await call("POST", `${lock}/acquire`, {}, bob)).toMatchObject(refused);
  expect(await call("POST", `${lock}/acquire`)).toMatchObject(refused);
  expect((await call("POST", `${lock}/release`, undefined, bob)).status).toBe(403);
  expect((await call("POST", `${lock}/release`)).status).toBe(200);
  expect((await call("POST", `${lock}/acquire`, {}, bob)).status).toBe(200);
});

test("a queue hands out the oldest, and again only what nobody is done with", async () => {
  const queue = "/v1/queues/work/messages";
  const first = await make(queue, { text: "first" });
  await make(queue, { text: "second" });
  expect((await call("GET", "/v1/queues/work/stats")).json).toEqual({ count: 2 });
  expect((await call("POST", `${queue}/receive`)).json.text).toBe("first");
  expect((await call("POST", `${queue}/receive`)).json.text).toBe("second");
  expect((await call("POST", `${queue}/receive`)).status).toBe(404);
  expect((await call("DELETE", `${queue}/${first.id}`)).status).toBe(204);
  expect((await call("GET", "/v1/queues/work/stats")).json).toEqual({ count: 1 });
});

test("what a wallet has one of is put, changed and taken away", async () => {
  const path = "/v1/settings";
  expect(await call("PUT", path, { color: "red" })).toMatchObject({ status: 204, text: "" });
  expect((await call("PATCH", path, { size: 1 })).json).toEqual({ color: "red", size: 1 });
  expect(await call("DELETE", path)).toMatchObject({ status: 200, text: "" });
  expect((await call("GET", path)).json).toEqual({});
});
