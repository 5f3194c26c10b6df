//! One journey with the controller dying at every place where something has just
//! been done, or is about to be: the end is the same as without.

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{answering, branches, declare, deployments, dig, document, pulls, remove};
use crate::{
    cluster::bed::{forge, ready},
    support::{PATIENCE, run, testbed_path, until, variable},
};

/// In the order of a journey. Each process dies at the first place it reaches.
const PLACES: [&str; 24] = [
    "create_object:before",
    "create_object:after",
    "commit_files:before",
    "commit_files:after",
    "open_pull:before",
    "open_pull:after",
    "create_gate:before",
    "create_gate:after",
    "set_status:before",
    "set_status:after",
    "comment:after",
    "merge:before",
    "merge:after",
    "delete_branch:before",
    "delete_branch:after",
    "poke_factory:after",
    "apply_object:before",
    "apply_object:after",
    "apply_object:after:2",
    "set_route:before",
    "set_route:after",
    "set_address:before",
    "set_address:after",
    "create_object:after",
];

/// The controller as a process of this machine, beside the cluster.
struct Controller(Child);

impl Controller {
    /// Starts it, to die at `place`; nowhere where that is empty.
    fn start(place: &str) -> Self {
        let gitleaks = format!("{}/gitleaks", run(Command::new(testbed_path()).args(["program", "gitleaks"])).trim());
        let resolver = std::env::temp_dir().join("flywheel-crashes-resolv.conf");
        let server = variable("DNS_SERVER");
        fs::write(&resolver, format!("nameserver {}\n", server.split(':').next().unwrap_or_default())).expect("resolv.conf");
        let script = format!("mount --bind {} /etc/resolv.conf && exec {} controller", resolver.display(), env!("CARGO_BIN_EXE_flywheel"));
        let child = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script])
            .env("FLYWHEEL_FAILPOINT", place)
            .env("FLYWHEEL_GITLEAKS", gitleaks)
            .env("FLYWHEEL_RESYNC_SECONDS", "5")
            .env("FLYWHEEL_HEALTH_LISTEN", "127.0.0.1:0")
            .env("FLYWHEEL_WEBHOOK_LISTEN", "127.0.0.1:0")
            .env("FLYWHEEL_LOG_FORMAT", "text")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the controller starts");
        Self(child)
    }

    /// Waits until it died by itself.
    async fn died(mut self, place: &str) {
        let wait = tokio::task::spawn_blocking(move || self.0.wait());
        let status = tokio::time::timeout(PATIENCE * 2, wait).await;
        let status = status.unwrap_or_else(|_| panic!("{place} was not reached")).expect("wait").expect("wait");
        assert!(!status.success(), "{place}: {status}");
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // Already gone where it died; either way there is nobody left after this.
        let _ = self.0.kill();
        let _ = self.0.wait();
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
    declare(&client, document("crashed", "Survives."), Value::Null).await;
    for place in PLACES {
        let began = std::time::Instant::now();
        Controller::start(place).died(place).await;
        eprintln!("died at {place} after {:.1} s", began.elapsed().as_secs_f64());
    }
    let last = Controller::start("");
    let primitive = answering(&client, "crashed").await;
    drop(last);
    scale(&client, 1).await;

    let status = primitive.status.expect("status");
    let found = pulls("crashed").await;
    assert_eq!(found.len(), 1, "one pull request: {found:?}");
    assert!(branches("crashed").await.is_empty(), "its branch is gone");
    let main = forge(Method::GET, "/repos/prim/factory/commits?sha=main&limit=50&stat=false&files=false", None).await;
    let merges = main
        .as_array()
        .into_iter()
        .flatten()
        .filter(|c| c["commit"]["message"].as_str().is_some_and(|m| m.starts_with("Add crashed.sh")))
        .count();
    assert_eq!(merges, 1, "one merge");
    let comments = forge(Method::GET, &format!("/repos/prim/factory/issues/{}/comments", found[0]["number"]), None).await;
    assert_eq!(comments.as_array().map(Vec::len), Some(1), "one comment");
    assert_eq!(dig("crashed.prim.sh", "A"), [variable("EDGE_ADDRESS")]);
    assert_eq!(dig("a-crashed.prim.sh", "TXT").len(), 1);
    let deployment = deployments(&client).get("prim-crashed").await.expect("Deployment");
    assert_eq!(deployment.metadata.generation, Some(1), "one generation for one commit");
    assert_eq!(deployment.metadata.annotations.and_then(|a| a.get("flywheel.prim.sh/commit").cloned()), status.commit);
    let runs: Api<flywheel::api::gate_run::GateRun> = Api::namespaced(client.clone(), "flywheel");
    let runs = runs.list(&ListParams::default()).await.expect("GateRuns").items;
    let ours: Vec<_> = runs.iter().filter_map(|r| r.metadata.name.clone()).filter(|name| name.starts_with("crashed-")).collect();
    assert_eq!(ours.len(), 2, "one of each layer: {ours:?}");
    remove(&client, "crashed").await;
}
