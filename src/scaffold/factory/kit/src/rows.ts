/**
 * What is read of a store: its items as rows of one table, where they lie, and who
 * sees them. What is done to them is in `store.ts`.
 */
import { Database, type SQLQueryBindings } from "bun:sqlite";
import {
  type Collection,
  type Id,
  type Item,
  itemOf,
  named,
  type Row,
  type Scope,
  within,
} from "./items.ts";
import { refusal } from "./refusals.ts";
import { type Clause, chosen, type Selection, said } from "./selection.ts";

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
/** What of a row is read. */
export const COLUMNS = "seq, place, id, owner, created_at, ends_at, gone, value";
/** The id of what there is one of: a policy, settings. */
export const ONLY = "";
/** In place of a wallet where what lies apart is not one wallet's. */
const EVERYBODY = "*";
/** Fields that say what somebody chose. */
const CHOICES = ["option", "choice", "answer", "candidate", "vote", "value", "option_id"];
/** What there is, as it is read. */
export class Rows {
  protected readonly db: Database;

  constructor(path: string) {
    this.db = new Database(path, { create: true, strict: true });
    this.db.run("PRAGMA journal_mode = WAL");
    this.db.run("PRAGMA busy_timeout = 5000");
    this.db.run(SCHEMA);
  }

  /** One item; its owner's alone, where it has one. */
  read(collection: Collection, id: Id, scope: Scope = {}): Item {
    return itemOf(collection, this.row(collection, id, scope));
  }

