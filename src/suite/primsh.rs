//! The rules of prim.sh's own runner, with what they overlook: a test is judged as
//! JavaScript would, by the plan as it is written. What they are was read from
//! scripts/canary-runner.ts of primsh/prim.sh (commit 3340bbc), and measured.
//!
//! There are three differences, and each is a limit: a body of more than 128 levels
//! counts as none, a number too large for a double does not parse, and a body is read
//! only as far as the runner reads any.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    exchange::{Answer, Request, Shown},
    finding::{Code, Finding},
    hidden::{self, HIDDEN},
    judge::Judgement,
    plan::{Plan, Test},
    verdict::Outcome,
};
use js::{Js, number, same};

mod js;

pub(super) use js::{string, truthy};

/// What is said where JavaScript would throw.
const THROWN: &str = "TypeError";

/// What becomes of a test before anything is sent.
pub(super) enum Prepared {
    /// It is sent.
    Send(Box<Request>),
    /// It has this outcome, for this reason and, if blocked, for that test.
    Done(Outcome, String, Option<String>),
}

/// The places of the groups that are run, in order: `onboarding` comes right after
/// `discovery`, unless one group is asked for.
pub(super) fn groups(plan: &Plan, group: Option<&str>) -> Result<Vec<usize>, Finding> {
    let mut groups: Vec<usize> = (0..plan.groups.len()).filter(|i| !plan.groups[*i].canary_only).collect();
    let named = |groups: &[usize], id: &str| groups.iter().position(|i| plan.groups[*i].id == id);
    if let Some(id) = group {
        groups.retain(|i| plan.groups[*i].id == id);
        if groups.is_empty() {
            let known: Vec<_> = plan.groups.iter().map(|group| group.id.as_str()).collect();
            return Err(Finding::new(Code::WrongValue, "groups", format!("has no group {id:?} to run; there are {}", known.join(", "))));
        }
    } else if let Some(at) = named(&groups, "onboarding").filter(|at| *at > 0) {
        let onboarding = groups.remove(at);
        let to = named(&groups, "discovery").map_or(0, |at| at + 1);
        groups.insert(to, onboarding);
    }
    Ok(groups)
}

/// The tests of those groups, in order: the group's place, and the test's. A test that
/// groups name twice is there twice; what no test has is not.
pub(super) fn order(plan: &Plan, groups: &[usize]) -> Vec<(usize, usize)> {
    let tests: BTreeMap<&str, usize> = plan.tests.iter().enumerate().map(|(i, test)| (test.id.as_str(), i)).collect();
    let all = groups.iter().flat_map(|group| plan.groups[*group].tests.iter().map(move |id| (*group, id)));
    all.filter_map(|(group, id)| Some((group, *tests.get(id.as_str())?))).collect()
}

