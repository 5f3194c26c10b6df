import type { FacilitatorClient } from "@x402/core/server";
import { type Context, type Handler, Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { HTTPException } from "hono/http-exception";
import type { z } from "zod";
import { type About, llms, pricing } from "./about.ts";
import { type Config, ConfigError, type Env, readConfig } from "./config.ts";
import { fail, refused, ServiceError, unexpected } from "./envelope.ts";
import { type Access, cameTo, Observer } from "./observe.ts";
import { type Cashier, cashier, facilitatorFor, onSettled, payerOf, waive } from "./payment.ts";
import type { Redirect } from "./redirect.ts";
import type { Repeats } from "./repeats.ts";
import { shaped } from "./shape.ts";

const MAX_BODY_BYTES = 1024 * 1024;
/** How deep a JSON body may be nested: what stores and reads it later may bear less than the parser. */
const MAX_BODY_DEPTH = 100;

/** What a call costs: an amount in US dollars, or nothing. There is no default. */
export type Price = "free" | `$${number}`;

/** What a handler gets: input that was checked, and the request it came in. */
export interface Input<Body, Query = Readonly<Record<string, string>>> {
  /** The body as the route's schema parsed it; undefined where it has none. */
  body: Body;
  /** Path parameters by name. */
  params: Readonly<Record<string, string>>;
  /** Query parameters, the first value of each: as the route's schema parsed them, if it has one. */
  query: Query;
  /** The wallet that paid, in lower case; undefined on a free route. */
  payer: string | undefined;
  /** The environment that the service was built with. */
  env: Env;
  /** The request itself, for headers and raw bytes. */
  request: Request;
}

/** One route: what it answers, for how much, and what it accepts. */
export interface Route<Schema extends z.ZodType = z.ZodType, Query extends z.ZodType = z.ZodType> {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** A path in Hono's syntax: `/v1/items/:id`. */
  path: string;
  price: Price;
  /** What a caller gets for it; part of the payment terms. */
  description?: string;
  /**
   * The shape of the JSON body. Without it the body is left unread. Where the
   * shape takes undefined, a request may have none.
   */
  body?: Schema;
  /** What the path's parameters must be. The handler gets the strings as they came. */
  params?: z.ZodType;
  /** The shape of the query. Without it the handler gets the strings as they came. */
  query?: Query;
  /**
   * The status of a success; 200 unless given. A 204 answers without a body, and so does a
   * redirect, by a Response of the handler's making.
   */
  status?: 200 | 201 | 202 | 204 | Redirect;
  /** The type of what is answered, where the store answers: what it says is brought into that shape. */
  answers?: z.ZodType;
  /** Fields of that type that are an item's own id, by other names. */
  ids?: readonly string[];
  /** Where answers are remembered of a route whose calls may be repeated by Idempotency-Key. */
  repeats?: (env: Env) => Repeats;
  /**
   * Returns what is answered as JSON, nothing where nothing is, or a Response of its
   * own making, of which a plain 200 is the route's success, whatever status that has.
   */
  handler: (input: Input<z.output<Schema>, z.output<Query>>) => unknown;
}

type Part<Schemas, Name extends string, Otherwise> =
  Schemas extends Record<Name, z.ZodType> ? z.output<Schemas[Name]> : Otherwise;

/** The handlers of routes whose schemas are given by name: `{create: {body, query}, …}`. */
export type Handlers<Schemas> = {
  [Name in keyof Schemas]: (
    input: Input<
      Part<Schemas[Name], "body", undefined>,
      Part<Schemas[Name], "query", Readonly<Record<string, string>>>
    >,
  ) => unknown;
};

/** What an app is built with in place of the process's environment. */
export interface BuildOptions {
  env?: Env;
  /** Verifies and settles payments instead of the one that the environment names. */
  facilitator?: FacilitatorClient;
  /** Takes the lines of the access log; without it there is none. */
  log?: (line: Access) => void;
}

/** A service: declared once, built into an app as often as needed. */
export interface Service {
  readonly name: string;
  /** Adds a route. */
  route<
    Schema extends z.ZodType = z.ZodUndefined,
    Query extends z.ZodType = z.ZodType<Readonly<Record<string, string>>>,
  >(route: Route<Schema, Query>): Service;
  /**
   * Builds the Hono app. Only now is the environment read, so that a test may
   * import a service first and choose its settings afterwards. (Neither `app`
   * nor `fetch`: Bun serves a default export that has one, and `serve` does too.)
   */
  build(options?: BuildOptions): Hono;
}

/** Declares a service. */
export function createService(about: About): Service {
  const routes: Route[] = [];
  const service: Service = {
    name: about.name,
    route(route) {
      checkPrice(route);
      routes.push(route as unknown as Route);
      return service;
    },
    build(options = {}) {
      const env = options.env ?? process.env;
      const config = readConfig(env);
      const charge = till(config, options.facilitator);
      const app = new Hono();
      app.notFound((c) => fail(c, 404, "not_found", `No route ${c.req.method} ${c.req.path}.`));
      app.onError((error, c) => {
        if (error instanceof ServiceError) return refused(c, error);
        if (error instanceof HTTPException) {
          return fail(c, error.status, "request_error", error.message);
        }
        console.error(error);
        return unexpected(c);
      });
      const observer = new Observer(options.log);
      app.use(observer.middleware());
      const maxSize = about.maxBodyBytes ?? MAX_BODY_BYTES;
      app.use(bodyLimit({ maxSize, onError: (c) => refuseLargeBody(c, maxSize) }));
      app.get("/", (c) =>
        c.json({
          service: about.name,
          status: "ok",
          version: about.version,
          network: config.network,
        }),
      );
      // Before the service's own routes: none of them hides what is there to find it by.
      app.get("/pricing", (c) => c.json(pricing(about, config.network, routes)));
      const plain = { "content-type": "text/plain; charset=utf-8" };
      app.get("/llms.txt", async (c) => c.text(await llms(about, routes), 200, plain));
      app.get("/v1/metrics", (c) => c.json(observer.report(about.name)));
      for (const route of routes) {
        const name = `${route.method} ${route.path}`;
        const steps = [cameTo(name), ...charge(route), answer(route, env)];
        app.on(route.method, [route.path], ...steps);
      }
      return app;
    },
  };
  return service;
}

/** Refuses anything that is neither free nor an amount above nothing, types or no types. */
function checkPrice({ method, path, price }: Pick<Route, "method" | "path" | "price">): void {
  const amount = /^\$(\d+(?:\.\d{1,6})?)$/.exec(String(price))?.[1];
  if (price !== "free" && !(Number(amount) > 0)) {
    throw new ConfigError(`${method} ${path}: price must be "free" or dollars such as "$0.01"`);
  }
}

/** The payment step of each route: none for a free one. The cashier is made for the first priced one. */
function till(config: Config, facilitator?: FacilitatorClient): (r: Route) => MiddlewareHandler[] {
  let cash: Cashier | undefined;
  return ({ method, path, price, description }) => {
    if (price === "free") return [];
    if (config.payTo === undefined) {
      throw new ConfigError(`${method} ${path} has a price: set X402_PAY_TO to the wallet it pays`);
    }
    cash ??= cashier(config.network, config.payTo, facilitator ?? facilitatorFor(config));
    return [cash({ price, description: description ?? "" })];
  };
}

/** The last step of a route: check the input, call the handler, answer. */
function answer(route: Route, env: Env): Handler {
  return async (c) => {
    const query = c.req.query();
    if (route.params) checked(route.params, c.req.param(), "path");
    const input = {
      body: route.body ? await readBody(c.req.raw, route.body) : undefined,
      params: c.req.param(),
      query: route.query ? checked(route.query, query, "query") : query,
      payer: payerOf(c),
      env,
      request: c.req.raw,
    };
    const work = async (): Promise<Response> => {
      const said = await route.handler(input);
      const free = route.price === "free";
      const asked = { method: route.method, params: input.params, ids: route.ids, free };
      const result = route.answers ? await shaped(route.answers, said, asked) : said;
      const status = route.status ?? 200;
      if (result instanceof Response) {
        const plain = result.status === 200 && status !== 200;
        return plain ? new Response(result.body, { status, headers: result.headers }) : result;
      }
      return status === 204 || result === undefined ? c.body(null, status) : c.json(result, status);
    };
    const key = c.req.header("idempotency-key");
    if (key === undefined || route.repeats === undefined) return work();
    const asked = [c.req.path, input.query, input.body ?? null];
    const call = {
      route: `${route.method} ${route.path}`,
      caller: input.payer ?? "",
      key,
      asked,
    };
    const { answer, paid, settled } = await route.repeats(env).once(call, work);
    if (paid) waive(c);
    else onSettled(c, settled);
    return answer;
  };
}

async function readBody<S extends z.ZodType>(request: Request, schema: S): Promise<z.output<S>> {
  const text = await request.text();
  if (text === "" && schema.safeParse(undefined).success) return checked(schema, undefined, "body");
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new ServiceError(400, "invalid_request", "The body must be JSON.");
  }
  if (isDeep(json)) {
    const text = `body: must not be nested more than ${MAX_BODY_DEPTH} deep`;
    throw new ServiceError(400, "invalid_request", text);
  }
  return checked(schema, json, "body");
}

/** Whether a value is nested too deep. Goes level by level: recursion would end at what it looks for. */
function isDeep(value: unknown): boolean {
  const inside = (one: object) => Object.values(one).filter(isObject);
  let level = [value].filter(isObject);
  for (let depth = 0; level.length > 0; depth++) {
    if (depth === MAX_BODY_DEPTH) return true;
    level = level.flatMap(inside);
  }
  return false;
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

/** What the schema makes of `value`; a 400 that names every field it refuses otherwise. */
function checked<S extends z.ZodType>(schema: S, value: unknown, whole: string): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((i) => `${i.path.join(".") || whole}: ${i.message}`);
  throw new ServiceError(400, "validation_error", problems.join("; "));
}

const refuseLargeBody = (c: Context, bytes: number) =>
  fail(c, 413, "payload_too_large", `The body must be at most ${bytes} bytes.`);
