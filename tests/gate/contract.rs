//! Layer 2's program against a service on this machine, over TLS and by its name.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Json, Router,
    http::{Method as Verb, StatusCode, Uri},
    response::{IntoResponse, Response},
    serve::Listener,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use flywheel::{
    api::{gate_run::Verdict, http::Method},
    gate::{
        contract::steps,
        plan::{Contract, Example, Limits, Plan, Price, Route},
        report::Step,
    },
};
use serde_json::{Value, json};

use super::{paid, plan, route};
use crate::tls::{Authority, Tls};

type Answers = fn(&Verb, &str) -> (u16, Value, Option<Value>);

/// What a service answers, and how it is reached.
struct Service {
    answers: Answers,
    /// Connections that are dropped first.
    deaf: usize,
    /// Requests that the edge answers itself first, saying that nobody is there.
    vacant: usize,
    /// The name in its certificate.
    name: &'static str,
    /// Whether the plan has the authority that signed it.
    trusted: bool,
    seconds: u64,
}

impl Default for Service {
    fn default() -> Self {
        Self { answers: good, deaf: 0, vacant: 0, name: "localhost", trusted: true, seconds: 30 }
    }
}

fn good(method: &Verb, path: &str) -> (u16, Value, Option<Value>) {
    match (method.as_str(), path) {
        ("GET", "/") => (200, json!({ "service": "echo.sh", "status": "ok" }), None),
        ("POST", "/v1/echo") => (402, error(), Some(terms("1000"))),
        ("GET", "/v1/time") => (200, json!({ "now": 1 }), None),
        ("POST", "/v1/notes") => (400, error(), None),
        _ => (404, error(), None),
    }
}

fn error() -> Value {
    json!({ "error": { "code": "c", "message": "m" } })
}

fn terms(amount: &str) -> Value {
    let way = json!({ "scheme": "exact", "network": "eip155:84532", "amount": amount, "payTo": "0x01" });
    json!({ "x402Version": 2, "accepts": [way], "resource": {} })
}

/// What the program says of a service with these routes, and how often it asked.
async fn run(service: Service, routes: Vec<Route>) -> (Vec<Step>, usize) {
    let authority = Authority::new("edge");
    let tls = Tls::listen(&authority, service.name, None).await.deaf(service.deaf);
    let port = tls.local_addr().unwrap().port();
    let (answers, vacant) = (service.answers, service.vacant);
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let answer = move |method: Verb, uri: Uri| async move {
        if counted.fetch_add(1, Ordering::SeqCst) < vacant {
            return (StatusCode::BAD_GATEWAY, "nobody is there").into_response();
        }
        let (status, body, terms) = answers(&method, uri.path());
        let mut response: Response = (StatusCode::from_u16(status).unwrap(), Json(body)).into_response();
        if let Some(terms) = terms {
            response.headers_mut().insert("payment-required", STANDARD.encode(terms.to_string()).parse().unwrap());
        }
        response
    };
    let server = tokio::spawn(async move { axum::serve(tls, Router::new().fallback(answer)).await.unwrap() });
    let limits = Limits { request_seconds: 5, total_seconds: service.seconds, ..Limits::default() };
    let bundle = if service.trusted { authority.pem } else { Authority::new("another").pem };
    let steps = steps(&Contract {
        url: format!("https://localhost:{port}"),
        commit: "0".repeat(40),
        ca_bundle: Some(bundle),
        plan: Plan { limits, ..plan(routes) },
        suite: None,
        payment: None,
    })
    .await;
    server.abort();
    (steps, asked.load(Ordering::SeqCst))
}

fn names(steps: &[Step]) -> Vec<(&str, Verdict)> {
    steps.iter().map(|s| (s.name.as_str(), s.verdict)).filter(|(name, _)| *name != "total").collect()
}

fn free(method: Method, path: &str) -> Route {
    route(method, path, Price::Free)
}

