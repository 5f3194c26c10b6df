//! The controller's two HTTP servers, without sockets.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
};
use flywheel::{
    controller::{context::KINDS, health, server, webhook},
    prim, suite,
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tower::ServiceExt;

use crate::{driver::Run, world};

/// What a forge puts into its signature header.
pub fn sign(secret: &str, body: &[u8]) -> String {
    let tag = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body).finalize().into_bytes();
    tag.iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

async fn ask(router: Router, request: Request<Body>) -> (StatusCode, String) {
    let response = router.oneshot(request).await.unwrap();
    let code = response.status();
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (code, String::from_utf8(body.to_vec()).unwrap())
}

/// A delivery for `path`, signed with `secret`.
fn delivery(path: &str, body: Vec<u8>, signature: &str) -> Request<Body> {
    Request::post(path).header("x-hub-signature-256", signature).body(Body::from(body)).unwrap()
}

fn deliveries(run: &Run, result: &str) -> bool {
    run.cx.metrics.encode().unwrap().contains(&format!("flywheel_webhook_deliveries_total{{result=\"{result}\"}} 1"))
}

#[tokio::test]
async fn a_signed_delivery_pokes_its_factory() {
    let mut run = Run::new();
    run.pass().await.result.unwrap();
    let router = webhook::router(run.cx.clone());
    let body = br#"{"ref":"refs/heads/main"}"#.to_vec();
    let signature = sign(world::forge::WEBHOOK_SECRET, &body);
    assert_eq!(ask(router, delivery("/webhook/flywheel/prim", body, &signature)).await.0, StatusCode::ACCEPTED);
    let poked = run.pokes.try_recv().unwrap();
    assert_eq!((poked.namespace.as_deref(), poked.name.as_str()), (Some("flywheel"), "prim"));
    assert!(run.pokes.try_recv().is_err(), "one delivery, one poke");
    assert!(deliveries(&run, "accepted"));
}

#[tokio::test]
async fn the_same_delivery_pokes_once() {
    let mut run = Run::new();
    run.pass().await.result.unwrap();
    let router = webhook::router(run.cx.clone());
    let signature = sign(world::forge::WEBHOOK_SECRET, b"{}");
    let id = "f1a7b4f2-0000-4000-8000-000000000001";
    let sent = |header: &str, signature: &str| {
        let mut request = delivery("/webhook/flywheel/prim", b"{}".to_vec(), signature);
        request.headers_mut().insert(axum::http::HeaderName::try_from(header).unwrap(), id.parse().unwrap());
        ask(router.clone(), request)
    };
    assert_eq!(sent("X-Gitea-Delivery", &sign("guess", b"{}")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(sent("X-Gitea-Delivery", &signature).await.0, StatusCode::ACCEPTED);
    assert_eq!(run.pokes.len(), 1);
    assert_eq!(sent("X-GitHub-Delivery", &signature).await.0, StatusCode::ACCEPTED);
    assert_eq!(run.pokes.len(), 1, "no second poke");
    assert!(deliveries(&run, "accepted") && deliveries(&run, "duplicate") && deliveries(&run, "bad_signature"));
}

#[tokio::test]
async fn an_unsigned_delivery_learns_nothing() {
    let mut run = Run::new();
    run.pass().await.result.unwrap();
    let router = webhook::router(run.cx.clone());
    let body = b"{}".to_vec();
    let wrong = ask(router.clone(), delivery("/webhook/flywheel/prim", body.clone(), &sign("guess", &body))).await;
    assert_eq!(wrong.0, StatusCode::UNAUTHORIZED);
    let right = sign(world::forge::WEBHOOK_SECRET, &body);
    let unknown = ask(router.clone(), delivery("/webhook/flywheel/nobody", body.clone(), &right)).await;
    assert_eq!(unknown, wrong, "the same answer, whether there is such a Factory or not");
    let unsigned = ask(router, Request::post("/webhook/flywheel/prim").body(Body::from(body)).unwrap()).await;
    assert_eq!(unsigned, wrong);
    assert!(run.pokes.try_recv().is_err(), "no poke");
    assert!(deliveries(&run, "unknown_factory"));
}

#[tokio::test]
async fn a_delivery_is_taken_up_to_its_limit() {
    let mut run = Run::new();
    run.pass().await.result.unwrap();
    let router = webhook::router(run.cx.clone());
    for (size, expected) in [(1 << 20, StatusCode::ACCEPTED), ((1 << 20) + 1, StatusCode::PAYLOAD_TOO_LARGE)] {
        let body = vec![b' '; size];
        let signature = sign(world::forge::WEBHOOK_SECRET, &body);
        assert_eq!(ask(router.clone(), delivery("/webhook/flywheel/prim", body, &signature)).await.0, expected, "{size} bytes");
    }
}

#[tokio::test]
async fn who_does_not_claim_to_have_signed_is_not_listened_to() {
    let run = Run::new();
    let router = webhook::router(run.cx.clone());
    let silent = || Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    for signature in [None, Some(""), Some("sha256="), Some("sha256=00"), Some("sha1=0000"), Some("x")] {
        let mut request = Request::post("/webhook/flywheel/prim");
        if let Some(signature) = signature {
            request = request.header("x-hub-signature-256", signature);
        }
        assert_eq!(ask(router.clone(), request.body(silent()).unwrap()).await.0, StatusCode::UNAUTHORIZED, "{signature:?}");
    }
    let lost = Request::post("/elsewhere").header("x-hub-signature-256", sign("s", b"")).body(silent()).unwrap();
    assert_eq!(ask(router, lost).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_given_up() {
    let run = Run::new();
    let silent = Body::from_stream(futures::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let request = Request::post("/webhook/flywheel/prim").header("x-hub-signature-256", sign("s", b"")).body(silent).unwrap();
    let started = tokio::time::Instant::now();
    assert_eq!(ask(webhook::router(run.cx), request).await.0, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(started.elapsed().as_secs(), 5);
}

/// A server with a router that answers at once, or never; and its end.
async fn serving() -> (std::net::SocketAddr, tokio::sync::oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router =
        Router::new().route("/", axum::routing::get(|| async { "here" })).route("/never", axum::routing::get(std::future::pending::<()>));
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(server::serve(listener, router, async { ended.await.unwrap_or_default() }));
    (address, end, served)
}

async fn say(address: std::net::SocketAddr, text: &str) -> tokio::net::TcpStream {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

async fn heard(mut stream: tokio::net::TcpStream) -> String {
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text).await;
    text
}

#[tokio::test]
async fn half_a_head_keeps_no_connection() {
    let (address, _end, _served) = serving().await;
    // As many as there is room for, and one more that is served all the same.
    let mut half = Vec::new();
    for _ in 0..64 {
        half.push(say(address, "GET / HTTP/1.1\r\nhost: x\r\n").await);
    }
    let answer = heard(say(address, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await).await;
    assert!(answer.ends_with("here"), "{answer}");
}

#[tokio::test]
async fn a_shutdown_lets_answers_end_and_waits_for_no_other_connection() {
    let (address, end, served) = serving().await;
    let idle = say(address, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut first = [0; 15];
    let mut idle = idle;
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    drop(end);
    served.await.unwrap();
    assert!(heard(idle).await.ends_with("here"));
}

#[tokio::test]
async fn a_shutdown_waits_for_nobody_for_ever() {
    let (address, end, served) = serving().await;
    let stream = say(address, "GET /never HTTP/1.1\r\nhost: x\r\n\r\n").await;
    // Taken before it is told to end.
    assert!(heard(say(address, "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await).await.ends_with("here"));
    tokio::time::pause();
    drop(end);
    served.await.unwrap();
    tokio::time::resume();
    assert_eq!(heard(stream).await, "");
}

#[tokio::test]
async fn only_posts_to_a_factorys_path_are_served() {
    let run = Run::new();
    let router = webhook::router(run.cx.clone());
    let get = Request::get("/webhook/flywheel/prim").body(Body::empty()).unwrap();
    assert_eq!(ask(router.clone(), get).await.0, StatusCode::METHOD_NOT_ALLOWED);
    for path in ["/", "/webhook", "/webhook/flywheel", "/metrics"] {
        assert_eq!(ask(router.clone(), delivery(path, Vec::new(), "")).await.0, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn too_many_pokes_are_dropped_not_waited_for() {
    let mut run = Run::new();
    run.pass().await.result.unwrap();
    let router = webhook::router(run.cx.clone());
    let signature = sign(world::forge::WEBHOOK_SECRET, b"");
    for _ in 0..20 {
        let code = ask(router.clone(), delivery("/webhook/flywheel/prim", Vec::new(), &signature)).await.0;
        assert_eq!(code, StatusCode::ACCEPTED);
    }
    assert_eq!(run.pokes.len(), 8, "as many as the queue holds");
}

#[tokio::test]
async fn health_tells_alive_from_ready() {
    let run = Run::new();
    let router = health::router(Arc::clone(&run.cx));
    let get = |path: &str| ask(router.clone(), Request::get(path).body(Body::empty()).unwrap());
    assert_eq!(get("/livez").await.0, StatusCode::OK);
    assert_eq!(get("/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    for kind in 0..KINDS {
        assert_eq!(get("/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE, "kind {kind} is not watched yet");
        run.cx.note_filled("any");
    }
    assert_eq!(get("/readyz").await.0, StatusCode::OK);
    let response = health::router(run.cx).oneshot(Request::get("/metrics").body(Body::empty()).unwrap()).await.unwrap();
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    let (code, text) = get("/metrics").await;
    assert_eq!(code, StatusCode::OK);
    assert!(text.ends_with("# EOF\n"), "OpenMetrics ends so: {text}");
}

#[tokio::test]
async fn schemas_are_served_where_they_say_that_they_are() {
    let router = health::router(Run::new().cx);
    for schema in [prim::schema(), suite::schema()] {
        let id = schema["$id"].as_str().expect("an id");
        let path = id.strip_prefix("https://flywheel.prim.sh").expect("of ours");
        let request = || Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request()).await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/schema+json");
        let (code, text) = ask(router.clone(), request()).await;
        assert_eq!(code, StatusCode::OK, "{path}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), schema);
    }
}
