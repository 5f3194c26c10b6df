/** Whose things are that a vendor keeps, where the document is `depot`, called in process. */
import { afterAll, beforeEach, expect, spyOn, test } from "bun:test";
import { bob, calling, type Item } from "./calling.ts";

const settings = { SHED_API_KEY: "hunter2", SHED_BASE_URL: "https://shed.test" };
const shed = spyOn(globalThis, "fetch");
/** What the vendor was asked, and with what bytes. */
let asked: string[] = [];
/** What it has. */
const files = new Map<string, Uint8Array<ArrayBuffer>>();

beforeEach(() => {
  asked = [];
  files.clear();
  const answer = async (url: string | URL | Request, init?: RequestInit) => {
    const { pathname } = new URL(String(url));
    asked.push(`${init?.method} ${pathname}`);
    if (init?.method === "PUT") files.set(pathname, await new Response(init.body).bytes());
    if (init?.method !== "GET") return Response.json({ id: "p1", from: "shed" });
    const there = files.get(pathname);
    return there ? new Response(there) : new Response("", { status: 404 });
  };
  shed.mockImplementation(answer as unknown as typeof fetch);
});
afterAll(() => {
  shed.mockRestore();
});

test("bytes that a vendor took are there for whose they are, and for nobody else", async () => {
  const call = await calling("depot", {}, settings);
  const path = "/v1/files/notes/a.txt";
  const mine = new TextEncoder().encode("mine");
  expect((await call("PUT", path, mine)).json).toMatchObject({ path: "notes/a.txt", from: "shed" });
  expect(await call("GET", path)).toMatchObject({ status: 200, text: "mine" });
  expect((await call("GET", "/v1/files")).json).toMatchObject({ total: 1 });
  asked = [];
  for (const [method, body] of [["PUT", mine], ["GET"], ["DELETE"]] as const) {
    const refused = await call(method, path, body, bob);
    expect([refused.status, refused.json.error.code]).toEqual([403, "not_yours"]);
  }
  expect(asked).toEqual([]);
  expect((await call("DELETE", path)).status).toBe(200);
  expect((await call("GET", path)).status).toBe(404);
  expect(asked).toEqual([`DELETE ${path}`]);
});

test("a picture is read under the id that the vendor gave it", async () => {
  const call = await calling("depot", {}, settings);
  const made = (await call("POST", "/v1/pictures", new Uint8Array([1]))).json as Item;
  expect(made).toMatchObject({ id: "p1", from: "shed" });
  files.set("/v1/pictures/p1", new Uint8Array([7]));
  expect(await call("GET", "/v1/pictures/p1")).toMatchObject({ status: 200, text: "\u0007" });
  expect((await call("GET", "/v1/pictures/p1", undefined, bob)).status).toBe(404);
});

test("who has no right to a name reaches no vendor with it", async () => {
  const call = await calling("depot", {}, settings);
  expect((await call("PUT", "/v1/words/a", { one: 1 })).status).toBe(200);
  asked = [];
  expect((await call("PUT", "/v1/words/a", { two: 2 }, bob)).status).toBe(403);
  expect(asked).toEqual([]);
});
