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
    runner::{
        Runner,
        budget::Budget,
        http::{Http, Settings},
    },
    suite::{Mode, Outcome, Payment, Run, Secrets, TestResult},
};
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use super::{
    one, plan, plan_in, run, runner,
    seen::{Server, json as answer, request},
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

/// The server closes each connection that it keeps at the second request, which is the
/// payment: the same goes out again, and no other.
#[tokio::test]
async fn a_payment_over_a_connection_that_was_closed_is_sent_again_and_not_signed_anew() {
    for mode in [Mode::Ours, Mode::Primsh] {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = heard.clone();
        let server = Server::new(move |mut stream, _| {
            let kept = kept.clone();
            async move {
                for first in [true, false] {
                    let Some((head, _)) = request(&mut stream).await else { return };
                    let payment = header(&head, "payment-signature");
                    let said = if payment.is_some() { paid(0) } else { answer(402, &asks(&way("5000")), "{}") };
                    kept.lock().unwrap().extend(payment);
                    if first {
                        let _ = stream.write_all(said.as_bytes()).await;
                    }
                }
            }
        })
        .await;
        let mut runner = paying();
        runner.cashier.mode = mode;
        let results = run(&runner, &plan_in(mode, vec![test("T-1", &format!("{}/v1/x", server.url), &json!({}))])).await;
        let result = &results[0];
        assert_eq!((result.outcome, result.receipts.len()), (Outcome::Pass, 1), "{mode:?}: {result:?}");
        let heard = heard.lock().unwrap();
        assert!(heard.len() == 2 && heard[0] == heard[1], "{mode:?}: {heard:?}");
        assert_eq!(runner.cashier.budget.spending().spent, 5000, "{mode:?}");
    }
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
async fn a_refused_payment_is_sent_once_more_where_that_is_asked_for_and_its_reason_is_told() {
    let refused = |why: &str| {
        let said = json!({"x402Version": 2, "error": why, "accepts": [way("5000")]}).to_string();
        answer(402, &format!("payment-required: {}\r\n", STANDARD.encode(said)), "{}")
    };
    let mut runner = paying();
    runner.cashier.resends = true;
    let (server, payments) = service(way("5000"), move |n| if n == 1 { refused("unexpected_error") } else { paid(n) }).await;
    let (result, _) = one(&runner, &format!("{}/v1/x", server.url), &json!({})).await;
    assert_eq!((result.outcome, result.receipts.len(), result.receipts[0].settled), (Outcome::Pass, 1, true), "{result:?}");
    assert_eq!(result.receipts[0].refused, None);
    let sent = payments.lock().unwrap().clone();
    assert!(sent.len() == 2 && sent[0] == sent[1], "the same payment: {sent:?}");
    assert_eq!(runner.cashier.budget.spending().spent, 5000);

    // What is said first is what counts, and no longer word than any reason has.
    let echo = "e".repeat(80);
    for (first, told) in [("unexpected_error", Some("unexpected_error")), (echo.as_str(), None), ("two\nlines", None)] {
        let first = first.to_owned();
        let (server, payments) = service(way("5000"), move |n| refused(if n == 1 { &first } else { "used before" })).await;
        let (result, _) = one(&runner, &format!("{}/v1/x", server.url), &json!({})).await;
        assert_eq!((result.outcome, result.actual_status, payments.lock().unwrap().len()), (Outcome::Fail, Some(402), 2));
        assert_eq!(result.receipts[0].refused.as_deref(), told, "{result:?}");
    }
    // Whoever breaks off the second time has refused it the first time.
    let (server, _) = service(way("5000"), move |n| if n == 1 { refused("unexpected_error") } else { String::new() }).await;
    let (result, _) = one(&runner, &format!("{}/v1/x", server.url), &json!({})).await;
    assert_eq!((result.outcome, result.actual_status), (Outcome::Fail, Some(402)), "{result:?}");
    // A failed settlement is another matter: it is paid anew, and not sent again.
    let (server, payments) = service(way("5000"), |_| answer(402, "", r#"{"error":"Settlement failed"}"#)).await;
    one(&runner, &format!("{}/v1/x", server.url), &json!({})).await;
    let sent = payments.lock().unwrap().clone();
    assert!(sent.len() == 2 && sent[0] != sent[1], "{sent:?}");
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

/// What prim.sh's rules make of one request to that service, and how often it was paid.
async fn compared(server: &Server, payments: &Mutex<Vec<Value>>) -> (Outcome, Option<u16>, usize) {
    let (runner, plan) = (paying_compat(), plan_in(Mode::Primsh, vec![test("T-1", &format!("{}/v1/x", server.url), &json!({}))]));
    let results = run(&runner, &plan).await;
    (results[0].outcome, results[0].actual_status, payments.lock().unwrap().len())
}

#[tokio::test]
async fn prim_shs_client_takes_terms_as_javascript_reads_them() {
    let with = |key: &str, value: Value| {
        let mut way = way("5000");
        way[key] = value;
        way
    };
    let none = (Outcome::Fail, None, 0);
    for (name, way, expected) in [
        ("an amount that is a number", with("amount", json!(5000)), (Outcome::Pass, Some(200), 1)),
        ("with a fraction of zero", with("amount", json!(5000.0)), (Outcome::Pass, Some(200), 1)),
        ("with blanks", with("amount", json!(" 5000\n")), (Outcome::Pass, Some(200), 1)),
        ("with a fraction", with("amount", json!(0.5)), none),
        ("that is none", with("amount", json!("much")), none),
        ("that is not there", with("amount", Value::Null), none),
        ("more than the cap", with("amount", json!(500_001)), none),
        ("another domain than the token's", with("extra", json!({"name": "Dai", "version": "1"})), (Outcome::Pass, Some(200), 1)),
        ("no domain", with("extra", json!({})), none),
        ("an empty domain", with("extra", json!({"name": "", "version": "2"})), none),
        ("a payTo that is no address", with("payTo", json!("me")), none),
        ("a chain that is none", with("network", json!("solana:5eykt4")), none),
    ] {
        let (server, payments) = service(way, paid).await;
        assert_eq!(compared(&server, &payments).await, expected, "{name}");
    }
    // The first way that it can pay is the one that it takes.
    let payments = Arc::new(Mutex::new(Vec::new()));
    let kept = payments.clone();
    let server = Server::answering(move |head, _| match header(head, "payment-signature") {
        None => {
            let ways = [with("scheme", json!("upto")), with("amount", json!(7))];
            answer(402, &format!("payment-required: {}\r\n", STANDARD.encode(json!({"x402Version": 2, "accepts": ways}).to_string())), "{}")
        }
        Some(payment) => {
            kept.lock().unwrap().push(payment);
            paid(1)
        }
    })
    .await;
    assert_eq!(compared(&server, &payments).await, (Outcome::Pass, Some(200), 1));
    assert_eq!(payments.lock().unwrap()[0]["payload"]["authorization"]["value"], "7");
}

#[tokio::test]
async fn prim_shs_client_reads_headers_as_browsers_do() {
    let terms = json!({"x402Version": 2, "error": "Payment required", "resource": {"url": "u?"}, "accepts": [way("5000")]}).to_string();
    let padded = (0..3).map(|n| STANDARD.encode(format!("{terms}{}", " ".repeat(n)))).find(|text| text.ends_with('=')).unwrap();
    let bare = padded.trim_end_matches('=').to_owned();
    for (name, headers, expected) in [
        ("without padding", format!("payment-required: {bare}\r\n"), (Outcome::Pass, Some(200), 1)),
        ("empty", "payment-required: \r\n".to_owned(), (Outcome::Fail, Some(402), 0)),
        ("the older one empty", format!("x-payment-required:\r\npayment-required: {bare}\r\n"), (Outcome::Fail, Some(402), 0)),
        ("twice", format!("payment-required: {bare}\r\npayment-required: {bare}\r\n"), (Outcome::Fail, None, 0)),
        ("none", String::new(), (Outcome::Fail, Some(402), 0)),
    ] {
        let payments = Arc::new(Mutex::new(Vec::new()));
        let kept = payments.clone();
        let server = Server::answering(move |head, _| match header(head, "payment-signature") {
            None => answer(402, &headers, "{}"),
            Some(payment) => {
                kept.lock().unwrap().push(payment);
                paid(1)
            }
        })
        .await;
        assert_eq!(compared(&server, &payments).await, expected, "{name}");
    }
    // By our rules terms without padding are terms too.
    let server = Server::answering(move |head, _| match header(head, "payment-signature") {
        None => answer(402, &format!("payment-required: {bare}\r\n"), "{}"),
        Some(_) => paid(1),
    })
    .await;
    assert_eq!(one(&paying(), &format!("{}/v1/x", server.url), &json!({})).await.0.outcome, Outcome::Pass);
}

#[tokio::test]
async fn prim_shs_client_looks_into_what_answers_its_payment() {
    let says = |status: u16, body: &'static str| move |_| answer(status, "", body);
    let (server, payments) = service(way("5000"), says(402, "null")).await;
    assert_eq!(compared(&server, &payments).await, (Outcome::Fail, None, 1), "nothing is in null");
    let (server, payments) = service(way("5000"), says(402, r#"{"error":{"message":"Settlement failed"}}"#)).await;
    assert_eq!(compared(&server, &payments).await, (Outcome::Fail, Some(402), 1));
    let (server, payments) = service(way("5000"), says(503, "{}")).await;
    assert_eq!(compared(&server, &payments).await, (Outcome::Fail, Some(503), 1));
}

#[tokio::test]
async fn redirects_of_a_paid_request_are_followed_as_the_first_ones_are() {
    let elsewhere = Server::answering(|_, _| answer(200, "", "{}")).await;
    let other = elsewhere.url.clone();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    let server = Server::answering(move |head, body| {
        let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
        let payment = header(head, "payment-signature").is_some();
        kept.lock().unwrap().push(format!("{line} {} {body}", if payment { "paid" } else { "unpaid" }));
        match line.split(' ').nth(1).unwrap() {
            _ if !payment => answer(402, &asks(&way("5000")), "{}"),
            "/307" => answer(307, "location: /new\r\n", ""),
            "/303" => answer(303, "location: /new\r\n", ""),
            "/away" => answer(307, &format!("location: {other}/new\r\n"), ""),
            _ => answer(200, &receipt(), &json!({"kind": head.contains("content-type")}).to_string()),
        }
    })
    .await;
    let posts = |path: &str, kind: bool| {
        let more = json!({"method": "POST", "input": {"a": 1}, "expected": {"status": 200, "body": {"kind": kind}}});
        test(&format!("T-{path}"), &format!("{}/{path}", server.url), &more)
    };
    let plan = plan_in(Mode::Primsh, vec![posts("307", true), posts("303", false), posts("away", true)]);
    let results = run(&paying_compat(), &plan).await;
    let told: Vec<_> = results.iter().map(|result| (result.outcome, result.actual_status)).collect();
    assert_eq!(told, [(Outcome::Pass, Some(200)), (Outcome::Pass, Some(200)), (Outcome::Fail, Some(307))], "{results:?}");
    let seen = seen.lock().unwrap();
    let expected = [
        r#"POST /307 unpaid {"a":1}"#,
        r#"POST /307 paid {"a":1}"#,
        r#"POST /new paid {"a":1}"#,
        r#"POST /303 unpaid {"a":1}"#,
        r#"POST /303 paid {"a":1}"#,
        "GET /new paid ",
        r#"POST /away unpaid {"a":1}"#,
        r#"POST /away paid {"a":1}"#,
    ];
    assert_eq!(*seen, expected);
    assert_eq!(elsewhere.requests(), 0);
}

#[tokio::test]
async fn a_payment_that_is_out_when_the_run_ends_is_told_of() {
    let server = Server::new(|mut stream, _| async move {
        while let Some((head, _)) = request(&mut stream).await {
            if header(&head, "payment-signature").is_some() {
                std::future::pending::<()>().await;
            }
            stream.write_all(answer(402, &asks(&way("5000")), "{}").as_bytes()).await.unwrap();
        }
    })
    .await;
    let mut runner = paying();
    runner.patience = std::time::Duration::from_secs(600);
    runner.deadline = Some(std::time::Duration::from_millis(500));
    let (result, _) = one(&runner, &format!("{}/v1/x", server.url), &json!({})).await;
    assert_eq!((result.outcome, result.actual_status), (Outcome::Error, Some(402)), "{result:?}");
    assert_eq!(result.receipts.iter().map(|r| (r.amount, r.settled)).collect::<Vec<_>>(), [(5000, false)]);
    assert_eq!(runner.cashier.budget.spending().outstanding, 5000);
}

#[tokio::test]
async fn what_a_receipt_calls_a_transaction_is_one_or_nothing() {
    const SECRET: &str = "hunter2hunter2";
    for (said, told) in [(SECRET, Some("{{secret:KEY}}")), ("0xabc", Some("0xabc")), ("see https://evil.example/", None)] {
        let receipt = json!({"success": true, "transaction": said, "network": NETWORK, "payer": "0x2"}).to_string();
        let header = format!("PAYMENT-RESPONSE: {}\r\n", STANDARD.encode(receipt));
        let (server, _) = service(way("5000"), move |_| answer(200, &header, "{}")).await;
        let plan = plan(vec![test("T-1", &format!("{}/v1/x", server.url), &json!({"headers": {"x-key": "{{secret:KEY}}"}}))]);
        let secrets = Secrets::new([("KEY".to_owned(), SecretString::from(SECRET.to_owned()))]);
        let mut machine = Run::new(&plan, None, std::collections::BTreeMap::new(), secrets).unwrap();
        paying().run(&plan, &mut machine, std::future::pending(), &mut super::Came::default()).await;
        let results = machine.into_results();
        assert_eq!(results[0].receipts[0].transaction.as_deref(), told, "{said}");
        assert!(results[0].receipts[0].settled, "{results:?}");
    }
}

#[tokio::test]
async fn a_payment_and_its_first_request_count_for_the_rate() {
    let (server, payments) = service(way("5000"), paid).await;
    let mut runner = paying();
    runner.http = Http::new(Settings { body_limit: super::BODY_LIMIT, rate: Some(5.0), ..Settings::default() });
    let (result, took) = one(&runner, &format!("{}/v1/x", server.url), &json!({})).await;
    assert_eq!((result.outcome, payments.lock().unwrap().len()), (Outcome::Pass, 1), "{result:?}");
    assert!(took >= std::time::Duration::from_millis(200), "{took:?}");
}

#[tokio::test]
async fn a_declared_payment_is_made_whatever_the_notes_say() {
    let (server, payments) = service(way("5000"), paid).await;
    let declared = json!({"notes": "Free of ads.", "payment": {"amount": "5000"}});
    let (result, _) = one(&paying(), &format!("{}/v1/x", server.url), &declared).await;
    assert_eq!((result.outcome, payments.lock().unwrap().len()), (Outcome::Pass, 1), "{result:?}");
}
