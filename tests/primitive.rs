//! Primitives from document to answer and back: passes over an API server, a forge,
//! a zone, an edge and a cluster in memory, with the real passes of Factory and
//! AgentPR beside them. `way.rs` has the way there, `trouble.rs` what may be in
//! it, `idea.rs` a document that a model writes, `live.rs` what the last
//! stage takes and how it is lost, `phases.rs` who is told of it, `deletion.rs` the way back, `decisions.rs` single decisions
//! without a pass, `random.rs` what holds of any.

mod catalogue;
mod decisions;
mod deletion;
mod idea;
mod live;
mod phases;
mod random;
mod rooms;
mod trouble;
mod way;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use axum::http::Method;
use flywheel::{
    api::{
        agent_pr::AgentPR,
        factory::Factory,
        gate_run::GateRun,
        names::Sha,
        primitive::{Primitive, PrimitiveStatus},
    },
    controller::{context::Context, driver},
    ports::{
        error::PortError,
        forge::{EntryKind, Label},
        probe::Answered,
        scan::Scan,
    },
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{core::DeserializeGuard, runtime::controller::Action as Requeue, runtime::reflector::ObjectRef};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    apiserver::ApiServer,
    driver::RESYNC,
    fixtures,
    world::{Fakes, World},
};

const OWN: &str = "/apis/flywheel.prim.sh/v1alpha1/namespaces/flywheel";
const RUN: &str = "/api/v1/namespaces/flywheel-run";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/flywheel-run/deployments";
/// Where the fake cluster's Services answer.
const SERVICE: &str = "10.96.0.77";

/// Finds nothing: whether it is asked is the changes' own tests' work.
struct Nothing;

#[async_trait]
impl Scan for Nothing {
    async fn scan(&self, _: &[(&str, &str)]) -> Result<Option<String>, PortError> {
        Ok(None)
    }
}

/// Everything around one primitive.
struct Run {
    api: ApiServer,
    world: Arc<World>,
    cx: Arc<Context>,
    pokes: mpsc::Receiver<ObjectRef<Factory>>,
    /// What gates come to.
    unit: &'static str,
    contract: &'static str,
    canary: &'static str,
    /// Results of a canary that ends.
    results: Value,
    /// How many tests layer 2 did not try.
    untried: i64,
    /// New pods get ready.
    pods_start: bool,
}

/// A free service that keeps data, and has a route that nobody has written.
fn document(id: &str) -> Value {
    json!({
        "id": id, "name": format!("{id}.sh"), "endpoint": format!("{id}.prim.sh"), "description": "Keeps notes.",
        "factory": { "free_service": true },
        "routes_map": [
            { "route": "POST /v1/notes", "operation_id": "create_note", "status": 201, "request": "CreateNoteRequest", "response": "Note" },
            { "route": "GET /v1/notes", "operation_id": "list_notes", "status": 200, "response": "NoteList" },
            { "route": "POST /v1/guess", "operation_id": "guess", "status": 200, "request": "GuessRequest", "response": "Guess" },
        ],
    })
}

/// The same with another description.
fn changed(id: &str, description: &str) -> Value {
    let mut document = document(id);
    document["description"] = description.into();
    document
}

impl Run {
    async fn new() -> Self {
        let api = ApiServer::default();
        for secret in fixtures::secrets() {
            api.put(secret);
        }
        api.put_object(&format!("{OWN}/factories/prim"), serde_json::to_value(fixtures::factory()).unwrap());
        let world = World::good();
        world.change(|w| {
            w.forge.repo.labels = vec![Label { name: "agent-pr".into(), color: "0e8a16".into(), description: String::new() }];
        });
        let (sender, pokes) = mpsc::channel(64);
        let mut cx = Context::with_world(api.client(), Arc::new(Fakes(world.clone())), world.clone(), sender, RESYNC);
        cx.scanner = Arc::new(Nothing);
        let run = Self {
            api,
            world,
            cx: Arc::new(cx),
            pokes,
            unit: "Passed",
            contract: "Passed",
            canary: "Passed",
            results: json!([]),
            untried: 0,
            pods_start: true,
        };
        run.factory_looks().await;
        run
    }

