//! The smoke-test plan in use against packages generated from the documents in use:
//! each of its tests is in a table, as passed or with why not. The services are real
//! programs on loopback, paid by a real wallet; a stub facilitator takes the payments,
//! and there are no vendors behind them. `make conformance-gate` prints it.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use flywheel::{
    adapters::{clock::SystemClock, x402::Wallet},
    ports::clock::Clock,
    prim,
    runner::{
        Runner,
        budget::Budget,
        http::{Http, Settings},
        pay::Cashier,
        progress::Progress,
        seeds::{Agent, seeds},
    },
    suite::{self, Mode, Outcome, Payment, Plan, Run, Secrets, TestResult},
};
use serde_json::{Value, json};
use url::Url;

use super::{given, manifest, workspace::Workspace};

/// Money comes from a faucet that needs a chain. Whoever waits for it is tried without.
const FAUCET: &str = "F-1";
/// What somebody has to bring: prim.sh's own plan fills it nowhere.
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g gate";

struct Quiet;

impl Progress for Quiet {
    fn result(&mut self, _: &Plan, _: &TestResult) {}
    fn under_way(&mut self, _: usize) {}
}

/// The plan in use, and ids of the services that it asks.
fn plan_in_use() -> Option<(String, Vec<String>)> {
    let given = given();
    let path =
        given.iter().filter_map(|path| path.parent()?.parent()).map(|folder| folder.join("smoke-test-plan.json")).find(|p| p.exists());
    let Some(path) = path else {
        assert!(std::env::var_os("FLYWHEEL_REQUIRE_SPECS").is_none(), "no smoke-test-plan.json beside the documents");
        eprintln!("SKIPPED: no smoke-test-plan.json beside the documents: set FLYWHEEL_SPECS");
        return None;
    };
    let text = fs::read_to_string(path).unwrap();
    let plan = suite::read(&text, Mode::Primsh).unwrap();
    let mut services: Vec<_> = plan.tests.iter().map(|test| test.service.trim_end_matches(".sh").to_owned()).collect();
    services.sort();
    services.dedup();
    Some((text, services))
}

#[test]
fn every_test_of_the_plan_in_use_passes_or_says_why_not() {
    let Some((text, services)) = plan_in_use() else { return };
    let Some(workspace) = Workspace::new("smoke") else { return };
    let given = given();
    let (mut packages, mut notes, mut routes) = (Vec::new(), BTreeMap::new(), Vec::new());
    for id in &services {
        let Some(path) = given.iter().find(|path| path.file_name().is_some_and(|name| name == format!("{id}.prim.yaml").as_str())) else {
            notes.insert(id.clone(), "no document".to_owned());
            continue;
        };
        let mut value = prim::value(&fs::read_to_string(path).unwrap()).unwrap();
        // As in floor.rs: without a vendor our store answers what it can.
        let vendor = value["providers"].take() != Value::Null;
        if vendor {
            value["env"].take();
        }
        let document = prim::from_value(value).unwrap();
        let made = manifest(&document);
        let count = |backend: &str| made.routes.iter().filter(|route| route.backend == backend).count();
        let without = if vendor { ", without its provider" } else { "" };
        notes.insert(
            id.clone(),
            format!(
                "{} routes: {} native, {} a provider's, {} of nobody (501){without}",
                made.routes.len(),
                count("native"),
                count("provider"),
                count("missing")
            ),
        );
        workspace.add(&made);
        routes.extend(made.routes.iter().map(|route| (id.clone(), route.method.clone(), route.path.clone(), route.status)));
        packages.push(json!({"id": document.id, "env": made.env, "keeps_data": made.keeps_data}));
    }
    workspace.write("served.json", &Value::from(packages).to_string());
    // Each time on services that know nothing yet.
    let whole = served(&workspace, &text);
    let alone = served(&workspace, &without_faucet(&text));
    let mended = served(&workspace, &with_statuses(&without_faucet(&text), &routes));

    for (id, note) in &notes {
        eprintln!("{id:<10} {note}");
    }
    eprintln!(
        "\n{:<12} {:<11} {:<8} {:<8} {:<8} status  why not (in the last of these)",
        "test", "service", "as it is", "no drip", "statuses"
    );
    for ((first, second), third) in whole.iter().zip(&alone).zip(&mended) {
        assert!(first.id == second.id && second.id == third.id);
        let status = third.actual_status.map_or("-".into(), |status| status.to_string());
        let why: String = third.note.iter().flat_map(|note| note.chars()).take(150).collect();
        let [a, b, c] = [first, second, third].map(|result| result.outcome.as_str());
        eprintln!("{:<12} {:<11} {a:<8} {b:<8} {c:<8} {status:<6}  {why}", first.id, first.service);
        for result in [first, second, third] {
            assert!(result.outcome == Outcome::Pass || result.note.is_some(), "{}: not passed, and nothing says why", result.id);
        }
    }
    let plan = suite::read(&text, Mode::Ours).unwrap_or_else(|findings| panic!("{findings:?}"));
    for (name, results) in
        [("as it is", &whole), ("without waiting for the faucet", &alone), ("with the documents' statuses, too", &mended)]
    {
        let count = |outcome| results.iter().filter(|result| result.outcome == outcome).count();
        let counts = Outcome::ALL.map(|outcome| format!("{} {}", count(outcome), outcome.as_str())).join(", ");
        eprintln!("{name}: {} tests: {counts}", results.len());
        assert_eq!(results.len(), plan.tests.len(), "every test is accounted for");
    }
    let passed = mended.iter().filter(|result| result.outcome == Outcome::Pass).count();
    assert!(passed >= 14, "{passed} pass, and 14 did before");
    // Every service answers its health check, and whatever was paid is settled.
    let health: Vec<_> = plan.tests.iter().filter(|test| test.endpoint.ends_with(".prim.sh/")).map(|test| test.id.as_str()).collect();
    for result in whole.iter().filter(|result| health.contains(&result.id.as_str())) {
        let documented = !notes[result.service.trim_end_matches(".sh")].starts_with("no document");
        // The faucet in use says that it is a test network's; its document has no such field.
        assert!(result.outcome == Outcome::Pass || !documented || result.id == "H-3", "{result:?}");
    }
    assert!(alone.iter().flat_map(|result| &result.receipts).filter(|receipt| receipt.settled).count() > 0, "somebody was paid");
}

