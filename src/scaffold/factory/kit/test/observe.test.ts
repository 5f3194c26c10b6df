import { expect, test } from "bun:test";
import { z } from "zod";
import { type Access, createService, ServiceError } from "../src/index.ts";
import { payment, paymentTerms, stubFacilitator, testEnv } from "../src/testing.ts";
import {
  characters,
  exactlyOne,
  having,
  integer,
  number,
  oneOf,
  sent,
  unique,
} from "../src/types.ts";

const about = {
  name: "notes",
  version: "1.0.0",
  description: "Keeps notes.",
  notes: ["One at a time."],
  maxBodyBytes: 10,
};

/** An app with a free route, a priced one and one that fails; and its access log. */
function observed() {
  const lines: Access[] = [];
  const service = createService(about)
    .route({
      method: "GET",
      path: "/v1/notes/:id",
      price: "$0.002",
      description: "Read one.",
      handler: ({ params }) => params,
    })
    .route({
      method: "POST",
      path: "/v1/echo",
      price: "free",
      handler: ({ request }) => request.text(),
    })
    .route({
      method: "GET",
      path: "/v1/busy",
      price: "free",
      handler: () => {
        throw new ServiceError(429, "rate_limited", "Wait.", 7);
      },
    });
  const log = (line: Access) => void lines.push(line);
  return { app: service.build({ env: testEnv, facilitator: stubFacilitator(), log }), lines };
}

test("the price list has every route, in dollars without a sign", async () => {
  const { app } = observed();
  const list = await (await app.request("/pricing")).json();
  expect(list).toMatchObject({ service: "notes", currency: "USDC", network: "eip155:84532" });
  expect(list).toHaveProperty("routes", [
    { method: "GET", path: "/v1/notes/:id", price_usdc: "0.002", description: "Read one." },
    { method: "POST", path: "/v1/echo", price_usdc: "0", description: "" },
    { method: "GET", path: "/v1/busy", price_usdc: "0", description: "" },
  ]);
});

test("llms.txt says what it is, what it costs and what to know", async () => {
  const answer = await observed().app.request("/llms.txt");
  expect(answer.headers.get("content-type")).toStartWith("text/plain");
  const text = await answer.text();
  expect(text).toStartWith("# notes\n\n> Keeps notes.\n");
  expect(text).toContain("- GET /v1/notes/:id ($0.002): Read one.");
  expect(text).toContain("- One at a time.");
  expect(text).toContain("402");
  const bare = createService({ name: "bare", version: "0" }).build({ env: testEnv });
  expect(await (await bare.request("/llms.txt")).text()).toBe("# bare\n");
});

test("llms.txt says what each route takes", async () => {
  const big = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`f${i}`, z.string()]));
  const service = createService(about)
    .route({
      method: "POST",
      path: "/v1/notes",
      price: "free",
      body: z.strictObject({ text: z.string().max(9), at: z.number().optional() }),
      query: z.object({ limit: integer({ min: 1 }).default(3), rate: number().optional() }),
      handler: () => null,
    })
    .route({
      method: "PUT",
      path: "/v1/big",
      price: "free",
      body: z.object(big),
      handler: () => null,
    })
    .route({
      method: "PATCH",
      path: "/v1/notes",
      price: "free",
      body: sent(z.looseObject({ text: z.string().optional() })),
      handler: () => null,
    });
  const lines = (await (await service.build({ env: testEnv }).request("/llms.txt")).text()).split(
    "\n",
  );
  const at = lines.indexOf("- POST /v1/notes (free)");
  expect(lines[at + 1]).toBe(
    '  Query: {"type":"object","properties":{"limit":{"type":"integer","minimum":1,"default":3},"rate":{"type":"number"}}}',
  );
  const body = JSON.parse(lines[at + 2]?.replace("  Body: ", "") ?? "");
  expect(body).toMatchObject({ required: ["text"], properties: { text: { maxLength: 9 } } });
  const shortened = JSON.parse(lines[at + 4]?.replace("  Body: ", "") ?? "");
  expect(shortened.properties).toContain("f199");
  expect(lines[at + 6]).toContain('"properties":{"text":{"type":"string"}}');
});

