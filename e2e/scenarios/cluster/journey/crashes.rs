//! One journey with the controller dying at every place where something has just
//! been done, or is about to be: the end is the same as without.

use std::path::PathBuf;

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;

use super::{answering, changes, declare, deployments, dig, document, no_branches, patch, pulls, remove, saying, told};
use crate::{
    cluster::bed::ready,
    controller::{Controller, Manner},
    support::{PATIENCE, until, variable},
};

/// From the document to the merge, in this order. Each process dies at the first
/// place that it reaches.
const TO_MERGE: [&str; 15] = [
    "create_object:before",
    "create_object:after",
    "commit_files:before",
    "commit_files:after",
    "open_pull:before",
    "open_pull:after",
    "create_gate:before",
    "create_gate:after",
    "comment:before",
    "comment:after",
    "set_status:after",
    "merge:before",
    "merge:after",
    "delete_branch:before",
    "delete_branch:after",
];

/// From the merge to the name, and to what its gate said of it.
const TO_NAME: [&str; 11] = [
    "apply_object:before",
    "apply_object:after",
    "apply_object:after:2",
    "set_route:before",
    "set_route:after",
    "set_address:before",
    "set_address:after",
    "create_object:before",
    "create_object:after",
    "keep_report:before",
    "keep_report:after",
];

/// Starts a controller beside the cluster, to die at `place`; nowhere where that is
/// empty.
fn start(place: &str) -> Controller {
    let kubeconfig = PathBuf::from(variable("KUBECONFIG"));
    Controller::start(place, Manner { kubeconfig: &kubeconfig, webhook: "127.0.0.1:0" })
}

async fn die_at(places: &[&str]) {
    for place in places {
        let began = std::time::Instant::now();
        let died = tokio::time::timeout(PATIENCE * 2, start(place).died()).await;
        let (action, side) = died.unwrap_or_else(|_| panic!("{place} was not reached"));
        assert!(place.starts_with(&format!("{action}:{side}")), "{place}: it died at {action}:{side}");
        eprintln!("died at {place} after {:.1} s", began.elapsed().as_secs_f64());
    }
}

async fn scale(client: &Client, replicas: i32) {
    let api: Api<Deployment> = Api::namespaced(client.clone(), "flywheel-system");
    let patch = json!({ "spec": { "replicas": replicas } });
    api.patch("flywheel-controller", &PatchParams::default(), &Patch::Merge(patch)).await.expect("scale");
    until(api, "flywheel-controller", "scaled", |d| {
        let status = d.status.clone().unwrap_or_default();
        status.observed_generation == d.metadata.generation
            && status.replicas.unwrap_or(0) == replicas
            && status.ready_replicas.unwrap_or(0) == replicas
    })
    .await;
}

#[tokio::test]
async fn a_controller_that_dies_everywhere_makes_everything_once() {
    let (client, _) = ready().await;
    scale(&client, 0).await;
    let journey = tokio::spawn(journey(client.clone())).await;
    scale(&client, 1).await;
    journey.expect("the journey");
    remove(&client, ID).await;
}

const ID: &str = "crashed";

async fn journey(client: Client) {
    // One half at a time: kinds are worked on side by side, in no order.
    let before = pulls(ID).await.len();
    declare(&client, document(ID, "Survives."), json!({ "stage": "Building" })).await;
    die_at(&TO_MERGE).await;
    let merging = start("");
    saying(&client, ID, "Ready", "True", "StageReached").await;
    drop(merging);
    patch(&client, ID, json!({ "stage": "Testing" })).await;
    die_at(&TO_NAME).await;
    let last = start("");
    let primitive = answering(&client, ID).await;
    drop(last);

    let status = primitive.status.expect("status");
    let change = changes(&client).get(&status.agent_pr.expect("an AgentPR")).await.expect("AgentPR");
    let said = change.status.expect("status");
    assert!(said.conditions.iter().any(|c| c.type_ == "Ready" && c.reason == "Merged"), "what was tested was merged: {said:?}");
    let found = pulls(ID).await;
    assert_eq!(found.len(), before + 1, "one pull request");
    assert_eq!(found[0]["merge_commit_sha"].as_str(), said.merge_sha.as_deref());
    no_branches(ID).await;
    assert_eq!(told(&found[0]["number"]).await.len(), 1, "one comment");
    assert_eq!(dig("crashed.prim.sh", "A"), [variable("EDGE_ADDRESS")]);
    assert_eq!(dig("a-crashed.prim.sh", "TXT").len(), 1);
    let deployment = deployments(&client).get("prim-crashed").await.expect("Deployment");
    assert_eq!(deployment.metadata.generation, Some(1), "one generation for one commit");
    assert_eq!(deployment.metadata.annotations.and_then(|a| a.get("flywheel.prim.sh/commit").cloned()), status.commit);
    let runs: Api<flywheel::api::gate_run::GateRun> = Api::namespaced(client.clone(), "flywheel");
    let runs = runs.list(&ListParams::default()).await.expect("GateRuns").items;
    let ours: Vec<_> = runs
        .iter()
        .filter_map(|r| r.metadata.name.clone())
        .filter(|name| name.starts_with("crashed-") && !name.starts_with("crashed-remove-"))
        .collect();
    assert_eq!(ours.len(), 2, "one of each layer: {ours:?}");
}
