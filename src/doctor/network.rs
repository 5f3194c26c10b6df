//! Proves that NetworkPolicies are enforced, and since when in a pod's life: a
//! pod in the gates' namespace tries from its first instruction on to reach the
//! API server, and a pod in a namespace without policies shows that it could be
//! reached at all. Both are removed again.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace, Pod, Service},
    networking::v1::NetworkPolicy,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, LogParams, PostParams},
    runtime::wait::{await_condition, conditions},
};
use serde_json::{Value, json};

use super::{Finding, Level};
use crate::{probe::Window, telemetry::chain};

const CHECK: &str = "network";
/// Longest wait for a pod to start and end, beside the time it tries.
const PATIENCE: Duration = Duration::from_secs(90);
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
    match measure(client, place).await {
        Ok(findings) => findings,
        Err(error) => vec![Finding::bad(
            CHECK,
            Level::Fail,
            "NotProven",
            format!("could not prove that NetworkPolicies are enforced: {}", chain(error.as_ref())),
            "Mend what the message names, or give --skip-network.",
        )],
    }
}

async fn measure(client: &Client, place: &Place<'_>) -> anyhow::Result<Vec<Finding>> {
    let image = controller_image(client, place.system).await?;
    let target = api_server(client).await?;
    let denied = default_deny(client, place.gates).await?;

    let open = OpenNamespace::create(client).await?;
    let span = place.span.as_secs().to_string();
    let control = pod(&open.name, &image, place.runtime_class, &target, "3");
    let sealed = pod(place.gates, &image, place.runtime_class, &target, &span);
    let (control, sealed) = futures::join!(run(client, &open.name, &control), run(client, place.gates, &sealed));
    open.delete(client).await?;
    Ok(vec![judge(
        &control.context("pod without a policy")?,
        &sealed.context("pod in the gates' namespace")?,
        place.gates,
        &target,
        denied,
    )])
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
    let deployment = api
        .get("flywheel-controller")
        .await
        .with_context(|| format!("Deployment {namespace}/flywheel-controller, whose image the pods run"))?;
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
    let service = api.get("kubernetes").await.context("the API server's Service")?;
    let spec = service.spec.unwrap_or_default();
    let port = spec.ports.unwrap_or_default().first().map_or(443, |p| p.port);
    let ip = spec.cluster_ip.context("the API server's Service has no address")?;
    Ok(SocketAddr::new(ip.parse().context("the API server's Service")?, u16::try_from(port)?))
}

/// Whether some policy of the namespace selects every pod and allows no egress.
async fn default_deny(client: &Client, namespace: &str) -> anyhow::Result<bool> {
    let api: Api<NetworkPolicy> = Api::namespaced(client.clone(), namespace);
    let policies = api.list(&ListParams::default()).await.with_context(|| format!("NetworkPolicies of {namespace}"))?;
    Ok(policies.into_iter().filter_map(|p| p.spec).any(|spec| {
        spec.pod_selector
            .is_none_or(|s| s.match_labels.unwrap_or_default().is_empty() && s.match_expressions.unwrap_or_default().is_empty())
            && spec.policy_types.unwrap_or_default().iter().any(|t| t == "Egress")
            && spec.egress.unwrap_or_default().is_empty()
    }))
}

/// A pod that the namespaces' `restricted` pod security takes.
fn pod(namespace: &str, image: &Image, runtime_class: Option<&str>, target: &SocketAddr, seconds: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "generateName": "doctor-", "namespace": namespace, "labels": { "app.kubernetes.io/name": "flywheel-doctor" } },
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

/// Runs a pod to its end, reads what it printed, and removes it.
async fn run(client: &Client, namespace: &str, pod: &Value) -> anyhow::Result<Window> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pod: Pod = serde_json::from_value(pod.clone())?;
    let name = api.create(&PostParams::default(), &pod).await.with_context(|| format!("pod in {namespace}"))?.name_any();
    let result = ended(&api, &name).await;
    if let Err(error) = api.delete(&name, &DeleteParams::default().grace_period(0)).await {
        tracing::warn!(pod = name, error = chain(&error), "pod not removed");
    }
    result
}

async fn ended(api: &Api<Pod>, name: &str) -> anyhow::Result<Window> {
    let ended = await_condition(api.clone(), name, |pod: Option<&Pod>| {
        matches!(pod.and_then(|p| p.status.as_ref()?.phase.as_deref()), Some("Succeeded" | "Failed"))
    });
    let pod = match tokio::time::timeout(PATIENCE, ended).await {
        Ok(pod) => pod?.context("the pod was removed by somebody else")?,
        Err(_) => bail!("pod {name} did not end within {} s: {}", PATIENCE.as_secs(), waiting(api.get(name).await.ok().as_ref())),
    };
    let log = api.logs(name, &LogParams::default()).await.context("the pod's log")?;
    serde_json::from_str(&log).with_context(|| format!("pod {name} ended as {}", pod.status.and_then(|s| s.phase).unwrap_or_default()))
}

/// Why a pod does not run, in Kubernetes' words.
fn waiting(pod: Option<&Pod>) -> String {
    pod.and_then(|p| p.status.as_ref()?.container_statuses.as_ref()?.first()?.state.as_ref()?.waiting.as_ref()).map_or_else(
        || "no reason given".into(),
        |w| format!("{} {}", w.reason.as_deref().unwrap_or_default(), w.message.as_deref().unwrap_or_default()),
    )
}

/// A namespace of our own, where no policy holds.
struct OpenNamespace {
    name: String,
}

impl OpenNamespace {
    async fn create(client: &Client) -> anyhow::Result<Self> {
        let api: Api<Namespace> = Api::all(client.clone());
        let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "generateName": "flywheel-doctor-" } }))?;
        let name = api.create(&PostParams::default(), &namespace).await.context("a namespace for the pod without a policy")?.name_any();
        let open = Self { name };
        // The pod is refused until the namespace has its service account.
        let accounts: Api<k8s_openapi::api::core::v1::ServiceAccount> = Api::namespaced(client.clone(), &open.name);
        let ready = await_condition(accounts, "default", conditions::is_created());
        if tokio::time::timeout(PATIENCE, ready).await.is_err() {
            open.delete(client).await?;
            bail!("namespace {} got no service account", open.name);
        }
        Ok(open)
    }

    async fn delete(&self, client: &Client) -> anyhow::Result<()> {
        let api: Api<Namespace> = Api::all(client.clone());
        api.delete(&self.name, &DeleteParams::default()).await.with_context(|| format!("namespace {} was not removed", self.name))?;
        Ok(())
    }
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
