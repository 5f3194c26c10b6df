//! What a merged package becomes in the cluster: a bundle of its files, a
//! Deployment that runs it, a Service in front. It decides nothing and applies
//! nothing: it builds what is wanted, and reads what is there. Read
//! `manifests.rs` next, then `observe.rs`.

mod manifests;
mod observe;
mod rollout;
mod subset;

use std::{collections::BTreeMap, net::SocketAddr};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use super::environment::Environment;
pub use crate::api::{NAMESPACE_LABEL, PRIMITIVE_LABEL};
use crate::{
    api::{
        conditions::Reason,
        factory::Factory,
        names::{PrimitiveId, Sha},
        primitive::Primitive,
    },
    gate::bundle::Bundle,
    ports::error::{Class, PortError},
};

pub use manifests::build;
pub use observe::{leftovers, observe};
pub use rollout::{Seen, judge};
pub use subset::subset;

/// Label: the Factory's name.
pub const FACTORY_LABEL: &str = "flywheel.prim.sh/factory";
/// Annotation of a Deployment: the commit that it was made from.
pub const COMMIT: &str = "flywheel.prim.sh/commit";
/// Annotation of a pod: the package's git tree.
pub const TREE: &str = "flywheel.prim.sh/tree";
/// Annotation of a pod: digest of its bundle.
pub const BUNDLE: &str = "flywheel.prim.sh/bundle";
/// Annotation of a pod: which versions of which Secrets it was started with.
pub const ENVIRONMENT: &str = "flywheel.prim.sh/environment";
/// Annotation: digest of the manifest. What is no longer wanted of an object shows
/// in nothing else.
const MANIFEST: &str = "flywheel.prim.sh/manifest";

/// Longest name: Kubernetes adds to it, and so do we.
const LONGEST_NAME: usize = 52;
/// Port of the Service.
const PORT: u16 = 80;

/// A package to run.
pub struct Workload<'a> {
    /// Where it belongs, and what it runs in.
    pub factory: &'a Factory,
    /// Whose it is.
    pub primitive: &'a Primitive,
    /// Its id.
    pub id: &'a PrimitiveId,
    /// Its files.
    pub bundle: &'a Bundle,
    /// Its git tree.
    pub tree: &'a Sha,
    /// The base branch's commit that it was read from.
    pub commit: &'a Sha,
    /// The environment variable that names its SQLite file, if it keeps data.
    pub keeps_data: Option<&'a str>,
    /// What it is given by Secrets.
    pub environment: &'a Environment,
}

/// How a primitive runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Git tree of the newest pod that is ready: while another version starts, the
    /// old one's.
    pub tree: Option<String>,
    /// How the Deployment is doing.
    pub rollout: Rollout,
    /// Where it is reached in the cluster.
    pub address: Option<SocketAddr>,
    /// Whether what is there is other than what is wanted.
    pub differs: bool,
}

/// How a Deployment is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rollout {
    /// There is none.
    Absent,
    /// Pods are on their way; with what they wait for.
    Going(String),
    /// They don't start; with why.
    Stuck(String),
    /// All were ready once, and some are not now; with what they do.
    Down(String),
    /// All its pods are of the newest version, and ready.
    Ready,
}

/// Name of a primitive's objects: `<factory>-<id>`, cut and made unique by a hash
/// where that is too long or no name of a Service.
pub fn name(factory: &str, id: &PrimitiveId) -> String {
    let plain = format!("{factory}-{id}");
    let fits = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '-');
    if plain.len() <= LONGEST_NAME && plain.starts_with(|c: char| c.is_ascii_lowercase()) && plain.chars().all(fits) {
        return plain;
    }
    let hash: String = Sha256::digest(format!("{factory}/{id}")).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let begin = if plain.starts_with(|c: char| c.is_ascii_lowercase()) { "" } else { "p" };
    let cut: String = begin.chars().chain(plain.chars()).map(|c| if fits(c) { c } else { '-' }).take(LONGEST_NAME - 9).collect();
    format!("{}-{hash}", cut.trim_end_matches('-'))
}

/// Labels that make an object this primitive's, and by which it is found.
fn selector(factory: &Factory, id: &PrimitiveId) -> BTreeMap<String, String> {
    let namespace = factory.namespace().unwrap_or_default();
    let labels = [(FACTORY_LABEL, factory.name_any()), (PRIMITIVE_LABEL, id.to_string()), (NAMESPACE_LABEL, namespace)];
    labels.map(|(key, value)| (key.to_owned(), value)).into()
}

/// Labels of all objects of a primitive.
pub(super) fn labels(factory: &Factory, id: &PrimitiveId) -> BTreeMap<String, String> {
    let known = [
        ("app.kubernetes.io/name", id.to_string()),
        ("app.kubernetes.io/instance", name(&factory.name_any(), id)),
        ("app.kubernetes.io/managed-by", "flywheel".into()),
        ("app.kubernetes.io/component", "primitive".into()),
    ];
    selector(factory, id).into_iter().chain(known.map(|(key, value)| (key.to_owned(), value))).collect()
}

/// Whether an object of our name is this primitive's; an error names whose it is.
fn ours(kind: &str, meta: &ObjectMeta, selector: &BTreeMap<String, String>) -> Result<(), PortError> {
    let found = meta.labels.clone().unwrap_or_default();
    if selector.iter().all(|(key, value)| found.get(key) == Some(value)) {
        return Ok(());
    }
    let label = |key: &str| found.get(key).map_or("?", String::as_str);
    let owner = if found.contains_key(PRIMITIVE_LABEL) {
        format!("primitive {} of Factory {}/{}", label(PRIMITIVE_LABEL), label(NAMESPACE_LABEL), label(FACTORY_LABEL))
    } else {
        "somebody who did not label it".into()
    };
    let (namespace, name) = (meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default());
    Err(PortError::new(
        Class::Waiting,
        Reason::Taken,
        format!("{kind} {namespace}/{name} belongs to {owner}: nothing of it was changed; rename one of the two, or remove it"),
    ))
}
