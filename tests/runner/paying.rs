//! Services that want money: what is signed, for how much, and above all what is not.
//! The wallet signs; there is no chain, and the services say that they were paid.

use std::sync::{Arc, Mutex};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flywheel::{
    adapters::{
        clock::SystemClock,
        x402::{Wallet, recover},
    },
    ports::payments::Domain,
    runner::{Runner, budget::Budget},
    suite::{Mode, Outcome, Payment, TestResult},
};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{
    one, plan, plan_in, run, runner,
    seen::{Server, json as answer},
    test,
};

const NETWORK: &str = "eip155:84532";
const USDC: &str = "0x036CbD53842c5426634e7929541eC2318f3dCF7e";
const PAY_TO: &str = "0x0000000000000000000000000000000000000001";

fn way(amount: &str) -> Value {
    json!({
        "scheme": "exact", "network": NETWORK, "amount": amount, "asset": USDC, "payTo": PAY_TO, "maxTimeoutSeconds": 300,
        "extra": {"name": "USDC", "version": "2"}
    })
}

fn asks(way: &Value) -> String {
    let terms = json!({"x402Version": 2, "error": "Payment required", "resource": {"url": "u"}, "accepts": [way]});
    format!("PAYMENT-REQUIRED: {}\r\n", STANDARD.encode(terms.to_string()))
}

const RECEIPT: &str = r#"{"success":true,"transaction":"0xabc","network":"eip155:84532","payer":"0x2"}"#;

fn receipt() -> String {
    format!("PAYMENT-RESPONSE: {}\r\n", STANDARD.encode(RECEIPT))
}

fn header(head: &str, name: &str) -> Option<Value> {
    let value = head.lines().find_map(|line| line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case(name)))?.1;
    Some(serde_json::from_slice(&STANDARD.decode(value).unwrap()).unwrap())
}

/// A runner that pays, up to 0.50 a request and 1 in all.
fn paying() -> Runner {
    let mut runner = runner();
    let key = SecretString::from(format!("0x{}", "1".repeat(64)));
    runner.cashier.payer = Some(Arc::new(Wallet::new(&key, "the test", Arc::new(SystemClock)).unwrap()));
    runner.cashier.budget = Budget::new(500_000, 1_000_000);
    runner.cashier.declared = Payment { network: Some(NETWORK.into()), ..Payment::default() };
    runner
}

/// A service that asks for `way` until it gets a payment, and keeps those.
async fn service(way: Value, then: impl Fn(usize) -> String + Clone + Send + Sync + 'static) -> (Server, Arc<Mutex<Vec<Value>>>) {
    let payments = Arc::new(Mutex::new(Vec::new()));
    let kept = payments.clone();
    let server = Server::answering(move |head, _| match header(head, "payment-signature") {
        None => answer(402, &asks(&way), "{}"),
        Some(payment) => {
            let mut kept = kept.lock().unwrap();
            kept.push(payment);
            then(kept.len())
        }
    })
    .await;
    (server, payments)
}

fn paid(_: usize) -> String {
    answer(200, &receipt(), "{}")
}

#[tokio::test]
async fn what_is_asked_is_signed_and_the_receipt_is_kept() {
    let (server, payments) = service(way("5000"), paid).await;
    let runner = paying();
    let (result, _) = one(&runner, &format!("{}/v1/search", server.url), &json!({})).await;
    assert_eq!(result.outcome, Outcome::Pass, "{result:?}");
    let receipt = &result.receipts[0];
    assert_eq!((receipt.version, receipt.amount, receipt.settled, receipt.transaction.as_deref()), (2, 5000, true, Some("0xabc")));
    assert_eq!((receipt.pay_to.as_str(), receipt.asset.as_str(), receipt.network.as_str()), (PAY_TO, USDC, NETWORK));
    let payments = payments.lock().unwrap();
    let authorization = &payments[0]["payload"]["authorization"];
    assert_eq!((&authorization["to"], &authorization["value"]), (&json!(PAY_TO), &json!("5000")));
    assert_eq!(payments[0]["accepted"], way("5000"));
    let domain = Domain { name: "USDC".into(), version: "2".into() };
    let signer = recover(&payments[0]["payload"], NETWORK, USDC, &domain).unwrap();
    assert_eq!(signer, runner.cashier.payer.unwrap().address());
    assert_eq!(runner.cashier.budget.spending().spent, 5000);
}

