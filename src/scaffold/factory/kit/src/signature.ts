/** Proof that a caller has a wallet's key: a message signed by EIP-191. */
import { isAddress, isHex, verifyMessage } from "viem";
import { ServiceError } from "./envelope.ts";
import { type Codes, refusal } from "./refusals.ts";

/** What has to be signed. */
export interface Proof {
  /** The message, `<field>` for a field of the body. */
  message: string;
  /** The body's field with the wallet's address. */
  address: string;
  /** How far its `timestamp` may be from our clock, in seconds. */
  seconds: number;
  codes?: Codes;
}

/** The wallet that signed a body's message, in lower case; throws where none did. */
export async function requireSignature(
  body: Readonly<Record<string, unknown>>,
  proof: Proof,
): Promise<string> {
  const address = body[proof.address];
  const signature = body["signature"];
  // A checksum in mixed case is no matter of who signed.
  if (typeof address !== "string" || !isAddress(address, { strict: false })) {
    throw new ServiceError(400, "invalid_request", `${proof.address}: must be a wallet's address`);
  }
  if (typeof signature !== "string" || !isHex(signature)) {
    throw new ServiceError(400, "invalid_request", "signature: must be 0x and hexadecimal digits");
  }
  if (proof.message.includes("<timestamp>")) checkTime(body["timestamp"], proof.seconds);
  const message = proof.message.replace(/<(\w+)>/g, (_, field) => String(body[field] ?? ""));
  const signed = await verifyMessage({ address, message, signature }).catch(() => false);
  if (!signed) {
    throw refusal("unproven", proof.codes, `The signature is not ${address}'s of ${message}`);
  }
  return address.toLowerCase();
}

function checkTime(timestamp: unknown, seconds: number): void {
  const time = typeof timestamp === "string" ? Date.parse(timestamp) : Number.NaN;
  if (!(Math.abs(time - Date.now()) <= seconds * 1000)) {
    const text = `timestamp: must be a time within ${seconds} s of now, such as ${new Date().toISOString()}`;
    throw new ServiceError(400, "invalid_request", text);
  }
}
