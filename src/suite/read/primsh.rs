//! The form as prim.sh's runner takes it: it looks at a field when it needs it, and
//! stops before the first test only where there are no groups or no tests.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    MOST_TESTS,
    fields::{Fields, Notes, kind},
};
use crate::suite::{
    finding::{Code, Finding},
    plan::{Capture, Expected, Group, Interface, Mode, Plan, Test},
    primsh::{string, truthy},
};

pub(super) fn plan(value: &Value) -> Result<Plan, Vec<Finding>> {
    let mut notes = Notes::default();
    let Some(fields) = Fields::of(value, "", &mut notes) else { return Err(notes.0) };
    fields.required("groups", &mut notes);
    fields.required("tests", &mut notes);
    let ids = Ids::of(value["tests"].as_array().map(Vec::as_slice).unwrap_or_default());
    let mut groups = Vec::new();
    for (i, entry) in fields.list("groups", &mut notes).iter().enumerate() {
        let path = format!("groups[{i}]");
        let Some(inner) = Fields::of(entry, path, &mut notes) else { continue };
        let canary_only = truthy(&entry["canary_only"]);
        // Its runner drops these before it looks for their tests.
        if !canary_only {
            inner.required("tests", &mut notes);
        }
        groups.push(Group {
            id: text(entry, "id"),
            name: text(entry, "name"),
            prompt: text(entry, "prompt"),
            tests: inner.list("tests", &mut notes).iter().map(|id| ids.name(id)).collect(),
            canary_only,
            interface: if entry["interface"] == "cli" { Interface::Cli } else { Interface::Api },
            setup: entry["setup"].as_str().map(str::to_owned),
            cleanup: entry["cleanup"].as_str().map(str::to_owned),
        });
    }
    let entries = fields.list("tests", &mut notes);
    if entries.len() > MOST_TESTS {
        notes.add(Code::TooLarge, "tests", format!("has {} tests, and {MOST_TESTS} are read", entries.len()));
    }
    for (i, _) in entries.iter().enumerate().filter(|(_, entry)| entry.is_null()) {
        notes.add(Code::WrongType, format!("tests[{i}]"), "must be an object, not null");
    }
    if !notes.0.is_empty() {
        return Err(notes.0);
    }
    // What is no value of its own is nobody's key.
    let tests = entries.iter().filter(|entry| entry.get("id").is_some_and(is_key)).map(|entry| test(entry, &ids)).collect();
    Ok(Plan {
        mode: Mode::Primsh,
        name: text(value, "plan"),
        version: value["version"].as_u64().unwrap_or(1),
        network: text(value, "network"),
        context: text(value, "context"),
        groups,
        tests,
        schemas: BTreeMap::new(),
        validators: BTreeMap::new(),
    })
}

/// What tests are called whose ids may be anything: a `Map` tells 1 from "1".
struct Ids<'a>(BTreeSet<&'a str>);

impl<'a> Ids<'a> {
    fn of(tests: &'a [Value]) -> Self {
        Self(tests.iter().filter_map(|test| test["id"].as_str()).collect())
    }

    /// As JavaScript writes it; with its kind where a test has that text, and where it is
    /// no key.
    fn name(&self, id: &Value) -> String {
        let text = string(id);
        if id.is_string() || (is_key(id) && !self.0.contains(text.as_str())) { text } else { format!("{text} ({})", kind(id)) }
    }
}

/// Whether a value is the same key wherever it is written.
fn is_key(value: &Value) -> bool {
    !value.is_array() && !value.is_object()
}

/// What reports and listings show of a test; its rules look at [`Test::given`].
fn test(given: &Value, ids: &Ids<'_>) -> Test {
    let paths = given["captures"].as_object().into_iter().flatten();
    let status = given["expected"]["status"].as_u64().and_then(|status| u16::try_from(status).ok());
    Test {
        id: ids.name(&given["id"]),
        service: text(given, "service"),
        title: text(given, "test"),
        method: text(given, "method"),
        endpoint: text(given, "endpoint"),
        headers: BTreeMap::new(),
        input: given["input"].clone(),
        expected: Expected { status: status.into_iter().collect(), ..Expected::default() },
        depends_on: given["depends_on"].as_array().into_iter().flatten().map(|id| ids.name(id)).collect(),
        captures: paths.filter_map(|(name, path)| Some((name.clone(), Capture::Path(path.as_str()?.to_owned())))).collect(),
        notes: given["notes"].as_str().map(str::to_owned),
        skip: truthy(&given["skip"]),
        generated: truthy(&given["generated"]),
        timeout_ms: None,
        retry: None,
        payment: None,
        given: given.clone(),
    }
}

fn text(value: &Value, key: &str) -> String {
    value[key].as_str().unwrap_or_default().to_owned()
}