/// Starts the services, runs a plan against them, and ends them.
fn served(workspace: &Workspace, text: &str) -> Vec<TestResult> {
    let mut serving = workspace.command(&["http/serve.ts", "served.json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(serving.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let addresses: BTreeMap<String, Url> = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
    let results = run(text, &addresses);
    drop(serving.stdin.take());
    assert!(serving.wait().unwrap().success());
    results
}

/// The plan with the status that a route's document says, where the plan says another
/// success: it was written before some documents were. A route is its service's id, its
/// method, its path and its status.
fn with_statuses(text: &str, routes: &[(String, String, String, u16)]) -> String {
    let mut plan: Value = serde_json::from_str(text).unwrap();
    for test in plan["tests"].as_array_mut().unwrap() {
        let text = |key: &str| test[key].as_str().unwrap().to_owned();
        let (service, method, endpoint) = (text("service"), text("method"), text("endpoint"));
        let path = endpoint.split_once(".prim.sh").unwrap().1.split('?').next().unwrap().to_owned();
        let found = routes.iter().find(|(id, verb, route, _)| format!("{id}.sh") == service && *verb == method && is_at(route, &path));
        if let Some((.., status)) = found {
            test["expected"]["status"] = json!(status);
        }
    }
    plan.to_string()
}

/// Whether a path is one of a route's, whose parameters begin with a colon.
fn is_at(route: &str, path: &str) -> bool {
    let (route, path): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
    route.len() == path.len() && route.iter().zip(&path).all(|(a, b)| a.starts_with(':') || a == b)
}

/// The plan with nobody waiting for the faucet's money.
fn without_faucet(text: &str) -> String {
    let mut plan: Value = serde_json::from_str(text).unwrap();
    for test in plan["tests"].as_array_mut().unwrap() {
        test["depends_on"].as_array_mut().unwrap().retain(|id| id != FAUCET);
    }
    plan.to_string()
}

pub(super) fn run(text: &str, addresses: &BTreeMap<String, Url>) -> Vec<TestResult> {
    flywheel::telemetry::install_crypto_provider();
    let plan = suite::read(text, Mode::Ours).unwrap_or_else(|findings| panic!("{findings:?}"));
    let key = format!("0x{}", "1".repeat(64)).into();
    let wallet = Arc::new(Wallet::new(&key, "the test", Arc::new(SystemClock)).unwrap());
    let bases = addresses.iter().map(|(id, url)| (format!("{id}.sh"), url.clone())).collect();
    let runner = Runner {
        http: Http::new(Settings { bases, ca: None, body_limit: 1 << 20, ..Settings::default() }),
        cashier: Cashier {
            payer: Some(wallet.clone()),
            budget: Budget::new(1_000_000, 5_000_000),
            declared: Payment { network: Some("eip155:84532".into()), ..Payment::default() },
            mode: Mode::Ours,
            again_after: Duration::ZERO,
            resends: false,
            clock: Arc::new(SystemClock),
        },
        jobs: 16,
        patience: Duration::from_secs(30),
        deadline: Some(Duration::from_secs(300)),
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let agent = Agent { payer: Some(wallet.as_ref()), address: None };
        let seeds = seeds(&plan, &agent, SystemClock.now(), [("ssh_pubkey".to_owned(), KEY.to_owned())]).await.unwrap();
        let mut run = Run::new(&plan, None, seeds, Secrets::default()).unwrap();
        runner.run(&plan, &mut run, std::future::pending(), &mut Quiet).await;
        run.into_results()
    })
}
