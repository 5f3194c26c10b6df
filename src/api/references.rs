//! References from one resource to another object.

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
