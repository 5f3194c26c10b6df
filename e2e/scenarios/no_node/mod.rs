//! The whole loop on a real control plane, forge, name server and edge, with the
//! controller dying between any two of its effects: the end is the same as without.
//! Only what needs a node is scripted (`node.rs`). Read `journey.rs` next, then
//! `places.rs`.

mod dying;
mod end;
mod journey;
mod node;
mod places;
mod rooms;
mod soak;

use std::{fs, path::PathBuf};

use flywheel::api::factory::Factory;
use kube::{Api, Client, config::Kubeconfig};
use reqwest::Method;
use serde_json::json;

use crate::{
    cluster::bed::{NAMESPACE, forge},
    control_plane::installed,
    support::{apply, documents, testbed, variable},
};
use node::Node;

/// The account whose rights the chart gives to the controller.
const ACCOUNT: &str = "system:serviceaccount:flywheel-system:flywheel-controller";

/// The bed with chart, Factory and node, and no controller yet.
struct Bed {
    client: Client,
    node: Node,
    /// Credentials of an administrator who acts as the controller: with its rights.
    kubeconfig: PathBuf,
}

impl Bed {
    async fn ready() -> Self {
        let client = installed().await;
        let mut factory = documents(&testbed("factory"));
        // Its pods are scripted, so that nobody asks this model.
        let model = json!({ "url": "http://model.invalid/v1", "name": "scripted" });
        for object in factory.iter_mut().filter(|object| object.types.as_ref().is_some_and(|t| t.kind == "Factory")) {
            object.data["spec"]["policy"]["gates"]["canary"]["model"] = model.clone();
        }
        apply(&client, &factory, false).await.expect("the bed's Factory");
        let mut credentials = Kubeconfig::read().expect("the bed's kubeconfig");
        let account = credentials.auth_infos[0].auth_info.as_mut().expect("credentials");
        account.impersonate = Some(ACCOUNT.into());
        account.impersonate_groups =
            Some(["system:serviceaccounts", "system:serviceaccounts:flywheel-system", "system:authenticated"].map(Into::into).into());
        let kubeconfig = PathBuf::from(variable("KUBECONFIG")).with_extension("controller");
        fs::write(&kubeconfig, serde_saphyr::to_string(&credentials).expect("YAML")).expect("kubeconfig");
        Self { node: Node::start(&client), client, kubeconfig }
    }

    fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    fn factories(&self) -> Api<Factory> {
        self.api(NAMESPACE)
    }

    /// Takes the label of agents' pull requests away, which the Factory then makes.
    async fn without_label(&self) {
        let labels = forge(Method::GET, "/repos/prim/factory/labels?limit=50", None).await;
        for label in labels.as_array().into_iter().flatten().filter(|label| label["name"] == "agent-pr") {
            forge(Method::DELETE, &format!("/repos/prim/factory/labels/{}", label["id"]), None).await;
        }
    }
}

/// A primitive's objects carry its id.
fn of(id: &str) -> kube::api::ListParams {
    kube::api::ListParams::default().labels(&format!("flywheel.prim.sh/primitive={id}"))
}

/// Whatever there is of a kind, by name.
fn names<K: kube::ResourceExt + Clone>(all: kube::core::ObjectList<K>) -> Vec<String> {
    all.items.into_iter().map(|object| object.name_any()).collect()
}

#[tokio::test]
async fn a_loop_that_dies_at_every_boundary_ends_as_one_that_does_not() {
    let bed = Bed::ready().await;
    let mut left = places::all();
    // A death in the midst of a call elsewhere may take a place along that is reached
    // once: those that were missed are the next journey's alone.
    for name in ["dies", "dieslater", "dieslast"] {
        bed.without_label().await;
        left = dying::dying(&bed, left, true, journey::journey(&bed, name)).await;
        if left.is_empty() {
            return;
        }
    }
    panic!("no journey goes past these: {left:?}; extend it, or say in places.rs why none does");
}
