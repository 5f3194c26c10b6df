//! SCRIPTED: what a node does for the controller, without one. Jobs and Deployments
//! have their real controllers; the pods that those make run nowhere. A gate's pod, of
//! whatever layer, says Passed, a primitive's pod is ready, and its Service's address answers with
//! its name.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
};

use axum::{Json, Router};
use flywheel::gate::report::{Report, Step};
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{AbortHandle, JoinSet},
};

/// Label of what is a primitive's.
const PRIMITIVE: &str = "flywheel.prim.sh/primitive";
/// Port of a primitive's Service.
const PORT: u16 = 80;

/// The node; it goes with this.
pub(super) struct Node {
    /// Primitives whose gates do not come to their end.
    held: watch::Sender<BTreeSet<String>>,
    _work: JoinSet<()>,
}

impl Node {
    pub(super) fn start(client: &Client) -> Self {
        let (held, holding) = watch::channel(BTreeSet::new());
        let mut work = JoinSet::new();
        work.spawn(gates(client.clone(), holding));
        work.spawn(pods(client.clone()));
        work.spawn(services(client.clone()));
        Self { held, _work: work }
    }

    /// Keeps a primitive's gates from their end.
    pub(super) fn hold_gates(&self, id: &str) {
        self.held.send_if_modified(|held| held.insert(id.into()));
    }

    /// Lets them come to it.
    pub(super) fn end_gates(&self, id: &str) {
        self.held.send_if_modified(|held| held.remove(id));
    }
}

async fn gates(client: Client, holding: watch::Receiver<BTreeSet<String>>) {
    let api: Api<Pod> = Api::namespaced(client, "flywheel-gates");
    let mut events = std::pin::pin!(watcher(api.clone(), watcher::Config::default()).default_backoff().applied_objects());
    let mut running = JoinSet::new();
    while let Some(pod) = events.try_next().await.expect("watch") {
        if phase(&pod) == "Succeeded" || pod.metadata.deletion_timestamp.is_some() {
            continue;
        }
        let (api, mut holding) = (api.clone(), holding.clone());
        running.spawn(async move {
            let id = pod.labels()[PRIMITIVE].clone();
            holding.wait_for(|held| !held.contains(&id)).await.expect("the node");
            say(&api, &pod, passed(&pod)).await;
        });
    }
}

/// What the trusted container of a gate leaves when everything passed.
fn passed(pod: &Pod) -> Value {
    let gate = pod.spec.as_ref().and_then(|spec| spec.containers.iter().find(|c| c.name == "gate")).expect("a gate's container");
    let digest = gate.command.iter().flatten().skip_while(|word| *word != "--digest").nth(1).expect("--digest");
    let job = &pod.labels()["batch.kubernetes.io/job-name"];
    let message = Report::new(job, digest, vec![Step::passed("scripted")]).summary("").to_termination();
    let state = json!({ "terminated": { "exitCode": 0, "reason": "Completed", "message": message } });
    json!({ "phase": "Succeeded", "containerStatuses": [container("gate", false, &state)] })
}

async fn pods(client: Client) {
    let api: Api<Pod> = Api::namespaced(client, "flywheel-run");
    let mut events = std::pin::pin!(watcher(api.clone(), watcher::Config::default()).default_backoff().applied_objects());
    while let Some(pod) = events.try_next().await.expect("watch") {
        if phase(&pod) != "Running" && pod.metadata.deletion_timestamp.is_none() {
            let conditions =
                ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(|kind| json!({ "type": kind, "status": "True" }));
            let state = json!({ "running": {} });
            say(
                &api,
                &pod,
                json!({ "phase": "Running", "conditions": conditions, "containerStatuses": [container("service", true, &state)] }),
            )
            .await;
        }
    }
}

fn container(name: &str, ready: bool, state: &Value) -> Value {
    json!({ "name": name, "image": "", "imageID": "", "ready": ready, "restartCount": 0, "state": state })
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

async fn say(api: &Api<Pod>, pod: &Pod, status: Value) {
    match api.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(json!({ "status": status }))).await {
        Err(kube::Error::Api(answer)) if answer.is_not_found() => {}
        other => drop(other.expect("a pod's status")),
    }
}

/// Whoever asks a Service's address is answered as `GET /` of the primitive would.
async fn services(client: Client) {
    let api: Api<Service> = Api::namespaced(client, "flywheel-run");
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()).default_backoff());
    let mut serving: BTreeMap<String, AbortHandle> = BTreeMap::new();
    let mut servers = JoinSet::new();
    while let Some(event) = events.try_next().await.expect("watch") {
        match event {
            Event::Apply(service) | Event::InitApply(service) if !serving.contains_key(&service.name_any()) => {
                let ip = service.spec.as_ref().and_then(|spec| spec.cluster_ip.as_deref()).expect("clusterIP");
                let address = SocketAddr::new(ip.parse().expect("an address"), PORT);
                let listener = TcpListener::bind(address).await.unwrap_or_else(|e| panic!("{address}: {e}: run this inside BED_NETNS"));
                let answer = json!({ "service": service.labels()[PRIMITIVE] });
                let router = Router::new().fallback(move || async move { Json(answer) });
                let server = servers.spawn(async move { axum::serve(listener, router).await.expect("serve") });
                serving.insert(service.name_any(), server);
            }
            Event::Delete(service) => {
                if let Some(server) = serving.remove(&service.name_any()) {
                    server.abort();
                }
            }
            Event::Apply(_) | Event::InitApply(_) | Event::Init | Event::InitDone => {}
        }
    }
}
