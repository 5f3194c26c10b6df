/** What an item of a store is: its name, its fields, and when it ends. */
import type { z } from "zod";
import type { Codes, Refusal } from "./refusals.ts";
import { type Clause, invalid, TIME } from "./selection.ts";
import { type Ids, placeOf } from "./table.ts";

/** A collection, and its rules. */
export interface Collection {
  /** What its items are stored under, which is where they lie: a path. */
  name: string;
  /** What callers are told that they are. */
  noun?: string;
  /** The field by which callers name an item; without it an id is made. */
  key?: string;
  /** Whether names and ids are whole numbers; those that are made count up. */
  numbers?: boolean;
  /** The collection of the items that these lie within. */
  within?: Collection;
  /** How many parts of their path that name no item are between that item and these. */
  below?: number;
  /** Whether items lie apart by parts of their path that name no item, and within none. */
  apart?: boolean;
  /** Whether names, and what there is one of, are each wallet's own. */
  own?: boolean;
  /** Whether every wallet may put its own into what these lie within. */
  joined?: boolean;
  /** Whether some are made for nothing still: what has no owner is every wallet's to change then. */
  unowned?: boolean;
  /** The status that an item begins with. */
  status?: string;
  /**
   * Whether an item may say how long it lives: `ttl` or `expires_in` in seconds, `ttl_ms`,
   * or `expires_at` as a time.
   */
  ends?: boolean;
  /** How many one wallet may have. */
  most?: number;
  /** Numbers of an item that begin at nothing. */
  counts?: readonly string[];
  /** The field that says when an item was last changed. */
  changed?: string;
}

/** For whom, within what, and with what codes something is done. */
export interface Scope {
  /** The wallet that asks; undefined where nobody can be told apart. */
  owner?: string | undefined;
  /** Whether items are seen whosever they are. */
  anyone?: boolean;
  /** Whether those are among them that their owners alone see. */
  everything?: boolean;
  /** Path parameters before the item's own, the outermost first. */
  within?: readonly (string | undefined)[] | undefined;
  /** Refusals, where the route declares others than the usual. */
  codes?: Codes;
  /** Fields that no two items have alike, and what is answered where one does. */
  unique?: Readonly<Record<string, Refusal>>;
  /** What each of several must be that are made at once. */
  each?: z.ZodType<object>;
}

/** What an item is called, as it came. */
export type Id = string | number | undefined;

/** Bytes as they were stored. */
export interface Stored {
  type: string;
  bytes: Uint8Array<ArrayBuffer>;
  /** A query that may say how long they live. */
  lasts?: object;
}

/** What is done to a number of an item. */
export interface Step {
  field: string;
  /** 1 adds, -1 takes away, 0 sets it to nothing. */
  way: number;
  /** Whether an item that is not there is made. */
  makes?: boolean;
}

/** Something that was stored, as callers see it. */
export interface Item {
  id: string | number;
  created_at: string;
  [field: string]: unknown;
}

/** An item as it is stored. */
export interface Row {
  seq: number;
  place: string;
  /** The wallet whose own its name is; empty where names are everybody's. */
  space: string;
  id: string;
  owner: string | null;
  created_at: string;
  ends_at: number | null;
  gone: number;
  value: string;
}

/** Fields by which an item says how long it lives. */
const SPANS = ["ttl", "ttl_seconds", "expires_in", "ttl_ms"];
/** Fields by which it says when it ends. */
const ENDS = ["expires_at", "expiresAt", "expires"];
/** All of them. */
const TIMES = [...SPANS, ...ENDS];

/** Where what lies within an item lies, below parts of a path that name none. */
export const within = (seq: number, between: Ids = []) => `#${seq}${placeOf(between)}`;

/** All that lies within an item. */
export function inside(seq: number): Clause {
  const place = within(seq);
  return { sql: "(place = ? OR place LIKE ? || '[%')", bound: [place, place] };
}

/** An item's name as it is stored: addresses have one spelling. */
export function named(id: unknown): string {
  const text = String(id ?? "");
  return /^0x[0-9a-fA-F]{40}$/.test(text) ? text.toLowerCase() : text;
}

/** The same as callers see it; what was called otherwise before names were numbers still is. */
export function nameOf(collection: Collection, id: string): string | number {
  return collection.numbers && /^-?\d+$/.test(id) ? Number(id) : id;
}

/** An item's fields; what was kept before there were statuses has the first. */
export function fieldsOf(collection: Collection, row: Row): Record<string, unknown> {
  const first = collection.status === undefined ? {} : { status: collection.status };
  return { ...first, ...JSON.parse(row.value) };
}

export function itemOf(collection: Collection, row: Row): Item {
  const ends = row.ends_at === null ? {} : { expires_at: new Date(row.ends_at).toISOString() };
  const id = nameOf(collection, row.id);
  return { ...fieldsOf(collection, row), id, created_at: row.created_at, ...ends };
}

/** Fields that an item keeps whatever it is given. */
export function fixed(collection: Collection): string[] {
  return [collection.key ?? "", collection.status ? "status" : ""].filter(Boolean);
}

