//! The generic pass over a Factory, between an API server and a world in memory.
//! A test changes the world or the server and looks at which requests came, at
//! what the object then says, and when the next pass is due. It never looks into
//! the pass. Read `passes.rs` next.

mod failures;
mod packages;
mod passes;
mod webhook_judged;

use std::{sync::Arc, time::Duration};

use axum::http::Method;
use flywheel::{
    api::factory::{Factory, FactoryStatus},
    controller::{context::Context, driver},
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{core::DeserializeGuard, runtime::controller::Action as Requeue, runtime::reflector::ObjectRef};
use tokio::sync::mpsc;

use crate::{
    apiserver::{ApiServer, Seen},
    fixtures,
    world::{Fakes, World},
};

/// Time between two looks when all is well.
pub const RESYNC: Duration = Duration::from_secs(600);

/// One Factory, and all it depends on.
pub struct Run {
    /// The API server.
    pub api: ApiServer,
    /// Everything else outside.
    pub world: Arc<World>,
    /// The controller's context.
    pub cx: Arc<Context>,
    /// Pokes that were sent.
    pub pokes: mpsc::Receiver<ObjectRef<Factory>>,
    /// The Factory as stored: each pass's status goes into it.
    pub object: Factory,
}

/// What a pass did.
pub struct Passed {
    /// What it came to.
    pub result: Result<Requeue, driver::PassError>,
    /// Its status patches.
    pub statuses: Vec<Seen>,
    /// Its Events.
    pub events: Vec<Seen>,
    /// All its requests.
    pub requests: Vec<Seen>,
}

impl Run {
    /// A good world.
    pub fn new() -> Self {
        let api = ApiServer::default();
        for secret in fixtures::secrets() {
            api.put(secret);
        }
        let world = World::good();
        let (sender, pokes) = mpsc::channel(8);
        let cx = Context::with_world(api.client(), Arc::new(Fakes(world.clone())), world.clone(), sender, RESYNC);
        Self { api, world, cx: Arc::new(cx), pokes, object: fixtures::factory() }
    }

    /// One pass over the stored object.
    pub async fn pass(&mut self) -> Passed {
        let guard = Arc::new(DeserializeGuard(Ok(self.object.clone())));
        let result = driver::pass::<Factory>(guard, self.cx.clone()).await;
        let requests = self.api.take();
        let (statuses, events): (Vec<_>, Vec<_>) =
            requests.iter().filter(|r| r.method != Method::GET).cloned().partition(|r| r.path.ends_with("/status"));
        if let (Some(patch), Ok(_) | Err(_)) = (statuses.last(), &result) {
            self.object.status = Some(serde_json::from_value(patch.json()["status"].clone()).expect("a Factory's status"));
        }
        Passed { result, statuses, events, requests }
    }

    /// A pass that writes nothing.
    pub async fn quiet_pass(&mut self) -> Passed {
        let passed = self.pass().await;
        assert!(passed.statuses.is_empty() && passed.events.is_empty(), "expected no write: {:?}", passed.requests);
        passed
    }

    /// The stored status.
    pub fn status(&self) -> &FactoryStatus {
        self.object.status.as_ref().expect("no status yet")
    }

    /// The stored condition of this type.
    pub fn condition(&self, kind: &str) -> &Condition {
        self.find(kind).unwrap_or_else(|| panic!("no condition {kind} in {:?}", self.status().conditions))
    }

    /// The stored condition of this type, if there is one.
    pub fn find(&self, kind: &str) -> Option<&Condition> {
        self.status().conditions.iter().find(|c| c.type_ == kind)
    }

    /// Asserts a condition's status and reason.
    #[track_caller]
    pub fn says(&self, kind: &str, status: &str, reason: &str) {
        let condition = self.condition(kind);
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), (status, reason), "{kind}: {}", condition.message);
    }
}
