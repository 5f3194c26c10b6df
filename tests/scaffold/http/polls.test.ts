/** What `polls` lets wallets put into what is another's, shows to whom, and counts. */
import { expect, setSystemTime, test } from "bun:test";
import { alice, bob, calling, type Item } from "./calling.ts";

const call = await calling("polls");
const poll = async (fields: object = {}) =>
  `/v1/polls/${((await call("POST", "/v1/polls", { question: "?", ...fields })).json as Item).id}`;
const code = (answer: Awaited<ReturnType<typeof call>>) => [answer.status, answer.json.error?.code];

test("every wallet votes in a poll that is another's, and once", async () => {
  const path = await poll();
  const cast = (whose: string, option = "x") => call("POST", `${path}/votes`, { option }, whose);
  const made = (await cast(bob)).json as Item;
  expect(code(await cast(bob, "y"))).toEqual([409, "already_voted"]);
  expect((await cast(alice)).status).toBe(201);
  expect((await call("GET", `${path}/votes`)).json).toMatchObject({ total: 2 });
  expect((await call("GET", `${path}/results`, undefined, bob)).json).toEqual({
    results: { x: 2 },
    total: 2,
  });
  const vote = `${path}/votes/${made.id}`;
  expect(code(await call("DELETE", vote, undefined, alice))).toEqual([403, "not_yours"]);
  expect((await call("DELETE", vote, undefined, bob)).status).toBe(200);
  expect((await cast(bob, "y")).status).toBe(201);
  expect(code(await call("POST", "/v1/polls/none/votes", { option: "x" }))).toEqual([
    404,
    "poll_missing",
  ]);
});

test("comments are their wallets' own, and prompts the poll's", async () => {
  const path = await poll();
  for (const whose of [bob, bob]) {
    expect((await call("POST", `${path}/comments`, { text: "hi" }, whose)).status).toBe(201);
  }
  const own = (whose: string) => call("GET", `${path}/comments`, undefined, whose);
  expect((await own(bob)).json).toMatchObject({ total: 2 });
  expect((await own(alice)).json).toMatchObject({ total: 0 });
  const add = (whose: string) => call("POST", `${path}/prompts`, { text: "x" }, whose);
  expect(code(await add(bob))).toEqual([403, "not_yours"]);
  expect((await add(alice)).status).toBe(201);
});

test("a poll that is closed, by its owner or by its time, takes no more", async () => {
  const path = await poll();
  const cast = (to: string, whose: string) => call("POST", `${to}/votes`, { option: "x" }, whose);
  expect((await cast(path, bob)).status).toBe(201);
  expect(code(await call("POST", `${path}/close`, undefined, bob))).toEqual([403, "not_yours"]);
  expect((await call("POST", `${path}/close`, undefined, alice)).status).toBe(200);
  expect(code(await cast(path, alice))).toEqual([403, "poll_closed"]);
  const timed = await poll({ closes_at: new Date(Date.now() + 60_000).toISOString() });
  expect((await cast(timed, bob)).status).toBe(201);
  setSystemTime(Date.now() + 61_000);
  try {
    expect(code(await cast(timed, alice))).toEqual([403, "poll_closed"]);
  } finally {
    setSystemTime();
  }
});

test("what is private is not there for others", async () => {
  const { total } = (await call("GET", "/v1/polls")).json as { total: number };
  const path = await poll({ private: true });
  expect((await call("GET", "/v1/polls")).json.total).toBe(total);
  expect(code(await call("GET", path))).toEqual([404, "poll_missing"]);
  const cast = (whose: string) => call("POST", `${path}/votes`, { option: "x" }, whose);
  expect(code(await cast(bob))).toEqual([404, "poll_missing"]);
  expect((await cast(alice)).status).toBe(201);
});

test("a secret is read as often as it says", async () => {
  const keep = async (fields: object) =>
    ((await call("POST", "/v1/secrets", { text: "s", ...fields })).json as Item).id;
  const read = (id: unknown) => call("GET", `/v1/secrets/${id}`);
  const twice = await keep({ max_views: 2 });
  for (const _ of [1, 2]) expect((await read(twice)).json).toMatchObject({ text: "s" });
  expect(code(await read(twice))).toEqual([410, "secret_gone"]);
  const once = await keep({ burn_after_read: true });
  expect((await call("GET", "/v1/secrets")).json).toMatchObject({ total: 1 });
  expect((await read(once)).status).toBe(200);
  expect(code(await read(once))).toEqual([410, "secret_gone"]);
  const kept = await keep({});
  for (const _ of [1, 2]) expect((await read(kept)).status).toBe(200);
});

test("a counter counts up from nothing, from what it begins with, and from what was put", async () => {
  const count = async (name: string, body: object) =>
    (await call("POST", `/v1/counters/${name}/increment`, body)).json;
  expect((await count("a", {})).value).toBe(1);
  expect((await count("a", { by: 2 })).value).toBe(3);
  expect((await count("b", { initial: 10 })).value).toBe(10);
  expect((await count("b", { initial: 10 })).value).toBe(11);
  await call("PUT", "/v1/counters/c", { value: 5 });
  expect((await count("c", {})).value).toBe(6);
  expect((await count("d", { ttl: 60 })).expires_at).toBeString();
  setSystemTime(Date.now() + 61_000);
  try {
    expect((await call("GET", "/v1/counters/d")).status).toBe(404);
    expect((await count("d", {})).value).toBe(1);
  } finally {
    setSystemTime();
  }
});
