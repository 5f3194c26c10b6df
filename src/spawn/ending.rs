//! A room's pod at its end. Its object goes with it, and its program's last words, so that
//! whoever stops it holds the object until they were read.

use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ContainerStatus, Pod},
};
use kube::ResourceExt;
use serde_json::{Value, json};

use crate::{
    gate::job::{GATE, summary},
    ports::provisioner::Stopped,
};

/// The finalizer of whoever reads a pod's last words.
pub const HOLD: &str = "flywheel.prim.sh/last-words";

/// What holds a pod, or lets it go; nothing where it is so already, or can't be held any
/// more.
pub fn hold(pod: &Pod, keep: bool) -> Option<Value> {
    let others = pod.finalizers().iter().filter(|held| *held != HOLD).cloned();
    let is_held = pod.finalizers().iter().any(|held| held == HOLD);
    if is_held == keep || (keep && pod.metadata.deletion_timestamp.is_some()) {
        return None;
    }
    let finalizers: Vec<_> = others.chain(keep.then(|| HOLD.to_owned())).collect();
    // Others hold it, too, and let it go meanwhile: that is not undone.
    Some(json!({ "metadata": { "resourceVersion": pod.metadata.resource_version, "finalizers": finalizers } }))
}

/// What is known of its end, if that came.
pub fn of(pod: &Pod) -> Option<Stopped> {
    let status = pod.status.as_ref();
    let is_over = matches!(status.and_then(|status| status.phase.as_deref()), Some("Succeeded" | "Failed"));
    if is_over {
        return Some(match summary(pod) {
            Ok(said) => Stopped::Said(said.to_termination()),
            Err(_) if never_began(pod) => Stopped::Never,
            Err(_) => Stopped::Unheard,
        });
    }
    // What is being removed is given no node any more, and no node ends it.
    (pod.metadata.deletion_timestamp.is_some() && !has_node(pod)).then_some(Stopped::Never)
}

/// Whether it may run somewhere.
pub fn has_node(pod: &Pod) -> bool {
    pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some())
}

/// Whether a Job has had no pod that came to an end.
pub fn had_no_pod(job: &Job) -> bool {
    job.status.as_ref().is_none_or(|status| status.failed.unwrap_or_default() == 0 && status.succeeded.unwrap_or_default() == 0)
}

/// Whether its program waited to the end for its turn. One that is not told of may have
/// begun.
fn never_began(pod: &Pod) -> bool {
    let waits = |gate: &ContainerStatus| gate.state.as_ref().is_some_and(|state| state.waiting.is_some()) && gate.started != Some(true);
    let mut containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    containers.find(|container| container.name == GATE).is_some_and(waits)
}
