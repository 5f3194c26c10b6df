import { expect, test } from "bun:test";
import { z } from "zod";
import { createService } from "../src/index.ts";
import { testEnv } from "../src/testing.ts";
import {
  characters,
  exactlyOne,
  having,
  integer,
  integerText,
  number,
  oneOf,
  pageOf,
  part,
  sent,
  unique,
} from "../src/types.ts";

test("exactly one option takes a value", () => {
  const schema = exactlyOne([z.number().min(1), z.number().max(3), z.string()]);
  const takes = (value: unknown) => schema.safeParse(value).success;
  expect([0, 2, 4, "a", true].map(takes)).toEqual([true, false, true, true, false]);
});

test("a value is one of those that are named", () => {
  const schema = oneOf([1, [2, { a: null }]]);
  const takes = (value: unknown) => schema.safeParse(value).success;
  expect([1, [2, { a: null }], [2, {}], "1"].map(takes)).toEqual([true, true, false, false]);
});

test("entries differ", () => {
  const schema = z.array(z.unknown()).refine(...unique());
  const takes = (value: unknown) => schema.safeParse(value).success;
  expect([[], [1, "1"], [{ a: 1 }, { a: 1 }]].map(takes)).toEqual([true, true, false]);
});

test("characters are counted as JSON Schema does", () => {
  const takes = (bounds: object) => (text: string) =>
    z
      .string()
      .refine(...characters(bounds))
      .safeParse(text).success;
  expect(["", "a", "🙂", "🙂🙂", "🙂🙂🙂"].map(takes({ min: 1, max: 2 }))).toEqual([
    false,
    true,
    true,
    true,
    false,
  ]);
  expect(["a", "🙂"].map(takes({ min: 2 }))).toEqual([false, false]);
  expect(characters({ min: 2 })[1].error).toBe("must have at least 2 characters");
  expect(characters({ min: 2, max: 3 })[1].error).toBe(
    "must have at least 2 and at most 3 characters",
  );
});

test("a pattern is tried on no text that is too long", () => {
  const slow = z
    .string()
    .refine(...characters({ max: 320 }))
    .regex(/^.+@.+\..+$/u);
  const said = (text: string) => slow.safeParse(text).error?.issues.map(({ message }) => message);
  // The third power of a mebibyte is nothing that anybody waits for.
  const began = Bun.nanoseconds();
  expect(said(`${"@.".repeat(500_000)}\n`)).toEqual(["must have at most 320 characters"]);
  expect(said(`${"@.".repeat(159)}\n`)).toHaveLength(1);
  expect(Bun.nanoseconds() - began).toBeLessThan(2e9);
  expect(said("a@b.test")).toBeUndefined();
});

test("an object has the fields that it must have", () => {
  const schema = z
    .looseObject({})
    .refine(...having("a"))
    .refine(...having("b"));
  const said = (value: object) =>
    schema.safeParse(value).error?.issues.map(({ path }) => path.join("."));
  expect([{ a: null, b: 1 }, { b: 1 }, {}].map(said)).toEqual([undefined, ["a"], ["a", "b"]]);
});

test("a whole number in a path stays a text, and another text is a 400 with its name", async () => {
  const params = z.looseObject({ number: integerText({ min: 1, max: 9 }) });
  const service = createService({ name: "steps", version: "1.0.0", description: "Steps" }).route({
    method: "GET",
    path: "/steps/:number",
    price: "free",
    params,
    handler: (input) => input.params,
  });
  const app = service.build({ env: testEnv });
  expect(await (await app.request("/steps/3")).json()).toEqual({ number: "3" });
  for (const number of ["0", "10", "1.5", "x", "1e0"]) {
    const answer = await app.request(`/steps/${number}`);
    expect(answer.status).toBe(400);
    const { error } = (await answer.json()) as { error: { message: string } };
    expect(error.message).toBe("number: must be a whole number of at least 1 and at most 9");
  }
});

test("a number in a query is written in digits", () => {
  const of = (schema: z.ZodType) => (text: string) => {
    const { data, error } = schema.safeParse(text);
    return error?.issues[0]?.message ?? data;
  };
  const whole = integer({ min: 0, max: 100 });
  expect(["20", "0", "100"].map(of(whole))).toEqual([20, 0, 100]);
  for (const text of [
    "1e1",
    "0x10",
    " 5",
    "5 ",
    "",
    "+5",
    "1.0",
    "101",
    "-1",
    "five",
    "Infinity",
  ]) {
    expect(of(whole)(text)).toBe("must be a whole number of at least 0 and at most 100");
  }
  expect(of(integer())("9007199254740993")).toBe("must be a smaller number");
  expect(whole.safeParse("five").error?.issues).toHaveLength(1);
  expect(["2.5", "-3", "0.25"].map(of(number()))).toEqual([2.5, -3, 0.25]);
  for (const text of ["1e3", ".5", "5.", "0x1", " 1", "", "NaN", "9".repeat(400)]) {
    expect(of(number())(text)).toBe("must be a number");
  }
  expect(of(number({ max: 2 }))("2.1")).toBe("must be a number of at most 2");
  expect(z.object({ limit: integer().default(20) }).parse({})).toEqual({ limit: 20 });
});

test("a change has the fields that were sent, as the schema parses them", () => {
  const note = z.looseObject({
    text: z.string().optional(),
    color: z.string().default("red"),
    size: z.object({ width: z.number().default(1) }).optional(),
  });
  const change = sent(note);
  expect(change.parse({ text: "a", more: 1 })).toEqual({ text: "a", more: 1 });
  expect(change.parse({ color: "blue", size: {} })).toEqual({ color: "blue", size: { width: 1 } });
  for (const bad of [{ color: 1 }, { size: { width: "wide" } }, [], "text", null, undefined]) {
    const issues = (schema: z.ZodType) =>
      schema.safeParse(bad).error?.issues.map(({ path, message }) => [path, message]);
    expect(issues(change)).toEqual(issues(note) ?? []);
    expect(issues(change)).not.toBeEmpty();
  }
});

test("a change is held field by field against what is known of its item", () => {
  const taken = z.strictObject({
    text: z.string().min(1),
    color: z.string().default("red"),
    rank: z.int().optional(),
  });
  const answered = z.strictObject({ id: z.string(), text: z.string(), done: z.boolean() });
  const change = part(taken, answered);
  const said = (value: unknown) =>
    change.safeParse(value).error?.issues.map(({ path }) => path.join("."));
  expect(change.parse({ done: true })).toEqual({ done: true });
  expect(change.parse({ rank: null, color: null })).toEqual({ rank: null, color: null });
  expect(change.parse({})).toEqual({});
  expect(said({ text: "" })).toEqual(["text"]);
  expect(said({ text: null, rank: "1", done: 1 })).toEqual(["text", "rank", "done"]);
  expect(said({ other: 1 })).toEqual([""]);
  expect(said([])).toEqual([""]);
  // Who takes other fields takes them in a change too.
  expect(part(z.looseObject({ text: z.string() }), answered).parse({ other: 1 })).toEqual({
    other: 1,
  });
});

test("a page has items of its type", () => {
  const page = pageOf(z.looseObject({ id: z.string() }));
  const said = { items: [{ id: "a" }], total: 1, next_cursor: null };
  expect(page.parse(said)).toEqual(said);
  expect(page.safeParse({ ...said, items: [{ id: 1 }] }).success).toBe(false);
});
