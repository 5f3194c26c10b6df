//! What is wrong with a plan that can be read: it can't run, can only be blocked, or
//! shows less than it seems to.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use url::Url;

use super::{
    finding::{Code, Finding},
    graph::{Graph, fillers, templates},
    plan::{Mode, Plan, Test},
    template::{Piece, pieces},
};

/// Variables that a runner fills before the first test.
pub const SEEDS: [&str; 5] = ["test_prefix", "runner", "iso_timestamp", "agent_address", "eip191_sig"];

/// Keys that a test may have.
const KEYS: [&str; 15] = [
    "id",
    "service",
    "test",
    "method",
    "endpoint",
    "headers",
    "input",
    "expected",
    "depends_on",
    "captures",
    "notes",
    "skip",
    "generated",
    "timeout_ms",
    "retry",
];
/// One that is ours, and those that prim.sh's runner writes.
const MORE_KEYS: [&str; 5] = ["payment", "actual_status", "actual_body", "result", "run_note"];

/// What a plan is held against.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Variables that are there from the start, beside [`SEEDS`].
    pub seeds: BTreeSet<String>,
    /// Names of services, or ids; none where any service may be.
    pub services: Option<BTreeSet<String>>,
}

/// Everything that is wrong with a plan: first what makes it wrong, by where it stands.
pub fn lint(plan: &Plan, known: &Known) -> Vec<Finding> {
    let seeds: BTreeSet<&str> = SEEDS.into_iter().chain(known.seeds.iter().map(String::as_str)).collect();
    let graph = Graph::of(plan, &seeds);
    let mut found = graph.problems(plan);
    groups(plan, &graph, &mut found);
    variables(plan, &seeds, &mut found);
    for (i, test) in plan.tests.iter().enumerate() {
        for id in &graph.dangling[i] {
            let message = format!("{} depends on {id}, which is not in the plan: it can only be blocked", test.id);
            found.push(Finding::new(Code::DanglingDependency, format!("tests[{i}].depends_on"), message));
        }
        if let Some(services) = &known.services {
            let names = [Some(test.service.as_str()), test.service.strip_suffix(".sh")];
            if !names.into_iter().flatten().any(|name| services.contains(name)) {
                let message = format!("{:?} is no service that is known", test.service);
                found.push(Finding::new(Code::UnknownService, format!("tests[{i}].service"), message));
            }
        }
        keys(test, i, &mut found);
        sendable(test, i, &mut found);
        if plan.mode == Mode::Primsh {
            unseen(&test.given["expected"], i, &mut found);
        }
        expectation(&test.given["expected"]["body"], &format!("tests[{i}].expected.body"), &mut found);
    }
    found.sort_by_key(|finding| finding.severity);
    found
}

fn groups(plan: &Plan, graph: &Graph, found: &mut Vec<Finding>) {
    let mut ids = BTreeSet::new();
    let mut named: BTreeMap<&str, &str> = BTreeMap::new();
    for (i, group) in plan.groups.iter().enumerate() {
        if !ids.insert(&group.id) {
            found.push(Finding::new(Code::DuplicateGroup, format!("groups[{i}].id"), format!("another group is called {}", group.id)));
        }
        for (hook, named) in [("setup", &group.setup), ("cleanup", &group.cleanup)] {
            if let Some(named) = named.as_ref().filter(|named| !named.is_empty()) {
                let message = format!("the hook {named} is not run: what it would do has to be done before, or by tests");
                found.push(Finding::new(Code::NotLookedAt, format!("groups[{i}].{hook}"), message));
            }
        }
        for (n, id) in group.tests.iter().enumerate() {
            let path = format!("groups[{i}].tests[{n}]");
            if !graph.ids.contains_key(id) {
                found.push(Finding::new(Code::UnknownTest, path, format!("{id} is no test of the plan")));
            } else if let Some(first) = named.insert(id, &group.id) {
                found.push(Finding::new(Code::SeveralGroups, path, format!("{id} is in {first} already, and runs once")));
            }
        }
    }
    for (i, test) in plan.tests.iter().enumerate().filter(|(_, test)| !named.contains_key(test.id.as_str())) {
        found.push(Finding::new(
            Code::Ungrouped,
            format!("tests[{i}]"),
            format!("{} is in no group, so that it runs only for others", test.id),
        ));
    }
}

