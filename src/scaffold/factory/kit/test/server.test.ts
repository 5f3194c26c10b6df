import { afterEach, expect, test } from "bun:test";
import { join } from "node:path";

const started: { kill(signal?: number): void }[] = [];

afterEach(() => {
  for (const process of started.splice(0)) process.kill(9);
});

/** Starts the fixture on a free port; `event` waits for its next log line of that kind. */
async function start(port = "0") {
  const program = Bun.spawn([process.execPath, join(import.meta.dir, "fixture.ts")], {
    env: { PORT: port },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  started.push(program);
  const lines = program.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  const event = async (name: string): Promise<{ port?: number }> => {
    for (;;) {
      const end = rest.indexOf("\n");
      if (end >= 0) {
        const line = JSON.parse(rest.slice(0, end));
        rest = rest.slice(end + 1);
        if (line.event === name) return line;
        continue;
      }
      const { value, done } = await lines.read();
      if (done) throw new Error(`the process ended before it said ${name}`);
      rest += value;
    }
  };
  return { program, event };
}

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s lets the request in flight finish",
  async (signal) => {
    const { program, event } = await start();
    const { port } = await event("listening");
    const answer = fetch(`http://127.0.0.1:${port}/v1/slow`);
    await event("working");
    program.kill(signal);
    await event("stopping");
    program.stdin.end();
    expect(await (await answer).json()).toEqual({ done: true });
    expect(await program.exited).toBe(0);
  },
);

test("a port that is no port stops the start and is named", async () => {
  const { program } = await start("http");
  expect(await program.exited).not.toBe(0);
  expect(await new Response(program.stderr).text()).toContain("PORT");
});
