//! What one run of `doctor` makes in the cluster, and how it goes again: at the
//! end, on a failure, on Ctrl-C; and what an earlier run had to leave behind.

use std::time::Duration;

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, LogParams, PostParams},
    runtime::wait::{await_condition, conditions},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::within;
use crate::probe::Window;

/// Longest wait for a pod to start and end, beside the time it tries.
const PATIENCE: Duration = Duration::from_secs(90);
/// What is older belongs to no run that goes on.
const OLD: Duration = Duration::from_secs(600);
/// Label of all that `doctor` makes.
pub(super) const LABEL: (&str, &str) = ("app.kubernetes.io/name", "flywheel-doctor");

/// A namespace without policies and a pod in the gates' namespace, both of one
/// name, so that they can be removed whether or not their making was answered.
pub(super) struct Scene<'a> {
    pub client: &'a Client,
    pub gates: &'a str,
    pub name: String,
    /// When the run began.
    began: Timestamp,
}

impl<'a> Scene<'a> {
    pub fn new(client: &'a Client, gates: &'a str, began: Timestamp) -> Self {
        let name = format!("flywheel-doctor-{:x}-{:x}", began.as_millisecond(), std::process::id());
        Self { client, gates, name, began }
    }

    /// Makes the namespace where no policy holds.
    pub async fn open(&self) -> anyhow::Result<()> {
        let api: Api<Namespace> = Api::all(self.client.clone());
        let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "name": self.name, "labels": { LABEL.0: LABEL.1 } } }))?;
        within("a namespace for the pod without a policy", api.create(&PostParams::default(), &namespace)).await?;
        // The pod is refused until the namespace has its service account.
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.name);
        let ready = await_condition(accounts, "default", conditions::is_created());
        if tokio::time::timeout(PATIENCE, ready).await.is_err() {
            bail!("namespace {} got no service account", self.name);
        }
        Ok(())
    }

    /// Runs a pod to its end and reads what it printed.
    pub async fn run(&self, namespace: &str, pod: &Value) -> anyhow::Result<Window> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        let pod: Pod = serde_json::from_value(pod.clone())?;
        within(&format!("pod in {namespace}"), api.create(&PostParams::default(), &pod)).await?;
        ended(&api, &self.name).await
    }

    /// Removes both; what was not made is as good as removed.
    pub async fn remove(&self) -> anyhow::Result<()> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), self.gates);
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let (pod, namespace) = futures::join!(delete(&pods, &self.name), delete(&namespaces, &self.name));
        pod.and(namespace)
    }

    /// Removes what earlier runs left behind that were killed.
    pub async fn sweep(&self) -> anyhow::Result<()> {
        sweep(&Api::<Namespace>::all(self.client.clone()), self.began).await?;
        sweep(&Api::<Pod>::namespaced(self.client.clone(), self.gates), self.began).await
    }
}

async fn sweep<K>(api: &Api<K>, now: Timestamp) -> anyhow::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let ours = ListParams::default().labels(&format!("{}={}", LABEL.0, LABEL.1));
    for left in within("what earlier runs left behind", api.list(&ours)).await? {
        let old = left.creation_timestamp().is_some_and(|made| now.duration_since(made.0).unsigned_abs() > OLD);
        if old && left.meta().deletion_timestamp.is_none() {
            delete(api, &left.name_any()).await?;
        }
    }
    Ok(())
}

async fn delete<K>(api: &Api<K>, name: &str) -> anyhow::Result<()>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let kind = K::kind(&());
    let now = DeleteParams::default().grace_period(0);
    let deleted = async {
        match api.delete(name, &now).await {
            Err(kube::Error::Api(answer)) if answer.is_not_found() => Ok(()),
            other => other.map(drop),
        }
    };
    within(&format!("{kind} {name} was not removed"), deleted).await
}