/** What of an item's fields that is. */
export function fixedOf(collection: Collection, fields: object): Record<string, unknown> {
  const kept = fixed(collection);
  return Object.fromEntries(Object.entries(fields).filter(([field]) => kept.includes(field)));
}

/** Fields with what the store itself has of them: numbers from nothing on, and when it is. */
export function counted(collection: Collection, fields: object, now: string): object {
  const counts = collection.counts?.map((field) => [field, 0]) ?? [];
  const changed = collection.changed === undefined ? {} : { [collection.changed]: now };
  return { ...Object.fromEntries(counts), ...fields, ...changed };
}

/** The others. */
export function free(collection: Collection, value: object): Record<string, unknown> {
  const kept = fixed(collection);
  return Object.fromEntries(Object.entries(value).filter(([field]) => !kept.includes(field)));
}

/** Fields over fields, where null takes one away. */
export function merged(base: Record<string, unknown>, value: object): Record<string, unknown> {
  const all = Object.entries({ ...base, ...value });
  return Object.fromEntries(all.filter(([, field]) => field !== null));
}

/** When an item ends, in milliseconds, where it says so. */
export function endOf(value: Record<string, unknown>): number | undefined {
  const seconds = value["ttl"] ?? value["ttl_seconds"] ?? value["expires_in"];
  // Seconds that are no number are refused, not taken for an item that never ends.
  const span = typeof seconds === "number" ? seconds * 1000 : (seconds ?? value["ttl_ms"] ?? null);
  if (span === null) return timeOf(value);
  const end = Date.now() + Number(span);
  if (typeof span !== "number" || !(span > 0) || !Number.isFinite(new Date(end).getTime())) {
    throw invalid("ttl: must be a number above 0");
  }
  return end;
}

/** The same where it says a time. */
function timeOf(value: Record<string, unknown>): number | undefined {
  // A number there may be anything.
  const field = ENDS.find((name) => typeof value[name] === "string");
  if (field === undefined) return undefined;
  const said = String(value[field]);
  const end = TIME.test(said) ? Date.parse(said) : Number.NaN;
  if (!(end > Date.now())) {
    throw invalid(`${field}: must be a time to come such as 2030-01-31T12:00:00Z`);
  }
  return end;
}

/** Whether fields say anew when an item ends. */
export const says = (value: object) => TIMES.some((field) => field in value);

/** Fields without what they say of when an item ends. */
export function timeless(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !TIMES.includes(name)));
}

/** By how much a body says that a number changes; by one unless it says so. */
export function amount(body: object): number {
  const fields: Record<string, unknown> = { ...body };
  const by = ["by", "amount", "delta", "value", "count"].find((field) => fields[field] != null);
  const said = by === undefined ? 1 : fields[by];
  if (typeof said !== "number") throw invalid(`${by}: must be a number`);
  return said;
}

/** What a body says that a number which is not there begins with. */
export function beginning(body: object): number | undefined {
  const fields: Record<string, unknown> = { ...body };
  const by = ["initial", "initial_value", "initialValue"].find((field) => fields[field] != null);
  const said = by === undefined ? undefined : fields[by];
  if (said !== undefined && typeof said !== "number") throw invalid(`${by}: must be a number`);
  return said;
}

/** What fields say of when an item ends. */
export function spansOf(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([name]) => TIMES.includes(name)));
}

/** What there is to say about bytes. */
export function about({ type, bytes, lasts = {} }: Stored) {
  return lasting({ content_type: type, size: bytes.byteLength }, lasts);
}

/** Fields, and how long a query says that they live; what they say themselves counts for less. */
export function lasting(fields: object, query: object): Record<string, unknown> {
  const said = Object.entries(query).filter(([name, span]) => SPANS.includes(name) && span != null);
  const spans = said.map(([name, span]) => [name, Number(span === "" ? Number.NaN : span)]);
  if (spans.length === 0) return { ...fields };
  const others = Object.entries(fields).filter(([name]) => !SPANS.includes(name));
  return Object.fromEntries([...others, ...spans]);
}

/** The objects of the only list in a body, each as `schema` makes it. */
export function objectsOf(body: object, schema?: z.ZodType<object>): object[] {
  const lists = Object.values(body).filter((one): one is unknown[] => Array.isArray(one));
  const [given] = lists;
  if (given === undefined || lists.length > 1) throw invalid("body: must have one list of items");
  return given.map((one, at) => {
    if (typeof one !== "object" || one === null || Array.isArray(one)) {
      throw invalid(`${at}: must be an object`);
    }
    const parsed = schema?.safeParse(one);
    if (parsed === undefined || parsed.success) return parsed?.data ?? one;
    const problems = parsed.error.issues.map((i) => `${[at, ...i.path].join(".")}: ${i.message}`);
    throw invalid(problems.join("; "));
  });
}

/** A word that nobody has guessed: 13 letters and digits without those that look alike. */
export function short(): string {
  const letters = "23456789abcdefghjkmnpqrstuvwxyz";
  const bytes = crypto.getRandomValues(new Uint8Array(13));
  return [...bytes].map((byte) => letters[byte % letters.length]).join("");
}
