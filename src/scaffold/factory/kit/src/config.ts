import { z } from "zod";

/** Where settings come from: `process.env`, or what a test passes instead. */
export type Env = Readonly<Record<string, string | undefined>>;

/** An environment that a service can't run with; its message names each variable. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

const schema = z.object({
  PORT: z.coerce.number().int().min(0).max(65535).default(3000),
  X402_NETWORK: z
    .templateLiteral(["eip155:", z.number().int().positive()], {
      error: "must be a CAIP-2 network such as eip155:8453",
    })
    .default("eip155:84532"),
  X402_PAY_TO: z
    .string()
    .regex(/^0x[0-9a-fA-F]{40}$/, "must be a wallet address, 0x and 40 hexadecimal digits")
    .optional(),
  X402_FACILITATOR_URL: z.url({ protocol: /^https?$/, error: "must be an http(s) URL" }).optional(),
});

/** The settings a service takes from its environment. */
export interface Config {
  /** `PORT`: what to listen on; 0 takes any free port. */
  port: number;
  /** `X402_NETWORK`: the chain payments are made on, in CAIP-2 form. */
  network: `${string}:${string}`;
  /** `X402_PAY_TO`: the wallet that is paid. A service with a priced route needs it. */
  payTo: string | undefined;
  /** `X402_FACILITATOR_URL`: who verifies and settles. Without it no payment is accepted. */
  facilitatorUrl: string | undefined;
}

/** Reads and checks the settings, and names everything that is wrong at once. */
export function readConfig(env: Env): Config {
  // An empty variable is how Kubernetes and shells spell "not set".
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const parsed = schema.safeParse(given);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((i) => `${i.path.join(".")}: ${i.message}`);
    throw new ConfigError(problems.join("; "));
  }
  const { PORT, X402_NETWORK, X402_PAY_TO, X402_FACILITATOR_URL } = parsed.data;
  return {
    port: PORT,
    network: X402_NETWORK,
    payTo: X402_PAY_TO,
    facilitatorUrl: X402_FACILITATOR_URL,
  };
}
