import {
  type FacilitatorClient,
  HTTPFacilitatorClient,
  x402HTTPResourceServer,
  x402ResourceServer,
} from "@x402/core/server";
import type { Network, SupportedResponse } from "@x402/core/types";
import { ExactEvmScheme } from "@x402/evm/exact/server";
import { paymentMiddlewareFromHTTPServer } from "@x402/hono";
import type { MiddlewareHandler } from "hono";
import type { Config } from "./config.ts";
import { enveloped } from "./envelope.ts";

/** What one priced route asks for. */
export interface Terms {
  /** In US dollars, such as `$0.01`. */
  price: string;
  /** What is bought; it stands in the terms. */
  description: string;
}

/** The kinds of payment that every service accepts: exact amounts, on its network. */
export function supportedKinds(network: Network): SupportedResponse {
  return { kinds: [{ x402Version: 2, scheme: "exact", network }], extensions: [], signers: {} };
}

/**
 * A facilitator client whose kinds are fixed here. The x402 server asks for
 * them before it can answer 402; asking over the network would turn every
 * unpaid request into a 500 whenever the facilitator is away.
 */
export function facilitatorFor(config: Config): FacilitatorClient {
  const remote = config.facilitatorUrl
    ? new HTTPFacilitatorClient({ url: config.facilitatorUrl })
    : undefined;
  return {
    getSupported: async () => supportedKinds(config.network),
    verify: async (payload, requirements) =>
      remote
        ? remote.verify(payload, requirements)
        : { isValid: false, invalidReason: "no_facilitator_configured" },
    settle: async (payload, requirements) =>
      remote
        ? remote.settle(payload, requirements)
        : {
            success: false,
            errorReason: "no_facilitator_configured",
            transaction: "",
            network: config.network,
          },
  };
}

/** Makes the middleware that a priced route runs before its handler. */
export type Cashier = (terms: Terms) => MiddlewareHandler;

/**
 * A cashier for one wallet. Each priced route gets a middleware that charges
 * for whatever reaches it: a second table of paths, matched by other rules
 * than the router's, is where a HEAD request or an odd encoding slips by unpaid.
 */
export function cashier(network: Network, payTo: string, client: FacilitatorClient): Cashier {
  const server = new x402ResourceServer(client).register(network, new ExactEvmScheme());
  return ({ price, description }) => {
    const accepts = { scheme: "exact", network, payTo, price };
    const routes = { "/*": { accepts, description, mimeType: "application/json" } };
    const charge = paymentMiddlewareFromHTTPServer(new x402HTTPResourceServer(server, routes));
    return async (c, next) => {
      const refusal = await charge(c, next);
      const answer = await enveloped(refusal ?? c.res);
      if (answer !== c.res) {
        // Hono merges the headers of the answer being replaced; start from none.
        c.res = undefined;
        c.res = answer;
      }
    };
  };
}