    /// Applies a Primitive, as somebody with kubectl would.
    fn apply(&self, document: &Value, settings: &Value) {
        let id = document["id"].as_str().unwrap();
        let path = Self::path(id);
        let mut spec = json!({ "factoryRef": { "name": "prim" }, "document": document });
        for (key, value) in settings.as_object().unwrap() {
            spec[key] = value.clone();
        }
        match self.api.object(&path) {
            Some(mut there) => {
                there["spec"] = spec;
                there["metadata"]["generation"] = (there["metadata"]["generation"].as_i64().unwrap() + 1).into();
                self.api.put_object(&path, there);
            }
            None => self.api.put_object(
                &path,
                json!({
                    "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "Primitive", "spec": spec,
                    "metadata": { "name": id, "namespace": "flywheel", "uid": format!("uid-of-{id}"), "generation": 1 },
                }),
            ),
        }
    }

    fn path(id: &str) -> String {
        format!("{OWN}/primitives/{id}")
    }

    async fn pass(&self, id: &str) -> Result<Requeue, driver::PassError> {
        let object: Primitive = serde_json::from_value(self.api.object(&Self::path(id)).expect("the Primitive")).unwrap();
        driver::pass::<Primitive>(Arc::new(DeserializeGuard(Ok(object))), self.cx.clone()).await
    }

    async fn factory_looks(&self) {
        let object: Factory = serde_json::from_value(self.api.object(&format!("{OWN}/factories/prim")).unwrap()).unwrap();
        driver::pass::<Factory>(Arc::new(DeserializeGuard(Ok(object))), self.cx.clone()).await.unwrap();
    }

    /// One pass of everything, and a second of everybody else's work.
    async fn step(&mut self, id: &str) {
        if self.api.object(&Self::path(id)).is_some() {
            let _ = self.pass(id).await;
        }
        self.others().await;
    }

    /// Passes of which each loses its status first, as by a crash after its actions, and
    /// then is made once more.
    async fn lose_each_status(&mut self, id: &str, passes: usize) {
        for _ in 0..passes {
            let before = self.api.object(&Self::path(id)).unwrap()["status"].clone();
            let _ = self.pass(id).await;
            self.api.edit(&Self::path(id), |mut object| {
                object["status"] = before.clone();
                Some(object)
            });
            self.step(id).await;
        }
    }

    async fn others(&mut self) {
        for name in self.changes() {
            let path = format!("{OWN}/agentprs/{name}");
            let Some(object) = self.api.object(&path) else { continue };
            let object: AgentPR = serde_json::from_value(object).unwrap();
            let _ = driver::pass::<AgentPR>(Arc::new(DeserializeGuard(Ok(object))), self.cx.clone()).await;
        }
        // What layer 1 comes to is its own tests' work.
        for gate in self.gates().into_iter().filter(|gate| gate["spec"]["layer"] != "Unit") {
            let object: GateRun = serde_json::from_value(gate).unwrap();
            let _ = driver::pass::<GateRun>(Arc::new(DeserializeGuard(Ok(object))), self.cx.clone()).await;
        }
        self.judge();
        catalogue::judge(self).await;
        self.cluster();
        while self.pokes.try_recv().is_ok() {
            self.factory_looks().await;
        }
        // What goes on beside the passes.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        self.world.wait(Duration::from_secs(1));
    }

    /// Steps until `Ready` says so.
    async fn until(&mut self, id: &str, status: &str, reason: &str) {
        for _ in 0..80 {
            if self.find(id, "Ready").is_some_and(|c| c.status == status && c.reason == reason) {
                return;
            }
            self.step(id).await;
        }
        panic!("{id} does not come to Ready={status} {reason}: {:#?}", self.status(id));
    }

