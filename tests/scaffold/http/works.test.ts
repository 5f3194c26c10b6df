/** What the service does whose document is `works`, called in process. */
import { expect, test } from "bun:test";
import { bob, calling, type Item } from "./calling.ts";

test("a job is handed out once, in its turn, and again once it is put back", async () => {
  const call = await calling("works");
  expect((await call("POST", "/v1/jobs/claim")).json.error.code).toBe("nothing_waits");
  const first = (await call("POST", "/v1/jobs", { payload: "a" })).json as Item;
  const second = (await call("POST", "/v1/jobs", { payload: "b" })).json as Item;
  expect(first).toMatchObject({ payload: "a", rank: 3, status: "pending" });
  expect((await call("POST", "/v1/jobs/claim", undefined, bob)).status).toBe(404);
  const claimed = await call("POST", "/v1/jobs/claim");
  expect(claimed.json).toMatchObject({ id: first.id, status: "running" });
  expect((await call("POST", "/v1/jobs/claim")).json).toMatchObject({ id: second.id });
  expect((await call("POST", "/v1/jobs/claim")).status).toBe(404);
  expect((await call("POST", `/v1/jobs/${first.id}/retry`)).json.status).toBe("pending");
  expect((await call("POST", "/v1/jobs/claim")).json).toMatchObject({ id: first.id });
  const done = await call("POST", `/v1/jobs/${first.id}/complete`, { result: "c" });
  expect(done.json).toMatchObject({ status: "done", result: "c" });
  expect((await call("GET", `/v1/jobs/${first.id}`)).json).toEqual(done.json);
});

test("a change without a type of its own is held against its item's", async () => {
  const call = await calling("works");
  const { id } = (await call("POST", "/v1/jobs", { payload: "a", note: "b" })).json as Item;
  const path = `/v1/jobs/${id}`;
  for (const [change, field] of [
    [{ payload: "" }, "payload"],
    [{ payload: null }, "payload"],
    [{ rank: "1" }, "rank"],
    [{ status: "gone" }, "status"],
    [{ other: 1 }, "body"],
  ] as const) {
    const refused = await call("PATCH", path, change);
    expect([refused.status, refused.json.error.message]).toEqual([
      400,
      expect.stringContaining(`${field}: `),
    ]);
  }
  const changed = await call("PATCH", path, { payload: "c", note: null });
  expect(changed.json).toMatchObject({ payload: "c", rank: 3 });
  expect(changed.json).not.toHaveProperty("note");
});

test("who looks without paying sees what the type names, and no more", async () => {
  const call = await calling("works");
  const made = { question: "why", secret: "because" };
  const { id } = (await call("POST", "/v1/polls", made)).json as Item;
  expect((await call("GET", `/v1/polls/${id}`)).json).toEqual({ id, question: "why" });
  const page = (await call("GET", "/v1/polls")).json;
  expect(page).toEqual({ items: [{ id, question: "why" }], total: 1, next_cursor: null });
});

test("votes are counted that nobody lists", async () => {
  const call = await calling("works");
  const { id } = (await call("POST", "/v1/polls", { question: "why" })).json as Item;
  await call("POST", `/v1/polls/${id}/votes`, { option: "a" });
  const results = (await call("GET", `/v1/polls/${id}/results`)).json;
  expect(results).toEqual({ results: { a: 1 }, total: 1 });
});

test("a link leads anybody to its address, and to no other kind of one", async () => {
  const call = await calling("works");
  const made = await call("POST", "/v1/shorten", { url: "https://a.test/b", slug: "s" });
  expect(made.json).toMatchObject({ slug: "s", url: "https://a.test/b" });
  expect((await call("GET", "/v1/links/s")).json).toMatchObject({ url: "https://a.test/b" });
  const led = await call("GET", "/r/s");
  expect([led.status, led.headers.get("location")]).toEqual([302, "https://a.test/b"]);
  expect((await call("GET", "/r/none")).json.error.code).toBe("no_link");
  await call("POST", "/v1/shorten", { url: "javascript:alert(1)", slug: "evil" });
  expect((await call("GET", "/r/evil")).status).toBe(404);
});

test("what lies below a room is found alone, and what lies below that only where it is", async () => {
  const call = await calling("works");
  const { id: room } = (await call("POST", "/v1/rooms", { name: "a" })).json as Item;
  expect((await call("POST", "/v1/rooms/none/bookings", { day: 1 })).json.error.code).toBe(
    "no_room",
  );
  const { id } = (await call("POST", `/v1/rooms/${room}/bookings`, { day: 1 })).json as Item;
  expect((await call("GET", "/v1/bookings")).json).toMatchObject({ total: 1, items: [{ id }] });
  expect((await call("POST", `/v1/bookings/${id}/notes`, { text: "b" })).status).toBe(201);
  expect((await call("POST", "/v1/bookings/none/notes", { text: "b" })).status).toBe(404);
  expect((await call("GET", `/v1/bookings/${id}/notes`)).json).toMatchObject({ total: 1 });
  expect((await call("POST", `/v1/bookings/${id}/cancel`)).json.status).toBe("cancelled");
});

test("a list has what was made within a time", async () => {
  const call = await calling("works");
  await call("POST", "/v1/jobs", { payload: "a" });
  const total = async (query: string) => (await call("GET", `/v1/jobs?${query}`)).json.total;
  expect(await total("since=2020-01-01&created_before=2999-01-01T00:00:00Z")).toBe(1);
  expect(await total("since=2999-01-01")).toBe(0);
  expect(await total("created_before=2020-01-01T00:00:00%2B02:00")).toBe(0);
  for (const query of [
    "since=yesterday",
    "since=2020-13-01",
    "created_before=2020-01-01T00:00:00",
  ]) {
    expect((await call("GET", `/v1/jobs?${query}`)).status).toBe(400);
  }
});

test("a field that must be there is told where nothing else is said of it", async () => {
  const call = await calling("works");
  const refused = await call("POST", "/v1/signs", {});
  expect(refused.json.error.message).toBe("text: must be there");
  expect((await call("POST", "/v1/signs", { text: null })).status).toBe(201);
});
