/** What `journal` keeps is there once its document is `journal-later`, and the other way. */
import { expect, test } from "bun:test";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { alice, bob, calling, type Item } from "./calling.ts";

/** Callers of both packages over one file. */
async function both() {
  const file = join(mkdtempSync(join(tmpdir(), "journal-")), "data.sqlite");
  const over = (id: string) => calling(id, {}, { JOURNAL_DB_PATH: file });
  return [await over("journal"), await over("journal-later")] as const;
}

test("each wallet has its own keys, whatever others call theirs", async () => {
  const [call] = await both();
  for (const whose of [alice, bob]) {
    expect(await call("PUT", "/v1/kv/a", { whose }, whose)).toMatchObject({ status: 200 });
  }
  expect((await call("GET", "/v1/kv/a", undefined, alice)).json).toMatchObject({ whose: alice });
  expect((await call("GET", "/v1/kv/a", undefined, bob)).json).toMatchObject({ whose: bob });
  expect((await call("DELETE", "/v1/kv/a", undefined, bob)).status).toBe(200);
  expect((await call("GET", "/v1/kv/a", undefined, bob)).status).toBe(404);
  expect((await call("GET", "/v1/kv/a", undefined, alice)).status).toBe(200);
});

test("a document that changes loses nothing that was kept", async () => {
  const [before, later] = await both();
  const { id } = (await before("POST", "/v1/notes", { text: "hi" })).json as Item;
  const posted = (await before("POST", "/v1/boards/x/posts", { text: "post" })).json as Item;
  for (const whose of [alice, bob]) {
    await before("PUT", "/v1/kv/a", { whose }, whose);
    await before("PUT", "/v1/shelves/x/books/a", { whose }, whose);
    await before("PUT", "/v1/settings", { whose }, whose);
  }

  expect((await later("GET", `/v1/notes/${id}`)).json).toMatchObject({ id, text: "hi" });
  expect((await later("GET", "/v1/notes")).json).toMatchObject({ total: 1, items: [{ id }] });
  expect((await later("GET", "/v1/drafts")).json).toMatchObject({ total: 0 });
  const post = `/v1/boards/x/posts/${posted.id}`;
  expect((await later("GET", post)).json).toMatchObject({ text: "post" });
  expect((await later("GET", "/v1/boards/x/posts")).json).toMatchObject({ total: 1 });
  expect((await later("GET", "/v1/kv")).json).toMatchObject({ total: 2 });
  expect((await later("GET", "/v1/shelves/x/books")).json).toMatchObject({ total: 2 });
  for (const whose of [alice, bob]) {
    for (const path of ["/v1/kv/a", "/v1/shelves/x/books/a", "/v1/settings"]) {
      const read = await later("GET", path, undefined, whose);
      expect({ path, ...read }).toMatchObject({ path, status: 200, json: { whose } });
    }
    expect((await later("PUT", "/v1/kv/a", { whose, again: true }, whose)).status).toBe(200);
    expect((await before("GET", "/v1/kv/a", undefined, whose)).json["again"]).toBe(true);
  }
});

test("nor does one that changes back", async () => {
  const [before, later] = await both();
  const { id } = (await later("POST", "/v1/notes", { text: "hi" })).json as Item;
  await later("POST", "/v1/drafts", { text: "draft" });
  await later("PUT", "/v1/kv/a", { whose: alice }, alice);
  // There a name is everybody's, and one that is there is another's.
  expect((await later("PUT", "/v1/kv/a", { whose: bob }, bob)).status).toBe(403);
  await later("PUT", "/v1/shelves/x/books/a", { whose: alice }, alice);

  expect((await before("GET", "/v1/notes")).json).toMatchObject({ total: 1, items: [{ id }] });
  for (const path of ["/v1/kv/a", "/v1/shelves/x/books/a"]) {
    expect((await before("GET", path)).json).toMatchObject({ whose: alice });
    expect((await before("GET", path, undefined, bob)).status).toBe(404);
    expect((await before("PUT", path, { whose: bob }, bob)).status).toBe(200);
    expect((await before("GET", path, undefined, bob)).json).toMatchObject({ whose: bob });
    expect((await before("GET", path)).json).toMatchObject({ whose: alice });
  }
});

test("what there is one of is set beside the items that come below its path", async () => {
  const [before, later] = await both();
  await before("PUT", "/v1/settings", { theme: "dark" });
  expect(await later("PUT", "/v1/settings/a", { value: 1 })).toMatchObject({ status: 200 });
  expect((await later("GET", "/v1/settings/a")).json).toMatchObject({ key: "a", value: 1 });
  expect((await later("PUT", "/v1/settings", { theme: "light" })).status).toBe(200);
  expect((await later("GET", "/v1/settings")).json).toEqual({ theme: "light" });
  expect((await before("GET", "/v1/settings")).json).toEqual({ theme: "light" });
});

test("a PUT makes what it made before a POST made it too", async () => {
  const [, later] = await both();
  expect((await later("POST", "/v1/kv", { key: "a", value: 1 })).status).toBe(201);
  expect(await later("PUT", "/v1/kv/b", { value: 2 })).toMatchObject({ status: 200 });
  expect((await later("PUT", "/v1/kv/a", { value: 3 })).status).toBe(200);
  for (const [key, value] of Object.entries({ a: 3, b: 2 })) {
    expect((await later("GET", `/v1/kv/${key}`)).json).toMatchObject({ key, value });
  }
});

test("what was made for nothing is no wallet's to remove once that is paid for", async () => {
  const [before, later] = await both();
  const { id } = (await before("POST", "/v1/pins", { text: "hi" })).json as Item;
  expect((await later("GET", `/v1/pins/${id}`)).json).toMatchObject({ text: "hi" });
  expect((await later("DELETE", `/v1/pins/${id}`)).status).toBe(403);
  expect((await before("DELETE", `/v1/pins/${id}`)).status).toBe(200);
});
