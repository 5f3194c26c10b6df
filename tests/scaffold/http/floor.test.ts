/**
 * What services that keep things must do at least, over HTTP with their data in
 * a file: create, read, list, remove, by whoever paid. `floor.json` says which
 * packages there are, and of which kind each is.
 */
import { expect, test } from "bun:test";
import { privateKeyToAccount } from "viem/accounts";
import floor from "../floor.json";
import { pay, type Served, serving } from "./served.ts";

interface Package extends Served {
  kind: string;
  /** Where things are made. */
  path: string;
  /** Where they are listed, if that is elsewhere. */
  list?: string;
  /** What is signed, with `<address>` and `<timestamp>`. */
  message?: string;
}

interface Page {
  items: { id: string; [field: string]: unknown }[];
  total: number;
}

const all = floor as unknown as Package[];
const alice = "0x000000000000000000000000000000000000000a";
const bob = "0x000000000000000000000000000000000000000b";

/** A caller of a service: answers' status and JSON. */
function caller(base: string, headers: Record<string, string> = {}) {
  return async (method: string, path: string, body?: object | null, from = alice) => {
    const sent = body ? { body: JSON.stringify(body) } : {};
    const answer = await pay(base + path, { method, headers, ...sent }, from);
    const text = await answer.text();
    return { status: answer.status, json: text === "" ? undefined : JSON.parse(text) };
  };
}

const of = (kind: string) => all.filter((one) => one.kind === kind);

test("there is a package of each kind", () => {
  for (const kind of ["buckets", "wallets", "reports"]) expect(of(kind)).not.toBeEmpty();
});

test.each(of("buckets").map((one) => [one.id, one] as const))(
  "%s keeps bytes in buckets",
  async (_, one) => {
    await serving(one, async (base) => {
      const call = caller(base);
      const made = await call("POST", one.path, { name: "first" });
      expect(made.status).toBe(201);
      const bucket = `${one.path}/${made.json.id}`;
      expect((await call("GET", bucket)).json).toMatchObject({ id: made.json.id, name: "first" });
      const page: Page = (await call("GET", one.path)).json;
      expect(page.items.map(({ id }) => id)).toEqual([made.json.id]);
      expect((await call("GET", one.path, null, bob)).json.total).toBe(0);
      expect((await call("GET", bucket, null, bob)).status).toBe(403);

      const bytes = new Uint8Array([0, 255, 10]);
      const object = `${base}${bucket}/objects/notes/2026/feb.bin`;
      const put = await pay(object, { method: "PUT", body: bytes }, alice);
      expect(put.status).toBe(200);
      const objects: Page = (await call("GET", `${bucket}/objects?prefix=notes/`)).json;
      expect(objects.items.map(({ id }) => id)).toEqual(["notes/2026/feb.bin"]);
      const got = await pay(object, { method: "GET" }, alice);
      expect(new Uint8Array(await got.arrayBuffer())).toEqual(bytes);

      expect((await call("DELETE", bucket)).status).toBe(409);
      expect((await pay(object, { method: "DELETE" }, alice)).status).toBe(200);
      expect((await pay(object, { method: "GET" }, alice)).status).toBe(404);
      expect((await call("DELETE", bucket)).status).toBe(200);
      expect((await call("GET", bucket)).status).toBe(404);
      expect((await call("GET", one.path)).json.total).toBe(0);
    });
  },
);

test.each(of("wallets").map((one) => [one.id, one] as const))(
  "%s knows who is who by a signature",
  async (_, one) => {
    await serving(one, async (base) => {
      const account = privateKeyToAccount(`0x${"1".repeat(64)}`);
      const owner = account.address.toLowerCase();
      const timestamp = new Date().toISOString();
      const message = (one.message ?? "")
        .replace("<address>", account.address)
        .replace("<timestamp>", timestamp);
      const signature = await account.signMessage({ message });
      const call = caller(base);
      const joined = { address: account.address, signature, timestamp };
      expect((await call("POST", one.path, { ...joined, signature: "0x00" })).status).toBe(403);
      expect((await call("POST", one.path, joined)).status).toBe(201);
      expect((await call("POST", one.path, joined)).status).toBe(409);

      const wallet = `${one.path}/${account.address}`;
      const mine = (method: string, path: string, body?: object) => call(method, path, body, owner);
      expect((await mine("GET", wallet)).json).toMatchObject({ address: owner });
      expect((await call("GET", wallet, null, bob)).status).toBe(403);
      const page: Page = (await mine("GET", one.path)).json;
      expect(page.items.map(({ id }) => id)).toEqual([owner]);
      expect((await call("GET", one.path, null, bob)).json.total).toBe(0);
      expect((await mine("PUT", `${wallet}/policy`, { maxPerTx: "5" })).status).toBe(200);
      expect((await mine("GET", `${wallet}/policy`)).json).toMatchObject({ maxPerTx: "5" });

      expect((await mine("DELETE", wallet)).status).toBe(200);
      expect((await mine("GET", wallet)).status).toBe(404);
      expect((await mine("GET", one.path)).json.total).toBe(0);
    });
  },
);

test.each(of("reports").map((one) => [one.id, one] as const))(
  "%s takes what anybody says, and shows it to whoever has the key",
  async (_, one) => {
    await serving(one, async (base) => {
      const stranger = caller(base);
      const inside = caller(base, { "x-internal-key": one.env["PRIM_INTERNAL_KEY"] ?? "" });
      const list = one.list ?? one.path;
      for (const primitive of ["wallet.sh", "store.sh"]) {
        const made = await stranger("POST", one.path, {
          primitive,
          type: "bug",
          body: "It broke.",
        });
        expect(made.status).toBe(200);
      }
      expect((await stranger("GET", list)).status).toBe(401);
      const page: Page = (await inside("GET", list)).json;
      expect(page.items.map(({ primitive }) => primitive)).toEqual(["store.sh", "wallet.sh"]);
      const some: Page = (await inside("GET", `${list}?primitive=store.sh&limit=5`)).json;
      expect(some.items).toHaveLength(1);
      expect((await inside("GET", `${list}?offset=1`)).json.items).toHaveLength(1);
      expect((await stranger("POST", one.path, { primitive: 1 })).status).toBe(400);
    });
  },
);
