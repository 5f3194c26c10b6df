import type { Route } from "./service.ts";

/** What a service says of itself. */
export interface About {
  name: string;
  /** What its health check reports. */
  version: string;
  /** One line about it. */
  description?: string;
  /** More that a caller should know, a line each: how to begin, limits. */
  notes?: readonly string[];
  /** The largest body that it takes; a mebibyte unless given. */
  maxBodyBytes?: number;
}

type Listed = Pick<Route, "method" | "path" | "price" | "description">;

/** The price list, as `GET /pricing` answers it. */
export function pricing(about: About, network: string, routes: readonly Listed[]) {
  return {
    service: about.name,
    currency: "USDC",
    network,
    routes: routes.map(({ method, path, price, description }) => ({
      method,
      path,
      price_usdc: price === "free" ? "0" : price.slice(1),
      description: description ?? "",
    })),
  };
}

/** The service in plain text for whoever reads to call it: `GET /llms.txt`. */
export function llms(about: About, routes: readonly Listed[]): string {
  const lines = [`# ${about.name}`, ""];
  if (about.description) lines.push(`> ${about.description}`, "");
  if (routes.length > 0) {
    lines.push("## Routes", "");
    for (const { method, path, price, description } of routes) {
      lines.push(`- ${method} ${path} (${price})${description ? `: ${description}` : ""}`);
    }
    lines.push("");
  }
  if (about.notes && about.notes.length > 0) {
    lines.push("## Notes", "", ...about.notes.map((note) => `- ${note}`), "");
  }
  if (routes.some(({ price }) => price !== "free")) {
    lines.push("A priced route answers 402 with its terms in PAYMENT-REQUIRED (x402 v2).", "");
  }
  return lines.join("\n");
}
