/**
 * What a service keeps: collections of JSON objects and of bytes in one SQLite
 * file. An item belongs to the wallet that paid for it, may lie within an item
 * of another collection, and may end by itself. Refusals are thrown with the
 * codes that the route declares.
 */
import { Database, type SQLQueryBindings } from "bun:sqlite";
import type { Env } from "./config.ts";
import { type Codes, refusal } from "./refusals.ts";
import { Repeats } from "./repeats.ts";
import { type Clause, chosen, invalid, type Selection } from "./selection.ts";
import { undoable } from "./undo.ts";

export type { Selection } from "./selection.ts";

/** A collection, and its rules. */
export interface Collection {
  name: string;
  /** The field by which callers name an item; without it an id is made. */
  key?: string;
  /** Whether names and ids are whole numbers; those that are made count up. */
  numbers?: boolean;
  /** The collection of the items that these lie within. */
  within?: Collection;
  /** Whether items lie apart by parts of their path that name no item: each wallet has its own. */
  apart?: boolean;
  /** Whether anybody reads them: then what lies apart does so for all wallets alike. */
  shared?: boolean;
  /** The status that an item begins with. */
  status?: string;
  /** Whether an item may say how long it lives: `ttl` or `expires_in` in seconds, or `ttl_ms`. */
  ends?: boolean;
  /** How many one wallet may have. */
  most?: number;
}

/** For whom, within what, and with what codes something is done. */
export interface Scope {
  /** The wallet that asks; undefined where nobody can be told apart. */
  owner?: string | undefined;
  /** Whether items are seen whosever they are. */
  anyone?: boolean;
  /** Path parameters before the item's own, the outermost first. */
  within?: readonly (string | undefined)[] | undefined;
  /** Refusals, where the route declares others than the usual. */
  codes?: Codes;
}

/** What an item is called, as it came. */
export type Id = string | number | undefined;

/** Something that was stored, as callers see it. */
export interface Item {
  id: string | number;
  created_at: string;
  [field: string]: unknown;
}

/** Bytes as they were stored. */
export interface Stored {
  type: string;
  bytes: Uint8Array<ArrayBuffer>;
}

interface Row {
  seq: number;
  id: string;
  owner: string | null;
  created_at: string;
  ends_at: number | null;
  gone: number;
  value: string;
}

/** All that there is of an item. */
interface Whole extends Row {
  collection: string;
  place: string;
  bytes: Uint8Array<ArrayBuffer> | null;
}

const SCHEMA = `CREATE TABLE IF NOT EXISTS items (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  collection TEXT NOT NULL,
  place TEXT NOT NULL,
  id TEXT NOT NULL,
  owner TEXT,
  created_at TEXT NOT NULL,
  ends_at INTEGER,
  gone INTEGER NOT NULL DEFAULT 0,
  value TEXT NOT NULL,
  bytes BLOB,
  UNIQUE (collection, place, id)
)`;
const COLUMNS = "seq, id, owner, created_at, ends_at, gone, value";
/** The id of what there is one of: a policy, settings. */
const ONLY = "";
/** In place of a wallet where what lies apart is not one wallet's. */
const EVERYBODY = "*";
/** Fields by which an item says how long it lives. */
const SPANS = ["ttl", "ttl_seconds", "expires_in", "ttl_ms"];

/** Everything a service keeps. */
export class Store {
  readonly #db: Database;
  /** Answers of calls that may be repeated. */
  readonly repeats: Repeats;

