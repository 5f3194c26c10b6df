//! Merges a decision's statements into an object's status, and writes it once,
//! and only where more than times changed.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time};
use kube::{
    Api,
    api::{ApiResource, DynamicObject, Patch, PatchParams},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    context::Context,
    driver::{Kind, StatusFields},
};
use crate::{
    api::{
        FIELD_MANAGER,
        conditions::{ConditionType, Reason, Statement},
    },
    decide::retry,
    ports::error::{Class, PortError},
};

/// Longest wait for the API server. kube's client retries by itself for far
/// longer; one object's pass must not hang that long.
pub const API_TIMEOUT: Duration = Duration::from_secs(10);

/// How the API server says, as an error of its own, that a field is in no schema.
const NOT_IN_SCHEMA: &str = "field not declared in schema";

/// Statements as conditions, sorted by type, with the times of `old` kept where
/// the status is the same.
pub fn conditions(statements: &[Statement], old: &[Condition], generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    let now = Time(now);
    let mut new: Vec<_> =
        statements.iter().map(|s| s.to_condition(old.iter().find(|c| c.type_ == s.kind.as_str()), generation, &now)).collect();
    new.sort_by(|a, b| a.type_.cmp(&b.type_));
    new
}

/// Whether `next` says more than `before`, times aside. A transition time moves
/// only together with its condition's status, so that the rest tells.
pub fn changed<S: StatusFields>(before: Option<&S>, next: &S) -> bool {
    let timeless = |status: &S| {
        let mut status = serde_json::to_value(status).unwrap_or_default();
        if let Some(Value::Array(conditions)) = status.get_mut("conditions") {
            for condition in conditions.iter_mut().filter_map(Value::as_object_mut) {
                condition.remove("lastTransitionTime");
            }
            conditions.sort_by(|a, b| a["type"].as_str().cmp(&b["type"].as_str()));
        }
        status
    };
    before.is_none_or(|before| timeless(before) != timeless(next))
}

/// The new `Ready` condition, if its status or reason is another than before.
pub fn turned<'a>(old: &[Condition], new: &'a [Condition]) -> Option<&'a Condition> {
    let ready = ConditionType::Ready.as_str();
    let now = new.iter().find(|c| c.type_ == ready)?;
    let same = old.iter().any(|c| c.type_ == ready && c.status == now.status && c.reason == now.reason);
    (!same).then_some(now)
}

/// Applies the whole status: with server-side apply, what is not sent is removed.
pub async fn patch<K: Kind>(object: &K, status: &K::Status, cx: &Context) -> Result<(), PortError> {
    apply_status::<K>(object.meta(), status, cx).await
}

/// Says on an object that can't be read what is wrong with it, once.
pub async fn patch_unreadable<K: Kind>(meta: &ObjectMeta, error: &PortError, cx: &Context) -> Result<(), PortError> {
    let old = stored_conditions::<K>(meta, cx).await;
    let new = conditions(&retry::not_ready_because(error), &old, meta.generation, cx.now().at);
    if new == old {
        return Ok(());
    }
    apply_status::<K>(meta, &json!({ "observedGeneration": meta.generation, "conditions": new }), cx).await
}

/// Conditions of an object whose other fields can't be read; none where they
/// can't be read either, which costs a write at worst.
async fn stored_conditions<K: Kind>(meta: &ObjectMeta, cx: &Context) -> Vec<Condition> {
    let (Some(name), Some(namespace)) = (&meta.name, &meta.namespace) else { return Vec::new() };
    let api: Api<DynamicObject> = Api::namespaced_with(cx.client.clone(), namespace, &ApiResource::erase::<K>(&()));
    let Ok(Ok(stored)) = tokio::time::timeout(API_TIMEOUT, api.get(name)).await else { return Vec::new() };
    serde_json::from_value(stored.data["status"]["conditions"].clone()).unwrap_or_default()
}

async fn apply_status<K: Kind>(meta: &ObjectMeta, status: &(impl Serialize + Sync), cx: &Context) -> Result<(), PortError> {
    let (Some(name), Some(namespace)) = (&meta.name, &meta.namespace) else {
        return Err(PortError::new(Class::Bug, Reason::InternalError, "an object without name or namespace"));
    };
    // The uid makes the write fail if the object was deleted and made anew.
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let patch = Patch::Apply(json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": { "name": name, "uid": meta.uid },
        "status": status,
    }));
    // Untyped: the answer may be an object that this version can't read.
    let api: Api<kube::core::PartialObjectMeta<K>> = Api::namespaced(cx.client.clone(), namespace);
    let write = api.patch_status(name, &params, &patch);
    match tokio::time::timeout(API_TIMEOUT, write).await {
        Ok(Ok(_)) => Ok(()),
        // Deleted meanwhile: nobody is left to tell.
        Ok(Err(kube::Error::Api(answer))) if answer.is_not_found() => Ok(()),
        Ok(Err(kube::Error::Api(answer))) if answer.is_conflict() => {
            Err(PortError::new(Class::Conflict, Reason::Conflict, "the object was replaced while it was looked at"))
        }
        Ok(Err(error)) => Err(api_error(error)),
        Err(_) => Err(PortError::unreachable("the API server")),
    }
}

