//! The Gitea adapter against a server of wiremock's.

use std::{sync::Arc, time::Duration};

use flywheel::{
    adapters::gitea::Gitea,
    api::{conditions::Reason, factory::RepositorySpec, names::Branch},
    ports::{
        error::{Class, PortError},
        forge::{Forge, ForgeAdmin, Label, Protection},
    },
    telemetry,
};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use wiremock::{
    Mock, MockServer, Request, ResponseTemplate,
    matchers::{any, header, method, path, path_regex, query_param},
};

use super::refused;
use crate::{address::reserved, fixtures, world::forge::sha};

/// The bot's.
pub const TOKEN: &str = "token-that-nobody-may-see-2f6e";

/// The factory repository on a server.
pub fn spec(url: &str) -> RepositorySpec {
    RepositorySpec { url: url.into(), ..fixtures::spec().repository }
}

fn client(spec: &RepositorySpec) -> Gitea {
    telemetry::install_crypto_provider();
    Gitea::new(spec, &TOKEN.into()).unwrap()
}

async fn answering(response: ResponseTemplate) -> (MockServer, Gitea) {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(response).mount(&server).await;
    let client = client(&spec(&server.uri()));
    (server, client)
}

fn json_answer(code: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(code).set_body_json(body)
}

fn main_branch() -> Branch {
    "main".parse().unwrap()
}

#[tokio::test]
async fn every_status_has_its_class() {
    let said = json!({ "message": "token does not have at least one of required scope(s): [read:repository]" });
    let rows = [
        (json_answer(401, &said), Class::Denied, Reason::TokenRejected, "under the key token"),
        (json_answer(403, &said), Class::Denied, Reason::PermissionMissing, "required scope(s): [read:repository]"),
        (ResponseTemplate::new(403).set_body_string("<html>"), Class::Denied, Reason::PermissionMissing, "refused"),
        (json_answer(409, &said), Class::Conflict, Reason::Conflict, "the forge at"),
        (json_answer(404, &said), Class::Invalid, Reason::RepositoryNotFound, "prim/factory"),
        (json_answer(422, &said), Class::Bug, Reason::UnexpectedAnswer, "422"),
        (json_answer(423, &said), Class::Denied, Reason::MergeUnavailable, "archived"),
        (ResponseTemplate::new(500), Class::Transient, Reason::ServerError, "500"),
        (ResponseTemplate::new(502).set_body_string("bad gateway"), Class::Transient, Reason::ServerError, "502"),
        (ResponseTemplate::new(503), Class::Transient, Reason::ServerError, "503"),
        (ResponseTemplate::new(429), Class::RateLimited(Duration::from_secs(60)), Reason::RateLimited, "60 s"),
        (
            ResponseTemplate::new(429).insert_header("retry-after", "7"),
            Class::RateLimited(Duration::from_secs(7)),
            Reason::RateLimited,
            "7 s",
        ),
        (
            ResponseTemplate::new(429).insert_header("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"),
            Class::RateLimited(Duration::from_secs(60)),
            Reason::RateLimited,
            "60 s",
        ),
        // Who sends a token elsewhere must be told, not followed.
        (ResponseTemplate::new(302).insert_header("location", "http://127.0.0.1:1/"), Class::Bug, Reason::UnexpectedAnswer, "302"),
        (ResponseTemplate::new(200).set_body_string("<html>Welcome</html>"), Class::Bug, Reason::UnexpectedAnswer, "spec.repository.url"),
        (json_answer(200, &json!({})), Class::Bug, Reason::UnexpectedAnswer, "spec.repository.url"),
    ];
    for (response, class, reason, names) in rows {
        let (_server, client) = answering(response).await;
        refused(client.repository().await, class, reason, names, &[TOKEN]);
        refused(client.webhooks().await.map(|_| ()), class, reason, names, &[TOKEN]);
    }
}

#[tokio::test]
async fn a_wait_beyond_reason_is_cut() {
    let (_server, client) = answering(ResponseTemplate::new(429).insert_header("retry-after", u64::MAX.to_string())).await;
    let error = client.account().await.unwrap_err();
    let Class::RateLimited(wait) = error.class else { panic!("{error:?}") };
    assert!(wait <= Duration::from_secs(3600), "{wait:?}");
}

