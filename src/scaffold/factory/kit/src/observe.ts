import type { Context, MiddlewareHandler } from "hono";
import { payerOf } from "./payment.ts";

/** How many durations of a route its percentiles are made of. */
const KEPT = 1000;
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

const routes = new WeakMap<Context, string>();

/** Notes the route that a request came to, as it was declared. */
export const cameTo =
  (route: string): MiddlewareHandler =>
  (c, next) => {
    routes.set(c, route);
    return next();
  };

/** One line of the access log. It has no query, header, body or wallet: those may be secret. */
export interface Access {
  event: "request";
  id: string;
  method: string;
  /** The route as it was declared, so that values in its path are not logged either. */
  route: string;
  status: number;
  ms: number;
}

interface Endpoint {
  count: number;
  errors: number;
  paid: number;
  ms: number[];
}

/** What was asked and answered since the service was built. */
export class Observer {
  readonly #since = Date.now();
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #statuses = new Map<string, number>();
  readonly #log: ((line: Access) => void) | undefined;

  constructor(log?: (line: Access) => void) {
    this.#log = log;
  }

  /** Names the request, and notes how it ended. */
  middleware(): MiddlewareHandler {
    return async (c, next) => {
      const given = c.req.header("x-request-id") ?? "";
      const id = REQUEST_ID.test(given)
        ? given
        : crypto.randomUUID().replaceAll("-", "").slice(0, 12);
      const began = performance.now();
      await next();
      c.header("X-Request-Id", id);
      const ms = Math.round((performance.now() - began) * 1000) / 1000;
      const { status } = c.res;
      const route = routes.get(c) ?? "none";
      this.#count(route, status, ms, payerOf(c) !== undefined);
      this.#log?.({ event: "request", id, method: c.req.method, route, status, ms });
    };
  }

  #count(route: string, status: number, ms: number, paid: boolean): void {
    const endpoint = this.#endpoints.get(route) ?? { count: 0, errors: 0, paid: 0, ms: [] };
    this.#endpoints.set(route, endpoint);
    endpoint.count += 1;
    if (paid && status < 400) endpoint.paid += 1;
    endpoint.ms[endpoint.count % KEPT] = ms;
    // To ask for a price is no error.
    if (status < 400 || status === 402) return;
    endpoint.errors += 1;
    this.#statuses.set(String(status), (this.#statuses.get(String(status)) ?? 0) + 1);
  }

  /** The same as `GET /v1/metrics` answers it. */
  report(service: string) {
    const all = [...this.#endpoints];
    const sum = (of: (endpoint: Endpoint) => number) => all.reduce((n, [, e]) => n + of(e), 0);
    const requests = all.map(([route, { count, errors, ms }]) => {
      const sorted = ms.filter((n) => n !== undefined).sort((a, b) => a - b);
      const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? 0;
      return [route, { count, errors, p50_ms: at(0.5), p99_ms: at(0.99) }] as const;
    });
    const paid = all.filter(([, e]) => e.paid > 0).map(([route, e]) => [route, e.paid] as const);
    return {
      service,
      uptime_s: Math.floor((Date.now() - this.#since) / 1000),
      requests: { total: sum((e) => e.count), by_endpoint: Object.fromEntries(requests) },
      payments: { total: sum((e) => e.paid), by_endpoint: Object.fromEntries(paid) },
      errors: { total: sum((e) => e.errors), by_status: Object.fromEntries(this.#statuses) },
    };
  }
}
