/** Derived clients against their services over HTTP. `served.json` has what those are served with. */
import { expect, test } from "bun:test";
import { connect as hostile } from "../generated/sdk/hostile.ts";
import { ServiceError as NotesError, connect as notes } from "../generated/sdk/notes.ts";
import { ServiceError, connect as vault } from "../generated/sdk/vault.ts";
import served from "../served.json";
import { pay, type Served, serving } from "./served.ts";

const all = served as unknown as Served[];

function of(id: string): Served {
  const found = all.find((one) => one.id === id);
  if (found === undefined) throw new Error(`${id} is not served`);
  return found;
}

/** A `fetch` that pays what is asked, as a payer's library does. */
async function paying(request: Request): Promise<Response> {
  const body = request.body === null ? {} : { body: await request.arrayBuffer() };
  const headers = Object.fromEntries(request.headers);
  return pay(request.url, { method: request.method, headers, ...body });
}

test("a client makes, reads, lists and removes, and pays", async () => {
  await serving(of("notes"), async (url) => {
    const client = notes({ url: `${url}/`, fetch: paying });
    const made = (await client.createNote({ body: { text: "hello" } })) as { id: string };
    expect(await client.getNote({ params: { id: made.id } })).toMatchObject({ text: "hello" });
    expect(await client.listNotes({ query: { limit: 1 } })).toMatchObject({ total: 1 });
    expect(await client.listNotes()).toMatchObject({ total: 1 });
    expect(await client.deleteNote({ params: { id: made.id } })).toBeUndefined();
    const gone = client.getNote({ params: { id: made.id } });
    await expect(gone).rejects.toMatchObject({ status: 404, code: "note_missing" });
    await expect(gone).rejects.toBeInstanceOf(NotesError);
  });
});

test("bytes and names with slashes arrive as they are", async () => {
  await serving(of("vault"), async (url) => {
    const client = vault({ url, fetch: paying });
    const { id } = (await client.createBucket({ body: { name: "a" } })) as { id: string };
    const params = { id, key: "a b/ü?#%.txt" };
    const bytes = new Uint8Array([0, 255, 10]);
    await client.putObject({ params, body: bytes });
    expect(new Uint8Array(await client.getObject({ params }))).toEqual(bytes);
  });
});

test("who doesn't pay gets the terms, and no path leads elsewhere", async () => {
  await serving(of("vault"), async (url) => {
    const client = vault({ url });
    const refused = await client.listBuckets().catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ServiceError);
    expect((refused as ServiceError).status).toBe(402);
    expect((refused as ServiceError).headers.get("payment-required")).toBeString();
    for (const id of ["", ".", ".."]) {
      await expect(client.getBucket({ params: { id } })).rejects.toBeInstanceOf(TypeError);
    }
  });
});

test("a client is no promise, whatever its operations are called", async () => {
  const client = await hostile({ fetch: async () => Response.json([[]]) });
  expect(client).not.toHaveProperty("then");
  expect(await client.then_()).toEqual([[]]);
});

test("what no service said is told with its status", async () => {
  const client = hostile({ fetch: async () => new Response("<html>", { status: 502 }) });
  const failed = client.constructor({ body: { class: "*/" } });
  await expect(failed).rejects.toMatchObject({ status: 502, code: "", message: "<html>" });
});