#[tokio::test]
async fn a_service_shows_its_health_and_the_route_that_shows_most() {
    let keyed = Example { headers: BTreeMap::from([("x-internal-key".into(), "placeholder".into())]), ..Example::default() };
    let guarded = Route { example: Some(keyed), ..free(Method::Get, "/v1/feed") };
    let sure = Route { example: Some(Example::default()), ..free(Method::Get, "/v1/time") };
    let takes = Route { errors: vec![400], ..free(Method::Post, "/v1/notes") };
    for (what, routes, expected) in [
        ("its price, before all", vec![sure.clone(), paid()], "check POST /v1/echo unpaid"),
        ("what is sure", vec![free(Method::Get, "/v1/other"), sure], "check GET /v1/time"),
        ("what is read, though it is a guess", vec![takes.clone(), free(Method::Get, "/v1/items/:id")], "check GET /v1/items/:id"),
        ("what it refuses, rather than what it keeps", vec![guarded.clone(), takes], "check POST /v1/notes bad input"),
        ("nothing that needs a key", vec![guarded], "check no route"),
        ("nothing where there is nothing", vec![], "check no route"),
    ] {
        let (steps, _) = run(Service::default(), routes).await;
        assert_eq!(names(&steps), [("check GET /", Verdict::Passed), (expected, Verdict::Passed)], "{what}: {steps:?}");
    }
}

#[tokio::test]
async fn a_wrong_answer_fails_at_once() {
    let rows: [(&str, Answers, &str, &str); 7] = [
        ("another service", |_, _| (200, json!({ "service": "other.sh", "status": "ok" }), None), "check GET /", "echo.sh"),
        ("an empty page", |_, _| (200, Value::Null, None), "check GET /", "not 200"),
        ("an own failure", |_, _| (500, error(), None), "check GET /", "answers 500"),
        ("a redirect", |_, _| (302, Value::Null, None), "check GET /", "answers 302"),
        ("free of charge", |m, p| if p == "/" { good(m, p) } else { (200, json!({}), None) }, "check POST /v1/echo unpaid", "not 402"),
        ("no terms", |m, p| if p == "/" { good(m, p) } else { (402, error(), None) }, "check POST /v1/echo unpaid", "PAYMENT-REQUIRED"),
        (
            "another price",
            |m, p| if p == "/" { good(m, p) } else { (402, error(), Some(terms("1"))) },
            "check POST /v1/echo unpaid",
            "declared price is 1000",
        ),
    ];
    for (what, answers, failed, named) in rows {
        let (steps, asked) = run(Service { answers, ..Service::default() }, vec![paid()]).await;
        let step = steps.iter().find(|s| s.verdict == Verdict::Failed).unwrap_or_else(|| panic!("{what}: {steps:?}"));
        assert_eq!(step.name, failed, "{what}");
        assert!(step.message.as_ref().unwrap().contains(named), "{what}: {named:?} is not in {step:?}");
        assert_eq!(asked, 2, "{what}: each was asked once");
    }
}

#[tokio::test]
async fn a_service_may_be_seconds_old() {
    for (what, service, asked) in [
        ("nobody listens yet", Service { deaf: 2, ..Service::default() }, 2),
        ("the edge knows the name and nobody is behind it", Service { vacant: 2, ..Service::default() }, 4),
    ] {
        let (steps, times) = run(service, vec![paid()]).await;
        assert!(steps.iter().all(|s| s.verdict == Verdict::Passed), "{what}: {steps:?}");
        assert_eq!(times, asked, "{what}");
    }
}

#[tokio::test]
async fn who_is_never_reached_is_an_error_and_no_failure() {
    for (what, service) in [
        ("dropped for ever", Service { deaf: usize::MAX, ..Service::default() }),
        ("another authority", Service { trusted: false, ..Service::default() }),
        ("another name", Service { name: "other.example", ..Service::default() }),
    ] {
        let (steps, asked) = run(Service { seconds: 1, ..service }, vec![paid()]).await;
        assert_eq!(names(&steps), [("check GET /", Verdict::Error)], "{what}: {steps:?}");
        let message = steps[0].message.as_deref().unwrap();
        assert!(message.contains("no answer") && message.contains("does the name resolve"), "{what}: {message}");
        assert_eq!(asked, 0, "{what}: no request was sent");
    }
}

#[tokio::test]
async fn a_plan_that_can_not_be_used_is_an_error() {
    flywheel::telemetry::install_crypto_provider();
    for (url, bundle, named) in [
        ("https://localhost/path", None, "more than a scheme"),
        ("no url", None, "no URL"),
        ("https://localhost", Some("no PEM".to_owned()), "PEM"),
    ] {
        let contract =
            Contract { url: url.into(), commit: "0".repeat(40), ca_bundle: bundle, plan: plan(vec![]), suite: None, payment: None };
        let steps = steps(&contract).await;
        assert_eq!(names(&steps), [("input", Verdict::Error)], "{url}");
        assert!(steps[0].message.as_ref().unwrap().contains(named), "{steps:?}");
    }
}
