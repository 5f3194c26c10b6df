/**
 * What tests of services need: settings, a facilitator that answers in
 * process, and payments made for it. Nothing here touches the network or the
 * process's environment, and nothing here is for production.
 */
import { decodePaymentRequiredHeader, encodePaymentSignatureHeader } from "@x402/core/http";
import type { FacilitatorClient } from "@x402/core/server";
import type { PaymentPayload, PaymentRequired } from "@x402/core/types";
import { stubs } from "./command.ts";
import type { Env } from "./config.ts";
import { supportedKinds } from "./payment.ts";

/** Settings of a service under test: Base Sepolia, paid to a wallet nobody has. */
export const testEnv = {
  X402_NETWORK: "eip155:84532",
  X402_PAY_TO: "0x0000000000000000000000000000000000000001",
} as const satisfies Env;

/** The wallet that pays where a test names no other. */
export const testPayer = "0x0000000000000000000000000000000000000002";

/** A facilitator in process, and what it was asked. */
export interface StubFacilitator extends FacilitatorClient {
  /** Payments that were verified, in order. */
  readonly verified: PaymentPayload[];
  /** Payments that were settled, in order. */
  readonly settled: PaymentPayload[];
}

/**
 * A facilitator that accepts every payment as its sender's, or refuses every one
 * for `refuse`; `settle` answers in its place where a payment is to be settled.
 */
export function stubFacilitator(
  options: { refuse?: string; settle?: FacilitatorClient["settle"] } = {},
): StubFacilitator {
  const network = testEnv.X402_NETWORK;
  const verified: PaymentPayload[] = [];
  const settled: PaymentPayload[] = [];
  return {
    verified,
    settled,
    getSupported: async () => supportedKinds(network),
    async verify(payload) {
      verified.push(payload);
      const payer = senderOf(payload);
      return options.refuse === undefined
        ? { isValid: true, payer }
        : { isValid: false, invalidReason: options.refuse, payer };
    },
    async settle(payload, requirements) {
      if (options.settle) return options.settle(payload, requirements);
      settled.push(payload);
      const payer = senderOf(payload);
      return { success: true, payer, transaction: `0x${"0".repeat(64)}`, network };
    },
  };
}

/**
 * Has a service that is built with this very environment run no program: each prints
 * what `prints` says, an empty object unless given.
 */
export function stubPrograms(
  env: Env,
  prints: (command: readonly string[]) => string = () => "{}",
) {
  stubs.set(env, prints);
}

function senderOf({ payload }: PaymentPayload): string {
  const { authorization } = payload as { authorization?: { from?: string } };
  return authorization?.from ?? testPayer;
}

/** The terms of a 402 answer. */
export function paymentTerms(response: Response): PaymentRequired {
  const header = response.headers.get("PAYMENT-REQUIRED");
  if (header === null) {
    throw new Error(`the answer (${response.status}) has no PAYMENT-REQUIRED header`);
  }
  return decodePaymentRequiredHeader(header);
}

/** The header that pays `terms`, with a signature that only the stub facilitator accepts. */
export function payment(terms: PaymentRequired, from: string = testPayer): Record<string, string> {
  const [accepted] = terms.accepts;
  if (accepted === undefined) throw new Error("the terms offer no way to pay");
  const payload: PaymentPayload = {
    x402Version: 2,
    resource: terms.resource,
    accepted,
    payload: {
      signature: `0x${"0".repeat(130)}`,
      authorization: {
        from,
        to: accepted.payTo,
        value: accepted.amount,
        validAfter: "0",
        validBefore: "99999999999",
        nonce: `0x${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex")}`,
      },
    },
  };
  return { "PAYMENT-SIGNATURE": encodePaymentSignatureHeader(payload) };
}
