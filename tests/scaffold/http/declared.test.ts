/** Answers of `boards` are of the types that its document declares for them. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { type Schema, Validator } from "@cfworker/json-schema";
import { calling } from "./calling.ts";

const document = await Bun.file(join(process.cwd(), "packages/boards/prim.yaml")).text();
const types = JSON.stringify((Bun.YAML.parse(document) as { types: object }).types);
const $defs = JSON.parse(types.replaceAll("#/types/", "#/$defs/")) as Record<string, Schema>;
const call = await calling("boards");

/** Calls a route, whose answer must be of a type. */
async function typed(type: string, method: string, path: string, body?: unknown) {
  const { status, json } = await call(method, path, body);
  const schema = { $ref: `#/$defs/${type}`, $defs };
  const { valid, errors } = new Validator(schema, "2020-12").validate(json);
  expect({ type, status, json, valid, errors }).toMatchObject({ valid: true });
  expect(status).toBeLessThan(300);
  return json;
}

test("lists and items are as their types have them", async () => {
  const given = { title: "a", secret: "not told", ttl: 600 };
  const { board } = await typed("OneBoard", "POST", "/v1/boards", given);
  expect(board).toEqual({ ...board, title: "a", color: null, pinned: false });
  await typed("OneBoard", "POST", "/v1/boards", { title: "b" });
  const path = `/v1/boards/${board.id}`;
  expect(await typed("Board", "GET", path)).toEqual(board);
  const changed = await typed("OneBoard", "PATCH", path, { color: "red", pinned: true });
  expect(changed.board).toEqual({ ...board, color: "red", pinned: true });
  const page = await typed("BoardList", "GET", "/v1/boards?limit=1");
  expect(page).toMatchObject({ total: 2, has_more: true });
  expect(page.boards).toHaveLength(1);
  expect(page.nextCursor).toBeString();
  const all = await typed("BoardList", "GET", "/v1/boards?limit=5");
  expect(all).toMatchObject({ has_more: false, boards: [{ title: "b" }, { title: "a" }] });
  expect(all).not.toHaveProperty("nextCursor");
  expect(await typed("Boards", "GET", "/v1/boards/recent")).toHaveLength(2);
  expect(await typed("Count", "GET", "/v1/boards/count")).toEqual({ boards: 2 });
  expect(await typed("Done", "DELETE", path)).toEqual({ ok: true });
  expect((await call("GET", path)).status).toBe(404);
});

test("an id that its type requires is the item's", async () => {
  const card = { id: "c1", text: "hi" };
  expect(await typed("Card", "POST", "/v1/cards", card)).toMatchObject(card);
  expect(await typed("Card", "GET", "/v1/cards/c1")).toMatchObject(card);
  const taken = await call("POST", "/v1/cards", card);
  expect(taken).toMatchObject({ status: 409, json: { error: { code: "card_exists" } } });
});
