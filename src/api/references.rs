//! What several resources share: references to other objects, and the times of
//! what happened to one.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A Secret, by name and namespace.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretReference {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Namespace of the Secret. A Secret outside the referring object's namespace
    /// must name the Factory in its annotation `flywheel.prim.sh/allowed-factories`
    /// and the server in its annotation `flywheel.prim.sh/allowed-servers`.
    #[serde(default = "system_namespace")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
}

fn system_namespace() -> String {
    "flywheel-system".into()
}

/// The Factory an object belongs to, in the object's own namespace.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FactoryReference {
    /// Name of the Factory.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}

/// When something happened to an object for the first time.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, KubeSchema)]
pub struct Milestone {
    /// What: `Committed`, `Green`, `Merged`, `Serving`, …
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// When.
    pub at: Time,
}

/// Notes a milestone, unless it is there: the first time stands.
pub fn reach(milestones: &mut Vec<Milestone>, name: &str, at: Time) {
    if !milestones.iter().any(|m| m.name == name) {
        milestones.push(Milestone { name: name.into(), at });
    }
}

/// When a milestone was reached.
pub fn reached(milestones: &[Milestone], name: &str) -> Option<jiff::Timestamp> {
    milestones.iter().find(|m| m.name == name).map(|m| m.at.0)
}