  constructor(path: string) {
    this.#db = new Database(path, { create: true, strict: true });
    this.#db.run("PRAGMA journal_mode = WAL");
    this.#db.run("PRAGMA busy_timeout = 5000");
    this.#db.run(SCHEMA);
    this.repeats = new Repeats(this.#db);
  }

  /** Stores a new item: under the caller's name for it, or under an id of our making. */
  create(collection: Collection, value: object, scope: Scope = {}): Item {
    const place = this.#place(collection, scope) ?? "";
    this.ready(collection, scope);
    const fields: Record<string, unknown> = { ...value };
    const id = collection.key ? named(fields[collection.key]) : this.#made(collection);
    if (collection.key) fields[collection.key] = nameOf(collection, id);
    if (collection.status) fields["status"] = collection.status;
    const item = this.#insert(collection, place, id, scope.owner, fields, {
      ends: collection.ends ? endOf(fields) : undefined,
    });
    if (item === undefined) throw refusal("taken", scope.codes, `${id} is there already.`);
    return item;
  }

  /** Stores an item under a name, in place of the one that may be there. */
  put(collection: Collection, id: Id, value: object, scope: Scope = {}): Item {
    return this.#put(collection, named(id), { ...value }, scope);
  }

  /** The same with bytes. */
  putBytes(collection: Collection, id: Id, stored: Stored, scope: Scope = {}): Item {
    const about = { content_type: stored.type, size: stored.bytes.byteLength };
    return this.#put(collection, named(id), about, scope, stored.bytes);
  }

  /** One item; its owner's alone, where it has one. */
  read(collection: Collection, id: Id, scope: Scope = {}): Item {
    return itemOf(collection, this.#row(collection, id, scope));
  }

  /** One item's bytes. */
  readBytes(collection: Collection, id: Id, scope: Scope = {}): Response {
    const { seq, value } = this.#row(collection, id, scope);
    const found = this.#db
      .query<{ bytes: Uint8Array<ArrayBuffer> | null }, [number]>(
        "SELECT bytes FROM items WHERE seq = ?",
      )
      .get(seq);
    const { content_type: type } = JSON.parse(value) as { content_type?: string };
    return new Response(found?.bytes ?? null, {
      // What somebody stored is never run by a browser as a page of ours.
      headers: {
        "content-type": type ?? "application/octet-stream",
        "content-security-policy": "sandbox; default-src 'none'",
        "x-content-type-options": "nosniff",
      },
    });
  }

  /** The newest first unless another order is asked for; `next_cursor` is null on the last page. */
  list(collection: Collection, selection: Selection = {}, scope: Scope = {}) {
    const place = this.#place(collection, scope);
    const { conditions, order, limit, offset, next } = chosen(collection, selection);
    const all: Clause[] = [
      { sql: "collection = ?", bound: [collection.name] },
      { sql: "gone = 0 AND (ends_at IS NULL OR ends_at > ?)", bound: [Date.now()] },
      ...conditions,
    ];
    if (place !== undefined) all.push({ sql: "place = ?", bound: [place] });
    if (scope.owner !== undefined) all.push({ sql: "owner = ?", bound: [scope.owner] });
    // Who is nobody sees what is nobody's.
    else if (!scope.anyone) all.push({ sql: "owner IS NULL", bound: [] });
    const counted = this.#select<{ total: number }>("count(*) AS total", all);
    const rest = `ORDER BY ${order.sql} LIMIT ? OFFSET ?`;
    const page = order.from === undefined ? all : [...all, order.from];
    const rows = this.#select<Row>(COLUMNS, page, rest, [...order.bound, limit + 1, offset]);
    const found = rows.slice(0, limit);
    return {
      items: found.map((row) => itemOf(collection, row)),
      total: counted[0]?.total ?? 0,
      next_cursor: limit > 0 && rows.length > limit ? String(next(found.at(-1)?.seq ?? 0)) : null,
    };
  }

  #select<T>(columns: string, where: Clause[], rest = "", more: SQLQueryBindings[] = []): T[] {
    const sql = where.map((clause) => clause.sql).join(" AND ");
    return this.#db
      .query<T, SQLQueryBindings[]>(`SELECT ${columns} FROM items WHERE ${sql} ${rest}`)
      .all(...where.flatMap((clause) => clause.bound), ...more);
  }

  /**
   * Gives an item new fields and keeps its others; null takes one away. One that says
   * how long it lives does so from now on.
   */
  change(collection: Collection, id: Id, value: object, scope: Scope = {}): Item {
    const row = this.#row(collection, id, scope);
    const next = merged(JSON.parse(row.value), free(collection, value));
    const says = collection.ends && SPANS.some((field) => field in value);
    return this.#update(collection, row, next, says ? (endOf(next) ?? null) : row.ends_at);
  }

  /** Gives an item these fields in place of its own; its name and its status it keeps. */
  replace(collection: Collection, id: Id, value: object, scope: Scope = {}): Item {
    const row = this.#row(collection, id, scope);
    const kept = Object.entries(JSON.parse(row.value)).filter(([field]) =>
      fixed(collection).includes(field),
    );
    const next = { ...free(collection, value), ...Object.fromEntries(kept) };
    return this.#update(collection, row, next, collection.ends ? (endOf(next) ?? null) : null);
  }

  /**
   * Gives an item a status. `from` is the only one that may become it; with
   * `once`, one that has it already may not.
   */
  become(
    collection: Collection,
    id: Id,
    status: { to: string; from?: string; once?: boolean },
    scope: Scope = {},
  ): Item {
    const row = this.#row(collection, id, scope);
    const value = JSON.parse(row.value) as Record<string, unknown>;
    const now = value["status"];
    if ((status.from !== undefined && now !== status.from) || (status.once && now === status.to)) {
      throw refusal("state", scope.codes, `${row.id} is ${now}.`);
    }
    return this.#update(collection, row, { ...value, status: status.to });
  }

  /** Lets an item live on from now, for `ttl` seconds if it says so, else as long as before. */
  renew(collection: Collection, id: Id, value: object, scope: Scope = {}): Item {
    const row = this.#row(collection, id, scope);
    const fields = JSON.parse(row.value) as Record<string, unknown>;
    const ends = endOf({ ...fields, ...value }) ?? row.ends_at;
    return this.#set(collection, row, { ...row, ends_at: ends });
  }

  /** Removes an item and what lies within it. */
  remove(collection: Collection, id: Id, scope: Scope = {}) {
    const row = this.#row(collection, id, scope);
    this.#take("seq = ?", row.seq);
    return { id: nameOf(collection, row.id), deleted: true };
  }

  /** Ends an item for good: nobody sees it any more, and its name stays taken. */
  retire(collection: Collection, id: Id, status: string, scope: Scope = {}) {
    const row = this.#row(collection, id, scope);
    this.#take("place = ?", within(row.seq));
    this.#set(collection, row, { ...row, gone: 1 });
    return { ...itemOf(collection, row), status };
  }

  /** Throws where something lies within an item. */
  emptied(collection: Collection, id: Id, scope: Scope = {}): void {
    const row = this.#row(collection, id, scope);
    const inside = this.#db
      .query("SELECT 1 FROM items WHERE place = ? AND id != ? AND gone = 0 LIMIT 1")
      .get(within(row.seq), ONLY);
    if (inside !== null) throw refusal("filled", scope.codes, `${row.id} is not empty.`);
  }

  /** Throws where an item could not be made: what it lies within is not there, or a wallet has enough. */
  ready(collection: Collection, scope: Scope = {}): void {
    this.#place(collection, scope);
    if (collection.most === undefined || scope.owner === undefined) return;
    const { total } = this.list(collection, { limit: 1 }, { owner: scope.owner });
    if (total >= collection.most) {
      const text = `A wallet may have ${collection.most} of ${collection.name}.`;
      throw refusal("full", scope.codes, text);
    }
  }

  /** What an item has one of, such as its policy; empty until it is set. */
  part(collection: Collection, scope: Scope = {}): Record<string, unknown> {
    const row = this.#find(collection, this.#only(collection, scope), ONLY);
    return row === undefined ? {} : JSON.parse(row.value);
  }

  /** Gives it new fields and keeps its others; null takes one away. */
  setPart(collection: Collection, value: object, scope: Scope = {}): Record<string, unknown> {
    return this.#setPart(collection, (before) => merged(before, value), scope);
  }

  /** Gives it these fields in place of its own. */
  replacePart(collection: Collection, value: object, scope: Scope = {}): Record<string, unknown> {
    return this.#setPart(collection, () => ({ ...value }), scope);
  }

  #setPart(
    collection: Collection,
    change: (before: Record<string, unknown>) => Record<string, unknown>,
    scope: Scope,
  ): Record<string, unknown> {
    const place = this.#only(collection, scope);
    const row = this.#find(collection, place, ONLY);
    const next = change(row === undefined ? {} : JSON.parse(row.value));
    if (row !== undefined) this.#update(collection, row, next);
    else this.#insert(collection, place, ONLY, scope.owner, next);
    return next;
  }

  /** Takes a turn under a name; throws while another one lasts. `back` gives it back. */
  turn(name: string, whose: string, seconds: number | undefined, scope: Scope = {}) {
    // A code is as it was given out; an address has several spellings.
    const key = seconds === undefined ? whose : whose.toLowerCase();
    const ends = seconds === undefined ? undefined : Date.now() + seconds * 1000;
    const item = this.#insert({ name }, "", key, scope.owner, {}, { ends });
    if (item === undefined) {
      const wait = this.wait(name, key);
      if (seconds === undefined) throw refusal("taken", scope.codes, `${key} was used already.`);
      throw refusal("early", scope.codes, `Wait ${wait} s.`, wait);
    }
    const back = () => {
      const query = "DELETE FROM items WHERE collection = ? AND place = '' AND id = ?";
      this.#db.query(query).run(name, key);
    };
    return {
      back,
      /** Does the work of the turn; one that fails has not been. */
      async during<T>(work: () => Promise<T> | T): Promise<T> {
        try {
          return await work();
        } catch (error) {
          back();
          throw error;
        }
      },
    };
  }

  /** Uses up a code, one of those that were given out with commas between them. */
  redeem(name: string, code: string, given: string | undefined, scope: Scope = {}) {
    const codes = (given ?? "").split(",").map((one) => one.trim());
    if (codes.every((one) => one === "")) {
      throw refusal("unset", scope.codes, "No codes were given out yet.");
    }
    if (code === "" || !codes.includes(code)) {
      throw refusal("unknown", scope.codes, "There is no such code.");
    }
    return this.turn(name, code, undefined, scope);
  }

  /** Which turns of somebody's could be taken now, and in how many seconds the others. */
  waits(names: readonly string[], key: string) {
    const wait = (name: string) => {
      const retryAfter = this.wait(name, key.toLowerCase());
      return [name, { available: retryAfter === 0, retryAfter }] as const;
    };
    return Object.fromEntries(names.map(wait));
  }

  /** Seconds until the next turn under a name. */
  wait(name: string, key: string): number {
    const ends = this.#find({ name }, "", key)?.ends_at ?? 0;
    return Math.max(0, Math.ceil((ends - Date.now()) / 1000));
  }

  /** Where items lie: within a checked item, or in a part of the wallet's own; undefined is anywhere. */
  #place(collection: Collection, scope: Scope): string | undefined {
    const ids = scope.within ?? [];
    if (collection.within === undefined) {
      if (ids.length === 0) return collection.apart ? undefined : "";
      return JSON.stringify([collection.shared ? EVERYBODY : (scope.owner ?? null), ...ids]);
    }
    if (ids.length === 0) return undefined;
    const outer = { ...scope, within: ids.slice(0, -1) };
    return within(this.#row(collection.within, ids.at(-1), outer).seq);
  }

  /** Where what there is one of lies: a wallet's own where it is within nothing. */
  #only(collection: Collection, scope: Scope): string {
    return this.#place(collection, scope) || JSON.stringify([scope.owner ?? null]);
  }

  #row(collection: Collection, id: Id, scope: Scope): Row {
    const row = this.#find(collection, this.#place(collection, scope), named(id));
    if (row === undefined) throw refusal("missing", scope.codes, `There is no ${id}.`);
    if (row.owner !== null && row.owner !== scope.owner && !scope.anyone) {
      throw refusal("foreign", scope.codes, `${id} belongs to another wallet.`);
    }
    if (row.gone || (row.ends_at !== null && row.ends_at <= Date.now())) {
      throw refusal("ended", scope.codes, `${id} has ended.`);
    }
    return row;
  }

  #find(collection: Collection, place: string | undefined, id: string): Row | undefined {
    const anywhere = place === undefined;
    const where = anywhere ? "" : " AND place = ?";
    const query = `SELECT ${COLUMNS} FROM items WHERE collection = ? AND id = ?${where}`;
    const row = this.#db
      .query<Row, SQLQueryBindings[]>(query)
      .get(collection.name, id, ...(anywhere ? [] : [place]));
    return row ?? undefined;
  }

  /** A new item's id. */
  #made(collection: Collection): string {
    if (!collection.numbers) return crypto.randomUUID();
    const last = this.#db
      .query<{ seq: number }, []>("SELECT seq FROM sqlite_sequence WHERE name = 'items'")
      .get();
    return String((last?.seq ?? 0) + 1);
  }

  #insert(
    collection: Collection,
    place: string,
    id: string,
    owner: string | undefined,
    value: object,
    more: { ends?: number | undefined; bytes?: Uint8Array<ArrayBuffer> | undefined } = {},
  ): Item | undefined {
    // A name is free again once what had it has ended by itself.
    this.#db
      .query("DELETE FROM items WHERE collection = ? AND place = ? AND id = ? AND ends_at <= ?")
      .run(collection.name, place, id, Date.now());
    const row = this.#db
      .query<Row, SQLQueryBindings[]>(
        `INSERT INTO items (collection, place, id, owner, created_at, ends_at, value, bytes)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING ${COLUMNS}`,
      )
      .get(
        collection.name,
        place,
        id,
        owner ?? null,
        new Date().toISOString(),
        more.ends ?? null,
        JSON.stringify(value),
        more.bytes ?? null,
      );
    if (row === null) return undefined;
    undoable(() => this.#take("seq = ?", row.seq));
    return itemOf(collection, row);
  }

  #put(
    collection: Collection,
    id: string,
    value: Record<string, unknown>,
    scope: Scope,
    bytes?: Uint8Array<ArrayBuffer>,
  ): Item {
    const place = this.#place(collection, scope) ?? "";
    if (collection.key) value[collection.key] = nameOf(collection, id);
    const ends = collection.ends ? endOf(value) : undefined;
    if (this.#find(collection, place, id) === undefined) this.ready(collection, scope);
    const made = this.#insert(collection, place, id, scope.owner, value, { ends, bytes });
    if (made !== undefined) return made;
    const row = this.#row(collection, id, scope);
    const after = { ...row, value: JSON.stringify(value), ends_at: ends ?? null };
    const item = this.#set(collection, row, after);
    this.#setBytes(after, bytes ?? null);
    return item;
  }

  #update(collection: Collection, row: Row, value: object, ends = row.ends_at): Item {
    return this.#set(collection, row, { ...row, value: JSON.stringify(value), ends_at: ends });
  }

  #set(collection: Collection, before: Row, after: Row): Item {
    const query = "UPDATE items SET value = ?, ends_at = ?, gone = ? WHERE seq = ?";
    this.#db.query(query).run(after.value, after.ends_at, after.gone, after.seq);
    // What somebody changed since is theirs.
    const unchanged = `${query} AND value = ? AND ends_at IS ?`;
    const old = [before.value, before.ends_at, before.gone, before.seq] as const;
    undoable(() => this.#db.query(unchanged).run(...old, after.value, after.ends_at));
    return itemOf(collection, after);
  }

  #setBytes({ seq, value }: Row, bytes: Uint8Array<ArrayBuffer> | null): void {
    const there = this.#db.query<Whole, [number]>("SELECT * FROM items WHERE seq = ?").get(seq);
    this.#db.query("UPDATE items SET bytes = ? WHERE seq = ?").run(bytes, seq);
    const unchanged = "UPDATE items SET bytes = ? WHERE seq = ? AND value = ?";
    undoable(() => this.#db.query(unchanged).run(there?.bytes ?? null, seq, value));
  }

  /** Removes rows and all that lies within them, and within that. */
  #take(where: string, what: string | number): void {
    const taken = this.#db
      .query<Whole, [string | number]>(`DELETE FROM items WHERE ${where} RETURNING *`)
      .all(what);
    for (const row of taken) {
      const columns = Object.keys(row);
      const marks = columns.map(() => "?").join(", ");
      const query = `INSERT OR IGNORE INTO items (${columns.join(", ")}) VALUES (${marks})`;
      undoable(() => this.#db.query(query).run(...(Object.values(row) as SQLQueryBindings[])));
      this.#take("place = ?", within(row.seq));
    }
  }
}