#[tokio::test]
async fn an_impossible_commit_is_not_believed() {
    let body = json!({
        "commit": { "id": "not a commit" }, "protected": false, "enable_status_check": false,
        "status_check_contexts": null, "user_can_push": true, "user_can_merge": true,
    });
    let (_server, client) = answering(json_answer(200, &body)).await;
    refused(client.branch(&main_branch()).await, Class::Bug, Reason::UnexpectedAnswer, "impossible commit", &[TOKEN]);
}

#[tokio::test]
async fn a_branchs_protection_is_read_as_gitea_means_it() {
    let branch = |protected: bool, checks: bool| {
        json!({
            "commit": { "id": sha(7).as_str() }, "protected": protected, "enable_status_check": checks,
            "status_check_contexts": ["flywheel/gate"], "user_can_push": false, "user_can_merge": true,
        })
    };
    for (protected, checks, expected) in [
        (false, true, None),
        (true, true, Some(Protection { required_checks: vec!["flywheel/gate".into()], may_push: false })),
        // Contexts that are listed and switched off hold nothing back.
        (true, false, Some(Protection { required_checks: vec![], may_push: false })),
    ] {
        let (_server, client) = answering(json_answer(200, &branch(protected, checks))).await;
        let state = client.branch(&main_branch()).await.unwrap();
        assert_eq!((state.head, state.may_merge, state.protection), (sha(7), true, expected));
    }
}

#[tokio::test]
async fn a_missing_branch_and_a_missing_rule_are_told_apart_from_a_missing_repository() {
    let (_server, client) = answering(ResponseTemplate::new(404)).await;
    refused(client.branch(&main_branch()).await, Class::Invalid, Reason::BranchNotFound, "no branch main", &[TOKEN]);
    refused(client.rule(&main_branch()).await, Class::Invalid, Reason::BranchNotFound, "no branch main", &[TOKEN]);

    // The rule is removed between the two calls that reading it takes.
    let server = MockServer::start().await;
    Mock::given(path("/api/v1/repos/prim/factory/branches/main"))
        .respond_with(json_answer(200, &json!({ "effective_branch_protection_name": "main" })))
        .mount(&server)
        .await;
    let client = self::client(&spec(&server.uri()));
    assert_eq!(client.rule(&main_branch()).await.unwrap(), None);
}

#[tokio::test]
async fn every_segment_of_a_path_is_escaped() {
    let (server, client) = {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(ResponseTemplate::new(404)).mount(&server).await;
        let mut spec = spec(&format!("{}/gitea/", server.uri()));
        spec.owner = "a/b#c?d".into();
        spec.name = "e f".into();
        let client = self::client(&spec);
        (server, client)
    };
    let branch: Branch = "x/y#z%2f".parse().unwrap();
    let _ = client.branch(&branch).await;
    let _ = client.labels().await;
    let urls: Vec<_> =
        server.received_requests().await.unwrap().into_iter().map(|r| (r.url.path().to_owned(), r.url.fragment().is_none())).collect();
    assert_eq!(urls[0], ("/gitea/api/v1/repos/a%2Fb%23c%3Fd/e%20f/branches/x%2Fy%23z%252f".into(), true));
    assert_eq!(urls[1], ("/gitea/api/v1/repos/a%2Fb%23c%3Fd/e%20f/labels".into(), true));
}

#[tokio::test]
async fn the_token_goes_into_its_header_and_nowhere_else() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/api/v1/user"))
        .and(header("authorization", format!("token {TOKEN}").as_str()))
        .respond_with(json_answer(200, &json!({ "login": "bot" })))
        .mount(&server)
        .await;
    assert_eq!(client(&spec(&server.uri())).account().await.unwrap(), "bot");
    let requests = server.received_requests().await.unwrap();
    assert!(!requests.iter().any(|r| r.url.as_str().contains(TOKEN)));
}

fn labels(range: std::ops::Range<usize>) -> Value {
    range.map(|n| json!({ "name": format!("label-{n}") })).collect()
}

async fn mount_page(server: &MockServer, page: &str, total: usize, items: &Value) {
    Mock::given(method("GET"))
        .and(path_regex("/labels$"))
        .and(query_param("page", page))
        .respond_with(json_answer(200, items).insert_header("x-total-count", total.to_string()))
        .mount(server)
        .await;
}

