/** Programs that answer routes. No shell reads what they are given. */
import type { Env } from "./config.ts";
import { ServiceError } from "./envelope.ts";

/** How long a program may take. */
const TIMEOUT_MS = 20_000;
/** How long what it printed is still read for once it ended and others hold its output open. */
const DRAIN_MS = 500;
/** How much it may print. */
const MOST_BYTES = 8 * 1024 * 1024;

/** What a program gets besides its arguments, and what it answers. */
export interface Run {
  env: Env;
  /** Variables that it may see, PATH besides. */
  pass?: readonly string[];
  /** JSON for its standard input. */
  body?: unknown;
  /** Bytes for it instead. */
  bytes?: Uint8Array<ArrayBuffer>;
  /** What it prints. */
  answer?: "json" | "bytes" | "nothing";
}

/**
 * A word for a program with a caller's value in it. A value that is the whole of
 * a word, or begins it, is none of the program's options.
 */
export function argument(value: unknown, before = "", after = ""): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value ?? undefined) ?? "");
  if (text.includes("\0") || (before === "" && text.startsWith("-"))) {
    throw new ServiceError(400, "invalid_request", "A value can't be given to the program.");
  }
  return before + text + after;
}

/** What programs print where they are not run, by environments: tests fill it, by `stubPrograms`. */
export const stubs = new WeakMap<Env, (command: readonly string[]) => string>();

/** Ends a program and all that it started. */
function end(group: number): void {
  try {
    process.kill(-group, "SIGKILL");
  } catch {
    // Nothing of it is left.
  }
}

/** Runs a program and answers what it prints: 502 where it fails, 501 where it is not there. */
export async function run(command: readonly string[], what: Run): Promise<unknown> {
  const stub = stubs.get(what.env);
  const output = stub ? Buffer.from(stub(command)) : await printed(command, what);
  if (what.answer === "nothing") return undefined;
  if (what.answer === "bytes") {
    return new Response(output, { headers: { "content-type": "application/octet-stream" } });
  }
  try {
    return JSON.parse(output.toString());
  } catch {
    throw failure();
  }
}

const failure = () => new ServiceError(502, "command_failed", "The program failed.");

/** What a program prints. */
async function printed(command: readonly string[], what: Run): Promise<Buffer<ArrayBuffer>> {
  const [program = ""] = command;
  const path = what.env["PATH"] ?? process.env["PATH"] ?? "";
  const found = Bun.which(program, { PATH: path });
  if (!found) {
    throw new ServiceError(501, "not_configured", `Not configured: the program ${program}.`);
  }
  const passed = (what.pass ?? []).map((name) => [name, what.env[name]]);
  const json = what.body === undefined ? "" : JSON.stringify(what.body);
  const child = Bun.spawn([found, ...command.slice(1)], {
    env: { ...Object.fromEntries(passed.filter(([, value]) => value !== undefined)), PATH: path },
    stdin: what.bytes ?? new TextEncoder().encode(json),
    stdout: "pipe",
    stderr: "ignore",
    timeout: TIMEOUT_MS,
    killSignal: "SIGKILL",
    // Its own group, so that what it started ends with it.
    detached: true,
  });
  const parts: Uint8Array[] = [];
  let code: number;
  try {
    const output = child.stdout.getReader();
    const silent = child.exited.then(() => Bun.sleep(DRAIN_MS));
    let bytes = 0;
    for (;;) {
      const part = await Promise.race([output.read(), silent]);
      if (part?.value === undefined) break;
      bytes += part.value.byteLength;
      if (bytes > MOST_BYTES) throw failure();
      parts.push(part.value);
    }
    code = await child.exited;
  } finally {
    end(child.pid);
  }
  if (code !== 0) throw failure();
  return Buffer.concat(parts);
}
