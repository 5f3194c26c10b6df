import { AsyncLocalStorage } from "node:async_hooks";
import {
  type FacilitatorClient,
  HTTPFacilitatorClient,
  x402HTTPResourceServer,
  x402ResourceServer,
} from "@x402/core/server";
import {
  type Network,
  SettleError,
  type SettleResponse,
  type SupportedResponse,
} from "@x402/core/types";
import { ExactEvmScheme } from "@x402/evm/exact/server";
import { paymentMiddlewareFromHTTPServer } from "@x402/hono";
import type { Context, MiddlewareHandler } from "hono";
import type { Config } from "./config.ts";
import { enveloped } from "./envelope.ts";
import { type Attempt, attempt } from "./undo.ts";

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

const payers = new WeakMap<Context, string>();

/**
 * The wallet that paid for this request, in lower case, as the facilitator
 * named it when it verified the payment; undefined where nothing was paid.
 */
export function payerOf(c: Context): string | undefined {
  return payers.get(c);
}

const waived = new WeakSet<Context>();
const receipts = new WeakMap<Context, () => void>();

/** Lets a request go without its payment being settled: what it gets was paid for before. */
export function waive(c: Context): void {
  waived.add(c);
}

/** Has it told when the payment of this request is settled. */
export function onSettled(c: Context, told: () => void): void {
  receipts.set(c, told);
}

/** What a witness saw of one request. */
interface Note {
  payer?: string;
  /** Whether its payment was refused for good when it was to be settled. */
  refused?: boolean;
}

/** Notes who paid, and who didn't in the end. The x402 server keeps both to itself. */
class Witness {
  readonly #current = new AsyncLocalStorage<Note>();

  watch(client: FacilitatorClient): FacilitatorClient {
    return {
      getSupported: () => client.getSupported(),
      settle: async (payload, requirements) => {
        const note = this.#current.getStore();
        const see = (result: unknown) => {
          // It may be asked twice, and the first time have sent something.
          if (note) note.refused = note.refused !== false && isRefusal(result);
        };
        try {
          const result = await client.settle(payload, requirements);
          see(result);
          return result;
        } catch (error) {
          see(error);
          throw error;
        }
      },
      verify: async (payload, requirements) => {
        const verdict = await client.verify(payload, requirements);
        const note = this.#current.getStore();
        if (note && verdict.isValid && verdict.payer) note.payer = verdict.payer.toLowerCase();
        return verdict;
      },
    };
  }

  attend<T>(note: Note, work: () => T): T {
    return this.#current.run(note, work);
  }
}

/**
 * Whether a payment will never be settled: the facilitator says so, and sent nothing
 * to the chain. One that can't be reached may have done either.
 */
function isRefusal(result: unknown): boolean {
  if (result instanceof SettleError) return !result.transaction;
  const { success, transaction } = result as Partial<SettleResponse>;
  return success === false && !transaction;
}

/** Makes the middleware that a priced route runs before its handler. */
export type Cashier = (terms: Terms) => MiddlewareHandler;

/**
 * A cashier for one wallet. Each priced route gets a middleware that charges
 * for whatever reaches it: a second table of paths, matched by other rules
 * than the router's, is where a HEAD request or an odd encoding slips by unpaid.
 */
export function cashier(network: Network, payTo: string, client: FacilitatorClient): Cashier {
  const witness = new Witness();
  const server = new x402ResourceServer(witness.watch(client));
  server.register(network, new ExactEvmScheme());
  return ({ price, description }) => {
    const accepts = { scheme: "exact", network, payTo, price };
    const routes = { "/*": { accepts, description, mimeType: "application/json" } };
    const charge = paymentMiddlewareFromHTTPServer(new x402HTTPResourceServer(server, routes));
    return async (c, next) => {
      const note: Note = {};
      let again: Response | undefined;
      let done: Attempt | undefined;
      const paid = async () => {
        if (note.payer !== undefined) payers.set(c, note.payer);
        done = await attempt(next);
        if (!waived.has(c)) return;
        // What looks like a failure is not settled.
        again = c.res;
        c.res = undefined;
        c.res = new Response(null, { status: 409 });
      };
      let refusal: Response | undefined;
      try {
        refusal = (await witness.attend(note, () => charge(c, paid))) ?? undefined;
      } finally {
        if (note.refused) done?.undo();
        else done?.keep();
      }
      const answer = again ?? (await enveloped(refusal ?? c.res));
      if (again === undefined && answer.status < 400) receipts.get(c)?.();
      if (answer !== c.res) {
        // Hono merges the headers of the answer being replaced; start from none.
        c.res = undefined;
        c.res = answer;
      }
    };
  };
}
