/**
 * Asks every package over HTTP what a stranger would ask of it: `probe.ts FILE`,
 * where the file has a list of packages. Prints a JSON line for each: by question
 * `ok`, `-` where it has no route to ask, or what was wrong.
 */
import { paymentTerms } from "@flywheel/kit/testing";
import { pay, type Served, serving } from "./served.ts";

interface Route {
  method: string;
  sample: string;
  json: boolean;
  /** Its price in millionths of a dollar; null where it is free. */
  micros: number | null;
  mistyped: { field: string; body: unknown } | null;
}

interface Package extends Served {
  routes: Route[];
}

interface Envelope {
  error?: { code?: unknown; message?: unknown };
}

/** The envelope of an error; throws where the answer is another. */
async function problem(
  answer: Response,
  status: number,
): Promise<{ code: string; message: string }> {
  const text = await answer.text();
  if (answer.status !== status) throw new Error(`${answer.status} is not ${status}: ${text}`);
  const { error } = JSON.parse(text) as Envelope;
  if (typeof error?.code !== "string" || typeof error.message !== "string") {
    throw new Error(`is not in the envelope: ${text}`);
  }
  return { code: error.code, message: error.message };
}

type Question = (base: string, route: Route, headers: Record<string, string>) => Promise<void>;

/** An unpaid call has its price in its terms. */
const unpaid: Question = async (base, { method, sample, micros }, headers) => {
  const answer = await fetch(base + sample, { method, headers });
  const amount = paymentTerms(answer).accepts[0]?.amount;
  await problem(answer, 402);
  if (amount !== String(micros)) throw new Error(`${amount} is asked and not ${micros}`);
};

const malformed: Question = async (base, { method, sample }, headers) => {
  await problem(await pay(base + sample, { method, headers, body: "{" }), 400);
};

/** A wrong type is refused by the name of its field. */
const mistyped: Question = async (base, { method, sample, mistyped }, headers) => {
  if (mistyped === null) return;
  const url = new URL(base + sample);
  if (mistyped.body === null) url.searchParams.set(mistyped.field, "none");
  const body = mistyped.body === null ? {} : { body: JSON.stringify(mistyped.body) };
  const { message } = await problem(await pay(url.href, { method, headers, ...body }), 400);
  if (!message.includes(`${mistyped.field}: `)) {
    throw new Error(`${mistyped.field} is not named: ${message}`);
  }
};

async function boots(base: string, id: string): Promise<void> {
  const answer = await fetch(`${base}/`);
  const health = (await answer.json()) as { service?: unknown; status?: unknown };
  if (answer.status !== 200 || health.status !== "ok" || typeof health.service !== "string") {
    throw new Error(`${id} answers GET / with ${answer.status} ${JSON.stringify(health)}`);
  }
}

async function unknown(base: string): Promise<void> {
  const { code } = await problem(await fetch(`${base}/v1/no/such/route`), 404);
  if (code !== "not_found") throw new Error(`the code is ${code}`);
}

async function verdict(work: () => Promise<void>): Promise<string> {
  try {
    await work();
    return "ok";
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** The same question to all routes that it can be asked of. */
async function each(routes: Route[], ask: (route: Route) => Promise<void>): Promise<string> {
  for (const route of routes) {
    const found = await verdict(() => ask(route));
    if (found !== "ok") return `${route.method} ${route.sample}: ${found}`;
  }
  return routes.length === 0 ? "-" : "ok";
}

async function questions(base: string, { id, routes, env }: Package) {
  const headers = { "x-internal-key": env["PRIM_INTERNAL_KEY"] ?? "" };
  const to = (question: Question, which: (route: Route) => boolean) =>
    each(routes.filter(which), (route) => question(base, route, headers));
  return {
    boots: await verdict(() => boots(base, id)),
    unpaid: await to(unpaid, ({ micros }) => micros !== null),
    malformed: await to(malformed, ({ json }) => json),
    mistyped: await to(mistyped, ({ mistyped }) => mistyped !== null),
    unknown: await verdict(() => unknown(base)),
  };
}

const packages = (await Bun.file(process.argv[2] ?? "").json()) as Package[];
for (const one of packages) {
  let answers: Record<string, string>;
  try {
    answers = await serving(one, (base) => questions(base, one));
  } catch (error) {
    answers = { boots: String(error) };
  }
  console.log(JSON.stringify({ id: one.id, answers }));
}
