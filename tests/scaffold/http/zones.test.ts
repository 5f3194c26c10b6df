/** What `zones` makes of sentences: which fields must be there, and what ends nothing. */
import { expect, setSystemTime, test } from "bun:test";
import { alice, bob, calling, type Item } from "./calling.ts";

const call = await calling("zones");
const code = (answer: Awaited<ReturnType<typeof call>>) => [answer.status, answer.json.error?.code];
const add = (path: string, body: object, whose = alice) => call("POST", path, body, whose);

test("a list is searched by a parameter called query", async () => {
  for (const name of ["b.example", "a.example", "c.test"]) {
    expect((await add("/v1/zones", { name })).status).toBe(201);
  }
  const found = (await call("GET", "/v1/zones?query=example&sort=name&limit=1000")).json;
  expect(found.items.map((item: Item) => item["name"])).toEqual(["a.example", "b.example"]);
  expect((await call("GET", "/v1/zones?limit=1001")).status).toBe(400);
  expect((await call("GET", "/v1/zones?tlds=none")).json).toMatchObject({ total: 0 });
  // What is to be had elsewhere, nothing here knows.
  expect((await call("GET", "/v1/zones/search?query=a")).status).toBe(501);
});

test("a name is a text, and taken once it is somebody's", async () => {
  expect((await add("/v1/zones", { name: 7 })).text).toContain("name");
  expect((await add("/v1/zones", { name: "twice" })).status).toBe(201);
  expect(code(await add("/v1/zones", { name: "twice" }))).toEqual([409, "conflict"]);
});

test("a record stays when its answers are old, and a batch that mends makes none", async () => {
  const zone = `/v1/zones/${((await add("/v1/zones", { name: "z" })).json as Item).id}/records`;
  const made = (await add(zone, { type: "A", name: "@", content: "x", ttl: 1 })).json as Item;
  setSystemTime(Date.now() + 60_000);
  expect((await call("GET", `${zone}/${made.id}`)).json).toMatchObject({ ttl: 1, content: "x" });
  setSystemTime();
  expect((await call("PUT", `${zone}/${made.id}`, { ttl: 2 })).text).toContain("content");
  expect((await call("PUT", `${zone}/${made.id}`, { content: "y" })).status).toBe(200);
  expect((await add(`${zone}/batch`, { delete: [{ id: made.id }] })).status).toBe(501);
  expect((await call("GET", zone)).json).toMatchObject({ total: 1 });
});

test("what its path calls by what it is has a name of its own unless it is given one", async () => {
  const made = (await add("/v1/projects", { title: "x" })).json as Item;
  const path = `/v1/projects/${made["project"]}`;
  expect((await call("GET", path)).json).toMatchObject({ title: "x" });
  expect((await call("GET", path, undefined, bob)).status).toBe(404);
  expect((await add("/v1/projects", { project: "mine" })).status).toBe(201);
  expect((await call("GET", "/v1/projects/mine")).status).toBe(200);
});

test("what lies below parts of a path that are no items lies within the item before them", async () => {
  for (const project of ["app", "site"]) await add("/v1/projects", { project });
  const german = "/v1/projects/app/locales/de/strings";
  const made = (await add(german, { text: "Hallo" })).json as Item;
  expect((await call("GET", `${german}/${made.id}`)).json).toMatchObject({ text: "Hallo" });
  const flag = (project: string) => `/v1/projects/${project}/settings/flags/dark`;
  expect((await call("PUT", flag("app"), { on: true })).status).toBe(200);
  // Elsewhere there is none of it, and nothing is anywhere that is not there or another's.
  for (const path of ["app/locales/fr", "site/locales/de"]) {
    expect((await call("GET", `/v1/projects/${path}/strings/${made.id}`)).status).toBe(404);
    expect((await call("GET", `/v1/projects/${path}/strings`)).json).toMatchObject({ total: 0 });
  }
  expect((await call("GET", flag("site"))).status).toBe(404);
  expect((await add("/v1/projects/none/locales/de/strings", { text: "x" })).status).toBe(404);
  expect((await call("PUT", flag("none"), { on: true })).status).toBe(404);
  expect((await add(german, { text: "x" }, bob)).status).toBe(404);
  expect((await call("GET", german, undefined, bob)).status).toBe(404);
  // It fills its item, and goes with it.
  expect(code(await call("DELETE", "/v1/projects/app"))).toEqual([409, "not_empty"]);
  expect((await call("DELETE", flag("app"))).status).toBe(200);
  for (const query of ["", "?force=false"]) {
    expect(code(await call("DELETE", `/v1/projects/app${query}`))).toEqual([409, "not_empty"]);
  }
  expect((await call("DELETE", "/v1/projects/app?force=true", undefined, bob)).status).toBe(404);
  expect((await call("DELETE", "/v1/projects/app?force=true")).status).toBe(200);
  await add("/v1/projects", { project: "app" });
  expect((await call("GET", german)).json).toMatchObject({ total: 0 });
});

test("fields must be there as they are written, and of two that will do neither", async () => {
  const hook = { eventType: "made", callbackUrl: "https://a.example" };
  const { id } = (await add("/v1/hooks", hook)).json as Item;
  expect((await add("/v1/hooks", { eventType: "made" })).text).toContain("callbackUrl");
  expect((await call("PATCH", `/v1/hooks/${id}`, { note: "later" })).status).toBe(200);
  expect((await call("GET", `/v1/hooks/${id}`)).json).toMatchObject({ ...hook, note: "later" });
  for (const body of [{ text: "x" }, { vector: [1, 0] }]) {
    expect((await add("/v1/points", body)).status).toBe(201);
  }
  expect((await add("/v1/points", {})).status).toBe(400);
});
