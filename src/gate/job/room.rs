//! A clean room: the pod of layer 4, in which a service's command line is installed and
//! used. The container that runs commands has the command line and nothing else; the one
//! that judges has the keys, and what it finds is the verdict. The same pod is made as a
//! GateRun's Job, and in a namespace of its own by `flywheel gate spawn`.
//!
//! | container | trust | does |
//! | --- | --- | --- |
//! | `seal` (init) | trusted | waits until the policies hold: the API server is out of reach |
//! | `agent` (sidecar) | **untrusted** | runs commands, as a user of its own |
//! | `gate` | trusted | the wallet, the model, the requests, verdict |

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::{batch::v1::Job, core::v1::ConfigMap},
};
use serde_json::{Value, json};

use super::{GATE, Given, TRUSTED_USER, agent, bare, command, container, labels, memory, objects, resources};
use crate::{
    api::gate_run::Layer,
    gate::{
        bundle::digest,
        layout::{CLI, INPUTS},
    },
};

/// Everything that a clean room depends on.
#[derive(Clone, Debug)]
pub struct RoomJob {
    /// Name of the Job, and of the room: unique for each, 63 characters at most.
    pub name: String,
    /// Where it runs, and where the Secrets below are.
    pub namespace: String,
    /// The runtime image.
    pub image: String,
    /// RuntimeClass, where the Factory names one.
    pub runtime_class: Option<String>,
    /// The run ends as Error after this many seconds.
    pub timeout_seconds: u32,
    /// What an open pod reaches and a room must not, as HOST:PORT.
    pub sealed_from: String,
    /// Id of the primitive.
    pub primitive: String,
    /// What `gate room` is told.
    pub plan: Value,
    /// The command line, one file for Bun, where the service has one.
    pub cli: Option<String>,
    /// Secret with the wallet that the room's own is filled from.
    pub wallet: Option<String>,
    /// Secret with the key that the model takes.
    pub key: Option<String>,
    /// Further labels of both objects and the pod.
    pub labels: BTreeMap<String, String>,
}

/// Makes the ConfigMap and the Job, as [`super::build`] does.
pub fn build_room(job: &RoomJob) -> (ConfigMap, Job) {
    let plan = job.plan.to_string();
    let digest = digest(plan.as_bytes());
    let last_words = ["--job", &job.name];
    let Given { arguments, mut mounts, mut volumes, reader } = Given::new(&job.name, job.wallet.as_deref(), job.key.as_deref());
    mounts.push(json!({ "name": "gate-tmp", "mountPath": "/tmp" }));
    // The plan is the judge's alone.
    let file = CLI.rsplit('/').next().unwrap_or(CLI);
    let item = json!({ "name": job.name, "items": [{ "key": file, "path": file }], "optional": job.cli.is_none() });
    volumes.push(json!({ "name": "cli", "configMap": item }));
    volumes.extend([memory("gate-tmp", "64Mi"), memory("agent-tmp", "64Mi")]);
    let seal = command(&["seal", &job.sealed_from], &[&last_words]);
    let plan_file = format!("{INPUTS}/plan.json");
    let run = command(&["room", "--plan", &plan_file, "--digest", &digest], &[&last_words, &arguments]);
    let mut pod = bare(json!({
        // A wallet is emptied before its room ends.
        "terminationGracePeriodSeconds": 20,
        // The service is asked by its name, as everybody asks it.
        "dnsPolicy": "ClusterFirst",
        "initContainers": [
            container(&job.image, "seal", &seal, TRUSTED_USER, &json!([]), &resources("20m", "500m", "16Mi", "128Mi")),
            agent(&job.image, &job.name, &json!({ "name": "cli", "mountPath": INPUTS, "readOnly": true }))
        ],
        "containers": [container(&job.image, GATE, &run, TRUSTED_USER, &mounts.into(), &resources("100m", "1", "64Mi", "256Mi"))],
        "volumes": volumes
    }));
    if let Some(group) = reader {
        pod["securityContext"]["fsGroup"] = group.into();
    }
    if let Some(class) = &job.runtime_class {
        pod["runtimeClassName"] = class.as_str().into();
    }
    let labels = labels(&job.labels, &job.primitive, Layer::CleanRoom);
    let cli = job.cli.as_ref().map(|cli| [(file.to_owned(), ByteString(cli.clone().into_bytes()))].into());
    objects((&job.namespace, &job.name), labels, (plan, cli), job.timeout_seconds, &pod)
}
