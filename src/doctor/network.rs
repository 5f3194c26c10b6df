//! Proves that NetworkPolicies are enforced, and since when in a pod's life: a
//! pod in the gates' namespace tries from its first instruction on to reach the
//! API server, and a pod in a namespace without policies shows that it could be
//! reached at all. Both are removed again, whatever happens: `scene.rs`.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, anyhow};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Service, networking::v1::NetworkPolicy};
use kube::{Api, Client, api::ListParams};
use serde_json::{Value, json};

use super::{
    Finding, Level,
    scene::{LABEL, Scene},
    within,
};
use crate::{controller::context::Context, probe::Window, telemetry::chain};

const CHECK: &str = "network";
/// At the end of a window this much silence shows that the policy holds.
const SETTLED_MS: u64 = 1000;

/// Where to look.
pub(super) struct Place<'a> {
    pub gates: &'a str,
    pub system: &'a str,
    pub span: Duration,
    pub runtime_class: Option<&'a str>,
}

/// Looks into the cluster's network.
pub(super) async fn look(client: &Client, place: &Place<'_>) -> Vec<Finding> {
    let scene = Scene::new(client, place.gates, Context::for_one_look(client.clone()).now().at);
    let swept = scene.sweep().await;
    let measured = tokio::select! {
        measured = measure(&scene, place) => measured,
        () = interrupted() => Err(anyhow!("interrupted")),
    };
    let removed = scene.remove().await;

    let finding = measured.unwrap_or_else(|error| {
        Finding::bad(
            CHECK,
            Level::Fail,
            "NotProven",
            format!("could not prove that NetworkPolicies are enforced: {}", chain(error.as_ref())),
            "Mend what the message names, or give --skip-network.",
        )
    });
    let left_behind = [swept, removed].into_iter().filter_map(Result::err).map(|error| {
        Finding::bad(
            CHECK,
            Level::Warn,
            "LeftBehind",
            chain(error.as_ref()).to_string(),
            format!(
                "Remove it: kubectl delete namespaces -l {0}={1}; kubectl -n {2} delete pods -l {0}={1}.",
                LABEL.0, LABEL.1, place.gates
            ),
        )
    });
    std::iter::once(finding).chain(left_behind).collect()
}

/// Ends when somebody wants this process to end. From its first poll on the
/// signals don't end it by themselves.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        },
        _ => std::future::pending().await,
    }
}

async fn measure(scene: &Scene<'_>, place: &Place<'_>) -> anyhow::Result<Finding> {
    let client = scene.client;
    let image = controller_image(client, place.system).await?;
    let target = api_server(client).await?;
    let denied = default_deny(client, place.gates).await?;

    scene.open().await?;
    let span = place.span.as_secs().to_string();
    let control = pod((&scene.name, &scene.name), &image, place.runtime_class, &target, "3");
    let sealed = pod((place.gates, &scene.name), &image, place.runtime_class, &target, &span);
    let (control, sealed) = futures::join!(scene.run(&scene.name, &control), scene.run(place.gates, &sealed));
    Ok(judge(&control.context("pod without a policy")?, &sealed.context("pod in the gates' namespace")?, place.gates, &target, denied))
}

/// What the two windows show.
fn judge(control: &Window, sealed: &Window, gates: &str, target: &SocketAddr, default_deny: bool) -> Finding {
    if control.successes == 0 {
        return Finding::bad(
            CHECK,
            Level::Fail,
            "NotProven",
            format!("a pod without any policy could not reach {target} either: nothing is shown about policies"),
            "See that pods reach the API server's Service (kube-proxy, CNI).",
        );
    }
    let quiet_since = sealed.last_success_ms.unwrap_or(0);
    if sealed.tried_ms.saturating_sub(quiet_since) < SETTLED_MS {
        let (reason, remedy) = if default_deny {
            (
                "PolicyNotEnforced",
                "Install a network plug-in that enforces NetworkPolicy (kube-router, Calico, Cilium); until then no gate is safe.",
            )
        } else {
            ("PolicyMissing", "Restore the chart's default-deny NetworkPolicy: helm upgrade flywheel charts/flywheel.")
        };
        return Finding::bad(
            CHECK,
            Level::Fail,
            reason,
            format!("a pod in {gates} reached {target} until the end of its {} ms", sealed.tried_ms),
            remedy,
        );
    }
    match sealed.last_success_ms {
        None => Finding::ok(
            CHECK,
            format!("a pod in {gates} never reached {target} ({} attempts from its first instruction on)", sealed.attempts),
        ),
        // The gates' guard container waits until it is refused, so that agents'
        // code never runs in this window.
        Some(open) => Finding::ok(
            CHECK,
            format!(
                "a pod in {gates} reached {target} for its first {open} ms ({} connections), and not after: gates wait until they are sealed",
                sealed.successes
            ),
        ),
    }
}

