//! The strict form. `schema.rs` says the same as JSON Schema: change both.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    MOST_TESTS,
    fields::{Fields, Notes, kind, whole},
    patterns::{is_name, pattern},
};
use crate::suite::{
    capture,
    finding::{Code, Finding},
    pattern::{Pattern, Rule},
    plan::{Capture, Expected, Group, Interface, Mode, Payment, Plan, Retry, Test, Until},
    validator::Schema,
};

/// What may be expected of an answer.
pub(in crate::suite) const EXPECTATIONS: [&str; 4] = ["status", "body", "body_equals", "headers"];
/// Methods that a test may have.
pub(in crate::suite) const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
/// The largest whole number that every reader of JSON takes as it is written.
pub(in crate::suite) const EXACT: u64 = 1 << 53;
/// Most tries after the first.
pub(in crate::suite) const MOST_TRIES: u64 = 1_000;
/// Longest interval between two, and longest limit of one request, in milliseconds.
pub(in crate::suite) const LONGEST: u64 = 600_000;

pub(super) fn plan(value: &Value) -> Result<Plan, Vec<Finding>> {
    let mut notes = Notes::default();
    match whole_plan(value, &mut notes) {
        Some(plan) if notes.0.is_empty() => Ok(plan),
        _ => Err(notes.0),
    }
}

fn whole_plan(value: &Value, notes: &mut Notes) -> Option<Plan> {
    let fields = Fields::of(value, "", notes)?;
    fields.required("groups", notes);
    fields.required("tests", notes);
    let version = fields.whole("version", &(1..=1), notes).unwrap_or(1);
    let groups =
        fields.list("groups", notes).iter().enumerate().filter_map(|(i, entry)| group(entry, format!("groups[{i}]"), notes)).collect();
    let entries = fields.list("tests", notes);
    if entries.len() > MOST_TESTS {
        notes.add(Code::TooLarge, "tests", format!("has {} tests, and {MOST_TESTS} are read", entries.len()));
        return None;
    }
    let tests: Vec<_> = entries.iter().enumerate().filter_map(|(i, entry)| test(entry, format!("tests[{i}]"), notes)).collect();
    let schemas: BTreeMap<_, _> = fields
        .entries("schemas", notes)
        .into_iter()
        .filter_map(|(name, schema, path)| {
            if !is_name(name) {
                notes.add(Code::WrongValue, path, "can't be called so: letters, digits, _, . and - are fine");
                return None;
            }
            if !schema.is_object() && !schema.is_boolean() {
                notes.add(Code::WrongType, path, format!("must be a JSON Schema, not {}", kind(schema)));
                return None;
            }
            Some((name.clone(), schema.clone()))
        })
        .collect();
    let validators = validators(&schemas, notes);
    for (i, test) in tests.iter().enumerate() {
        known(test, i, &schemas, notes);
    }
    let name = fields.text("plan", notes);
    let (network, context) = (fields.text("network", notes), fields.text("context", notes));
    Some(Plan { mode: Mode::Ours, name, version, network, context, groups, tests, schemas, validators })
}

fn validators(schemas: &BTreeMap<String, Value>, notes: &mut Notes) -> BTreeMap<String, Schema> {
    let mut made = BTreeMap::new();
    for (name, schema) in Schema::all(schemas) {
        match schema {
            Ok(schema) => drop(made.insert(name.clone(), schema)),
            Err(error) => {
                let said: String = error.chars().take(200).collect();
                notes.add(Code::BadSchema, format!("schemas.{name}"), format!("is no JSON Schema 2020-12 that can be used: {said}"));
            }
        }
    }
    made
}

/// What a test names must be there.
fn known(test: &Test, at: usize, schemas: &BTreeMap<String, Value>, notes: &mut Notes) {
    let mut names = Vec::new();
    test.expected.patterns().for_each(|pattern| named(pattern, &mut names));
    test.retry.iter().filter_map(|retry| retry.until.as_ref()?.body.as_ref()).for_each(|pattern| named(pattern, &mut names));
    for name in names.into_iter().filter(|name| !schemas.contains_key(*name)) {
        notes.add(Code::UnknownSchema, format!("tests[{at}].expected"), format!("refers to schemas.{name}, which is not there"));
    }
}

