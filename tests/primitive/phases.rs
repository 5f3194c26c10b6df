//! The controller's `/phases`, and `flywheel gate run --phases` that asks it.

use std::future::pending;

use axum::{body::Body, http::Request};
use flywheel::controller::health;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tower::ServiceExt;

use super::{OWN, document, live::live};
use crate::runner::{
    commands::{Folder, ran},
    seen, test, text,
};

#[tokio::test]
async fn phases_are_told_by_id_and_name_and_nothing_else_is() {
    let run = live(json!({})).await;
    let ask = || async {
        let router = health::router(run.cx.clone());
        let answer = router.oneshot(Request::get("/phases").body(Body::empty()).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let text = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice::<Value>(&text).unwrap_or_default())
    };
    run.api.take();
    let all = json!({ "notes": "Live", "notes.sh": "Live" });
    for _ in 0..3 {
        assert_eq!(ask().await, (200, all.clone()));
    }
    assert_eq!(run.api.take().len(), 1, "who asks often asks the API server once");
}

/// The same failure is one for what is Live, and a warning for what is not.
#[tokio::test]
async fn a_run_takes_phases_from_the_controllers_own_server() {
    let run = live(json!({})).await;
    let mut drafts = run.api.object(&format!("{OWN}/primitives/notes")).unwrap();
    (drafts["metadata"]["name"], drafts["spec"]["document"]) = (json!("drafts"), document("drafts"));
    drafts["status"]["phase"] = json!("Testing");
    run.api.put_object(&format!("{OWN}/primitives/drafts"), drafts);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/phases", listener.local_addr().unwrap());
    let serving = tokio::spawn(health::serve(listener, run.cx.clone(), pending()));
    let folder = Folder::new("controllers-phases");
    let service = seen::Server::answering(|_, _| seen::json(200, "", "{}")).await;
    let asked = async |name: &str| {
        let good = test("T-1", &service.url, &json!({ "service": name }));
        let bad = test("T-2", &service.url, &json!({ "service": name, "expected": { "status": 404 } }));
        let plan = folder.write("plan.json", &text(vec![good, bad]));
        ran(&["run", &plan, "--ci", "--phases", &address], &folder).await
    };
    for (name, code) in [("notes.sh", 1), ("notes", 1), ("drafts.sh", 0), ("drafts", 0), ("nobodys.sh", 1)] {
        let (exit, said) = asked(name).await;
        assert_eq!(exit, code, "{name}: {said}");
    }
    serving.abort();
}
