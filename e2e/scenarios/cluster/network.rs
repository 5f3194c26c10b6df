//! What pods reach: nothing from `flywheel-gates`, everything from a namespace
//! without policies.

use std::{collections::BTreeMap, net::TcpListener};

use flywheel::probe::Window;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace, Pod, Service, ServiceAccount},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, LogParams, PostParams},
    runtime::{conditions, wait::await_condition},
};
use serde_json::json;

use super::bed::ready;
use crate::support::{PATIENCE, until, variable};

/// Seconds that each way is tried; a policy holds within the first of them.
const SECONDS: &str = "6";
/// Milliseconds of silence at the end that show that a way is closed.
const SILENCE_MS: u64 = 2000;

/// Every way out of a pod, by name.
async fn ways(client: &Client, host: &TcpListener) -> BTreeMap<&'static str, String> {
    let services: Api<Service> = Api::namespaced(client.clone(), "default");
    let api = services.get("kubernetes").await.expect("service").spec.and_then(|s| s.cluster_ip).expect("address");
    let pods: Api<Pod> = Api::namespaced(client.clone(), "flywheel-system");
    let pods = pods.list(&ListParams::default()).await.expect("pods");
    let pod = pods.iter().find_map(|p| p.status.as_ref()?.pod_ip.clone()).expect("the controller's pod");
    let forge = variable("FORGE_URL").trim_end_matches('/').trim_start_matches("http://").to_owned();
    BTreeMap::from([
        ("api server (service)", format!("{api}:443")),
        ("api server (node)", "10.203.77.2:6443".into()),
        ("kubelet", "10.203.77.2:10250".into()),
        ("cluster dns", "10.96.0.10:53".into()),
        ("forge", forge),
        ("dns", variable("DNS_SERVER")),
        ("edge", format!("{}:443", variable("EDGE_ADDRESS"))),
        ("another pod", format!("{pod}:8080")),
        ("host", host.local_addr().expect("address").to_string()),
    ])
}

/// Tries all ways at once from one pod, a container each.
async fn windows(client: &Client, namespace: &str, ways: &BTreeMap<&'static str, String>) -> BTreeMap<&'static str, Window> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "flywheel-system");
    let deployment = deployments.get("flywheel-controller").await.expect("deployment");
    let image = deployment.spec.and_then(|s| s.template.spec).and_then(|s| s.containers.into_iter().next()?.image).expect("image");
    let containers: Vec<_> = ways
        .values()
        .enumerate()
        .map(|(i, target)| {
            json!({
                "name": format!("way-{i}"), "image": image, "imagePullPolicy": "Never",
                "args": ["probe", "window", target, "--for", SECONDS],
                "securityContext": { "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] } }
            })
        })
        .collect();
    let pod = json!({
        "metadata": { "generateName": "ways-" },
        "spec": {
            "restartPolicy": "Never", "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 1,
            "securityContext": { "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": containers
        }
    });
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let name = api.create(&PostParams::default(), &serde_json::from_value(pod).expect("pod")).await.expect("pod").name_any();
    until(api.clone(), &name, "ended", |p| p.status.as_ref().is_some_and(|s| matches!(s.phase.as_deref(), Some("Succeeded" | "Failed"))))
        .await;
    let mut windows = BTreeMap::new();
    for (i, way) in ways.keys().enumerate() {
        let params = LogParams { container: Some(format!("way-{i}")), ..LogParams::default() };
        let log = api.logs(&name, &params).await.expect("log");
        windows.insert(*way, serde_json::from_str(&log).unwrap_or_else(|e| panic!("{way}: {e}: {log}")));
    }
    api.delete(&name, &DeleteParams::default()).await.expect("delete");
    windows
}

#[tokio::test]
async fn a_gate_reaches_nothing_and_others_do() {
    let (client, _) = ready().await;
    // The host's end of the veth pair: nothing else of the host is on the way.
    let host = TcpListener::bind("10.203.77.1:0").expect("the host's end of the test bed's network");
    // A listener that accepts nothing would be full soon, and look closed.
    let accepting = host.try_clone().expect("listener");
    std::thread::spawn(move || accepting.incoming().for_each(drop));
    let ways = ways(&client, &host).await;

    let namespaces: Api<Namespace> = Api::all(client.clone());
    let open: Namespace = serde_json::from_value(json!({ "metadata": { "generateName": "open-" } })).expect("namespace");
    let open = namespaces.create(&PostParams::default(), &open).await.expect("namespace").name_any();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &open);
    tokio::time::timeout(PATIENCE, await_condition(accounts, "default", conditions::is_created())).await.expect("in time").expect("watch");

    let outside = windows(&client, &open, &ways).await;
    namespaces.delete(&open, &DeleteParams::default()).await.expect("delete");
    // The controller's own policy keeps its health port closed to others.
    for (way, window) in outside.iter().filter(|(way, _)| **way != "another pod") {
        assert!(window.successes > 0, "a pod without a policy does not reach {way}: {window:?}");
    }

    let sealed = windows(&client, "flywheel-gates", &ways).await;
    for (way, window) in &sealed {
        let quiet = window.tried_ms - window.last_success_ms.unwrap_or(0);
        assert!(quiet >= SILENCE_MS, "a gate reaches {way}: {window:?}");
        eprintln!("{way}: open for {} ms ({} connections)", window.last_success_ms.unwrap_or(0), window.successes);
    }
}