fn variables(plan: &Plan, seeds: &BTreeSet<&str>, found: &mut Vec<Finding>) {
    let fillers = fillers(plan);
    let mut used = BTreeSet::new();
    for (i, test) in plan.tests.iter().enumerate() {
        let mut said = BTreeSet::new();
        for (field, text) in templates(test) {
            for piece in pieces(text) {
                match piece {
                    Piece::Variable(name) => {
                        used.insert(name);
                        let filled = seeds.contains(name) || fillers.get(name).is_some_and(|all| all.iter().any(|at| *at != i));
                        if !filled && !test.skip && said.insert(name) {
                            let message = format!("nothing fills {{{{{name}}}}}: {} can only be blocked", test.id);
                            found.push(Finding::new(Code::NeverFilled, format!("tests[{i}].{field}"), message));
                        }
                    }
                    Piece::Broken(rest) => {
                        let shown: String = rest.chars().take(40).collect();
                        let message =
                            format!("{shown:?} is no variable; one is {{{{name}}}} of letters, digits and _, or {{{{secret:NAME}}}}");
                        found.push(Finding::new(Code::BadTemplate, format!("tests[{i}].{field}"), message));
                    }
                    Piece::Secret(_) if field.starts_with("expected") || field.starts_with("retry") => {
                        let message = "a secret is sent, and never compared";
                        found.push(Finding::new(Code::BadTemplate, format!("tests[{i}].{field}"), message));
                    }
                    Piece::Plain(_) | Piece::Secret(_) => {}
                }
            }
        }
    }
    for (name, all) in fillers {
        if !used.contains(name) {
            let message = format!("nothing uses {{{{{name}}}}}");
            found.push(Finding::new(Code::NeverUsed, format!("tests[{}].captures.{name}", all[0]), message));
        }
        for at in &all[1..] {
            let message = format!("{} fills {{{{{name}}}}} too: say by depends_on whose is meant", plan.tests[all[0]].id);
            found.push(Finding::new(Code::FilledTwice, format!("tests[{at}].captures.{name}"), message));
        }
    }
}

/// Keys of a test that say nothing to anybody.
fn keys(test: &Test, at: usize, found: &mut Vec<Finding>) {
    let known = |key: &str| KEYS.contains(&key) || MORE_KEYS.contains(&key);
    for key in test.given.as_object().into_iter().flatten().map(|(key, _)| key).filter(|key| !known(key)) {
        let message = format!("is no key of a test: nobody looks at it; {} and payment are", KEYS.join(", "));
        found.push(Finding::new(Code::NotLookedAt, format!("tests[{at}].{key}"), message));
    }
}

/// What of a request can't be sent, whatever its variables are.
fn sendable(test: &Test, at: usize, found: &mut Vec<Finding>) {
    let mut wrong = |path: String, message: String| found.push(Finding::new(Code::WrongValue, format!("tests[{at}].{path}"), message));
    if !test.endpoint.contains("{{") {
        match Url::parse(&test.endpoint) {
            Err(problem) => wrong("endpoint".into(), format!("is no URL: {problem}")),
            Ok(url) if !matches!(url.scheme(), "http" | "https") => wrong("endpoint".into(), "must be a URL of http or https".into()),
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                wrong("endpoint".into(), "must have no user in it: a header with {{secret:NAME}} is for that".into());
            }
            Ok(_) => {}
        }
    }
    for (name, value) in &test.headers {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)) {
            wrong(format!("headers.{name}"), "is no name of a header: letters, digits and - are fine".into());
        }
        let plain = |piece: &Piece<'_>| matches!(piece, Piece::Plain(text) if text.bytes().any(|b| b != b'\t' && b.is_ascii_control()));
        if pieces(value).iter().any(plain) {
            wrong(format!("headers.{name}"), "has a line break or another character that no header has".into());
        }
    }
}

/// What prim.sh's runner passes over. By our rules such a plan is not read.
fn unseen(expected: &Value, at: usize, found: &mut Vec<Finding>) {
    const LOOKED_AT: [&str; 3] = ["status", "body", "body_equals"];
    for key in expected.as_object().into_iter().flatten().map(|(key, _)| key).filter(|key| !LOOKED_AT.contains(&key.as_str())) {
        let message = format!("prim.sh's runner looks at {} alone", LOOKED_AT.join(", "));
        found.push(Finding::new(Code::NotLookedAt, format!("tests[{at}].expected.{key}"), message));
    }
}

/// What of an expectation no answer misses.
fn expectation(value: &Value, path: &str, found: &mut Vec<Finding>) {
    match value {
        Value::Array(entries) => {
            if entries.len() > 1 {
                let message = "only the first of them is looked at, and held against the first of the answer: {\"$each\": ...} is for all";
                found.push(Finding::new(Code::OnlyFirst, path, message));
            }
            entries.iter().take(1).for_each(|entry| inner(entry, &format!("{path}[0]"), found));
        }
        Value::Object(map) => {
            for (key, value) in map {
                let path = format!("{path}.{key}");
                match (key.as_str(), value) {
                    ("$equals", _) => {}
                    ("$oneOf", Value::Array(several)) => {
                        several.iter().enumerate().for_each(|(i, one)| inner(one, &format!("{path}[{i}]"), found))
                    }
                    _ => inner(value, &path, found),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn inner(value: &Value, path: &str, found: &mut Vec<Finding>) {
    if value.is_null() {
        let message = "null lets anything pass, and nothing at all too; {\"$equals\": null} is null, {\"$absent\": true} nothing";
        found.push(Finding::new(Code::CannotFail, path, message));
    }
    expectation(value, path, found);
}