async fn controller_image(client: &Client, namespace: &str) -> anyhow::Result<Image> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let what = format!("Deployment {namespace}/flywheel-controller, whose image the pods run");
    let deployment = within(&what, api.get("flywheel-controller")).await?;
    deployment
        .spec
        .and_then(|spec| spec.template.spec)
        .and_then(|spec| spec.containers.into_iter().next())
        .and_then(|container| Some(Image { name: container.image?, pull_policy: container.image_pull_policy }))
        .ok_or_else(|| anyhow!("Deployment {namespace}/flywheel-controller has no container"))
}

struct Image {
    name: String,
    pull_policy: Option<String>,
}

async fn api_server(client: &Client) -> anyhow::Result<SocketAddr> {
    let api: Api<Service> = Api::namespaced(client.clone(), "default");
    let service = within("the API server's Service", api.get("kubernetes")).await?;
    let spec = service.spec.unwrap_or_default();
    let port = spec.ports.unwrap_or_default().first().map_or(443, |p| p.port);
    let ip = spec.cluster_ip.context("the API server's Service has no address")?;
    Ok(SocketAddr::new(ip.parse().context("the API server's Service")?, u16::try_from(port)?))
}

/// Whether some policy of the namespace selects every pod and allows no egress.
async fn default_deny(client: &Client, namespace: &str) -> anyhow::Result<bool> {
    let api: Api<NetworkPolicy> = Api::namespaced(client.clone(), namespace);
    let policies = within(&format!("NetworkPolicies of {namespace}"), api.list(&ListParams::default())).await?;
    Ok(policies.into_iter().filter_map(|p| p.spec).any(|spec| {
        spec.pod_selector
            .is_none_or(|s| s.match_labels.unwrap_or_default().is_empty() && s.match_expressions.unwrap_or_default().is_empty())
            && spec.policy_types.unwrap_or_default().iter().any(|t| t == "Egress")
            && spec.egress.unwrap_or_default().is_empty()
    }))
}

/// A pod that the namespaces' `restricted` pod security takes.
fn pod((namespace, name): (&str, &str), image: &Image, runtime_class: Option<&str>, target: &SocketAddr, seconds: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "namespace": namespace, "labels": { LABEL.0: LABEL.1 } },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "terminationGracePeriodSeconds": 1,
            "activeDeadlineSeconds": 300,
            "runtimeClassName": runtime_class,
            "securityContext": { "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": { "type": "RuntimeDefault" } },
            "containers": [{
                "name": "probe",
                "image": image.name,
                "imagePullPolicy": image.pull_policy,
                "args": ["probe", "window", target.to_string(), "--for", seconds],
                "resources": { "requests": { "cpu": "10m", "memory": "32Mi" }, "limits": { "cpu": "500m", "memory": "64Mi" } },
                "securityContext": { "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": { "drop": ["ALL"] } }
            }]
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(successes: u64, last_success_ms: Option<u64>) -> Window {
        Window { attempts: 100, successes, last_success_ms, first_failure_ms: None, tried_ms: 10_000 }
    }

    #[test]
    fn only_silence_after_a_proven_way_is_enforcement() {
        let target = "10.96.0.1:443".parse().unwrap();
        let reason = |control, sealed, deny| judge(&control, &sealed, "gates", &target, deny).reason;
        let open = || window(50, Some(2_990));
        assert_eq!(reason(window(0, None), window(0, None), true), "NotProven");
        assert_eq!(reason(open(), window(900, Some(9_999)), true), "PolicyNotEnforced");
        assert_eq!(reason(open(), window(900, Some(9_999)), false), "PolicyMissing");
        assert_eq!(reason(open(), window(3, Some(420)), true), "Verified");
        assert_eq!(reason(open(), window(0, None), true), "Verified");
    }
}
