//! Updating and merging: what Gitea's answers mean, and what was done already.

use std::time::Duration;

use flywheel::{
    api::conditions::Reason,
    ports::{
        error::{Class, PortError},
        forge::{Hold, MergeOutcome, MergeRequest, PullState, Pulls, Updated},
    },
};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::{
    gitea::TOKEN,
    gitea_script::{Line, Script, closed, good, limited, merged, on, pull, said},
    refused,
};
use crate::world::forge::sha;

const UPDATE: &str = "POST /pulls/7/update";
const MERGE: &str = "POST /pulls/7/merge";

/// The pull request, look by look.
fn looks(bodies: &[Value]) -> Line {
    ("GET", "/pulls/7".into(), bodies.iter().map(good).collect())
}

/// How many commits of main the head lacks.
fn lacks(commits: u64) -> Line {
    on("GET", format!("/compare/{}...main", sha(2)), [good(&json!({ "total_commits": commits }))])
}

fn posts(path: &str, answer: ResponseTemplate) -> Line {
    on("POST", format!("/pulls/7/{path}"), [answer])
}

/// A commit, as far as an update looks at it.
fn commit(id: u64, parents: &[u64]) -> Vec<Line> {
    let parents: Vec<_> = parents.iter().map(|p| json!({ "sha": sha(*p).as_str() })).collect();
    vec![
        on("GET", format!("/git/commits/{}", sha(id)), [good(&json!({ "sha": sha(id).as_str(), "parents": parents }))]),
        on("GET", format!("/git/trees/{}", sha(id)), [good(&json!({ "tree": [], "truncated": false }))]),
    ]
}

fn open(head: u64) -> Value {
    pull(7, &sha(head))
}

async fn update(lines: Vec<Line>) -> (Result<Updated, PortError>, Script) {
    let script = Script::start(lines).await;
    (script.gitea.update_branch(7, &sha(2)).await, script)
}

