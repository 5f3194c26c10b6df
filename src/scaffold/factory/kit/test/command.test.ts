import { expect, test } from "bun:test";
import { argument, run } from "../src/command.ts";
import { stubPrograms } from "../src/testing.ts";

const env = { PATH: process.env["PATH"] ?? "", SHOWN: "yes", HIDDEN: "no" };

/** Runs a program that is this test's own. */
const bun = (code: string, what = {}, ...more: string[]) =>
  run([process.execPath, "-e", code, "--", ...more], { env, ...what });

test("a program gets its arguments as they are, the body, and the variables that it may see", async () => {
  const code =
    "const { SHOWN, HIDDEN } = process.env; console.log(JSON.stringify([process.argv.slice(1), await Bun.stdin.json(), SHOWN, HIDDEN ?? null]))";
  const answer = await bun(code, { body: { a: 1 }, pass: ["SHOWN"] }, "$(id)", "`x`; y");
  expect(answer).toEqual([["$(id)", "`x`; y"], { a: 1 }, "yes", null]);
});

test("a program gets bytes as they came", async () => {
  const code = "console.log(JSON.stringify([...(await Bun.stdin.bytes())]))";
  expect(await bun(code, { bytes: new Uint8Array([0, 255, 10]) })).toEqual([0, 255, 10]);
});

test("what fails, prints no JSON or is not there has its own status", async () => {
  expect(bun("process.exit(3)")).rejects.toMatchObject({ status: 502, code: "command_failed" });
  expect(bun("console.log('{')")).rejects.toMatchObject({ status: 502 });
  expect(bun("for (;;) console.log('x'.repeat(99999))")).rejects.toMatchObject({ status: 502 });
  const absent = run(["no-such-program"], { env });
  expect(absent).rejects.toMatchObject({ status: 501, code: "not_configured" });
  expect(await bun("", { answer: "nothing" })).toBeUndefined();
  const bytes = (await bun("process.stdout.write('raw')", { answer: "bytes" })) as Response;
  expect(await bytes.text()).toBe("raw");
});

test("no program runs where a test says what it prints", async () => {
  const stubbed = { ...env };
  const command = [process.execPath, "-e", "process.exit(3)"];
  stubPrograms(stubbed);
  expect(await run(command, { env: stubbed })).toEqual({});
  stubPrograms(stubbed, (words) => JSON.stringify(words));
  expect(await run(command, { env: stubbed })).toEqual(command);
  expect(await run(["no-such-program"], { env: stubbed, answer: "nothing" })).toBeUndefined();
  expect(run(command, { env: { ...stubbed } })).rejects.toMatchObject({ status: 502 });
});

test("what a program started and left behind is not waited for, and ends", async () => {
  const code =
    "const left = Bun.spawn(['sleep', '600'], { stdout: 'inherit' }); left.unref(); console.log(left.pid); process.exit(0)";
  const began = Date.now();
  const pid = (await bun(code)) as number;
  expect(Date.now() - began).toBeLessThan(10_000);
  // Who is ended and not yet waited for by its new parent is there still, as a name.
  const state = () =>
    Bun.file(`/proc/${pid}/stat`)
      .text()
      .then((stat) => stat.split(" ")[2] ?? "");
  while (["R", "S", "D"].includes(await state().catch(() => "gone"))) await Bun.sleep(1);
});

test("a caller's value is no option", () => {
  expect(argument("a b")).toBe("a b");
  expect(argument(3, "--n=")).toBe("--n=3");
  expect([argument(undefined), argument(null), argument([1])]).toEqual(["", "", "[1]"]);
  expect(argument("-x", "--n=", "!")).toBe("--n=-x!");
  expect(() => argument("-x")).toThrow("can't be given");
  expect(() => argument("a\0b", "x")).toThrow("can't be given");
});
