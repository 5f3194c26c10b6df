//! The objects of a workload: a pure function of its inputs, so that a retry
//! states the same again.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{BUNDLE, COMMIT, ENVIRONMENT, MANIFEST, PORT, TREE, Workload, labels, name, selector};
use crate::{
    controller::gate_plan,
    decide::Manifest,
    gate::{
        bundle::digest,
        job::API_SERVER,
        layout::{self, BUN, FLYWHEEL, INPUTS, TRUSTED_USER, WORK, untrusted_user},
        pod::{memory, resources, security},
    },
};

/// Where a primitive keeps its data.
const DATA: &str = "/data";
/// The service's container.
pub(super) const SERVICE: &str = "service";
/// The container that lays its files out.
pub(super) const UNPACK: &str = "unpack";
/// The container that waits for the network policy.
const SEAL: &str = "seal";

/// The objects, in the order they are applied: what a pod needs comes before it.
pub fn build(w: &Workload) -> Vec<Manifest> {
    let mut all = vec![config(w)];
    all.extend(w.environment.secret.clone());
    if w.keeps_data.is_some() {
        all.push(claim(w));
    }
    let noted = [(COMMIT, w.commit.as_str()), (TREE, w.tree.as_str())];
    all.push(stated(deployment(w), &noted));
    all.push(stated(service(w), &[]));
    all
}

fn metadata(w: &Workload, name: &str) -> Value {
    json!({ "name": name, "namespace": w.factory.spec.deploy.namespace, "labels": labels(w.factory, w.id) })
}

fn own_name(w: &Workload) -> String {
    name(&w.factory.name_any(), w.id)
}

/// A manifest with its own digest, which is how a field that is no longer in it is
/// noticed. What `noted` says is no part of that.
fn stated(mut manifest: Value, noted: &[(&str, &str)]) -> Manifest {
    let own = digest(manifest.to_string().as_bytes());
    for (key, value) in noted.iter().chain([&(MANIFEST, own.as_str())]) {
        manifest["metadata"]["annotations"][*key] = (*value).into();
    }
    Manifest(manifest)
}

/// The package's files. Its name follows from them, so that it never changes.
fn config(w: &Workload) -> Manifest {
    Manifest(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(w, &config_name(&own_name(w), w.bundle.digest())),
        "immutable": true,
        "binaryData": { layout::BUNDLE: ByteString(w.bundle.bytes().to_vec()) }
    }))
}

/// Name of the bundle with this digest.
pub(super) fn config_name(own: &str, digest: &str) -> String {
    let hex: String = digest.trim_start_matches("sha256:").chars().take(10).collect();
    format!("{own}-{hex}")
}

fn claim_name(w: &Workload) -> String {
    format!("{}-data", own_name(w))
}

fn claim(w: &Workload) -> Manifest {
    Manifest(json!({
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(w, &claim_name(w)),
        "spec": { "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } }
    }))
}

fn service(w: &Workload) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(w, &own_name(w)),
        "spec": {
            "type": "ClusterIP",
            "selector": selector(w.factory, w.id),
            "ports": [{ "name": "http", "protocol": "TCP", "port": PORT, "targetPort": "http" }]
        }
    })
}

/// The old version serves until the new one is ready. Not so where both would have
/// one SQLite file open in two sandboxes: gVisor keeps file locks inside one, so
/// that neither would see the other's.
fn strategy(w: &Workload) -> Value {
    if w.keeps_data.is_some() && w.factory.spec.deploy.runtime_class.is_some() {
        return json!({ "type": "Recreate" });
    }
    json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } })
}

fn deployment(w: &Workload) -> Value {
    let annotations = json!({ TREE: w.tree.as_str(), BUNDLE: w.bundle.digest(), ENVIRONMENT: w.environment.versions });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(w, &own_name(w)),
        "spec": {
            "replicas": 1,
            "revisionHistoryLimit": 3,
            "progressDeadlineSeconds": 120,
            "strategy": strategy(w),
            "selector": { "matchLabels": selector(w.factory, w.id) },
            "template": { "metadata": { "labels": labels(w.factory, w.id), "annotations": annotations }, "spec": pod(w) }
        }
    })
}

fn pod(w: &Workload) -> Value {
    let user = untrusted_user(&own_name(w));
    let mut volumes = vec![
        json!({ "name": "inputs", "configMap": { "name": config_name(&own_name(w), w.bundle.digest()) } }),
        memory("work", "16Mi"),
        memory("tmp", "64Mi"),
    ];
    let mut pod = json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        // The kit lets requests in flight finish for 10 s, after the pause before.
        "terminationGracePeriodSeconds": 15,
        "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
        "initContainers": [seal(w), unpack(w)],
        "containers": [main(w, user)],
    });
    if w.keeps_data.is_some() {
        volumes.push(json!({ "name": "data", "persistentVolumeClaim": { "claimName": claim_name(w) } }));
        pod["securityContext"]["fsGroup"] = user.into();
        pod["securityContext"]["fsGroupChangePolicy"] = "OnRootMismatch".into();
        // ReadWriteOnce is one node's: the new pod starts beside the old one.
        let beside = json!({ "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": selector(w.factory, w.id) } });
        pod["affinity"] = json!({ "podAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": [beside] } });
    }
    if let Some(class) = &w.factory.spec.deploy.runtime_class {
        pod["runtimeClassName"] = class.as_str().into();
    }
    pod["volumes"] = volumes.into();
    pod
}

