//! The Job of one layer 1 run, and the ConfigMap it reads: a pure function of its
//! inputs, so that a retry makes the same objects again.
//!
//! | container | trust | does |
//! | --- | --- | --- |
//! | `seal` (init) | trusted | waits until the network is closed |
//! | `unpack` (init) | trusted | verifies and lays out the files, read-only for all after it |
//! | `agent` (sidecar) | **untrusted** | runs the package's code, as a user of its own |
//! | `gate` | trusted | tools, black-box requests, verdict |
//!
//! `agent` is a sidecar so that the pod ends when `gate` does, whatever the
//! package's code would rather do. The Jobs of layers 2 and 3, without any of that,
//! are `job/service.rs`; layer 4's, with some of both, is `job/room.rs`.

mod room;
mod service;

use std::collections::BTreeMap;

use k8s_openapi::{
    ByteString,
    api::{
        batch::v1::Job,
        core::v1::{ConfigMap, Pod},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Serialize;
use serde_json::{Value, json};

pub use room::{NOTE, RoomJob, build_room};
pub use service::{ServiceJob, ServicePlan, build_service};

use super::{
    bundle::{Bundle, digest},
    layout::{BUNDLE, FLYWHEEL, INPUTS, MODEL, TRUSTED_USER, WALLET, WORK, untrusted_user},
    plan::Plan,
    pod::{memory, resources, security},
    report::{ReportError, Summary},
};
use crate::api::gate_run::Layer;

/// Label that all objects of gates have, with the value `gate`.
pub const LABEL: &str = "app.kubernetes.io/component";
/// Label of the pods: which layer runs in them. Policies let all layers but the first
/// out, each to what it needs.
pub const LAYER_LABEL: &str = "flywheel.prim.sh/layer";
/// The container whose termination message is the verdict, and whose log is the
/// report.
pub const GATE: &str = "gate";
/// The container that runs the package's code.
pub const AGENT: &str = "agent";
/// What an open pod reaches: the API server's Service, which every pod is told.
pub const API_SERVER: &str = "$(KUBERNETES_SERVICE_HOST):$(KUBERNETES_SERVICE_PORT)";
/// Seconds of a run that are not the gate's own: pulling, starting, ending.
pub const OVERHEAD_SECONDS: u64 = 30;
/// The volume of the key of the wallet that a gate pays from.
const WALLET_VOLUME: &str = "wallet";
/// Seconds that a finished Job stays, for the controller to read its report.
const KEPT_SECONDS: i32 = 900;

/// What the Jobs of all layers have alike.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Name of the Job: unique for each run, 63 characters at most.
    pub name: String,
    /// Namespace of gate Jobs, closed by its policies, and of the Secrets that one names.
    pub namespace: String,
    /// The runtime image.
    pub image: String,
    /// RuntimeClass for what is not trusted, where the Factory names one.
    pub runtime_class: Option<String>,
    /// The run ends as Error after this many seconds.
    pub timeout_seconds: u32,
    /// What an open pod reaches, as HOST:PORT: [`API_SERVER`] unless the cluster
    /// needs another.
    pub sealed_from: String,
    /// Further labels of both objects and the pod, such as the GateRun's name.
    pub labels: BTreeMap<String, String>,
}

/// Everything that a run of layer 1 depends on.
#[derive(Clone, Debug)]
pub struct GateJob {
    /// What all layers have.
    pub frame: Frame,
    /// The files under test: the whole package, as it would be merged.
    pub bundle: Bundle,
    /// What is to be shown.
    pub plan: Plan,
}

/// Makes both objects. The ConfigMap has to be there before the Job, and goes
/// with it: the controller sets its owner to the Job once that exists.
pub fn build(job: &GateJob) -> (ConfigMap, Job) {
    let plan = text(&limited(&job.plan, job.frame.timeout_seconds));
    let bundle = [(BUNDLE.to_owned(), ByteString(job.bundle.bytes().to_vec()))].into();
    let pod = pod(job, &digest(plan.as_bytes()));
    job.frame.objects(&job.plan.primitive, Layer::Unit, (plan, Some(bundle)), &pod)
}

/// Inputs: a plan, and whatever else there is.
type Inputs = (String, Option<BTreeMap<String, ByteString>>);

impl Frame {
    fn objects(&self, primitive: &str, layer: Layer, inputs: Inputs, pod: &Value) -> (ConfigMap, Job) {
        let labels = labels(&self.labels, primitive, layer);
        let spec = json!({
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            // No second pod while the first is still ending: a run is one pod.
            "podReplacementPolicy": "Failed",
            "activeDeadlineSeconds": self.timeout_seconds,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": { "metadata": { "labels": labels }, "spec": pod }
        });
        let spec = serde_json::from_value(spec).expect("a Job's spec, whatever the inputs: they are strings and numbers in it");
        let (name, namespace) = (Some(self.name.clone()), Some(self.namespace.clone()));
        let metadata = ObjectMeta { name, namespace, labels: Some(labels), ..ObjectMeta::default() };
        let config = ConfigMap {
            metadata: metadata.clone(),
            immutable: Some(true),
            binary_data: inputs.1,
            data: Some([("plan.json".to_owned(), inputs.0)].into()),
        };
        (config, Job { metadata, spec: Some(spec), status: None })
    }

    /// The init container that waits until the network is closed.
    fn seal(&self) -> Value {
        let seal = command(&["seal", &self.sealed_from], &[&["--job", &self.name]]);
        container(&self.image, "seal", &seal, TRUSTED_USER, &json!([]), &resources("20m", "500m", "16Mi", "128Mi"))
    }

    /// The container for what is not trusted: it has one thing to read, and a user of its
    /// own.
    fn agent(&self, reads: &Value) -> Value {
        let mounts = json!([reads, { "name": "agent-tmp", "mountPath": "/tmp" }]);
        let resources = resources("200m", "1", "128Mi", "512Mi");
        let mut agent = container(&self.image, AGENT, &command(&["host"], &[]), untrusted_user(&self.name), &mounts, &resources);
        agent["restartPolicy"] = "Always".into();
        agent
    }

    /// The pod of something that is not trusted.
    fn confined(&self, mut pod: Value) -> Value {
        if let Some(class) = &self.runtime_class {
            pod["runtimeClassName"] = class.as_str().into();
        }
        pod
    }
}

/// What the container of the verdict is given beside its program: its inputs, and the
/// keys that an operator has for it.
struct Given<'a> {
    arguments: Vec<&'a str>,
    mounts: Vec<Value>,
    volumes: Vec<Value>,
    /// The group that reads the keys: who runs there, and nobody else.
    reader: Option<i64>,
}