/// A failed call of the API server.
pub fn api_error(error: kube::Error) -> PortError {
    match &error {
        kube::Error::Api(answer) if answer.is_forbidden() => {
            PortError::new(Class::Denied, Reason::PermissionMissing, format!("the API server refused the controller: {}", answer.message))
        }
        kube::Error::Api(answer) if answer.message.contains(NOT_IN_SCHEMA) => PortError::new(
            Class::Denied,
            Reason::CrdsOutdated,
            "the cluster's CRDs are older than the controller, and lack what it has to say: kubectl apply --server-side -f crds/ of the controller's release",
        ),
        kube::Error::Api(answer) if answer.is_invalid() => PortError::new(
            Class::Bug,
            Reason::InternalError,
            format!("the API server refused what the controller wrote: {}", answer.message),
        ),
        // An answer, if a broken one: its own, or that of an admission webhook.
        kube::Error::Api(answer) if answer.code >= 400 => PortError::new(
            Class::Transient,
            Reason::ServerError,
            format!("the API server answered {} {}: see its log, and the controller's (tried again by itself)", answer.code, answer.reason),
        ),
        _ => PortError::unreachable("the API server"),
    }
    .because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{conditions::Truth, factory::FactoryStatus};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn say(kind: ConditionType, status: Truth, reason: Reason, message: &str) -> Statement {
        Statement::new(kind, status, reason, message)
    }

    fn status(statements: &[Statement], old: &[Condition], second: i64) -> FactoryStatus {
        let mut status = FactoryStatus { account: Some("bot".into()), ..FactoryStatus::default() };
        status.set(conditions(statements, old, Some(1), at(second)), Some(1));
        status
    }

    #[test]
    fn a_transition_time_moves_only_with_its_status() {
        let ready = |status, reason, message| vec![say(ConditionType::Ready, status, reason, message)];
        let first = conditions(&ready(Truth::False, Reason::Unreachable, "a"), &[], Some(1), at(10));
        assert_eq!(first[0].last_transition_time.0, at(10));
        let reworded = conditions(&ready(Truth::False, Reason::ServerError, "b"), &first, Some(2), at(20));
        assert_eq!((reworded[0].last_transition_time.0, reworded[0].observed_generation), (at(10), Some(2)));
        assert_eq!((reworded[0].reason.as_str(), reworded[0].message.as_str()), ("ServerError", "b"));
        let turned = conditions(&ready(Truth::True, Reason::Verified, "c"), &reworded, Some(2), at(30));
        assert_eq!(turned[0].last_transition_time.0, at(30));
    }

    #[test]
    fn conditions_are_sorted_and_what_is_not_said_goes() {
        let old = conditions(&[say(ConditionType::Stalled, Truth::True, Reason::Invalid, "x")], &[], None, at(1));
        let said = [
            say(ConditionType::Ready, Truth::True, Reason::Verified, "x"),
            say(ConditionType::DnsReady, Truth::True, Reason::Verified, "x"),
        ];
        let new = conditions(&said, &old, None, at(2));
        assert_eq!(new.iter().map(|c| c.type_.as_str()).collect::<Vec<_>>(), ["DnsReady", "Ready"]);
    }

    #[test]
    fn times_and_order_are_no_change_and_all_else_is() {
        let good = [
            say(ConditionType::Ready, Truth::True, Reason::Verified, "good"),
            say(ConditionType::DnsReady, Truth::True, Reason::Verified, "good"),
        ];
        let before = status(&good, &[], 10);
        assert!(changed(None, &before), "a first status");
        let mut later = status(&good, &[], 99);
        later.conditions.reverse();
        assert!(!changed(Some(&before), &later), "times and order");

        let mut other = before.clone();
        other.account = None;
        assert!(changed(Some(&before), &other), "a field");
        let reworded = [say(ConditionType::Ready, Truth::True, Reason::Verified, "better"), good[1].clone()];
        assert!(changed(Some(&before), &status(&reworded, &before.conditions, 10)), "a message");
        assert!(changed(Some(&before), &status(&good[..1], &before.conditions, 10)), "a condition less");
        let mut regenerated = before.clone();
        regenerated.set(before.conditions.clone(), Some(2));
        assert!(changed(Some(&before), &regenerated), "the generation");
    }

    #[test]
    fn only_a_new_status_or_reason_of_ready_is_announced() {
        let ready = |status, reason, message| conditions(&[say(ConditionType::Ready, status, reason, message)], &[], None, at(1));
        let down = ready(Truth::False, Reason::Unreachable, "a");
        assert!(turned(&[], &down).is_some(), "the first one");
        assert!(turned(&down, &ready(Truth::False, Reason::Unreachable, "b")).is_none(), "another wording");
        assert!(turned(&down, &ready(Truth::False, Reason::ServerError, "a")).is_some(), "another reason");
        assert!(turned(&down, &ready(Truth::True, Reason::Unreachable, "a")).is_some(), "another status");
        let other = conditions(&[say(ConditionType::DnsReady, Truth::False, Reason::Unreachable, "a")], &[], None, at(1));
        assert!(turned(&down, &other).is_none(), "no Ready, no news");
    }
}
