import { expect, test } from "bun:test";
import type { FacilitatorClient } from "@x402/core/server";
import { SettleError } from "@x402/core/types";
import { z } from "zod";
import { createService } from "../src/index.ts";
import { type Collection, openStore } from "../src/store.ts";
import { payment, paymentTerms, stubFacilitator, testEnv, testPayer } from "../src/testing.ts";
import { attempt, undoable } from "../src/undo.ts";

const items: Collection = { name: "items", key: "name", ends: true, status: "open" };
const hits = { field: "hits", way: 1, makes: true };
const inside: Collection = { name: "inside", key: "name", within: items };
const body = z.looseObject({});
const price = "$0.01";
const repeats = (env: object) => openStore(env as Record<string, string>, "DB").repeats;

/** Routes that do all that a store does; each is paid. */
const service = createService({ name: "kept", version: "1.0.0", description: "Keeps" })
  .route({
    method: "POST",
    path: "/items",
    price,
    body,
    repeats,
    handler: ({ body, payer, env }) => openStore(env, "DB").create(items, body, { owner: payer }),
  })
  .route({
    method: "PUT",
    path: "/items/:name",
    price,
    handler: async ({ params, payer, env, request }) => {
      const bytes = new Uint8Array(await request.arrayBuffer());
      const stored = { type: "text/plain", bytes };
      return openStore(env, "DB").putBytes(items, params["name"], stored, { owner: payer });
    },
  })
  .route({
    method: "PATCH",
    path: "/items/:name",
    price,
    body,
    handler: ({ body, params, payer, env }) =>
      openStore(env, "DB").change(items, params["name"], body, { owner: payer }),
  })
  .route({
    method: "DELETE",
    path: "/items/:name",
    price,
    handler: ({ params, payer, env }) =>
      openStore(env, "DB").remove(items, params["name"], { owner: payer }),
  })
  .route({
    method: "POST",
    path: "/items/:name/hit",
    price,
    handler: ({ params, payer, env }) =>
      openStore(env, "DB").step(items, params["name"], {}, hits, { owner: payer }),
  })
  .route({
    method: "POST",
    path: "/items/:name/:status",
    price,
    handler: ({ params, payer, env }) => {
      const to = { to: params["status"] ?? "" };
      return openStore(env, "DB").become(items, params["name"], to, { owner: payer });
    },
  })
  .route({
    method: "POST",
    path: "/turn",
    price,
    handler: ({ payer, env }) => {
      openStore(env, "DB").turn("turn", payer ?? "", 60);
      return {};
    },
  });

const refused = { success: false, errorReason: "insufficient_funds", transaction: "" } as const;
const network = testEnv.X402_NETWORK;

/** A service with an item that has another one in it; `settle` answers for what is asked then. */
async function started() {
  const env = { ...testEnv };
  const store = openStore(env, "DB");
  const good = service.build({ env, facilitator: stubFacilitator() });
  const ask = async (app: typeof good, method: string, path: string, more: RequestInit = {}) => {
    const init = { method, ...more };
    const paid = payment(paymentTerms(await app.request(path, init)));
    return app.request(path, { ...init, headers: { ...(more.headers as object), ...paid } });
  };
  await ask(good, "PUT", "/items/a", { body: "first" });
  const payer = testPayer;
  store.create(inside, { name: "b" }, { owner: payer, within: ["a"] });
  const bytesOf = async (name: string) => {
    const isThere = store.list(items, { match: { id: name } }, { owner: payer }).total > 0;
    return isThere ? store.readBytes(items, name, { owner: payer }).text() : undefined;
  };
  const there = async () => ({
    items: store.list(items, {}, { owner: payer }).items,
    inside: store.list(inside, {}, { owner: payer }).items,
    bytes: await bytesOf("a"),
    wait: store.wait("turn", payer),
  });
  const unsettled = (settle: FacilitatorClient["settle"]) =>
    service.build({ env, facilitator: stubFacilitator({ settle }) });
  return { ask, good, there, unsettled };
}

const calls: [string, string, RequestInit][] = [
  ["POST", "/items", { body: '{"name": "new"}' }],
  ["POST", "/items", { body: '{"name": "new"}', headers: { "idempotency-key": "k" } }],
  ["PUT", "/items/a", { body: "second" }],
  ["PUT", "/items/new", { body: "first" }],
  ["PATCH", "/items/a", { body: '{"color": "red", "ttl": 60}' }],
  ["DELETE", "/items/a", {}],
  ["POST", "/turn", {}],
];

test.each(calls)(
  "%s %s is undone when its payment is refused in the end",
  async (method, path, more) => {
    const { ask, good, there, unsettled } = await started();
    const before = await there();
    for (const settle of [
      async () => ({ ...refused, network }),
      () => Promise.reject(new SettleError(400, { ...refused, network })),
    ]) {
      const answer = await ask(unsettled(settle), method, path, more);
      expect(answer.status).toBe(402);
      expect(await there()).toEqual(before);
    }
    // And it can be done again by who pays.
    const again = await ask(good, method, path, more);
    expect(again.status).toBe(200);
    expect(again.headers.get("idempotency-replayed")).toBeNull();
  },
);

