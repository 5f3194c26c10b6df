//! What a run does with servers that mean well: how many requests at once, over how
//! many connections, in what order, to what address.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use flywheel::{
    runner::http::{Http, Settings},
    suite::{Mode, Outcome},
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, sync::Barrier};

use super::{
    BODY_LIMIT, one, outcomes, plan, plan_in, run, runner,
    seen::{Server, json as answer, request},
    test,
};
use crate::tls::{Authority, Tls};

#[tokio::test]
async fn as_many_requests_as_jobs_are_under_way() {
    const JOBS: usize = 4;
    // Nobody is answered before four ask at once, and a fifth would be seen.
    let (barrier, now, most) = (Arc::new(Barrier::new(JOBS)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let seen = most.clone();
    let server = Server::new(move |mut stream, _| {
        let (barrier, now, most) = (barrier.clone(), now.clone(), seen.clone());
        async move {
            while request(&mut stream).await.is_some() {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                barrier.wait().await;
                now.fetch_sub(1, Ordering::SeqCst);
                let _ = stream.write_all(answer(200, "", "{}").as_bytes()).await;
            }
        }
    })
    .await;
    let mut runner = runner();
    runner.jobs = JOBS;
    runner.patience = Duration::from_secs(20);
    let tests = (0..10 * JOBS).map(|i| test(&format!("T-{i}"), &server.url, &json!({}))).collect();
    let results = run(&runner, &plan(tests)).await;
    assert!(results.iter().all(|result| result.outcome == Outcome::Pass), "{results:?}");
    assert_eq!(most.load(Ordering::SeqCst), JOBS);
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = Server::answering(|_, _| answer(200, "", "{}")).await;
    let mut runner = runner();
    runner.jobs = 1;
    let tests = (0..40).map(|i| test(&format!("T-{i}"), &server.url, &json!({}))).collect();
    run(&runner, &plan(tests)).await;
    assert_eq!((server.seen.connections.load(Ordering::SeqCst), server.requests()), (1, 40));
}

/// A server may close a connection that it keeps: whoever asks over it then has no
/// answer, and asks once more over another.
#[tokio::test]
async fn a_request_over_a_connection_that_was_closed_is_sent_once_more() {
    for mode in [Mode::Ours, Mode::Primsh] {
        for reads in [true, false] {
            let server = Server::new(move |mut stream, seen| async move {
                request(&mut stream).await;
                seen.requests.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(answer(200, "", "{}").as_bytes()).await;
                // It never says so; what it has not read makes that a reset.
                if reads { drop(request(&mut stream).await) } else { drop(stream.peek(&mut [0]).await) }
            })
            .await;
            let mut runner = runner();
            runner.jobs = 1;
            let more = |method: &str| json!({"method": method, "input": {"a": 1}});
            let tests =
                ["GET", "POST", "PUT", "PATCH", "DELETE"].map(|method| test(method, &format!("{}/v1/x", server.url), &more(method)));
            let results = run(&runner, &plan_in(mode, tests.into())).await;
            assert!(results.iter().all(|result| result.outcome == Outcome::Pass), "{mode:?} {reads}: {results:?}");
            assert_eq!(server.requests(), 5, "{mode:?} {reads}: each was answered once");
        }
    }
}

/// What was answered in part was heard; so was what comes over a connection of its own.
#[tokio::test]
async fn a_request_that_was_heard_is_sent_once() {
    let server = Server::new(|mut stream, seen| async move {
        request(&mut stream).await;
        seen.requests.fetch_add(1, Ordering::SeqCst);
    })
    .await;
    let mut runner = runner();
    runner.jobs = 1;
    let results = run(&runner, &plan(vec![test("T-1", &server.url, &json!({})), test("T-2", &server.url, &json!({}))])).await;
    assert_eq!(outcomes(&results), [("T-1", Outcome::Error), ("T-2", Outcome::Error)], "{results:?}");
    assert_eq!(server.requests(), 2);

    // One answer and the beginning of the next over each connection.
    let server = Server::new(|mut stream, seen| async move {
        for said in [answer(200, "", "{}"), "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_owned()] {
            request(&mut stream).await;
            seen.requests.fetch_add(1, Ordering::SeqCst);
            let _ = stream.write_all(said.as_bytes()).await;
        }
    })
    .await;
    let results = run(&runner, &plan(vec![test("T-1", &server.url, &json!({})), test("T-2", &server.url, &json!({}))])).await;
    assert_eq!(outcomes(&results), [("T-1", Outcome::Pass), ("T-2", Outcome::Error)], "{results:?}");
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn what_one_test_made_the_next_ones_use() {
    let server = Server::answering(|head, body| match head.split(' ').next() {
        Some("POST") => answer(201, "location: /things/7\r\n", &json!({"id": "7", "said": body}).to_string()),
        Some("PATCH") => answer(200, "", body),
        Some("DELETE") if head.starts_with("DELETE /things/7 ") => answer(200, "", &json!({"deleted": body}).to_string()),
        _ => answer(404, "", "{}"),
    })
    .await;
    let url = |path: &str| format!("{}/things{path}", server.url);
    let make = json!({
        "method": "POST", "input": {"name": "{{prefix}}-thing"}, "captures": {"id": "$.id"},
        "expected": {"status": 201, "body": {"said": "{\"name\":\"{{prefix}}-thing\"}"}}
    });
    let mut tests = vec![
        // Listed first, and sent last.
        test(
            "T-3",
            &url("/{{id}}"),
            &json!({"method": "DELETE", "input": {"really": true}, "depends_on": ["T-2"], "expected": {"status": 200, "body": {"deleted": "{\"really\":true}"}}}),
        ),
        test(
            "T-2",
            &url("/{{id}}"),
            &json!({"method": "PATCH", "input": {"n": 1}, "depends_on": ["T-1"], "expected": {"status": 200, "body": {"n": 1}}}),
        ),
        test("T-1", &url(""), &make),
    ];
    for test in &mut tests {
        // No seeds are given here.
        let text = test.to_string().replace("{{prefix}}", "p");
        *test = serde_json::from_str(&text).unwrap();
    }
    let results = run(&runner(), &plan(tests)).await;
    assert!(results.iter().all(|result| result.outcome == Outcome::Pass), "{results:?}");
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn a_test_is_tried_again_until_it_holds() {
    let asked = Arc::new(AtomicUsize::new(0));
    let server = Server::answering(move |_, _| {
        let state = if asked.fetch_add(1, Ordering::SeqCst) < 3 { "new" } else { "active" };
        answer(200, "", &json!({"status": state}).to_string())
    })
    .await;
    let more = json!({"expected": {"status": 200, "body": {"status": "active"}}, "retry": {"count": 5, "interval_ms": 1}});
    let (result, _) = one(&runner(), &server.url, &more).await;
    assert_eq!((result.outcome, result.attempts), (Outcome::Pass, 4), "{result:?}");
}

/// It says when to come again, and is believed up to what one of its requests may take.
#[tokio::test]
async fn a_service_that_asks_for_a_pause_is_given_one_within_bounds() {
    for (status, wanted, timeout, least) in [
        (429, "1", 5_000, 1_000),
        (503, "3600", 300, 300),
        (503, "99999999999999999999", 300, 300),
        (429, "soon", 300, 0),
        (200, "3600", 300, 0),
    ] {
        let asked = Arc::new(AtomicUsize::new(0));
        let server = Server::answering(move |_, _| {
            let first = asked.fetch_add(1, Ordering::SeqCst) == 0;
            let head = if first { format!("retry-after: {wanted}\r\n") } else { String::new() };
            answer(if first { status } else { 200 }, &head, &json!({ "state": if first { "new" } else { "active" } }).to_string())
        })
        .await;
        let retry = json!({ "count": 3, "interval_ms": 1 });
        let more = json!({ "expected": { "status": 200, "body": { "state": "active" } }, "retry": retry, "timeout_ms": timeout });
        let began = Instant::now();
        let (result, _) = one(&runner(), &server.url, &more).await;
        assert_eq!((result.outcome, result.attempts), (Outcome::Pass, 2), "{result:?}");
        let took = began.elapsed();
        assert!(took >= Duration::from_millis(least) && took < Duration::from_secs(20), "{status} {wanted}: {took:?}");
    }
}

#[tokio::test]
async fn a_service_is_found_elsewhere_under_its_name() {
    let server = Server::answering(|head, _| {
        let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        answer(200, "", &json!({"host": host, "line": head.lines().next()}).to_string())
    })
    .await;
    let mut runner = runner();
    let based = |base: &str, ca: Option<&Authority>| {
        let bases = [("things.sh".to_owned(), base.parse().unwrap())].into();
        Http::new(Settings { bases, ca: ca.map(|ca| ca.pem.clone()), body_limit: BODY_LIMIT, ..Settings::default() })
    };
    let expected =
        |host: &str, path: &str| json!({"expected": {"status": 200, "body": {"host": host, "line": format!("GET {path} HTTP/1.1")}}});
    let url = "https://things.prim.sh/v1/all?x=1";
    let port = server.url.rsplit(':').next().unwrap();
    runner.http = based(&server.url, None);
    assert_eq!(one(&runner, url, &expected("things.prim.sh", "/v1/all?x=1")).await.0.outcome, Outcome::Pass);
    runner.http = based(&format!("http://localhost:{port}/below/"), None);
    assert_eq!(one(&runner, url, &expected("things.prim.sh", "/below/v1/all?x=1")).await.0.outcome, Outcome::Pass);

    // By an address and over TLS: name and certificate are the service's own.
    let authority = Authority::new("ours");
    let listener = Tls::listen(&authority, "things.prim.sh", None).await;
    let base = format!("https://{}", axum::serve::Listener::local_addr(&listener).unwrap());
    let router = axum::Router::new().route(
        "/v1/all",
        axum::routing::get(|headers: axum::http::HeaderMap| async move {
            axum::Json(json!({"host": headers["host"].to_str().unwrap_or_default(), "line": "GET /v1/all?x=1 HTTP/1.1"}))
        }),
    );
    tokio::spawn(async { axum::serve(listener, router).await });
    runner.http = based(&base, Some(&authority));
    runner.patience = Duration::from_secs(10);
    let (result, _) = one(&runner, url, &expected("things.prim.sh", "/v1/all?x=1")).await;
    assert_eq!(result.outcome, Outcome::Pass, "{result:?}");
}

#[tokio::test]
async fn prim_shs_way_follows_redirects_and_drops_bodies() {
    let server = Server::answering(|head, body| match head.lines().next().unwrap() {
        "GET /old HTTP/1.1" => answer(302, "location: /new\r\n", ""),
        line => answer(200, "", &json!({"line": line, "body": body}).to_string()),
    })
    .await;
    let more = |method: &str, line: &str| json!({"method": method, "input": {"a": 1}, "expected": {"status": 200, "body": {"line": line, "body": ""}}});
    let tests = vec![
        test("T-1", &format!("{}/old", server.url), &more("GET", "GET /new HTTP/1.1")),
        test("T-2", &format!("{}/x", server.url), &more("PATCH", "PATCH /x HTTP/1.1")),
        test("T-3", &format!("{}/x", server.url), &more("DELETE", "DELETE /x HTTP/1.1")),
    ];
    let results = run(&runner(), &plan_in(Mode::Primsh, tests)).await;
    assert_eq!(outcomes(&results), ["T-1", "T-2", "T-3"].map(|id| (id, Outcome::Pass)), "{results:?}");
}

/// As fetch does: what leads to no URL is no answer, what leads nowhere is one.
#[tokio::test]
async fn prim_shs_way_takes_redirects_as_fetch_does() {
    let server = Server::answering(|head, _| match head.split(' ').nth(1).unwrap() {
        "/unread" => answer(302, "location: http://[/\r\n", "{}"),
        "/empty" => answer(302, "location: \r\n", "{}"),
        "/none" => answer(302, "", "{}"),
        _ => "HTTP/1.1 101 X\r\n\r\n".into(),
    })
    .await;
    let expects = |status: u16| json!({"expected": {"status": status}});
    let tests = [("unread", 302), ("empty", 302), ("none", 302), ("switches", 101)];
    let tests = tests.map(|(path, status)| test(path, &format!("{}/{path}", server.url), &expects(status)));
    let results = run(&runner(), &plan_in(Mode::Primsh, tests.into())).await;
    let came: Vec<_> = results.iter().map(|result| (result.id.as_str(), result.outcome, result.actual_status)).collect();
    let expected = [
        ("unread", Outcome::Fail, None),
        ("empty", Outcome::Pass, Some(302)),
        ("none", Outcome::Pass, Some(302)),
        ("switches", Outcome::Fail, None),
    ];
    assert_eq!(came, expected, "{results:?}");
}

#[tokio::test]
async fn each_request_counts_for_the_rate_of_its_host() {
    let server = Server::answering(|head, _| match head.split(' ').nth(1).unwrap() {
        "/old" => answer(302, "location: /new\r\n", ""),
        _ => answer(200, "", "{}"),
    })
    .await;
    let mut runner = runner();
    let settings = |rate| Settings { body_limit: BODY_LIMIT, rate, ..Settings::default() };
    runner.http = Http::new(settings(Some(5.0)));
    // The time that a request has is not for waiting until its turn.
    runner.patience = Duration::from_millis(250);
    let tests = (0..2).map(|i| test(&format!("T-{i}"), &format!("{}/old", server.url), &json!({}))).collect();
    let began = std::time::Instant::now();
    let results = run(&runner, &plan_in(Mode::Primsh, tests)).await;
    assert!(results.iter().all(|result| result.outcome == Outcome::Pass), "{results:?}");
    assert_eq!(server.requests(), 4);
    assert!(began.elapsed() >= Duration::from_millis(600), "four requests, a fifth of a second apart: {:?}", began.elapsed());
}

#[tokio::test]
async fn a_broken_off_run_says_what_was_done() {
    let server = Server::answering(|_, _| answer(200, "", "{}")).await;
    let silent = Server::new(|stream, _| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let mut runner = runner();
    runner.patience = Duration::from_secs(600);
    let tests: Vec<Value> = vec![
        test("T-1", &server.url, &json!({})),
        test("T-2", &silent.url, &json!({"depends_on": ["T-1"]})),
        test("T-3", &server.url, &json!({"depends_on": ["T-2"]})),
    ];
    let plan = plan(tests);
    let mut machine =
        flywheel::suite::Run::new(&plan, None, std::collections::BTreeMap::new(), flywheel::suite::Secrets::default()).unwrap();
    let asked = silent.seen.clone();
    let interrupted = async move {
        while asked.connections.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        "the run was interrupted".to_owned()
    };
    let mut came = super::Came::default();
    runner.run(&plan, &mut machine, interrupted, &mut came).await;
    let results = machine.into_results();
    assert_eq!(outcomes(&results), [("T-1", Outcome::Pass), ("T-2", Outcome::Error), ("T-3", Outcome::Blocked)], "{results:?}");
    assert_eq!(came.0, ["T-1", "T-2", "T-3"]);
}

/// Servers may refuse a request of a method that has a body where nothing says that there
/// is none.
#[tokio::test]
async fn what_has_no_body_says_so_unless_it_only_reads() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = seen.clone();
    let server = Server::answering(move |head, _| {
        let lengths = head.lines().filter_map(|line| line.split_once(": ")).filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        let lengths: Vec<_> = lengths.map(|(_, length)| length.to_owned()).collect();
        let line = head.lines().next().unwrap().trim_end_matches(" HTTP/1.1");
        kept.lock().unwrap().push(format!("{line} {}", lengths.join(",")));
        match line.split(' ').nth(1).unwrap() {
            "/see" => answer(303, "location: /seen\r\n", ""),
            "/keep" => answer(307, "location: /kept\r\n", ""),
            _ => answer(200, "", ""),
        }
    })
    .await;
    let sends = |method: &str, path: &str, more: Value| {
        let mut test = test(&format!("{method} {path}"), &format!("{}{path}", server.url), &more);
        test["method"] = method.into();
        test
    };
    let mut runner = runner();
    runner.jobs = 1;
    let none = json!({});
    for mode in [Mode::Ours, Mode::Primsh] {
        let mut tests: Vec<_> =
            ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].map(|method| sends(method, "/x", none.clone())).into();
        tests.push(sends("POST", "/full", json!({"input": {"a": 1}})));
        let mut expected =
            vec!["GET /x ", "HEAD /x ", "POST /x 0", "PUT /x 0", "PATCH /x 0", "DELETE /x 0", "OPTIONS /x 0", "POST /full 7"];
        if mode == Mode::Ours {
            tests.push(sends("POST", "/own", json!({"headers": {"Content-Length": "0"}})));
            expected.push("POST /own 0");
        } else {
            tests.extend([sends("POST", "/see", none.clone()), sends("POST", "/keep", none.clone())]);
            expected.extend(["POST /see 0", "GET /seen ", "POST /keep 0", "POST /kept 0"]);
        }
        let results = run(&runner, &plan_in(mode, tests)).await;
        assert!(results.iter().all(|result| result.outcome == Outcome::Pass), "{mode:?}: {results:?}");
        let mut came = std::mem::take(&mut *seen.lock().unwrap());
        came.sort();
        expected.sort_unstable();
        assert_eq!(came, expected, "{mode:?}");
    }
}

/// As far as Bun's fetch goes, with which prim.sh's runner sends.
#[tokio::test]
async fn prim_shs_way_follows_so_many_redirects_and_no_more() {
    let server = Server::answering(|head, _| {
        let left: usize = head.split(' ').nth(1).unwrap().trim_start_matches('/').parse().unwrap();
        let on = left.checked_sub(1).map(|left| answer(302, &format!("location: /{left}\r\n"), ""));
        on.unwrap_or_else(|| answer(200, "", "{}"))
    })
    .await;
    for (redirects, outcome, requests) in [(126, Outcome::Pass, 127), (127, Outcome::Fail, 127)] {
        let before = server.requests();
        let results = run(&runner(), &plan_in(Mode::Primsh, vec![test("T-1", &format!("{}/{redirects}", server.url), &json!({}))])).await;
        assert_eq!((results[0].outcome, server.requests() - before), (outcome, requests), "{results:?}");
        assert!(outcome == Outcome::Pass || results[0].note.as_ref().unwrap().contains("more than 126 redirects"), "{results:?}");
    }
}
