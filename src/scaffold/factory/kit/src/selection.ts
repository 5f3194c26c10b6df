/** Which items a list has, and in which order: what a caller asks for as SQLite is asked. */
import type { SQLQueryBindings } from "bun:sqlite";
import { ServiceError } from "./envelope.ts";

/** Which items a list has: its page, and what they must have. */
export interface Selection {
  limit?: number | undefined;
  offset?: number | undefined;
  /** The number of a page of `limit` items, from 1. */
  page?: number | undefined;
  /** `next_cursor` of the page before. */
  after?: string | number | undefined;
  /** How an item's id begins. */
  prefix?: string | undefined;
  /** A text that is somewhere in its values. */
  search?: string | undefined;
  /** The field by which they are ordered: `rank`, `-rank` or `rank:desc`; `newest` or `oldest`. */
  sort?: string | undefined;
  /** `asc` or `desc`. */
  order?: string | undefined;
  /** The time at or after which they were made: a time with its zone, or a day. */
  since?: string | undefined;
  /** The time until which. */
  until?: string | undefined;
  /** Fields as they must be. */
  match?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Those of them that no item has: whoever asks for one is told, and not that there is nothing. */
  lacks?: readonly string[] | undefined;
}

/** What of a collection its selections depend on. */
interface Kept {
  numbers?: boolean;
  status?: string;
}

/** A part of a query, and what stands for its question marks. */
export interface Clause {
  sql: string;
  bound: SQLQueryBindings[];
}

/** A time that is told apart from any other: with its zone. */
export const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/i;
const DEFAULT_LIMIT = 20;
const MAX_LIMIT = 1000;
/** A field of what is kept; null where SQLite reads no JSON in it, as in what is nested too deep. */
const FIELD = "CASE WHEN json_valid(value) THEN json_extract(value, ?) END";
/** Whether a text stands in one of an item's values; the names of its fields don't count. */
const SAYS = `EXISTS (
  SELECT 1 FROM json_tree(CASE WHEN json_valid(items.value) THEN items.value ELSE '{}' END)
  WHERE type IN ('text', 'integer', 'real') AND instr(lower(atom), lower(?)) > 0
)`;

/** A selection as parts of a query; `next` is the cursor after a page's last item. */
export function chosen(collection: Kept, selection: Selection) {
  const limit = Math.min(whole("limit", selection.limit) ?? DEFAULT_LIMIT, MAX_LIMIT);
  const page = whole("page", selection.page, 1) ?? 1;
  const offset = whole("offset", selection.offset) ?? (page - 1) * limit;
  const conditions: Clause[] = [];
  const { prefix, search, since, until } = selection;
  if (prefix) conditions.push({ sql: "substr(id, 1, ?) = ?", bound: [prefix.length, prefix] });
  if (search) conditions.push({ sql: SAYS, bound: [search] });
  if (since)
    conditions.push({ sql: "created_at >= ?", bound: [timeOf("since", since, "00:00:00")] });
  if (until)
    conditions.push({ sql: "created_at <= ?", bound: [timeOf("until", until, "23:59:59.999")] });
  for (const [field, wanted] of Object.entries(selection.match ?? {})) {
    if (wanted === undefined) continue;
    if (selection.lacks?.includes(field)) {
      throw new ServiceError(501, "not_implemented", `${field}: nothing that is kept has it.`);
    }
    const { sql, bound } = columnOf(collection, field);
    const plain = typeof wanted === "boolean" ? Number(wanted) : wanted;
    conditions.push({ sql: `${sql} = ?`, bound: [...bound, plain] });
  }
  const { field, falls } = orderOf(selection);
  const way = falls ? "DESC" : "ASC";
  const after = cursorOf(selection.after);
  if (field === undefined) {
    const from = { sql: `seq ${falls ? "<" : ">"} ?`, bound: [after ?? 0] };
    const order = { sql: `seq ${way}`, bound: [], from: after === undefined ? undefined : from };
    return { conditions, order, limit, offset, next: (seq: number) => seq };
  }
  const { sql, bound } = columnOf(collection, field);
  // Those that lack the field come last.
  const order = {
    sql: `(${sql}) IS NULL, ${sql} ${way}, seq ${way}`,
    bound: [...bound, ...bound],
    from: undefined,
  };
  // By a field, nothing but how many came before tells where a page ended.
  const before = after ?? offset;
  return { conditions, order, limit, offset: before, next: () => before + limit };
}

