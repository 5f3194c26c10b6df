//! What starts a pass beside a change of the object's own spec: a change of what it
//! made, of what it waits for, or of the base branch. Each is a stream of the
//! objects to look at; a lost one is made up for by the next resync.

use std::hash::{DefaultHasher, Hash, Hasher};

use futures::{Stream, StreamExt, stream};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{apps::v1::Deployment, batch::v1::Job},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::ListParams,
    core::{DeserializeGuard, PartialObjectMeta},
    runtime::{PredicateConfig, WatchStreamExt, reflector::ObjectRef, watcher},
};
use serde::de::DeserializeOwned;

use super::{driver::Kind, gate_run, objects};
use crate::{
    api::{NAMESPACE_LABEL, PRIMITIVE_LABEL, agent_pr::AgentPR, factory::Factory, gate_run::GateRun, primitive::Primitive},
    telemetry,
};

/// A kind that belongs to a Factory.
pub trait OfFactory {
    /// The Factory's name, in the object's own namespace.
    fn factory(&self) -> &str;
    /// Nothing of the Factory's can move it any more.
    fn is_over(&self) -> bool {
        false
    }
}

impl OfFactory for Primitive {
    fn factory(&self) -> &str {
        &self.spec.factory_ref.name
    }
}

impl OfFactory for AgentPR {
    fn factory(&self) -> &str {
        &self.spec.factory_ref.name
    }

    fn is_over(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.cleaned)
    }
}

/// Owners of kind `K` of children of kind `C`, whenever one of these changes.
pub fn owners<C, K>(client: &Client, namespace: &str) -> impl Stream<Item = ObjectRef<K>> + Send + use<C, K>
where
    C: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + std::fmt::Debug + Send + 'static,
    K: Kind,
{
    let children: Api<PartialObjectMeta<C>> = Api::namespaced(client.clone(), namespace);
    changes(watcher(children, watcher::Config::default())).filter_map(|child| async move {
        let owner = child.owner_references().iter().find(|owner| owner.kind == K::NAME)?;
        Some(ObjectRef::new(&owner.name).within(&child.namespace()?))
    })
}

/// GateRuns whose Jobs changed. A Job is in another namespace than its GateRun,
/// so that no owner reference leads back; its labels do.
pub fn gate_jobs(client: &Client, namespace: &str) -> impl Stream<Item = ObjectRef<GateRun>> + Send + use<> {
    let jobs: Api<PartialObjectMeta<Job>> = Api::namespaced(client.clone(), namespace);
    let ours = watcher::Config::default().labels(gate_run::NAME_LABEL);
    changes(watcher(jobs, ours)).filter_map(|job| async move { by_labels(&job, gate_run::NAMESPACE_LABEL, gate_run::NAME_LABEL) })
}

/// Primitives whose workloads changed.
pub fn workloads(client: &Client, namespace: &str) -> impl Stream<Item = ObjectRef<Primitive>> + Send + use<> {
    let deployments: Api<PartialObjectMeta<Deployment>> = Api::namespaced(client.clone(), namespace);
    let ours = watcher::Config::default().labels(PRIMITIVE_LABEL);
    changes(watcher(deployments, ours)).filter_map(|found| async move { by_labels(&found, NAMESPACE_LABEL, PRIMITIVE_LABEL) })
}

/// Objects of kind `K` of every Factory whose base branch moved or whose health
/// changed.
pub fn factories_moved<K>(client: &Client, namespace: &str) -> impl Stream<Item = ObjectRef<K>> + Send + use<K>
where
    K: Kind + OfFactory,
{
    let factories: Api<DeserializeGuard<Factory>> = Api::namespaced(client.clone(), namespace);
    let moved = |guard: &DeserializeGuard<Factory>| {
        let status = guard.0.as_ref().ok()?.status.as_ref()?;
        let ready = status.conditions.iter().find(|c| c.type_ == "Ready").map(|c| c.status.as_str());
        Some(hash(&(&status.base_sha, ready)))
    };
    let events = watcher(factories, watcher::Config::default()).default_backoff().touched_objects();
    let names = told(events.predicate_filter(moved, PredicateConfig::default())).map(|guard| guard.name_any());
    of_factories(client.clone(), namespace.to_owned(), names)
}

/// AgentPRs of every Factory of which one ended: the next have their turn.
pub fn queue_moved(client: &Client, namespace: &str) -> impl Stream<Item = ObjectRef<AgentPR>> + Send + use<> {
    let changes: Api<DeserializeGuard<AgentPR>> = Api::namespaced(client.clone(), namespace);
    let ended = |guard: &DeserializeGuard<AgentPR>| {
        let object = guard.0.as_ref().ok()?;
        let status = object.status.as_ref();
        let stalled = status.is_some_and(|s| s.conditions.iter().any(|c| c.type_ == "Stalled" && c.status == "True"));
        Some(hash(&(status.and_then(|s| s.merge_sha.as_ref()), stalled, object.metadata.deletion_timestamp.is_some())))
    };
    let events = watcher(changes, watcher::Config::default()).default_backoff().touched_objects();
    let names = told(events.predicate_filter(ended, PredicateConfig::default()))
        .filter_map(|guard| async move { guard.0.ok().map(|object| object.spec.factory_ref.name) });
    of_factories(client.clone(), namespace.to_owned(), names)
}

/// Everything of kind `K` that belongs to the named Factories.
fn of_factories<K>(client: Client, namespace: String, names: impl Stream<Item = String> + Send) -> impl Stream<Item = ObjectRef<K>> + Send
where
    K: Kind + OfFactory,
{
    names
        .then(move |factory| {
            let api: Api<K> = Api::namespaced(client.clone(), &namespace);
            async move {
                let all = objects::timely(api.list(&ListParams::default())).await;
                let all = all.inspect_err(|error| tracing::debug!(error = telemetry::chain(error), "list for a Factory's change"));
                let items = all.map(|list| list.items).unwrap_or_default();
                stream::iter(items.into_iter().filter(move |o| o.factory() == factory && !o.is_over()).map(|o| ObjectRef::from_obj(&o)))
            }
        })
        .flatten()
}

fn by_labels<C: ResourceExt, K: Resource<DynamicType = ()>>(child: &C, namespace: &str, name: &str) -> Option<ObjectRef<K>> {
    let label = |label: &str| child.labels().get(label).cloned();
    Some(ObjectRef::new(&label(name)?).within(&label(namespace)?))
}

/// Every object that was made, changed or removed.
fn changes<C>(events: impl Stream<Item = Result<watcher::Event<C>, watcher::Error>> + Send) -> impl Stream<Item = C> + Send
where
    C: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    told(events.default_backoff().touched_objects())
}

/// A watch's objects; its failures end by themselves and are told in the log alone.
fn told<C: Send>(objects: impl Stream<Item = Result<C, watcher::Error>> + Send) -> impl Stream<Item = C> + Send {
    objects.filter_map(|object| async move { object.inspect_err(|error| tracing::debug!(error = telemetry::chain(error), "watch")).ok() })
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
