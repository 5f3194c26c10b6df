//! Servers and plans that want to cost time, memory or another host its peace. Each
//! comes to one clear result, soon.

use std::{
    io::Write as _,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use axum::{Router, routing::get, serve::Listener as _};
use flate2::{Compression, write::GzEncoder};
use flywheel::{
    runner::http::{Http, Settings},
    suite::{Mode, Outcome},
};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{
    BODY_LIMIT, one, outcomes, plan, plan_in, run, runner,
    seen::{Seen, Server, json as answer, pour, request},
    test,
};
use crate::{
    address::reserved,
    tls::{Authority, Tls},
};

/// What a hostile server does once it was asked.
#[derive(Clone, Copy, Debug)]
enum Does {
    Silence,
    EndlessChunks,
    EndlessBody,
    Gigabyte,
    SlowHead,
    SlowBody,
    ManyHeaders,
    LongHeader,
    Reset,
    ShortBody,
    NoHttp,
    Nothing,
    DeepJson,
    NotText,
    Continues,
}

const GIGABYTE: usize = 1 << 30;

async fn does(what: Does, mut stream: TcpStream, seen: Arc<Seen>) {
    let piece = vec![b'x'; 16 * 1024];
    request(&mut stream).await;
    let head = |more: &str| format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{more}\r\n");
    match what {
        Does::Silence => std::future::pending().await,
        Does::EndlessChunks => {
            let _ = stream.write_all(head("transfer-encoding: chunked\r\n").as_bytes()).await;
            let chunk = [b"4000\r\n", &piece[..], b"\r\n"].concat();
            pour(&mut stream, &seen, &chunk, usize::MAX).await;
        }
        Does::EndlessBody => {
            let _ = stream.write_all(head("").as_bytes()).await;
            pour(&mut stream, &seen, &piece, usize::MAX).await;
        }
        Does::Gigabyte => {
            let _ = stream.write_all(head(&format!("content-length: {GIGABYTE}\r\n")).as_bytes()).await;
            pour(&mut stream, &seen, &piece, GIGABYTE).await;
        }
        // A byte now and then: nothing that is read byte by byte ever times out by itself.
        Does::SlowHead | Does::SlowBody => {
            let begin = if matches!(what, Does::SlowHead) { "HTTP/1.1 200 OK\r\nx-".into() } else { head("content-length: 9999\r\n") };
            let _ = stream.write_all(begin.as_bytes()).await;
            let mut ticks = tokio::time::interval(Duration::from_millis(5));
            loop {
                ticks.tick().await;
                if stream.write_all(b"x").await.is_err() {
                    return;
                }
            }
        }
        Does::ManyHeaders => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            pour(&mut stream, &seen, b"x-bomb: tick\r\n", usize::MAX).await;
        }
        Does::LongHeader => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx-bomb: ").await;
            pour(&mut stream, &seen, &piece, usize::MAX).await;
        }
        Does::Reset => {
            let _ = stream.write_all(head("content-length: 100\r\n").as_bytes()).await;
            let _ = stream.write_all(b"{\"a\":").await;
            stream.set_zero_linger().unwrap();
        }
        Does::ShortBody => {
            let _ = stream.write_all(head("content-length: 100\r\n").as_bytes()).await;
            let _ = stream.write_all(b"{\"a\":1}").await;
        }
        Does::NoHttp => _ = stream.write_all(b"220 mail.example ESMTP\r\n\r\n").await,
        Does::Nothing => {}
        Does::DeepJson => {
            let deep = "[".repeat(50_000);
            let _ = stream.write_all(answer(200, "", &deep).as_bytes()).await;
        }
        Does::NotText => {
            let _ = stream.write_all(head("content-length: 4\r\n").as_bytes()).await;
            let _ = stream.write_all(&[0xff, 0xfe, 0x00, 0x80]).await;
        }
        Does::Continues => {
            while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_ok() {
                seen.written.fetch_add(25, Ordering::SeqCst);
            }
        }
    }
}

