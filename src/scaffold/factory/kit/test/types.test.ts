import { expect, test } from "bun:test";
import { z } from "zod";
import { createService } from "../src/index.ts";
import { testEnv } from "../src/testing.ts";
import { characters, exactlyOne, integerText, oneOf, unique } from "../src/types.ts";

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
  expect(characters({ min: 2 })[1]).toBe("must have at least 2 characters");
  expect(characters({ min: 2, max: 3 })[1]).toBe("must have at least 2 and at most 3 characters");
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