fn named<'a>(pattern: &'a Pattern, names: &mut Vec<&'a str>) {
    pattern.walk(&mut |inner| {
        if let Pattern::All(rules) = inner {
            names.extend(rules.iter().filter_map(|rule| if let Rule::Schema(name) = rule { Some(name.as_str()) } else { None }));
        }
    });
}

fn group(value: &Value, path: String, notes: &mut Notes) -> Option<Group> {
    let fields = Fields::of(value, path, notes)?;
    let id = fields.name("id", notes);
    fields.required("tests", notes);
    let interface = match fields.maybe("interface", notes).as_deref() {
        None | Some("api") => Interface::Api,
        Some("cli") => Interface::Cli,
        Some(_) => {
            notes.add(Code::WrongValue, fields.at("interface"), "must be api or cli");
            Interface::Api
        }
    };
    Some(Group {
        name: fields.text("name", notes),
        prompt: fields.text("prompt", notes),
        tests: fields.texts("tests", notes),
        canary_only: fields.flag("canary_only", notes),
        interface,
        setup: fields.maybe("setup", notes),
        cleanup: fields.maybe("cleanup", notes),
        id: id?,
    })
}

fn test(value: &Value, path: String, notes: &mut Notes) -> Option<Test> {
    let fields = Fields::of(value, path, notes)?;
    let (id, method, endpoint) = (fields.name("id", notes), fields.name("method", notes), fields.name("endpoint", notes));
    if method.as_deref().is_some_and(|method| !METHODS.contains(&method)) {
        notes.add(Code::WrongValue, fields.at("method"), format!("must be one of {}", METHODS.join(", ")));
    }
    let expected = fields.required("expected", notes).and_then(|value| expected(value, fields.at("expected"), notes));
    let mut captures = BTreeMap::new();
    for (name, value, path) in fields.entries("captures", notes) {
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            notes.add(Code::WrongValue, path.clone(), "can't be a variable: letters, digits and _ are fine");
        }
        captures.extend(capture(value, &path, notes).map(|capture| (name.clone(), capture)));
    }
    let retry = fields.get("retry").and_then(|value| retry(value, fields.at("retry"), notes));
    let payment = fields.get("payment").and_then(|value| payment(value, fields.at("payment"), notes));
    Some(Test {
        service: fields.text("service", notes),
        title: fields.text("test", notes),
        headers: fields.texts_by_name("headers", notes),
        input: fields.get("input").cloned().unwrap_or_default(),
        depends_on: fields.texts("depends_on", notes),
        notes: fields.maybe("notes", notes),
        skip: fields.flag("skip", notes),
        generated: fields.flag("generated", notes),
        timeout_ms: fields.whole("timeout_ms", &(1..=LONGEST), notes),
        captures,
        retry,
        payment,
        given: value.clone(),
        id: id?,
        method: method?,
        endpoint: endpoint?,
        expected: expected?,
    })
}

fn expected(value: &Value, path: String, notes: &mut Notes) -> Option<Expected> {
    let fields = Fields::of(value, path, notes)?;
    // What nobody looks at would pass unseen.
    fields.only(&EXPECTATIONS, notes);
    let status = fields.required("status", notes).map(|value| statuses(value, &fields.at("status"), notes));
    let mut headers = BTreeMap::new();
    for (name, value, path) in fields.entries("headers", notes) {
        headers.insert(name.to_ascii_lowercase(), pattern(value, &path, notes));
    }
    Some(Expected {
        body: fields.get("body").map(|value| pattern(value, &fields.at("body"), notes)),
        body_equals: fields.maybe("body_equals", notes),
        headers,
        status: status?,
    })
}

/// One status, or several of which one is right.
fn statuses(value: &Value, path: &str, notes: &mut Notes) -> Vec<u16> {
    let one = |value: &Value| whole(value).filter(|n| (100..=599).contains(n)).and_then(|n| u16::try_from(n).ok());
    let several = value.as_object().filter(|map| map.len() == 1).and_then(|map| map.get("$oneOf")).and_then(Value::as_array);
    let read = match several {
        Some(several) => several.iter().map(one).collect(),
        None => one(value).map(|status| vec![status]),
    };
    read.filter(|read: &Vec<u16>| !read.is_empty()).unwrap_or_else(|| {
        let code = if value.is_number() { Code::WrongValue } else { Code::WrongType };
        notes.add(code, path, "must be a whole number from 100 to 599, or {\"$oneOf\": [...]} of such");
        Vec::new()
    })
}

