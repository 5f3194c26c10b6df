//! The factory repository's workflow for pull requests, on the forge's real runner
//! in its sandbox: what a job can reach of this bed, and the gate's table under a
//! pull request that nobody's AgentPR made.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Method, header};
use serde_json::{Value, json};

use super::{
    bed::{REPOSITORY, forge, forge_as, ready},
    journey::document,
};
use crate::support::{file_at, package, polled, variable};

/// The package whose change is gated.
const ID: &str = "asked";

/// Commits files to a branch, which begins at main where it is not there yet; its
/// new head.
async fn commit(branch: &str, new: bool, files: &[(String, String)]) -> String {
    let mut changes = Vec::new();
    for (path, content) in files {
        let mut change = json!({ "operation": "create", "path": path, "content": BASE64_STANDARD.encode(content) });
        if !new {
            let there = forge(Method::GET, &format!("{REPOSITORY}/contents/{path}?ref={branch}"), None).await;
            change["operation"] = json!("update");
            change["sha"] = there["sha"].clone();
        }
        changes.push(change);
    }
    let mut body = json!({ "branch": if new { "main" } else { branch }, "message": "Try", "files": changes });
    if new {
        body["new_branch"] = json!(branch);
    }
    let made = forge(Method::POST, &format!("{REPOSITORY}/contents"), Some(body)).await;
    made["commit"]["sha"].as_str().expect("a commit").to_owned()
}

/// The run of a commit by a workflow's file, when it is over, and what its jobs printed.
async fn ended(workflow: &str, head: &str) -> (String, String) {
    let (run, jobs) = polled(&format!("{workflow} over {head}"), async || {
        let runs = forge(Method::GET, &format!("{REPOSITORY}/actions/runs?head_sha={head}"), None).await;
        let mut runs = runs["workflow_runs"].as_array().cloned().unwrap_or_default().into_iter();
        let run = runs.find(|run| run["head_sha"] == head && run["path"].as_str().is_some_and(|path| path.starts_with(workflow)))?;
        // A run whose first job failed is called completed before its last one has begun.
        let jobs = forge(Method::GET, &format!("{REPOSITORY}/actions/runs/{}/jobs", run["id"]), None).await;
        let jobs = jobs["jobs"].as_array().filter(|jobs| jobs.iter().all(|job| job["status"] == "completed"))?.clone();
        (run["status"] == "completed").then_some((run, jobs))
    })
    .await;
    let mut printed = String::new();
    for job in jobs {
        printed += &text(&format!("{REPOSITORY}/actions/jobs/{}/logs", job["id"])).await;
    }
    (run["conclusion"].as_str().unwrap_or_default().to_owned(), printed)
}

/// What the forge's API answers as text, to its administrator.
async fn text(path: &str) -> String {
    let url = format!("{}/api/v1{path}", variable("FORGE_URL").trim_end_matches('/'));
    let token = format!("token {}", file_at("FORGE_TOKEN_FILE"));
    let answer = reqwest::Client::new().get(&url).header(header::AUTHORIZATION, token).send().await.expect("the forge");
    answer.error_for_status().expect("a log").text().await.expect("text")
}

/// The gate's comments under a pull request.
async fn comments(number: &Value) -> Vec<Value> {
    let Value::Array(mut all) = forge(Method::GET, &format!("{REPOSITORY}/issues/{number}/comments"), None).await else {
        panic!("no comments of {number}")
    };
    all.retain(|comment| comment["body"].as_str().is_some_and(|body| body.starts_with("<!-- flywheel: gate.yml -->")));
    all
}

async fn pull(branch: &str, title: &str) -> Value {
    forge(Method::POST, &format!("{REPOSITORY}/pulls"), Some(json!({ "title": title, "head": branch, "base": "main" }))).await
}

/// Merges a branch in the one way there is: by the bot, with the check that is required.
async fn merge(branch: &str, head: &str) {
    let pull = pull(branch, "Phases").await;
    let passed = json!({ "context": "flywheel/gate", "state": "success" });
    forge(Method::POST, &format!("{REPOSITORY}/statuses/{head}"), Some(passed)).await;
    polled("the merge", async || {
        let squash = json!({ "Do": "squash", "head_commit_id": head });
        // Whether it can be merged is computed after a push: until then it is refused.
        forge_as("FORGE_BOT_TOKEN_FILE", Method::POST, &format!("{REPOSITORY}/pulls/{}/merge", pull["number"]), Some(squash)).await.ok()
    })
    .await;
}

/// Says in main what is live, or takes that back.
async fn live(ids: Option<&[&str]>) {
    let branch = format!("phases-{}", if ids.is_some() { "on" } else { "off" });
    let head = match ids {
        Some(ids) => {
            let phases: BTreeMap<_, _> = ids.iter().map(|id| (*id, "live")).collect();
            commit(&branch, true, &[("gates/phases.json".into(), serde_json::to_string(&phases).expect("JSON"))]).await
        }
        None => {
            let there = forge(Method::GET, &format!("{REPOSITORY}/contents/gates/phases.json"), None).await;
            let files = json!([{ "operation": "delete", "path": "gates/phases.json", "sha": there["sha"] }]);
            let body = json!({ "branch": "main", "new_branch": branch, "message": "Nothing is live", "files": files });
            let made = forge(Method::POST, &format!("{REPOSITORY}/contents"), Some(body)).await;
            made["commit"]["sha"].as_str().expect("a commit").to_owned()
        }
    };
    merge(&branch, &head).await;
}

