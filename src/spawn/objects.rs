//! The objects of a room that is a namespace. Pure: the same order makes the same objects.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{Namespace, ResourceQuota, Secret},
        networking::v1::NetworkPolicy,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::{
    decide::GateObjects,
    gate::{
        bundle::digest,
        job::{self, Frame, NOTE, RoomJob},
        layout::{MODEL, WALLET},
    },
    ports::provisioner::Order,
};

/// Label of a room's namespace.
pub const ROOM_LABEL: &str = "flywheel.prim.sh/room";
/// When its maker counts as gone.
pub const EXPIRES: &str = "flywheel.prim.sh/room-expires";
/// Digest of what was ordered.
pub const ORDER: &str = "flywheel.prim.sh/room-order";
/// Names of the Secrets with the keys.
pub const SECRETS: [&str; 2] = ["wallet", "model"];

/// What a room's pod may reach, and how its code is confined: as a gate's is.
#[derive(Clone, Debug)]
pub struct Ways {
    /// RuntimeClass, where there is one.
    pub runtime_class: Option<String>,
    /// What an open pod reaches and a room must not.
    pub sealed_from: String,
    /// The gates' policies: they say by its layer's label what a room's pod may reach.
    pub policies: Vec<NetworkPolicy>,
}

/// What an order is told from others by. It says nothing of its keys.
pub fn order_digest(order: &Order) -> String {
    let (secret, asked) = (|key: &Option<SecretString>| key.is_some(), (&order.image, &order.primitive, &order.plan, &order.cli));
    digest(format!("{asked:?} {} {} {} {:?}", secret(&order.wallet), secret(&order.model_key), order.seconds, order.notes).as_bytes())
}

/// The namespace: nothing privileged runs there, and it says until when it is wanted.
pub fn namespace(order: &Order) -> Namespace {
    let notes = order.notes.iter().map(|(key, value)| (format!("{NOTE}{key}"), value.clone()));
    let own = [(EXPIRES.to_owned(), order.expires.to_string()), (ORDER.to_owned(), order_digest(order))];
    let labels = [
        ("app.kubernetes.io/managed-by", "flywheel"),
        (ROOM_LABEL, "true"),
        ("flywheel.prim.sh/primitive", &order.primitive),
        ("pod-security.kubernetes.io/enforce", "restricted"),
    ];
    Namespace {
        metadata: ObjectMeta {
            name: Some(order.id.clone()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            annotations: Some(own.into_iter().chain(notes).collect()),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

/// Its policies: nothing in or out, but for what the gates' let such a pod do.
pub fn policies(order: &Order, ways: &Ways) -> Vec<NetworkPolicy> {
    let spec = serde_json::from_value(json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] }));
    let closed = NetworkPolicy { metadata: named(order, "closed"), spec: spec.ok() };
    let open = ways.policies.iter().filter_map(|policy| {
        let name = format!("gates-{}", policy.metadata.name.as_deref()?);
        Some(NetworkPolicy { metadata: named(order, &name), spec: policy.spec.clone() })
    });
    [closed].into_iter().chain(open).collect()
}

/// One pod and no more. Jobs are not counted: an order that is repeated would be refused
/// before it finds the Job of its earlier try.
pub fn quota(order: &Order) -> ResourceQuota {
    let spec = serde_json::from_value(json!({ "hard": { "pods": "1", "services": "0", "persistentvolumeclaims": "0" } }));
    ResourceQuota { metadata: named(order, "one-pod"), spec: spec.ok(), status: None }
}

/// The keys that the order has, which go with their owner.
pub fn secrets(order: &Order, owner: &OwnerReference) -> Vec<Secret> {
    let keys = SECRETS.into_iter().zip([(&order.wallet, WALLET), (&order.model_key, MODEL)]);
    let secret = |(name, (key, file)): (&str, (&Option<SecretString>, &str))| {
        let item = file.rsplit('/').next().unwrap_or(file);
        let data: BTreeMap<_, _> = [(item.to_owned(), key.as_ref()?.expose_secret().to_owned())].into();
        let metadata = ObjectMeta { owner_references: Some(vec![owner.clone()]), ..named(order, name) };
        Some(Secret { metadata, immutable: Some(true), string_data: Some(data), ..Secret::default() })
    };
    keys.filter_map(secret).collect()
}

/// The Job and its ConfigMap, as a GateRun has them; nothing where the plan is no JSON.
pub fn job(order: &Order, ways: &Ways) -> Result<GateObjects, serde_json::Error> {
    let plan: Value = serde_json::from_str(&order.plan)?;
    let (config, job) = job::build_room(&RoomJob {
        frame: Frame {
            name: order.id.clone(),
            namespace: order.id.clone(),
            image: order.image.clone(),
            runtime_class: ways.runtime_class.clone(),
            timeout_seconds: order.seconds,
            sealed_from: ways.sealed_from.clone(),
            labels: BTreeMap::new(),
        },
        primitive: order.primitive.clone(),
        plan,
        cli: order.cli.clone(),
        wallet: order.wallet.as_ref().map(|_| SECRETS[0].into()),
        key: order.model_key.as_ref().map(|_| SECRETS[1].into()),
        notes: order.notes.clone(),
    });
    Ok(GateObjects { config, job })
}

fn named(order: &Order, name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.into()), namespace: Some(order.id.clone()), ..ObjectMeta::default() }
}
