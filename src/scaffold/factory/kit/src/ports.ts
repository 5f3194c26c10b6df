/** Ports that services were given, from the setting in which an operator lists them. */
import type { Env } from "./config.ts";
import { ServiceError } from "./envelope.ts";

const LOWEST = 1024;
const HIGHEST = 65_535;

/** Who has which port, and the first free one after the highest. */
export interface Ports {
  allocated: { id: string; port: number }[];
  next_available: number;
}

/** Reads `store=3002,search=3003` from a variable; 501 while it holds nothing of that form. */
export function ports(env: Env, variable: string): Ports {
  const allocated = (env[variable] ?? "").split(",").map((entry) => {
    const [, id, digits] = /^\s*([a-z][a-z0-9-]*)=(\d+)\s*$/.exec(entry) ?? [];
    const port = Number(digits);
    if (id === undefined || !(port >= LOWEST && port <= HIGHEST)) {
      const text = `Not configured: ${variable} must list ports from ${LOWEST} to ${HIGHEST} by service, such as store=3002,search=3003.`;
      throw new ServiceError(501, "not_configured", text);
    }
    return { id, port };
  });
  allocated.sort((a, b) => a.port - b.port);
  const taken = new Set(allocated.map(({ port }) => port));
  let next = Math.max(...taken) + 1;
  if (next > HIGHEST) {
    next = LOWEST;
    while (taken.has(next)) next += 1;
  }
  return { allocated, next_available: next };
}
