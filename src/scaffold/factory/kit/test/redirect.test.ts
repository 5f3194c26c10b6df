import { expect, test } from "bun:test";
import { createService, ServiceError } from "../src/index.ts";
import { redirected } from "../src/redirect.ts";
import { testEnv } from "../src/testing.ts";

test("an item leads to its address, with the status that is declared", async () => {
  const service = createService({ name: "hop", version: "1.0.0" }).route({
    method: "GET",
    path: "/:slug",
    price: "free",
    status: 301,
    handler: () => redirected({ target: "https://a.test/b?c" }, 301, ["url", "target"]),
  });
  const answer = await service.build({ env: testEnv }).request("/x");
  expect([answer.status, answer.headers.get("location")]).toEqual([301, "https://a.test/b?c"]);
});

test("what is no address of http leads nowhere", () => {
  for (const url of ["javascript:alert(1)", "/there", "", "data:text/html,x", 7, null]) {
    expect(() => redirected({ url }, 302, ["url"])).toThrow(ServiceError);
  }
  // The first that is there is meant, and no other in its place.
  expect(() =>
    redirected({ url: "ftp://a.test", link: "https://a.test" }, 302, ["url", "link"]),
  ).toThrow();
});
