//! The one pass every kind goes through: observe → decide → apply → status.
//! What differs between kinds is in [`Kind`]; everything else is here once.

use std::{fmt::Debug, sync::Arc, time::Duration};

use async_trait::async_trait;
use k8s_openapi::{NamespaceResourceScope, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{
    Resource, ResourceExt,
    core::{DeserializeGuard, error_boundary::InvalidObject},
    runtime::{
        controller::Action as Requeue,
        events::{Event, EventType},
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tracing::Instrument;

use super::{apply, context::Context, objects, status};
use crate::{
    api::{
        API_VERSION,
        conditions::{ConditionType, Reason, Statement},
    },
    decide::{Action, Decision, Now, ObjectName, Receipt, audit, retry},
    ports::error::{Class, PortError},
    telemetry::{KindLabel, Metrics, PassLabels, chain},
};

/// What a kind adds to the pass.
#[async_trait]
pub trait Kind:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
    /// Everything a decision about it looks at.
    type Seen: Send + Sync;
    /// Its status.
    type Status: StatusFields;

    /// The kind's name, for logs and metrics.
    const NAME: &'static str;

    /// Looks at the object and the world, and changes nothing. What can't be
    /// seen is part of what is seen; an error means that even that can't be told.
    async fn observe(&self, cx: &Context, now: Now) -> Result<(Self::Seen, apply::Hands), PortError>;

    /// Decides, without looking.
    fn decide(seen: &Self::Seen, now: Now) -> Decision<Self::Status>;

    /// The status it has.
    fn status(&self) -> Option<&Self::Status>;

    /// Our finalizer on objects of this kind, where something is to be done before
    /// one goes.
    const FINALIZER: Option<&'static str> = None;

    /// Takes over what came of actions and the next pass could not see.
    fn receive(_status: &mut Self::Status, _done: &[(&Action, Receipt)]) {}

    /// Drops what no pass looks at any more, before the object is kept in memory.
    fn shed(&mut self) {}

    /// Says what of the actions was refused without failing the pass.
    fn refused(_seen: &Self::Seen, _now: Now, _decision: &mut Decision<Self::Status>, _done: &[(&Action, Receipt)]) {}

    /// Counts what a change of status means.
    fn measure(&self, _before: Option<&Self::Status>, _after: &Self::Status, _metrics: &Metrics) {}

    /// Forgets what the process knows of an object that was deleted.
    fn gone(_namespace: &str, _name: &str, _cx: &Context) {}
}

/// The fields every status has.
pub trait StatusFields: Clone + Default + PartialEq + Serialize + Send + Sync {
    /// The conditions.
    fn conditions(&self) -> &[Condition];
    /// Sets what the driver owns: conditions and observed generation.
    fn set(&mut self, conditions: Vec<Condition>, generation: Option<i64>);
}

/// A pass that failed, for kube's `Controller`: the object has been told already.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The world did not do as it should.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The stored object does not fit its schema; an older version wrote it.
    #[error("the stored object does not fit its schema")]
    Unreadable(#[source] Box<InvalidObject>),
}

impl PassError {
    fn class(&self) -> Class {
        match self {
            Self::Port(error) => error.class,
            Self::Unreadable(_) => Class::Invalid,
        }
    }
}

/// One pass over one object.
pub async fn pass<K: Kind>(object: Arc<DeserializeGuard<K>>, cx: Arc<Context>) -> Result<Requeue, PassError> {
    let span = tracing::info_span!("pass", kind = K::NAME, namespace = object.namespace(), name = object.name_any());
    let started = std::time::Instant::now();
    let result = observed_pass(object, &cx).instrument(span).await;
    let label = match &result {
        Ok(_) => "ok",
        Err(error) => error.class().as_str(),
    };
    cx.metrics.passes.get_or_create(&PassLabels { kind: K::NAME, result: label }).inc();
    cx.metrics.pass_seconds.get_or_create(&KindLabel { kind: K::NAME }).observe(started.elapsed().as_secs_f64());
    result
}

async fn observed_pass<K: Kind>(object: Arc<DeserializeGuard<K>>, cx: &Context) -> Result<Requeue, PassError> {
    let now = cx.now();
    let object = match &object.0 {
        Ok(object) => object,
        Err(invalid) => return Err(unreadable::<K>(invalid, cx).await),
    };

    if let Some(finalizer) = K::FINALIZER {
        let held = object.finalizers().iter().any(|f| f == finalizer);
        match (object.meta().deletion_timestamp.is_some(), held) {
            // Others hold it; our part is done.
            (true, false) => return Ok(Requeue::await_change()),
            (false, false) => {
                let finalizers = object.finalizers().iter().cloned().chain([finalizer.to_owned()]).collect::<Vec<_>>();
                let version = object.resource_version();
                objects::set_finalizers(&own_name(object), version.as_deref(), &finalizers, &cx.client).await?;
            }
            _ => {}
        }
    }

    // Observe.
    let (seen, mut hands) = match K::observe(object, cx, now).await {
        Ok(observed) => observed,
        Err(error) => {
            let kept = object.status().cloned().unwrap_or_default();
            let statements = retry::not_ready_because(&error);
            write(object, kept, &statements, cx, now).await?;
            return Err(error.into());
        }
    };

    // Decide.
    let mut decision = K::decide(&seen, now);
    if let Err(violation) = audit::check(&decision) {
        let error =
            PortError::new(Class::Bug, Reason::InternalError, "a decision broke an invariant and was not applied; please report this")
                .because(violation);
        decision.actions.clear();
        decision.statements = retry::not_ready_because(&error);
        write(object, decision.status, &decision.statements, cx, now).await?;
        return Err(error.into());
    }

    // Apply, in order, up to the first failure; then say what came of it.
    hands.object = Some(own(object));
    let actions = std::mem::take(&mut decision.actions);
    let (done, failed) = apply::all(&actions, &hands, cx).await;
    let let_go = done.iter().any(|(action, _)| **action == Action::Release);
    K::receive(&mut decision.status, &done);
    K::refused(&seen, now, &mut decision, &done);
    if let Some(error) = &failed {
        decision.statements.retain(|s| {
            !matches!(s.kind, ConditionType::Ready | ConditionType::Reconciling | ConditionType::Stalled | ConditionType::Retrying)
        });
        decision.statements.extend(retry::not_ready_because(error));
    }

    // Status. Who is let go says what is left behind, whatever it said before.
    write(object, decision.status, &decision.statements, cx, now).await?;
    if let_go {
        let said = status::conditions(&decision.statements, &[], object.meta().generation, now.at);
        if let Some(ready) = status::turned(&[], &said) {
            announce(object, ready, "Release", cx).await;
        }
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(Requeue::requeue(decision.again)),
    }
}

fn own_name<K: Kind>(object: &K) -> ObjectName {
    // Every kind that passes through here is of our one group and version.
    ObjectName { api_version: API_VERSION, kind: K::NAME, namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
}

fn own<K: Kind>(object: &K) -> apply::Own {
    apply::Own { name: own_name(object), uid: object.uid().unwrap_or_default(), finalizer: K::FINALIZER }
}

/// Writes the status where it changed, and publishes an Event where `Ready` did.
async fn write<K: Kind>(object: &K, next: K::Status, statements: &[Statement], cx: &Context, now: Now) -> Result<(), PortError> {
    match store(object, next, statements, cx, now).await {
        // What it had fits older CRDs, and so does what is wrong with them.
        Err(error) if error.reason == Reason::CrdsOutdated => {
            let kept = object.status().cloned().unwrap_or_default();
            store(object, kept, &retry::not_ready_because(&error), cx, now).await?;
            Err(error)
        }
        other => other,
    }
}

async fn store<K: Kind>(object: &K, mut next: K::Status, statements: &[Statement], cx: &Context, now: Now) -> Result<(), PortError> {
    let before = object.status();
    let old = before.map(StatusFields::conditions).unwrap_or_default();
    let generation = object.meta().generation;
    next.set(status::conditions(statements, old, generation, now.at), generation);
    if !status::changed(before, &next) {
        return Ok(());
    }
    status::patch(object, &next, cx).await?;
    object.measure(before, &next, &cx.metrics);
    cx.metrics.status_writes.get_or_create(&KindLabel { kind: K::NAME }).inc();
    if let Some(ready) = status::turned(old, next.conditions()) {
        announce(object, ready, "Reconcile", cx).await;
    }
    Ok(())
}

/// An Event for a change of `Ready`. A failure to publish is no failure of the
/// pass: the condition says the same.
///
/// Events that differ in their note alone are counted up as one, with the first
/// one's note: what must be read has an action of its own.
async fn announce<K: Kind>(object: &K, ready: &Condition, action: &'static str, cx: &Context) {
    let event = Event {
        type_: if ready.status == "True" { EventType::Normal } else { EventType::Warning },
        reason: ready.reason.clone(),
        // The API takes 1 kB, which is MESSAGE_LIMIT.
        note: Some(ready.message.clone()),
        action: action.into(),
        secondary: None,
    };
    let reference = object.object_ref(&());
    match tokio::time::timeout(status::API_TIMEOUT, cx.recorder.publish(&event, &reference)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = chain(&error), "event not published"),
        Err(_) => tracing::warn!("event not published: the API server did not answer in time"),
    }
}

/// Says on the object itself that it can't be read.
async fn unreadable<K: Kind>(invalid: &InvalidObject, cx: &Context) -> PassError {
    let error = PortError::new(
        Class::Invalid,
        Reason::Invalid,
        format!("the stored object does not fit its schema: {}; apply it anew", invalid.error),
    );
    if let Err(failed) = status::patch_unreadable::<K>(&invalid.metadata, &error, cx).await {
        tracing::warn!(error = chain(&failed), "status not written");
    }
    PassError::Unreadable(Box::new(invalid.clone()))
}

/// When to try again after a failed pass, by the one table.
#[expect(clippy::needless_pass_by_value, reason = "the shape that kube's Controller calls")]
pub fn on_error<K: Kind>(object: Arc<DeserializeGuard<K>>, error: &PassError, cx: Arc<Context>) -> Requeue {
    let failing_since = object.0.as_ref().ok().and_then(Kind::status).and_then(|s| retry::failing_since(s.conditions()));
    let wait: Duration = retry::delay(error.class(), failing_since, cx.now().at);
    let severity = retry::severity(error.class());
    let (kind, name, class, error) = (K::NAME, object.name_any(), error.class().as_str(), chain(error));
    match severity {
        retry::Severity::Quiet => tracing::debug!(kind, name, class, error, wait = wait.as_secs(), "pass failed"),
        retry::Severity::Notable => tracing::warn!(kind, name, class, error, wait = wait.as_secs(), "pass failed"),
        retry::Severity::Serious => tracing::error!(kind, name, class, error, wait = wait.as_secs(), "pass failed"),
    }
    Requeue::requeue(wait)
}
