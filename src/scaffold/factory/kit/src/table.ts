/** The one table of what is kept, and how an older one becomes it. */
import type { Database } from "bun:sqlite";
import type { Collection } from "./items.ts";

/** `space` is the wallet whose own a name is, and empty where names are everybody's. */
const TABLE = `CREATE TABLE IF NOT EXISTS items (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  collection TEXT NOT NULL,
  place TEXT NOT NULL,
  space TEXT NOT NULL,
  id TEXT NOT NULL,
  owner TEXT,
  created_at TEXT NOT NULL,
  ends_at INTEGER,
  gone INTEGER NOT NULL DEFAULT 0,
  value TEXT NOT NULL,
  bytes BLOB,
  UNIQUE (collection, place, id, space)
)`;
/** What of a row is read. */
export const COLUMNS = "seq, place, space, id, owner, created_at, ends_at, gone, value";
/** What stays of a row in another table. */
const REST = "id, owner, created_at, ends_at, gone, value, bytes";

/** The table of a database; one from before names had a space is brought over once. */
export function openTable(db: Database, collections: readonly Collection[]): void {
  if (isOlder(db)) {
    db.transaction(() => {
      // Another process may have been first.
      if (isOlder(db)) bringOver(db, collections);
    }).immediate();
  }
  db.run(TABLE);
}

function isOlder(db: Database): boolean {
  const columns = db.query<{ name: string }, []>("SELECT name FROM pragma_table_info('items')");
  const names = columns.all().map(({ name }) => name);
  return names.length > 0 && !names.includes("space");
}

/**
 * There a collection was called by its noun, and a place began with the wallet whose
 * own it was, or with `*` where it was everybody's.
 */
function bringOver(db: Database, collections: readonly Collection[]): void {
  const names = new Map(collections.map(({ noun, name }) => [noun ?? name, name]));
  db.run("ALTER TABLE items RENAME TO older");
  db.run(TABLE);
  const places = db
    .query<{ collection: string; place: string }, []>(
      "SELECT collection, place FROM older GROUP BY collection, place",
    )
    .all();
  for (const { collection, place } of places) {
    const parts = place.startsWith("[") ? (JSON.parse(place) as (string | null)[]) : [];
    const [whose = null, ...ids] = parts;
    const space = whose === null || whose === "*" ? "" : whose;
    const there = parts.length === 0 ? place : placeOf(ids);
    const moved = [names.get(collection) ?? collection, there] as const;
    // What was nobody's and what was everybody's may have had one name.
    for (const spaces of ["?", "coalesce(owner, ?)"]) {
      const taken = "SELECT seq FROM items";
      db.query(
        `INSERT OR IGNORE INTO items (seq, collection, place, space, ${REST})
         SELECT seq, ?, ?, ${spaces}, ${REST} FROM older
         WHERE collection = ? AND place = ? AND seq NOT IN (${taken})`,
      ).run(...moved, spaces === "?" ? space : "*", collection, place);
    }
  }
  // Numbers that were given out stay so.
  db.run("DELETE FROM sqlite_sequence WHERE name = 'items'");
  db.run("UPDATE sqlite_sequence SET name = 'items' WHERE name = 'older'");
  db.run("DROP TABLE older");
}

/** Parts of a path. */
export type Ids = readonly (string | undefined | null)[];

/** Where what lies below parts of a path lies that name no item. */
export const placeOf = (ids: Ids): string => (ids.length === 0 ? "" : JSON.stringify(ids));
