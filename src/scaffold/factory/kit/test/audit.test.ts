import { expect, test } from "bun:test";
import { join } from "node:path";

const root = join(import.meta.dir, "../..");

/** Runs the audit against a registry that answers so. */
async function audit(answer: () => Response): Promise<{ code: number; said: string }> {
  const registry = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answer });
  try {
    const run = Bun.spawn(["sh", join(root, ".github/audit.sh")], {
      cwd: root,
      env: { ...process.env, NPM_CONFIG_REGISTRY: `http://127.0.0.1:${registry.port}/` },
      stdout: "pipe",
    });
    return { said: await new Response(run.stdout).text(), code: await run.exited };
  } finally {
    await registry.stop(true);
  }
}

test("an audit without a finding passes", async () => {
  expect(await audit(() => Response.json({}))).toMatchObject({ code: 0 });
});

test("a known fault fails, by its name", async () => {
  const fault = {
    id: 1,
    url: "https://example.org/fault",
    title: "lets everybody in",
    severity: "high",
    vulnerable_versions: "<99",
    cwe: [],
    cvss: { score: 7, vectorString: null },
  };
  const { code, said } = await audit(() => Response.json({ hono: [fault] }));
  expect(code).toBe(1);
  expect(said).toContain("lets everybody in");
});

test("a registry that answers nothing is told, and passes", async () => {
  const { code, said } = await audit(() => new Response("", { status: 405 }));
  expect(code).toBe(0);
  expect(said).toContain("Not audited");
});