/// What is sent, unless something stands against it. `passed` says whether a test
/// has a result that is a pass.
pub(super) fn prepare(test: &Test, variables: &BTreeMap<String, String>, passed: impl Fn(&str) -> bool) -> Prepared {
    let given = &test.given;
    let done = |outcome, note: &str| Prepared::Done(outcome, note.to_owned(), None);
    if truthy(&given["skip"]) {
        return done(Outcome::Pass, "skipped (marked skip in test plan)");
    }
    let Some(needed) = given["depends_on"].as_array() else { return done(Outcome::Fail, THROWN) };
    let missing = needed.iter().zip(&test.depends_on).find(|(_, id)| !passed(id)).filter(|(given, _)| truthy(given));
    if let Some((given, id)) = missing {
        return Prepared::Done(Outcome::Blocked, format!("blocked by {}", string(given)), Some(id.clone()));
    }
    let Some(endpoint) = given["endpoint"].as_str() else { return done(Outcome::Fail, THROWN) };
    let url = substitute(endpoint, variables);
    let input = given.get("input").map(|input| substitute_all(input, variables)).filter(|input| !input.is_null());
    if url.contains("{{") {
        return Prepared::Done(Outcome::Blocked, format!("unresolved template in endpoint: {url}"), None);
    }
    let body = input.as_ref().map(js::stringify).unwrap_or_default();
    if body.contains("{{") {
        return Prepared::Done(Outcome::Blocked, format!("unresolved template in body: {body}"), None);
    }
    // It looks for the word "free" in them.
    if !matches!(given["notes"], Value::Null | Value::String(_)) && !is_health(given, endpoint) {
        return done(Outcome::Fail, THROWN);
    }
    let method = given.get("method").map_or_else(|| "GET".to_owned(), string);
    let (body, kind) = match input.filter(|_| method == "POST" || method == "PUT") {
        None => (None, None),
        Some(Value::String(text)) => (Some(text), Some("text/plain")),
        Some(other) => (Some(js::stringify(&other)), Some("application/json")),
    };
    let method = method.to_ascii_uppercase();
    let headers: Vec<_> = kind.into_iter().map(|kind| ("content-type".to_owned(), kind.to_owned())).collect();
    let shown = Shown { method: method.clone(), url: url.clone(), headers: headers.clone(), body: body.clone() };
    Prepared::Send(Box::new(Request { method, url, headers, body: body.map(String::into_bytes), shown }))
}

fn is_health(given: &Value, endpoint: &str) -> bool {
    given["method"] == "GET" && endpoint.ends_with('/') && !endpoint.contains("/v1/")
}

/// A text with its variables filled as far as they have values.
fn substitute(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let inner = &rest[at + 2..];
        let end = inner.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let value = if end > 0 && inner[end..].starts_with("}}") { variables.get(&inner[..end]) } else { None };
        match value {
            Some(value) => {
                filled.push_str(&rest[..at]);
                filled.push_str(value);
                rest = &inner[end + 2..];
            }
            // A variable may begin with the second of three braces.
            None => {
                filled.push_str(&rest[..=at]);
                rest = &rest[at + 1..];
            }
        }
    }
    filled + rest
}

fn substitute_all(value: &Value, variables: &BTreeMap<String, String>) -> Value {
    match value {
        Value::String(text) => substitute(text, variables).into(),
        Value::Array(entries) => entries.iter().map(|entry| substitute_all(entry, variables)).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), substitute_all(value, variables))).collect(),
        plain => plain.clone(),
    }
}

/// Judges an answer.
pub(super) fn judge(test: &Test, variables: &BTreeMap<String, String>, answer: &Answer) -> Judgement {
    let says = |outcome, note: Option<String>| Judgement { outcome, note, captures: BTreeMap::new(), unfilled: Vec::new() };
    match (test.id.as_str(), answer.status) {
        ("W-1", 409) => return says(Outcome::Pass, Some("409 already registered (counts as pass)".into())),
        ("F-1" | "F-2", 429) => return says(Outcome::Pass, Some("429 rate limited (counts as pass)".into())),
        _ => {}
    }
    let Some(expected) = test.given.get("expected").filter(|expected| !expected.is_null()) else {
        return says(Outcome::Fail, Some(THROWN.into()));
    };
    let status = expected.get("status");
    let body = body(expected, answer);
    if number(status) != Some(f64::from(answer.status)) {
        let wanted = status.map_or_else(|| "undefined".into(), string);
        return says(Outcome::Fail, Some(format!("expected {wanted}, got {}. Body: {}", answer.status, preview(&body))));
    }
    if let Some(wanted) = expected.get("body_equals") {
        let Some(wanted) = wanted.as_str() else { return says(Outcome::Fail, Some(THROWN.into())) };
        let wanted = substitute(wanted, variables);
        if body.as_str() != Some(&wanted) {
            return says(Outcome::Fail, Some(format!("body mismatch: expected {wanted:?}, got {:?}", preview(&body))));
        }
    } else if let Some(shape) = expected.get("body").filter(|shape| truthy(shape))
        && let Err(problem) = fits(Js::Value(&body), shape, "$")
    {
        return says(Outcome::Fail, Some(format!("shape mismatch: {problem}")));
    }
    let mut judgement = says(Outcome::Pass, None);
    for (name, path) in js::entries(&test.given["captures"]) {
        let Some(path) = path.as_str() else {
            // What was filled before it threw stays.
            return Judgement { outcome: Outcome::Fail, note: Some(THROWN.into()), ..judgement };
        };
        match at(&body, path) {
            Some(value) => drop(judgement.captures.insert(name, value)),
            None => judgement.unfilled.push(name),
        }
    }
    judgement
}

