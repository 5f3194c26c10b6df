/** What services do whose documents are `tickets`, `forum` and `tools`, called in process. */
import { expect, test } from "bun:test";
import { bob, calling, type Item } from "./calling.ts";

test("ids count, and statuses are the type's", async () => {
  const call = await calling("tickets");
  const made = await call("POST", "/v1/tickets", { title: "a", id: 99, status: "closed" });
  expect(made).toMatchObject({ status: 201, json: { title: "a", status: "open", priority: 3 } });
  const { id } = made.json as Item;
  expect(id).toBeNumber();
  expect(id).not.toBe(99);
  expect((await call("GET", `/v1/tickets/${id}`)).json).toEqual(made.json);
  expect((await call("GET", "/v1/tickets/x")).status).toBe(400);
  expect((await call("POST", `/v1/tickets/${id}/close`)).json.status).toBe("closed");
  expect((await call("POST", `/v1/tickets/${id}/cancel`)).json.status).toBe("canceled");
  expect((await call("POST", `/v1/tickets/${id}/archive`)).status).toBe(501);
  expect((await call("DELETE", `/v1/tickets/${id}`)).json).toEqual({ id, deleted: true });
});

test("a change leaves alone what it does not name, and a PUT leaves nothing", async () => {
  const call = await calling("tickets");
  const given = { title: "a", priority: 1, ttl: 60, page: "7" };
  const { id, expires_at } = (await call("POST", "/v1/tickets", given)).json as Item;
  const path = `/v1/tickets/${id}`;
  const changed = await call("PATCH", path, { title: "b" });
  expect(changed.json).toMatchObject({ title: "b", priority: 1, ttl: 60, page: "7", expires_at });
  expect((await call("PATCH", path, { title: "" })).json.error.message).toStartWith("title: ");
  const replaced = (await call("PUT", path, { title: "c" })).json;
  expect(replaced).toMatchObject({ id, title: "c", priority: 3, ttl: 3600, status: "open" });
  expect(replaced).not.toHaveProperty("page");
});

test("lists come in pages and in order, and are searched by what is said", async () => {
  const call = await calling("tickets");
  for (const [title, priority, page] of [
    ["x", 2, "7"],
    ["y", 3, "8"],
    ["z", 1, "7"],
  ]) {
    await call("POST", "/v1/tickets", { title, priority, page });
  }
  const titles = async (query: string, path = "/v1/tickets") => {
    const { items } = (await call("GET", `${path}?${query}`)).json as { items: Item[] };
    return items.map(({ title }) => title).join("");
  };
  expect(await titles("limit=2")).toBe("zy");
  expect(await titles("limit=9&sort=priority")).toBe("zxy");
  expect(await titles("limit=9&sort=priority&order=desc")).toBe("yxz");
  expect(await titles("limit=9&page=7")).toBe("zx");
  expect(await titles("limit=9&status=open&q=Y")).toBe("y");
  expect(await titles("limit=9&q=title")).toBe("");
  expect(await titles("page=2&page_size=2", "/v1/tickets/recent")).toBe("x");
  for (const query of ["limit=1e1", "limit=0x9", "limit=%205", "limit=", "limit=9&order=up", ""]) {
    expect((await call("GET", `/v1/tickets?${query}`)).status).toBe(400);
  }
  for (const query of ["cursor=1e3", "cursor=a", "page=0", "page_size=-1"]) {
    expect((await call("GET", `/v1/tickets/recent?${query}`)).status).toBe(400);
  }
});

test("what lies on a board is anybody's to read there, and not on another", async () => {
  const call = await calling("forum");
  const { id } = (await call("POST", "/v1/boards/a/posts", { text: "hi" })).json as Item;
  const page = async (board: string) => (await call("GET", `/v1/boards/${board}/posts`)).json;
  expect(await page("a")).toMatchObject({ total: 1, items: [{ id, text: "hi" }] });
  expect(await page("b")).toMatchObject({ total: 0 });
  expect((await call("GET", `/v1/boards/a/posts/${id}`)).json).toMatchObject({ id });
  expect((await call("GET", `/v1/boards/b/posts/${id}`)).status).toBe(404);
  expect((await call("GET", `/v1/posts/${id}`)).json).toMatchObject({ id, text: "hi" });
  expect((await call("DELETE", `/v1/posts/${id}`, undefined, bob)).status).toBe(403);
  expect((await call("DELETE", `/v1/posts/${id}`)).status).toBe(200);
  expect((await call("GET", `/v1/posts/${id}`)).status).toBe(404);
});

test("a name that is a number stays one", async () => {
  const call = await calling("forum");
  const made = await call("POST", "/v1/steps", { step: 7, text: "first" });
  expect(made).toMatchObject({ status: 201, json: { step: 7, id: 7 } });
  expect((await call("GET", "/v1/steps/7")).json).toEqual(made.json);
  expect((await call("POST", "/v1/steps", { step: "7" })).status).toBe(400);
  expect((await call("POST", "/v1/steps", { step: 7, text: "again" })).status).toBe(409);
});

test("settings that are put are all there are", async () => {
  const call = await calling("forum");
  await call("PUT", "/v1/settings", { color: "red", size: 1 });
  expect((await call("PUT", "/v1/settings", { size: 2 })).json).toEqual({ size: 2 });
  expect((await call("GET", "/v1/settings")).json).toEqual({ size: 2 });
  // But where the document says that the others stay.
  await call("PUT", "/v1/limits", { day: 5, week: 9 });
  expect((await call("PUT", "/v1/limits", { day: null })).json).toEqual({ week: 9 });
});

test("a library whose operations are still to be written says so", async () => {
  const call = await calling("tools");
  const missing = { status: 501, json: { error: { code: "not_configured" } } };
  expect(await call("POST", "/v1/parts", { name: "a" })).toMatchObject(missing);
  expect(await call("GET", "/v1/stock")).toMatchObject(missing);
  // What was made here is the store's to list, and calls no operation.
  expect(await call("GET", "/v1/parts")).toMatchObject({ status: 200, json: { total: 0 } });
});
