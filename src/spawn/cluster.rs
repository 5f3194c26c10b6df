//! Rooms that are namespaces of a cluster, made with an operator's rights. All that is
//! known of one is written on it, so that anybody with such rights can take it away.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        batch::v1::Job,
        core::v1::{Namespace, Pod, Secret},
        networking::v1::NetworkPolicy,
    },
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use tokio::time::sleep;

use super::objects::{EXPIRES, ORDER, ROOM_LABEL, SECRETS, Ways, job, namespace, order_digest, policies, quota, secrets};
use crate::{
    api::conditions::Reason,
    controller::{
        gate_run,
        objects::{find, timely},
    },
    decide::gate_run::Run,
    gate::{
        job::{GATE, NOTE},
        report::MAX_REPORT,
    },
    ports::{
        error::{Class, PortError},
        provisioner::{Order, Provisioner, Room, State},
    },
};

/// Between two looks whether a pod is gone.
const PAUSE: Duration = Duration::from_millis(500);
/// How long a pod may take to end.
const ENDING: Duration = Duration::from_secs(90);

/// A cluster.
pub struct Cluster {
    client: Client,
    ways: Ways,
}

impl Cluster {
    /// Rooms in the cluster of this client.
    pub fn new(client: Client, ways: Ways) -> Self {
        Self { client, ways }
    }

    /// The policies of the gates' namespace.
    pub async fn policies(client: &Client, gates: &str) -> Result<Vec<NetworkPolicy>, PortError> {
        let api: Api<NetworkPolicy> = Api::namespaced(client.clone(), gates);
        Ok(timely(api.list(&ListParams::default())).await?.items)
    }

    fn namespaces(&self) -> Api<Namespace> {
        Api::all(self.client.clone())
    }

    /// A room's namespace; whatever else has such a name is none of ours.
    async fn room(&self, id: &str) -> Result<Option<Namespace>, PortError> {
        Ok(find(&self.namespaces(), id).await?.filter(|found| found.labels().contains_key(ROOM_LABEL)))
    }

    /// Makes an object, or finds it made by an earlier try.
    async fn add<K>(&self, object: &K) -> Result<(), PortError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default());
        timely(async { gate_run::adopt(api.create(&PostParams::default(), object).await) }).await
    }

    /// Gives the keys to the Job, which does not stay: they go with it, whoever else is
    /// still there.
    async fn lend(&self, order: &Order) -> Result<(), PortError> {
        let (jobs, keys): (Api<Job>, Api<Secret>) =
            (Api::namespaced(self.client.clone(), &order.id), Api::namespaced(self.client.clone(), &order.id));
        let owner = timely(jobs.get(&order.id)).await?.owner_ref(&());
        let patch = json!({ "metadata": { "ownerReferences": owner.into_iter().collect::<Vec<_>>() } });
        for secret in secrets(order) {
            timely(keys.patch(&secret.name_any(), &PatchParams::default(), &Patch::Merge(&patch))).await?;
        }
        Ok(())
    }

    async fn pods(&self, id: &str) -> Result<Vec<Pod>, PortError> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), id);
        Ok(timely(pods.list(&ListParams::default())).await?.items)
    }
}

#[async_trait]
impl Provisioner for Cluster {
    async fn make(&self, order: &Order) -> Result<(), PortError> {
        let objects = job(order, &self.ways).map_err(|e| PortError::invalid("plan", e))?;
        let wanted = namespace(order);
        let made = timely(async { Ok(self.namespaces().create(&PostParams::default(), &wanted).await) }).await?;
        if let Err(error) = made {
            let taken = matches!(&error, kube::Error::Api(answer) if answer.is_already_exists());
            let there = if taken { find(&self.namespaces(), &order.id).await? } else { None };
            let ours = there.as_ref().is_some_and(|there| {
                there.annotations().get(ORDER) == Some(&order_digest(order)) && there.metadata.deletion_timestamp.is_none()
            });
            match taken {
                true if ours => {}
                true => {
                    let what = format!("namespace {} is there already, and was made by another order", order.id);
                    return Err(PortError::new(Class::Conflict, Reason::Taken, what));
                }
                false => return Err(crate::controller::status::api_error(error)),
            }
        }
        // What closes it comes before what runs in it.
        for policy in policies(order, &self.ways) {
            self.add(&policy).await?;
        }
        self.add(&quota(order)).await?;
        for secret in secrets(order) {
            self.add(&secret).await?;
        }
        gate_run::create(&objects, &self.client).await?;
        self.lend(order).await
    }

