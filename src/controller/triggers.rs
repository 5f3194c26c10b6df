//! What starts a pass beside a change of the object's own spec: a change of what it
//! made, of what it waits for, or of the base branch. Each is a stream of the
//! objects to look at; a lost one is made up for by the next resync.

use std::{
    collections::{BTreeSet, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

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
use tokio::{sync::broadcast, time::Instant};

use super::{context::Context, driver::Kind, gate_run, objects};
use crate::{
    api::{
        NAMESPACE_LABEL, PRIMITIVE_LABEL,
        agent_pr::AgentPR,
        conditions::{self, ConditionType},
        factory::Factory,
        gate_run::GateRun,
        primitive::Primitive,
    },
    decide::gate_run::{held, is_queued},
    telemetry,
};

/// Between two looks that deliveries ask for.
const PAUSE: Duration = Duration::from_secs(1);

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

impl OfFactory for GateRun {
    fn factory(&self) -> &str {
        &self.spec.factory_ref.name
    }

    fn is_over(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.verdict.is_some())
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

/// Objects of kind `K` of every Factory whose base branch moved, or whose health or
/// policy on gates changed.
pub fn factories_moved<K>(client: &Client, namespace: &str) -> impl Stream<Item = ObjectRef<K>> + Send + use<K>
where
    K: Kind + OfFactory,
{
    let factories: Api<DeserializeGuard<Factory>> = Api::namespaced(client.clone(), namespace);
    let moved = |guard: &DeserializeGuard<Factory>| {
        let factory = guard.0.as_ref().ok()?;
        let status = factory.status.as_ref()?;
        let ready = conditions::find(&status.conditions, ConditionType::Ready).map(|c| c.status.as_str());
        // What gates ask with and what confines them, and what Live needs of them.
        let gates = serde_json::to_string(&factory.spec.policy.gates).ok();
        Some(hash(&(&status.base_sha, ready, gates, &factory.spec.deploy.runtime_class)))
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
        // Also why: one that is red keeps its place, and one that was closed gives it up.
        let stalled = status.and_then(|s| conditions::find(&s.conditions, ConditionType::Stalled)).filter(|c| c.status == "True");
        Some(hash(&(status.and_then(|s| s.merge_sha.as_ref()), stalled.map(|c| &c.reason), object.metadata.deletion_timestamp.is_some())))
    };
    let events = watcher(changes, watcher::Config::default()).default_backoff().touched_objects();
    let names = told(events.predicate_filter(ended, PredicateConfig::default()))
        .filter_map(|guard| async move { guard.0.ok().map(|object| object.spec.factory_ref.name) });
    of_factories(client.clone(), namespace.to_owned(), names)
}

/// AgentPRs whose Primitive was paused and is not any more. Whoever merges asks
/// whether it is, so that the other way needs no telling.
pub fn unpaused(client: &Client, namespace: &str) -> impl Stream<Item = ObjectRef<AgentPR>> + Send + use<> {
    let primitives: Api<DeserializeGuard<Primitive>> = Api::namespaced(client.clone(), namespace);
    let events = watcher(primitives, watcher::Config::default()).default_backoff();
    let freed = left(events, |primitive: &Primitive| primitive.spec.paused.is_some());
    let named = freed.map(|primitive| (primitive.spec.factory_ref.name.clone(), primitive.name_any()));
    of_factories_where(client.clone(), namespace.to_owned(), named, |change: &AgentPR, primitive| change.spec.primitive == *primitive)
}

/// AgentPRs whose branch a signed delivery named.
pub fn delivered(cx: &Context, namespace: &str) -> impl Stream<Item = ObjectRef<AgentPR>> + Send + use<> {
    let own = namespace.to_owned();
    let named = seldom(cx.branches()).filter_map(move |moved| {
        let here = moved.namespace == own;
        async move { here.then_some((moved.factory, moved.branch)) }
    });
    of_factories_where(cx.client.clone(), namespace.to_owned(), named, |change: &AgentPR, branch: &String| {
        change.status.as_ref().is_some_and(|status| status.branch.as_ref() == Some(branch))
    })
}

/// Primitives whose model came to an end with their idea.
pub fn answered(cx: &Context) -> impl Stream<Item = ObjectRef<Primitive>> + Send + use<> {
    stream::unfold(cx.ideas.ended(), |mut ended| async move {
        loop {
            match ended.recv().await {
                Ok((namespace, name)) => return Some((ObjectRef::new(&name).within(&namespace), ended)),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    })
}

/// GateRuns that wait for their turn, whenever one of their Factory gives up its own.
pub fn turn_moved(client: &Client, namespace: &str) -> impl Stream<Item = ObjectRef<GateRun>> + Send + use<> {
    let runs: Api<DeserializeGuard<GateRun>> = Api::namespaced(client.clone(), namespace);
    let ended = left(watcher(runs, watcher::Config::default()).default_backoff(), may_go_first);
    of_factories_where(client.clone(), namespace.to_owned(), ended.map(|run| (run.spec.factory_ref.name, ())), |run: &GateRun, ()| {
        is_queued(run)
    })
}

/// It runs, or waits for nothing but its turn.
fn may_go_first(run: &GateRun) -> bool {
    let Some(status) = &run.status else { return true };
    status.verdict.is_none() && (status.job.is_some() || !held(run))
}

/// Objects that were something and are it no longer, or are gone.
fn left<K>(
    events: impl Stream<Item = Result<watcher::Event<DeserializeGuard<K>>, watcher::Error>> + Send,
    is: fn(&K) -> bool,
) -> impl Stream<Item = K> + Send
where
    K: Resource<DynamicType = ()> + Send,
{
    let mut known = HashSet::new();
    told(events).filter_map(move |event| {
        let (object, gone) = match event {
            watcher::Event::Apply(object) | watcher::Event::InitApply(object) => (object.0.ok(), false),
            watcher::Event::Delete(object) => (object.0.ok(), true),
            watcher::Event::Init | watcher::Event::InitDone => (None, false),
        };
        let left = object.filter(|object| {
            let name = object.name_any();
            if !gone && is(object) {
                known.insert(name);
                return false;
            }
            known.remove(&name)
        });
        async move { left }
    })
}

/// What is told, each thing once a second at most: the first at once, and what came
/// meanwhile together after that.
fn seldom<T: Clone + Ord + Send + 'static>(told: broadcast::Receiver<T>) -> impl Stream<Item = T> + Send {
    let state = (told, BTreeSet::new(), None::<Instant>);
    stream::unfold(state, |(mut told, mut waiting, mut last)| async move {
        loop {
            if let Some(next) = waiting.pop_first() {
                return Some((next, (told, waiting, last)));
            }
            let first = match told.recv().await {
                Ok(first) => first,
                Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            if let Some(last) = last {
                tokio::time::sleep_until(last + PAUSE).await;
            }
            last = Some(Instant::now());
            waiting.insert(first);
            while let Ok(more) = told.try_recv() {
                waiting.insert(more);
            }
        }
    })
}

/// Everything of kind `K` that belongs to the named Factories.
fn of_factories<K>(client: Client, namespace: String, names: impl Stream<Item = String> + Send) -> impl Stream<Item = ObjectRef<K>> + Send
where
    K: Kind + OfFactory,
{
    of_factories_where(client, namespace, names.map(|name| (name, ())), |_, ()| true)
}

/// The same, of what `about` lets through.
fn of_factories_where<K, T>(
    client: Client,
    namespace: String,
    named: impl Stream<Item = (String, T)> + Send,
    about: fn(&K, &T) -> bool,
) -> impl Stream<Item = ObjectRef<K>> + Send
where
    K: Kind + OfFactory,
    T: Send + Sync + 'static,
{
    named
        .then(move |(factory, what)| {
            let api: Api<DeserializeGuard<K>> = Api::namespaced(client.clone(), &namespace);
            async move {
                let all = objects::timely(api.list(&ListParams::default())).await;
                let all = all.inspect_err(|error| tracing::debug!(error = telemetry::chain(error), "list for a Factory's change"));
                let all = readable(all.map(|list| list.items).unwrap_or_default());
                let meant = all.filter(move |o| o.factory() == factory && !o.is_over() && about(o, &what));
                stream::iter(meant.map(|o| ObjectRef::from_obj(&o)))
            }
        })
        .flatten()
}

/// Those that can be read; the others' own passes tell what is wrong with them.
fn readable<K>(all: Vec<DeserializeGuard<K>>) -> impl Iterator<Item = K> {
    all.into_iter().filter_map(|guard| guard.0.ok())
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_deliveries_name_is_told_at_once_and_then_once_a_second() {
        let (sender, receiver) = broadcast::channel(8);
        let mut told = Box::pin(seldom(receiver));
        let began = Instant::now();
        for name in ["a", "a", "a"] {
            sender.send(name).expect("somebody listens");
        }
        assert_eq!((told.next().await, began.elapsed()), (Some("a"), Duration::ZERO));
        for name in ["b", "a", "b"] {
            sender.send(name).expect("somebody listens");
        }
        assert_eq!((told.next().await, told.next().await, began.elapsed()), (Some("a"), Some("b"), PAUSE));
        // What is too much is lost, and nothing else.
        for _ in 0..20 {
            sender.send("c").expect("somebody listens");
        }
        assert_eq!((told.next().await, began.elapsed()), (Some("c"), PAUSE * 2));
        drop(sender);
        assert_eq!(told.next().await, None);
    }

    #[tokio::test]
    async fn who_gives_up_a_turn_is_told_once() {
        let run = |name: &str, status: &serde_json::Value| -> DeserializeGuard<GateRun> {
            let digest = format!("sha256:{}", "0".repeat(64));
            let run = json!({
                "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "GateRun", "metadata": { "name": name },
                "spec": { "factoryRef": { "name": "prim" }, "layer": "Unit", "target": { "manifestRef": { "name": "m", "digest": digest } } },
                "status": status,
            });
            serde_json::from_value(run).expect("a GateRun")
        };
        let says = |reason: &str| json!({ "conditions": [{ "type": "Ready", "status": "False", "reason": reason, "message": "x", "lastTransitionTime": "2026-01-01T00:00:00Z" }] });
        let over = json!({ "job": "j", "verdict": "Passed", "conditions": [] });
        use watcher::Event::{Apply, Delete, Init, InitApply, InitDone};
        let events = vec![
            Init,
            InitApply(run("long over", &over)),
            InitApply(run("runs", &json!({ "job": "j", "conditions": [] }))),
            InitApply(run("waits", &says("Queued"))),
            InitDone,
            Apply(run("new", &json!({}))),
            Apply(run("long over", &over)),
            Apply(run("new", &says("Waiting"))),
            Apply(run("new", &says("Invalid"))),
            Apply(run("runs", &over)),
            Apply(run("runs", &over)),
            Delete(run("waits", &says("Queued"))),
            Delete(run("runs", &over)),
        ];
        let told: Vec<_> = left(stream::iter(events.into_iter().map(Ok)), may_go_first).map(|run| run.name_any()).collect().await;
        assert_eq!(told, ["new", "runs", "waits"]);
        let queued = |status| is_queued(&run("x", &status).0.expect("a GateRun"));
        assert!(queued(says("Queued")) && !queued(says("Running")) && !queued(json!({})));
    }

    #[test]
    fn one_object_that_can_not_be_read_hides_no_other() {
        let run = |name: &str, layer: &str| {
            let digest = format!("sha256:{}", "0".repeat(64));
            json!({
                "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "GateRun", "metadata": { "name": name },
                "spec": { "factoryRef": { "name": "prim" }, "layer": layer, "target": { "manifestRef": { "name": "m", "digest": digest } } },
            })
        };
        let list =
            json!({ "apiVersion": "v1", "kind": "List", "metadata": {}, "items": [run("a", "Unit"), run("b", "Ninth"), run("c", "Unit")] });
        let list: kube::core::ObjectList<DeserializeGuard<GateRun>> = serde_json::from_value(list).expect("a list");
        assert_eq!(readable(list.items).map(|run| run.name_any()).collect::<Vec<_>>(), ["a", "c"]);
    }
}