test("llms.txt says what only checks know", async () => {
  const text = z.string().refine(...characters({ min: 2, max: 5 }));
  const body = z.looseObject({
    text: text.optional(),
    long: z.string().refine(...characters({ min: 2 })),
    all: z
      .array(text)
      .min(1)
      .refine(...unique()),
    one: oneOf(["a", [1]]),
    either: exactlyOne([text, z.int().gt(3)]),
    open: z
      .looseObject({ c: z.int() })
      .refine(...having("a"))
      .refine(...having("b")),
  });
  const route = {
    method: "POST",
    path: "/v1/a",
    price: "free",
    body,
    handler: () => null,
  } as const;
  const app = createService(about).route(route).build({ env: testEnv });
  const lines = (await (await app.request("/llms.txt")).text()).split("\n");
  const said = lines.find((line) => line.startsWith("  Body: "))?.slice(8) ?? "";
  const bounded = { type: "string", minLength: 2, maxLength: 5 };
  expect(JSON.parse(said).properties).toMatchObject({
    text: bounded,
    long: { type: "string", minLength: 2 },
    all: { type: "array", items: bounded, minItems: 1, uniqueItems: true },
    one: { enum: ["a", [1]] },
    either: { oneOf: [bounded, { type: "integer", exclusiveMinimum: 3 }] },
    open: { type: "object", required: ["c", "a", "b"] },
  });
  expect(JSON.parse(said).properties.long.maxLength).toBeUndefined();
});

test("no route of a service hides its prices, what it says of itself or its metrics", async () => {
  const rest = { method: "GET", path: "/:rest{.+}", price: "free", handler: () => "own" } as const;
  const app = createService(about).route(rest).build({ env: testEnv });
  expect(await (await app.request("/v1/else")).json()).toBe("own");
  expect(await (await app.request("/")).json()).toMatchObject({ status: "ok" });
  expect(await (await app.request("/pricing")).json()).toHaveProperty("routes");
  expect(await (await app.request("/llms.txt")).text()).toStartWith("# ");
  expect(await (await app.request("/v1/metrics")).json()).toHaveProperty("service");
});

test("metrics count by route: what was asked, paid and refused", async () => {
  const { app } = observed();
  const unpaid = await app.request("/v1/notes/a");
  const headers = payment(paymentTerms(unpaid));
  expect((await app.request("/v1/notes/b", { headers })).status).toBe(200);
  await app.request("/v1/busy");
  await app.request("/nowhere");
  expect(await (await app.request("/v1/metrics")).json()).toMatchObject({
    service: "notes",
    requests: {
      total: 4,
      by_endpoint: {
        "GET /v1/notes/:id": { count: 2, errors: 0 },
        "GET /v1/busy": { count: 1, errors: 1 },
        none: { count: 1, errors: 1 },
      },
    },
    payments: { total: 1, by_endpoint: { "GET /v1/notes/:id": 1 } },
    errors: { total: 2, by_status: { "429": 1, "404": 1 } },
  });
});

test("a request has the id that it came with, or one of ours where that is none", async () => {
  const { app, lines } = observed();
  const idOf = async (id: string) => {
    const answer = await app.request("/", { headers: { "x-request-id": id } });
    return answer.headers.get("x-request-id") ?? "";
  };
  expect(await idOf("abc-1.2_3")).toBe("abc-1.2_3");
  for (const bad of ["", "a b", "x".repeat(65), 'a"}']) {
    expect(await idOf(bad)).toMatch(/^[0-9a-f]{12}$/);
  }
  expect(lines[0]?.id).toBe("abc-1.2_3");
});

test("the access log has the route and no value of the request's", async () => {
  const { app, lines } = observed();
  const headers = { authorization: "Bearer hunter2", "x-internal-key": "hunter2" };
  await app.request("/v1/notes/hunter2?key=hunter2", { headers });
  await app.request("/hunter2", { headers });
  await app.request("/v1/echo", { method: "POST", body: "hunter2", headers });
  expect(lines).toMatchObject([
    { event: "request", method: "GET", route: "GET /v1/notes/:id", status: 402 },
    { method: "GET", route: "none", status: 404 },
    { method: "POST", route: "POST /v1/echo", status: 200 },
  ]);
  expect(JSON.stringify(lines)).not.toContain("hunter2");
});

test("a body may be as large as the service says, and no larger", async () => {
  const { app } = observed();
  const send = (body: string) => app.request("/v1/echo", { method: "POST", body });
  expect((await send("0123456789")).status).toBe(200);
  const refused = await send("01234567890");
  expect(refused.status).toBe(413);
  expect(await refused.json()).toMatchObject({ error: { code: "payload_too_large" } });
});

test("who asks too often is told when to come back", async () => {
  const answer = await observed().app.request("/v1/busy");
  expect(answer.headers.get("retry-after")).toBe("7");
  expect(await answer.json()).toEqual({
    error: { code: "rate_limited", message: "Wait.", retryAfter: 7 },
  });
});
