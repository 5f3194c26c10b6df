//! Packages by hand: one that is good, and ways to make it red or hostile. The
//! service is `echo`: one paid route and one free one.

use flywheel::gate::bundle::SourceFile;

/// The document of all of them; what they have to show is `runner::plan`.
const DOCUMENT: &str = r#"
id: echo
name: echo.sh
env: [GREETING]
routes_map:
  - route: POST /v1/echo
    price: "$0.001"
    status: 200
    errors: [{ status: 400 }, { status: 402 }]
  - route: GET /v1/time
    price: free
    status: 200
"#;

const INDEX: &str = r#"import { createService, serve } from "@flywheel/kit";
import { z } from "zod";

const service = createService({ name: "echo.sh", version: "0.1.0" })
  .route({
    method: "POST",
    path: "/v1/echo",
    price: "$0.001",
    body: z.object({ text: z.string() }),
    handler: ({ body }) => ({ text: body.text }),
  })
  .route({ method: "GET", path: "/v1/time", price: "free", handler: () => ({ now: 1 }) });

export default service;

if (import.meta.main) serve(service);
"#;

const TEST: &str = r#"import { expect, test } from "bun:test";
import { payment, paymentTerms, stubFacilitator, testEnv } from "@flywheel/kit/testing";
import service from "../src/index.ts";

test("it echoes what was paid for", async () => {
  const app = service.build({ env: testEnv, facilitator: stubFacilitator() });
  const unpaid = await app.request("/v1/echo", { method: "POST" });
  const headers = payment(paymentTerms(unpaid));
  const init = { method: "POST", headers, body: JSON.stringify({ text: "hi" }) };
  expect(await (await app.request("/v1/echo", init)).json()).toEqual({ text: "hi" });
});
"#;

/// A path in the package.
pub(super) fn at(path: &str) -> String {
    format!("packages/echo/{path}")
}

/// The good package.
pub(super) fn good() -> Vec<SourceFile> {
    let files = [("prim.yaml", DOCUMENT.trim_start()), ("src/index.ts", INDEX), ("test/echo.test.ts", TEST)];
    files.map(|(path, content)| SourceFile::new(at(path), content)).into()
}

/// The good package with files added or replaced.
pub(super) fn with(files: &[(&str, &str)]) -> Vec<SourceFile> {
    let mut all = good();
    for (path, content) in files {
        let path = at(path);
        all.retain(|f| f.path != path);
        all.push(SourceFile::new(path, *content));
    }
    all
}

/// A service that is red, since it says another name, and does this too.
pub(super) fn red(and: &str) -> Vec<SourceFile> {
    let index = INDEX.replace("name: \"echo.sh\"", "name: \"other.sh\"");
    with(&[("src/index.ts", &format!("{index}\nif (import.meta.main) {{\n{and}\n}}\n"))])
}

/// A service of its own making that answers as the good one does, but for what
/// `answer` says: a body of `async (request) => Response | undefined`.
pub(super) fn serving(answer: &str) -> Vec<SourceFile> {
    serving_after("", answer)
}

/// The same, after doing something `first`.
pub(super) fn serving_after(first: &str, answer: &str) -> Vec<SourceFile> {
    let index = INDEX.replace("if (import.meta.main) serve(service);", "");
    let server = format!(
        r#"
if (import.meta.main) {{
{first}
  const app = service.build();
  const answer = async (request: Request): Promise<Response | undefined> => {{
    {answer}
  }};
  Bun.serve({{
    port: 3000,
    fetch: async (request) => (await answer(request)) ?? app.fetch(request),
  }});
}}
"#
    );
    with(&[("src/index.ts", &format!("{index}{server}"))])
}