/// The body as the runner sees it.
fn body(expected: &Value, answer: &Answer) -> Value {
    let kind = answer.header("content-type").unwrap_or_default();
    if answer.cut.is_some() {
        return Value::Null;
    }
    let text = String::from_utf8_lossy(&answer.body);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if kind.contains("application/json") {
        js::parse(text).unwrap_or_default()
    } else if expected.get("body_equals").is_some() || kind.contains("text/") {
        text.into()
    } else {
        Value::Null
    }
}

fn preview(body: &Value) -> String {
    let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    hidden::body(&text).chars().take(200).collect()
}

/// Whether a value has the expected shape; where not, says so.
fn fits(actual: Js<'_>, expected: &Value, path: &str) -> Result<(), String> {
    let got = || if super::shape::is_secret(path) { HIDDEN.to_owned() } else { actual.shown() };
    let is = |fits: bool, wanted: &str| if fits { Ok(()) } else { Err(format!("{path}: expected {wanted}, got {}", got())) };
    match expected {
        Value::Null => Ok(()),
        Value::String(text) => match text.as_str() {
            "string" => is(actual.text().is_some(), "string"),
            "number" => is(actual.number().is_some(), "number"),
            "boolean" => is(actual.is_boolean(), "boolean"),
            "array" => is(actual.length().is_some(), "array"),
            "array (non-empty)" => is(actual.length().is_some_and(|n| n > 0), "non-empty array"),
            "non-empty string" => is(actual.text().is_some_and(|text| !text.is_empty()), "non-empty string"),
            other => match super::read::word(other) {
                Some(super::pattern::Word::AtLeast(least)) => is(actual.number().is_some_and(|n| n >= least), other),
                _ if other.starts_with("{{") && other.ends_with("}}") => is(actual.text().is_some(), "string (template)"),
                _ => is(actual.text() == Some(other), other),
            },
        },
        Value::Array(wanted) => {
            is(actual.length().is_some(), "array")?;
            match (wanted.first(), actual.get("0")) {
                (Some(wanted), first) if actual.length() > Some(0) => fits(first, wanted, &format!("{path}[0]")),
                _ => Ok(()),
            }
        }
        Value::Object(wanted) => {
            is(actual.is_object(), "object")?;
            wanted.iter().try_for_each(|(key, wanted)| fits(actual.get(key), wanted, &format!("{path}.{key}")))
        }
        Value::Bool(_) | Value::Number(_) => is(actual.value().is_some_and(|actual| same(&actual, expected)), &expected.to_string()),
    }
}

/// The value at a path, as a text.
fn at(body: &Value, path: &str) -> Option<String> {
    let path = path.strip_prefix("$.")?;
    let mut current = body;
    for segment in path.split('.') {
        for key in steps(segment) {
            current = match current {
                Value::Array(entries) => entries.get(js::parse_int(key)?)?,
                Value::Object(map) => map.get(key)?,
                _ => return None,
            };
        }
    }
    (!current.is_null()).then(|| string(current))
}

/// `name[0]` is two steps, and everything else one.
fn steps(segment: &str) -> Vec<&str> {
    let split = segment.strip_suffix(']').and_then(|rest| rest.split_once('['));
    match split {
        Some((name, index)) if !name.is_empty() && !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()) => vec![name, index],
        _ => vec![segment],
    }
}