    /// Steps until nothing is said anew.
    async fn settle(&mut self, id: &str) {
        for _ in 0..80 {
            let before = self.status(id);
            for _ in 0..3 {
                self.step(id).await;
            }
            if self.status(id) == before {
                return;
            }
        }
        panic!("{id} comes to no end: {:#?}", self.status(id));
    }

    /// Ends every gate that has not ended.
    fn judge(&self) {
        let now = self.cx.now().at.to_string();
        for gate in self.gates() {
            let (verdict, untried) = match gate["spec"]["layer"].as_str() {
                Some("Unit") => (self.unit, 0),
                Some("Contract") => (self.contract, self.untried),
                _ => (self.canary, 0),
            };
            let path = format!("{OWN}/gateruns/{}", gate["metadata"]["name"].as_str().unwrap());
            let is_room = gate["spec"]["layer"] == "CleanRoom";
            let results = if is_room || gate["spec"]["layer"] == "Canary" { self.results.clone() } else { json!([]) };
            if gate["status"]["verdict"].is_null() && !verdict.is_empty() && !catalogue::is_derived(&gate) {
                self.api.edit(&path, |mut gate| {
                    let ready = if verdict == "Passed" { "True" } else { "False" };
                    let tested = gate["status"]["tested"].clone();
                    gate["status"] = json!({ "verdict": verdict, "results": results, "since": now, "conditions": [{
                        "type": "Ready", "status": ready, "reason": verdict, "message": "as the test says", "lastTransitionTime": now }] });
                    if !tested.is_null() {
                        gate["status"]["tested"] = tested;
                    }
                    if is_room {
                        gate["status"]["job"] = format!("room-of-{}", gate["metadata"]["name"].as_str().unwrap()).into();
                    }
                    if untried > 0 {
                        gate["status"]["untried"] = untried.into();
                    }
                    Some(gate)
                });
            }
        }
    }

