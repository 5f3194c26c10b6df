//! What pods reach, under every RuntimeClass: nothing from `flywheel-gates` once
//! their first container has ended as that of every gate does, everything from a
//! namespace without policies.

use std::{collections::BTreeMap, net::TcpListener};

use flywheel::{gate::job::API_SERVER, probe::Window};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace, Pod, Service, ServiceAccount},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, LogParams, PostParams},
    runtime::{conditions, wait::await_condition},
};
use serde_json::json;

use super::{bed::ready, gates::classes};
use crate::support::{PATIENCE, until, variable};

/// Seconds that each way is tried.
const SECONDS: &str = "3";

/// Where a way out leads, as the arguments of `flywheel probe window`.
type Way = Vec<String>;

/// Every way out of a pod, by name.
async fn ways(client: &Client, host: &TcpListener, pod: &str) -> BTreeMap<&'static str, Way> {
    let services: Api<Service> = Api::namespaced(client.clone(), "default");
    let api = services.get("kubernetes").await.expect("service").spec.and_then(|s| s.cluster_ip).expect("address");
    let tcp = |target: String| vec![target];
    let udp = |target: &str| vec![target.to_owned(), "--udp".to_owned()];
    let forge = variable("FORGE_URL").trim_end_matches('/').trim_start_matches("http://").to_owned();
    BTreeMap::from([
        ("api server (service)", tcp(format!("{api}:443"))),
        ("api server (node)", tcp("10.203.77.2:6443".into())),
        ("kubelet", tcp("10.203.77.2:10250".into())),
        ("cluster dns", tcp("10.96.0.10:53".into())),
        ("cluster dns (udp)", udp("10.96.0.10:53")),
        ("forge", tcp(forge)),
        ("dns", tcp(variable("DNS_SERVER"))),
        ("edge", tcp(format!("{}:443", variable("EDGE_ADDRESS")))),
        ("another pod", tcp(format!("{pod}:8080"))),
        ("host", tcp(host.local_addr().expect("address").to_string())),
    ])
}

/// A pod that takes connections, and its address.
async fn listener(client: &Client, namespace: &str, image: &str) -> String {
    let pod = json!({
        "metadata": { "generateName": "listener-" },
        "spec": {
            "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "listener", "image": image, "imagePullPolicy": "Never",
                "command": ["/usr/local/bin/bun", "--eval", "Bun.serve({ port: 8080, hostname: '0.0.0.0', fetch: () => new Response('here') })"],
                "readinessProbe": { "tcpSocket": { "port": 8080 }, "periodSeconds": 1 }
            }]
        }
    });
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let name = api.create(&PostParams::default(), &serde_json::from_value(pod).expect("pod")).await.expect("pod").name_any();
    let is_ready = |pod: &Pod| {
        let conditions = pod.status.as_ref().and_then(|s| s.conditions.as_ref()).into_iter().flatten();
        conditions.into_iter().any(|c| c.type_ == "Ready" && c.status == "True")
    };
    until(api, &name, "ready", is_ready).await.status.and_then(|s| s.pod_ip).expect("its address")
}

/// Tries all ways at once from one pod, a container each; after `first`, the
/// arguments of a container that has to end well before them.
async fn windows(
    client: &Client,
    namespace: &str,
    class: Option<&str>,
    first: Option<&[&str]>,
    ways: &BTreeMap<&'static str, Way>,
) -> BTreeMap<&'static str, Window> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "flywheel-system");
    let deployment = deployments.get("flywheel-controller").await.expect("deployment");
    let image = deployment.spec.and_then(|s| s.template.spec).and_then(|s| s.containers.into_iter().next()?.image).expect("image");
    let container = |name: &str, args: &[&str]| {
        json!({
            "name": name, "image": image, "imagePullPolicy": "Never", "args": args,
            "securityContext": { "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] } }
        })
    };
    let containers: Vec<_> = ways
        .values()
        .enumerate()
        .map(|(i, way)| {
            let args: Vec<_> = ["probe", "window", "--for", SECONDS].into_iter().chain(way.iter().map(String::as_str)).collect();
            container(&format!("way-{i}"), &args)
        })
        .collect();
    let first: Vec<_> = first.map(|args| container("first", args)).into_iter().collect();
    let pod = json!({
        "metadata": { "generateName": "ways-" },
        "spec": {
            "runtimeClassName": class, "restartPolicy": "Never", "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 1,
            "securityContext": { "runAsNonRoot": true, "runAsUser": 65532, "seccompProfile": { "type": "RuntimeDefault" } },
            "initContainers": first, "containers": containers
        }
    });
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let name = api.create(&PostParams::default(), &serde_json::from_value(pod).expect("pod")).await.expect("pod").name_any();
    let ended = |p: &Pod| p.status.as_ref().is_some_and(|s| matches!(s.phase.as_deref(), Some("Succeeded" | "Failed")));
    let status = until(api.clone(), &name, "ended", ended).await.status.expect("status");
    assert_eq!(status.phase.as_deref(), Some("Succeeded"), "{:?}", status.init_container_statuses);
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
    let (client, factory) = ready().await;
    // The host's end of the veth pair: nothing else of the host is on the way.
    let host = TcpListener::bind("10.203.77.1:0").expect("the host's end of the test bed's network");
    // A listener that accepts nothing would be full soon, and look closed.
    let accepting = host.try_clone().expect("listener");
    std::thread::spawn(move || accepting.incoming().for_each(drop));

    let namespaces: Api<Namespace> = Api::all(client.clone());
    let open: Namespace = serde_json::from_value(json!({ "metadata": { "generateName": "open-" } })).expect("namespace");
    let open = namespaces.create(&PostParams::default(), &open).await.expect("namespace").name_any();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &open);
    tokio::time::timeout(PATIENCE, await_condition(accounts, "default", conditions::is_created())).await.expect("in time").expect("watch");
    let pod = listener(&client, &open, &factory.spec.deploy.image).await;
    let ways = ways(&client, &host, &pod).await;

    // Policies come to hold beside a pod's start. Its first container waits for that, as
    // a gate's does, and agents' code is not run before.
    let seal = ["gate", "seal", API_SERVER];
    let mut problems = Vec::new();
    for class in classes(&client).await {
        let class = class.as_deref();
        let place = class.unwrap_or("default");
        // The pod that is connected to stays: a way that ends nowhere would look closed.
        for (way, window) in windows(&client, &open, class, None, &ways).await {
            if window.successes == 0 {
                problems.push(format!("{place}: a pod without a policy does not reach {way}: {window:?}"));
            }
        }
        for (way, window) in windows(&client, "flywheel-gates", class, Some(&seal), &ways).await {
            if window.successes > 0 || window.attempts == 0 {
                problems.push(format!("{place}: a gate reaches {way}: {window:?}"));
            }
        }
    }
    namespaces.delete(&open, &DeleteParams::default()).await.expect("delete");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
