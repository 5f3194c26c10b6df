/**
 * Runs the gate's plan against the packages that a pull request changes, each
 * served here by itself, and says what came of it: a table in $GATE_OUT, in the
 * job's summary and among its outputs.
 *
 *   CHANGED="lookup suggest" bun .github/gate/gate.ts
 *
 * It ends as `flywheel gate run --ci` does: 0, or 1 where something failed that has
 * to pass, 2 where nothing is proven, 3 where the plan can't be read.
 */
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { testEnv } from "@flywheel/kit/testing";
import { type Plan, select } from "./select.ts";

const root = join(import.meta.dir, "../..");
/** Longest that a service may take until it answers. */
const STARTS_WITHIN_MS = 15_000;
/** Longest that the plan may take, in seconds. */
const DEADLINE_S = 300;
/** A comment may have 65,536 characters on GitHub; Flywheel's own limit is below this. */
const MOST_CHARACTERS = 65_000;
/** A summary may have a mebibyte on GitHub; it holds two such files. */
const MOST_DETAILS = 400_000;
/** Nobody listens there: where a service that is not in this repository is asked. */
const CLOSED = "http://127.0.0.1:9";

const out = process.env["GATE_OUT"] ?? join(root, "gate-out");
mkdirSync(out, { recursive: true });
const changed = (process.env["CHANGED"] ?? "").split(/\s+/).filter((id) => id !== "");

/** A package's document, as far as it is looked at here. */
function documentOf(id: string): { name: string; env: string[] } {
  const text = readFileSync(join(root, "packages", id, "prim.yaml"), "utf8");
  const document = (Bun.YAML.parse(text) ?? {}) as { name?: unknown; env?: unknown };
  const env = Array.isArray(document.env) ? document.env : [];
  return {
    name: typeof document.name === "string" ? document.name : `${id}.sh`,
    env: env.filter((name) => typeof name === "string"),
  };
}

/** Ends the program without a verdict, and says why where people look. */
function unproven(why: string): never {
  publish(`Nothing was tested: ${why}`);
  console.log(`::error title=Gate::${command(why)}`);
  process.exit(2);
}

/** A text as a workflow command's value. */
function command(text: string): string {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

/** Gives the table to the summary, to the next job, and to whoever reads the log. */
function publish(table: string, details = ""): void {
  const short =
    table.length > MOST_CHARACTERS
      ? `${table.slice(0, MOST_CHARACTERS)}\n\n… the rest is in the job's log.`
      : table;
  console.log(table);
  const summary = process.env["GITHUB_STEP_SUMMARY"];
  if (summary) appendFileSync(summary, `${table}\n${details}\n`);
  const outputs = process.env["GITHUB_OUTPUT"];
  // Its end is a word that nothing tested could know.
  const end = crypto.randomUUID();
  if (outputs) appendFileSync(outputs, `table<<${end}\n${short}\n${end}\n`);
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response() });
  const { port } = server;
  await server.stop(true);
  return port as number;
}

/** Starts a package, and waits until it answers. */
async function serve(id: string, env: string[], port: number) {
  const data = env.filter((name) => name.endsWith("DB_PATH"));
  const log = Bun.file(join(out, `${id}.log`));
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "serve.ts"), id, `${port}`], {
    cwd: root,
    // Nothing of the job's: no token, no file that steps write to.
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: out,
      DO_NOT_TRACK: "1",
      ...Object.fromEntries(data.map((name) => [name, join(out, `${id}.sqlite`)])),
    },
    stdin: "ignore",
    stdout: log,
    stderr: log,
  });
  for (const late = Date.now() + STARTS_WITHIN_MS; Date.now() < late && child.exitCode === null; ) {
    const answer = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    if (answer) return child;
    await Bun.sleep(50);
  }
  // Its tests say that nobody answers; here is why.
  console.log(`::group::${id} does not answer\n${await log.text().catch(() => "")}\n::endgroup::`);
  return child;
}

/** The services' phases, by name or id, as the base branch or somebody it trusts says them. */
async function said(): Promise<Record<string, string>> {
  const url = process.env["PHASES_URL"];
  const file = join(root, "gates/phases.json");
  if (!url) return existsSync(file) ? read(file, readFileSync(file, "utf8")) : {};
  const answer = await fetch(url, { signal: AbortSignal.timeout(10_000) }).catch((e) => `${e}`);
  if (typeof answer === "string") unproven(`no phases from ${url}: ${answer}`);
  if (!answer.ok) unproven(`no phases from ${url}: it answers ${answer.status}`);
  return read(url, await answer.text());
}

