//! Gate layer 3 with SCRIPTED models: no language model is asked. Its machine by
//! itself, then the program between a model's server and services on loopback: a
//! sound one, hostile ones, and packages under Bun.

mod goals;
mod packages;
mod program;
pub mod service;
mod session;

#[allow(dead_code, reason = "the program of the test bed uses the rest")]
#[path = "../e2e/doubles/src/scripted_model.rs"]
pub mod scripted_model;

#[allow(dead_code, reason = "the program of the test bed uses the rest")]
#[path = "../e2e/doubles/src/scripted_vendor.rs"]
mod scripted_vendor;

use flywheel::suite::{self, Answer, Mode, Plan};
use serde_json::{Value, json};

/// A plan of one service with these tests, all in the group `g`.
pub fn plan(tests: &[Value]) -> Plan {
    suite::read(&plan_text(tests), Mode::Ours).unwrap_or_else(|findings| panic!("{findings:?}"))
}

pub fn plan_text(tests: &[Value]) -> String {
    let ids: Vec<_> = tests.iter().map(|test| test["id"].clone()).collect();
    json!({
        "plan": "p", "version": 1, "network": "eip155:84532", "context": "",
        "groups": [{ "id": "g", "name": "Notes", "prompt": "Use it.", "tests": ids }], "tests": tests,
    })
    .to_string()
}

/// A test of the service `notes.sh`.
pub fn test(id: &str, method: &str, path: &str, status: u16) -> Value {
    json!({
        "id": id, "service": "notes.sh", "test": id, "method": method, "endpoint": format!("https://notes.prim.sh{path}"), "input": null,
        "expected": { "status": status }, "depends_on": [], "captures": {}, "notes": "free",
    })
}

/// A test with some fields of its own.
pub fn with(mut test: Value, fields: Value) -> Value {
    if let Value::Object(fields) = fields {
        test.as_object_mut().unwrap().extend(fields);
    }
    test
}

/// Tests that make a note, read it, list notes and remove it.
pub fn notes() -> Vec<Value> {
    vec![
        test("H", "GET", "/", 200),
        with(
            test("MAKE", "POST", "/v1/notes", 201),
            json!({
                "input": { "text": "x" }, "depends_on": ["H"], "captures": { "note_id": "$.id" },
                "expected": { "status": 201, "body": { "id": "non-empty string", "text": "string" } },
            }),
        ),
        with(test("READ", "GET", "/v1/notes/{{note_id}}", 200), json!({ "depends_on": ["MAKE"] })),
        with(
            test("LIST", "GET", "/v1/notes?limit=3", 200),
            json!({ "depends_on": ["H"], "expected": { "status": 200, "body": { "items": "array" } } }),
        ),
        with(test("REMOVE", "DELETE", "/v1/notes/{{note_id}}", 204), json!({ "depends_on": ["MAKE", "READ"] })),
    ]
}

/// An answer in JSON.
pub fn answer(status: u16, body: &Value) -> Answer {
    Answer { status, headers: vec![("content-type".into(), "application/json".into())], body: body.to_string().into_bytes(), cut: None }
}
