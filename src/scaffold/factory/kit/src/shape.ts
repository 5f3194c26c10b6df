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

/** Words that say that something was done away with: of anything else they are its own. */
const DONE = ["ok", "success", "deleted", "removed", "done", "cleared"];
/** Fields of an answer that says no more than that all went well. */
const WENT_WELL = ["ok", "success", "id"];

/** What is known of an answer beside it. */
export interface Asked {
  method: string;
  /** The parameters of the path. */
  params: Readonly<Record<string, string>>;
  /** Fields that are an item's own id. */
  ids?: readonly string[] | undefined;
  /** Whether anybody may see it, who then sees the fields that its type names and no others. */
  free: boolean;
}

interface Page {
  items: Fields[];
  total: number;
  next_cursor: string | null;
}

const schemas = new WeakMap<z.ZodType, Promise<Schema>>();

/** An answer in the shape of a type. */
export async function shaped(type: z.ZodType, answer: unknown, asked: Asked): Promise<unknown> {
  if (!isObject(answer)) return answer;
  let schema = schemas.get(type);
  if (schema === undefined) {
    // Zod is loaded already, by whatever made the type.
    schema = import("zod").then(
      ({ z }) => z.toJSONSchema(type, { io: "input", unrepresentable: "any" }) as Schema,
    );
    schemas.set(type, schema);
  }
  return fitted(plain(await schema), answer, asked);
}

function fitted(schema: Schema, answer: Fields, asked: Asked): unknown {
  if (isPage(answer)) return list(schema, answer, asked);
  const around = Object.entries(schema.properties ?? {}).filter(([, of]) => isOf(of, "object"));
  const [[name, inner] = ["", {}]] = around;
  const others = Object.keys(schema.properties ?? {}).filter((other) => other !== name);
  const within = around.length === 1 && !(name in answer) && !others.some((o) => o in answer);
  if (!within) return item(schema, answer, asked);
  return item(schema, { [name]: item(plain(inner), answer, asked) }, asked);
}

/** A list, alone or under the only array that its type has. */
function list(schema: Schema, page: Page, asked: Asked): unknown {
  const each = (entries: Schema) => page.items.map((one) => item(plain(entries), one, asked));
  if (isOf(schema, "array")) return each(schema.items ?? {});
  const properties = schema.properties ?? {};
  const arrays = Object.keys(properties).filter((name) => isOf(properties[name] ?? {}, "array"));
  const name = arrays.includes("items") || arrays.length !== 1 ? "items" : (arrays[0] ?? "items");
  const { items: _, ...rest } = page;
  const beside = Object.entries(BESIDE).filter(([field]) => field in properties);
  const said = beside.map(([field, say]) => [field, say(page)] as const);
  // What is said is of the type, and where nothing follows there may be no word for it.
  const known = said.filter(([field, value]) => value !== null || takesNull(properties[field]));
  const all = { ...rest, [name]: each(plain(properties[name] ?? {}).items ?? {}) };
  const optional = said.filter(([field]) => !known.some(([other]) => other === field));
  for (const [field] of optional) delete (all as Fields)[field];
  return item(schema, { ...all, ...Object.fromEntries(known) }, asked);
}

/** An object with the fields that its type has; with others where it takes others. */
function item(schema: Schema, answer: Fields, asked: Asked): Fields {
  const properties = schema.properties;
  if (properties === undefined) return answer;
  const fields: Fields = { ...answer };
  for (const [name, of] of Object.entries(properties)) {
    const value = Object.hasOwn(answer, name)
      ? answer[name]
      : found(name, schema, of, answer, asked);
    if (value !== undefined) fields[name] = cast(plain(of), value);
  }
  if (asked.free) return told(schema, fields) as Fields;
  return schema.additionalProperties === false ? named(properties, fields) : fields;
}

/** What a type names of a value, all the way down; all of it where the type says that there is more. */
function told(schema: Schema, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((one) => told(plain(schema.items ?? {}), one));
  const properties = schema.properties ?? {};
  const more = schema.additionalProperties;
  const open = more === true || (isObject(more) && Object.keys(more).length > 0);
  if (!isObject(value) || Object.keys(properties).length === 0) return value;
  const fields = Object.entries(open ? value : named(properties, value)).map(
    ([name, field]) => [name, told(plain(properties[name] ?? {}), field)] as const,
  );
  return Object.fromEntries(fields);
}

/** The fields that a type names. */
function named(properties: Record<string, Schema>, fields: Fields): Fields {
  const known = Object.entries(fields).filter(([name]) => Object.hasOwn(properties, name));
  return Object.fromEntries(known);
}

/** What a field is that an answer lacks, where that is known. */
function found(name: string, whole: Schema, said: Schema, answer: Fields, asked: Asked): unknown {
  const schema = plain(said);
  const known = NAMES[name] === undefined ? undefined : answer[NAMES[name]];
  if (known !== undefined) return known;
  if (schema.default !== undefined) return schema.default;
  if (!(whole.required ?? []).includes(name)) return undefined;
  if (schema.const !== undefined) return schema.const;
  if (isOf(schema, "boolean") && isDone(name, whole, answer, asked)) return true;
  // How many there are or were, under another name: of several numbers nobody knows which it is.
  const [[word, count] = ["", undefined], more] = Object.entries(answer);
  const counts = more === undefined && ["count", "deleted"].includes(word);
  if (counts && typeof count === "number" && isNumber(schema) && isCount(name, whole)) return count;
  // What lies within something has its name in the path, and of ids one is its own.
  if (Object.hasOwn(asked.params, name)) return asked.params[name];
  if (asked.ids?.includes(name) && answer["id"] !== undefined) return answer["id"];
  return takesNull(said) ? null : undefined;
}

/** Whether a field says truly that something was done. */
function isDone(name: string, whole: Schema, answer: Fields, asked: Asked): boolean {
  const gone = "deleted" in answer && !("created_at" in answer);
  if (DONE.includes(name) && (asked.method === "DELETE" || gone)) return true;
  const all = Object.keys(whole.properties ?? {});
  return WENT_WELL.includes(name) && all.every((field) => WENT_WELL.includes(field));
}

/** Whether a number is a count's. */
function isCount(name: string, whole: Schema): boolean {
  const others = Object.entries(whole.properties ?? {}).filter(([other, of]) => {
    return other !== name && (whole.required ?? []).includes(other) && isNumber(of);
  });
  return others.length === 0 || ["total", "total_count", "totalCount"].includes(name);
}

function isNumber(schema: Schema): boolean {
  return isOf(schema, "integer") || isOf(schema, "number");
}

/** A value of the kind that is wanted: how many were deleted, or whether. */
function cast(schema: Schema, value: unknown): unknown {
  if (typeof value === "number" && isOf(schema, "boolean")) return value > 0;
  if (typeof value === "boolean" && isOf(schema, "integer")) return Number(value);
  // A parameter of the path is a text.
  if (typeof value === "string" && isNumber(schema) && /^-?\d+$/.test(value)) return Number(value);
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
