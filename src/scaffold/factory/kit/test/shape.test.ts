/** What an answer says that the store did not: what is known, and nothing made up. */
import { expect, test } from "bun:test";
import { z } from "zod";
import { type Asked, shaped } from "../src/shape.ts";

const asked: Asked = { method: "GET", params: {}, free: false };
const todo = z.looseObject({ id: z.string(), done: z.boolean(), deleted: z.boolean() });

test("that something was done is said by what removes alone", async () => {
  const item = { id: "a", created_at: "2026-01-01T00:00:00Z" };
  expect(await shaped(todo, item, asked)).toEqual(item);
  expect(await shaped(todo, { ...item, deleted: false }, asked)).not.toHaveProperty("done");
  const gone = { id: "a", deleted: true };
  expect(await shaped(todo, gone, { ...asked, method: "DELETE" })).toEqual({ ...gone, done: true });
  expect(await shaped(todo, { deleted: 2 }, { ...asked, method: "POST" })).toMatchObject({
    done: true,
    deleted: true,
  });
  expect(await shaped(z.looseObject({ ok: z.boolean() }), item, asked)).toMatchObject({ ok: true });
  const run = z.looseObject({ ok: z.boolean(), job: z.string() });
  expect(await shaped(run, item, asked)).not.toHaveProperty("ok");
});

test("an id is that of the path, the body or the item, and else not there", async () => {
  const comment = z.looseObject({ id: z.string(), mark_id: z.int(), author_id: z.string() });
  const params = { mark_id: "7" };
  expect(await shaped(comment, { id: "a" }, { ...asked, params })).toEqual({ id: "a", mark_id: 7 });
  const sent = { id: "a", author_id: "b", mark_id: 8 };
  expect(await shaped(comment, sent, { ...asked, params })).toEqual(sent);
  const own = { ...asked, ids: ["author_id"] };
  expect(await shaped(comment, { id: "a" }, own)).toEqual({ id: "a", author_id: "a" });
});

test("a count is the only number that is required, or what is called a total", async () => {
  const one = z.looseObject({ open: z.int(), more: z.int().optional() });
  expect(await shaped(one, { count: 3 }, asked)).toMatchObject({ open: 3 });
  const removed = z.looseObject({ removed: z.int() });
  expect(await shaped(removed, { deleted: 3 }, asked)).toMatchObject({ removed: 3 });
  const two = z.looseObject({ open: z.int(), done: z.int(), total: z.int() });
  expect(await shaped(two, { count: 3 }, asked)).toEqual({ count: 3, total: 3 });
});

test("who does not pay sees what the type names and no more", async () => {
  const free = { ...asked, free: true };
  const profile = z.looseObject({ name: z.string() });
  const user = z.looseObject({ id: z.string(), email: z.string(), profile: profile.optional() });
  const kept = { email: "a@example.com", password: "p", profile: { name: "a", pin: 1 } };
  const item = { id: "a", created_at: "2026-01-01T00:00:00Z", ...kept };
  const seen = { id: "a", email: "a@example.com", profile: { name: "a" } };
  expect(await shaped(user, item, free)).toEqual(seen);
  expect(await shaped(user, item, asked)).toEqual(item);
  const page = { items: [item], total: 1, next_cursor: null };
  const users = z.looseObject({ users: z.array(user), total: z.int() });
  expect(await shaped(users, page, free)).toEqual({ users: [seen], total: 1 });
  expect(await shaped(z.array(user), page, free)).toEqual([seen]);
  const wrapped = z.looseObject({ user: user });
  expect(await shaped(wrapped, item, free)).toEqual({ user: seen });
  const said = z.looseObject({ id: z.string() }).meta({ additionalProperties: true });
  expect(await shaped(said, item, free)).toEqual(item);
  expect(await shaped(z.looseObject({}), item, free)).toEqual(item);
});
