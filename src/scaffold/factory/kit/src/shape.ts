/**
 * Answers of the store in the shape that a document declares: a list under the name
 * that its type has for it, an item within what is around it, fields by the names that
 * they have there. What is in that shape already stays as it is.
 */
import type { z } from "zod";

interface Schema {
  type?: string | string[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: unknown;
  items?: Schema;
  anyOf?: Schema[];
  const?: unknown;
  default?: unknown;
}

type Fields = Record<string, unknown>;

/** What a list of the store has beside its items, by the names that types have for it. */
const BESIDE: Readonly<Record<string, (page: Page) => unknown>> = {
  total: ({ total }) => total,
  count: ({ total }) => total,
  total_count: ({ total }) => total,
  totalCount: ({ total }) => total,
  next_cursor: ({ next_cursor }) => next_cursor,
  nextCursor: ({ next_cursor }) => next_cursor,
  cursor: ({ next_cursor }) => next_cursor,
  next: ({ next_cursor }) => next_cursor,
  has_more: ({ next_cursor }) => next_cursor !== null,
  hasMore: ({ next_cursor }) => next_cursor !== null,
};

/** Fields of the store's, by the names that types have for them. */
const NAMES: Readonly<Record<string, string>> = {
  createdAt: "created_at",
  created: "created_at",
  expiresAt: "expires_at",
  expires: "expires_at",
  uuid: "id",
};

/** Words that say that something was done. */
const DONE = ["ok", "success", "deleted", "removed", "done", "cleared"];

interface Page {
  items: Fields[];
  total: number;
  next_cursor: string | null;
}

const schemas = new WeakMap<z.ZodType, Promise<Schema>>();

/** An answer in the shape of a type. */
export async function shaped(type: z.ZodType, answer: unknown): Promise<unknown> {
  if (!isObject(answer)) return answer;
  let schema = schemas.get(type);
  if (schema === undefined) {
    // Zod is loaded already, by whatever made the type.
    schema = import("zod").then(
      ({ z }) => z.toJSONSchema(type, { io: "input", unrepresentable: "any" }) as Schema,
    );
    schemas.set(type, schema);
  }
  return fitted(plain(await schema), answer);
}

function fitted(schema: Schema, answer: Fields): unknown {
  if (isPage(answer)) return list(schema, answer);
  const around = Object.entries(schema.properties ?? {}).filter(([, of]) => isOf(of, "object"));
  const [[name, inner] = ["", {}]] = around;
  const others = Object.keys(schema.properties ?? {}).filter((other) => other !== name);
  const within = around.length === 1 && !(name in answer) && !others.some((o) => o in answer);
  return within ? item(schema, { [name]: item(plain(inner), answer) }) : item(schema, answer);
}

/** A list, alone or under the only array that its type has. */
function list(schema: Schema, page: Page): unknown {
  if (isOf(schema, "array")) return page.items.map((one) => item(plain(schema.items ?? {}), one));
  const properties = schema.properties ?? {};
  const arrays = Object.keys(properties).filter((name) => isOf(properties[name] ?? {}, "array"));
  const name = arrays.includes("items") || arrays.length !== 1 ? "items" : (arrays[0] ?? "items");
  const entries = plain(properties[name]?.items ?? {});
  const { items, ...rest } = page;
  const beside = Object.entries(BESIDE).filter(([field]) => field in properties);
  const said = beside.map(([field, say]) => [field, say(page)] as const);
  // What is said is of the type, and where nothing follows there may be no word for it.
  const known = said.filter(([field, value]) => value !== null || takesNull(properties[field]));
  const all = { ...rest, [name]: items.map((one) => item(entries, one)) };
  const optional = said.filter(([field]) => !known.some(([other]) => other === field));
  for (const [field] of optional) delete (all as Fields)[field];
  return item(schema, { ...all, ...Object.fromEntries(known) });
}

/** An object with the fields that its type has; with others where it takes others. */
function item(schema: Schema, answer: Fields): Fields {
  const properties = schema.properties;
  if (properties === undefined) return answer;
  const fields: Fields = { ...answer };
  for (const [name, of] of Object.entries(properties)) {
    const wanted = schema.required?.includes(name) ?? false;
    const value = Object.hasOwn(answer, name)
      ? answer[name]
      : found(name, plain(of), of, answer, wanted);
    if (value !== undefined) fields[name] = cast(plain(of), value);
  }
  if (schema.additionalProperties !== false) return fields;
  return Object.fromEntries(
    Object.entries(fields).filter(([name]) => Object.hasOwn(properties, name)),
  );
}

/** What a field is that an answer lacks, where that is known. */
function found(
  name: string,
  schema: Schema,
  said: Schema,
  answer: Fields,
  wanted: boolean,
): unknown {
  const known = NAMES[name] === undefined ? undefined : answer[NAMES[name]];
  if (known !== undefined) return known;
  if (schema.default !== undefined) return schema.default;
  if (!wanted) return undefined;
  if (schema.const !== undefined) return schema.const;
  if (DONE.includes(name) && isOf(schema, "boolean")) return true;
  // `{count}` under another name.
  const count = Object.keys(answer).length === 1 ? answer["count"] : undefined;
  if (typeof count === "number" && (isOf(schema, "integer") || isOf(schema, "number")))
    return count;
  if (/(_id|Id)$/.test(name) && answer["id"] !== undefined) return answer["id"];
  return takesNull(said) ? null : undefined;
}

/** A value of the kind that is wanted: how many were deleted, or whether. */
function cast(schema: Schema, value: unknown): unknown {
  if (typeof value === "number" && isOf(schema, "boolean")) return value > 0;
  if (typeof value === "boolean" && isOf(schema, "integer")) return Number(value);
  return value;
}

/** A type without the null that it may be. */
function plain(schema: Schema): Schema {
  const some = schema.anyOf?.filter((one) => one.type !== "null") ?? [];
  return some.length === 1 && some[0] !== undefined ? { ...schema, ...some[0] } : schema;
}

function takesNull(schema: Schema | undefined): boolean {
  if (schema === undefined) return true;
  return [schema.type].flat().includes("null") || (schema.anyOf?.some(takesNull) ?? false);
}

function isOf(schema: Schema, kind: string): boolean {
  return plain(schema).type === kind;
}

function isPage(answer: Fields): answer is Fields & Page {
  return Array.isArray(answer["items"]) && "total" in answer && "next_cursor" in answer;
}

function isObject(value: unknown): value is Fields {
  return (
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof Response)
  );
}
