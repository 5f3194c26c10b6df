import type { ContentfulStatusCode } from "hono/utils/http-status";
import { ServiceError } from "./envelope.ts";

/** A refusal's status and code, as a route declares them. */
export type Refusal = readonly [ContentfulStatusCode, string];

const usual = {
  /** There is no such thing. */
  missing: [404, "not_found"],
  /** It is another wallet's. */
  foreign: [403, "forbidden"],
  /** The name is taken, or the code was used. */
  taken: [409, "conflict"],
  /** The wallet has put its own there already. */
  again: [409, "conflict"],
  /** Nothing more is put there. */
  closed: [409, "conflict"],
  /** It is not in the status that this begins with. */
  state: [409, "conflict"],
  /** The wallet has as many as it may have. */
  full: [403, "limit_exceeded"],
  /** Something lies within it. */
  filled: [409, "not_empty"],
  /** It has ended. */
  ended: [404, "not_found"],
  /** The turn before lasts. */
  early: [429, "rate_limited"],
  /** What was sent is not what proves it. */
  unproven: [403, "forbidden"],
  /** No such code was given out. */
  unknown: [400, "invalid_code"],
  /** The service lacks a setting. */
  unset: [501, "not_configured"],
} as const satisfies Record<string, Refusal>;

/** Refusals by what they are for. */
export type Codes = { readonly [Why in keyof typeof usual]?: Refusal };

/** The refusal that a route declares, or the usual one. */
export function refusal(
  why: keyof typeof usual,
  codes: Codes | undefined,
  text: string,
  retryAfter?: number,
): ServiceError {
  const [status, code] = codes?.[why] ?? usual[why];
  return new ServiceError(status, code, text, retryAfter);
}