impl<'a> Given<'a> {
    /// The ConfigMap of this name, and the Secrets with a wallet and a model's key.
    fn new(config: &str, wallet: Option<&'a str>, model: Option<&'a str>) -> Self {
        let mut given = Self {
            arguments: Vec::new(),
            mounts: vec![json!({ "name": "inputs", "mountPath": INPUTS, "readOnly": true })],
            volumes: vec![json!({ "name": "inputs", "configMap": { "name": config } })],
            reader: wallet.or(model).map(|_| TRUSTED_USER),
        };
        for (name, secret, argument, file) in
            [(WALLET_VOLUME, wallet, "--wallet-file", WALLET), ("model-key", model, "--model-key-file", MODEL)]
        {
            let (Some(secret), Some((folder, item))) = (secret, file.rsplit_once('/')) else { continue };
            given.arguments.extend([argument, file]);
            given.mounts.push(json!({ "name": name, "mountPath": folder, "readOnly": true }));
            given.volumes.push(
                json!({ "name": name, "secret": { "secretName": secret, "items": [{ "key": item, "path": item }], "defaultMode": 0o440 } }),
            );
        }
        given
    }
}

/// Whether a Job of a gate has a wallet.
pub fn pays(job: &Job) -> bool {
    let pod = job.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    pod.is_some_and(|pod| pod.volumes.iter().flatten().any(|volume| volume.name == WALLET_VOLUME))
}

/// The verdict in a pod of such a Job, if it is about this Job and these files.
pub fn verdict(pod: &Pod, job: &str, change: &str) -> Result<Summary, ReportError> {
    summary(pod)?.about(job, change)
}

