/** What Zod does not say by itself of a document's types and parameters. */
import { z } from "zod";
import { changes, checks, shapes } from "./about.ts";

/** What exactly one of the options takes. */
export function exactlyOne<const Options extends readonly z.ZodType[]>(options: Options) {
  const fits = (value: unknown) =>
    options.filter((option) => option.safeParse(value).success).length === 1;
  const text = "must be exactly one of what it may be";
  const schema = z.unknown().refine(fits, text).pipe(z.union(options));
  shapes.set(schema, (of) => ({ oneOf: options.map(of) }));
  return schema;
}

/** One of these values, arrays and objects among them. */
export function oneOf<const Value>(values: readonly Value[]) {
  const known = (value: unknown): value is Value =>
    values.some((one) => Bun.deepEquals(one, value, true));
  const schema = z.custom<Value>(known, "must be one of the values that it may be");
  shapes.set(schema, () => ({ enum: values }));
  return schema;
}

/** Arguments of `refine` for an array whose entries differ. */
export function unique(): [(entries: readonly unknown[]) => boolean, string] {
  const first = (entries: readonly unknown[], entry: unknown) =>
    entries.findIndex((other) => Bun.deepEquals(other, entry, true));
  const differ = (entries: readonly unknown[]) => entries.every((e, i) => first(entries, e) === i);
  checks.set(differ, { uniqueItems: true });
  return [differ, "must not hold the same twice"];
}

/** Arguments of `refine` for an object that has a field of which nothing else is said. */
export function having(
  name: string,
): [(fields: object) => boolean, { error: string; path: string[] }] {
  const has = (fields: object) => Object.hasOwn(fields, name);
  checks.set(has, { required: [name] });
  return [has, { error: "must be there", path: [name] }];
}

/** Bounds of a number, both of which fit. */
export interface Bounds {
  min?: number;
  max?: number;
}

/**
 * Arguments of `refine` for a text's length in characters, as JSON Schema counts them: 🙂 is
 * one. A pattern after it is tried on no text that is too long: it may take too much of one.
 */
export function characters({
  min = 0,
  max = Infinity,
}: Bounds): [(text: string) => boolean, { error: string; abort: true }] {
  const fits = (text: string) => {
    // Nobody counts what can't fit: a character has one unit or two.
    if (text.length < min || text.length > max * 2) return false;
    const count = [...text].length;
    return count >= min && count <= max;
  };
  const least = min > 0 ? `at least ${min}` : "";
  const most = max === Infinity ? "" : `at most ${max}`;
  const words = { ...(least && { minLength: min }), ...(most && { maxLength: max }) };
  checks.set(fits, words);
  const error = `must have ${[least, most].filter(Boolean).join(" and ")} characters`;
  return [fits, { error, abort: true }];
}

/** A whole number as it stands in a path. It stays the text that it is. */
export function integerText(bounds: Bounds = {}) {
  const fits = (text: string) => /^-?\d{1,16}$/.test(text) && within(Number(text), bounds);
  // What is no number is not said to be too large a one as well.
  return z.string().refine(fits, { error: `must be a whole number${said(bounds)}`, abort: true });
}

/** The same as it stands in a query, as the number that it is. */
export function integer(bounds: Bounds = {}) {
  const text = integerText(bounds).refine(isSafe, "must be a smaller number");
  return text.transform(Number).meta({ type: "integer", ...edges(bounds) });
}

/** A number as it stands in a query: digits, and not all that JavaScript takes for one. */
export function number(bounds: Bounds = {}) {
  const fits = (text: string) => /^-?\d+(?:\.\d+)?$/.test(text) && within(Number(text), bounds);
  const text = z.string().refine(fits, `must be a number${said(bounds)}`);
  return text.transform(Number).meta({ type: "number", ...edges(bounds) });
}

/** Bounds as JSON Schema has them: a text that becomes a number says nothing of it else. */
function edges({ min, max }: Bounds) {
  return {
    ...(min === undefined ? {} : { minimum: min }),
    ...(max === undefined ? {} : { maximum: max }),
  };
}

const isSafe = (text: string) => Number.isSafeInteger(Number(text));

function within(value: number, { min = -Infinity, max = Infinity }: Bounds): boolean {
  return Number.isFinite(value) && value >= min && value <= max;
}

function said({ min, max }: Bounds): string {
  const least = min === undefined ? "" : `at least ${min}`;
  const most = max === undefined ? "" : `at most ${max}`;
  const bounds = [least, most].filter(Boolean).join(" and ");
  return bounds === "" ? "" : ` of ${bounds}`;
}

/**
 * What a change has: the fields that were sent, and no other. A default is for
 * what is new, and would undo what somebody chose before.
 */
export function sent<Fields extends object>(schema: z.ZodType<Fields>) {
  const change = z.unknown().transform((value, context): Partial<Fields> => {
    const { data, error } = schema.safeParse(value);
    for (const { path, message } of error?.issues ?? []) {
      context.addIssue({ code: "custom", path: [...path], message });
    }
    const there = (field: string) => Object.hasOwn(value as object, field);
    const fields = Object.entries(data ?? {}).filter(([field]) => there(field));
    return Object.fromEntries(fields) as Partial<Fields>;
  });
  changes.set(change, schema);
  return change;
}

/**
 * A change of an item whose type is known, and its own is not: each field as the first of
 * these types has it, where one does. Null takes away what need not be there.
 */
export function part(...types: readonly z.ZodObject[]) {
  const fields = new Map<string, z.ZodType>();
  for (const { shape } of types) {
    for (const [name, field] of Object.entries(shape)) {
      if (fields.has(name)) continue;
      const needless = field.safeParse(undefined).success;
      fields.set(name, needless ? field.nullable().optional() : field.optional());
    }
  }
  const closed = types.every(({ def }) => def.catchall instanceof z.ZodNever);
  const shape = Object.fromEntries(fields);
  return sent(closed ? z.strictObject(shape) : z.looseObject(shape));
}

/** A page of a list whose items are of a type. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.looseObject({
    items: z.array(item),
    total: z.int(),
    next_cursor: z.string().nullable(),
  });
}