function read(where: string, text: string): Record<string, string> {
  try {
    const phases: unknown = JSON.parse(text);
    if (typeof phases === "object" && phases !== null && !Array.isArray(phases)) {
      return phases as Record<string, string>;
    }
  } catch {
    // Said below.
  }
  return unproven(`${where} is no object of phases by service.`);
}

/** A file with a phase for each service here. One that nobody calls anything is new, and tested. */
async function phases(): Promise<string> {
  const all = await said();
  for (const [id, { name }] of documents) {
    if (!(id in all) && !(name in all)) all[name] = "testing";
  }
  const path = join(out, "phases.json");
  await Bun.write(path, JSON.stringify(all));
  return path;
}

/** Runs Flywheel; its exit code. */
async function flywheel(args: string[], env: Record<string, string> = {}): Promise<number> {
  const child = Bun.spawn(["flywheel", ...args], {
    cwd: root,
    env: { PATH: process.env["PATH"] ?? "", HOME: out, NO_COLOR: "1", ...env },
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
  });
  return child.exited;
}

if (changed.length === 0) {
  console.log("no package changed");
  process.exit(0);
}

// The base's plan, and after it a test for each route that it has none for yet: as
// Flywheel derives it from the document, never as the pull request says it.
if ((await flywheel(["generate", "gate", "--repo", root])) !== 0) {
  unproven("a document can't be read, or has no tests that can be made of it; the log says more.");
}
const file = join(root, "gates/plan.json");
if (!existsSync(file)) unproven("there is no gates/plan.json.");

const packages = readdirSync(join(root, "packages")).filter((id) =>
  existsSync(join(root, "packages", id, "prim.yaml")),
);
const documents = new Map(packages.map((id) => [id, documentOf(id)]));
const names = new Set(changed.flatMap((id) => [id, documents.get(id)?.name ?? id]));
const part = select((await Bun.file(file).json()) as Plan, names);
if (part.plan.tests.length === 0) unproven(`the plan has no test for ${changed.join(", ")}.`);
await Bun.write(join(out, "plan.json"), JSON.stringify(part.plan));

const bases: string[] = [];
const children: Bun.Subprocess[] = [];
for (const service of part.services) {
  const [id, document] = [...documents].find(([, { name }]) => name === service) ?? [];
  if (id === undefined || document === undefined) {
    bases.push("--base", `${service}=${CLOSED}`);
    continue;
  }
  const port = await freePort();
  bases.push("--base", `${service}=http://127.0.0.1:${port}`);
  children.push(await serve(id, document.env, port));
}

const results = {
  result: join(out, "result.json"),
  junit: join(out, "junit.xml"),
  markdown: join(out, "table.md"),
};
const code = await flywheel(
  [
    ...["gate", "run", join(out, "plan.json"), "--ci", "--phases", await phases(), ...bases],
    ...part.services.filter((name) => names.has(name)).flatMap((name) => ["--changed", name]),
    ...Object.entries(results).flatMap(([name, path]) => [`--${name}`, path]),
    ...["--deadline", `${DEADLINE_S}`],
    // What serve.ts gives each service, and nobody else is paid.
    ...["--network", testEnv.X402_NETWORK, "--pay-to", testEnv.X402_PAY_TO],
  ],
  // A wallet that was never used and holds nothing: the stub takes its word.
  {
    AGENT_PRIVATE_KEY: `0x${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex")}`,
  },
);
for (const child of children) child.kill("SIGKILL");

if (!existsSync(results.markdown) || readFileSync(results.markdown).length === 0) {
  unproven(`\`flywheel gate run\` ended with ${code} and wrote no table; the log says why.`);
}
const details = Object.entries({ JSON: results.result, JUnit: results.junit })
  .filter(([, path]) => existsSync(path))
  .map(([title, path]) => {
    const text = readFileSync(path, "utf8").slice(0, MOST_DETAILS).replaceAll("```", "'''");
    return `<details><summary>${title}</summary>\n\n\`\`\`\n${text}\n\`\`\`\n\n</details>\n`;
  });
publish(readFileSync(results.markdown, "utf8"), details.join("\n"));
if (code === 0 && existsSync(results.result)) {
  type Result = { tests?: { id: string; result: string; run_note?: string | null }[] };
  const { tests = [] } = (await Bun.file(results.result).json()) as Result;
  for (const { id, result, run_note } of tests) {
    if (result === "pass" || result === "skipped") continue;
    console.log(`::warning title=Gate: ${result}::${command(`${id}: ${run_note ?? ""}`)}`);
  }
}
process.exit(code);
