/** Documents held against a JSON Schema. */
import { z } from "zod";
import { ServiceError } from "./envelope.ts";

/** What is wrong with a document. */
export interface Verdict {
  valid: boolean;
  /** A line for each problem: the field's path, and what it must be. */
  errors: string[];
}

/** A JSON Schema, as a file has it. */
export type JsonSchema = Parameters<typeof z.fromJSONSchema>[0];

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
  const result = z.fromJSONSchema(schema as JsonSchema).safeParse(document);
  if (result.success) return { valid: true, errors: [] };
  const line = (issue: z.core.$ZodIssue) =>
    `${issue.path.join(".") || "document"}: ${issue.message}`;
  return { valid: false, errors: result.error.issues.map(line) };
}

function parsed(text: string, code: string): unknown {
  try {
    return Bun.YAML.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ServiceError(400, code, `spec: is no YAML: ${reason}`);
  }
}
