/** Arguments that share their names, through every way to call: the service says what came. */
import { expect, test } from "bun:test";
import { connect } from "../generated/sdk/names.ts";

/** What a request asks for, as the service sees it. */
async function asked<T>(use: (url: string) => Promise<T>): Promise<T> {
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      return Response.json({ asked: pathname + search, body: await request.text() });
    },
  });
  try {
    return await use(`http://127.0.0.1:${server.port}`);
  } finally {
    await server.stop(true);
  }
}

const set = { asked: "/v1/pages/a?body=b&constructor=c", body: "{}" };
const read = { asked: "/v1/pages/a/lines/b/c/d?id=3&rest=e", body: "" };
const plain = { asked: "/v1/bodies/a", body: "" };

test("a client has each where it goes", async () => {
  await asked(async (url) => {
    const client = connect({ url });
    const query = { body: "b", constructor: "c" };
    expect<unknown>(await client.setPage({ params: { body: "a" }, query, body: {} })).toEqual(set);
    const params = { id: "a", path_id: "b", rest: "c/d" };
    expect<unknown>(await client.help({ params, query: { id: 3, rest: "e" } })).toEqual(read);
  });
});

test("a command line has an option for each", async () => {
  await asked(async (url) => {
    const cli = async (...words: string[]) => {
      const child = Bun.spawn([process.execPath, "generated/cli/names.ts", ...words], {
        env: { ...process.env, SERVICE_URL: url },
        stdout: "pipe",
        stderr: "inherit",
      });
      return JSON.parse(await new Response(child.stdout).text());
    };
    const words = ["--path_body", "a", "--query_body", "b", "--constructor", "c", "--body", "{}"];
    expect(await cli("set-page", ...words)).toEqual(set);
    const more = ["--path_id_", "a", "--path_id", "b", "--path_rest", "c/d", "--query_rest", "e"];
    expect(await cli("help-2", ...more, "--query_id", "3")).toEqual(read);
    expect(await cli("help-3", "--body", "a")).toEqual(plain);
  });
});

test("a tool has an argument for each", async () => {
  await asked(async (url) => {
    const server = [process.env["FLYWHEEL"] ?? "", "mcp", "--url", url, "generated/mcp/names.json"];
    const calls = [
      {
        name: "names_set_page",
        arguments: { path_body: "a", query_body: "b", constructor: "c", body: {} },
      },
      {
        name: "names_help",
        arguments: { path_id_: "a", path_id: "b", path_rest: "c/d", query_rest: "e", query_id: 3 },
      },
      { name: "names_Help", arguments: { body: "a" } },
    ];
    const child = Bun.spawn([process.execPath, "mcp/client.ts", JSON.stringify(calls), ...server], {
      stdout: "pipe",
      stderr: "inherit",
    });
    const { results } = (await new Response(child.stdout).json()) as {
      results: { structuredContent: unknown }[];
    };
    expect(results.map((result) => result.structuredContent)).toEqual([set, read, plain]);
  });
});
