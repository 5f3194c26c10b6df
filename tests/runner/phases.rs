//! Phases from a server: those that a file would have, and nothing sent where they are
//! none.

use std::sync::atomic::Ordering;

use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::{
    commands::{Folder, ran},
    seen::{Server, json as answer, pour, request},
    test, text,
};
use crate::address::reserved;

/// One that fails, for a service whose phase is a server's.
async fn failing(folder: &Folder) -> (Server, String) {
    let service = Server::answering(|_, _| answer(200, "", "{}")).await;
    let plan = folder.write(
        "plan.json",
        &text(vec![test("T-1", &service.url, &json!({"expected": {"status": 404}})), test("T-2", &service.url, &json!({}))]),
    );
    (service, plan)
}

#[tokio::test]
async fn what_has_to_pass_is_what_the_server_calls_live() {
    let folder = Folder::new("phases");
    let (service, plan) = failing(&folder).await;
    for (said, code) in
        [(r#"{"things.sh": "Live"}"#, 1), (r#"{"things": "live", "other": "Testing"}"#, 1), (r#"{"things.sh": "Testing"}"#, 0), ("{}", 1)]
    {
        let server = Server::answering(move |_, _| answer(200, "", said)).await;
        let (exit, printed) = ran(&["run", &plan, "--ci", "--phases", &format!("{}/phases", server.url)], &folder).await;
        assert_eq!((exit, server.requests()), (code, 1), "{said}: {printed}");
    }
    assert!(service.requests() > 0);
}

#[tokio::test]
async fn nothing_is_sent_where_a_server_says_no_phases() {
    let folder = Folder::new("no-phases");
    let (service, plan) = failing(&folder).await;
    let long = format!(r#"{{"things.sh": "{}"}}"#, "x".repeat(1 << 20));
    for (what, said, named) in [
        ("no such page", answer(404, "", "{}"), "it answers 404"),
        ("it has no answer yet", answer(503, "", "the API server does not answer: ask again"), "it answers 503"),
        ("it is elsewhere", answer(302, "location: /else\r\n", r#"{"things.sh": "testing"}"#), "it answers 302"),
        ("a page for people", answer(200, "", "<p>Sign in</p>"), "no JSON"),
        ("YAML", answer(200, "", "things.sh: testing\n"), "no JSON"),
        ("two of them", answer(200, "", r#"{"things.sh": "testing"}{}"#), "no JSON"),
        ("a list", answer(200, "", r#"["things.sh"]"#), "it must be a mapping from services to phases"),
        ("no texts", answer(200, "", r#"{"things.sh": {"phase": "testing"}}"#), "things.sh: the phase must be a text"),
        ("no text at all", answer(200, "", "").replace("length: 0", "length: 2") + "\u{1}\u{2}", "no JSON"),
        ("nothing", answer(200, "", ""), "no JSON"),
        ("too much", answer(200, "", &long), "longer than 1048576 bytes"),
        ("half of it", answer(200, "", r#"{"things.sh": "testing"}"#).replace("length: ", "length: 9"), "broke off"),
    ] {
        let server = Server::new(move |mut stream, _| {
            let said = said.clone();
            async move {
                if request(&mut stream).await.is_some() {
                    let _ = stream.write_all(said.as_bytes()).await;
                }
            }
        })
        .await;
        let (exit, printed) = ran(&["run", &plan, "--ci", "--phases", &format!("{}/phases?key=hunter2", server.url)], &folder).await;
        assert_eq!(exit, 3, "{what}: {printed}");
        let place = format!("no phases from {}/phases: ", server.url);
        assert!(printed.contains(named) && printed.contains(&place) && !printed.contains("hunter2"), "{what}: {printed}");
        assert!(printed.len() < 1000, "{what}: {printed:.2000}");
    }
    let dead = format!("http://{}/phases", reserved());
    for (address, named) in [
        (dead.as_str(), "no answer"),
        ("http://me:hunter2@127.0.0.1:1/phases", "a user in it"),
        ("http://", "it is no address"),
        ("HTTPS://[", "it is no address"),
        ("ftp://127.0.0.1/phases", "No such file"),
    ] {
        let (exit, printed) = ran(&["run", &plan, "--ci", "--phases", address], &folder).await;
        assert!(exit == 3 && printed.contains(named) && !printed.contains("hunter2"), "{address}: {exit} {printed}");
    }
    assert_eq!(service.requests(), 0, "nothing was sent");
}

/// Neither one that never stops nor one that never begins is waited for.
#[tokio::test]
async fn a_server_that_floods_or_hangs_is_given_up() {
    let folder = Folder::new("slow-phases");
    let (service, plan) = failing(&folder).await;
    let flood = Server::new(|mut stream, seen| async move {
        request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 X\r\n\r\n{").await;
        pour(&mut stream, &seen, &[b' '; 65536], 1 << 30).await;
    })
    .await;
    let silent = Server::new(|mut stream, _| async move {
        request(&mut stream).await;
        // It has no answer, and stays.
        std::future::pending::<()>().await;
    })
    .await;
    let asked = |server: &Server| format!("{}/phases", server.url);
    let (flood_at, silent_at) = (asked(&flood), asked(&silent));
    let (flood_args, silent_args) = (["run", &plan, "--ci", "--phases", &flood_at], ["run", &plan, "--ci", "--phases", &silent_at]);
    let (flooded, hung) = tokio::join!(ran(&flood_args, &folder), ran(&silent_args, &folder));
    assert!(flooded.0 == 3 && flooded.1.contains("longer than"), "{flooded:?}");
    assert!(flood.seen.written.load(Ordering::SeqCst) < 64 << 20, "most of it is not read");
    assert!(hung.0 == 3 && hung.1.contains("no answer within 10000 ms"), "{hung:?}");
    assert_eq!(service.requests(), 0, "nothing was sent");
}
