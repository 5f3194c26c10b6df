//! Parts that fail on the way: each journey ends well by itself.

use flywheel::api::gate_run::GateRun;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{answering, declare, document, patch, remove, saying};
use crate::{
    cluster::bed::{forge, heal, kill, ready},
    support::until_within,
};

#[tokio::test]
async fn a_forge_that_is_down_is_waited_for() {
    let (client, _) = ready().await;
    declare(&client, document("patient", "Waits."), json!({ "paused": { "reason": "until the forge is down" } })).await;
    saying(&client, "patient", "Stalled", "True", "Paused").await;
    kill("forge");
    patch(&client, "patient", json!({ "paused": null })).await;
    // Meanwhile the object itself says what is wrong.
    let said = until_within(super::JOURNEY, super::primitives(&client), "patient", "waiting for the forge", |p| {
        let ready = p.status.iter().flat_map(|s| &s.conditions).find(|c| c.type_ == "Ready");
        ready.is_some_and(|c| c.message.contains("does not answer"))
    })
    .await;
    assert!(!super::says(&said, "Ready", "True", "Answering"));
    heal();
    answering(&client, "patient").await;
    remove(&client, "patient").await;
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
            let ready = p.status.iter().flat_map(|s| &s.conditions).find(|c| c.type_ == "Ready");
            ready.is_some_and(|c| c.message.contains("does not answer"))
        })
        .await;
        heal();
        answering(&client, "remote").await;
        patch(&client, "remote", json!({ "stage": "Building" })).await;
        saying(&client, "remote", "Ready", "True", "StageReached").await;
    }
    remove(&client, "remote").await;
}
