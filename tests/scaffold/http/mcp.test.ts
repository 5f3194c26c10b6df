/** Services as tools, called by a real client of the Model Context Protocol. */
import { expect, test } from "bun:test";
import { payment, paymentTerms } from "@flywheel/kit/testing";
import served from "../served.json";
import { type Served, serving } from "./served.ts";

interface Result {
  content: { type: string; text: string }[];
  isError?: boolean;
  structuredContent?: Record<string, unknown>;
  _meta?: Record<string, unknown>;
  thrown?: string;
}

const all = served as unknown as Served[];

/** Runs the client against `flywheel mcp` with these calls. */
async function called(url: string, id: string, calls: object[]) {
  const server = [process.env["FLYWHEEL"] ?? "", "mcp", "--url", url, `generated/mcp/${id}.json`];
  const child = Bun.spawn([process.execPath, "mcp/client.ts", JSON.stringify(calls), ...server], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const text = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  return JSON.parse(text) as { tools: { name: string }[]; results: Result[] };
}

/** A payment for what a refused call asks. */
function paid(refused: Result): Record<string, unknown> {
  const header = Buffer.from(refused.content[0]?.text ?? "").toString("base64");
  const answer = new Response(null, { status: 402, headers: { "PAYMENT-REQUIRED": header } });
  const signed = payment(paymentTerms(answer))["PAYMENT-SIGNATURE"] ?? "";
  return { "x402/payment": JSON.parse(Buffer.from(signed, "base64").toString()) };
}

test("tools are listed, ask for payment, and run once they are paid", async () => {
  const vault = all.find(({ id }) => id === "vault");
  if (!vault) throw new Error("vault is not served");
  await serving(vault, async (url) => {
    const create = { name: "vault_create_bucket", arguments: { body: { name: "a" } } };
    const { tools, results } = await called(url, "vault", [create]);
    expect(tools.map(({ name }) => name)).toContain("vault_put_object");
    const [refused] = results;
    expect(refused?.isError).toBe(true);
    expect(refused?.structuredContent).toMatchObject({ x402Version: 2 });
    const made = await called(url, "vault", [{ ...create, _meta: paid(refused as Result) }]);
    const bucket = made.results[0]?.structuredContent as { id: string };
    expect(made.results[0]?.isError).toBe(false);
    expect(bucket.id).toBeString();
    expect(made.results[0]?._meta?.["x402/payment-response"]).toMatchObject({ success: true });

    // Bytes, under a name with slashes.
    const body = Buffer.from([0, 255, 10]).toString("base64");
    const at = { id: bucket.id, key: "a b/ü.txt" };
    const put = { name: "vault_put_object", arguments: { ...at, body } };
    const get = { name: "vault_get_object", arguments: at };
    const terms = (await called(url, "vault", [put, get])).results;
    const kept = await called(url, "vault", [{ ...put, _meta: paid(terms[0] as Result) }]);
    expect(kept.results[0]?.isError).toBe(false);
    const read = await called(url, "vault", [{ ...get, _meta: paid(terms[1] as Result) }]);
    expect(read.results[0]?.content[0]?.text).toBe(body);
  });
});

test("what can't be carried out is an error with its reason", async () => {
  const notes = all.find(({ id }) => id === "notes");
  if (!notes) throw new Error("notes is not served");
  await serving(notes, async (url) => {
    const { results } = await called(url, "notes", [
      { name: "notes_get_note", arguments: {} },
      { name: "notes_get_note", arguments: { id: ".." } },
      { name: "no_such_tool", arguments: {} },
    ]);
    expect(results[0]).toMatchObject({ isError: true, content: [{ text: "id: is missing" }] });
    expect(results[1]?.content[0]?.text).toContain("can't stand in a path");
    expect(results[2]?.thrown).toContain("there is no tool");
  });
  const gone = await called("http://127.0.0.1:9", "notes", [
    { name: "notes_get_note", arguments: { id: "x" } },
  ]);
  expect(gone.results[0]?.content[0]?.text).toStartWith("the service does not answer");
});
