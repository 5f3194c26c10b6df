//! How a workload is doing: a pure judgement of what was read of the cluster, in
//! Kubernetes' own words. What it says stays the same while nothing changes: no
//! counts of restarts, no growing waits.

use std::collections::BTreeSet;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentStatus},
        core::v1::{ContainerStatus, Pod, Service},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use serde_json::Value;

use super::{COMMIT, PORT, Rollout, Running, TREE, manifests::UNPACK, subset};
use crate::{
    decide::Manifest,
    gate::report::{Summary, cut},
};

/// Longest part of a message of Kubernetes' that is repeated.
const LONGEST: usize = 300;
/// Why a container waits whose Secret or ConfigMap is not there.
const CONFIG_ERROR: &str = "CreateContainerConfigError";

/// What was read of the cluster.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The Deployment.
    pub deployment: Option<Deployment>,
    /// The Service.
    pub service: Option<Service>,
    /// Its pods.
    pub pods: Vec<Pod>,
    /// Objects that are only made and never changed, by kind and name.
    pub made: BTreeSet<(String, String)>,
}

/// What that comes to, measured by the manifests that are wanted, if any are.
pub fn judge(wanted: Option<&[Manifest]>, seen: &Seen) -> Running {
    let ready = seen.pods.iter().filter(|pod| is_ready(pod)).max_by_key(|pod| made_at(pod));
    let differs = wanted.is_some_and(|wanted| wanted.iter().any(|manifest| is_other(manifest, seen)) || lacks_config(&seen.pods));
    Running {
        tree: ready.and_then(|pod| pod.annotations().get(TREE).cloned()),
        rollout: seen.deployment.as_ref().map_or(Rollout::Absent, |deployment| rollout(deployment, &seen.pods)),
        address: seen.service.as_ref().and_then(address),
        differs,
    }
}

fn address(service: &Service) -> Option<std::net::SocketAddr> {
    let ip = service.spec.as_ref()?.cluster_ip.as_ref()?.parse().ok()?;
    Some(std::net::SocketAddr::new(ip, PORT))
}

/// Whether what is there is other than `manifest`. A Secret can't be looked at:
/// its versions stand on the pods that need it.
fn is_other(Manifest(manifest): &Manifest, seen: &Seen) -> bool {
    let same = |found: Option<serde_json::Result<Value>>| found.and_then(Result::ok).is_some_and(|found| is_same(manifest, &found));
    match manifest["kind"].as_str().unwrap_or_default() {
        "Deployment" => !same(seen.deployment.as_ref().map(serde_json::to_value)),
        "Service" => !same(seen.service.as_ref().map(serde_json::to_value)),
        "Secret" => false,
        kind => !seen.made.contains(&(kind.to_owned(), manifest["metadata"]["name"].as_str().unwrap_or_default().to_owned())),
    }
}

/// The commit counts for nothing: it moves with every other package's merge.
fn is_same(wanted: &Value, found: &Value) -> bool {
    let mut wanted = wanted.clone();
    if let Some(annotations) = wanted.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(COMMIT);
    }
    subset(&wanted, found)
}

/// Whether a pod waits for a Secret that somebody removed.
fn lacks_config(pods: &[Pod]) -> bool {
    let waits =
        |c: &ContainerStatus| c.state.as_ref().and_then(|s| s.waiting.as_ref()).and_then(|w| w.reason.as_deref()) == Some(CONFIG_ERROR);
    pods.iter().any(|pod| containers(pod).any(waits))
}

fn rollout(deployment: &Deployment, pods: &[Pod]) -> Rollout {
    let status = deployment.status.clone().unwrap_or_default();
    if status.observed_generation.unwrap_or(0) < deployment.metadata.generation.unwrap_or(0) {
        return Rollout::Going("the Deployment's change has not been taken up yet".into());
    }
    let wanted = deployment.spec.as_ref().and_then(|s| s.replicas).unwrap_or(1);
    let count = |replicas: Option<i32>| replicas.unwrap_or(0);
    let (all, updated, available) = (count(status.replicas), count(status.updated_replicas), count(status.available_replicas));
    let condition = |kind: &str| status.conditions.iter().flatten().find(|c| c.type_ == kind);
    let exceeded = condition("Progressing").is_some_and(|c| c.status == "False" && c.reason.as_deref() == Some("ProgressDeadlineExceeded"));
    if wanted == all && wanted == updated && wanted == available {
        return Rollout::Ready;
    }
    // The API server refuses pods: a quota, or the namespace's pod security.
    let refused = condition("ReplicaFailure").filter(|c| c.status == "True").and_then(|c| c.message.clone());
    let why = refused.or_else(|| newest(pods).map(doing));
    if exceeded {
        return Rollout::Stuck(format!("ProgressDeadlineExceeded: {}", why.unwrap_or_else(|| progress(wanted, &status))));
    }
    let doing = [Some(progress(wanted, &status)), why].into_iter().flatten().collect::<Vec<_>>().join("; ");
    // Kubernetes asks for no progress any more once there was all of it.
    let was = condition("Progressing").is_some_and(|c| c.status == "True" && c.reason.as_deref() == Some("NewReplicaSetAvailable"));
    if was && wanted == updated { Rollout::Down(doing) } else { Rollout::Going(doing) }
}

