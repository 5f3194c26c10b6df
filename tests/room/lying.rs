//! Sandboxes that lie, since whatever ran there took them over: they say what they like
//! to the judge, and ask what they like of the recorder. Nothing that is wrong with the
//! service passes by it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use flywheel::{
    adapters::{clock::SystemClock, x402::Wallet},
    api::gate_run::Verdict,
    ports::payments::Payer,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{Judge, Ran, WALLET, notes as cli, told};
use crate::{
    canary::{
        notes, plan_text,
        service::{Character, Service},
        test, with,
    },
    world::bank::{Bank, Fault},
};

/// A request by hand; what was answered.
fn ask(address: &str, method: &str, target: &str, headers: &str, body: &str) -> String {
    let host = address.trim_start_matches("http://").split('/').next().unwrap();
    let Ok(mut stream) = TcpStream::connect(host) else { return String::new() };
    let text =
        format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
    let _ = stream.write_all(text.as_bytes());
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// The path of an order's place, and the address before it.
fn place(order: &Value) -> (String, String) {
    let url = order["start"]["env"]["SERVICE_URL"].as_str().unwrap_or_default();
    let rest = url.trim_start_matches("http://");
    rest.split_once('/').map(|(host, token)| (format!("http://{host}"), format!("/{token}"))).unwrap_or_default()
}

/// What a sandbox does instead of what it is told.
enum Lie {
    Says(String),
    SaysNothing,
    Goes,
}

fn end(code: i32, stdout: &str, stderr: &str) -> Lie {
    Lie::Says(json!({ "code": code, "problem": null, "stdout": stdout, "stderr": stderr, "report": null }).to_string())
}

/// Says that the command line is installed and lists its commands, and leaves the rest
/// to `lies`.
fn sandbox(port: u16, mut lies: impl FnMut(&[&str], &Value) -> Lie) {
    let until = Instant::now() + Duration::from_secs(60);
    let stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(e) => assert!(Instant::now() < until, "{e}"),
        }
        std::thread::yield_now();
    };
    let mut writer = stream.try_clone().unwrap();
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let order: Value = serde_json::from_str(&line).unwrap();
        let words: Vec<_> = order["start"]["command"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let said = if order == "stop" {
            let ended = json!({ "code": null, "problem": null, "stdout": "", "stderr": "", "report": null, "stopped": true });
            Lie::Says(ended.to_string())
        } else if words[0] == "bun" {
            end(0, "", "")
        } else if words[1..] == ["--help"] {
            end(0, "  keep-note\n  list-notes\n  get-note\n  drop-note\n", "")
        } else {
            lies(&words[1..], &order)
        };
        match said {
            Lie::Says(line) if writer.write_all(format!("{line}\n").as_bytes()).is_ok() => {}
            Lie::SaysNothing => {}
            Lie::Says(_) | Lie::Goes => return,
        }
    }
}

async fn room(name: &str, service: &Service, tests: &[Value], lies: impl FnMut(&[&str], &Value) -> Lie + Send + 'static) -> Ran {
    let plan: Value = serde_json::from_str(&plan_text(tests)).unwrap();
    let mut told = told(&service.url, "notes", &plan, &cli());
    told["limits"]["commandSeconds"] = 3.into();
    let judge = Judge::start(name, &told, &cli(), Path::new("/nowhere"));
    let port = judge.port;
    let liar = tokio::task::spawn_blocking(move || sandbox(port, lies));
    let ran = tokio::task::spawn_blocking(|| judge.ended()).await.unwrap();
    liar.await.unwrap();
    ran
}

