/**
 * What is read of a store: its items as rows of one table, where they lie, and who
 * sees them. What is done to them is in `store.ts`.
 */
import { Database, type SQLQueryBindings } from "bun:sqlite";
import { ServiceError } from "./envelope.ts";
import { type Fields, isHidden, LISTED } from "./fields.ts";
import {
  type Collection,
  type Id,
  type Item,
  inside,
  itemOf,
  named,
  type Row,
  type Scope,
  within,
} from "./items.ts";
import { refusal } from "./refusals.ts";
import { type Clause, chosen, type Selection, said } from "./selection.ts";
import { COLUMNS, openTable, placeOf } from "./table.ts";

/** The id of what there is one of: a policy, settings. */
export const ONLY = "";
/** Fields that say what somebody chose. */
const CHOICES = ["option", "choice", "answer", "candidate", "vote", "value", "option_id"];
/** What there is, as it is read. */
export class Rows {
  protected readonly db: Database;

  /** `collections` are those that there are, for a file of before names had a space. */
  constructor(path: string, collections: readonly Collection[] = []) {
    this.db = new Database(path, { create: true, strict: true });
    this.db.run("PRAGMA journal_mode = WAL");
    this.db.run("PRAGMA busy_timeout = 5000");
    openTable(this.db, collections);
  }

  /** One item, without that counting as having read it; its owner's alone, where it has one. */
  peek(collection: Collection, id: Id, scope: Scope = {}): Item {
    return itemOf(collection, this.row(collection, id, scope));
  }

