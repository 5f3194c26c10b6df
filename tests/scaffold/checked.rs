//! Every package passes the factory repository's own checks, and answers a
//! stranger as its document says: in one copy of the repository with all packages
//! at once, so that this takes seconds. A row for each document has what was found.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Instant,
};

use flywheel::{prim, scaffold::Manifest};
use serde_json::{Value, json};

use super::{given, load, manifest, own, workspace::Workspace};

/// What is asked of a running service, in the order of the columns.
const QUESTIONS: [&str; 5] = ["boots", "unpaid", "malformed", "mistyped", "unknown"];
const COLUMNS: &str = "document          reads  strict files routes native provider 501   lint  types five  GET /  402   {     type  404";

/// A document on its way.
struct Row {
    findings: usize,
    made: Manifest,
}

fn findings(path: &Path) -> usize {
    prim::check_text(&fs::read_to_string(path).unwrap()).findings.len()
}

/// What a package is served with over HTTP, and which routes it has.
fn served(id: &str, made: &Manifest) -> Value {
    json!({"id": id, "env": made.env, "keeps_data": made.keeps_data, "routes": made.routes})
}

/// Whether what a check says speaks against a package. Bun names every test file, and
/// what failed below it; in the end all that failed once more, below none.
fn is_red(text: &str, id: &str) -> bool {
    let ours = |line: &str| line.contains(&format!("packages/{id}/"));
    let heads = |line: &str| line.starts_with("packages/") && line.ends_with(".test.ts:");
    if !text.lines().any(heads) {
        return text.lines().any(ours);
    }
    let mut here = false;
    for line in text.lines() {
        if heads(line) {
            here = ours(line);
        } else if line.ends_with("tests failed:") || line.ends_with("test failed:") {
            return false;
        } else if here && (line.starts_with("(fail)") || line.starts_with("error:") || line.starts_with("# Unhandled error")) {
            return true;
        }
    }
    false
}

#[test]
fn a_package_is_red_for_what_failed_in_it_alone() {
    let text = "bun test v1.4.5\n\npackages/a/test/unit.test.ts:\n(pass) one\n\npackages/b/test/unit.test.ts:\n1 | x\nerror: expect(received)\n(fail) two\n\npackages/c/test/unit.test.ts:\n(pass) three\n\n1 tests failed:\n(fail) two\n\n 2 pass\n";
    assert_eq!(["a", "b", "c"].map(|id| is_red(text, id)), [false, true, false]);
    let text = "packages/b/src/index.ts(3,1): error TS2304: Cannot find name 'x'.\n";
    assert_eq!(["a", "b"].map(|id| is_red(text, id)), [false, true]);
}

#[test]
fn every_package_passes_its_checks_and_answers_as_its_document_says() {
    let Some(workspace) = Workspace::new("checked") else { return };
    let mut problems = Vec::new();
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let given = given();
    let theirs: BTreeSet<_> = given.iter().filter_map(|path| Some(load(path).ok()?.id)).collect();
    for path in given.iter().cloned().chain(own()) {
        let document = match load(&path) {
            Ok(document) => document,
            Err(wrong) => {
                eprintln!("{}: RED, can't be read", path.display());
                problems.push(format!("{}: {}", path.display(), wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")));
                continue;
            }
        };
        // Those that were given come first: one of ours with the same id stands back.
        if !given.contains(&path) && theirs.contains(&document.id) {
            continue;
        }
        let made = manifest(&document);
        workspace.add(&made);
        if rows.insert(document.id.to_string(), Row { findings: findings(&path), made }).is_some() {
            problems.push(format!("{}: another document has the id {}", path.display(), document.id));
        }
    }

    let checks = [
        ("lint", &["--bun", "run", "biome", "ci", "--colors=off", "--error-on-warnings", "--max-diagnostics=200", "."][..]),
        ("types", &["--bun", "run", "tsc", "--noEmit"]),
        ("tests", &["test", "packages"]),
    ];
    let mut results = Vec::new();
    for (name, arguments) in checks {
        let began = Instant::now();
        let (passed, text) = workspace.bun(arguments);
        eprintln!("{name}: {} in {} ms", if passed { "passed" } else { "failed" }, began.elapsed().as_millis());
        if !passed {
            problems.push(format!("{name}:\n{text}"));
        }
        results.push((passed, text));
    }
    let packages: Vec<_> = rows.iter().map(|(id, row)| served(id, &row.made)).collect();
    workspace.write("packages.json", &Value::from(packages).to_string());
    let (probed, text) = workspace.bun(&["http/probe.ts", "packages.json"]);
    if !probed {
        problems.push(format!("the probe ended early:\n{text}"));
    }
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let answers: BTreeMap<_, _> = lines.filter_map(|line| Some((line["id"].as_str()?.to_owned(), line["answers"].clone()))).collect();

    eprintln!("{COLUMNS}");
    for (id, Row { findings, made }) in &rows {
        let count = |backend: &str| made.routes.iter().filter(|route| route.backend == backend).count();
        let counts = [*findings, made.files.len(), made.routes.len(), count("native"), count("provider"), count("missing")];
        let [strict, files, routes, native, provider, missing] = counts;
        // One run judges all packages: a red one is named by the paths in its words.
        let judged = results.iter().map(|(passed, text)| if *passed || !is_red(text, id) { "ok" } else { "RED" });
        let asked = QUESTIONS.map(|question| match answers.get(id).and_then(|all| all[question].as_str()) {
            Some("ok") => "ok",
            Some("-") => "-",
            wrong => {
                problems.push(format!("{id}: {question}: {}", wrong.unwrap_or("was not asked")));
                "RED"
            }
        });
        let verdicts = judged.chain(asked).map(|verdict| format!("{verdict:<5}")).collect::<Vec<_>>().join(" ");
        let only = if routes == 0 { " no routes: its health check alone" } else { "" };
        eprintln!("{id:<17} ok    {strict:>7} {files:>5} {routes:>6} {native:>6} {provider:>8} {missing:>3}   {verdicts}{only}");
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Of the routes that are no provider's by the document's word, at most one in ten is
/// left to people.
#[test]
fn nearly_all_that_is_no_providers_is_done() {
    let routes: Vec<_> = given().iter().flat_map(|path| manifest(&load(path).unwrap()).routes).collect();
    let providers = routes.iter().filter(|route| route.backend == "provider" && !route.implied).count();
    let (ours, missing) = (routes.len() - providers, routes.iter().filter(|route| route.backend == "missing").count());
    let implied = routes.iter().filter(|route| route.implied).count();
    eprintln!(
        "{} routes: {providers} a provider's, {ours} others, {implied} of them a vendor's that is implied, {missing} 501",
        routes.len()
    );
    assert!(missing * 10 <= ours, "{missing} of {ours} routes are 501");
}