/// Trusted: waits until the network policy holds for this pod, since what follows
/// is agents' code and would else reach the cluster in its first moments.
fn seal(w: &Workload) -> Value {
    json!({
        "name": SEAL,
        "image": w.factory.spec.deploy.image,
        "imagePullPolicy": "IfNotPresent",
        "command": [FLYWHEEL, "gate", "seal", API_SERVER],
        "workingDir": "/",
        "securityContext": security(TRUSTED_USER),
        "resources": resources("10m", "500m", "16Mi", "128Mi"),
    })
}

/// Trusted: it runs nothing of the package, and refuses files of another digest.
fn unpack(w: &Workload) -> Value {
    let bundle = format!("{INPUTS}/{}", layout::BUNDLE);
    let command = [FLYWHEEL, "gate", "unpack", "--primitive", w.id.as_str(), "--bundle", bundle.as_str(), "--digest", w.bundle.digest()];
    json!({
        "name": UNPACK,
        "image": w.factory.spec.deploy.image,
        "imagePullPolicy": "IfNotPresent",
        "command": command,
        "workingDir": "/",
        "securityContext": security(TRUSTED_USER),
        "resources": resources("10m", "1", "32Mi", "128Mi"),
        "volumeMounts": [
            { "name": "inputs", "mountPath": INPUTS, "readOnly": true },
            { "name": "work", "mountPath": WORK }
        ]
    })
}

fn main(w: &Workload, user: i64) -> Value {
    let mut mounts = vec![json!({ "name": "work", "mountPath": WORK, "readOnly": true }), json!({ "name": "tmp", "mountPath": "/tmp" })];
    if w.keeps_data.is_some() {
        mounts.push(json!({ "name": "data", "mountPath": DATA }));
    }
    let answers = json!({ "path": "/", "port": "http" });
    json!({
        "name": SERVICE,
        "image": w.factory.spec.deploy.image,
        // Its tag follows from its contents, or it is a digest.
        "imagePullPolicy": "IfNotPresent",
        "command": [BUN, "--no-env-file", layout::entry(w.id.as_str())],
        "workingDir": WORK,
        "ports": [{ "name": "http", "containerPort": layout::PORT, "protocol": "TCP" }],
        "env": variables(w),
        "securityContext": security(user),
        "resources": resources("25m", "1", "96Mi", "512Mi"),
        "volumeMounts": mounts,
        // Within a second of its first answer it is ready; a slow node gets a minute.
        "startupProbe": { "httpGet": answers, "periodSeconds": 1, "timeoutSeconds": 3, "failureThreshold": 60 },
        "readinessProbe": { "httpGet": answers, "periodSeconds": 5, "timeoutSeconds": 3, "failureThreshold": 3 },
        // A service that is busy is not restarted, only one that is gone.
        "livenessProbe": { "tcpSocket": { "port": "http" }, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3 },
        // Until every node has heard that this pod goes.
        "lifecycle": { "preStop": { "sleep": { "seconds": 2 } } },
        "terminationMessagePath": "/dev/termination-log",
        // Never the log instead: it is the package's, and may say anything.
        "terminationMessagePolicy": "File"
    })
}

fn secret<'a>(w: &'a Workload) -> Option<&'a Value> {
    w.environment.secret.as_ref().map(|Manifest(secret)| secret)
}

/// Every variable by its name. Those of the mirror are named one by one, since
/// whoever may write Secrets there may add others to it.
fn variables(w: &Workload) -> Vec<Value> {
    let plain = env(w);
    let mirror = secret(w).map(|secret| (&secret["metadata"]["name"], secret["data"].as_object()));
    let granted = mirror.into_iter().flat_map(|(name, data)| data.into_iter().flat_map(|data| data.keys()).map(move |key| (name, key)));
    let granted = granted
        .filter(|(_, key)| !plain.contains_key(*key))
        .map(|(name, key)| json!({ "name": key, "valueFrom": { "secretKeyRef": { "name": name, "key": key } } }));
    let granted: Vec<_> = granted.collect();
    plain.iter().map(|(name, value)| json!({ "name": name, "value": value })).chain(granted).collect()
}

/// The container's variables that are no secret. What its Secret gives is left out
/// of the Factory's table; ours win over all.
fn env(w: &Workload) -> BTreeMap<String, String> {
    let table = &w.factory.spec.deploy.env;
    let granted = |name: &str| secret(w).is_some_and(|s| s["data"].get(name).is_some());
    let mut env: BTreeMap<String, String> = table.iter().filter(|(name, _)| !granted(name)).map(|(n, v)| (n.clone(), v.clone())).collect();
    if table.get(layout::PAY_TO).is_none_or(String::is_empty) {
        // Nobody is named who would be paid: no payment is taken.
        env.remove(layout::FACILITATOR);
    }
    if let Some(variable) = w.keeps_data {
        env.insert(variable.into(), format!("{DATA}/{}.db", w.id));
    }
    let terms = gate_plan::terms(table);
    env.extend(layout::SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let ours = [
        ("NODE_ENV", "production".to_owned()),
        ("PORT", layout::PORT.to_string()),
        (layout::NETWORK, terms.network),
        (layout::PAY_TO, terms.pay_to),
    ];
    env.extend(ours.map(|(name, value)| (name.to_owned(), value)));
    // Kubernetes would replace $(NAME), and takes $$ for $.
    env.values_mut().for_each(|value| *value = value.replace('$', "$$"));
    env
}