#[tokio::test]
async fn version_one_is_paid_too() {
    let server = Server::answering(|head, _| match header(head, "x-payment") {
        None => {
            let mut way = way("1");
            way["maxAmountRequired"] = json!("7000");
            way["network"] = json!("base-sepolia");
            answer(402, "", &json!({"x402Version": 1, "error": "X-PAYMENT header is required", "accepts": [way]}).to_string())
        }
        Some(payment) => {
            assert_eq!((&payment["x402Version"], &payment["network"]), (&json!(1), &json!("base-sepolia")));
            assert_eq!(payment["payload"]["authorization"]["value"], "7000");
            answer(200, &format!("X-PAYMENT-RESPONSE: {}\r\n", STANDARD.encode(RECEIPT)), "{}")
        }
    })
    .await;
    let (result, _) = one(&paying(), &format!("{}/v1/search", server.url), &json!({})).await;
    assert_eq!((result.outcome, result.receipts[0].version, result.receipts[0].settled), (Outcome::Pass, 1, true), "{result:?}");
}

#[tokio::test]
async fn other_terms_than_declared_are_not_signed() {
    let with = |key: &str, value: Value| {
        let mut way = way("5000");
        way[key] = value;
        way
    };
    let mainnet = with("network", json!("eip155:8453"));
    let declares = json!({"amount": "5000", "pay_to": PAY_TO, "network": NETWORK, "asset": USDC});
    let cases = [
        (mainnet, "network"),
        (with("asset", json!("0x0000000000000000000000000000000000000009")), "token"),
        (with("payTo", json!("0x0000000000000000000000000000000000000009")), "pay"),
        (with("amount", json!("5001")), "5001"),
        (with("amount", json!("4999")), "4999"),
        (with("amount", json!("-1")), "amount"),
        (with("amount", json!(5000)), "amount"),
        (with("amount", json!("9".repeat(60))), "amount"),
        (with("scheme", json!("upto")), "scheme"),
        (with("maxTimeoutSeconds", json!(100_000_000)), "100000000"),
        (with("extra", json!({"name": "Dai", "version": "1"})), "domain"),
    ];
    for (way, named) in cases {
        let (server, payments) = service(way, paid).await;
        let (result, _) = one(&paying(), &format!("{}/v1/x", server.url), &json!({"payment": declares})).await;
        let note = result.note.clone().unwrap_or_default();
        assert!(result.outcome != Outcome::Pass && note.contains(named), "{named}: {result:?}");
        assert!(payments.lock().unwrap().is_empty() && result.receipts.is_empty(), "{named}");
    }
}

#[tokio::test]
async fn headers_that_are_no_terms_cost_nothing() {
    let bombs = [
        "payment-required: %%%\r\n".to_owned(),
        format!("payment-required: {}\r\n", "A".repeat(200_000)),
        format!("payment-required: {}\r\n", STANDARD.encode("{}")),
        format!("payment-required: {}\r\n", STANDARD.encode("[".repeat(9_000))),
        format!("payment-required: {}\r\n", STANDARD.encode(json!({"x402Version": 2, "accepts": vec![0; 4000]}).to_string())),
        String::new(),
    ];
    for bomb in bombs {
        let said = bomb.clone();
        let server = Server::answering(move |_, _| answer(402, &said, "not JSON")).await;
        let (result, _) = one(&paying(), &format!("{}/v1/x", server.url), &json!({})).await;
        assert!(result.outcome != Outcome::Pass && result.receipts.is_empty(), "{bomb:.60}: {result:?}");
        assert_eq!(server.requests(), 1, "{bomb:.60}");
    }
}

#[tokio::test]
async fn caps_hold_for_one_request_and_for_all_at_once() {
    let (server, payments) = service(way("500001"), paid).await;
    let (result, _) = one(&paying(), &format!("{}/v1/x", server.url), &json!({})).await;
    assert_eq!(result.note.as_deref(), Some("Payment of 0.500001 USDC exceeds maxPayment cap of 0.5 USDC; raise --max-payment"));
    assert!(payments.lock().unwrap().is_empty());

    // Forty at once, of which four can be paid.
    let (server, payments) = service(way("250000"), paid).await;
    let runner = paying();
    let tests = (0..40).map(|i| test(&format!("T-{i}"), &format!("{}/v1/x", server.url), &json!({}))).collect();
    let results = run(&runner, &plan(tests)).await;
    let passed = results.iter().filter(|result| result.outcome == Outcome::Pass).count();
    assert_eq!((passed, payments.lock().unwrap().len(), runner.cashier.budget.spending().spent), (4, 4, 1_000_000));
    let refused = results.iter().find(|result| result.outcome != Outcome::Pass).unwrap();
    assert!(refused.note.as_ref().unwrap().contains("raise --budget"), "{refused:?}");
}

