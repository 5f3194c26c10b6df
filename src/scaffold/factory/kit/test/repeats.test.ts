import { expect, setSystemTime, test } from "bun:test";
import { z } from "zod";
import { createService, ServiceError } from "../src/index.ts";
import { openStore } from "../src/store.ts";
import { payment, paymentTerms, stubFacilitator, testEnv } from "../src/testing.ts";

const HOUR = 60 * 60 * 1000;

/** A service that counts what it does, free and paid. */
function counter() {
  let done = 0;
  const gate = Promise.withResolvers<void>();
  const env = { ...testEnv };
  const body = z.looseObject({});
  const repeats = (e: typeof env) => openStore(e, "DB_PATH").repeats;
  const service = createService({ name: "counter", version: "1.0.0", description: "Counts" });
  for (const [path, price] of [
    ["/free", "free"],
    ["/paid", "$0.01"],
  ] as const) {
    const handler = async (input: { body: Record<string, unknown> }) => {
      done += 1;
      if (input.body["wait"]) await gate.promise;
      if (input.body["bad"]) throw new ServiceError(409, "conflict", "Not now.");
      return { done };
    };
    service.route({ method: "POST", path, price, status: 201, body, repeats, handler } as never);
  }
  const facilitator = stubFacilitator();
  const app = service.build({ env, facilitator });
  const call = (path: string, key: string, sent: object, more: Record<string, string> = {}) =>
    app.request(path, {
      method: "POST",
      headers: { "idempotency-key": key, ...more },
      body: JSON.stringify(sent),
    });
  const pay = async (key: string, sent: object, from?: string) =>
    call("/paid", key, sent, payment(paymentTerms(await call("/paid", key, sent)), from));
  return { call, pay, facilitator, gate, count: () => done };
}

test("a repeated call is answered as it was and done once", async () => {
  const { call, count } = counter();
  const first = await call("/free", "k", { a: 1 });
  expect([first.status, await first.json()]).toEqual([201, { done: 1 }]);
  const again = await call("/free", "k", { a: 1 });
  expect([again.status, await again.json()]).toEqual([201, { done: 1 }]);
  expect(again.headers.get("content-type")).toBe(first.headers.get("content-type"));
  expect(again.headers.get("idempotency-replayed")).toBe("true");
  expect((await call("/free", "other", { a: 1 })).status).toBe(201);
  expect(count()).toBe(2);
});

test("another body is 422, a key that is none 400, and a call that is under way 409", async () => {
  const { call, gate, count } = counter();
  const slow = call("/free", "k", { wait: true });
  const early = await call("/free", "k", { wait: true });
  expect([early.status, early.headers.get("retry-after")]).toEqual([409, "1"]);
  gate.resolve();
  expect((await slow).status).toBe(201);
  const other = await call("/free", "k", { a: 2 });
  expect(await other.json()).toMatchObject({ error: { code: "idempotency_key_reused" } });
  expect(other.status).toBe(422);
  expect((await call("/free", "a b", {})).status).toBe(400);
  expect((await call("/free", "x".repeat(256), {})).status).toBe(400);
  expect(count()).toBe(1);
});

test("what was refused may be tried again, and after a day everything", async () => {
  const { call, count } = counter();
  expect((await call("/free", "k", { bad: true })).status).toBe(409);
  expect((await call("/free", "k", { bad: true })).status).toBe(409);
  expect((await call("/free", "k", {})).status).toBe(201);
  setSystemTime(Date.now() + 25 * HOUR);
  expect(await (await call("/free", "k", {})).json()).toEqual({ done: 4 });
  setSystemTime();
  expect(count()).toBe(4);
});

test("a payer pays once for what is repeated, and nobody else gets it", async () => {
  const { call, pay, facilitator, count } = counter();
  const first = await pay("k", { a: 1 });
  expect([first.status, await first.json()]).toEqual([201, { done: 1 }]);
  expect(facilitator.settled).toHaveLength(1);
  const again = await pay("k", { a: 1 });
  expect([again.status, await again.json()]).toEqual([201, { done: 1 }]);
  expect(facilitator.settled).toHaveLength(1);
  expect((await call("/paid", "k", { a: 1 })).status).toBe(402);
  const other = await pay("k", { a: 1 }, `0x${"9".repeat(40)}`);
  expect(await other.json()).toEqual({ done: 2 });
  expect([count(), facilitator.settled.length]).toEqual([2, 2]);
});

test("what was never settled is not given away", async () => {
  const { pay, facilitator, count } = counter();
  const settle = facilitator.settle;
  facilitator.settle = async (...all) => ({ ...(await settle(...all)), success: false });
  expect((await pay("k", {})).status).toBe(402);
  facilitator.settle = settle;
  const before = facilitator.settled.length;
  expect(await (await pay("k", {})).json()).toEqual({ done: 1 });
  expect([facilitator.settled.length - before, count()]).toEqual([1, 1]);
});

test("what is remembered is bounded, for each caller and for all", async () => {
  const { repeats } = openStore({}, "DB_PATH");
  const once = async (key: string, work = async () => Response.json(key)) =>
    (await repeats.once({ route: "POST /a", caller: "", key, asked: null }, work)).answer.json();
  for (let n = 0; n <= 1000; n++) await once(`k${n}`);
  const anew = async () => Response.json("anew");
  expect(await once("k1000", anew)).toBe("k1000");
  expect(await once("k0", anew)).toBe("anew");
  const large = "x".repeat(300_000);
  expect(await once("large", async () => Response.json(large))).toBe(large);
  expect(await once("large", anew)).toBe("anew");
});