  /** The bytes of a row. */
  protected bytesOf({ seq, value }: Row): Response {
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
    // What every wallet puts somewhere is counted whosever it is.
    const whose = collection.joined ? { anyone: true, everything: true } : scope;
    const rows = this.select<Row>(COLUMNS, this.seen(collection, scope, whose));
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

  /** Which rows of a collection a caller sees, or of `whose` there are where it asks. */
  protected seen(collection: Collection, scope: Scope, whose = scope): Clause[] {
    const place = this.place(collection, scope);
    const all: Clause[] = [
      // What there is one of below the same path is none of them.
      { sql: "collection = ? AND id != ?", bound: [collection.name, ONLY] },
      lasting(),
    ];
    if (place !== undefined) all.push({ sql: "place = ?", bound: [place] });
    if (whose.owner !== undefined) all.push({ sql: "owner = ?", bound: [whose.owner] });
    // Who is nobody sees what is nobody's.
    else if (!whose.anyone) all.push({ sql: "owner IS NULL", bound: [] });
    else if (!whose.everything) all.push(LISTED);
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

  /** Throws where a call asks for an item in another way than it is kept. */
  asItIs(query: object, lacks: readonly string[]): void {
    const asked = lacks.find((name) => Reflect.get(query, name) !== undefined);
    if (asked === undefined) return;
    const text = `${asked}: what is kept is answered as it is.`;
    throw new ServiceError(501, "not_implemented", text);
  }

  /** Throws where an item is not the caller's to change. */
  changeable(collection: Collection, id: Id, scope: Scope = {}): void {
    this.own(collection, id, scope);
  }

  /** The same, and where something lies within it. */
  emptied(collection: Collection, id: Id, scope: Scope = {}, forced = false): void {
    const row = this.own(collection, id, scope);
    if (forced) return;
    const items: Clause = { sql: "id != ?", bound: [ONLY] };
    if (this.select("1", [inside(row.seq), items, lasting()], "LIMIT 1").length > 0)
      throw refusal("filled", scope.codes, `${row.id} is not empty.`);
  }

  /** Throws where an item could not be made: what it lies within is not there, or a wallet has enough. */
  ready(collection: Collection, scope: Scope = {}): void {
    this.place(collection, scope);
    if (collection.most === undefined || scope.owner === undefined) return;
    const { total } = this.list(collection, { limit: 1 }, { owner: scope.owner });
    if (total >= collection.most) {
      const text = `A wallet may have ${collection.most} of ${collection.noun ?? collection.name}.`;
      throw refusal("full", scope.codes, text);
    }
  }

  /** Throws where a name could not be set: it is another's, or a wallet has enough. */
  settable(collection: Collection, id: Id, scope: Scope = {}): void {
    if (this.lasts(collection, id, scope)) this.own(collection, id, scope);
    else this.ready(collection, scope);
  }

  /** Whether something has a name, and has not ended by itself. */
  protected lasts(collection: Collection, id: Id, scope: Scope): boolean {
    const row = this.find(collection, this.place(collection, scope), named(id), scope, true);
    return row !== undefined && (row.ends_at === null || row.ends_at > Date.now());
  }

  /**
   * Throws where another item that the caller sees has one of the fields that none has twice.
   * `there` is the item that is changed: what it keeps was so before somebody asked for that.
   */
  protected distinct(
    collection: Collection,
    place: string,
    fields: Fields,
    scope: Scope,
    there?: Row,
  ): void {
    const before: Fields = there === undefined || isOver(there) ? {} : JSON.parse(there.value);
    for (const [field, [status, code]] of Object.entries(scope.unique ?? {})) {
      const value = fields[field];
      if (typeof value !== "string" && typeof value !== "number") continue;
      if (value === before[field]) continue;
      const { conditions } = chosen(collection, { match: { [field]: value } });
      const others: Clause = { sql: "place = ? AND seq != ?", bound: [place, there?.seq ?? 0] };
      const seen = this.seen(collection, { ...scope, within: undefined });
      const taken = this.select("1", [...seen, ...conditions, others], "LIMIT 1");
      if (taken.length > 0) throw new ServiceError(status, code, `${field}: ${value} is taken.`);
    }
  }

  /** What an item has one of, such as its policy; empty until it is set. */
  part(collection: Collection, scope: Scope = {}): Record<string, unknown> {
    const row = this.find(collection, this.only(collection, scope), ONLY, scope);
    return row === undefined ? {} : JSON.parse(row.value);
  }

  /** The same; throws where it was never set. */
  requirePart(collection: Collection, scope: Scope = {}): Record<string, unknown> {
    const part = this.part(collection, scope);
    if (Object.keys(part).length > 0) return part;
    throw refusal("missing", scope.codes, "It was never set.");
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
    const ends = this.find({ name }, "", key, {})?.ends_at ?? 0;
    return Math.max(0, Math.ceil((ends - Date.now()) / 1000));
  }

  /** Where items lie: within a checked item, or below parts of a path; undefined is anywhere. */
  protected place(collection: Collection, scope: Scope): string | undefined {
    const ids = scope.within ?? [];
    if (collection.within === undefined) {
      return ids.length === 0 && collection.apart ? undefined : placeOf(ids);
    }
    if (ids.length === 0) return undefined;
    const between = ids.slice(ids.length - (collection.below ?? 0));
    return within(this.outer(collection.within, scope, collection).seq, between);
  }

  /**
   * The item of a collection that another's items lie within. Whoever may put something there
   * sees it, and so does who can't be told apart: what is there then is everybody's.
   */
  protected outer(collection: Collection, scope: Scope, { joined, below = 0 }: Collection): Row {
    const ids = scope.within ?? [];
    const around = ids.slice(0, ids.length - below);
    const anyone = joined === true || scope.anyone === true || scope.owner === undefined;
    return this.row(collection, around.at(-1), { ...scope, anyone, within: around.slice(0, -1) });
  }

  /** Where what there is one of lies. */
  protected only(collection: Collection, scope: Scope): string {
    return this.place(collection, scope) ?? "";
  }

  protected row(collection: Collection, id: Id, scope: Scope, changes = false): Row {
    const row = this.find(collection, this.place(collection, scope), named(id), scope, changes);
    if (row === undefined) throw refusal("missing", scope.codes, `There is no ${id}.`);
    const nobodys = row.owner === null && changes && isApart(collection, scope);
    if (nobodys || (row.owner !== null && row.owner !== scope.owner && !scope.anyone)) {
      // Where another's is not found, nothing tells that it is there.
      if (scope.codes?.foreign?.[0] === 404) {
        throw refusal("missing", scope.codes, `There is no ${id}.`);
      }
      const whose = nobodys ? "no wallet" : "another wallet";
      throw refusal("foreign", scope.codes, `${id} belongs to ${whose}.`);
    }
    const { owner, anyone, everything } = scope;
    if (row.owner !== owner && anyone && !everything && isHidden(JSON.parse(row.value))) {
      throw refusal("missing", scope.codes, `There is no ${id}.`);
    }
    if (isOver(row)) {
      throw refusal("ended", scope.codes, `${id} has ended.`);
    }
    return row;
  }

  /** The row of an item that is to be changed. */
  protected own(collection: Collection, id: Id, scope: Scope): Row {
    return this.row(collection, id, scope, true);
  }

  /**
   * Of several that have a name, the caller's own is first, then everybody's, then the oldest.
   * `changes`: only what leaves no room for another one, where names are each wallet's own.
   */
  protected find(
    collection: Collection,
    place: string | undefined,
    id: string,
    scope: Scope,
    changes = false,
  ): Row | undefined {
    const where = this.called(collection, place, id, scope, changes);
    if (scope.anyone) return this.select<Row>(COLUMNS, where, "ORDER BY seq LIMIT 1")[0];
    const order = "ORDER BY space = ? DESC, space = '' DESC, seq LIMIT 1";
    return this.select<Row>(COLUMNS, where, order, [scope.owner ?? ""])[0];
  }

  /**
   * The rows that have a name for a caller, and so leave no room for another one: where
   * names are each wallet's own, those of others have none, nor, for who changes something,
   * what nobody owns. An id of our making is one item's, whosever it is.
   */
  protected called(
    collection: Collection,
    place: string | undefined,
    id: string,
    scope: Scope,
    changes = true,
  ): Clause[] {
    const { owner } = scope;
    const all: Clause[] = [{ sql: "collection = ? AND id = ?", bound: [collection.name, id] }];
    if (place !== undefined) all.push({ sql: "place = ?", bound: [place] });
    const said = collection.key !== undefined || id === ONLY;
    if (collection.own && said && owner !== undefined) {
      const sql = "(space = ? OR (space = '' AND coalesce(owner, ?) = ?))";
      const nobodys = changes && isApart(collection, scope) ? null : owner;
      all.push({ sql, bound: [owner, nobodys, owner] });
    }
    return all;
  }
}

/** What has not ended. */
const lasting = (): Clause => ({
  sql: "gone = 0 AND (ends_at IS NULL OR ends_at > ?)",
  bound: [Date.now()],
});

/** Whether an item has ended, by itself or for good. */
const isOver = (row: Row) => row.gone !== 0 || (row.ends_at !== null && row.ends_at <= Date.now());

/** Whether what has no owner is none of what a caller may change: it was made before that was paid for. */
const isApart = (collection: Collection, { owner }: Scope) =>
  owner !== undefined && !collection.unowned;
