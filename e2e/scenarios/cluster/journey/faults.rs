//! Parts that fail on the way: each journey ends well by itself.

use std::time::Duration;

use flywheel::api::gate_run::GateRun;
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{JOURNEY, answering, changes, declare, document, patch, primitives, pulls, remove, saying};
use crate::{
    cluster::bed::{NAME, SecretValue, factories, forge, heal, kill, ready, says, touch},
    support::{until, until_within},
};

/// How long the forge is away in the middle of a change.
const OUTAGE: Duration = Duration::from_secs(30);

/// What is said of a server that is away.
fn silent(conditions: &[Condition]) -> bool {
    conditions.iter().any(|c| c.type_ == "Ready" && c.status == "False" && c.message.contains("does not answer"))
}

#[tokio::test]
async fn a_forge_that_is_down_is_waited_for() {
    let (client, _) = ready().await;
    declare(&client, document("patient", "Waits."), json!({ "paused": { "reason": "until the forge is down" } })).await;
    saying(&client, "patient", "Stalled", "True", "Paused").await;
    kill("forge");
    patch(&client, "patient", json!({ "paused": null })).await;
    // Meanwhile the object itself says what is wrong.
    let said = until_within(super::JOURNEY, super::primitives(&client), "patient", "waiting for the forge", |p| {
        p.status.as_ref().is_some_and(|s| silent(&s.conditions))
    })
    .await;
    assert!(!super::says(&said, "Ready", "True", "Answering"));
    heal();
    answering(&client, "patient").await;
    remove(&client, "patient").await;
}

#[tokio::test]
async fn a_forge_that_goes_away_in_the_middle_is_waited_for() {
    let (client, _) = ready().await;
    let before = pulls("midway").await.len();
    declare(&client, document("midway", "Halfway there."), Value::Null).await;
    let proposed =
        until_within(JOURNEY, primitives(&client), "midway", "proposed", |p| p.status.as_ref().is_some_and(|s| s.agent_pr.is_some())).await;
    let change = proposed.status.and_then(|s| s.agent_pr).expect("an AgentPR");
    until_within(JOURNEY, changes(&client), &change, "a pull request", |c| c.status.as_ref().is_some_and(|s| s.number.is_some())).await;
    kill("forge");
    let killed = tokio::time::Instant::now();
    until(changes(&client), &change, "waiting for the forge", |c| c.status.as_ref().is_some_and(|s| silent(&s.conditions))).await;
    // All that time it says so, and gets no further.
    let early = tokio::time::timeout_at(killed + OUTAGE, answering(&client, "midway")).await;
    assert!(early.is_err(), "nothing can be merged without a forge");
    heal();
    answering(&client, "midway").await;
    eprintln!("{} s after the forge went away for {} s: answering", killed.elapsed().as_secs(), OUTAGE.as_secs());
    let found = pulls("midway").await;
    assert_eq!(found.len(), before + 1, "one pull request: {found:#?}");
    remove(&client, "midway").await;
}

#[tokio::test]
async fn without_deliveries_polling_does_the_work() {
    let (client, _) = ready().await;
    let hooks = forge(Method::GET, "/repos/prim/factory/hooks", None).await;
    let hook = format!("/repos/prim/factory/hooks/{}", hooks[0]["id"]);
    forge(Method::PATCH, &hook, Some(json!({ "active": false }))).await;
    declare(&client, document("unheard", "Nobody tells."), Value::Null).await;
    answering(&client, "unheard").await;
    remove(&client, "unheard").await;
    forge(Method::PATCH, &hook, Some(json!({ "active": true }))).await;
}

#[tokio::test]
async fn a_gate_whose_pod_is_deleted_is_run_again() {
    let (client, _) = ready().await;
    declare(&client, document("evicted", "Loses its pod."), Value::Null).await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "flywheel-gates");
    let ours = "flywheel.prim.sh/primitive=evicted,flywheel.prim.sh/layer=unit";
    let began = await_pod(&pods, ours).await;
    pods.delete(&began, &DeleteParams::default().grace_period(0)).await.expect("delete the pod");
    answering(&client, "evicted").await;
    let runs: Api<GateRun> = Api::namespaced(client.clone(), "flywheel");
    let runs = runs.list(&ListParams::default()).await.expect("GateRuns");
    let verdicts: Vec<_> = runs
        .items
        .iter()
        .filter(|run| run.spec.target.agent_pr.as_ref().is_some_and(|target| target.name.starts_with("evicted-")))
        .filter_map(|run| run.status.as_ref()?.verdict)
        .map(|verdict| format!("{verdict:?}"))
        .collect();
    assert!(verdicts.contains(&"Error".to_owned()) && verdicts.contains(&"Passed".to_owned()), "{verdicts:?}");
    remove(&client, "evicted").await;
}

/// The first pod with these labels.
async fn await_pod(pods: &Api<Pod>, labels: &str) -> String {
    use futures::TryStreamExt;
    use kube::runtime::{WatchStreamExt, watcher};
    let mut seen = std::pin::pin!(watcher(pods.clone(), watcher::Config::default().labels(labels)).default_backoff().applied_objects());
    let first =
        tokio::time::timeout(crate::support::PATIENCE, seen.try_next()).await.expect("a pod in time").expect("watch").expect("a pod");
    first.metadata.name.expect("a name")
}

#[tokio::test]
async fn an_edge_and_a_name_server_that_are_down_are_waited_for() {
    let (client, _) = ready().await;
    declare(&client, document("remote", "Waits for its name."), json!({ "stage": "Building" })).await;
    saying(&client, "remote", "Ready", "True", "StageReached").await;
    for part in ["edge", "dns"] {
        kill(part);
        patch(&client, "remote", json!({ "stage": "Testing" })).await;
        until_within(super::JOURNEY, super::primitives(&client), "remote", "waiting", |p| {
            p.status.as_ref().is_some_and(|s| silent(&s.conditions))
        })
        .await;
        heal();
        answering(&client, "remote").await;
        patch(&client, "remote", json!({ "stage": "Building" })).await;
        saying(&client, "remote", "Ready", "True", "StageReached").await;
    }
    remove(&client, "remote").await;
}

#[tokio::test]
async fn a_name_server_that_refuses_is_waited_for() {
    let (client, _) = ready().await;
    declare(&client, document("refused", "Has no name yet."), json!({ "stage": "Building" })).await;
    saying(&client, "refused", "Ready", "True", "StageReached").await;
    let key = SecretValue::replace(&client, "flywheel-dns", "secret", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").await;
    patch(&client, "refused", json!({ "stage": "Testing" })).await;
    let said = until_within(JOURNEY, primitives(&client), "refused", "told what the name server says", |p| {
        let ready = p.status.iter().flat_map(|s| &s.conditions).find(|c| c.type_ == "Ready");
        ready.is_some_and(|c| c.status == "False" && c.reason == "KeyRejected")
    })
    .await;
    assert!(super::dig("refused.prim.sh", "A").is_empty(), "{said:#?}");
    key.restore().await;
    answering(&client, "refused").await;
    // The Factory looks again when somebody mends what it refused.
    touch(&client).await;
    until(factories(&client), NAME, "Ready", |f| says(f, "Ready", "True", "Verified")).await;
    remove(&client, "refused").await;
}
