/**
 * What a service keeps: collections of JSON objects and of bytes in one SQLite
 * file. An item belongs to the wallet that paid for it, may lie within an item
 * of another collection, and may end by itself. Refusals are thrown with the
 * codes that the route declares.
 */
import type { SQLQueryBindings } from "bun:sqlite";
import type { Env } from "./config.ts";
import { Deeds, type State, type Whole } from "./deeds.ts";
import { countable, type Fields, isClosed, viewed } from "./fields.ts";
import {
  about,
  amount,
  beginning,
  type Collection,
  counted,
  endOf,
  fieldsOf,
  fixedOf,
  free,
  type Id,
  type Item,
  inside,
  itemOf,
  merged,
  named,
  nameOf,
  objectsOf,
  type Row,
  type Scope,
  type Step,
  type Stored,
  says,
  short,
  spansOf,
  timeless,
} from "./items.ts";
import { refusal } from "./refusals.ts";
import { Repeats } from "./repeats.ts";
import { ONLY, Rows } from "./rows.ts";
import { type Clause, chosen, invalid, type Selection } from "./selection.ts";
import { COLUMNS } from "./table.ts";
import { together } from "./undo.ts";

export { type Collection, type Id, type Item, lasting, type Scope, type Stored } from "./items.ts";
export type { Selection } from "./selection.ts";

/** What is changed of an item. */
interface Changes {
  /** Its fields as they are from what they were. */
  fields: (before: Fields) => Fields;
  /** When it ends; as before where nothing is said. */
  ends?: number | null | undefined;
  bytes?: Uint8Array<ArrayBuffer> | null;
  /** The fields of one that this call would have made, had another not done so. */
  makes?: Fields;
}

/** How an item is afterwards. */
interface Becoming {
  to: string | boolean;
  field?: string;
  from?: string;
  once?: boolean;
  fields?: object;
}

/** How long what was handed out is nobody else's. */
const HANDED_OUT_MS = 30_000;

/** Everything a service keeps. */
export class Store extends Rows {
  /** Answers of calls that may be repeated. */
  readonly repeats: Repeats;
  readonly #deeds = new Deeds((seq, is, becomes) => this.#bring(seq, is, becomes));

  constructor(path: string, collections: readonly Collection[] = []) {
    super(path, collections);
    this.repeats = new Repeats(this.db);
  }

  /** One item; its owner's alone, where it has one. The last of the reads that it says it has ends it. */
  read(collection: Collection, id: Id, scope: Scope = {}): Item {
    return itemOf(collection, this.#viewed(this.row(collection, id, scope)));
  }

  /** One item's bytes, likewise. */
  readBytes(collection: Collection, id: Id, scope: Scope = {}): Response {
    const row = this.row(collection, id, scope);
    const answer = this.bytesOf(row);
    this.#viewed(row);
    return answer;
  }

  /** A row as it is once it was read. */
  #viewed(row: Row): Row {
    const read = viewed(JSON.parse(row.value));
    if (read === undefined) return row;
    const change = <T extends Row>(there: T): T => {
      const { fields, last } = viewed(JSON.parse(there.value)) ?? read;
      // Of what nobody is to read again, nothing stays.
      const gone = { value: "{}", gone: 1, bytes: null };
      return { ...there, ...(last ? gone : { value: JSON.stringify(fields) }) };
    };
    this.#set(row, change);
    return { ...row, value: JSON.stringify(read.fields) };
  }

  /** Stores a new item: under the caller's name for it, or under an id of our making. */
  create(collection: Collection, value: object, scope: Scope = {}): Item {
    return this.#create(collection, value, scope);
  }

  /** Stores a new item of bytes, under an id of our making. */
  createBytes(collection: Collection, stored: Stored, scope: Scope = {}): Item {
    return this.#create(collection, about(stored), scope, stored.bytes);
  }

