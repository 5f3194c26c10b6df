//! A Gitea that answers by a script: each request has its answers, one after the
//! other, the last of them for ever. One that no script has is answered with 418,
//! which no adapter takes for anything.

use flywheel::{adapters::gitea::Gitea, api::names::Sha, telemetry};
use serde_json::{Value, json};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{any, method, path},
};

use super::gitea::{TOKEN, spec};

const REPO: &str = "/api/v1/repos/prim/factory";

/// A method and a path below the repository, and its answers in their order.
pub type Line = (&'static str, String, Vec<ResponseTemplate>);

/// A line of a script.
pub fn on<const N: usize>(method: &'static str, path: impl Into<String>, answers: [ResponseTemplate; N]) -> Line {
    (method, path.into(), answers.into())
}

/// A server with its script, and a client of it.
pub struct Script {
    server: MockServer,
    /// The client.
    pub gitea: Gitea,
}

impl Script {
    /// Starts a server that answers so; lines that come first win.
    pub async fn start(lines: impl IntoIterator<Item = Line>) -> Self {
        telemetry::install_crypto_provider();
        let server = MockServer::start().await;
        // What a 404 is checked against: the repository is there.
        let repository = json!({ "archived": false, "allow_squash_merge": true, "permissions": { "push": true } });
        for (verb, at, mut answers) in lines.into_iter().chain([on("GET", "", [good(&repository)])]) {
            let last = answers.pop().expect("an answer");
            let request = || Mock::given(method(verb)).and(path(format!("{REPO}{at}")));
            for answer in answers {
                request().respond_with(answer).up_to_n_times(1).mount(&server).await;
            }
            request().respond_with(last).mount(&server).await;
        }
        Mock::given(method("GET")).and(path("/api/v1/user")).respond_with(good(&json!({ "login": "bot" }))).mount(&server).await;
        Mock::given(any()).respond_with(said(418, "not in the script")).with_priority(9).mount(&server).await;
        let gitea = Gitea::new(&spec(&server.uri()), &TOKEN.into()).unwrap();
        Self { server, gitea }
    }

    /// What was written: method and path below the repository, and the body.
    pub async fn writes(&self) -> Vec<(String, Value)> {
        let requests = self.server.received_requests().await.unwrap();
        let writes = requests.into_iter().filter(|r| r.method.as_str() != "GET");
        writes.map(|r| (format!("{} {}", r.method, r.url.path().trim_start_matches(REPO)), r.body_json().unwrap_or_default())).collect()
    }

    /// The same without bodies.
    pub async fn wrote(&self) -> Vec<String> {
        self.writes().await.into_iter().map(|(request, _)| request).collect()
    }
}

/// 200 with a body.
pub fn good(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

/// A refusal with its message.
pub fn said(code: u16, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(code).set_body_json(json!({ "message": message }))
}

/// A wait that is asked for.
pub fn limited() -> ResponseTemplate {
    ResponseTemplate::new(429).insert_header("retry-after", "7")
}

/// An open pull request of this head.
pub fn pull(number: u64, head: &Sha) -> Value {
    json!({
        "number": number, "html_url": format!("https://forge.example/{number}"), "state": "open", "merged": false,
        "merge_commit_sha": null, "mergeable": true, "title": "Add search", "user": { "login": "bot" }, "labels": [],
        "base": { "label": "main", "sha": "", "repo_id": 1 },
        "head": { "label": "agent/search-1", "sha": head.as_str(), "repo_id": 1 },
    })
}

/// The same, merged as this commit.
pub fn merged(number: u64, head: &Sha, merge: &Sha) -> Value {
    let mut pull = pull(number, head);
    pull["state"] = json!("closed");
    pull["merged"] = json!(true);
    pull["merge_commit_sha"] = json!(merge.as_str());
    pull
}

/// The same, closed.
pub fn closed(number: u64, head: &Sha) -> Value {
    let mut pull = pull(number, head);
    pull["state"] = json!("closed");
    pull
}
