//! Reads what is there of a workload, and what of it nobody needs any more.

use std::collections::BTreeSet;

use futures::{future::try_join_all, try_join};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Service},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, Resource, ResourceExt, api::ListParams};
use serde::de::DeserializeOwned;

use super::{Running, Seen, judge, name, ours, selector};
use crate::{
    api::{factory::Factory, names::PrimitiveId},
    controller::{
        context::Context,
        environment,
        objects::{find, timely},
    },
    decide::{Manifest, ObjectName},
    ports::error::PortError,
};

/// Newest bundles that stay, so that `kubectl rollout undo` finds its own.
const KEPT: usize = 3;

/// How a primitive runs, and whether that is what is wanted. Fails where an object
/// of its name is somebody else's.
pub async fn observe(wanted: Option<&[Manifest]>, factory: &Factory, id: &PrimitiveId, cx: &Context) -> Result<Running, PortError> {
    let own = name(&factory.name_any(), id);
    let selector = selector(factory, id);
    let here = Here::new(factory, id, cx);
    let (deployments, services) = (here.api::<Deployment>(), here.api::<Service>());
    let made = wanted.unwrap_or_default().iter().map(|manifest| here.made(manifest));
    let (deployment, service, pods, made) =
        try_join!(find(&deployments, &own), find(&services, &own), here.all::<Pod>(), try_join_all(made))?;
    let mut known = BTreeSet::new();
    for (kind, meta) in made.into_iter().flatten() {
        ours(&kind, &meta, &selector)?;
        known.insert((kind, meta.name.unwrap_or_default()));
    }
    if let Some(found) = &deployment {
        ours("Deployment", &found.metadata, &selector)?;
    }
    if let Some(found) = &service {
        ours("Service", &found.metadata, &selector)?;
    }
    Ok(judge(wanted, &Seen { deployment, service, pods, made: known }))
}

/// Bundles that no pod needs any more, where `keep_digest` is the one that is
/// wanted; everything of the primitive, its data too, where none is. Nothing is
/// left where this is empty.
pub async fn leftovers(factory: &Factory, id: &PrimitiveId, keep_digest: Option<&str>, cx: &Context) -> Result<Vec<ObjectName>, PortError> {
    let here = Here::new(factory, id, cx);
    match keep_digest {
        Some(digest) => here.old_bundles(digest).await,
        None => here.everything().await,
    }
}

struct Here<'a> {
    cx: &'a Context,
    namespace: &'a str,
    name: String,
    labels: ListParams,
}

impl<'a> Here<'a> {
    fn new(factory: &'a Factory, id: &PrimitiveId, cx: &'a Context) -> Self {
        let labels: Vec<_> = selector(factory, id).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        let namespace = &factory.spec.deploy.namespace;
        Self { cx, namespace, name: name(&factory.name_any(), id), labels: ListParams::default().labels(&labels.join(",")) }
    }

    fn api<K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>>(&self) -> Api<K> {
        Api::namespaced(self.cx.client.clone(), self.namespace)
    }

    async fn all<K>(&self) -> Result<Vec<K>, PortError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned,
    {
        Ok(timely(self.api::<K>().list(&self.labels)).await?.items)
    }

    /// An object that is made once, if it is there. Its content is not asked for:
    /// it can't change, or is the user's.
    async fn made(&self, Manifest(manifest): &Manifest) -> Result<Option<(String, ObjectMeta)>, PortError> {
        let kind = manifest["kind"].as_str().unwrap_or_default();
        let name = manifest["metadata"]["name"].as_str().unwrap_or_default();
        let meta = match kind {
            "ConfigMap" => timely(self.api::<ConfigMap>().get_metadata_opt(name)).await?.map(|found| found.metadata),
            "PersistentVolumeClaim" => {
                timely(self.api::<PersistentVolumeClaim>().get_metadata_opt(name)).await?.map(|found| found.metadata)
            }
            _ => None,
        };
        Ok(meta.map(|meta| (kind.to_owned(), meta)))
    }

    /// Bundles, the newest first.
    async fn bundles(&self) -> Result<Vec<ObjectMeta>, PortError> {
        let listed = timely(self.api::<ConfigMap>().list_metadata(&self.labels)).await?;
        let mut bundles: Vec<_> = listed.items.into_iter().map(|found| found.metadata).collect();
        bundles.sort_by_key(|meta| std::cmp::Reverse(meta.creation_timestamp.as_ref().map(|time| time.0)));
        Ok(bundles)
    }

    async fn old_bundles(&self, digest: &str) -> Result<Vec<ObjectName>, PortError> {
        let bundles = self.bundles().await?;
        // So many are kept in any case: what uses the others need not be asked.
        if bundles.len() <= KEPT {
            return Ok(Vec::new());
        }
        let sets: Vec<ReplicaSet> = self.all().await?;
        let mut needed: BTreeSet<_> = sets.iter().filter(|set| in_use(set)).flat_map(mounted).collect();
        needed.insert(super::manifests::config_name(&self.name, digest));
        let old = bundles.into_iter().skip(KEPT).filter_map(|meta| meta.name).filter(|name| !needed.contains(name));
        Ok(old.map(|name| self.object("v1", "ConfigMap", name)).collect())
    }

    async fn everything(&self) -> Result<Vec<ObjectName>, PortError> {
        let (services, deployments, claims, bundles) =
            try_join!(self.all::<Service>(), self.all::<Deployment>(), self.all::<PersistentVolumeClaim>(), self.bundles())?;
        let mut all = Vec::new();
        all.extend(services.iter().map(|o| self.object("v1", "Service", o.name_any())));
        all.extend(deployments.iter().map(|o| self.object("apps/v1", "Deployment", o.name_any())));
        all.extend(bundles.into_iter().filter_map(|meta| meta.name).map(|name| self.object("v1", "ConfigMap", name)));
        all.extend(claims.iter().map(|o| self.object("v1", "PersistentVolumeClaim", o.name_any())));
        if !all.is_empty() {
            // Nobody may look whether it is there. It goes before the rest, so that
            // where the rest is gone, it is.
            all.insert(0, self.object("v1", "Secret", environment::secret_name(&self.name)));
        }
        Ok(all)
    }

    fn object(&self, api_version: &'static str, kind: &'static str, name: String) -> ObjectName {
        ObjectName { api_version, kind, namespace: self.namespace.to_owned(), name }
    }
}

fn in_use(set: &ReplicaSet) -> bool {
    let wanted = set.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0);
    let there = set.status.as_ref().map_or(0, |status| status.replicas);
    wanted > 0 || there > 0
}

/// ConfigMaps that a ReplicaSet's pods mount.
fn mounted(set: &ReplicaSet) -> Vec<String> {
    let pod = set.spec.as_ref().and_then(|spec| spec.template.as_ref()).and_then(|template| template.spec.as_ref());
    let volumes = pod.and_then(|pod| pod.volumes.as_ref()).into_iter().flatten();
    volumes.filter_map(|volume| Some(volume.config_map.as_ref()?.name.clone())).collect()
}
