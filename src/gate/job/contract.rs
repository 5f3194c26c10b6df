//! The Job of one layer 2 run: one trusted container and no agent's code, so that
//! it may have what layer 1 must not, names and a way to the edge. What lets it out
//! is a NetworkPolicy for its layer's label.

use std::collections::BTreeMap;

use k8s_openapi::api::{batch::v1::Job, core::v1::ConfigMap};
use serde_json::json;

use super::{GATE, TRUSTED_USER, command, container, labels, limited, objects, resources, text};
use crate::{
    api::gate_run::Layer,
    gate::{bundle::digest, plan::Contract},
};

/// Everything that a run of layer 2 depends on.
#[derive(Clone, Debug)]
pub struct ContractJob {
    /// Name of the Job: unique for each run, 63 characters at most.
    pub name: String,
    /// Namespace of gate Jobs.
    pub namespace: String,
    /// The runtime image.
    pub image: String,
    /// The run ends as Error after this many seconds.
    pub timeout_seconds: u32,
    /// What is to be shown, and by whom.
    pub contract: Contract,
    /// Further labels of both objects and the pod.
    pub labels: BTreeMap<String, String>,
}

/// Makes the ConfigMap and the Job, as [`super::build`] does.
pub fn build_contract(job: &ContractJob) -> (ConfigMap, Job) {
    let contract = Contract { plan: limited(&job.contract.plan, job.timeout_seconds), ..job.contract.clone() };
    let plan = text(&contract);
    let digest = digest(plan.as_bytes());
    let run = command(&["contract", "--plan", "/inputs/plan.json"], &[&["--digest", &digest, "--job", &job.name]]);
    let mounts = json!([{ "name": "inputs", "mountPath": "/inputs", "readOnly": true }]);
    let pod = json!({
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "shareProcessNamespace": false,
        // The service is asked by its name, as everybody asks it.
        "dnsPolicy": "ClusterFirst",
        "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
        "containers": [container(&job.image, GATE, &run, TRUSTED_USER, &mounts, &resources("20m", "500m", "32Mi", "128Mi"))],
        "volumes": [{ "name": "inputs", "configMap": { "name": job.name } }]
    });
    let labels = labels(&job.labels, &contract.plan.primitive, Layer::Contract);
    objects((&job.namespace, &job.name), labels, (plan, None), job.timeout_seconds, &pod)
}