#[tokio::test]
async fn an_update_comes_to_what_it_did() {
    let ok = || posts("update", ResponseTemplate::new(200));
    let gone_from = |mut body: Value| {
        body["head"]["sha"] = json!("");
        body
    };
    type Row = (&'static str, Vec<Line>, Updated, &'static [&'static str]);
    let rows: Vec<Row> = vec![
        (
            "main is merged in",
            [vec![looks(&[open(2), open(3)]), lacks(1), ok()], commit(3, &[2, 9])].concat(),
            Updated::Updated(sha(3)),
            &[UPDATE],
        ),
        ("its answer was lost", vec![looks(&[open(3)])], Updated::HeadMoved(sha(3)), &[]),
        ("nothing to merge in", vec![looks(&[open(2)]), lacks(0)], Updated::UpToDate, &[]),
        ("a conflict", vec![looks(&[open(2)]), lacks(1), posts("update", said(409, ""))], Updated::Conflict, &[UPDATE]),
        (
            "somebody pushed meanwhile",
            [vec![looks(&[open(2), open(4)]), lacks(1), ok()], commit(4, &[3])].concat(),
            Updated::HeadMoved(sha(4)),
            &[UPDATE],
        ),
        (
            "somebody merged something else in",
            [vec![looks(&[open(2), open(4)]), lacks(1), ok()], commit(4, &[3, 9])].concat(),
            Updated::HeadMoved(sha(4)),
            &[UPDATE],
        ),
        ("closed before", vec![looks(&[closed(7, &sha(2))])], Updated::NotOpen(PullState::Closed), &[]),
        ("merged before", vec![looks(&[merged(7, &sha(2), &sha(8))])], Updated::NotOpen(PullState::Merged(sha(8))), &[]),
        (
            "merged meanwhile",
            vec![looks(&[open(2), merged(7, &sha(2), &sha(8))]), lacks(1), posts("update", said(422, "closed"))],
            Updated::NotOpen(PullState::Merged(sha(8))),
            &[UPDATE],
        ),
    ];
    for (what, lines, expected, wrote) in rows {
        let (result, script) = update(lines).await;
        assert_eq!(result.unwrap_or_else(|e| panic!("{what}: {e}")), expected, "{what}");
        assert_eq!(script.wrote().await, wrote, "{what}");
    }
    for (lines, class, reason, names) in [
        (vec![looks(&[gone_from(open(2))])], Class::Conflict, Reason::Conflict, "agent/search-1"),
        (vec![on("GET", "/pulls/7", [said(404, "")])], Class::Conflict, Reason::Conflict, "pull request 7"),
        (vec![looks(&[open(2)]), lacks(1), posts("update", said(404, ""))], Class::Conflict, Reason::Conflict, "pull request 7"),
        (vec![looks(&[open(2)]), lacks(1), posts("update", said(403, "no write"))], Class::Denied, Reason::PermissionMissing, "no write"),
        (vec![looks(&[open(2)]), lacks(1), posts("update", said(500, ""))], Class::Transient, Reason::ServerError, "500"),
        (
            vec![looks(&[open(2)]), lacks(1), posts("update", limited())],
            Class::RateLimited(Duration::from_secs(7)),
            Reason::RateLimited,
            "7 s",
        ),
    ] {
        refused(update(lines).await.0, class, reason, names, &[TOKEN]);
    }
}

async fn merge(lines: Vec<Line>) -> (Result<MergeOutcome, PortError>, Script) {
    let script = Script::start(lines).await;
    let request = MergeRequest { head: sha(2), title: "Add search".into(), message: "Why".into() };
    (script.gitea.merge(7, &request).await, script)
}

#[tokio::test]
async fn a_merge_is_made_once_and_only_of_the_head_that_is_named() {
    let (result, script) =
        merge(vec![looks(&[open(2), merged(7, &sha(2), &sha(8))]), lacks(0), posts("merge", ResponseTemplate::new(200))]).await;
    assert_eq!(result.unwrap(), MergeOutcome::Merged(sha(8)));
    let body = json!({
        "Do": "squash", "head_commit_id": sha(2).as_str(), "MergeTitleField": "Add search", "MergeMessageField": "Why",
        "delete_branch_after_merge": false,
    });
    assert_eq!(script.writes().await, [(MERGE.to_owned(), body.clone())]);

    // What the base branch has already is noted; and merged where that is forbidden.
    let mut empty = open(2);
    empty["changed_files"] = json!(0);
    let main = json!({
        "commit": { "id": sha(1) }, "protected": false, "enable_status_check": false, "user_can_push": false, "user_can_merge": true,
    });
    let noting = json!({ "Do": "manually-merged", "MergeCommitID": sha(1).as_str() });
    for (answers, bodies, expected) in [
        (vec![ResponseTemplate::new(200)], vec![noting.clone()], sha(1)),
        (vec![said(405, "manually merged is not an allowed merge style"), ResponseTemplate::new(200)], vec![noting, body], sha(8)),
    ] {
        let sees = looks(&[empty.clone(), merged(7, &sha(2), &expected)]);
        let lines = vec![sees, lacks(0), on("GET", "/branches/main", [good(&main)]), ("POST", "/pulls/7/merge".into(), answers)];
        let (result, script) = merge(lines).await;
        assert_eq!(result.unwrap(), MergeOutcome::Merged(expected));
        assert_eq!(script.writes().await, bodies.into_iter().map(|body| (MERGE.to_owned(), body)).collect::<Vec<_>>());
    }

    let not_sent: [(&str, Vec<Line>, MergeOutcome); 4] = [
        ("its answer was lost", vec![looks(&[merged(7, &sha(2), &sha(8))])], MergeOutcome::AlreadyMerged(sha(8))),
        ("it was closed", vec![looks(&[closed(7, &sha(2))])], MergeOutcome::Refused("it was closed without a merge".into())),
        ("the head moved", vec![looks(&[open(3)])], MergeOutcome::HeadMoved(Some(sha(3)))),
        (
            "the head lacks commits",
            vec![looks(&[open(2)]), lacks(2)],
            MergeOutcome::NotReady(Hold::Outdated, "main has commits that the head lacks".into()),
        ),
    ];
    for (what, lines, expected) in not_sent {
        let (result, script) = merge(lines).await;
        assert_eq!(result.unwrap(), expected, "{what}");
        assert!(script.wrote().await.is_empty(), "{what}: nothing is sent");
    }
}

#[tokio::test]
async fn a_merge_that_is_refused_says_what_it_waits_for() {
    let held = |hold, said: &str| MergeOutcome::NotReady(hold, said.into());
    let still = vec![open(2)];
    let rows: Vec<(u16, &str, Vec<Value>, MergeOutcome)> = vec![
        (405, "Please try again later", still.clone(), held(Hold::Forge, "Please try again later")),
        (409, "push out of date", still.clone(), held(Hold::Forge, "push out of date")),
        (
            405,
            "The head branch is behind the base branch",
            still.clone(),
            held(Hold::Outdated, "The head branch is behind the base branch"),
        ),
        (405, "Does not have enough approvals", still.clone(), held(Hold::Review, "Does not have enough approvals")),
        (405, "There are requested changes", still.clone(), held(Hold::Review, "There are requested changes")),
        (405, "There are official review requests", still.clone(), held(Hold::Review, "There are official review requests")),
        (405, "has open dependency", still.clone(), held(Hold::Review, "has open dependency")),
        (409, "Merge conflict", still.clone(), held(Hold::Conflict, "Merge conflict")),
        (409, "", still.clone(), held(Hold::Conflict, "it conflicts with the base branch")),
        (
            405,
            "Work in progress PRs cannot be merged",
            still.clone(),
            MergeOutcome::Refused("Work in progress PRs cannot be merged".into()),
        ),
        (409, "head out of date", still, MergeOutcome::HeadMoved(None)),
        (409, "head out of date", vec![open(3)], MergeOutcome::HeadMoved(Some(sha(3)))),
        // The message is of one moment, and the pull request of the next.
        (405, "Please try again later", vec![merged(7, &sha(2), &sha(8))], MergeOutcome::AlreadyMerged(sha(8))),
        (405, "The pull request is closed", vec![closed(7, &sha(2))], MergeOutcome::Refused("it was closed without a merge".into())),
    ];
    for (code, message, then, expected) in rows {
        let seen: Vec<_> = [open(2)].into_iter().chain(then).collect();
        let (result, script) = merge(vec![looks(&seen), lacks(0), posts("merge", said(code, message))]).await;
        assert_eq!(result.unwrap_or_else(|e| panic!("{code} {message:?}: {e}")), expected, "{code} {message:?}");
        assert_eq!(script.wrote().await, [MERGE], "{code} {message:?}: asked once");
    }
}

/// Gitea says that some are missing, and not which.
#[tokio::test]
async fn a_merge_that_waits_for_checks_names_them() {
    let refusal = "Not all required status checks successful";
    let branch = json!({
        "commit": { "id": sha(1) }, "protected": true, "enable_status_check": true, "user_can_push": false, "user_can_merge": true,
        "status_check_contexts": ["flywheel/gate", "ci/test", "lint", "ci/*"],
    });
    let status = |id: u64, context: &str, status: &str| json!({ "id": id, "context": context, "status": status, "description": "", "target_url": "" });
    let statuses = json!({ "statuses": [status(1, "flywheel/gate", "success"), status(2, "ci/test", "failure")] });
    let lines = |branch: &Value| {
        let asked = [on("GET", "/branches/main", [good(branch)]), on("GET", format!("/commits/{}/status", sha(2)), [good(&statuses)])];
        [vec![looks(&[open(2)]), lacks(0), posts("merge", said(405, refusal))], asked.into()].concat()
    };
    let named = format!("{refusal}: ci/test (failure), lint (not reported), ci/* (a pattern)");
    assert_eq!(merge(lines(&branch)).await.0.unwrap(), MergeOutcome::NotReady(Hold::Checks, named));
    let mut unseen = branch;
    unseen["protected"] = json!(false);
    assert_eq!(merge(lines(&unseen)).await.0.unwrap(), MergeOutcome::NotReady(Hold::Checks, refusal.into()), "what the token can't see");
}

#[tokio::test]
async fn a_merge_that_fails_has_its_class() {
    let answer = |answer| vec![looks(&[open(2)]), lacks(0), posts("merge", answer)];
    for (lines, class, reason, names) in [
        (answer(said(405, "User not allowed to merge PR")), Class::Denied, Reason::PermissionMissing, "not allowed to merge"),
        (answer(said(403, "no write")), Class::Denied, Reason::PermissionMissing, "no write"),
        (answer(said(423, "archived")), Class::Denied, Reason::MergeUnavailable, "unarchive"),
        (answer(said(500, "")), Class::Transient, Reason::ServerError, "500"),
        (answer(limited()), Class::RateLimited(Duration::from_secs(7)), Reason::RateLimited, "7 s"),
        (answer(said(422, "what?")), Class::Bug, Reason::UnexpectedAnswer, "422"),
        // It says that it merged, and shows an open one.
        (answer(ResponseTemplate::new(200)), Class::Bug, Reason::UnexpectedAnswer, "calls it Open"),
        (vec![on("GET", "/pulls/7", [said(404, "")])], Class::Conflict, Reason::Conflict, "pull request 7"),
        (
            vec![looks(&[open(2)]), on("GET", format!("/compare/{}...main", sha(2)), [said(404, "")])],
            Class::Conflict,
            Reason::Conflict,
            "branch main",
        ),
    ] {
        refused(merge(lines).await.0, class, reason, names, &[TOKEN]);
    }
}
