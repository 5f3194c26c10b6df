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
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, LogParams, Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use tokio::time::sleep;

use super::{
    ending,
    objects::{EXPIRES, ORDER, ROOM_LABEL, SECRETS, Ways, job, namespace, order_digest, policies, quota, secrets},
};
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
        provisioner::{Order, Provisioner, Room, State, Stopped},
    },
};

/// Between two looks whether a pod is gone.
const PAUSE: Duration = Duration::from_millis(500);
/// How often a pod is tried to be held whose node writes of it just then.
const HOLDS: usize = 3;
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

    /// The Job as the owner of what goes with it.
    async fn owner(&self, id: &str) -> Result<OwnerReference, PortError> {
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), id);
        let owner = timely(jobs.get(id)).await?.owner_ref(&());
        owner.ok_or_else(|| PortError::new(Class::Bug, Reason::InternalError, format!("Job {id} has no uid")))
    }

    /// Writes something on a room that is not being removed.
    async fn annotate(&self, id: &str, key: &str, text: &str) -> Result<(), PortError> {
        let gone = || PortError::new(Class::Invalid, Reason::Invalid, format!("there is no room {id} any more"));
        let room = self.room(id).await?.filter(|room| room.metadata.deletion_timestamp.is_none()).ok_or_else(gone)?;
        let patch = json!({ "metadata": { "annotations": { key: text } } });
        timely(self.namespaces().patch(&room.name_any(), &PatchParams::default(), &Patch::Merge(patch))).await.map(drop)
    }

    /// Keeps a pod's object when the pod has ended, or no longer. Whoever changed it in
    /// between is let have their way: it is looked at again, and what nobody holds is only
    /// not heard.
    async fn hold(&self, pod: &Pod, keep: bool) -> Result<(), PortError> {
        let Some(patch) = ending::hold(pod, keep) else { return Ok(()) };
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &pod.namespace().unwrap_or_default());
        let patched = async { Ok(pods.patch(&pod.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await) };
        match timely(patched).await? {
            Err(kube::Error::Api(answer)) if answer.is_not_found() || answer.is_conflict() => Ok(()),
            other => other.map(drop).map_err(crate::controller::status::api_error),
        }
    }

    /// Holds the room's pods, and says whether there are any: what its program says at its
    /// end would go with them.
    async fn held(&self, id: &str) -> Result<bool, PortError> {
        let mut pods = self.pods(id).await?;
        let are_there = !pods.is_empty();
        for _ in 0..HOLDS {
            for pod in &pods {
                self.hold(pod, true).await?;
            }
            pods = self.pods(id).await?;
            if pods.iter().all(|pod| ending::hold(pod, true).is_none()) {
                break;
            }
        }
        Ok(are_there || !pods.is_empty())
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
        // No key is there without the Job, which ends by itself and goes with all that is
        // its, whoever makes the room and dies: its pod waits until all of them are there.
        gate_run::create(&objects, &self.client).await?;
        let owner = self.owner(&order.id).await?;
        for secret in secrets(order, &owner) {
            self.add(&secret).await?;
        }
        Ok(())
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
        self.annotate(id, EXPIRES, &until.to_string()).await
    }

    async fn note(&self, id: &str, name: &str, text: &str) -> Result<(), PortError> {
        self.annotate(id, &format!("{NOTE}{name}"), text).await
    }

    async fn stop(&self, id: &str) -> Result<Stopped, PortError> {
        if self.room(id).await?.is_none() {
            return Ok(Stopped::Unheard);
        }
        let jobs: Api<Job> = Api::namespaced(self.client.clone(), id);
        let job = find(&jobs, id).await?;
        let had_pods = self.held(id).await?;
        timely(async { absent(jobs.delete(id, &DeleteParams::background()).await) }).await?;
        let ended = async {
            // A pod that comes and goes between two looks has not come to use any money.
            let never = !had_pods && job.as_ref().is_some_and(ending::had_no_pod);
            let mut stopped = if never { Stopped::Never } else { Stopped::Unheard };
            loop {
                let pods = self.pods(id).await?;
                if pods.is_empty() {
                    return Ok(stopped);
                }
                for pod in &pods {
                    match ending::of(pod) {
                        Some(end) => {
                            stopped = end;
                            self.hold(pod, false).await?;
                        }
                        None if ending::has_node(pod) => stopped = Stopped::Unheard,
                        None => {}
                    }
                }
                sleep(PAUSE).await;
            }
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