#[tokio::test]
async fn a_list_is_read_to_its_end() {
    // Pages as asked for, and pages that the forge's own limit cuts shorter.
    for size in [50, 20] {
        let server = MockServer::start().await;
        mount_page(&server, "1", 2 * size + 1, &labels(0..size)).await;
        mount_page(&server, "2", 2 * size + 1, &labels(size..2 * size)).await;
        mount_page(&server, "3", 2 * size + 1, &labels(2 * size..2 * size + 1)).await;
        mount_page(&server, "4", 2 * size + 1, &json!([])).await;
        let there = client(&spec(&server.uri())).labels().await.unwrap();
        assert_eq!(there.len(), 2 * size + 1, "pages of {size}");
        assert_eq!(there.last().unwrap(), &format!("label-{}", 2 * size));
    }
}

#[tokio::test]
async fn a_list_without_end_is_given_up() {
    let (server, client) = answering(json_answer(200, &labels(0..50))).await;
    refused(client.labels().await, Class::Bug, Reason::UnexpectedAnswer, "pages", &[TOKEN]);
    assert!(server.received_requests().await.unwrap().len() <= 200);
}

#[tokio::test]
async fn a_label_is_made_only_where_there_is_none() {
    let label = Label { name: "label-3".into(), color: "1d76db".into(), description: "For tests".into() };
    let (server, client) = answering(json_answer(200, &labels(0..4))).await;
    client.create_label(&label).await.unwrap();
    assert!(server.received_requests().await.unwrap().iter().all(|r| r.method.as_str() == "GET"));

    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(json_answer(200, &json!([]))).mount(&server).await;
    Mock::given(method("POST")).respond_with(json_answer(201, &json!({}))).mount(&server).await;
    self::client(&spec(&server.uri())).create_label(&label).await.unwrap();
    let posts: Vec<Request> = server.received_requests().await.unwrap().into_iter().filter(|r| r.method.as_str() == "POST").collect();
    assert_eq!(posts.len(), 1);
    let body: Value = posts[0].body_json().unwrap();
    assert_eq!(body, json!({ "name": "label-3", "color": "#1d76db", "description": "For tests" }));
}

#[tokio::test]
async fn a_push_is_proven_by_the_refusal_to_make_what_is_there() {
    let said = |message| json!({ "message": message });
    let (server, client) = answering(json_answer(409, &said("The branch already exists."))).await;
    client.prove_push(&main_branch()).await.unwrap();
    let asked = server.received_requests().await.unwrap();
    assert_eq!((asked[0].method.as_str(), asked[0].url.path()), ("POST", "/api/v1/repos/prim/factory/branches"));
    assert_eq!(asked[0].body_json::<Value>().unwrap(), json!({ "new_branch_name": "main", "old_ref_name": "main" }));

    let (_server, client) = answering(json_answer(403, &said("required=[write:repository]"))).await;
    let result = client.prove_push(&main_branch()).await;
    refused(result, Class::Denied, Reason::PermissionMissing, "write:repository", &[TOKEN]);
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let client = client(&spec(&format!("http://{}", reserved())));
    refused(client.account().await, Class::Transient, Reason::Unreachable, "check its address", &[TOKEN]);
}

#[tokio::test]
async fn silence_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Arc::new(client(&spec(&format!("http://{}", listener.local_addr().unwrap()))));
    let asked = tokio::spawn(async move { client.account().await });
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 1024];
    assert!(stream.read(&mut request).await.unwrap() > 0);
    // From here on nothing happens, and the clock runs to the next time-out.
    tokio::time::pause();
    refused(asked.await.unwrap(), Class::Transient, Reason::Unreachable, "does not answer", &[TOKEN]);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&spec(&format!("http://{}", listener.local_addr().unwrap())));
    let half = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"lo").await.unwrap();
    };
    let (result, ()) = tokio::join!(client.account(), half);
    refused(result, Class::Transient, Reason::Unreachable, "does not answer", &[TOKEN]);
}

#[test]
fn a_token_that_cant_be_sent_is_told_and_not_shown() {
    telemetry::install_crypto_provider();
    let result: Result<(), PortError> = Gitea::new(&spec("https://forge.example"), &"bad\ntoken-2f6e".into()).map(|_| ());
    refused(result, Class::Waiting, Reason::SecretInvalid, "token", &["2f6e"]);
    for name in [".", ".."] {
        let spec = RepositorySpec { name: name.into(), ..spec("https://forge.example") };
        refused(Gitea::new(&spec, &TOKEN.into()).map(|_| ()), Class::Invalid, Reason::Invalid, "spec.repository.name", &[TOKEN]);
    }
    let result = Gitea::new(&spec("::not a url::"), &TOKEN.into()).map(|_| ());
    refused(result, Class::Invalid, Reason::Invalid, "spec.repository.url", &[TOKEN]);
}