    /// What a cluster does: Services get an address, and Deployments their pods.
    fn cluster(&self) {
        for service in self.api.objects(&format!("{RUN}/services")) {
            let name = service["metadata"]["name"].as_str().unwrap();
            self.api.edit(&format!("{RUN}/services/{name}"), |mut service| {
                service["spec"]["clusterIP"] = SERVICE.into();
                Some(service)
            });
        }
        for deployment in self.api.objects(DEPLOYMENTS).into_iter().filter(|_| self.pods_start) {
            let name = deployment["metadata"]["name"].as_str().unwrap();
            let mut pod = deployment["spec"]["template"].clone();
            pod["metadata"]["name"] = name.into();
            pod["metadata"]["namespace"] = "flywheel-run".into();
            pod["status"] = json!({ "conditions": [{ "type": "Ready", "status": "True" }] });
            self.api.put_object(&format!("{RUN}/pods/{name}"), pod);
            self.api.edit(&format!("{DEPLOYMENTS}/{name}"), |mut deployment| {
                deployment["status"] = json!({ "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1 });
                Some(deployment)
            });
            self.serves(200, name.strip_prefix("prim-").unwrap());
        }
    }

    /// What answers behind the edge.
    fn serves(&self, status: u16, id: &str) {
        let address: SocketAddr = format!("{SERVICE}:80").parse().unwrap();
        let body = json!({ "service": format!("{id}.sh"), "status": "ok" });
        self.world.change(|w| drop(w.probe.services.insert(address, Answered { status, body })));
    }

    /// Somebody else's merge into the base branch.
    fn push(&self, path: &str, content: Option<&str>) -> Sha {
        self.world.read(|w| {
            let repo = &mut w.forge.repo;
            let head = repo.branches["main"].0.clone();
            let mut files = repo.git.files(&head);
            match content {
                Some(content) => {
                    let id = repo.git.blob(content.as_bytes());
                    files.insert(path.into(), (EntryKind::File, id));
                }
                None => files.retain(|at, _| !at.starts_with(path)),
            }
            let made = repo.git.commit(files, vec![head], "somebody's");
            repo.push("main", &made);
            made
        })
    }

    fn paths(&self) -> Vec<String> {
        self.world.read(|w| {
            let head = w.forge.repo.branches["main"].0.clone();
            w.forge.repo.git.files(&head).into_keys().collect()
        })
    }

    fn status(&self, id: &str) -> PrimitiveStatus {
        let object = self.api.object(&Self::path(id)).unwrap_or_default();
        serde_json::from_value(object["status"].clone()).unwrap_or_default()
    }

    fn find(&self, id: &str, kind: &str) -> Option<Condition> {
        self.status(id).conditions.into_iter().find(|c| c.type_ == kind)
    }

    /// What a condition says, after asserting its status and reason.
    #[track_caller]
    fn says(&self, id: &str, kind: &str, status: &str, reason: &str) -> String {
        let found = self.find(id, kind).unwrap_or_else(|| panic!("no {kind}: {:#?}", self.status(id)));
        assert_eq!((found.status.as_str(), found.reason.as_str()), (status, reason), "{kind}: {}", found.message);
        found.message
    }

    fn milestones(&self, id: &str) -> Vec<String> {
        self.status(id).milestones.into_iter().map(|m| m.name).collect()
    }

    fn changes(&self) -> Vec<String> {
        self.api.objects(&format!("{OWN}/agentprs")).iter().map(|o| o["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    fn gates(&self) -> Vec<Value> {
        self.api.objects(&format!("{OWN}/gateruns"))
    }

    /// Names of a layer's runs over what runs, in the order of their names.
    fn runs_of(&self, layer: &str) -> Vec<String> {
        let runs = self.gates().into_iter().filter(|gate| gate["spec"]["layer"] == layer);
        runs.map(|gate| gate["metadata"]["name"].as_str().unwrap().to_owned()).collect()
    }

    fn pulls(&self) -> usize {
        self.world.read(|w| w.forge.repo.pulls.len())
    }

    fn address(&self, name: &str) -> Vec<String> {
        self.world.read(|w| w.dns.data(name, "A"))
    }

    fn routes(&self) -> usize {
        self.world.read(|w| w.edge.routes.as_ref().unwrap().len())
    }

    /// The controller starts anew, and knows nothing of what it read before.
    fn restart(&mut self) {
        let (sender, pokes) = mpsc::channel(64);
        let mut cx = Context::with_world(self.api.client(), Arc::new(Fakes(self.world.clone())), self.world.clone(), sender, RESYNC);
        cx.scanner = Arc::new(Nothing);
        (self.cx, self.pokes) = (Arc::new(cx), pokes);
    }

    /// Nothing was written to the forge.
    fn nothing_pushed(&self) -> bool {
        let writes = ["commit_files", "open_pull", "set_status", "upsert_comment", "merge", "update_branch"];
        self.changes().is_empty() && self.pulls() == 0 && self.world.read(|w| writes.iter().all(|name| w.forge.faults.calls(name) == 0))
    }

    fn effects(&self, id: &str) -> Vec<String> {
        self.status(id).effects.into_iter().map(|e| format!("{} {}", e.kind, e.name)).collect()
    }

    /// A pass that writes nothing and asks the forge for nothing.
    async fn quiet_pass(&self, id: &str) -> Requeue {
        self.api.take();
        let calls = self.world.read(|w| w.forge.faults.all_calls());
        let requeue = self.pass(id).await.expect("a pass");
        let writes: Vec<_> = self.api.take().into_iter().filter(|r| r.method != Method::GET).collect();
        assert!(writes.is_empty(), "{writes:#?}");
        assert_eq!(self.world.read(|w| w.forge.faults.all_calls()), calls, "the forge was asked");
        requeue
    }
}
