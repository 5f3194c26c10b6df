//! Layer 2's tests of each route, as steps of a gate: what counts, what only is told,
//! and what a wallet changes.

use std::{sync::Arc, time::Instant};

use axum::{
    Json, Router,
    extract::{Path, Request},
    http::StatusCode,
    response::IntoResponse,
    routing::any,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use flywheel::{
    adapters::{clock::SystemClock, x402::Wallet},
    api::{gate_run::Verdict, http::Method},
    contract_cli::tests,
    gate::{
        plan::{Contract, Example, Payment, Plan, Price, Route},
        report::{Report, Step, overall},
    },
    ports::payments::Payer,
    suite::{self, Mode},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::plan;

const PAY_TO: &str = "0x2222222222222222222222222222222222222222";

fn test(id: &str, method: &str, path: &str, status: u16) -> Value {
    json!({
        "id": id, "service": "echo.sh", "test": format!("{method} {path}"), "method": method, "endpoint": format!("https://echo.prim.sh{path}"),
        "input": null, "expected": { "status": status }, "depends_on": [], "captures": {}, "notes": null,
    })
}

/// A service with a free route, one that breaks, and one that costs a cent.
async fn serve() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let paid = |request: Request| async move {
        if request.headers().contains_key("payment-signature") {
            let receipt = json!({ "success": true, "transaction": "0x01", "network": "eip155:84532", "payer": "0x01" });
            let receipt = [("payment-response", STANDARD.encode(receipt.to_string()))];
            return (StatusCode::OK, receipt, Json(json!({ "paid": true }))).into_response();
        }
        let terms = json!({ "x402Version": 2, "resource": { "url": "https://echo.prim.sh/v1/paid" }, "accepts": [{
            "scheme": "exact", "network": "eip155:84532", "amount": "10000", "payTo": PAY_TO, "maxTimeoutSeconds": 60,
            "asset": "0x036CbD53842c5426634e7929541eC2318f3dCF7e", "extra": { "name": "USDC", "version": "2" },
        }] });
        (StatusCode::PAYMENT_REQUIRED, [("payment-required", STANDARD.encode(terms.to_string()))], Json(json!({}))).into_response()
    };
    let router = Router::new()
        .route("/", any(|| async { Json(json!({ "service": "echo", "status": "ok" })) }))
        .route("/v1/broken", any(|| async { (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({}))) }))
        .route("/v1/answers/{status}", any(|Path(status): Path<u16>| async move { StatusCode::from_u16(status).unwrap() }))
        .route("/v1/paid", any(paid));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn steps(all: Vec<Value>, wallet: bool, most: u64) -> Vec<Step> {
    steps_of(all, Vec::new(), wallet, most).await
}

async fn steps_of(all: Vec<Value>, routes: Vec<Route>, wallet: bool, most: u64) -> Vec<Step> {
    flywheel::telemetry::install_crypto_provider();
    let ids: Vec<_> = all.iter().map(|test| test["id"].clone()).collect();
    let suite = json!({ "plan": "echo", "version": 1, "network": "", "context": "", "tests": all,
        "groups": [{ "id": "echo", "name": "echo.sh", "tests": ids, "prompt": "" }] });
    let suite = suite::read(&suite.to_string(), Mode::Ours).expect("a plan");
    let mut plan: Plan = plan(routes);
    plan.terms.pay_to = PAY_TO.into();
    let contract = Contract {
        url: serve().await,
        commit: String::new(),
        ca_bundle: None,
        plan,
        suite: None,
        payment: wallet.then_some(Payment { request_micros: most, run_micros: 1_000_000 }),
    };
    let key = format!("{:064x}", 1).into();
    let payer = wallet.then(|| Arc::new(Wallet::new(&key, "the test's key", Arc::new(SystemClock)).unwrap()) as Arc<dyn Payer>);
    tests(&contract, &suite, payer, Instant::now(), None).await.expect("a run")
}

fn said(steps: &[Step]) -> Vec<(&str, Verdict, bool)> {
    steps.iter().map(|step| (step.name.split(' ').next().unwrap_or_default(), step.verdict, step.advisory)).collect()
}

#[tokio::test]
async fn what_failed_counts_and_what_was_not_tried_is_told() {
    let mut left_out = test("E-4", "GET", "/v1/never", 200);
    (left_out["skip"], left_out["notes"]) = (json!(true), json!("it answers 501 until somebody writes it"));
    let mut unfilled = test("E-3", "GET", "/v1/{{nobody}}", 200);
    unfilled["depends_on"] = json!(["E-1"]);
    let good = vec![test("E-1", "GET", "/", 200), unfilled, left_out];
    let steps = steps(good.clone(), false, 0).await;
    assert_eq!(said(&steps), [("E-1", Verdict::Passed, false), ("E-3", Verdict::Blocked, true), ("E-4", Verdict::Blocked, true)]);
    assert_eq!(steps[2].message.as_deref(), Some("it answers 501 until somebody writes it"));
    assert_eq!(overall(&steps), Verdict::Passed);
    assert_eq!(Report::new("job", "change", steps).summary("").untried, 2);

    let mut after = test("E-6", "GET", "/", 200);
    after["depends_on"] = json!(["E-5"]);
    let red = self::steps([good, vec![test("E-5", "GET", "/v1/broken", 200), after]].concat(), false, 0).await;
    assert_eq!(overall(&red), Verdict::Failed);
    let failed = red.iter().find(|step| step.verdict == Verdict::Failed).expect("the one that failed");
    assert!(failed.name == "E-5 GET /v1/broken" && failed.message.as_deref().is_some_and(|m| m.contains("500")), "{failed:?}");
    assert_eq!(said(&red).last(), Some(&("E-6", Verdict::Blocked, true)), "the cause is a step of its own");
}

#[tokio::test]
async fn a_refusal_of_what_nobody_knows_is_told_and_of_what_is_known_counts() {
    let keyed = Example { headers: [("authorization".to_owned(), "Bearer x".to_owned())].into(), ..Example::default() };
    let (told, counts) = ((Verdict::Blocked, true), (Verdict::Failed, false));
    for (what, status, example, upstream, generated, expected) in [
        ("nobody knows a request", 404, None, false, true, told),
        ("it takes a key", 401, Some(keyed), false, true, told),
        ("a request that is known is refused", 404, Some(Example::default()), false, true, counts),
        ("a person wrote the test", 404, None, false, false, counts),
        ("its provider is away", 502, Some(Example::default()), true, true, told),
        ("it has no provider", 502, None, false, true, counts),
        ("something is not set up", 501, None, false, true, told),
        ("it breaks", 500, None, true, true, counts),
    ] {
        let path = format!("/v1/answers/{status}");
        let mut asked = test("E-1", "GET", &path, 200);
        asked["generated"] = generated.into();
        let route = Route {
            method: Method::Get,
            path,
            price: Price::Free,
            reads_json: false,
            status: 200,
            errors: Vec::new(),
            example,
            sample: None,
            upstream,
            response: None,
            tests: vec!["E-1".into()],
        };
        let steps = steps_of(vec![asked], vec![route], false, 0).await;
        assert_eq!(said(&steps), [("E-1", expected.0, expected.1)], "{what}: {steps:?}");
    }
}

#[tokio::test]
async fn a_wallet_pays_within_its_caps() {
    let paid = || vec![test("E-1", "POST", "/v1/paid", 200)];
    for (what, wallet, most, verdict) in [
        ("it pays", true, 10_000, Verdict::Passed),
        ("it costs too much", true, 9_999, Verdict::Error),
        ("there is none", false, 0, Verdict::Error),
    ] {
        let steps = steps(paid(), wallet, most).await;
        assert_eq!(overall(&steps), verdict, "{what}: {steps:?}");
    }
}