#[tokio::test]
async fn what_a_service_keeps_without_a_receipt_counts_until_it_lapses() {
    let (server, payments) = service(way("400000"), |_| answer(500, "", "{}")).await;
    let runner = paying();
    let tests = (0..5).map(|i| test(&format!("T-{i}"), &format!("{}/v1/x", server.url), &json!({}))).collect();
    let results = run(&runner, &plan(tests)).await;
    assert!(results.iter().all(|result| result.outcome != Outcome::Pass));
    // It may still have both settled: a third payment would be more than the budget.
    assert_eq!(payments.lock().unwrap().len(), 2);
    let spending = runner.cashier.budget.spending();
    assert_eq!((spending.spent, spending.outstanding), (0, 800_000));
}

#[tokio::test]
async fn a_failed_settlement_is_paid_once_more() {
    let failed = |n: usize| if n == 1 { answer(402, "", r#"{"error":"Settlement failed"}"#) } else { paid(n) };
    for mode in [Mode::Ours, Mode::Primsh] {
        let (server, payments) = service(way("5000"), failed).await;
        let mut runner = paying();
        runner.cashier.mode = mode;
        let results = run(&runner, &plan_in(mode, vec![test("T-1", &format!("{}/v1/x", server.url), &json!({}))])).await;
        assert_eq!((results[0].outcome, results[0].receipts.len()), (Outcome::Pass, 2), "{results:?}");
        let nonces: Vec<_> = payments.lock().unwrap().iter().map(|p| p["payload"]["authorization"]["nonce"].clone()).collect();
        assert!(nonces.len() == 2 && nonces[0] != nonces[1], "{nonces:?}");
    }
    let always = |_| answer(402, "", r#"{"error":"Settlement failed"}"#);
    let (server, payments) = service(way("5000"), always).await;
    let (result, _) = one(&paying(), &format!("{}/v1/x", server.url), &json!({})).await;
    assert_eq!((result.outcome, result.actual_status, payments.lock().unwrap().len()), (Outcome::Fail, Some(402), 2));
    let other = |_| answer(402, "", r#"{"error":"Payment verification failed"}"#);
    let (server, payments) = service(way("5000"), other).await;
    one(&paying(), &format!("{}/v1/x", server.url), &json!({})).await;
    assert_eq!(payments.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn nothing_is_paid_where_nothing_is_to_be() {
    let (server, payments) = service(way("5000"), paid).await;
    let url = format!("{}/v1/x", server.url);
    let runner = paying();
    // What expects the challenge gets it, and what is free is asked without a purse.
    let (result, _) = one(&runner, &url, &json!({"expected": {"status": 402}})).await;
    assert_eq!(result.outcome, Outcome::Pass, "{result:?}");
    let (result, _) = one(&runner, &url, &json!({"notes": "Free."})).await;
    assert_eq!((result.outcome, result.actual_status), (Outcome::Fail, Some(402)), "{result:?}");
    let mut poor = paying();
    poor.cashier.payer = None;
    let (result, _) = one(&poor, &url, &json!({})).await;
    assert!(result.outcome != Outcome::Pass && result.note.as_ref().unwrap().contains("AGENT_PRIVATE_KEY"), "{result:?}");
    assert!(payments.lock().unwrap().is_empty());
}

#[tokio::test]
async fn prim_shs_client_looks_at_the_amount_alone() {
    let (server, payments) = service(way("600000"), paid).await;
    let elsewhere = |key: &str, value: &str| {
        let mut way = way("5000");
        way[key] = json!(value);
        way
    };
    let compat = |url: &str| (paying_compat(), plan_in(Mode::Primsh, vec![test("T-1", &format!("{url}/v1/x"), &json!({}))]));
    let (runner, plan) = compat(&server.url);
    let results: Vec<TestResult> = run(&runner, &plan).await;
    assert_eq!((results[0].outcome, results[0].actual_status), (Outcome::Fail, None), "{results:?}");
    assert!(payments.lock().unwrap().is_empty());

    let (server, payments) = service(elsewhere("payTo", "0x0000000000000000000000000000000000000009"), paid).await;
    let (runner, plan) = compat(&server.url);
    let results = run(&runner, &plan).await;
    assert_eq!((results[0].outcome, payments.lock().unwrap().len()), (Outcome::Pass, 1), "{results:?}");

    // Terms in the body are nothing to it: the 402 is the answer.
    let server = Server::answering(|_, _| answer(402, "", &json!({"x402Version": 1, "accepts": []}).to_string())).await;
    let (runner, plan) = compat(&server.url);
    let results = run(&runner, &plan).await;
    assert_eq!((results[0].outcome, results[0].actual_status), (Outcome::Fail, Some(402)), "{results:?}");
}

fn paying_compat() -> Runner {
    let mut runner = paying();
    runner.cashier.mode = Mode::Primsh;
    runner.cashier.declared = Payment::default();
    runner
}