const within = (seq: number) => `#${seq}`;

/** An item's name as it is stored: addresses have one spelling. */
function named(id: unknown): string {
  const text = String(id ?? "");
  return /^0x[0-9a-fA-F]{40}$/.test(text) ? text.toLowerCase() : text;
}

/** The same as callers see it. */
function nameOf(collection: Collection, id: string): string | number {
  return collection.numbers ? Number(id) : id;
}

function itemOf(collection: Collection, row: Row): Item {
  const ends = row.ends_at === null ? {} : { expires_at: new Date(row.ends_at).toISOString() };
  const id = nameOf(collection, row.id);
  return { ...JSON.parse(row.value), id, created_at: row.created_at, ...ends };
}

/** Fields that an item keeps whatever it is given. */
function fixed(collection: Collection): string[] {
  return [collection.key ?? "", collection.status ? "status" : ""].filter(Boolean);
}

/** The others. */
function free(collection: Collection, value: object): Record<string, unknown> {
  const kept = fixed(collection);
  return Object.fromEntries(Object.entries(value).filter(([field]) => !kept.includes(field)));
}

/** Fields over fields, where null takes one away. */
function merged(base: Record<string, unknown>, value: object): Record<string, unknown> {
  const all = Object.entries({ ...base, ...value });
  return Object.fromEntries(all.filter(([, field]) => field !== null));
}

/** When an item ends, in milliseconds, where it says so. */
function endOf(value: Record<string, unknown>): number | undefined {
  const seconds = value["ttl"] ?? value["ttl_seconds"] ?? value["expires_in"];
  // Seconds that are no number are refused, not taken for an item that never ends.
  const span = typeof seconds === "number" ? seconds * 1000 : (seconds ?? value["ttl_ms"] ?? null);
  if (span === null) return undefined;
  const end = Date.now() + Number(span);
  if (typeof span !== "number" || !(span > 0) || !Number.isFinite(new Date(end).getTime())) {
    throw invalid("ttl: must be a number above 0");
  }
  return end;
}

const stores = new WeakMap<Env, Store>();

/** The store of an environment: the file that `variable` names, or memory that ends with the process. */
export function openStore(env: Env, variable: string): Store {
  let store = stores.get(env);
  if (store === undefined) {
    store = new Store(env[variable] || ":memory:");
    stores.set(env, store);
  }
  return store;
}