/// A note is read, and all are listed.
fn read() -> Vec<Value> {
    vec![test("READ", "GET", "/v1/notes/n1", 200), test("LIST", "GET", "/v1/notes", 200)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_that_was_only_said_is_none() {
    let service = Service::start(Character::Sound).await;
    let ran = room("said", &service, &read()[1..], |_, _| end(0, r#"{"items":[]}"#, "")).await;
    assert_eq!(ran.verdict(), Verdict::Failed, "{:#?}", ran.report);
    assert!(ran.said("LIST").1.contains("before it asks the service"), "{:#?}", ran.report);
    assert_eq!(service.asked().iter().filter(|asked| asked.line.starts_with("GET /v1")).count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_which_nothing_was_tried_shows_nothing() {
    let service = Service::start(Character::Sound).await;
    // What it depends on is not there.
    let ran = room("untried", &service, &notes()[3..4], |_, _| Lie::Goes).await;
    assert_eq!((ran.verdict(), ran.step("tests").verdict), (Verdict::Blocked, Verdict::Blocked), "{:#?}", ran.report);
    assert_eq!(service.asked(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_what_was_ordered_is_passed_on_and_at_no_other_place() {
    let service = Service::start(Character::Sound).await;
    let mut tests = vec![test("MAKE", "POST", "/v1/notes", 201)];
    tests[0]["input"] = json!({ "text": "x" });
    let json = "content-type: application/json\r\n";
    for (what, method, path, headers, body, wanted) in [
        ("another body", "POST", "/v1/notes", json, r#"{"text":"y"}"#, "another body"),
        ("another method", "DELETE", "/v1/notes", json, r#"{"text":"x"}"#, "another method"),
        ("another path", "POST", "/v1/notes/n1", json, r#"{"text":"x"}"#, "another path"),
        ("a query", "POST", "/v1/notes?x=1", json, r#"{"text":"x"}"#, "another query"),
        ("another kind", "POST", "/v1/notes", "", r#"{"text":"x"}"#, "another content-type"),
        (
            "a payment",
            "POST",
            "/v1/notes",
            "content-type: application/json\r\npayment-signature: e30=\r\n",
            r#"{"text":"x"}"#,
            "another payment",
        ),
        ("no place", "POST", "", json, r#"{"text":"x"}"#, "before it asks"),
    ] {
        let before = service.asked().len();
        let ran = room("other", &service, &tests, move |_, order| {
            let (host, token) = place(order);
            let target = if path.is_empty() { "/v1/notes".to_owned() } else { format!("{token}{path}") };
            let answer = ask(&host, method, &target, headers, body);
            assert!(answer.starts_with("HTTP/1.1 502") || answer.starts_with("HTTP/1.1 404"), "{what}: {answer}");
            end(0, r#"{"id":"n1","text":"x"}"#, "")
        })
        .await;
        assert_eq!(ran.verdict(), Verdict::Failed, "{what}: {:#?}", ran.report);
        assert!(ran.said("MAKE").1.contains(wanted), "{what}: {:#?}", ran.report);
        assert_eq!(service.asked().len(), before, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_answered_stands_whatever_the_sandbox_says() {
    let service = Service::start(Character::Broken).await;
    let ran = room("broken", &service, &read(), |words, order| {
        let (host, token) = place(order);
        let path = if words[0] == "get-note" { "/v1/notes/n1" } else { "/v1/notes" };
        let answer = ask(&host, "GET", &format!("{token}{path}"), "", "");
        assert!(answer.starts_with("HTTP/1.1 500") || answer.starts_with("HTTP/1.1 200"), "{answer}");
        // Asked twice in one order, and later at the place of one that is over.
        let again = ask(&host, "GET", &format!("{token}/v1/notes"), "", "");
        assert!(again.starts_with("HTTP/1.1 502"), "{again}");
        end(0, r#"{"id":"n1","text":"x"}"#, "")
    })
    .await;
    assert_eq!(ran.verdict(), Verdict::Failed);
    let (verdict, said) = ran.said("READ");
    assert!(verdict == Verdict::Failed && said.contains("it answers 500"), "{said}");
    let (verdict, said) = ran.said("LIST");
    assert!(verdict == Verdict::Failed && said.contains("more than once"), "{said}");
    assert_eq!(service.asked().len(), 2, "{:?}", service.asked());
}

/// While a test waits for its next try another one has its turn, and none of the blame.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_lies_fails_the_test_that_ordered_it() {
    let service = Service::start(Character::Sound).await;
    let tests = [
        with(test("READ", "GET", "/v1/notes/n1", 404), json!({ "retry": { "count": 1, "interval_ms": 1000 } })),
        test("LIST", "GET", "/v1/notes", 200),
    ];
    let mut lied = false;
    let ran = room("retry", &service, &tests, move |words, order| {
        let (host, token) = place(order);
        let (path, code) = if words[0] == "get-note" { ("/v1/notes/n1", 1) } else { ("/v1/notes", 0) };
        if code == 1 && !std::mem::replace(&mut lied, true) {
            return end(0, "a lie", "");
        }
        let answer = ask(&host, "GET", &format!("{token}{path}"), "", "");
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        if code == 0 { end(0, body, "") } else { end(1, "", body) }
    })
    .await;
    let (verdict, said) = ran.said("READ");
    assert!(verdict == Verdict::Failed && said.contains("before it asks the service"), "{said}");
    assert_eq!(ran.said("LIST"), (Verdict::Passed, "command list-notes"), "{:#?}", ran.report);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orders_place_is_gone_with_it() {
    let service = Service::start(Character::Sound).await;
    let mut first: Option<(String, String)> = None;
    let tests = [test("A", "GET", "/v1/notes", 200), test("B", "GET", "/v1/notes?limit=3", 200)];
    let ran = room("place", &service, &tests, move |_, order| {
        let (host, token) = place(order);
        let used = first.get_or_insert((host.clone(), token.clone())).clone();
        let answer = ask(&used.0, "GET", &format!("{}/v1/notes", used.1), "", "");
        if used.1 == token {
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        } else {
            assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
        }
        end(0, r#"{"items":[]}"#, "")
    })
    .await;
    assert_eq!(ran.step("A").verdict, Verdict::Passed, "{:#?}", ran.report);
    assert_eq!(ran.step("B").verdict, Verdict::Failed, "{:#?}", ran.report);
    assert_eq!(service.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sandboxes_that_end_flood_or_never_answer_pass_nothing() {
    let service = Service::start(Character::Sound).await;
    let list = &read()[1..];
    type Lies = fn(&[&str], &Value) -> Lie;
    let cases: [(&str, Lies, Verdict); 4] = [
        ("gone", |_, _| Lie::Goes, Verdict::Error),
        ("flood", |_, _| Lie::Says("x".repeat(3 << 20)), Verdict::Error),
        ("garbage", |_, _| Lie::Says("{\"code\":".into()), Verdict::Error),
        ("late", |_, _| Lie::SaysNothing, Verdict::Failed),
    ];
    for (what, lies, verdict) in cases {
        let ran = room(what, &service, list, lies).await;
        assert_eq!(ran.verdict(), verdict, "{what}: {:#?}", ran.report);
        assert_eq!(ran.step("LIST").verdict, verdict, "{what}: {:#?}", ran.report);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_is_ended_says_so() {
    let service = Service::start(Character::Sound).await;
    let plan: Value = serde_json::from_str(&plan_text(&read())).unwrap();
    let judge = Judge::start("ended", &told(&service.url, "notes", &plan, &cli()), &cli(), Path::new("/nowhere"));
    let (port, pid) = (judge.port, Pid::from_child(&judge.child));
    let liar = tokio::task::spawn_blocking(move || {
        sandbox(port, |_, _| {
            kill_process(pid, Signal::TERM).unwrap();
            Lie::SaysNothing
        });
    });
    let ran = tokio::task::spawn_blocking(|| judge.ended()).await.unwrap();
    liar.await.unwrap();
    assert_eq!((ran.verdict(), ran.code), (Verdict::Error, Some(1)), "{:#?}", ran.report);
    assert_eq!(ran.said("end"), (Verdict::Error, "the run was interrupted"));
}

/// It is said before everything that a long report may lose, and refutes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn money_that_does_not_go_back_is_said_first() {
    let service = Service::start(Character::Sound).await;
    let bank = Arc::new(Bank::open().await);
    let funder = Wallet::new(&WALLET.into(), "the test", Arc::new(SystemClock)).unwrap();
    bank.put(funder.address(), 1_000_000);
    let plan: Value = serde_json::from_str(&plan_text(&read()[1..])).unwrap();
    let mut told = told(&service.url, "notes", &plan, &cli());
    told["money"] = json!({ "facilitator": bank.facilitator, "rpc": bank.rpc, "micros": 250_000 });
    let judge = Judge::start("money", &told, &cli(), Path::new("/nowhere"));
    let (port, refusing) = (judge.port, bank.clone());
    let liar = tokio::task::spawn_blocking(move || {
        sandbox(port, |_, order| {
            // From here on, which is after it was filled.
            refusing.fails(&[Fault::Refused]);
            let (host, token) = place(order);
            let answer = ask(&host, "GET", &format!("{token}/v1/notes"), "", "");
            end(0, answer.split_once("\r\n\r\n").map_or("", |(_, body)| body), "")
        });
    });
    let ran = tokio::task::spawn_blocking(|| judge.ended()).await.unwrap();
    liar.await.unwrap();
    let first = &ran.report.as_ref().unwrap().steps[0];
    let said = first.message.as_deref().unwrap_or_default();
    assert!(first.name == "return" && first.advisory && said.contains("0.25 USDC stay in room room-1"), "{:#?}", ran.report);
    assert_eq!((ran.step("fund").verdict, ran.step("LIST").verdict), (Verdict::Passed, Verdict::Passed), "{:#?}", ran.report);
    assert_eq!((ran.verdict(), bank.has(funder.address())), (Verdict::Passed, 750_000));
}