fn capture(value: &Value, path: &str, notes: &mut Notes) -> Option<Capture> {
    let json_path = |text: &str, path: &str, notes: &mut Notes| {
        if let Err(error) = capture::parse(text) {
            notes.add(Code::BadPath, path, error);
        }
        Some(Capture::Path(text.to_owned()))
    };
    match value {
        Value::String(text) => json_path(text, path, notes),
        Value::Object(map) if map.len() == 1 => match map.iter().next() {
            Some((key, Value::String(text))) if key == "path" => json_path(text, &format!("{path}.path"), notes),
            Some((key, Value::String(text))) if key == "header" && !text.is_empty() => Some(Capture::Header(text.to_ascii_lowercase())),
            _ => wrong_capture(path, notes),
        },
        _ => wrong_capture(path, notes),
    }
}

fn wrong_capture(path: &str, notes: &mut Notes) -> Option<Capture> {
    notes.add(Code::WrongType, path, "must be a JSONPath, {\"path\": JSONPATH} or {\"header\": NAME}");
    None
}

fn retry(value: &Value, path: String, notes: &mut Notes) -> Option<Retry> {
    let fields = Fields::of(value, path, notes)?;
    fields.only(&["count", "interval", "interval_ms", "until"], notes);
    fields.required("count", notes);
    let count = fields.whole("count", &(1..=MOST_TRIES), notes);
    let until = match fields.get("until") {
        None => None,
        Some(Value::String(text)) if text == "pass" => None,
        Some(value @ Value::Object(_)) => {
            let inner = Fields::of(value, fields.at("until"), notes)?;
            inner.only(&["status", "body"], notes);
            let status = inner.get("status").map(|value| statuses(value, &inner.at("status"), notes)).unwrap_or_default();
            Some(Until { status, body: inner.get("body").map(|value| pattern(value, &inner.at("body"), notes)) })
        }
        Some(other) => {
            notes.add(
                Code::WrongType,
                fields.at("until"),
                format!("must be \"pass\" or an object of status and body, not {}", kind(other)),
            );
            None
        }
    };
    let [interval, interval_ms] = ["interval", "interval_ms"].map(|key| fields.whole(key, &(0..=LONGEST), notes));
    if interval.is_some() && interval_ms.is_some() {
        notes.add(Code::WrongValue, fields.at("interval"), "is interval_ms by another name: one of them is enough");
    }
    let interval_ms = interval.or(interval_ms).unwrap_or_default();
    Some(Retry { count: u32::try_from(count?).ok()?, interval_ms, until })
}

const ADDRESS: &str = "must be an address: 0x and 40 hexadecimal digits";

fn payment(value: &Value, path: String, notes: &mut Notes) -> Option<Payment> {
    let fields = Fields::of(value, path, notes)?;
    fields.only(&["max", "amount", "pay_to", "asset", "network"], notes);
    let mut units = |key: &str| {
        let value = fields.get(key)?;
        let digits = |text: &str| (1..=38).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let read = match value {
            Value::String(text) if digits(text) => text.parse().ok(),
            other => whole(other).map(u128::from),
        };
        if read.is_none() {
            notes.add(Code::WrongValue, fields.at(key), "must be atomic units of the asset: a whole number, or its digits as a text");
        }
        read
    };
    let (max, amount) = (units("max"), units("amount"));
    let mut formed = |key: &str, is: fn(&str) -> bool, form: &str| {
        let text = fields.maybe(key, notes)?;
        if !is(&text) {
            notes.add(Code::WrongValue, fields.at(key), form);
        }
        Some(text)
    };
    Some(Payment {
        max,
        amount,
        pay_to: formed("pay_to", Payment::is_address, ADDRESS),
        asset: formed("asset", Payment::is_address, ADDRESS),
        network: formed("network", Payment::is_chain, "must be a chain in CAIP-2 form, such as eip155:84532"),
    })
}
