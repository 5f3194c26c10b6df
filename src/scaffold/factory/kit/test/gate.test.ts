import { expect, test } from "bun:test";
import { join } from "node:path";
import { type Plan, select } from "../../.github/gate/select.ts";

const root = join(import.meta.dir, "../..");

test.each(["ci.yml", "gate.yml"])(
  "%s puts nothing into a script but by its environment",
  async (name) => {
    const text = await Bun.file(join(root, ".github/workflows", name)).text();
    const { jobs } = Bun.YAML.parse(text) as {
      jobs: Record<string, { steps: { name: string; run?: string; uses?: string }[] }>;
    };
    for (const { name, run, uses } of Object.values(jobs).flatMap(({ steps }) => steps)) {
      expect({ name, run, uses }).toEqual({
        name,
        run: expect.not.stringContaining("${{"),
        uses: undefined,
      });
    }
  },
);

const plan: Plan = {
  groups: [
    { id: "faucet", tests: ["F-1", "F-2"] },
    { id: "store", tests: ["ST-1", "ST-2"] },
    { id: "search", tests: ["SE-1"] },
  ],
  tests: [
    { id: "F-1", service: "faucet.sh" },
    { id: "F-2", service: "faucet.sh", depends_on: ["F-1"] },
    { id: "ST-1", service: "store.sh", depends_on: ["F-2"] },
    { id: "ST-2", service: "other.sh", depends_on: ["ST-1", "gone"] },
    { id: "SE-1", service: "search.sh" },
  ],
};

test("a service's tests come with whatever they depend on, from other groups too", () => {
  const { plan: part, services } = select(plan, new Set(["store", "store.sh"]));
  expect(part.tests.map(({ id }) => id)).toEqual(["F-1", "F-2", "ST-1", "ST-2"]);
  expect(part.groups.map(({ id }) => id)).toEqual(["faucet", "store"]);
  expect(services).toEqual(["faucet.sh", "store.sh", "other.sh"]);
});

test("a test is a service's by its name, whatever its group", () => {
  expect(select(plan, new Set(["other", "other.sh"])).plan.tests.map(({ id }) => id)).toEqual([
    "F-1",
    "F-2",
    "ST-1",
    "ST-2",
  ]);
  expect(select(plan, new Set(["nobody"])).plan.tests).toEqual([]);
});

/** A forge with these comments, which takes others or refuses them. */
async function commented(comments: object[], refuse = false, pages = true, away = false) {
  const calls: { method: string; path: string; body?: { body: string } }[] = [];
  const forge = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: async (request) => {
      const { pathname, searchParams } = new URL(request.url);
      if (request.method === "GET") {
        if (away) return new Response("", { status: 502 });
        return Response.json(searchParams.get("page") === "1" || !pages ? comments : []);
      }
      const body = (await request.json()) as { body: string };
      calls.push({ method: request.method, path: pathname, body });
      return refuse
        ? Response.json({ message: "no" }, { status: 403 })
        : Response.json({}, { status: 201 });
    },
  });
  try {
    const run = Bun.spawn([process.execPath, join(root, ".github/gate/comment.ts")], {
      env: {
        TOKEN: "t",
        API: `http://127.0.0.1:${forge.port}/api/v1`,
        REPOSITORY: "prim/factory",
        PULL: "7",
        TABLE: "| a | table |",
      },
      stdout: "pipe",
    });
    const said = await new Response(run.stdout).text();
    return { code: await run.exited, said, calls };
  } finally {
    await forge.stop(true);
  }
}

const theirs = { id: 3, body: "<!-- flywheel: gate.yml -->\nmine", user: { login: "somebody" } };
const ours = { id: 4, body: "<!-- flywheel: gate.yml -->\nold", user: { login: "gitea-actions" } };

test("the first table is a comment of its own, and somebody else's stays as it is", async () => {
  const { code, calls } = await commented([theirs]);
  expect(code).toBe(0);
  expect(calls).toEqual([
    {
      method: "POST",
      path: "/api/v1/repos/prim/factory/issues/7/comments",
      body: { body: "<!-- flywheel: gate.yml -->\n| a | table |" },
    },
  ]);
});

test("the next one takes the place of the last", async () => {
  const { calls } = await commented([theirs, ours]);
  expect(calls.map(({ method, path }) => [method, path])).toEqual([
    ["PATCH", "/api/v1/repos/prim/factory/issues/comments/4"],
  ]);
});

test("it is found behind many others, on a forge that gives pages and on one that does not", async () => {
  const many = Array.from({ length: 50 }, (_, at) => ({ ...theirs, id: 100 + at }));
  expect((await commented([...many, ours])).calls[0]?.method).toBe("PATCH");
  expect((await commented(many)).calls[0]?.method).toBe("POST");
  expect((await commented(many, false, false)).calls[0]?.method).toBe("POST");
});

test("a token that may not comment is told, and passes", async () => {
  const { code, said } = await commented([], true);
  expect(code).toBe(0);
  expect(said).toContain("may not comment");
  expect(said).toContain("| a | table |");
});

test("where comments can't be read, none is written", async () => {
  const { code, calls } = await commented([], false, true, true);
  expect({ code, calls }).toEqual({ code: 1, calls: [] });
});
