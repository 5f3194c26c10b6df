/** Documents held against a JSON Schema. */
import { Validator } from "@cfworker/json-schema";
import { ServiceError } from "./envelope.ts";

/** What is wrong with a document. */
export interface Verdict {
  valid: boolean;
  /** A line for each problem: the field's path, and what it must be. */
  errors: string[];
}

/** A JSON Schema of the draft 2020-12, as a file has it. */
export type JsonSchema = ConstructorParameters<typeof Validator>[0];

/** Keywords that fail because of something within, which is named itself. */
const AROUND = [
  "$ref",
  "additionalProperties",
  "allOf",
  "if",
  "items",
  "patternProperties",
  "properties",
  "propertyNames",
];

/**
 * Holds the document in a body against a schema: the field `spec`, or the only
 * one there is. A text is read as YAML; one that is none is 400.
 */
export function validate(
  schema: unknown,
  body: Readonly<Record<string, unknown>>,
  code = "invalid_request",
): Verdict {
  const only = Object.values(body).length === 1 ? Object.values(body)[0] : undefined;
  const given = body["spec"] ?? only;
  if (given === undefined || given === "") {
    throw new ServiceError(400, code, "spec: must be a document");
  }
  const document = typeof given === "string" ? parsed(given, code) : given;
  const { valid, errors } = new Validator(schema as JsonSchema, "2020-12", false).validate(
    document,
  );
  const named = errors.filter(({ keyword }) => !AROUND.includes(keyword));
  const line = ({ keyword, instanceLocation, error }: (typeof errors)[number]) => {
    const path = instanceLocation.slice(2).split("/").map(plain);
    const lacking = keyword === "required" ? /"(.*)"/.exec(error)?.[1] : undefined;
    if (lacking !== undefined) path.push(lacking);
    const text = keyword === "false" ? "Is no key of the format." : error;
    const said = lacking === undefined ? text : "Is not there.";
    return `${path.filter(Boolean).join(".") || "document"}: ${said}`;
  };
  return { valid, errors: named.map(line) };
}

/** A part of a JSON Pointer, as a reference has it. */
function plain(part: string): string {
  return decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
}

function parsed(text: string, code: string): unknown {
  try {
    return Bun.YAML.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ServiceError(400, code, `spec: is no YAML: ${reason}`);
  }
}
