/** Answers that lead to where an item says. */
import { ServiceError } from "./envelope.ts";

/** Statuses that lead elsewhere. */
export type Redirect = 301 | 302 | 303 | 307 | 308;

/**
 * Leads to the address in the first of these fields that an item has. One that is not of
 * http or https leads nowhere: a browser would run what stands there.
 */
export function redirected(item: object, status: Redirect, fields: readonly string[]): Response {
  const said = new Map(Object.entries(item));
  const text = fields.map((field) => said.get(field)).find((value) => typeof value === "string");
  const url = typeof text === "string" ? URL.parse(text) : null;
  if (url === null || !["http:", "https:"].includes(url.protocol)) {
    throw new ServiceError(404, "not_found", "It leads to no address of http or https.");
  }
  return new Response(null, { status, headers: { location: url.href } });
}