#[tokio::test]
async fn servers_come_to_one_clear_result_each() {
    let patient = runner();
    let mut runner = runner();
    runner.patience = Duration::from_millis(400);
    let cases = [
        (Does::Silence, Outcome::Error, "no answer within 400 ms"),
        (Does::EndlessChunks, Outcome::Error, "longer than 65536 bytes"),
        (Does::EndlessBody, Outcome::Error, "longer than 65536 bytes"),
        (Does::Gigabyte, Outcome::Error, "longer than 65536 bytes"),
        (Does::SlowHead, Outcome::Error, "no answer within 400 ms"),
        (Does::SlowBody, Outcome::Error, "it answers 200, and its body ends too early: it had no end within 400 ms"),
        (Does::ManyHeaders, Outcome::Error, "no answer"),
        (Does::LongHeader, Outcome::Error, "no answer"),
        (Does::Reset, Outcome::Error, "it answers 200, and its body ends too early: it broke off after 5 bytes"),
        (Does::ShortBody, Outcome::Error, "it answers 200, and its body ends too early: it broke off after 7 bytes"),
        (Does::NoHttp, Outcome::Error, "no answer: "),
        (Does::Nothing, Outcome::Error, "no answer: "),
        (Does::DeepJson, Outcome::Fail, ""),
        (Does::NotText, Outcome::Fail, ""),
        (Does::Continues, Outcome::Error, "no answer"),
    ];
    for (what, outcome, note) in cases {
        let server = Server::new(move |stream, seen| does(what, stream, seen)).await;
        let expected = json!({"expected": {"status": 200, "body": {"a": "number"}}});
        let slow = matches!(what, Does::Silence | Does::SlowHead | Does::SlowBody | Does::Continues);
        let (result, took) = one(if slow { &runner } else { &patient }, &server.url, &expected).await;
        assert_eq!(result.outcome, outcome, "{what:?}: {result:?}");
        // What was received is kept.
        let begun = note.starts_with("it answers") || note.starts_with("longer") || outcome == Outcome::Fail;
        assert_eq!(result.actual_status, begun.then_some(200), "{what:?}: {result:?}");
        let said = result.note.unwrap();
        assert!(said.contains(note) && said.len() < 1000, "{what:?}: {said}");
        // Generous: the machine may be busy.
        assert!(took < Duration::from_secs(10), "{what:?} took {took:?}");
        // What both sides' buffers take, and a few answers more.
        let written = server.seen.written.load(Ordering::SeqCst);
        assert!(written < 64 << 20, "{what:?}: {written} bytes were taken of it");
    }
}

#[tokio::test]
async fn a_long_body_does_not_hide_a_status() {
    let server = Server::new(|stream, seen| does(Does::Gigabyte, stream, seen)).await;
    let (result, _) = one(&runner(), &server.url, &json!({"expected": {"status": 404}})).await;
    assert_eq!((result.outcome, result.actual_status), (Outcome::Fail, Some(200)), "{result:?}");
}

#[tokio::test]
async fn a_body_that_breaks_off_does_not_hide_a_status_either() {
    for mode in [Mode::Ours, Mode::Primsh] {
        let server = Server::new(|stream, seen| does(Does::ShortBody, stream, seen)).await;
        let expects = |status: u16, body: bool| {
            let body = if body { json!({"a": "number"}) } else { json!(null) };
            json!({"expected": {"status": status, "body": body}})
        };
        let tests = vec![
            test("T-1", &server.url, &expects(404, false)),
            test("T-2", &server.url, &expects(200, true)),
            test("T-3", &server.url, &expects(200, false)),
        ];
        let results = run(&runner(), &plan_in(mode, tests)).await;
        let others = if mode == Mode::Ours { [Outcome::Error, Outcome::Error] } else { [Outcome::Fail, Outcome::Pass] };
        assert_eq!(outcomes(&results), [("T-1", Outcome::Fail), ("T-2", others[0]), ("T-3", others[1])], "{results:?}");
        assert!(results.iter().all(|result| result.actual_status == Some(200)), "{results:?}");
    }
}