/** What chooses a page, by the names that callers have for it. */
const NAMES: Readonly<Record<string, keyof Selection>> = {
  limit: "limit",
  per_page: "limit",
  page_size: "limit",
  offset: "offset",
  page: "page",
  after: "after",
  cursor: "after",
  starting_after: "after",
  page_token: "after",
  next_token: "after",
  prefix: "prefix",
  q: "search",
  search: "search",
  query: "search",
  text: "search",
  sort: "sort",
  sort_by: "sort",
  order: "order",
};

/** A selection as a body says it. */
export function said(body: object): Selection {
  const selection: Record<string, unknown> = {};
  const match: Record<string, string | number | boolean> = {};
  for (const [field, wanted] of Object.entries(body)) {
    if (wanted === null) continue;
    const name = Object.hasOwn(NAMES, field) ? NAMES[field] : undefined;
    const counts = ["limit", "offset", "page"].includes(name ?? "");
    const kinds = counts ? ["number"] : ["string", ...(name ? [] : ["number", "boolean"])];
    if (!kinds.includes(typeof wanted)) throw invalid(`${field}: must be a ${kinds.join(" or ")}`);
    if (!name && !/^[A-Za-z_]\w{0,63}$/.test(field)) throw invalid(`${field}: is no field's name`);
    if (name) selection[name] = wanted;
    else match[field] = wanted as string | number | boolean;
  }
  return { ...selection, match };
}

/** Where a field of an item is in SQLite. */
function columnOf(collection: Kept, field: string): Clause {
  if (field === "created_at") return { sql: field, bound: [] };
  if (field === "id") return { sql: collection.numbers ? "CAST(id AS INTEGER)" : "id", bound: [] };
  const path = `$."${field}"`;
  if (field !== "status" || collection.status === undefined) return { sql: FIELD, bound: [path] };
  // What was kept before there were statuses has the first.
  return { sql: `coalesce(${FIELD}, ?)`, bound: [path, collection.status] };
}

/** By which field a list is ordered, if by any, and whether the greatest comes first. */
function orderOf({ sort, order }: Selection): { field: string | undefined; falls: boolean } {
  const ways: Record<string, boolean> = {
    asc: false,
    ascending: false,
    desc: true,
    descending: true,
  };
  const said = order ? ways[order.toLowerCase()] : undefined;
  if (order && said === undefined) throw invalid("order: must be asc or desc");
  if (!sort) return { field: undefined, falls: said ?? true };
  const [, minus, name = "", way] = /^(-?)([A-Za-z_]\w{0,63})(?::(asc|desc))?$/.exec(sort) ?? [];
  if (name === "") throw invalid("sort: must be a field's name, or one with - before it");
  const ages: Record<string, boolean> = { newest: true, latest: true, oldest: false };
  const falls = said ?? (way ? way === "desc" : minus === "-");
  if (Object.hasOwn(ages, name)) return { field: undefined, falls: ages[name] ?? true };
  return { field: name === "created_at" ? undefined : name, falls };
}

/** Where a page before ended. */
function cursorOf(after: string | number | undefined): number | undefined {
  if (after === undefined || after === "") return undefined;
  if (!/^\d{1,15}$/.test(String(after))) {
    throw invalid("cursor: must be next_cursor of the page before");
  }
  return Number(after);
}

/** A time as items have theirs; `hour` is that of a day alone. */
function timeOf(name: string, said: string, hour: string): string {
  const whole = /^\d{4}-\d\d-\d\d$/.test(said) ? `${said}T${hour}Z` : said;
  const time = TIME.test(whole) ? new Date(whole) : undefined;
  if (time === undefined || Number.isNaN(time.getTime())) {
    throw invalid(`${name}: must be a time such as 2030-01-31T12:00:00Z, or a day`);
  }
  return time.toISOString();
}

/** A number that counts something. */
function whole(name: string, value: number | undefined, least = 0): number | undefined {
  if (value !== undefined && !(Number.isSafeInteger(value) && value >= least)) {
    throw invalid(`${name}: must be a whole number of at least ${least}`);
  }
  return value;
}

/** The refusal of a value that can't be meant. */
export const invalid = (text: string) => new ServiceError(400, "validation_error", text);
