/**
 * Calls that may be repeated: one with the header Idempotency-Key is done once, and
 * answered the same each further time that its caller sends it
 * (draft-ietf-httpapi-idempotency-key-header). What was refused may be tried again.
 */
import type { Database } from "bun:sqlite";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { ServiceError } from "./envelope.ts";
import { undoable } from "./undo.ts";

/** How long an answer is kept. */
const KEPT_MS = 24 * 60 * 60 * 1000;
/** After what time a call without an answer is taken for one whose process ended. */
const LOST_MS = 60_000;
/** How many answers are kept for one caller, and for all together. */
const MOST = { each: 1000, all: 20_000 };
/** Larger answers are not kept. */
const MOST_BYTES = 256 * 1024;
/** Printable, and no longer than anybody needs. */
const KEY = /^[!-~]{1,255}$/;

const SCHEMA = `CREATE TABLE IF NOT EXISTS repeats (
  route TEXT NOT NULL,
  caller TEXT NOT NULL,
  key TEXT NOT NULL,
  at INTEGER NOT NULL,
  asked TEXT NOT NULL,
  paid INTEGER NOT NULL DEFAULT 0,
  status INTEGER,
  type TEXT,
  body BLOB,
  PRIMARY KEY (route, caller, key)
)`;

/** A call, and who makes it. */
export interface Repeatable {
  route: string;
  /** The wallet that paid; empty where nobody is told apart. */
  caller: string;
  key: string;
  /** What is asked, which a repeated call has alike. */
  asked: unknown;
}

/** An answer, given the first time or again. */
export interface Repeated {
  answer: Response;
  /** Whether it was paid for before. */
  paid: boolean;
  /** To be told once it is. */
  settled: () => void;
}

interface Row {
  asked: string;
  paid: number;
  status: ContentfulStatusCode | null;
  type: string | null;
  body: Uint8Array<ArrayBuffer> | null;
}

/** The answers that a service remembers, in the file with its data. */
export class Repeats {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
    db.run(SCHEMA);
  }

  /** Does a call, or answers it as it was answered before. */
  async once(call: Repeatable, work: () => Promise<Response>): Promise<Repeated> {
    if (!KEY.test(call.key)) {
      const text = "Idempotency-Key: must be 1 to 255 printable characters without spaces";
      throw new ServiceError(400, "invalid_request", text);
    }
    const asked = new Bun.CryptoHasher("sha256").update(JSON.stringify(call.asked)).digest("hex");
    const name = [call.route, call.caller, call.key] as const;
    const settled = () => this.#change("paid = 1", name);
    if (!this.#begin(name, asked)) return { ...this.#again(name, asked), settled };
    try {
      const answer = await work();
      undoable(() => this.#forget(name));
      const body = new Uint8Array(await answer.clone().arrayBuffer());
      if (answer.status >= 400 || body.byteLength > MOST_BYTES) this.#forget(name);
      else {
        const type = answer.headers.get("content-type");
        this.#change("status = ?, type = ?, body = ?", name, answer.status, type, body);
      }
      return { answer, paid: false, settled };
    } catch (error) {
      this.#forget(name);
      throw error;
    }
  }

  /** Whether the call is new, or one whose process ended over it. */
  #begin(name: readonly [string, string, string], asked: string): boolean {
    const now = Date.now();
    this.#db.query("DELETE FROM repeats WHERE at < ?").run(now - KEPT_MS);
    const begun = this.#db
      .query(
        `INSERT INTO repeats (route, caller, key, at, asked) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET at = excluded.at
         WHERE status IS NULL AND asked = excluded.asked AND at < ?`,
      )
      .run(...name, now, asked, now - LOST_MS);
    if (begun.changes === 0) return false;
    const oldest = (where: string) =>
      `DELETE FROM repeats WHERE rowid IN (SELECT rowid FROM repeats ${where} ORDER BY at DESC, rowid DESC LIMIT -1 OFFSET ?)`;
    this.#db.query(oldest("WHERE caller = ?")).run(name[1], MOST.each);
    this.#db.query(oldest("")).run(MOST.all);
    return true;
  }

  #again(name: readonly [string, string, string], asked: string) {
    const row = this.#db
      .query<Row, string[]>(
        "SELECT asked, paid, status, type, body FROM repeats WHERE route = ? AND caller = ? AND key = ?",
      )
      .get(...name);
    if (row !== null && row.asked !== asked) {
      const text = "This Idempotency-Key was sent with another request.";
      throw new ServiceError(422, "idempotency_key_reused", text);
    }
    if (row === null || row.status === null) {
      const text = "The first call with this Idempotency-Key is not answered yet.";
      throw new ServiceError(409, "idempotency_key_in_use", text, 1);
    }
    const headers = new Headers({ "idempotency-replayed": "true" });
    if (row.type !== null) headers.set("content-type", row.type);
    const body = row.status === (204 as number) ? null : row.body;
    return { answer: new Response(body, { status: row.status, headers }), paid: row.paid === 1 };
  }

  #change(
    fields: string,
    name: readonly [string, string, string],
    ...values: (string | number | Uint8Array | null)[]
  ): void {
    const where = "route = ? AND caller = ? AND key = ?";
    this.#db.query(`UPDATE repeats SET ${fields} WHERE ${where}`).run(...values, ...name);
  }

  #forget(name: readonly [string, string, string]): void {
    this.#db.query("DELETE FROM repeats WHERE route = ? AND caller = ? AND key = ?").run(...name);
  }
}
