import { expect, test } from "bun:test";
import { validate } from "../src/schema.ts";

const schema = {
  type: "object",
  required: ["id"],
  properties: { id: { type: "string" }, port: { type: "integer" } },
};

test.each([
  [{ spec: "id: a\nport: 1" }],
  [{ spec: { id: "a" } }],
  [{ yaml: "id: a" }],
  [{ spec: { id: "a" }, more: 1 }],
])("a document that fits is valid: %p", (body) => {
  expect(validate(schema, body)).toEqual({ valid: true, errors: [] });
});

test("every problem is named by its path", () => {
  const { valid, errors } = validate(schema, { spec: "port: many" });
  expect(valid).toBe(false);
  expect(errors).toHaveLength(2);
  expect(errors.join("\n")).toContain("id: ");
  expect(errors.join("\n")).toContain("port: ");
  expect(validate(schema, { spec: "- a" }).errors[0]).toStartWith("document: ");
});

test.each([[{}], [{ spec: "" }], [{ a: 1, b: 2 }], [{ spec: "a: [" }]])(
  "what is no document is 400 with the route's code: %p",
  (body) => {
    expect(() => validate(schema, body, "bad_spec")).toThrow(
      expect.objectContaining({ status: 400, code: "bad_spec" }),
    );
  },
);