    async fn look(&self, id: &str) -> Result<State, PortError> {
        let Some(room) = self.room(id).await? else { return Ok(State::Gone) };
        if room.metadata.deletion_timestamp.is_some() {
            return Ok(State::Going("it is being removed".into()));
        }
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), id);
        let Some(job) = find(&jobs, id).await? else { return Ok(State::Broken("nothing runs in it".into())) };
        let pod = self.pods(id).await?.into_iter().next();
        Ok(match gate_run::judge(&job, pod.as_ref()) {
            Run::Absent => State::Broken("nothing runs in it".into()),
            Run::Going(doing) => State::Going(doing),
            Run::Over(outcome) => match pod.as_ref().map(crate::gate::job::summary) {
                // As it was read, which is as it was said.
                Some(Ok(summary)) => State::Ended(summary.to_termination()),
                _ => State::Broken(outcome.message),
            },
        })
    }

    async fn report(&self, id: &str) -> Result<String, PortError> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), id);
        let Some(pod) = self.pods(id).await?.into_iter().next() else { return Ok(String::new()) };
        let limit = i64::try_from(MAX_REPORT).unwrap_or(i64::MAX).saturating_add(2);
        let ask = LogParams { container: Some(GATE.into()), limit_bytes: Some(limit), ..LogParams::default() };
        timely(pods.logs(&pod.name_any(), &ask)).await
    }

    async fn keep(&self, id: &str, until: Timestamp) -> Result<(), PortError> {
        let gone = || PortError::new(Class::Invalid, Reason::Invalid, format!("there is no room {id} any more"));
        let room = self.room(id).await?.filter(|room| room.metadata.deletion_timestamp.is_none()).ok_or_else(gone)?;
        let patch = json!({ "metadata": { "annotations": { EXPIRES: until.to_string() } } });
        timely(self.namespaces().patch(&room.name_any(), &PatchParams::default(), &Patch::Merge(patch))).await.map(drop)
    }

    async fn stop(&self, id: &str) -> Result<(), PortError> {
        if self.room(id).await?.is_none() {
            return Ok(());
        }
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), id);
        timely(async { absent(jobs.delete(id, &DeleteParams::background()).await) }).await?;
        let ended = async {
            while !self.pods(id).await?.is_empty() {
                sleep(PAUSE).await;
            }
            Ok(())
        };
        let keys: Api<Secret> = Api::namespaced(self.client.clone(), id);
        for key in SECRETS {
            timely(async { absent(keys.delete(key, &DeleteParams::default()).await) }).await?;
        }
        tokio::time::timeout(ENDING, ended).await.unwrap_or_else(|_| {
            Err(PortError::new(Class::Transient, Reason::Unreachable, format!("the pod of room {id} does not end: is its node there?")))
        })
    }

    async fn remove(&self, id: &str) -> Result<(), PortError> {
        if self.room(id).await?.is_none() {
            return Ok(());
        }
        timely(async { absent(self.namespaces().delete(id, &DeleteParams::background()).await) }).await
    }

    async fn list(&self) -> Result<Vec<Room>, PortError> {
        let labelled = ListParams::default().labels(ROOM_LABEL);
        Ok(timely(self.namespaces().list(&labelled)).await?.items.iter().map(listed).collect())
    }
}

fn listed(namespace: &Namespace) -> Room {
    let annotations = namespace.annotations();
    let notes = annotations.iter().filter_map(|(key, value)| Some((key.strip_prefix(NOTE)?.to_owned(), value.clone()))).collect();
    // Whoever broke the time off it wants nothing of it any more.
    let expires = annotations.get(EXPIRES).and_then(|text| text.parse().ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    Room { id: namespace.name_any(), expires, notes }
}

/// What is not there needs no removal.
fn absent<T>(removed: Result<T, kube::Error>) -> Result<(), kube::Error> {
    match removed {
        Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}
