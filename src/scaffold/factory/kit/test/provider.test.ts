import { afterAll, afterEach, beforeEach, expect, spyOn, test } from "bun:test";
import { ServiceError } from "../src/envelope.ts";
import { type Call, fieldsOf, library, madeBy, restJson } from "../src/provider.ts";

const env = { VENDOR_BASE_URL: "https://vendor.test/api/", VENDOR_KEY: "hunter2" };
const vendor = restJson({
  name: "vendor",
  base: "VENDOR_BASE_URL",
  key: "VENDOR_KEY",
  needed: ["VENDOR_BASE_URL", "VENDOR_KEY"],
});
const request = () => new Request("https://us.test/v1/items/a%2Fb?x=1", { method: "POST" });
const ask = (call: Partial<Call> = {}) => vendor.forward({ env, request: request(), ...call });

const upstream = spyOn(globalThis, "fetch");
beforeEach(() => {
  upstream.mockRejectedValue(new Error("no network in tests"));
});
afterEach(() => {
  upstream.mockReset();
});
afterAll(() => {
  upstream.mockRestore();
});

test("a call goes to the same path at the vendor's, with its key", async () => {
  upstream.mockResolvedValue(Response.json({ id: 1 }));
  expect(await ask({ body: { a: 1 } })).toEqual({ id: 1 });
  expect(upstream).toHaveBeenCalledTimes(1);
  const [url, init] = upstream.mock.calls[0] ?? [];
  expect(url).toBe("https://vendor.test/api/v1/items/a%2Fb?x=1");
  expect(init).toMatchObject({
    method: "POST",
    body: '{"a":1}',
    redirect: "manual",
    headers: { authorization: "Bearer hunter2", "content-type": "application/json" },
  });
});

test("a route may name the vendor's own operation, filled from its path", async () => {
  upstream.mockResolvedValue(Response.json({}));
  const params = { id: "a/b?", rest: "c/d e" };
  await ask({ operation: "GET /track/:id/files/:rest*", params, body: {} });
  const [url, init] = upstream.mock.calls[0] ?? [];
  expect(url).toBe("https://vendor.test/api/track/a%2Fb%3F/files/c/d%20e?x=1");
  expect(init).toMatchObject({ method: "GET", body: null });
  expect(init?.headers).not.toHaveProperty("content-type");
  for (const id of ["..", "", "."]) {
    const call = { operation: "GET /track/:id", params: { id } };
    await expect(ask(call)).rejects.toMatchObject({ status: 400 });
  }
  expect(upstream).toHaveBeenCalledTimes(1);
});

test("a library answers operation by operation", async () => {
  const client = library({
    name: "vendor",
    needed: ["VENDOR_KEY"],
    operations: {
      echo: ({ body }) => body,
      fail: () => Promise.reject(new Error("hunter2")),
      refuse: () => Promise.reject(new ServiceError(404, "not_found", "Not there.")),
    },
  });
  const ask = (operation: string, more = {}) =>
    client.forward({ env, request: request(), operation, body: [1], ...more });
  expect(await ask("echo")).toEqual([1]);
  await expect(ask("fail")).rejects.toMatchObject({ status: 502, code: "provider_error" });
  await expect(ask("fail", { failure: "down" })).rejects.toMatchObject({ code: "down" });
  await expect(ask("refuse")).rejects.toMatchObject({ status: 404, code: "not_found" });
  await expect(ask("toString")).rejects.toMatchObject({ status: 501, code: "not_implemented" });
  await expect(ask("echo", { env: {} })).rejects.toMatchObject({ code: "not_configured" });
});

test("nobody is asked while a variable is not set, and the answer says which", async () => {
  const message = "Not configured: VENDOR_KEY.";
  const lacking = { ...env, VENDOR_KEY: "" };
  await expect(ask({ env: lacking })).rejects.toMatchObject({
    status: 501,
    code: "not_configured",
    message,
  });
  const unset = [502, "tap_error"] as const;
  await expect(ask({ env: lacking, unset })).rejects.toMatchObject({
    status: 502,
    code: "tap_error",
  });
  expect(upstream).not.toHaveBeenCalled();
});

test("a refusal that the route declares is passed on, and when to come back with it", async () => {
  const headers = { "retry-after": "9" };
  upstream.mockResolvedValue(new Response("secret words", { status: 429, headers }));
  const declared = { 429: "too_many" };
  await expect(ask({ declared })).rejects.toMatchObject({
    status: 429,
    code: "too_many",
    message: "The provider answered 429.",
    retryAfter: 9,
  });
});

test.each([
  ["one that is not declared", () => new Response("", { status: 404 })],
  ["our key's fault", () => new Response("", { status: 401 })],
  ["its own fault", () => new Response("", { status: 500 })],
  ["another address", () => Response.redirect("https://other.test/", 302)],
  ["no JSON", () => new Response("<html>")],
])("any other answer is a 502 without its words: %s", async (_, answer) => {
  upstream.mockResolvedValue(answer());
  await expect(ask({ failure: "vendor_error", declared: { 401: "x" } })).rejects.toMatchObject({
    status: 502,
    code: "vendor_error",
    message: "The provider failed.",
  });
});

test("who can't be reached is a 502", async () => {
  await expect(ask()).rejects.toMatchObject({ status: 502, code: "provider_error" });
});

test("bytes pass unchanged, and nothing is nothing", async () => {
  const bytes = new Uint8Array([0, 255]);
  const headers = { "content-type": "image/png" };
  upstream.mockResolvedValueOnce(new Response(bytes, { headers }));
  const answer = (await ask({ answer: "bytes" })) as Response;
  expect(await answer.bytes()).toEqual(bytes);
  expect(answer.headers.get("content-type")).toBe("image/png");
  upstream.mockResolvedValueOnce(new Response("ignored"));
  expect(await ask({ answer: "nothing" })).toBeUndefined();
});

test("a request's own bytes are sent where it has no JSON", async () => {
  upstream.mockResolvedValue(Response.json({}));
  const headers = { "content-type": "text/csv" };
  const sent = new Request("https://us.test/v1/x", { method: "PUT", body: "a,b", headers });
  await ask({ request: sent });
  const [, init] = upstream.mock.calls[0] ?? [];
  expect(init).toMatchObject({ headers: { "content-type": "text/csv" } });
  expect(new TextDecoder().decode(init?.body as ArrayBuffer)).toBe("a,b");
});

test("what a vendor made is known by its id, wherever that stands", () => {
  expect(madeBy({ id: 7, a: 1 }, "id")).toMatchObject({ id: "7", a: 1 });
  expect(madeBy({ item: { id: "x" } }, "id")).toMatchObject({ id: "x" });
  for (const answer of [{}, null, "x", { id: null }, [1]] as unknown[]) {
    expect(() => madeBy(answer, "id", "vendor_error")).toThrow(
      expect.objectContaining({ status: 502, code: "vendor_error" }),
    );
  }
  expect(fieldsOf({ a: 1 })).toEqual({ a: 1 });
  for (const answer of [[1], null, "x"]) expect(fieldsOf(answer)).toEqual({});
});