  #create(
    collection: Collection,
    value: object,
    scope: Scope,
    bytes?: Uint8Array<ArrayBuffer>,
  ): Item {
    const place = this.place(collection, scope) ?? "";
    this.ready(collection, scope);
    const fields: Record<string, unknown> = { ...value };
    const given = collection.key === undefined ? undefined : (fields[collection.key] ?? undefined);
    if (given !== undefined && typeof given !== "string" && typeof given !== "number") {
      throw invalid(`${collection.key}: must be a text or a number`);
    }
    const id = given === undefined ? this.#made(collection) : named(given);
    if (collection.key) fields[collection.key] = nameOf(collection, id);
    if (collection.status) fields["status"] = collection.status;
    this.#allowed(collection, place, scope);
    this.distinct(collection, place, fields, scope);
    const item = this.#insert(collection, place, id, scope, fields, {
      ends: collection.ends ? endOf(fields) : undefined,
      bytes,
    });
    if (item === undefined) throw refusal("taken", scope.codes, `${id} is there already.`);
    return item;
  }

  /** Stores each of the objects in the only list of a body, or none of them. */
  createAll(collection: Collection, body: object, scope: Scope = {}) {
    const objects = objectsOf(body, scope.each);
    const make = () => objects.map((value) => this.#create(collection, value, scope));
    const items = together(make);
    return { items, total: items.length };
  }

  /** Stores an item under a name that nothing has, or whose item has ended. */
  hold(collection: Collection, id: Id, value: object, scope: Scope = {}): Item {
    const place = this.place(collection, scope) ?? "";
    const name = named(id);
    const fields: Record<string, unknown> = { ...value };
    if (collection.key) fields[collection.key] = nameOf(collection, name);
    const ends = collection.ends ? endOf(fields) : undefined;
    this.ready(collection, scope);
    const item = this.#insert(collection, place, name, scope, fields, { ends });
    if (item === undefined) throw refusal("taken", scope.codes, `${name} is held already.`);
    return item;
  }

  /** Stores an item under a name, in place of the one that may be there. */
  put(collection: Collection, id: Id, value: object, scope: Scope = {}): Item {
    return this.#put(collection, named(id), { ...value }, scope);
  }

  /** The same with bytes. */
  putBytes(collection: Collection, id: Id, stored: Stored, scope: Scope = {}): Item {
    return this.#put(collection, named(id), about(stored), scope, stored.bytes);
  }

  /**
   * Hands the oldest item out, and removes it. With `keeps` it stays until it is
   * removed, and is handed out again to whoever asks after half a minute. With a status
   * that it gets it stays too, and is handed out while it has that of one that is new.
   */
  take(
    collection: Collection,
    how: { keeps?: boolean; to?: string; fields?: object },
    scope: Scope = {},
  ): Item {
    const { keeps = false, to } = how;
    const lately = new Date(Date.now() - HANDED_OUT_MS).toISOString();
    const waits: Clause[] =
      to === undefined
        ? [{ sql: "coalesce(json_extract(value, '$.handed_out_at'), '') < ?", bound: [lately] }]
        : chosen(collection, { match: { status: collection.status } }).conditions;
    const waiting = [...this.seen(collection, scope), ...waits];
    const row = this.select<Row>(COLUMNS, waiting, "ORDER BY seq LIMIT 1")[0];
    if (row === undefined) throw refusal("missing", scope.codes, "Nothing waits.");
    if (to !== undefined) {
      const told = free(collection, how.fields ?? {});
      const fields = (before: Fields) => ({ ...merged(before, told), status: to });
      return this.#update(collection, row, { fields });
    }
    if (keeps) {
      const handed = { handed_out_at: new Date().toISOString() };
      return this.#update(collection, row, { fields: (before) => ({ ...before, ...handed }) });
    }
    this.#take(itself(row.seq));
    return itemOf(collection, row);
  }

  /** Removes all that fits, and what lies within it. */
  clear(collection: Collection, selection: Selection = {}, scope: Scope = {}) {
    const { conditions } = chosen(collection, selection);
    const rows = this.select<Row>(COLUMNS, [...this.seen(collection, scope), ...conditions]);
    for (const { seq } of rows) this.#take(itself(seq));
    return { deleted: rows.length };
  }

  /**
   * Gives an item new fields and keeps its others; null takes one away. One that says
   * how long it lives does so from now on.
   */
  change(collection: Collection, id: Id, value: object, scope: Scope = {}): Item {
    const row = this.own(collection, id, scope);
    const anew = collection.ends === true && says(value);
    const fields = (before: Fields) =>
      merged(anew ? timeless(before) : before, free(collection, value));
    const next = fields(JSON.parse(row.value));
    this.distinct(collection, row.place, next, scope, row);
    const ends = anew ? (endOf(next) ?? null) : undefined;
    return this.#update(collection, row, { fields, ends });
  }

  /** Gives an item these fields in place of its own; its name and its status it keeps. */
  replace(collection: Collection, id: Id, value: object, scope: Scope = {}): Item {
    const row = this.own(collection, id, scope);
    const fields = (before: Fields) => ({
      ...free(collection, value),
      ...fixedOf(collection, before),
    });
    const next = fields(JSON.parse(row.value));
    this.distinct(collection, row.place, next, scope, row);
    return this.#update(collection, row, {
      fields,
      ends: collection.ends ? (endOf(next) ?? null) : null,
    });
  }

  /**
   * Gives an item a status, or turns a switch of its own in its `field` on or off. `from`
   * is the only one that may become it; with `once`, one that has it already may not.
   * `fields` are what is told with it: a result, a reason.
   */
  become(collection: Collection, id: Id, status: Becoming, scope: Scope = {}): Item {
    const row = this.own(collection, id, scope);
    const field = status.field ?? "status";
    // A switch that was never set is off.
    const unset = typeof status.to === "boolean" ? false : undefined;
    const now = fieldsOf(collection, row)[field] ?? unset;
    if ((status.from !== undefined && now !== status.from) || (status.once && now === status.to)) {
      throw refusal("state", scope.codes, `${row.id}: ${field} is ${now}.`);
    }
    const told = free(collection, status.fields ?? {});
    const fields = (before: Fields) => ({ ...merged(before, told), [field]: status.to });
    return this.#update(collection, row, { fields });
  }

  /** Adds to a number of an item, takes from it, or sets it to nothing: by one unless a body says by how much. */
  step(collection: Collection, id: Id, body: object, how: Step, scope: Scope = {}): Item {
    const by = how.way * amount(body);
    if (how.makes && !this.lasts(collection, id, scope)) {
      const first = { ...spansOf(body), [how.field]: beginning(body) ?? by };
      return this.hold(collection, id, first, scope);
    }
    const row = this.own(collection, id, scope);
    const now = (JSON.parse(row.value) as Fields)[how.field] ?? 0;
    if (typeof now !== "number") {
      throw refusal("state", scope.codes, `${how.field} of ${row.id} is no number.`);
    }
    const fields = (before: Fields) => {
      const from = how.way === 0 ? 0 : Number(before[how.field] ?? 0);
      return { ...before, [how.field]: from + by };
    };
    const key = collection.key ? { [collection.key]: nameOf(collection, row.id) } : {};
    return this.#update(collection, row, { fields, ...(how.makes ? { makes: key } : {}) });
  }

  /** Turns a switch of an item over; one that was never set was off. */
  flip(collection: Collection, id: Id, field: string, scope: Scope = {}): Item {
    const row = this.own(collection, id, scope);
    const now = (JSON.parse(row.value) as Fields)[field] ?? false;
    if (typeof now !== "boolean") {
      throw refusal("state", scope.codes, `${field} of ${row.id} is neither true nor false.`);
    }
    const fields = (before: Fields) => ({ ...before, [field]: !before[field] });
    return this.#update(collection, row, { fields });
  }

  /** Lets an item live on from now, for `ttl` seconds if it says so, else as long as before. */
  renew(collection: Collection, id: Id, value: object, scope: Scope = {}): Item {
    const row = this.own(collection, id, scope);
    const fields = JSON.parse(row.value) as Record<string, unknown>;
    const ends = endOf(says(value) ? { ...timeless(fields), ...value } : fields);
    return this.#update(collection, row, { fields: (before) => before, ends });
  }

  /** Removes an item and what lies within it. */
  remove(collection: Collection, id: Id, scope: Scope = {}) {
    const row = this.own(collection, id, scope);
    this.#take(itself(row.seq));
    return { id: nameOf(collection, row.id), deleted: true };
  }

  /** Ends an item for good: nobody sees it any more, and its name stays taken. */
  retire(collection: Collection, id: Id, status: string, scope: Scope = {}) {
    const row = this.own(collection, id, scope);
    this.#take(inside(row.seq));
    this.#set(row, (there) => ({ ...there, gone: 1 }));
    return { ...itemOf(collection, row), status };
  }

  /** Gives it new fields and keeps its others; null takes one away. */
  setPart(collection: Collection, value: object, scope: Scope = {}): Record<string, unknown> {
    return this.#setPart(collection, (before) => merged(before, value), scope);
  }

  /** Gives it these fields in place of its own. */
  replacePart(collection: Collection, value: object, scope: Scope = {}): Record<string, unknown> {
    return this.#setPart(collection, () => ({ ...value }), scope);
  }

  /** Takes all of its fields away. */
  unsetPart(collection: Collection, scope: Scope = {}): Record<string, unknown> {
    return this.#setPart(collection, () => ({}), scope);
  }

  #setPart(
    collection: Collection,
    change: (before: Record<string, unknown>) => Record<string, unknown>,
    scope: Scope,
  ): Record<string, unknown> {
    const place = this.only(collection, scope);
    const row = this.find(collection, place, ONLY, scope, true);
    const next = change(row === undefined ? {} : JSON.parse(row.value));
    if (row !== undefined) this.#update(collection, row, { fields: change, makes: {} });
    else this.#insert(collection, place, ONLY, scope, next);
    return next;
  }

  /** Takes a turn under a name; throws while another one lasts. `back` gives it back. */
  turn(name: string, whose: string, seconds: number | undefined, scope: Scope = {}) {
    // A code is as it was given out; an address has several spellings.
    const key = seconds === undefined ? whose : whose.toLowerCase();
    const ends = seconds === undefined ? undefined : Date.now() + seconds * 1000;
    const item = this.#insert({ name }, "", key, scope, {}, { ends });
    if (item === undefined) {
      const wait = this.wait(name, key);
      if (seconds === undefined) throw refusal("taken", scope.codes, `${key} was used already.`);
      throw refusal("early", scope.codes, `Wait ${wait} s.`, wait);
    }
    const back = () => {
      const query = "DELETE FROM items WHERE collection = ? AND place = '' AND id = ?";
      this.db.query(query).run(name, key);
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

  /** Throws where what an item is put into takes no more, or none of the same wallet. */
  #allowed(collection: Collection, place: string, scope: Scope): void {
    const { again, closed } = scope.codes ?? {};
    if (closed !== undefined && collection.within !== undefined) {
      const outer = this.outer(collection.within, scope, collection);
      if (isClosed(fieldsOf(collection.within, outer), collection.within.status)) {
        throw refusal("closed", scope.codes, `${outer.id} takes no more.`);
      }
    }
    if (again === undefined || scope.owner === undefined) return;
    const own = [...this.seen(collection, { owner: scope.owner, within: undefined }), at(place)];
    if (this.select("1", own, "LIMIT 1").length > 0) {
      throw refusal("again", scope.codes, "There is one of this wallet already.");
    }
  }

  /** A new item's id. */
  #made(collection: Collection): string {
    // Codes and slugs are short: callers read them to people.
    if (!collection.numbers) return collection.key ? short() : crypto.randomUUID();
    const last = this.db
      .query<{ seq: number }, []>("SELECT seq FROM sqlite_sequence WHERE name = 'items'")
      .get();
    return String((last?.seq ?? 0) + 1);
  }

  #insert(
    collection: Collection,
    place: string,
    id: string,
    scope: Scope,
    value: object,
    more: { ends?: number | undefined; bytes?: Uint8Array<ArrayBuffer> | undefined } = {},
  ): Item | undefined {
    countable(value);
    const now = new Date().toISOString();
    const called = this.called(collection, place, id, scope);
    const sql = called.map((clause) => clause.sql).join(" AND ");
    const bound = called.flatMap((clause) => clause.bound);
    // A name is free again once what had it has ended by itself.
    this.db.query(`DELETE FROM items WHERE ${sql} AND ends_at <= ?`).run(...bound, Date.now());
    const row = this.db
      .query<Row, SQLQueryBindings[]>(
        `INSERT INTO items (collection, place, space, id, owner, created_at, ends_at, value, bytes)
         SELECT ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM items WHERE ${sql})
         ON CONFLICT DO NOTHING RETURNING ${COLUMNS}`,
      )
      .get(
        collection.name,
        place,
        collection.own ? (scope.owner ?? "") : "",
        id,
        scope.owner ?? null,
        now,
        more.ends ?? null,
        JSON.stringify(counted(collection, value, now)),
        more.bytes ?? null,
        ...bound,
      );
    if (row === null) return undefined;
    const made = { ...row, collection: collection.name, bytes: more.bytes ?? null };
    this.#deeds.note(
      row.seq,
      () => undefined,
      () => made,
    );
    return itemOf(collection, row);
  }

  #put(
    collection: Collection,
    id: string,
    value: Record<string, unknown>,
    scope: Scope,
    bytes?: Uint8Array<ArrayBuffer>,
  ): Item {
    const place = this.place(collection, scope) ?? "";
    const { key, status } = collection;
    const first = {
      ...free(collection, value),
      ...(key ? { [key]: nameOf(collection, id) } : {}),
      ...(status ? { status } : {}),
    };
    countable(first);
    const ends = collection.ends ? endOf(value) : undefined;
    const there = this.find(collection, place, id, scope, true);
    if (there === undefined) this.ready(collection, scope);
    this.distinct(collection, place, first, scope, there);
    const made = this.#insert(collection, place, id, scope, first, { ends, bytes });
    if (made !== undefined) return made;
    const row = this.own(collection, id, scope);
    return this.#update(collection, row, {
      fields: (before) => ({ ...first, ...fixedOf(collection, before) }),
      ends: ends ?? null,
      bytes: bytes ?? null,
      makes: {},
    });
  }

  #update(collection: Collection, row: Row, changes: Changes): Item {
    const { fields, ends, makes } = changes;
    const now = new Date().toISOString();
    const change = <T extends Row>(there: T): T => ({
      ...there,
      value: JSON.stringify(counted(collection, fields(JSON.parse(there.value)), now)),
      ends_at: ends === undefined ? there.ends_at : ends,
      ...(changes.bytes === undefined ? {} : { bytes: changes.bytes }),
    });
    const empty = makes && { ...row, value: JSON.stringify(makes), ends_at: null, gone: 0 };
    const first = empty && { ...empty, collection: collection.name, bytes: null };
    return itemOf(collection, this.#set(row, change, first));
  }

  /** Changes a row; `first` is what one begins as that is not there, where the change makes one. */
  #set(row: Row, change: <T extends Row>(row: T) => T, first?: Whole): Row {
    const whole = () =>
      this.db.query<Whole, [number]>("SELECT * FROM items WHERE seq = ?").get(row.seq) ?? undefined;
    this.#deeds.note(row.seq, whole, (there = first) => there && change(there));
    const after: Row & { bytes?: Whole["bytes"] } = change(row);
    const query = "UPDATE items SET value = ?, ends_at = ?, gone = ? WHERE seq = ?";
    this.db.query(query).run(after.value, after.ends_at, after.gone, after.seq);
    if (after.bytes !== undefined) {
      this.db.query("UPDATE items SET bytes = ? WHERE seq = ?").run(after.bytes, after.seq);
    }
    return after;
  }

  /** Brings a row from one state into another, unless another process changed it since. */
  #bring(seq: number, is: State, becomes: State): void {
    if (becomes === undefined) {
      if (is !== undefined) this.#take(itself(seq));
    } else if (is === undefined) {
      const columns = Object.keys(becomes);
      const marks = columns.map(() => "?").join(", ");
      this.db
        .query(`INSERT OR IGNORE INTO items (${columns.join(", ")}) VALUES (${marks})`)
        .run(...(Object.values(becomes) as SQLQueryBindings[]));
    } else {
      this.db
        .query(
          `UPDATE items SET value = ?, ends_at = ?, gone = ?, bytes = ?
           WHERE seq = ? AND value = ? AND ends_at IS ? AND gone = ?`,
        )
        .run(
          ...[becomes.value, becomes.ends_at, becomes.gone, becomes.bytes],
          ...[seq, is.value, is.ends_at, is.gone],
        );
    }
  }

  /** Removes rows and all that lies within them, and within that. */
  #take({ sql, bound }: Clause): void {
    const taken = this.db
      .query<Whole, SQLQueryBindings[]>(`DELETE FROM items WHERE ${sql} RETURNING *`)
      .all(...bound);
    for (const row of taken) {
      this.#deeds.note(
        row.seq,
        () => row,
        () => undefined,
      );
      this.#take(inside(row.seq));
    }
  }
}

const at = (place: string): Clause => ({ sql: "place = ?", bound: [place] });
const itself = (seq: number): Clause => ({ sql: "seq = ?", bound: [seq] });

const stores = new WeakMap<Env, Store>();

/** The store of an environment: the file that `variable` names, or memory that ends with the process. */
export function openStore(
  env: Env,
  variable: string,
  collections: readonly Collection[] = [],
): Store {
  let store = stores.get(env);
  if (store === undefined) {
    store = new Store(env[variable] || ":memory:", collections);
    stores.set(env, store);
  }
  return store;
}
