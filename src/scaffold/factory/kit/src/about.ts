import type { z } from "zod";
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
type Shaped = Listed & Pick<Route, "body" | "query">;

/** What changes are changes of: of themselves they only say that they are made of anything. */
export const changes = new WeakMap<z.ZodType, z.ZodType>();

/** What checks say that JSON Schema has words for, by their functions. */
export const checks = new WeakMap<object, Record<string, unknown>>();

/** The same of schemas that are functions alone; `of` is another's schema within it. */
export const shapes = new WeakMap<object, (of: (schema: z.ZodType) => object) => object>();

/** Longest shape that is shown whole, in characters. */
const MAX_SHAPE = 2000;

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

/**
 * The service in plain text for whoever reads to call it: `GET /llms.txt`. Each
 * route says what it takes, as JSON Schema in a line.
 */
export async function llms(about: About, routes: readonly Shaped[]): Promise<string> {
  const lines = [`# ${about.name}`, ""];
  if (about.description) lines.push(`> ${about.description}`, "");
  if (routes.length > 0) {
    lines.push("## Routes", "");
    for (const { method, path, price, description, body, query } of routes) {
      lines.push(`- ${method} ${path} (${price})${description ? `: ${description}` : ""}`);
      if (query) lines.push(`  Query: ${await shape(query)}`);
      if (body) lines.push(`  Body: ${await shape(body)}`);
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

/** Adds what a check says: of fields that must be there, each. */
function add(schema: { required?: string[] }, said: Record<string, unknown> = {}): void {
  const names = [schema.required, said["required"]].flatMap((some) => (some ?? []) as string[]);
  Object.assign(schema, said, names.length > 0 ? { required: names } : {});
}

/** What a schema takes. Zod is loaded for whoever asks: most requests do without. */
async function shape(schema: NonNullable<Route["body"]>): Promise<string> {
  const { z } = await import("zod");
  const of = (schema: z.ZodType) => {
    const { $schema: _, ...taken } = z.toJSONSchema(schema, {
      io: "input",
      unrepresentable: "any",
      override({ zodSchema, jsonSchema }) {
        const { def } = zodSchema._zod;
        // One of a value that is made from a text is left out otherwise.
        if (def.type === "default") jsonSchema.default ??= def.defaultValue as number;
        for (const { _zod: check } of def.checks ?? []) {
          const { fn } = check.def as { fn?: object };
          if (fn) add(jsonSchema, checks.get(fn));
        }
        Object.assign(jsonSchema, shapes.get(zodSchema)?.(of));
      },
    });
    return taken;
  };
  const taken = of(changes.get(schema) ?? schema);
  const text = JSON.stringify(taken);
  if (text.length <= MAX_SHAPE) return text;
  return JSON.stringify({
    required: taken.required,
    properties: Object.keys(taken.properties ?? {}),
  });
}
