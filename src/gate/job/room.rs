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

use super::{Frame, GATE, Given, TRUSTED_USER, bare, command, container, memory, resources};
use crate::{
    api::gate_run::Layer,
    gate::{
        bundle::digest,
        layout::{CLI, INPUTS},
    },
};

/// Before the name of each note on a room.
pub const NOTE: &str = "room.flywheel.prim.sh/";

/// Everything that a clean room depends on. The room's name is the Job's.
#[derive(Clone, Debug)]
pub struct RoomJob {
    /// What all layers have.
    pub frame: Frame,
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
    /// What whoever finds the Job has to know of its money.
    pub notes: BTreeMap<String, String>,
}

/// Makes the ConfigMap and the Job, as [`super::build`] does.
pub fn build_room(job: &RoomJob) -> (ConfigMap, Job) {
    let Frame { name, image, .. } = &job.frame;
    let plan = job.plan.to_string();
    let digest = digest(plan.as_bytes());
    let Given { arguments, mut mounts, mut volumes, reader } = Given::new(name, job.wallet.as_deref(), job.key.as_deref());
    mounts.push(json!({ "name": "gate-tmp", "mountPath": "/tmp" }));
    // The plan is the judge's alone.
    let file = CLI.rsplit('/').next().unwrap_or(CLI);
    let item = json!({ "name": name, "items": [{ "key": file, "path": file }], "optional": job.cli.is_none() });
    volumes.push(json!({ "name": "cli", "configMap": item }));
    volumes.extend([memory("gate-tmp", "64Mi"), memory("agent-tmp", "64Mi")]);
    let plan_file = format!("{INPUTS}/plan.json");
    let run = command(&["room", "--plan", &plan_file, "--digest", &digest], &[&["--job", name], &arguments]);
    let mut pod = job.frame.confined(bare(json!({
        // A wallet is emptied before its room ends.
        "terminationGracePeriodSeconds": 20,
        // The service is asked by its name, as everybody asks it.
        "dnsPolicy": "ClusterFirst",
        "initContainers": [
            job.frame.seal(),
            job.frame.agent(&json!({ "name": "cli", "mountPath": INPUTS, "readOnly": true }))
        ],
        "containers": [container(image, GATE, &run, TRUSTED_USER, &mounts.into(), &resources("100m", "1", "64Mi", "256Mi"))],
        "volumes": volumes
    })));
    if let Some(group) = reader {
        pod["securityContext"]["fsGroup"] = group.into();
    }
    let cli = job.cli.as_ref().map(|cli| [(file.to_owned(), ByteString(cli.clone().into_bytes()))].into());
    let (config, mut made) = job.frame.objects(&job.primitive, Layer::CleanRoom, (plan, cli), &pod);
    made.metadata.annotations = Some(job.notes.iter().map(|(key, value)| (format!("{NOTE}{key}"), value.clone())).collect());
    (config, made)
}