/// What a Deployment waits for, as `kubectl rollout status` says it.
fn progress(wanted: i32, status: &DeploymentStatus) -> String {
    let count = |replicas: Option<i32>| replicas.unwrap_or(0);
    let (all, updated, available) = (count(status.replicas), count(status.updated_replicas), count(status.available_replicas));
    if updated < wanted {
        format!("{updated} of {wanted} new replicas have been updated")
    } else if all > updated {
        format!("{} old replicas are pending termination", all - updated)
    } else {
        format!("{available} of {updated} updated replicas are available")
    }
}

fn newest(pods: &[Pod]) -> Option<&Pod> {
    pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).max_by_key(|pod| made_at(pod))
}

fn made_at(pod: &Pod) -> Option<jiff::Timestamp> {
    let ObjectMeta { creation_timestamp, .. } = &pod.metadata;
    creation_timestamp.as_ref().map(|time| time.0)
}

fn is_ready(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && condition(pod, "Ready").is_some_and(|(status, _)| status == "True")
}

fn condition<'a>(pod: &'a Pod, kind: &str) -> Option<(&'a str, Option<&'a str>)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|c| c.type_ == kind).map(|c| (c.status.as_str(), c.message.as_deref()))
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> {
    let status = pod.status.as_ref();
    let inits = status.and_then(|s| s.init_container_statuses.as_ref()).into_iter().flatten();
    inits.chain(status.and_then(|s| s.container_statuses.as_ref()).into_iter().flatten())
}

/// What a pod does or waits for.
fn doing(pod: &Pod) -> String {
    let name = pod.name_any();
    let why = match condition(pod, "PodScheduled") {
        Some(("False", message)) => Some(format!("is not scheduled: {}", shortened(message.unwrap_or("no reason given")))),
        _ => containers(pod).find_map(trouble),
    };
    match why {
        Some(why) => format!("pod {name}: {why}"),
        None if is_ready(pod) => format!("pod {name} is ready"),
        None => format!("pod {name} starts"),
    }
}

/// Why a container does not run; nothing where it does, or is about to.
fn trouble(container: &ContainerStatus) -> Option<String> {
    if container.ready {
        return None;
    }
    let name = &container.name;
    let state = container.state.clone().unwrap_or_default();
    let waiting = state.waiting.unwrap_or_default();
    let reason = waiting.reason.as_deref().unwrap_or_default();
    let ended = state.terminated.or(container.last_state.clone().and_then(|s| s.terminated)).filter(|t| t.exit_code != 0);
    match (reason, ended) {
        ("ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "InvalidImageName", _) => {
            // Kubernetes says the first two in turns.
            let reason = if reason == "ImagePullBackOff" { "ErrImagePull" } else { reason };
            Some(format!("{reason}: container {name} can't have the image {}", container.image))
        }
        ("" | "CrashLoopBackOff", Some(ended)) => {
            // Only of ours: what else ends has said it itself.
            let said = (name == UNPACK).then(|| ended.message.as_deref().and_then(|m| Summary::parse_termination(m).ok())).flatten();
            let said = said.and_then(|summary| summary.steps.into_iter().find_map(|step| step.message)).map(|m| format!(": {m}"));
            let how = ended.reason.unwrap_or_else(|| "Error".into());
            Some(format!(
                "CrashLoopBackOff: container {name} ended with exit code {} ({how}){}; kubectl logs --previous shows what it printed",
                ended.exit_code,
                shortened(&said.unwrap_or_default())
            ))
        }
        ("" | "ContainerCreating" | "PodInitializing", _) => None,
        (reason, _) => Some(format!("{reason}: container {name}: {}", shortened(waiting.message.as_deref().unwrap_or_default()))),
    }
}

fn shortened(text: &str) -> String {
    let mut text = text.to_owned();
    cut(&mut text, LONGEST);
    text
}