#[tokio::test]
async fn a_compressed_body_is_read_within_the_same_limit() {
    let packed = |body: &[u8]| {
        let mut made = GzEncoder::new(Vec::new(), Compression::best());
        made.write_all(body).unwrap();
        made.finish().unwrap()
    };
    let bomb = packed(&vec![b' '; GIGABYTE / 8]);
    assert!(bomb.len() > BODY_LIMIT, "the first part of it alone is read");
    let small = packed(&vec![b' '; 40 * BODY_LIMIT]);
    assert!(small.len() < BODY_LIMIT);
    for (body, outcome, note) in [
        (packed(br#"{"a":1}"#), Outcome::Pass, ""),
        (small, Outcome::Error, "longer than 65536 bytes"),
        (bomb, Outcome::Error, "longer than 65536 bytes"),
        (b"not packed".to_vec(), Outcome::Error, "gzip can't be decoded"),
    ] {
        let server = Server::new(move |mut stream, _| {
            let body = body.clone();
            async move {
                request(&mut stream).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                // Whoever reads no further may close.
                let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
            }
        })
        .await;
        let (result, _) = one(&runner(), &server.url, &json!({"expected": {"status": 200, "body": {"a": 1}}})).await;
        assert_eq!((result.outcome, result.actual_status), (outcome, Some(200)), "{result:?}");
        assert!(result.note.unwrap_or_default().contains(note));
    }
}

#[tokio::test]
async fn dead_hosts_are_told_of() {
    let free = reserved();
    let (result, _) = one(&runner(), &format!("http://{free}/"), &json!({})).await;
    assert_eq!((result.outcome, result.actual_status), (Outcome::Error, None));
    assert!(result.note.unwrap().contains("refused"));
}

#[tokio::test]
async fn certificates_are_checked() {
    let authority = Authority::new("ours");
    let listener = Tls::listen(&authority, "localhost", None).await;
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    tokio::spawn(async { axum::serve(listener, Router::new().route("/", get(|| async { "ok" }))).await });
    let mut runner = runner();
    runner.patience = Duration::from_secs(10);
    let (result, _) = one(&runner, &url, &json!({})).await;
    let note = result.note.unwrap();
    assert!(result.outcome == Outcome::Error && note.contains("certificate"), "{note}");

    runner.http = Http::new(Settings { ca: Some(authority.pem.clone()), body_limit: BODY_LIMIT, ..Settings::default() });
    let (result, _) = one(&runner, &url, &json!({})).await;
    assert_eq!(result.outcome, Outcome::Pass, "{result:?}");
    // The same place under a name that its certificate does not have.
    let (result, _) = one(&runner, &url.replace("localhost", "127.0.0.1"), &json!({})).await;
    assert_eq!(result.outcome, Outcome::Error, "{result:?}");

    runner.http = Http::new(Settings { ca: Some("none".into()), body_limit: BODY_LIMIT, ..Settings::default() });
    let (result, _) = one(&runner, &url, &json!({})).await;
    assert!(result.note.unwrap().contains("no certificates in PEM"));

    let plain = Server::answering(|_, _| answer(200, "", "{}")).await;
    let (result, _) = one(&runner, &plain.url.replace("http:", "https:"), &json!({})).await;
    assert_eq!(result.outcome, Outcome::Error, "{result:?}");
}

#[tokio::test]
async fn redirects_lead_nowhere() {
    let other = Server::answering(|_, _| answer(200, "", "{}")).await;
    let to = other.url.clone();
    let server = Server::answering(move |_, _| answer(307, &format!("location: {to}/\r\n"), "{}")).await;
    for more in [json!({}), json!({"expected": {"status": 307}})] {
        let (result, _) = one(&runner(), &server.url, &more).await;
        let outcome = if more == json!({}) { Outcome::Fail } else { Outcome::Pass };
        assert_eq!((result.outcome, result.actual_status), (outcome, Some(307)), "{result:?}");
    }
    assert_eq!(other.requests(), 0);
}

#[tokio::test]
async fn an_answer_can_not_choose_the_next_host() {
    let other = Server::answering(|_, _| answer(200, "", "{}")).await;
    let bait = other.url.strip_prefix("http://").unwrap().to_owned();
    let server = Server::answering(move |_, _| answer(200, "", &json!({"host": bait, "path": format!("@{bait}/")}).to_string())).await;
    let captures = json!({"captures": {"host": "$.host", "path": "$.path"}});
    let needs = json!({"depends_on": ["T-1"]});
    let tests = vec![
        test("T-1", &server.url, &captures),
        test("T-2", "http://{{host}}/", &needs),
        test("T-3", &format!("{}{{{{path}}}}", server.url), &needs),
    ];
    let results = run(&runner(), &plan(tests)).await;
    assert_eq!(results[0].outcome, Outcome::Pass);
    assert!(results[1..].iter().all(|result| result.outcome != Outcome::Pass), "{results:?}");
    assert!(results[1].note.as_ref().unwrap().contains("host would be"), "{results:?}");
    assert_eq!(other.requests(), 0);
}

#[tokio::test]
async fn a_location_leads_on_where_it_stays() {
    let other = Server::answering(|_, _| answer(200, "", "{}")).await;
    let elsewhere = other.url.clone();
    let server = Server::answering(move |head, _| match head.split(' ').nth(1).unwrap() {
        "/make" => answer(201, "location: /things/7?full=1\r\n", "{}"),
        "/leave" => answer(201, &format!("location: {elsewhere}/things/7\r\n"), "{}"),
        path => answer(200, "", &json!({"path": path}).to_string()),
    })
    .await;
    let makes = |path: &str, name: &str| {
        (format!("{}{path}", server.url), json!({"expected": {"status": 201}, "captures": {name: {"header": "location"}}}))
    };
    let ((make, more), (leave, other_more)) = (makes("/make", "near"), makes("/leave", "far"));
    let reads = |path: &str| json!({"expected": {"status": 200, "body": {"path": path}}});
    let tests = vec![
        test("T-1", &make, &more),
        test("T-2", &leave, &other_more),
        test("T-3", &format!("{}{{{{near}}}}", server.url), &reads("/things/7%3Ffull=1")),
        test("T-4", &format!("{}{{{{far}}}}", server.url), &json!({})),
        test("T-5", "{{far}}", &json!({})),
    ];
    let results = run(&runner(), &plan(tests)).await;
    let expected = [Outcome::Pass, Outcome::Pass, Outcome::Pass, Outcome::Error, Outcome::Error];
    assert_eq!(results.iter().map(|result| result.outcome).collect::<Vec<_>>(), expected, "{results:?}");
    for result in &results[3..] {
        let note = result.note.as_ref().unwrap();
        assert!(note.contains("{{far}}") && note.contains(&other.url) && note.contains("--var"), "{note}");
    }
    assert_eq!(other.requests(), 0);
}

#[tokio::test]
async fn prim_shs_way_takes_a_host_from_an_answer_where_the_plan_asks_it_anyway() {
    let other = Server::answering(|_, _| answer(200, "", "{}")).await;
    let (own, elsewhere) = (Arc::new(std::sync::OnceLock::new()), other.url.clone());
    let named: Arc<std::sync::OnceLock<String>> = own.clone();
    let server = Server::answering(move |_, _| answer(200, "", &json!({"own": named.get(), "other": elsewhere}).to_string())).await;
    own.set(server.url.clone()).unwrap();
    let captures = json!({"captures": {"own": "$.own", "other": "$.other"}});
    let tests = vec![
        test("T-1", &format!("{}/v1/x", server.url), &captures),
        test("T-2", "{{own}}/v1/y", &json!({})),
        test("T-3", "{{other}}/v1/y", &json!({})),
    ];
    let results = run(&runner(), &plan_in(Mode::Primsh, tests)).await;
    let expected = [Outcome::Pass, Outcome::Pass, Outcome::Fail];
    assert_eq!(results.iter().map(|result| result.outcome).collect::<Vec<_>>(), expected, "{results:?}");
    assert!(results[2].note.as_ref().unwrap().contains("another host than the plan asks"), "{results:?}");
    assert_eq!(other.requests(), 0);
}

#[tokio::test]
async fn a_plan_of_ten_thousand_tests_ends_soon() {
    let server = Server::answering(|_, _| answer(200, "", "{}")).await;
    let free = reserved();
    for (url, outcome) in [(server.url.clone(), Outcome::Pass), (format!("http://{free}/"), Outcome::Error)] {
        // Chains of ten, whose tests are blocked where the first has no answer.
        let needs = |i: usize| if i.is_multiple_of(10) { json!([]) } else { json!([format!("T-{}", i - 1)]) };
        let tests = (0..10_000).map(|i| test(&format!("T-{i}"), &url, &json!({"depends_on": needs(i)}))).collect();
        let plan = plan(tests);
        let began = Instant::now();
        let results = run(&runner(), &plan).await;
        assert_eq!(results.len(), 10_000);
        assert_eq!(
            results.iter().filter(|result| result.outcome == outcome).count(),
            if outcome == Outcome::Pass { 10_000 } else { 1_000 }
        );
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    }
}

#[tokio::test]
async fn the_deadline_ends_a_run() {
    let server = Server::new(|stream, seen| does(Does::Silence, stream, seen)).await;
    let mut runner = runner();
    runner.patience = Duration::from_secs(600);
    runner.deadline = Some(Duration::from_millis(300));
    let tests = vec![test("T-1", &server.url, &json!({})), test("T-2", &server.url, &json!({"depends_on": ["T-1"]}))];
    let began = Instant::now();
    let results = run(&runner, &plan(tests)).await;
    assert_eq!(outcomes(&results), [("T-1", Outcome::Error), ("T-2", Outcome::Blocked)], "{results:?}");
    assert!(results[0].note.as_ref().unwrap().contains("deadline"), "{results:?}");
    assert!((200..10_000).contains(&results[0].duration_ms) && results[1].duration_ms == 0, "it was waited for: {results:?}");
    assert!(began.elapsed() < Duration::from_secs(10));
}