#[tokio::test]
async fn a_pull_request_has_one_table_and_fails_for_what_is_live() {
    ready().await;
    // Its routes cost something: the runner pays, and the stub facilitator takes its word.
    let mut document = document(ID, "Is asked.");
    document["factory"]["free_service"] = json!(false);
    let files: Vec<_> = package(document).into_iter().map(|f| (f.path, f.content)).collect();
    let head = commit("asked-1", true, &files).await;
    let number = pull("asked-1", "Add `asked`; $(touch /tmp/injected) ${{ github.token }}").await["number"].clone();

    let (conclusion, log) = ended("gate.yml", &head).await;
    assert_eq!(conclusion, "success", "{log}");
    let first = comments(&number).await;
    assert_eq!(first.len(), 1, "one comment: {first:?}\n{log}");
    let table = first[0]["body"].as_str().expect("a table");
    assert!(table.contains("The gate passed.") && table.contains("| **asked.sh** | 3 of 3 |"), "{table}");

    // A second push, which breaks a route: a warning, and the same comment.
    let service = format!("packages/{ID}/src/service.ts");
    let (_, source) = files.iter().find(|(path, _)| *path == service).expect("the service");
    let broken = |how: &str| {
        let list = "return store.open(env).list(";
        let broken = source.replace(list, &format!("throw new Error(\"{how}\");\n    {list}"));
        assert_ne!(broken, *source, "the handler is another one by now: {source}");
        (service.clone(), broken)
    };
    let head = commit("asked-1", false, &[broken("on purpose")]).await;
    let (conclusion, log) = ended("gate.yml", &head).await;
    assert_eq!(conclusion, "success", "nothing of it is live: {log}");
    assert!(log.contains("::warning") || log.contains("##[warning]"), "it warns: {log}");
    let second = comments(&number).await;
    assert_eq!(second.len(), 1, "never a second: {second:?}");
    assert_eq!(second[0]["id"], first[0]["id"]);
    assert_ne!(second[0]["body"], first[0]["body"], "it says what became of the second push");

    // The same where it is live, by the base branch's word.
    live(Some(&[ID])).await;
    let head = commit("asked-1", false, &[broken("still")]).await;
    let (conclusion, log) = ended("gate.yml", &head).await;
    live(None).await;
    assert_eq!(conclusion, "failure", "{log}");
    let third = comments(&number).await;
    assert_eq!(third.len(), 1, "{third:?}");
    assert!(third[0]["body"].as_str().is_some_and(|body| body.contains("The gate failed.")), "{third:?}");
    let (statuses, check) = (forge(Method::GET, &format!("{REPOSITORY}/commits/{head}/statuses"), None).await, "flywheel/gate");
    assert!(statuses.as_array().is_some_and(|all| all.iter().all(|s| s["context"] != check)), "no workflow says that check: {statuses}");

    forge(Method::PATCH, &format!("{REPOSITORY}/pulls/{number}"), Some(json!({ "state": "closed" }))).await;
    forge(Method::DELETE, &format!("{REPOSITORY}/branches/asked-1"), None).await;
}

#[tokio::test]
async fn a_job_reaches_the_forge_and_nothing_else_of_the_bed() {
    ready().await;
    let node = "10.203.77.2";
    let edge = variable("EDGE_ADDRESS");
    let dns = variable("DNS_SERVER").split(':').next().unwrap_or_default().to_owned();
    let served = [format!("{node}:6443"), format!("{edge}:2021"), format!("{edge}:443"), format!("{dns}:53")];
    for address in &served {
        tokio::net::TcpStream::connect(address).await.unwrap_or_else(|e| panic!("{address} does not answer this test either: {e}"));
    }
    let inside = ["10.96.0.1:443", "10.96.0.10:53", "127.0.0.1:10257", "10.203.77.1:22"].map(str::to_owned);
    let addresses = [&served[..], &inside[..]].concat();
    let state = format!("{}/full", variable("FLYWHEEL_STATE"));
    let workflow = include_str!("../../testbed/internal/runner/testdata/hostile.yml")
        .replace("@BRANCH@", "hostile")
        .replace("@FORGE@", "10.203.77.3")
        .replace("@DNS@", &dns)
        .replace("@STATE@", &state)
        .replace("@HOME@", &variable("HOME"))
        .replace("@MARK@", "98765")
        .replace("@ADDRESSES@", &addresses.join(" "));
    let head = commit("hostile", true, &[(".github/workflows/hostile.yml".into(), workflow)]).await;
    let (_, log) = ended("hostile.yml", &head).await;
    forge(Method::DELETE, &format!("{REPOSITORY}/branches/hostile"), None).await;

    // A time comes first; the script's own lines have the word further behind.
    let said = log.lines().filter_map(|line| line.split_once(' ')?.1.strip_prefix("TRIED ")?.trim().rsplit_once(": "));
    let tried: BTreeMap<_, _> = said.map(|(what, became)| (what.to_owned(), became)).collect();
    assert_eq!(tried.get("reach 10.203.77.3:3000"), Some(&"done"), "{log}");
    for address in addresses {
        assert_eq!(tried.get(&format!("reach {address}")), Some(&"refused"), "{log}");
    }
    for what in
        [format!("list {state}"), format!("read {state}/forge/admin-token"), format!("list {}", variable("HOME")), "become root".into()]
    {
        assert_eq!(tried.get(&what), Some(&"refused"), "{log}");
    }
    assert_eq!(tried.get("say that the gate passed"), Some(&"403"), "{log}");
    assert_eq!(tried.get("processes left"), Some(&"0"), "{log}");
}
