import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";

/** The one shape of every error answer: a stable code for programs, a message for people. */
export interface ErrorBody {
  error: {
    code: string;
    message: string;
    /** Seconds until it makes sense to ask again; the header Retry-After has them too. */
    retryAfter?: number;
  };
}

/** An error a handler throws on purpose; its code and message reach the caller. */
export class ServiceError extends Error {
  override name = "ServiceError";

  constructor(
    readonly status: ContentfulStatusCode,
    readonly code: string,
    message: string,
    readonly retryAfter?: number,
  ) {
    super(message);
  }
}

/** Answers with the error envelope. */
export function fail(
  c: Context,
  status: ContentfulStatusCode,
  code: string,
  message: string,
): Response {
  const body: ErrorBody = { error: { code, message } };
  return c.json(body, status);
}

/** The same for an error that a handler threw. */
export function refused(c: Context, error: ServiceError): Response {
  const { status, code, message } = error;
  // Whoever is sent away for asking too often is told when to come back.
  const retryAfter = error.retryAfter ?? (status === 429 ? 1 : undefined);
  if (retryAfter === undefined) return fail(c, status, code, message);
  const body: ErrorBody = { error: { code, message, retryAfter } };
  return c.json(body, status, { "Retry-After": String(retryAfter) });
}

const fallback: Readonly<Record<number, ErrorBody["error"]>> = {
  402: { code: "payment_required", message: "Pay the terms in the PAYMENT-REQUIRED header." },
  403: { code: "forbidden", message: "This payment is not accepted here." },
  412: { code: "payment_precondition", message: "The payer's token allowance is too low." },
  502: { code: "facilitator_error", message: "The payment could not be checked. Try again." },
};

const internal = { code: "internal_error", message: "Something went wrong on our side." };

/** The envelope of an error nobody meant; what really happened goes to the log alone. */
export function unexpected(c: Context): Response {
  return fail(c, 500, internal.code, internal.message);
}

/**
 * Gives an error answer that some library made the envelope, keeping status
 * and headers: payment terms travel in a header. Others pass unchanged.
 */
export async function enveloped(response: Response): Promise<Response> {
  if (response.status < 400 || isErrorBody(await readJson(response.clone()))) return response;
  const body: ErrorBody = { error: fallback[response.status] ?? internal };
  const headers = new Headers(response.headers);
  headers.delete("content-length");
  headers.set("content-type", "application/json");
  return new Response(JSON.stringify(body), { status: response.status, headers });
}

async function readJson(response: { json(): Promise<unknown> }): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    return undefined;
  }
}

function isErrorBody(value: unknown): value is ErrorBody {
  if (typeof value !== "object" || value === null || !("error" in value)) return false;
  const { error } = value;
  return (
    typeof error === "object" && error !== null && "code" in error && typeof error.code === "string"
  );
}
