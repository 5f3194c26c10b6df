import { describe, expect, spyOn, test } from "bun:test";
import { z } from "zod";
import { createService } from "../src/index.ts";
import { payment, paymentTerms, stubFacilitator, testEnv, testPayer } from "../src/testing.ts";

function search() {
  const calls: string[] = [];
  const service = createService({ name: "search", version: "0.0.1" })
    .route({
      method: "POST",
      path: "/v1/search",
      price: "$0.005",
      description: "One page of results",
      body: z.object({ query: z.string().min(1) }),
      handler: ({ body }) => {
        calls.push(body.query);
        return { results: [body.query] };
      },
    })
    .route({
      method: "GET",
      path: "/v1/items/:id",
      price: "$0.01",
      handler: ({ params, payer }) => {
        calls.push(`item ${params["id"]}`);
        return { id: params["id"], payer };
      },
    });
  return { service, calls };
}

const question = { method: "POST", body: '{"query":"bees"}' };

describe("an unpaid call of a priced route", () => {
  test("is 402 with the declared terms, and no facilitator is asked", async () => {
    const { service, calls } = search();
    const response = await service.build({ env: testEnv }).request("/v1/search", question);
    expect(response.status).toBe(402);
    expect(await response.json()).toMatchObject({ error: { code: "payment_required" } });

    const terms = paymentTerms(response);
    expect(terms.x402Version).toBe(2);
    expect(terms.resource).toMatchObject({
      url: "http://localhost/v1/search",
      description: "One page of results",
      mimeType: "application/json",
    });
    expect(terms.accepts).toEqual([
      {
        scheme: "exact",
        network: "eip155:84532",
        amount: "5000",
        asset: "0x036CbD53842c5426634e7929541eC2318f3dCF7e",
        payTo: testEnv.X402_PAY_TO,
        maxTimeoutSeconds: 300,
        extra: { name: "USDC", version: "2" },
      },
    ]);
    expect(calls).toEqual([]);
  });

  test("is 402 even where its body is empty or would be invalid", async () => {
    const app = search().service.build({ env: testEnv });
    for (const body of ["", "{", "{}"]) {
      const response = await app.request("/v1/search", { method: "POST", body });
      expect(response.status).toBe(402);
    }
  });

  test.each([
    ["HEAD", "/v1/items/1"],
    ["GET", "/v1/items/a%2Fb"],
    ["GET", "/v1/items/%0a"],
    ["GET", "/v1/items/1?x=/"],
  ])("never reaches the handler: %s %s", async (method, path) => {
    const { service, calls } = search();
    const response = await service.build({ env: testEnv }).request(path, { method });
    expect(response.status).toBe(402);
    expect(calls).toEqual([]);
  });

  test("is 402 on the network that the environment names", async () => {
    const env = { ...testEnv, X402_NETWORK: "eip155:8453" };
    const response = await search().service.build({ env }).request("/v1/search", question);
    expect(paymentTerms(response).accepts[0]).toMatchObject({
      network: "eip155:8453",
      asset: "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",
    });
  });
});

describe("a paid call", () => {
  async function pay(options: { refuse?: string; body?: string } = {}) {
    const { service, calls } = search();
    const facilitator = stubFacilitator(options.refuse ? { refuse: options.refuse } : {});
    const app = service.build({ env: testEnv, facilitator });
    const headers = payment(paymentTerms(await app.request("/v1/search", question)));
    const body = options.body ?? question.body;
    const response = await app.request("/v1/search", { method: "POST", body, headers });
    return { response, calls, facilitator };
  }

  test("is verified, served, then settled", async () => {
    const { response, calls, facilitator } = await pay();
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ results: ["bees"] });
    expect(response.headers.get("PAYMENT-RESPONSE")).not.toBeNull();
    expect(calls).toEqual(["bees"]);
    expect(facilitator.verified).toHaveLength(1);
    expect(facilitator.settled).toHaveLength(1);
  });

  test("tells the handler who paid, by the facilitator's word", async () => {
    const app = search().service.build({ env: testEnv, facilitator: stubFacilitator() });
    const headers = payment(paymentTerms(await app.request("/v1/items/1")));
    const response = await app.request("/v1/items/1", { headers });
    expect(await response.json()).toEqual({ id: "1", payer: testPayer });
  });

  test("with an invalid body is 400 and costs nothing", async () => {
    const { response, calls, facilitator } = await pay({ body: '{"query":""}' });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { code: "validation_error" } });
    expect(calls).toEqual([]);
    expect(facilitator.settled).toEqual([]);
  });

  test("that the facilitator refuses is 402 in the envelope, with the terms", async () => {
    const { response, calls } = await pay({ refuse: "insufficient_funds" });
    expect(response.status).toBe(402);
    expect(paymentTerms(response).error).toBe("insufficient_funds");
    expect(await response.json()).toMatchObject({ error: { code: "payment_required" } });
    expect(calls).toEqual([]);
  });

  test("is 402 where no facilitator is configured", async () => {
    const { service, calls } = search();
    const app = service.build({ env: testEnv });
    const headers = payment(paymentTerms(await app.request("/v1/search", question)));
    const response = await app.request("/v1/search", { ...question, headers });
    expect(response.status).toBe(402);
    expect(paymentTerms(response).error).toBe("no_facilitator_configured");
    expect(calls).toEqual([]);
  });

  test("that can't be decoded is 402", async () => {
    const log = spyOn(console, "warn").mockImplementation(() => {});
    const app = search().service.build({ env: testEnv });
    const headers = { "PAYMENT-SIGNATURE": "not a payment" };
    const response = await app.request("/v1/search", { ...question, headers });
    expect(response.status).toBe(402);
    log.mockRestore();
  });
});

test("a service with a price and no wallet does not start", () => {
  expect(() => search().service.build({ env: {} })).toThrow(/POST \/v1\/search .*X402_PAY_TO/);
});
