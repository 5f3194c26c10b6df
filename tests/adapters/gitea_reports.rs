//! Statuses and the comment: written where they differ, and by nobody else's hand.

use std::time::Duration;

use flywheel::{
    api::conditions::Reason,
    ports::{
        error::{Class, PortError},
        forge::{CommitStatus, Reports, StatusState, Written},
    },
};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::{
    gitea::TOKEN,
    gitea_script::{Line, Script, good, limited, on, pull, said},
    refused,
};
use crate::world::forge::sha;

const COMMENTS: &str = "/issues/7/comments";
const TEXT: &str = "<!-- flywheel -->\nall is green";

fn comment(id: u64, author: &str, body: &str) -> Value {
    json!({ "id": id, "body": body, "user": { "login": author } })
}

async fn upsert(lines: Vec<Line>) -> (Result<Written, PortError>, Script) {
    let script = Script::start(lines).await;
    (script.gitea.upsert_comment(7, "flywheel", "all is green").await, script)
}

#[tokio::test]
async fn one_comment_of_ours_is_kept_at_its_text() {
    let made = || on("POST", COMMENTS, [ResponseTemplate::new(201)]);
    let changed = || on("PATCH", "/issues/comments/2", [ResponseTemplate::new(200)]);
    let ours = |body: &str| vec![comment(1, "somebody", "hello"), comment(2, "bot", body)];
    type Row = (&'static str, Vec<Value>, Written, &'static [&'static str]);
    let rows: Vec<Row> = vec![
        ("none there", vec![], Written::Written, &["POST /issues/7/comments"]),
        ("its answer was lost", ours(TEXT), Written::Unchanged, &[]),
        ("another text of ours", ours("<!-- flywheel -->\nall is red"), Written::Written, &["PATCH /issues/comments/2"]),
        ("its line ends as forms send it", ours("<!-- flywheel -->\r\nall is red"), Written::Written, &["PATCH /issues/comments/2"]),
        ("the marker by another", vec![comment(2, "somebody", TEXT)], Written::Written, &["POST /issues/7/comments"]),
        ("another marker of ours", ours("<!-- other -->\nall is green"), Written::Written, &["POST /issues/7/comments"]),
        ("the marker not at the top", ours("see <!-- flywheel -->"), Written::Written, &["POST /issues/7/comments"]),
    ];
    for (what, there, expected, wrote) in rows {
        let (result, script) = upsert(vec![on("GET", COMMENTS, [good(&json!(there))]), made(), changed()]).await;
        assert_eq!(result.unwrap_or_else(|e| panic!("{what}: {e}")), expected, "{what}");
        let writes = script.writes().await;
        assert_eq!(writes.iter().map(|(request, _)| request.as_str()).collect::<Vec<_>>(), wrote, "{what}");
        assert!(writes.iter().all(|(_, body)| *body == json!({ "body": TEXT })), "{what}: {writes:?}");
    }
}

#[tokio::test]
async fn a_comment_that_fails_has_its_class() {
    let none = || on("GET", COMMENTS, [good(&json!([]))]);
    let answer = |answer| vec![none(), on("POST", COMMENTS, [answer])];
    for (lines, class, reason, names) in [
        (answer(said(403, "no write")), Class::Denied, Reason::PermissionMissing, "no write"),
        (answer(said(500, "")), Class::Transient, Reason::ServerError, "500"),
        (answer(limited()), Class::RateLimited(Duration::from_secs(7)), Reason::RateLimited, "7 s"),
        (vec![on("GET", COMMENTS, [said(404, "")])], Class::Conflict, Reason::Conflict, "pull request 7"),
        // Gitea says 500 of a number that is not there, and of trouble.
        (
            vec![on("GET", COMMENTS, [said(500, "")]), on("GET", "/pulls/7", [said(404, "")])],
            Class::Conflict,
            Reason::Conflict,
            "pull request 7",
        ),
        (
            vec![on("GET", COMMENTS, [said(500, "")]), on("GET", "/pulls/7", [good(&pull(7, &sha(2)))])],
            Class::Transient,
            Reason::ServerError,
            "500",
        ),
    ] {
        refused(upsert(lines).await.0, class, reason, names, &[TOKEN]);
    }
}

fn status(state: StatusState) -> CommitStatus {
    CommitStatus { context: "flywheel/gate".into(), state, description: "passed".into(), target_url: "https://x.example".into() }
}

/// A status as Gitea lists it.
fn listed(id: u64, context: &str, state: &str) -> Value {
    json!({ "id": id, "context": context, "status": state, "description": "passed", "target_url": "https://x.example" })
}

fn list(statuses: &[Value]) -> Line {
    on("GET", format!("/commits/{}/status", sha(2)), [good(&json!({ "statuses": statuses }))])
}

async fn set(state: StatusState, lines: Vec<Line>) -> (Result<Written, PortError>, Script) {
    let script = Script::start(lines).await;
    (script.gitea.set_status(&sha(2), &status(state)).await, script)
}

#[tokio::test]
async fn a_status_is_written_where_the_newest_says_something_else() {
    let gate = "flywheel/gate";
    let rows: [(&str, &[Value], Written); 6] = [
        ("none there", &[], Written::Written),
        ("its answer was lost", &[listed(1, gate, "success")], Written::Unchanged),
        ("another state", &[listed(1, gate, "pending")], Written::Written),
        ("another context", &[listed(1, "ci", "success")], Written::Written),
        ("a newer one contradicts", &[listed(9, gate, "failure"), listed(1, gate, "success")], Written::Written),
        ("an older one contradicted", &[listed(1, gate, "failure"), listed(9, gate, "success")], Written::Unchanged),
    ];
    let path = format!("/statuses/{}", sha(2));
    for (what, there, expected) in rows {
        let (result, script) = set(StatusState::Success, vec![list(there), on("POST", path.clone(), [ResponseTemplate::new(201)])]).await;
        assert_eq!(result.unwrap_or_else(|e| panic!("{what}: {e}")), expected, "{what}");
        let body = json!({ "context": gate, "state": "success", "description": "passed", "target_url": "https://x.example" });
        let wrote = if expected == Written::Written { vec![(format!("POST {path}"), body)] } else { vec![] };
        assert_eq!(script.writes().await, wrote, "{what}");
    }
}

#[tokio::test]
async fn a_status_that_fails_has_its_class() {
    let answer = |answer| vec![list(&[]), on("POST", format!("/statuses/{}", sha(2)), [answer])];
    for (lines, class, reason, names) in [
        (answer(said(403, "no write")), Class::Denied, Reason::PermissionMissing, "no write"),
        (answer(said(404, "")), Class::Conflict, Reason::Conflict, "commit"),
        (answer(said(500, "")), Class::Transient, Reason::ServerError, "500"),
        (answer(limited()), Class::RateLimited(Duration::from_secs(7)), Reason::RateLimited, "7 s"),
        (vec![on("GET", format!("/commits/{}/status", sha(2)), [said(404, "")])], Class::Conflict, Reason::Conflict, "commit"),
    ] {
        refused(set(StatusState::Success, lines).await.0, class, reason, names, &[TOKEN]);
    }
    let (result, script) = set(StatusState::Other, vec![]).await;
    refused(result, Class::Invalid, Reason::Invalid, "state", &[TOKEN]);
    assert!(script.wrote().await.is_empty());
}
