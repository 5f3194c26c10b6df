/** A route, and how it is called. */
interface Command {
  name: string;
  description: string;
  /** JSON Schema of its options. */
  parameters: { properties: Record<string, unknown>; required: string[]; [key: string]: unknown };
  request: {
    method: string;
    url: string;
    query: string[];
    /** What the service calls those of the query that are called otherwise here. */
    names?: Record<string, string>;
    body: "json" | "bytes" | null;
    rest?: string;
    price: string;
  };
}

/** What is wrong with the command line. */
class Usage extends Error {}

function help(): string {
  const lines = COMMANDS.map(({ name, description, parameters, request }) => {
    const options = Object.keys(parameters.properties).map((option) => {
      const one = `--${option} ${option === "body" && request.body !== null ? "JSON|@FILE|-" : "VALUE"}`;
      return parameters.required.includes(option) ? one : `[${one}]`;
    });
    return `  ${[name, ...options].join(" ")}\n      ${description}`;
  });
  return [
    `usage: ${PROGRAM} COMMAND [OPTIONS]`,
    "",
    ...lines,
    "",
    "  --url URL          where the service is, in place of its public address; or SERVICE_URL",
    "  --payment BASE64   a payment by x402 version 2, for the terms that a 402 prints",
    "",
    "Prints the answer. Exits with 1 if it is a refusal, with 2 for a wrong command line,",
    "with 3 if the service does not answer, with 4 if it asks for a payment.",
  ].join("\n");
}

function optionsOf(words: string[]): Map<string, string> {
  const options = new Map<string, string>();
  for (let i = 0; i < words.length; i += 2) {
    const [word = "", value] = [words[i], words[i + 1]];
    if (!word.startsWith("--")) throw new Usage(`${word}: is no option`);
    if (value === undefined) throw new Usage(`${word}: needs a value`);
    options.set(word.slice(2), value);
  }
  return options;
}

async function bodyOf(text: string): Promise<Uint8Array<ArrayBuffer>> {
  if (text === "-") return new Uint8Array(await new Response(Bun.stdin.stream()).arrayBuffer());
  if (!text.startsWith("@")) return new TextEncoder().encode(text);
  const file = Bun.file(text.slice(1));
  if (!(await file.exists())) throw new Usage(`--body: ${text.slice(1)} is not there`);
  return new Uint8Array(await file.arrayBuffer());
}

function part(name: string, value: string): string {
  // These would be another route's path.
  if (["", ".", ".."].includes(value)) throw new Usage(`--${name}: ${JSON.stringify(value)} can't stand in a path`);
  return encodeURIComponent(value);
}

async function requestOf(command: Command, options: Map<string, string>): Promise<Request> {
  const { method, url, query, names = {}, body, rest } = command.request;
  const known = [...Object.keys(command.parameters.properties), "url", "payment"];
  for (const name of options.keys()) {
    if (!known.includes(name)) throw new Usage(`--${name}: is no option of ${command.name}`);
  }
  for (const name of command.parameters.required) {
    if (!options.has(name)) throw new Usage(`--${name}: is missing`);
  }
  const path = new URL(url).pathname.replace(/%7B(\w+)%7D/g, (_, name: string) => {
    const value = options.get(name) ?? "";
    return name === rest ? value.split("/").map((one) => part(name, one)).join("/") : part(name, value);
  });
  // What a route calls so is the route's.
  const ours = (name: string) =>
    name in command.parameters.properties ? undefined : options.get(name);
  const base = ours("url") ?? process.env["SERVICE_URL"] ?? new URL(url).origin;
  const target = new URL(base.replace(/\/+$/, "") + path);
  for (const name of query) {
    const value = options.get(name);
    const own = Object.hasOwn(names, name) ? names[name] : undefined;
    if (value !== undefined) target.searchParams.set(own ?? name, value);
  }
  const headers = new Headers();
  const payment = ours("payment");
  if (payment !== undefined) headers.set("PAYMENT-SIGNATURE", payment);
  const given = body === null ? undefined : options.get("body");
  if (given === undefined) return new Request(target.href, { method, headers });
  headers.set("content-type", body === "json" ? "application/json" : "application/octet-stream");
  return new Request(target.href, { method, headers, body: await bodyOf(given) });
}

async function main(words: string[]): Promise<number> {
  const [name, ...rest] = words;
  if (name === undefined || name === "help" || name === "--help") {
    console.log(help());
    return name === undefined ? 2 : 0;
  }
  const command = COMMANDS.find((one) => one.name === name);
  if (!command) throw new Usage(`${name}: is no command`);
  const request = await requestOf(command, optionsOf(rest));
  let answer: Response;
  try {
    answer = await fetch(request, { redirect: "manual" });
  } catch {
    console.error(`${request.url}: does not answer`);
    return 3;
  }
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (answer.ok) {
    await Bun.write(Bun.stdout, bytes);
    return 0;
  }
  const location = answer.status < 400 ? answer.headers.get("location") : null;
  if (location !== null) {
    await Bun.write(Bun.stdout, `${location}\n`);
    return 0;
  }
  const terms = answer.status === 402 ? answer.headers.get("PAYMENT-REQUIRED") : null;
  await Bun.write(Bun.stderr, terms === null ? bytes : Buffer.from(terms, "base64"));
  return answer.status === 402 ? 4 : 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof Usage)) throw error;
  console.error(`${PROGRAM}: ${error.message}`);
  process.exitCode = 2;
}
