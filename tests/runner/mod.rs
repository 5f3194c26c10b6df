//! The runner of test plans against servers on this machine: good ones, hostile ones,
//! and ones that want money. Everything real but the servers and, in `paying.rs`,
//! the chain.

mod behaviour;
pub mod commands;
mod hostile;
mod paying;
mod phases;
mod random;
pub mod seen;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use flywheel::{
    adapters::clock::SystemClock,
    runner::{
        Runner,
        budget::Budget,
        http::{Http, Settings},
        pay::Cashier,
        progress::Progress,
    },
    suite::{self, Mode, Outcome, Payment, Plan, Run, Secrets, TestResult},
};
use serde_json::{Value, json};

/// Longest body that is read in these tests.
const BODY_LIMIT: usize = 64 * 1024;

/// A test of a plan: `more` is laid over it.
pub fn test(id: &str, url: &str, more: &Value) -> Value {
    let mut test = json!({
        "id": id, "service": "things.sh", "test": "A test", "method": "GET", "endpoint": url, "input": null,
        "expected": {"status": 200}, "depends_on": [], "captures": {}, "notes": null
    });
    for (key, value) in more.as_object().unwrap() {
        test[key] = value.clone();
    }
    test
}

/// A plan of one group.
fn plan(tests: Vec<Value>) -> Plan {
    plan_in(Mode::Ours, tests)
}

fn plan_in(mode: Mode, tests: Vec<Value>) -> Plan {
    suite::read(&text(tests), mode).unwrap_or_else(|findings| panic!("{findings:?}"))
}

pub fn text(tests: Vec<Value>) -> String {
    let ids: Vec<_> = tests.iter().map(|test| test["id"].clone()).collect();
    let group = json!({"id": "all", "name": "All", "prompt": "Use it.", "tests": ids});
    let mut plan = json!({"plan": "p", "version": 1, "network": "none", "context": "", "groups": [group]});
    plan["tests"] = Value::Array(tests);
    plan.to_string()
}

/// A runner that pays nobody, and is patient: the machine may be busy.
fn runner() -> Runner {
    flywheel::telemetry::install_crypto_provider();
    Runner {
        http: Http::new(Settings { body_limit: BODY_LIMIT, ..Settings::default() }),
        cashier: Cashier {
            payer: None,
            budget: Budget::new(1_000_000, 5_000_000),
            declared: Payment::default(),
            mode: Mode::Ours,
            again_after: Duration::ZERO,
            resends: false,
            clock: Arc::new(SystemClock),
        },
        jobs: 16,
        patience: Duration::from_secs(20),
        deadline: None,
    }
}

/// Results in the order in which they came.
#[derive(Default)]
struct Came(Vec<String>);

impl Progress for Came {
    fn result(&mut self, _: &Plan, result: &TestResult) {
        self.0.push(result.id.clone());
    }

    fn under_way(&mut self, _: usize) {}
}

/// Runs a plan to its end.
async fn run(runner: &Runner, plan: &Plan) -> Vec<TestResult> {
    let mut run = Run::new(plan, None, BTreeMap::new(), Secrets::default()).unwrap();
    let mut came = Came::default();
    runner.run(plan, &mut run, std::future::pending(), &mut came).await;
    assert!(run.is_done());
    let results = run.into_results();
    assert_eq!(came.0.len(), results.len(), "each is told of once");
    results
}

/// One test's result, and how long it took.
async fn one(runner: &Runner, url: &str, more: &Value) -> (TestResult, Duration) {
    let began = Instant::now();
    let mut results = run(runner, &plan(vec![test("T-1", url, more)])).await;
    assert_eq!(results.len(), 1);
    (results.remove(0), began.elapsed())
}

fn outcomes(results: &[TestResult]) -> Vec<(&str, Outcome)> {
    results.iter().map(|result| (result.id.as_str(), result.outcome)).collect()
}