async fn ended(api: &Api<Pod>, name: &str) -> anyhow::Result<Window> {
    let ended = await_condition(api.clone(), name, |pod: Option<&Pod>| {
        matches!(pod.and_then(|p| p.status.as_ref()?.phase.as_deref()), Some("Succeeded" | "Failed"))
    });
    let pod = match tokio::time::timeout(PATIENCE, ended).await {
        Ok(pod) => pod?.context("the pod was removed by somebody else")?,
        Err(_) => {
            let pod = within("the pod", api.get(name)).await.ok();
            bail!("pod {name} did not end within {} s: {}", PATIENCE.as_secs(), waiting(pod.as_ref()))
        }
    };
    let log = within("the pod's log", api.logs(name, &LogParams::default())).await?;
    serde_json::from_str(&log).with_context(|| format!("pod {name} ended as {}", pod.status.and_then(|s| s.phase).unwrap_or_default()))
}

/// Why a pod does not run, in Kubernetes' words.
fn waiting(pod: Option<&Pod>) -> String {
    pod.and_then(|p| p.status.as_ref()?.container_statuses.as_ref()?.first()?.state.as_ref()?.waiting.as_ref()).map_or_else(
        || "no reason given".into(),
        |w| format!("{} {}", w.reason.as_deref().unwrap_or_default(), w.message.as_deref().unwrap_or_default()),
    )
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
    };

    use axum::http::{Request, Response, StatusCode};
    use kube::client::Body;

    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    /// A client of a server that answers so, and notes what was deleted.
    fn client(answer: impl Fn(&str, &str) -> (StatusCode, Value) + Clone + Send + Sync + 'static) -> (Client, Arc<Mutex<Vec<String>>>) {
        let deleted = Arc::new(Mutex::new(Vec::new()));
        let noted = deleted.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
            let (code, body) = answer(&method, &path);
            if method == "DELETE" {
                noted.lock().unwrap().push(path);
            }
            let response = Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap();
            async move { Ok::<_, Infallible>(response) }
        });
        (Client::new(service, "default"), deleted)
    }

    fn status(code: StatusCode, reason: &str) -> (StatusCode, Value) {
        (
            code,
            json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": "x", "code": code.as_u16() }),
        )
    }

    #[tokio::test]
    async fn what_was_never_made_is_removed_all_the_same() {
        let (client, deleted) = client(|_, _| status(StatusCode::NOT_FOUND, "NotFound"));
        let scene = Scene::new(&client, "gates", NOW);
        assert!(scene.open().await.is_err());
        scene.remove().await.unwrap();
        let mut deleted = deleted.lock().unwrap().clone();
        deleted.sort();
        assert_eq!(deleted, [format!("/api/v1/namespaces/{}", scene.name), format!("/api/v1/namespaces/gates/pods/{}", scene.name)]);
    }

    #[tokio::test]
    async fn what_could_not_be_removed_is_told() {
        let (client, _) = client(|_, _| status(StatusCode::FORBIDDEN, "Forbidden"));
        let error = Scene::new(&client, "gates", NOW).remove().await.unwrap_err();
        assert!(error.to_string().contains("was not removed"), "{error:#}");
    }

    #[tokio::test]
    async fn only_what_is_old_is_swept() {
        let made = |name: &str, at: Timestamp| json!({ "metadata": { "name": name, "creationTimestamp": at.to_string() } });
        let list = json!({
            "kind": "List", "apiVersion": "v1", "metadata": {},
            "items": [made("young", NOW - OLD), made("old", NOW - OLD * 2)],
        });
        let (client, deleted) = client(move |method, _| match method {
            "GET" => (StatusCode::OK, list.clone()),
            _ => status(StatusCode::NOT_FOUND, "NotFound"),
        });
        Scene::new(&client, "gates", NOW).sweep().await.unwrap();
        assert_eq!(*deleted.lock().unwrap(), ["/api/v1/namespaces/old", "/api/v1/namespaces/gates/pods/old"]);
    }
}