/// What a pod of such a Job left as its last words. Only trusted containers are
/// asked: `gate`, or an init container that ended the run.
pub fn summary(pod: &Pod) -> Result<Summary, ReportError> {
    let status = pod.status.as_ref();
    let inits = status.and_then(|s| s.init_container_statuses.as_ref()).into_iter().flatten().filter(|c| c.name != AGENT);
    let gates = status.and_then(|s| s.container_statuses.as_ref()).into_iter().flatten().filter(|c| c.name == GATE);
    let ended = |c: &k8s_openapi::api::core::v1::ContainerStatus| c.state.as_ref().and_then(|s| s.terminated.clone());
    let gate = gates.filter_map(ended).next();
    let broken = inits.filter_map(ended).find(|t| t.exit_code != 0);
    let message = gate.or(broken).and_then(|t| t.message).unwrap_or_default();
    Summary::parse_termination(&message)
}

/// The plan with a limit of its own that ends before the Job's.
fn limited(plan: &Plan, timeout_seconds: u32) -> Plan {
    let mut plan = plan.clone();
    let most = u64::from(timeout_seconds).saturating_sub(OVERHEAD_SECONDS).max(1);
    plan.limits.total_seconds = plan.limits.total_seconds.min(most);
    plan
}

fn text(plan: &impl Serialize) -> String {
    serde_json::to_string(plan).expect("a plan has text keys alone")
}

fn labels(given: &BTreeMap<String, String>, primitive: &str, layer: Layer) -> BTreeMap<String, String> {
    let own = [
        ("app.kubernetes.io/managed-by", "flywheel"),
        (LABEL, "gate"),
        (LAYER_LABEL, layer.as_str()),
        ("flywheel.prim.sh/primitive", primitive),
    ];
    given.clone().into_iter().chain(own.map(|(k, v)| (k.to_owned(), v.to_owned()))).collect()
}

fn pod(job: &GateJob, plan_digest: &str) -> Value {
    let Frame { name, image, sealed_from, .. } = &job.frame;
    let last_words = ["--job", name];
    let bundle = format!("{INPUTS}/{BUNDLE}");
    let plan_file = format!("{INPUTS}/plan.json");
    let inputs = ["--bundle", &bundle, "--digest", job.bundle.digest()];
    let unpack = command(&["unpack", "--primitive", &job.plan.primitive], &[&inputs, &last_words]);
    let run = command(&["unit", "--plan", &plan_file, "--plan-digest", plan_digest, "--sealed-from", sealed_from], &[&inputs, &last_words]);
    let inputs = json!({ "name": "inputs", "mountPath": INPUTS, "readOnly": true });
    let work = json!({ "name": "work", "mountPath": WORK, "readOnly": true });
    job.frame.confined(bare(json!({
        "terminationGracePeriodSeconds": 1,
        // No resolver: a name is refused at once and not after a time-out.
        "dnsPolicy": "None",
        "dnsConfig": { "nameservers": ["127.0.0.1"] },
        "initContainers": [
            job.frame.seal(),
            container(image, "unpack", &unpack, TRUSTED_USER, &json!([inputs, { "name": "work", "mountPath": WORK }]), &resources("20m", "1", "32Mi", "128Mi")),
            job.frame.agent(&work)
        ],
        "containers": [
            container(image, GATE, &run, TRUSTED_USER, &json!([inputs, work, { "name": "gate-tmp", "mountPath": "/tmp" }]), &resources("200m", "2", "256Mi", "1Gi"))
        ],
        "volumes": [
            { "name": "inputs", "configMap": { "name": name } },
            memory("work", "16Mi"),
            memory("gate-tmp", "64Mi"),
            memory("agent-tmp", "64Mi")
        ]
    })))
}

/// A pod of these parts that nobody's rights, token or other pods come into.
fn bare(parts: Value) -> Value {
    let mut pod = json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "shareProcessNamespace": false,
        "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } }
    });
    if let (Value::Object(pod), Value::Object(parts)) = (&mut pod, parts) {
        pod.extend(parts);
    }
    pod
}

fn container(image: &str, name: &str, command: &[&str], user: i64, mounts: &Value, resources: &Value) -> Value {
    json!({
        "name": name,
        "image": image,
        // Its tag follows from its contents, or it is a digest.
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "workingDir": "/",
        "securityContext": security(user),
        "resources": resources,
        "volumeMounts": mounts,
        "terminationMessagePath": "/dev/termination-log",
        // Never the log instead: it would be taken for a verdict.
        "terminationMessagePolicy": "File"
    })
}

fn command<'a>(part: &[&'a str], more: &[&[&'a str]]) -> Vec<&'a str> {
    [FLYWHEEL, "gate"].iter().chain(part).chain(more.iter().copied().flatten()).copied().collect()
}
