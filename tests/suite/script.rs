//! A run of a plan against answers that were written down.

use std::collections::BTreeMap;

use flywheel::suite::{Answer, Mode, Outcome, Plan, Run, Secrets, Spent, TestResult, Trouble, from_value};
use serde_json::{Value, json};

/// What every run knows from the start.
pub fn seeds() -> BTreeMap<String, String> {
    [("test_prefix", "gate-0"), ("runner", "canary-runner")].map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// A plan of tests that say only what they are about.
pub fn plan_of(tests: &Value, groups: Option<&Value>) -> Value {
    let whole = |test: &Value| {
        let mut made = json!({
            "id": "T-1", "service": "a.sh", "test": "", "method": "GET", "endpoint": "https://a.test/v1/x", "input": null,
            "expected": { "status": 200 }, "depends_on": [], "captures": {}, "notes": null,
        });
        test.as_object().unwrap().iter().for_each(|(key, value)| made[key] = value.clone());
        made
    };
    let tests: Vec<_> = tests.as_array().unwrap().iter().map(whole).collect();
    let ids: Vec<_> = tests.iter().map(|test| test["id"].clone()).collect();
    json!({
        "plan": "Vectors", "version": 1, "network": "", "context": "",
        "groups": groups.cloned().unwrap_or_else(|| json!([{ "id": "g", "name": "G", "prompt": "", "tests": ids }])),
        "tests": tests,
        "schemas": {
            "Item": { "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } },
            "Items": { "type": "array", "items": { "$ref": "#/schemas/Item" } },
        },
    })
}

pub fn read(plan: &Value, mode: Mode) -> Plan {
    from_value(plan, mode).unwrap_or_else(|findings| panic!("{findings:?} of {plan}"))
}

/// One answer as it is written: JSON, or raw with its type.
pub fn answer(row: &Value) -> Answer {
    let body = match (row.get("raw"), row.get("json")) {
        (Some(raw), _) => raw.as_str().unwrap().as_bytes().to_vec(),
        (None, Some(json)) => json.to_string().into_bytes(),
        (None, None) => b"{}".to_vec(),
    };
    let kind = row.get("type").map_or(Some("application/json"), Value::as_str);
    let mut headers: Vec<_> = kind.map(|kind| ("content-type".to_owned(), kind.to_owned())).into_iter().collect();
    let more = row["headers"].as_object().into_iter().flatten();
    headers.extend(more.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())));
    let status = row["status"].as_u64().map_or(200, |status| u16::try_from(status).unwrap());
    Answer { status, headers, body, cut: row["cut"].as_str().map(str::to_owned) }
}

/// What a run sent, and what became of it.
pub struct Played {
    pub results: Vec<TestResult>,
    pub sent: Vec<String>,
}

impl Played {
    /// `T-1 pass 200`, a line for each test.
    pub fn lines(&self) -> Vec<String> {
        let line = |result: &TestResult| {
            let status = result.actual_status.map_or_else(|| "null".into(), |status| status.to_string());
            format!("{} {} {status}", result.id, result.outcome.as_str())
        };
        self.results.iter().map(line).collect()
    }
}

/// Runs a plan; `answers` has one for a test, several for its tries, or none: then it
/// is 200 with an empty object.
pub fn play(plan: &Plan, group: Option<&str>, answers: &Value) -> Played {
    play_with(plan, group, answers, Secrets::default())
}

pub fn play_with(plan: &Plan, group: Option<&str>, answers: &Value, secrets: Secrets) -> Played {
    let mut run = Run::new(plan, group, seeds(), secrets).unwrap_or_else(|findings| panic!("{findings:?}"));
    let whole = run.len();
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    let mut sent = Vec::new();
    while let Some(mut task) = run.next_task() {
        loop {
            let id = plan.tests[task.test].id.clone();
            let request = &task.request;
            let kind = request.headers.iter().find(|(name, _)| name == "content-type").map(|(_, kind)| format!(" {kind}"));
            let body = request.body.as_ref().map(|body| format!(" {}", String::from_utf8_lossy(body)));
            sent.push(format!("{} {}{}{}", request.method, request.url, kind.unwrap_or_default(), body.unwrap_or_default()));
            let nth = asked.entry(id.clone()).or_default();
            let row = match &answers[&id] {
                Value::Array(rows) => rows[(*nth).min(rows.len() - 1)].clone(),
                other => other.clone(),
            };
            *nth += 1;
            let spent = Spent { duration_ms: 3, ..Spent::default() };
            let wait = match row["trouble"].as_str() {
                Some(trouble) => run.broke(task.ticket, &Trouble::Broken(trouble.into()), spent),
                None => run.answered(task.ticket, &answer(&row), spent),
            };
            match wait {
                Some(_) => task = run.again(task.ticket).unwrap(),
                None => break,
            }
        }
    }
    assert!(run.is_done(), "a run that does not end");
    let results = run.into_results();
    assert_eq!(results.len(), whole, "a test without a result, or with two");
    assert!(results.iter().all(|r| r.outcome != Outcome::Blocked || r.note.is_some()), "blocked, and nothing says by what");
    Played { results, sent }
}