  /** One item's bytes. */
  readBytes(collection: Collection, id: Id, scope: Scope = {}): Response {
    const { seq, value } = this.row(collection, id, scope);
    const found = this.db
      .query<{ bytes: Uint8Array<ArrayBuffer> | null }, [number]>(
        "SELECT bytes FROM items WHERE seq = ?",
      )
      .get(seq);
    let { content_type: type, ...fields } = JSON.parse(value) as { content_type?: string };
    // What came as JSON has its text in one of its fields.
    const texts = ["content", "text", "body", "data"].map((field) => Object(fields)[field]);
    const text = texts.find((one) => typeof one === "string");
    if (!found?.bytes && text !== undefined) type ??= "text/plain; charset=utf-8";
    return new Response(found?.bytes ?? text ?? null, {
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
    const { conditions, order, limit, offset, next } = chosen(collection, selection);
    const all = [...this.seen(collection, scope), ...conditions];
    const counted = this.select<{ total: number }>("count(*) AS total", all);
    const rest = `ORDER BY ${order.sql} LIMIT ? OFFSET ?`;
    const page = order.from === undefined ? all : [...all, order.from];
    const rows = this.select<Row>(COLUMNS, page, rest, [...order.bound, limit + 1, offset]);
    const found = rows.slice(0, limit);
    return {
      items: found.map((row) => itemOf(collection, row)),
      total: counted[0]?.total ?? 0,
      next_cursor: limit > 0 && rows.length > limit ? String(next(found.at(-1)?.seq ?? 0)) : null,
    };
  }

  /** The same as a body asks for it: what chooses a page by its usual names, else fields as they must be. */
  search(collection: Collection, body: object, scope: Scope = {}) {
    return this.list(collection, said(body), scope);
  }

  /** How many items there are of each choice: by the field that says what was chosen. */
  tally(collection: Collection, scope: Scope = {}) {
    const rows = this.select<Row>(COLUMNS, this.seen(collection, scope));
    const results = new Map<string, number>();
    for (const row of rows) {
      const fields = JSON.parse(row.value) as Record<string, unknown>;
      const field = CHOICES.find((name) => fields[name] !== undefined);
      const choices = field === undefined ? [] : [fields[field]].flat();
      for (const choice of choices.map(String)) results.set(choice, (results.get(choice) ?? 0) + 1);
    }
    return { results: Object.fromEntries(results), total: rows.length };
  }

  /** The newest item, or the oldest. */
  edge(collection: Collection, which: "newest" | "oldest", scope: Scope = {}): Item {
    const { items } = this.list(collection, { limit: 1, sort: which }, scope);
    if (items[0] === undefined) throw refusal("missing", scope.codes, "There is none.");
    return items[0];
  }

  /** Which rows of a collection a caller sees. */
  protected seen(collection: Collection, scope: Scope): Clause[] {
    const place = this.place(collection, scope);
    const all: Clause[] = [
      { sql: "collection = ?", bound: [collection.name] },
      { sql: "gone = 0 AND (ends_at IS NULL OR ends_at > ?)", bound: [Date.now()] },
    ];
    if (place !== undefined) all.push({ sql: "place = ?", bound: [place] });
    if (scope.owner !== undefined) all.push({ sql: "owner = ?", bound: [scope.owner] });
    // Who is nobody sees what is nobody's.
    else if (!scope.anyone) all.push({ sql: "owner IS NULL", bound: [] });
    return all;
  }

  protected select<T>(
    columns: string,
    where: Clause[],
    rest = "",
    more: SQLQueryBindings[] = [],
  ): T[] {
    const sql = where.map((clause) => clause.sql).join(" AND ");
    return this.db
      .query<T, SQLQueryBindings[]>(`SELECT ${columns} FROM items WHERE ${sql} ${rest}`)
      .all(...where.flatMap((clause) => clause.bound), ...more);
  }

  /** Throws where something lies within an item. */
  emptied(collection: Collection, id: Id, scope: Scope = {}): void {
    const row = this.row(collection, id, scope);
    const inside = this.db
      .query(
        `SELECT 1 FROM items WHERE place = ? AND id != ? AND gone = 0
         AND (ends_at IS NULL OR ends_at > ?) LIMIT 1`,
      )
      .get(within(row.seq), ONLY, Date.now());
    if (inside !== null) throw refusal("filled", scope.codes, `${row.id} is not empty.`);
  }

  /** Throws where an item could not be made: what it lies within is not there, or a wallet has enough. */
  ready(collection: Collection, scope: Scope = {}): void {
    this.place(collection, scope);
    if (collection.most === undefined || scope.owner === undefined) return;
    const { total } = this.list(collection, { limit: 1 }, { owner: scope.owner });
    if (total >= collection.most) {
      const text = `A wallet may have ${collection.most} of ${collection.name}.`;
      throw refusal("full", scope.codes, text);
    }
  }

  /** What an item has one of, such as its policy; empty until it is set. */
  part(collection: Collection, scope: Scope = {}): Record<string, unknown> {
    const row = this.find(collection, this.only(collection, scope), ONLY);
    return row === undefined ? {} : JSON.parse(row.value);
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
    const ends = this.find({ name }, "", key)?.ends_at ?? 0;
    return Math.max(0, Math.ceil((ends - Date.now()) / 1000));
  }

  /** Where items lie: within a checked item, or in a part of the wallet's own; undefined is anywhere. */
  protected place(collection: Collection, scope: Scope): string | undefined {
    const ids = scope.within ?? [];
    if (collection.within === undefined) {
      if (ids.length === 0) return collection.apart ? undefined : "";
      return JSON.stringify([collection.shared ? EVERYBODY : (scope.owner ?? null), ...ids]);
    }
    if (ids.length === 0) return undefined;
    const outer = { ...scope, within: ids.slice(0, -1) };
    return within(this.row(collection.within, ids.at(-1), outer).seq);
  }

  /** Where what there is one of lies: a wallet's own where it is within nothing. */
  protected only(collection: Collection, scope: Scope): string {
    return this.place(collection, scope) || JSON.stringify([scope.owner ?? null]);
  }

  protected row(collection: Collection, id: Id, scope: Scope): Row {
    const row = this.find(collection, this.place(collection, scope), named(id));
    if (row === undefined) throw refusal("missing", scope.codes, `There is no ${id}.`);
    if (row.owner !== null && row.owner !== scope.owner && !scope.anyone) {
      // Where another's is not found, nothing tells that it is there.
      if (scope.codes?.foreign?.[0] === 404) {
        throw refusal("missing", scope.codes, `There is no ${id}.`);
      }
      throw refusal("foreign", scope.codes, `${id} belongs to another wallet.`);
    }
    if (row.gone || (row.ends_at !== null && row.ends_at <= Date.now())) {
      throw refusal("ended", scope.codes, `${id} has ended.`);
    }
    return row;
  }

  protected find(collection: Collection, place: string | undefined, id: string): Row | undefined {
    const anywhere = place === undefined;
    const where = anywhere ? "" : " AND place = ?";
    const query = `SELECT ${COLUMNS} FROM items WHERE collection = ? AND id = ?${where}`;
    const row = this.db
      .query<Row, SQLQueryBindings[]>(query)
      .get(collection.name, id, ...(anywhere ? [] : [place]));
    return row ?? undefined;
  }
}
