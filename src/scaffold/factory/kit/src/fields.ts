/** What some fields of an item say of it that the store goes by: who sees it, how often, until when. */
import { type Clause, invalid } from "./selection.ts";

/** What an item, a body or an answer has. */
export type Fields = Record<string, unknown>;

/** Flags that hide an item where they are so. */
const HIDING = [
  ["private", true],
  ["is_private", true],
  ["isPrivate", true],
  ["public", false],
  ["is_public", false],
  ["isPublic", false],
] as const;
/** What `visibility` may say of an item that is there for everybody. */
const PUBLIC = ["public", "open", "everyone", "anyone"];
/** And of one that is for whoever knows of it. */
const UNLISTED = "unlisted";
/** Names of a time after which nothing is put into an item. */
const CLOSES = ["closes_at", "closesAt", "ends_at", "endsAt", "deadline"];

/** Whether only its owner sees an item. */
export function isHidden(fields: Fields): boolean {
  const { visibility } = fields;
  const shown = visibility === UNLISTED || PUBLIC.includes(String(visibility ?? PUBLIC[0]));
  return !shown || HIDING.some(([name, hides]) => fields[name] === hides);
}

const SHOWN = HIDING.map(([name, hides]) => `json_type(value, '$.${name}') IS NOT '${hides}'`);

/** What everybody is listed: of what SQLite can't look into, nothing. */
export const LISTED: Clause = {
  sql: `CASE WHEN json_valid(value) THEN ${SHOWN.join(" AND ")}
    AND coalesce(json_extract(value, '$.visibility'), ?) IN (${PUBLIC.map(() => "?").join(", ")})
    ELSE 0 END`,
  bound: ["public", ...PUBLIC],
};

/** Whether nothing more is put into an item, which begins with a status. */
export function isClosed(fields: Fields, status: string | undefined): boolean {
  if (status !== undefined && fields["status"] !== status) return true;
  if (fields["closed"] === true || fields["is_closed"] === true) return true;
  const ends = CLOSES.map((name) => fields[name]).filter((time) => typeof time === "string");
  return ends.some((time) => Date.parse(time) <= Date.now());
}

/** How often an item may still be read; undefined is for ever. */
function viewsLeft(fields: Fields): number | undefined {
  const said = fields["views_left"] ?? fields["max_views"];
  if (typeof said === "number") return said;
  return fields["burn_after_read"] === true ? 1 : undefined;
}

/** An item's fields once it was read, and whether it goes with that; undefined where reading changes nothing. */
export function viewed(fields: Fields): { fields: Fields; last: boolean } | undefined {
  const left = viewsLeft(fields);
  if (left === undefined) return undefined;
  return { fields: { ...fields, views_left: left - 1 }, last: left <= 1 };
}

/** Throws where fields say how often an item is read, and that can't be. */
export function countable(fields: object): void {
  const views = (fields as Fields)["max_views"] ?? 1;
  if (typeof views !== "number" || !Number.isSafeInteger(views) || views < 1) {
    throw invalid("max_views: must be a whole number above 0");
  }
}
