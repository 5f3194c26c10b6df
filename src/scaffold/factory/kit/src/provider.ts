/**
 * The seam to a vendor: a client of its JSON interface. A package has one file
 * for each vendor, where what differs between its interface and our routes is
 * translated.
 */
import type { Env } from "./config.ts";
import { ServiceError } from "./envelope.ts";
import type { Refusal } from "./refusals.ts";

/** How long a vendor may take to answer. */
const TIMEOUT_MS = 20_000;
/** Refusals that are the caller's to know, where the route declares them. */
const PASSED = [400, 404, 409, 410, 413, 422, 429] as const;

/** A vendor, and where its client finds what it needs. */
export interface Vendor {
  name: string;
  /** The variable with its address. */
  base: string;
  /** The variable with its key, which is sent as bearer. */
  key: string;
  /** All variables that must be set. */
  needed: readonly string[];
}

/** One call. */
export interface Call {
  env: Env;
  /** The request as it came: its method, path and query are the vendor's too. */
  request: Request;
  /** What of the vendor's own is called, where it is not the request's path: `GET /items/:id`. */
  operation?: string;
  /** Values for what is named in the operation's path. */
  params?: Readonly<Record<string, string>>;
  /** The JSON body; without one a request's own bytes are sent. */
  body?: unknown;
  /** What the vendor answers. */
  answer?: "json" | "bytes" | "nothing";
  /** The code of a 502. */
  failure?: string;
  /** What is answered while a variable is not set. */
  unset?: Refusal;
  /** Codes of the refusals that the route declares, by status. */
  declared?: Readonly<Record<number, string>>;
}

/** Who answers routes that the service can't answer itself. */
export interface Provider {
  name: string;
  forward(call: Call): Promise<unknown>;
}

/** A vendor whose JSON interface has our routes. */
export function restJson(vendor: Vendor): Provider {
  return { name: vendor.name, forward: (call) => forward(vendor, call) };
}

/** A vendor that is called by a library of its own. */
export interface Library extends Pick<Vendor, "name" | "needed"> {
  /** What each operation that routes name does. What it throws is a 502, unless it is a ServiceError. */
  operations: Readonly<Record<string, (call: Call) => unknown>>;
}

/** A vendor whose library is called, an operation for each route. */
export function library({ name, needed, operations }: Library): Provider {
  const forward = async (call: Call): Promise<unknown> => {
    requireSet(needed, call);
    const operation = Object.hasOwn(operations, call.operation ?? "")
      ? operations[call.operation ?? ""]
      : undefined;
    if (!operation) {
      const text = `${call.operation} is not implemented yet.`;
      throw new ServiceError(501, "not_implemented", text);
    }
    try {
      return await operation(call);
    } catch (error) {
      if (error instanceof ServiceError) throw error;
      throw new ServiceError(502, call.failure ?? "provider_error", "The provider failed.");
    }
  };
  return { name, forward };
}

function requireSet(needed: readonly string[], call: Call): void {
  const missing = needed.filter((name) => !call.env[name]);
  if (missing.length > 0) {
    const [status, code] = call.unset ?? [501, "not_configured"];
    throw new ServiceError(status, code, `Not configured: ${missing.join(", ")}.`);
  }
}

async function forward(vendor: Vendor, call: Call): Promise<unknown> {
  requireSet(vendor.needed, call);
  const base = (call.env[vendor.base] ?? "").replace(/\/+$/, "");
  const failed = new ServiceError(502, call.failure ?? "provider_error", "The provider failed.");
  const { method, path } = target(call);
  let answer: Response;
  try {
    const body = method === "GET" ? null : await payload(call);
    answer = await fetch(`${base}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${call.env[vendor.key]}`,
        // Nothing has no type: there are servers that refuse one.
        ...(body === null ? {} : { "content-type": contentType(call) }),
      },
      body,
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw failed;
  }
  if (!answer.ok) {
    const status = PASSED.find((passed) => passed === answer.status);
    const code = status && call.declared?.[status];
    if (!status || !code) throw failed;
    const text = `The provider answered ${status}.`;
    throw new ServiceError(status, code, text, retryAfter(answer));
  }
  if (call.answer === "nothing") return undefined;
  if (call.answer === "bytes") {
    const type = answer.headers.get("content-type") ?? "application/octet-stream";
    return new Response(answer.body, { headers: { "content-type": type } });
  }
  try {
    return await answer.json();
  } catch {
    throw failed;
  }
}

/** Method, path and query of what the vendor is asked. */
function target({ request, operation, params }: Call): { method: string; path: string } {
  const { pathname, search } = new URL(request.url);
  const [method, path] = operation?.split(" ") ?? [];
  if (!method || !path) return { method: request.method, path: pathname + search };
  const filled = path.replace(/:(\w+)(\*?)/g, (_, name: string, rest: string) => {
    const parts = rest ? (params?.[name] ?? "").split("/") : [params?.[name] ?? ""];
    // These would be another operation's path.
    if (parts.some((part) => ["", ".", ".."].includes(part))) {
      throw new ServiceError(400, "invalid_request", `${name}: can't stand in a path`);
    }
    return parts.map(encodeURIComponent).join("/");
  });
  return { method, path: filled + search };
}

function contentType({ request, body }: Call): string {
  if (body !== undefined) return "application/json";
  return request.headers.get("content-type") ?? "application/octet-stream";
}

async function payload({ request, body }: Call): Promise<string | ArrayBuffer | null> {
  if (body !== undefined) return JSON.stringify(body);
  return request.body === null ? null : request.arrayBuffer();
}

function retryAfter(answer: Response): number | undefined {
  const seconds = Number(answer.headers.get("retry-after") ?? Number.NaN);
  return Number.isSafeInteger(seconds) && seconds > 0 ? seconds : undefined;
}

/** The fields of what a vendor answered; none where it is no object. */
export function fieldsOf(answer: unknown): Record<string, unknown> {
  const object = typeof answer === "object" && answer !== null && !Array.isArray(answer);
  return object ? { ...answer } : {};
}

/** The fields of what a vendor answered, with the id that it gave; a 502 where it gave none. */
export function madeBy(answer: unknown, key: string, failure = "provider_error") {
  const fields = fieldsOf(answer);
  for (const object of [fields, ...Object.values(fields)]) {
    if (typeof object !== "object" || object === null) continue;
    const id = (object as Record<string, unknown>)[key];
    if (typeof id === "string" || typeof id === "number") return { ...object, [key]: String(id) };
  }
  throw new ServiceError(502, failure, "The provider's answer has no id.");
}