/** Calls under way at once: each is done, and none is settled before all of them are. */
async function atOnce(calls: [string, string, RequestInit][], paid: boolean[], order: number[]) {
  const { ask, good, there, unsettled } = await started();
  const waiting: ((paid: boolean) => void)[] = [];
  const done: Promise<Response>[] = [];
  for (const [method, path, more] of calls) {
    const reached = Promise.withResolvers<void>();
    const settle: FacilitatorClient["settle"] = async (payload, terms) => {
      const verdict = Promise.withResolvers<boolean>();
      waiting.push(verdict.resolve);
      reached.resolve();
      return (await verdict.promise)
        ? stubFacilitator().settle(payload, terms)
        : { ...refused, network };
    };
    const answer = ask(unsettled(settle), method, path, more);
    done.push(answer);
    await Promise.race([reached.promise, answer]);
  }
  expect(waiting).toHaveLength(calls.length);
  for (const at of order) {
    waiting[at]?.(paid[at] ?? false);
    expect((await done[at])?.status).toBe(paid[at] ? 200 : 402);
  }
  const is = await there();
  // What there is where only those that are paid for ever came.
  const alone = await started();
  for (const [at, [method, path, more]] of calls.entries()) {
    if (paid[at]) expect((await alone.ask(alone.good, method, path, more)).status).toBe(200);
  }
  const should = await alone.there();
  // And nothing is left over of them that a later call could come upon.
  const last: [string, string, RequestInit] = ["PATCH", "/items/a", { body: '{"last": 1}' }];
  const [before, after] = [await ask(good, ...last), await alone.ask(alone.good, ...last)];
  expect(before.status).toBe(after.status);
  expect(undated(await there())).toEqual(undated(await alone.there()));
  return { is: undated(is), should: undated(should) };
}

/** The same whenever it was made. */
const undated = (said: unknown) => JSON.parse(JSON.stringify(said).replace(/"20[^"]*Z"/g, '""'));

const onOne: [string, string, RequestInit][] = [
  ["PATCH", "/items/a", { body: '{"color": "red", "hits": 5}' }],
  ["PATCH", "/items/a", { body: '{"size": 3, "ttl": 60}' }],
  ["PUT", "/items/a", { body: "second" }],
  ["POST", "/items/a/hit", {}],
  ["POST", "/items/a/closed", {}],
  ["DELETE", "/items/a", {}],
];
const onNone: [string, string, RequestInit][] = [
  ["PUT", "/items/new", { body: "first" }],
  ["PUT", "/items/new", { body: "second" }],
  ["POST", "/items/new/hit", {}],
];
const pairs = [onOne, onNone].flatMap((calls) =>
  // What is removed already is not found.
  calls.filter(([a]) => a !== "DELETE").flatMap((a) => calls.map((b) => [a, b] as const)),
);

test.each(pairs)("of %p and %p at once there stays what is paid for", async (a, b) => {
  for (const paid of [
    [false, true],
    [true, false],
    [false, false],
    [true, true],
  ]) {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const { is, should } = await atOnce([a, b], paid, order);
      expect(is).toEqual(should);
    }
  }
});

test("of ten steps at once there stay those that are paid for", async () => {
  const hit: [string, string, RequestInit] = ["POST", "/items/a/hit", {}];
  const ten = Array.from({ length: 10 }, () => hit);
  for (const paid of [ten.map(() => false), ten.map((_, at) => at % 3 === 1)]) {
    for (const order of [ten.map((_, at) => at), ten.map((_, at) => (at * 7) % 10)]) {
      const { is, should } = await atOnce(ten, paid, order);
      expect(is).toEqual(should);
    }
  }
});

test("what throws half-way has not been", async () => {
  const store = openStore({ ...testEnv }, "DB");
  const work = async () => {
    store.create(items, { name: "a" });
    throw new Error("no");
  };
  await expect(attempt(work)).rejects.toThrow("no");
  expect(store.list(items).total).toBe(0);
});

test("what may have been paid for stays", async () => {
  const { ask, there, unsettled } = await started();
  const before = await there();
  for (const [name, settle] of [
    ["c", () => Promise.reject(new Error("timed out"))],
    ["d", async () => ({ ...refused, transaction: "0x1", network })],
    ["e", () => Promise.reject(new SettleError(400, { ...refused, transaction: "0x1", network }))],
  ] as const) {
    const body = JSON.stringify({ name });
    expect((await ask(unsettled(settle), "POST", "/items", { body })).status).toBeOneOf([402, 502]);
  }
  expect((await there()).items).toHaveLength(before.items.length + 3);
});

test("what was done is taken back in the opposite order, once, and only what was noted within", async () => {
  const done: string[] = [];
  undoable(() => done.push("outside"));
  const { undo } = await attempt(async () => {
    undoable(() => done.push("first"));
    await Promise.resolve();
    undoable(() => done.push("second"));
  });
  undo();
  undo();
  expect(done).toEqual(["second", "first"]);
});
