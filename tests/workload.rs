//! What a merged package becomes in the cluster: the objects as they are sent,
//! what is read back of them, and what they are given by Secrets. Nothing runs
//! here. Read `manifests.rs` next.

mod environment;
mod leftovers;
mod manifests;
mod rollout;

use std::sync::Arc;

use flywheel::{
    api::{factory::Factory, names::PrimitiveId, primitive::Primitive},
    controller::{
        context::Context,
        environment::Environment,
        workload::{Workload, build},
    },
    decide::Manifest,
    gate::bundle::{Bundle, SourceFile},
};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    apiserver::ApiServer,
    driver::RESYNC,
    fixtures,
    world::{Fakes, World},
};

/// Git's ids of what is deployed.
const TREE: &str = "1111111111111111111111111111111111111111";
const COMMIT: &str = "2222222222222222222222222222222222222222";

/// A package and where it belongs; a test changes what it is about.
struct Case {
    factory: Factory,
    tree: String,
    commit: String,
    code: &'static str,
    keeps_data: Option<&'static str>,
    environment: Environment,
}

impl Case {
    fn new() -> Self {
        let environment = Environment { secret: None, versions: "none".into(), missing: Vec::new() };
        let (tree, commit) = (TREE.to_owned(), COMMIT.to_owned());
        Self { factory: fixtures::factory(), tree, commit, code: "1", keeps_data: None, environment }
    }

    fn table(mut self, table: &[(&str, &str)]) -> Self {
        self.factory.spec.deploy.env = table.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        self
    }

    fn manifests(&self) -> Vec<Manifest> {
        let bundle = Bundle::pack(vec![SourceFile::new("packages/search/src/index.ts", self.code)]).unwrap();
        build(&Workload {
            factory: &self.factory,
            primitive: &primitive("search"),
            id: &id("search"),
            bundle: &bundle,
            tree: &self.tree.parse().unwrap(),
            commit: &self.commit.parse().unwrap(),
            keeps_data: self.keeps_data,
            environment: &self.environment,
        })
    }

    fn manifest(&self, kind: &str) -> Value {
        self.manifests().into_iter().map(|Manifest(m)| m).find(|m| m["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"))
    }

    fn pod(&self) -> Value {
        self.manifest("Deployment")["spec"]["template"]["spec"].clone()
    }

    /// The service's variables, but for those of its Secret.
    fn env(&self) -> Vec<(String, String)> {
        let env = self.pod()["containers"][0]["env"].clone();
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        env.as_array().unwrap().iter().filter(|v| !v["value"].is_null()).map(|v| (text(&v["name"]), text(&v["value"]))).collect()
    }

    fn value(&self, name: &str) -> Option<String> {
        self.env().into_iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }
}

fn id(id: &str) -> PrimitiveId {
    id.parse().unwrap()
}

fn primitive(id: &str) -> Primitive {
    serde_json::from_value(json!({
        "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "Primitive",
        "metadata": { "name": id, "namespace": fixtures::FACTORY.0 },
        "spec": { "factoryRef": { "name": fixtures::FACTORY.1 }, "document": { "id": id } }
    }))
    .unwrap()
}

fn context(api: &ApiServer) -> Context {
    let world = World::good();
    Context::with_world(api.client(), Arc::new(Fakes(world.clone())), world, mpsc::channel(1).0, RESYNC)
}

/// Path of an object in the workloads' namespace.
fn path(kind: &str, name: &str) -> String {
    let group = if kind == "deployments" || kind == "replicasets" { "apis/apps/v1" } else { "api/v1" };
    format!("/{group}/namespaces/flywheel-run/{kind}/{name}")
}

/// Labels of the primitive's objects.
fn labels() -> Value {
    json!({
        "flywheel.prim.sh/factory": fixtures::FACTORY.1, "flywheel.prim.sh/namespace": fixtures::FACTORY.0,
        "flywheel.prim.sh/primitive": "search"
    })
}
