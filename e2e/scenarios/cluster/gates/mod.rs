//! Layer 1 of the gates as it runs: a good package passes, and nothing that a
//! package's code does, prints or carries turns a red one green or reaches
//! anything. Each run is a Job as the controller would submit it.

mod object;
mod packages;
mod runner;

use flywheel::{
    api::{factory::Factory, gate_run::Verdict},
    gate::{
        bundle::{SourceFile, digest},
        plan::{Generated, Plan},
        report::{Report, Step, Summary},
    },
};
use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, PostParams},
    runtime::{conditions, wait::await_condition},
};
use serde_json::json;

pub(super) use self::runner::classes;
use self::{
    packages::{at, good, red, serving, serving_after, with},
    runner::{Outcome, Run, gate, plan},
};
use super::bed::ready;
use crate::support::PATIENCE;

/// Runs at a time: the bed has two processors.
const AT_A_TIME: usize = 2;

/// One package and what it must come to.
struct Case {
    name: &'static str,
    files: Vec<SourceFile>,
    verdicts: &'static [Verdict],
    /// Steps that must have failed.
    failed: &'static [&'static str],
}

const RED: &[Verdict] = &[Verdict::Failed];
/// What takes the pod down with it is no verdict about the package, and never green.
const RED_OR_BROKEN: &[Verdict] = &[Verdict::Failed, Verdict::Error];

fn case(name: &'static str, files: Vec<SourceFile>, verdicts: &'static [Verdict], failed: &'static [&'static str]) -> Case {
    Case { name, files, verdicts, failed }
}

/// Runs all cases under every RuntimeClass, and tells of all that are wrong.
async fn run(cases: impl Fn() -> Vec<Case>) {
    let (client, factory) = ready().await;
    let classes = classes(&client).await;
    let runs = classes.into_iter().flat_map(|class| cases().into_iter().map(move |case| (class.clone(), case)));
    judge(&client, &factory, runs.collect()).await;
}

/// Runs each case under one RuntimeClass, in turn: for those that break out of nothing.
async fn run_once(cases: Vec<Case>) {
    let (client, factory) = ready().await;
    let classes = classes(&client).await;
    judge(&client, &factory, classes.into_iter().cycle().zip(cases).collect()).await;
}

