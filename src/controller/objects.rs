//! Kubernetes objects by name: reading one that another refers to, and making,
//! changing and removing those that a decision names.

use kube::{
    Api, Client, ResourceExt,
    api::{ApiResource, DeleteParams, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::status::{API_TIMEOUT, api_error};
use crate::{
    api::{FIELD_MANAGER, conditions::Reason},
    decide::{Manifest, ObjectName},
    ports::error::{Class, PortError},
};

/// Plural names of the kinds that decisions name; others are an `s` longer.
const PLURALS: [(&str, &str); 3] = [("AgentPR", "agentprs"), ("NetworkPolicy", "networkpolicies"), ("Factory", "factories")];

/// An object that another names: it is waited for. `what` says which field names it.
pub async fn get<K>(api: &Api<K>, name: &str, what: &str) -> Result<K, PortError>
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    find(api, name).await?.ok_or_else(|| {
        PortError::new(Class::Waiting, Reason::Waiting, format!("{what} {name} does not exist: create it (looked for again by itself)"))
    })
}

/// An object that may be there.
pub async fn find<K>(api: &Api<K>, name: &str) -> Result<Option<K>, PortError>
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    timely(api.get_opt(name)).await
}

/// Makes an object; one of that name that is there is left alone. Where it has an
/// owner, one of another owner is an error: it is not the object that is meant.
pub async fn create(Manifest(body): &Manifest, client: &Client) -> Result<(), PortError> {
    let (api, object) = typed(body, client)?;
    match timely(async { Ok(api.create(&PostParams::default(), &object).await) }).await? {
        Err(kube::Error::Api(answer)) if answer.is_already_exists() => {}
        other => return other.map(drop).map_err(api_error),
    }
    let Some(owner) = object.owner_references().first() else { return Ok(()) };
    let there = match find(&api, &object.name_any()).await? {
        Some(there) if !there.owner_references().iter().any(|o| o.uid == owner.uid) => there,
        // Ours, or gone again: the next look tells.
        _ => return Ok(()),
    };
    let (kind, name) = (there.types.map(|t| t.kind).unwrap_or_default(), object.name_any());
    if there.metadata.deletion_timestamp.is_some() {
        let what = format!("{kind} {name} is another's that is being removed");
        return Err(PortError::new(Class::Conflict, Reason::Conflict, what));
    }
    let what = format!("{kind} {name} is there already and is not {} {}'s: remove it (looked for again by itself)", owner.kind, owner.name);
    Err(PortError::new(Class::Waiting, Reason::Taken, what))
}

/// Makes an object as it is here; fields that others set stay.
pub async fn apply(Manifest(body): &Manifest, client: &Client) -> Result<(), PortError> {
    let (api, object) = typed(body, client)?;
    let name = object.metadata.name.clone().unwrap_or_default();
    let params = PatchParams::apply(FIELD_MANAGER).force();
    timely(api.patch(&name, &params, &Patch::Apply(&object))).await.map(drop)
}

/// Removes an object, and what it owns after it.
pub async fn remove(name: &ObjectName, client: &Client) -> Result<(), PortError> {
    let api = untyped(name.api_version, name.kind, &name.namespace, client);
    match timely(async { Ok(api.delete(&name.name, &DeleteParams::background()).await) }).await? {
        Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(()),
        other => other.map(drop).map_err(api_error),
    }
}

/// Changes some of an object's status, and leaves the rest as it is. An object that
/// is gone has nobody to tell.
pub async fn merge_status(name: &ObjectName, patch: &serde_json::Value, client: &Client) -> Result<(), PortError> {
    let api = untyped(name.api_version, name.kind, &name.namespace, client);
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.into()), ..PatchParams::default() };
    match timely(async { Ok(api.patch_status(&name.name, &params, &Patch::Merge(patch)).await) }).await? {
        Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(()),
        other => other.map(drop).map_err(api_error),
    }
}

/// Takes a finalizer from an object as it is now: the garbage collector takes its
/// own away meanwhile, and the API server refuses whoever sets one of those again.
pub async fn release(name: &ObjectName, finalizer: &str, client: &Client) -> Result<(), PortError> {
    let api = untyped(name.api_version, name.kind, &name.namespace, client);
    let Some(object) = timely(api.get_metadata_opt(&name.name)).await? else { return Ok(()) };
    let others: Vec<_> = object.finalizers().iter().filter(|other| *other != finalizer).cloned().collect();
    set_finalizers(name, object.resource_version().as_deref(), &others, client).await
}

/// Has our finalizer among an object's. Fails with a Conflict where the object
/// changed meanwhile.
pub async fn set_finalizers(name: &ObjectName, version: Option<&str>, finalizers: &[String], client: &Client) -> Result<(), PortError> {
    let api = untyped(name.api_version, name.kind, &name.namespace, client);
    let mut patch = json!({ "metadata": { "finalizers": finalizers } });
    // A null would take the version away, which no update may lack.
    if let Some(version) = version {
        patch["metadata"]["resourceVersion"] = version.into();
    }
    match timely(async { Ok(api.patch(&name.name, &PatchParams::default(), &Patch::Merge(&patch)).await) }).await? {
        // It is gone, and its finalizers with it.
        Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(()),
        Err(kube::Error::Api(answer)) if answer.is_conflict() => {
            Err(PortError::new(Class::Conflict, Reason::Conflict, "the object changed while it was looked at"))
        }
        other => other.map(drop).map_err(api_error),
    }
}

/// A call to the API server with our patience.
pub async fn timely<T>(call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, PortError> {
    match tokio::time::timeout(API_TIMEOUT, call).await {
        Ok(done) => done.map_err(api_error),
        Err(_) => Err(PortError::unreachable("the API server")),
    }
}

fn typed(body: &serde_json::Value, client: &Client) -> Result<(Api<DynamicObject>, DynamicObject), PortError> {
    let bug = || PortError::new(Class::Bug, Reason::InternalError, "an object without kind, name or namespace was to be made");
    let object: DynamicObject = serde_json::from_value(body.clone()).map_err(|e| bug().because(e))?;
    let types = object.types.clone().ok_or_else(bug)?;
    let namespace = object.metadata.namespace.clone().ok_or_else(bug)?;
    Ok((untyped(&types.api_version, &types.kind, &namespace, client), object))
}

fn untyped(api_version: &str, kind: &str, namespace: &str, client: &Client) -> Api<DynamicObject> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kind_of = GroupVersionKind::gvk(group, version, kind);
    let plural =
        PLURALS.iter().find(|(name, _)| *name == kind).map_or_else(|| format!("{}s", kind.to_lowercase()), |(_, plural)| (*plural).into());
    Api::namespaced_with(client.clone(), namespace, &ApiResource::from_gvk_with_plural(&kind_of, &plural))
}
