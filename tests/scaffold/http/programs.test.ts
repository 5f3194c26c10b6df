/** Command lines and smoke tests against the services they are derived from. */
import { expect, test } from "bun:test";
import { payment, paymentTerms } from "@flywheel/kit/testing";
import served from "../served.json";
import { type Served, serving } from "./served.ts";

const all = served as unknown as Served[];

async function run(url: string, words: string[], input = "") {
  const child = Bun.spawn([process.execPath, ...words], {
    env: { ...process.env, SERVICE_URL: url },
    stdin: new TextEncoder().encode(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const texts = [new Response(child.stdout).text(), new Response(child.stderr).text()];
  const [out = "", error = ""] = await Promise.all(texts);
  return { code: await child.exited, out, error };
}

test("a command line makes, reads and says what it is asked to pay", async () => {
  const vault = all.find(({ id }) => id === "vault");
  if (!vault) throw new Error("vault is not served");
  await serving(vault, async (url) => {
    const cli = (words: string[], input?: string) =>
      run(url, ["generated/cli/vault.ts", ...words], input);
    const paid = async (words: string[], input?: string) => {
      const refused = await cli(words, input);
      expect(refused.code).toBe(4);
      const header = Buffer.from(refused.error).toString("base64");
      const terms = new Response(null, { status: 402, headers: { "PAYMENT-REQUIRED": header } });
      const signed = payment(paymentTerms(terms))["PAYMENT-SIGNATURE"] ?? "";
      return cli([...words, "--payment", signed], input);
    };
    const made = await paid(["create-bucket", "--body", '{"name": "a"}']);
    expect(made.code).toBe(0);
    const { id } = JSON.parse(made.out) as { id: string };
    const at = ["--id", id, "--key", "a b/c.txt"];
    expect((await paid(["put-object", ...at, "--body", "-"], "some bytes")).code).toBe(0);
    expect((await paid(["get-object", ...at])).out).toBe("some bytes");
    expect((await paid(["get-bucket", "--id", "nobody"])).code).toBe(1);
    expect(await cli(["get-bucket"])).toMatchObject({
      code: 2,
      error: "vault: --id: is missing\n",
    });
    expect((await cli(["get-bucket", "--id", ".."])).code).toBe(2);
    expect((await cli(["fly"])).code).toBe(2);
    expect((await cli(["help"])).out).toContain("put-object --id VALUE --key VALUE --body");
  });
});

// The factory's own tests are without them.
const smoke = (id: string) => [
  "test",
  "--path-ignore-patterns=none",
  `./generated/tests/${id}.test.ts`,
];

test("a service passes its smoke tests, and another one does not", async () => {
  const of = (id: string) => all.find((one) => one.id === id) as Served;
  for (const id of ["vault", "notes"]) {
    await serving(of(id), async (url) => {
      const passed = await run(url, smoke(id));
      expect(passed.error).toContain(" 0 fail");
      expect(passed.code).toBe(0);
    });
  }
  await serving(of("notes"), async (url) => {
    const failed = await run(url, smoke("vault"));
    expect(failed.code).not.toBe(0);
  });
});