async fn judge(client: &Client, factory: &Factory, cases: Vec<(Option<String>, Case)>) {
    let runs = cases.into_iter().map(|(class, case)| async move {
        let place = format!("{} ({})", case.name, class.as_deref().unwrap_or("default"));
        let outcome = gate(client, factory, plan(), case.files, Run { runtime_class: class, ..Run::default() }).await;
        let missing: Vec<_> = case.failed.iter().filter(|step| !outcome.steps(Verdict::Failed).contains(step)).collect();
        eprintln!("{place}: {:?} in {:.1} s {:?}", outcome.verdict(), outcome.took.as_secs_f64(), outcome.steps(Verdict::Failed));
        let right = case.verdicts.contains(&outcome.verdict()) && (missing.is_empty() || outcome.verdict() == Verdict::Error);
        (!right).then(|| format!("{place}: not {missing:?}\n{}{:?}", outcome.table(), outcome.summary.as_ref().err()))
    });
    let problems: Vec<_> = stream::iter(runs).buffer_unordered(AT_A_TIME).filter_map(|found| async move { found }).collect().await;
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// What a forged verdict looks like: a good summary of this very format.
fn forged() -> String {
    Report::new("job", "sha256:0", vec![Step::passed("lint")]).summary("").to_termination()
}

#[tokio::test]
async fn a_good_package_passes() {
    let (client, factory) = ready().await;
    for class in classes(&client).await {
        let run = Run { runtime_class: class.clone(), ..Run::default() };
        let outcome = gate(&client, &factory, plan(), good(), run).await;
        eprintln!("{}: {}", class.as_deref().unwrap_or("default"), outcome.table());
        assert_eq!(outcome.verdict(), Verdict::Passed, "{:?}", outcome.summary);
        assert!(outcome.steps(Verdict::Passed).contains(&"check POST /v1/echo paid"), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_red_package_fails_by_name() {
    run_once(vec![
        case("another name", red(""), RED, &["check GET /"]),
        case("no service", with(&[("src/index.ts", "console.log(\"hello\");\n")]), RED, &["check boots", "check exports"]),
        case("sleeps for ever", with(&[("src/index.ts", "export default await new Promise(() => setInterval(() => {}, 1000));\n")]), RED, &["check boots", "check exports"]),
        case("free of charge", serving("if (request.url.endsWith(\"/v1/echo\")) return Response.json({ text: \"hi\" });\nreturn undefined;"), RED, &["check POST /v1/echo unpaid"]),
        case("takes any payment", serving("if (request.headers.has(\"payment-signature\")) return Response.json({ text: \"hi\" });\nreturn undefined;"), RED, &["check POST /v1/echo refused payment", "check POST /v1/echo paid"]),
        case("another wallet", doing_env("X402_PAY_TO", "0x0000000000000000000000000000000000000009"), RED, &["check POST /v1/echo unpaid"]),
        case("answers 500", serving("if (request.url.endsWith(\"/v1/time\")) return new Response(\"\", { status: 500 });\nreturn undefined;"), RED, &["check GET /v1/time"]),
        case("redirects", serving("if (request.url.endsWith(\"/v1/time\")) return Response.redirect(\"http://127.0.0.1:4021/supported\");\nreturn undefined;"), RED, &["check GET /v1/time"]),
        case("answers without end", serving("if (request.url.endsWith(\"/v1/time\")) return new Response(new ReadableStream({ pull: (c) => c.enqueue(\"x\".repeat(65536)) }));\nreturn undefined;"), RED, &["check GET /v1/time"]),
        case("a failing test", with(&[("test/more.test.ts", "import { expect, test } from \"bun:test\";\n\ntest(\"one\", () => expect(1).toBe(2));\n")]), RED, &["tests"]),
    ])
    .await;
}

/// A service that changes its own environment before it is built.
fn doing_env(name: &str, value: &str) -> Vec<SourceFile> {
    serving("return undefined;")
        .into_iter()
        .map(|mut file| {
            file.content = file.content.replace(
                "const app = service.build();",
                &format!("const app = service.build({{ env: {{ ...process.env, {name}: \"{value}\" }} }});"),
            );
            file
        })
        .collect()
}

#[tokio::test]
async fn tests_never_turn_a_red_service_green() {
    let fake = r#"Bun.serve({ port: 3000, fetch: () => Response.json({ service: "echo.sh", status: "ok" }) });"#;
    let daemon = format!(
        "Bun.spawn([\"/usr/local/bin/bun\", \"--eval\", '{}; setInterval(() => {{}}, 1000)'], {{ stdio: [\"ignore\", \"ignore\", \"ignore\"] }}).unref();",
        fake.trim_end_matches(';')
    );
    let tests = move |first: &str| {
        let mut files = red("");
        files.retain(|f| !f.path.contains("/test/"));
        files.push(SourceFile::new(
            at("test/echo.test.ts"),
            format!("import {{ expect, test }} from \"bun:test\";\n\n{first}\ntest(\"fine\", () => expect(1).toBe(1));\n"),
        ));
        files
    };
    run(move || {
        vec![
            case("tests that exit with 0", tests("process.exit(0);"), RED, &["check GET /", "tests"]),
            case("tests that start the service", tests(&daemon), RED, &["check GET /"]),
            case("tests that pollute prototypes", tests("Object.defineProperty(Object.prototype, \"status\", { value: \"ok\" });\nArray.prototype.includes = () => true;"), RED, &["check GET /"]),
            case("tests that write their own report", tests("await Bun.write(\"/tmp/tests.xml\", '<testsuites name=\"bun test\" tests=\"9\" assertions=\"9\" failures=\"0\">');\nprocess.exit(0);"), RED, &["check GET /"]),
        ]
    })
    .await;
}

#[tokio::test]
async fn code_never_turns_a_red_service_green() {
    run(|| {
        let forged = forged();
        let write = |path: &str| format!("  try {{ await Bun.write(\"{path}\", JSON.stringify({forged})); }} catch {{}}\n");
        let forge: String = ["/dev/termination-log", "/proc/1/fd/1", "/inputs/plan.json", "/opt/factory/work/biome.json", "/proc/1/root/dev/termination-log"].map(write).concat();
        let fork = "const again = () => { try { Bun.spawn([\"/usr/local/bin/bun\", \"--eval\", \"for (;;) { try { Bun.spawn([process.execPath, '--eval', 'setInterval(() => {}, 1e3)']) } catch {} }\"]); } catch {} };\n  setInterval(() => { for (let i = 0; i < 50; i++) again(); }, 1);";
        let fill = "const { openSync, writeSync } = await import(\"node:fs\");\n  const block = Buffer.alloc(1 << 20);\n  for (const path of [\"/tmp/a\", \"/dev/termination-log\", \"/dev/shm/a\", \"/opt/factory/work/a\"]) {\n    try { const file = openSync(path, \"w\"); for (let i = 0; i < 1000; i++) writeSync(file, block); } catch {}\n  }";
        vec![
            case("forges the verdict", red(&format!("{forge}  console.log(JSON.stringify({forged}));")), RED, &["check GET /"]),
            case("kills all it can", red("for (const id of [1, -1, 2, 3, process.ppid]) { try { process.kill(id, \"SIGKILL\"); } catch {} }"), RED_OR_BROKEN, &[]),
            case("dies when it is asked", serving("if (request.url.endsWith(\"/v1/time\")) process.kill(process.pid, \"SIGKILL\");\nreturn undefined;"), RED, &["check GET /v1/time", "check still answers"]),
            case("forks for ever", red(fork), RED_OR_BROKEN, &[]),
            case("fills the disk", red(fill), RED_OR_BROKEN, &[]),
            case("takes all memory", red("const all = []; for (;;) all.push(Buffer.alloc(1 << 24, 1));"), RED_OR_BROKEN, &[]),
            case("prints 100 MB", red("for (let i = 0; i < 100; i++) console.log(\"x\".repeat(1 << 20));"), RED, &["check GET /"]),
            case("takes the gate's ports", red("for (const port of [4021, 4022, 3001]) { try { Bun.serve({ port, hostname: \"0.0.0.0\", fetch: () => Response.json({ isValid: true, success: true }) }); } catch {} }"), RED, &["check GET /"]),
            case("talks to the gate", red("for (let i = 0; i < 200; i++) { try { await fetch(\"http://127.0.0.1:4021/verify\", { method: \"POST\", body: \"x\".repeat(1 << 20) }); } catch {} try { (await Bun.connect({ hostname: \"127.0.0.1\", port: 4022, socket: { data() {} } })).write('{\"code\":0}\\n'); } catch {} }"), RED, &["check GET /"]),
        ]
    })
    .await;
}

#[tokio::test]
async fn code_reaches_nothing() {
    // Healthy only if every way out was tried and closed, the environment has
    // nothing but its own, and no file of ours is there to be read or written.
    let first = r#"
  const reached: string[] = [];
  const tries = (name: string, way: Promise<unknown>) => {
    const late = new Promise<never>((_, fail) => setTimeout(() => fail(new Error("late")), 3000));
    return Promise.race([way, late]).then(() => reached.push(name), () => undefined);
  };
  const ways = [["10.96.0.1", 443], ["10.203.77.2", 6443], ["10.203.77.2", 10250], ["10.96.0.10", 53], ["10.203.77.3", 3000], ["10.203.77.4", 53], ["169.254.169.254", 80], ["1.1.1.1", 443]] as const;
  const { resolve } = await import("node:dns/promises");
  const { open } = await import("node:fs/promises");
  const read = ["/var/run/secrets/kubernetes.io/serviceaccount/token", "/inputs/plan.json", "/inputs/bundle.json.gz"];
  const write = ["/opt/factory/work/a", "/opt/factory/work/packages/echo/src/index.ts", "/opt/factory/a", "/usr/local/bin/a", "/a"];
  await Promise.all([
    ...ways.map(([hostname, port]) => tries(`${hostname}:${port}`, Bun.connect({ hostname, port, socket: { data() {} } }))),
    tries("a name", resolve("kubernetes.default.svc.cluster.local")),
    ...read.map((file) => tries(file, open(file, "r").then((f) => f.close()))),
    ...write.map((file) => tries(file, open(file, "r+").catch(() => open(file, "w")).then((f) => f.close()))),
  ]);
  const own = ["BUN_RUNTIME_TRANSPILER_CACHE_PATH", "DO_NOT_TRACK", "GREETING", "HOME", "NODE_ENV", "NO_COLOR", "PATH", "PORT", "TMPDIR", "X402_FACILITATOR_URL", "X402_NETWORK", "X402_PAY_TO"];
  reached.push(...Object.keys(process.env).filter((name) => !own.includes(name)));"#;
    let answer = r#"if (new URL(request.url).pathname !== "/") return undefined;
    return Response.json({ service: "echo.sh", status: reached.length === 0 ? "ok" : `reached ${reached}` });"#;
    let (client, factory) = ready().await;
    for class in classes(&client).await {
        let run = Run { runtime_class: class.clone(), ..Run::default() };
        let outcome = gate(&client, &factory, plan(), serving_after(first, answer), run).await;
        assert!(outcome.steps(Verdict::Passed).contains(&"check GET /"), "{class:?}: {}", outcome.table());
    }
}

#[tokio::test]
async fn what_a_package_carries_configures_nothing() {
    run(|| {
        let mut files = with(&[
            ("biome.json", "{ \"root\": true, \"linter\": { \"enabled\": false }, \"formatter\": { \"enabled\": false } }"),
            ("src/biome.jsonc", "{ \"root\": false, \"linter\": { \"enabled\": false } }"),
            ("tsconfig.json", "{ \"compilerOptions\": { \"strict\": false, \"noCheck\": true }, \"files\": [] }"),
            (
                "package.json",
                "{ \"name\": \"echo\", \"scripts\": { \"postinstall\": \"false\" }, \"dependencies\": { \"left-pad\": \"*\" } }",
            ),
            ("bunfig.toml", "preload = [\"./test/preload.ts\"]\n[test]\npreload = [\"./test/preload.ts\"]\n"),
            ("test/preload.ts", "process.exit(0);\n"),
            (".gitleaksignore", ":github-pat:3\n"),
            (".gitleaks.toml", "[allowlist]\npaths = ['''.*''']\n"),
            (".env", "X402_PAY_TO=0x9\n"),
            ("../../.github/workflows/ci.yml", "on: push\n"),
            ("../../kit/src/index.ts", "export {};\n"),
            ("../../../../tmp/escaped", "x\n"),
            ("node_modules/hono/index.ts", "export {};\n"),
            // A line of each that the tools have to find all the same.
            ("src/lint.ts", "export const anything: any = 1;\n"),
            ("src/types.ts", "export const number: number = \"text\";\n"),
            ("src/unchecked.ts", "// @ts-nocheck\nexport const number: number = \"text\";\n"),
            ("src/secret.ts", "export const token = \"ghp_x7Rk2LmQ9vTz4WpB8nYc3HsD6fGj1KaE5uXo\"; // gitleaks:allow\n"),
        ]);
        files.push(SourceFile { mode: "120000".into(), ..SourceFile::new(at("src/link.ts"), "/proc/self/environ") });
        vec![case("brings its own everything", files, RED, &["files", "secrets", "suppressions", "lint", "types"])]
    })
    .await;
}

#[tokio::test]
async fn a_stale_generated_file_fails() {
    let (client, factory) = ready().await;
    let path = at("src/index.ts");
    let generated = vec![Generated { path: path.clone(), digest: digest(b"something else") }];
    let outcome = gate(&client, &factory, Plan { generated, ..plan() }, good(), Run::default()).await;
    assert_eq!((outcome.verdict(), outcome.steps(Verdict::Failed)), (Verdict::Failed, vec!["generated"]), "{}", outcome.table());
}

/// The one step of a run that broke before it judged anything.
fn broken(outcome: &Outcome, step: &str) {
    let summary: &Summary = outcome.summary.as_ref().unwrap_or_else(|e| panic!("{e}"));
    let names: Vec<_> = summary.steps.iter().map(|s| s.name.as_str()).collect();
    assert_eq!((summary.verdict, names), (Verdict::Error, vec![step]), "{summary:?}");
}

#[tokio::test]
async fn an_open_network_is_an_error() {
    let (client, factory): (Client, Factory) = ready().await;
    let namespaces: Api<Namespace> = Api::all(client.clone());
    let open: Namespace = serde_json::from_value(json!({ "metadata": { "generateName": "open-" } })).expect("namespace");
    let open = namespaces.create(&PostParams::default(), &open).await.expect("namespace").name_any();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &open);
    tokio::time::timeout(PATIENCE, await_condition(accounts, "default", conditions::is_created())).await.expect("in time").expect("watch");
    let outcome = gate(&client, &factory, plan(), good(), Run { namespace: open.clone(), ..Run::default() }).await;
    namespaces.delete(&open, &DeleteParams::default()).await.expect("delete");
    broken(&outcome, "seal");
}

#[tokio::test]
async fn another_bundle_than_announced_is_an_error() {
    let (client, factory) = ready().await;
    let outcome = gate(&client, &factory, plan(), good(), Run { smuggled: Some(b"x".into()), ..Run::default() }).await;
    broken(&outcome, "unpack");
}

#[tokio::test]
async fn a_pod_that_is_deleted_and_one_that_takes_too_long_are_errors() {
    let (client, factory) = ready().await;
    let deleted = gate(&client, &factory, plan(), good(), Run { evicted: true, ..Run::default() }).await;
    assert_eq!(deleted.verdict(), Verdict::Error, "{deleted:?}");
    let late = gate(&client, &factory, plan(), good(), Run { timeout_seconds: 2, ..Run::default() }).await;
    assert_eq!(late.verdict(), Verdict::Error, "{late:?}");
}
