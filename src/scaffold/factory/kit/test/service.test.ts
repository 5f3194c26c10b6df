import { describe, expect, spyOn, test } from "bun:test";
import { z } from "zod";
import { ConfigError, createService, type ErrorBody, ServiceError } from "../src/index.ts";
import { testEnv } from "../src/testing.ts";

const service = createService({ name: "notes", version: "1.2.3" })
  .route({
    method: "POST",
    path: "/v1/notes/:id",
    price: "free",
    status: 201,
    body: z.object({ text: z.string(), tags: z.array(z.string()).default([]) }),
    handler: ({ body, params, query }) => ({ id: params["id"], ...body, dry: query["dry"] }),
  })
  .route({
    method: "GET",
    path: "/v1/notes",
    price: "free",
    query: z.object({ limit: z.coerce.number().int().max(100).default(20) }),
    handler: ({ query, env, payer }) => ({ limit: query.limit + 1, env: env["GREETING"], payer }),
  })
  .route({
    method: "DELETE",
    path: "/v1/notes/:id",
    price: "free",
    status: 204,
    handler: () => undefined,
  })
  .route({
    method: "GET",
    path: "/v1/raw",
    price: "free",
    handler: () => new Response("raw", { headers: { "content-type": "text/plain" } }),
  })
  .route({
    method: "PUT",
    path: "/v1/raw",
    price: "free",
    status: 201,
    handler: ({ query }) =>
      new Response("raw", {
        status: query["moved"] ? 303 : 200,
        headers: { "content-type": "text/plain" },
      }),
  })
  .route({
    method: "GET",
    path: "/v1/gone",
    price: "free",
    handler: () => {
      throw new ServiceError(410, "note_gone", "This note was deleted.");
    },
  })
  .route({
    method: "GET",
    path: "/v1/broken",
    price: "free",
    handler: () => {
      throw new Error("password is hunter2");
    },
  });
const app = service.build({ env: { ...testEnv, GREETING: "hello" } });

function post(path: string, body: string): Response | Promise<Response> {
  return app.request(path, { method: "POST", body });
}

async function problem(response: Response | Promise<Response>) {
  const answer = await response;
  const { error } = (await answer.json()) as ErrorBody;
  return { status: answer.status, ...error };
}

describe("health", () => {
  test("GET / names the service, its version and its network", async () => {
    const response = await app.request("/");
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      service: "notes",
      status: "ok",
      version: "1.2.3",
      network: "eip155:84532",
    });
  });
});

describe("input", () => {
  test("a good body reaches the handler as the schema parsed it", async () => {
    const response = await post("/v1/notes/a?dry=yes", '{"text":"hello","unknown":1}');
    expect(response.status).toBe(201);
    expect(await response.json()).toEqual({ id: "a", text: "hello", tags: [], dry: "yes" });
  });

  test.each(["", "{", "text=hello"])("a body that is not JSON (%p) is 400", async (body) => {
    expect(await problem(post("/v1/notes/a", body))).toEqual({
      status: 400,
      code: "invalid_request",
      message: "The body must be JSON.",
    });
  });

  test("a body may be nested a hundred deep, and no deeper", async () => {
    const body = (depth: number) =>
      `{"text":"x","more":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;
    expect((await post("/v1/notes/a", body(100))).status).toBe(201);
    for (const depth of [101, 2000, 100_000]) {
      expect(await problem(post("/v1/notes/a", body(depth)))).toEqual({
        status: 400,
        code: "invalid_request",
        message: "body: must not be nested more than 100 deep",
      });
    }
  });

  test("a wrong type is 400 and names the path of the field", async () => {
    expect(await problem(post("/v1/notes/a", '{"text":"x","tags":["y",2]}'))).toMatchObject({
      status: 400,
      code: "validation_error",
      message: expect.stringContaining("tags.1:"),
    });
  });

  test("a query reaches the handler as the schema parsed it, and the environment with it", async () => {
    const response = await app.request("/v1/notes?limit=4");
    expect(await response.json()).toEqual({ limit: 5, env: "hello" });
    expect(await problem(app.request("/v1/notes?limit=many"))).toMatchObject({
      status: 400,
      code: "validation_error",
      message: expect.stringContaining("limit:"),
    });
  });

  test("more than a mebibyte is 413", async () => {
    const body = JSON.stringify({ text: "x".repeat(1024 * 1024) });
    expect(await problem(post("/v1/notes/a", body))).toMatchObject({
      status: 413,
      code: "payload_too_large",
    });
  });
});

describe("answers", () => {
  test("a Response of the handler's own goes out as it is", async () => {
    expect(await (await app.request("/v1/raw")).text()).toBe("raw");
  });

  test("a plain Response is a success of the route's status, and another one stays", async () => {
    const put = async (path: string) => {
      const answer = await app.request(path, { method: "PUT" });
      return [answer.status, answer.headers.get("content-type"), await answer.text()];
    };
    expect(await put("/v1/raw")).toEqual([201, "text/plain", "raw"]);
    expect(await put("/v1/raw?moved=1")).toEqual([303, "text/plain", "raw"]);
  });

  test("a 204 has no body", async () => {
    const response = await app.request("/v1/notes/a", { method: "DELETE" });
    expect(response.status).toBe(204);
    expect(await response.text()).toBe("");
  });

  test("an unknown route is 404 in the envelope", async () => {
    expect(await problem(app.request("/nowhere"))).toEqual({
      status: 404,
      code: "not_found",
      message: "No route GET /nowhere.",
    });
  });

  test("an error thrown on purpose keeps its status, code and message", async () => {
    expect(await problem(app.request("/v1/gone"))).toEqual({
      status: 410,
      code: "note_gone",
      message: "This note was deleted.",
    });
  });

  test("any other error is 500 without a word of what it said", async () => {
    const log = spyOn(console, "error").mockImplementation(() => {});
    const response = await app.request("/v1/broken");
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("hunter2");
    expect(log).toHaveBeenCalledTimes(1);
    log.mockRestore();
  });
});

describe("settings", () => {
  test("all that is wrong is said at once, by variable", () => {
    const env = { PORT: "http", X402_NETWORK: "base", X402_PAY_TO: "me" };
    expect(() => service.build({ env })).toThrow(/PORT: .*; X402_NETWORK: .*; X402_PAY_TO: /);
  });

  test("an empty variable counts as not set", () => {
    expect(() => service.build({ env: { PORT: "", X402_FACILITATOR_URL: "" } })).not.toThrow();
  });

  test.each(["", "$0", "$-1", "$0.0000001", "0.01", "Free", undefined])(
    "a price of %p is refused when the route is declared",
    (price) => {
      const route = {
        method: "GET",
        path: "/x",
        price: price as "free",
        handler: () => 1,
      } as const;
      expect(() => createService({ name: "x", version: "0" }).route(route)).toThrow(ConfigError);
    },
  );
});
