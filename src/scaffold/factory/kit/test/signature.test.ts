import { expect, test } from "bun:test";
import { privateKeyToAccount } from "viem/accounts";
import { requireSignature } from "../src/signature.ts";

const account = privateKeyToAccount(`0x${"1".repeat(64)}`);
const proof = { message: "Join <address> at <timestamp>", address: "address", seconds: 120 };

async function signed(timestamp: string, address: string = account.address) {
  const signature = await account.signMessage({ message: `Join ${address} at ${timestamp}` });
  return { address, timestamp, signature };
}

const now = () => new Date().toISOString();

test("who signed is known, in one spelling", async () => {
  expect(await requireSignature(await signed(now()), proof)).toBe(account.address.toLowerCase());
  const lower = await signed(now(), account.address.toLowerCase());
  expect(await requireSignature(lower, proof)).toBe(account.address.toLowerCase());
});

test("another's name, another text and no signature at all are refused as declared", async () => {
  const body = await signed(now());
  const codes = { unproven: [401, "not_yours"] } as const;
  for (const changed of [
    { address: `0x${"2".repeat(40)}` },
    { timestamp: new Date(Date.now() - 1000).toISOString() },
    { signature: "0x00" },
  ]) {
    const asked = requireSignature({ ...body, ...changed }, { ...proof, codes });
    await expect(asked).rejects.toMatchObject({ status: 401, code: "not_yours" });
  }
});

test.each([
  ["address", "me"],
  ["address", undefined],
  ["signature", "yes"],
  ["timestamp", "2020-01-01T00:00:00Z"],
  ["timestamp", "soon"],
])("a wrong %s (%p) is 400 and named", async (field, value) => {
  const asked = requireSignature({ ...(await signed(now())), [field]: value }, proof);
  const message = expect.stringContaining(`${field}: must be`);
  await expect(asked).rejects.toMatchObject({ status: 400, code: "invalid_request", message });
});
