//! What every pass needs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kube::{
    Client,
    runtime::{
        events::{Recorder, Reporter},
        reflector::ObjectRef,
    },
};
use tokio::sync::{broadcast, mpsc};

use super::{
    catalogue::Catalogues, code::CodeCache, deliveries::Deliveries, failpoints::Failpoints, ideas::Ideas, leadership::Leadership,
    limits::Limits, phases::Phases, scanner::Gitleaks,
};
use crate::{
    adapters::{clock::SystemClock, connect::RealServers},
    api::{FIELD_MANAGER, factory::Factory},
    config::ControllerConfig,
    decide::Now,
    ports::{Connect, clock::Clock, scan::Scan},
    telemetry::Metrics,
};

/// Shared by all passes of a process.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// The outside world.
    pub connect: Arc<dyn Connect>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Webhook deliveries, and the secrets they are checked with.
    pub deliveries: Deliveries,
    /// Waits that servers asked for.
    pub limits: Arc<Limits>,
    /// What is derived from Factories' packages.
    pub catalogues: Catalogues,
    /// What models are asked.
    pub ideas: Ideas,
    /// What factory repositories hold.
    pub code: CodeCache,
    /// Looks for secrets in what would be pushed.
    pub scanner: Arc<dyn Scan>,
    /// Where a test has the process die.
    pub failpoints: Failpoints,
    /// Whether this process may act.
    pub leadership: Leadership,
    /// The process's metrics.
    pub metrics: Metrics,
    /// Publishes Events; one for the process, so that repeats are counted up.
    pub recorder: Recorder,
    pokes: mpsc::Sender<ObjectRef<Factory>>,
    /// Branches that signed deliveries named.
    branches: broadcast::Sender<Moved>,
    resync: Duration,
    /// Namespace of the custom resources.
    pub namespace: String,
    /// The primitives' phases, as they were told last.
    pub phases: Phases,
    /// Namespace of gate Jobs.
    pub gates_namespace: String,
    /// Namespace of Secrets that are granted to primitives.
    pub keys_namespace: String,
    unfilled: AtomicUsize,
}

/// A branch that a signed delivery named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moved {
    /// The Factory's namespace.
    pub namespace: String,
    /// The Factory's name.
    pub factory: String,
    /// The branch.
    pub branch: String,
}

/// Kinds whose caches must be filled before the process is ready.
pub const KINDS: usize = 4;

impl Context {
    /// A context on real servers, which leads only where no Lease is asked for.
    /// Fails where the settings make no sense.
    pub fn new(client: Client, config: &ControllerConfig, pokes: mpsc::Sender<ObjectRef<Factory>>) -> Result<Self, String> {
        Ok(Self {
            namespace: config.namespace.clone(),
            gates_namespace: config.gates_namespace.clone(),
            scanner: Arc::new(Gitleaks::new(config.gitleaks.clone())),
            failpoints: Failpoints::parse(&config.failpoint)?,
            leadership: if config.lease_namespace.is_empty() { Leadership::alone() } else { Leadership::none() },
            keys_namespace: config.keys_namespace.clone(),
            ..Self::with_world(client, Arc::new(RealServers::default()), Arc::new(SystemClock), pokes, config.resync())
        })
    }

    /// A context on any outside world.
    pub fn with_world(
        client: Client,
        connect: Arc<dyn Connect>,
        clock: Arc<dyn Clock>,
        pokes: mpsc::Sender<ObjectRef<Factory>>,
        resync: Duration,
    ) -> Self {
        Self {
            recorder: Recorder::new(client.clone(), Reporter { controller: FIELD_MANAGER.into(), instance: None }),
            client,
            connect,
            clock,
            deliveries: Deliveries::default(),
            limits: Arc::default(),
            catalogues: Catalogues::default(),
            ideas: Ideas::default(),
            code: CodeCache::default(),
            scanner: Arc::new(Gitleaks::new("/usr/local/bin/gitleaks")),
            failpoints: Failpoints::default(),
            leadership: Leadership::alone(),
            metrics: Metrics::default(),
            pokes,
            branches: broadcast::channel(256).0,
            resync,
            namespace: "flywheel".into(),
            phases: Phases::default(),
            gates_namespace: "flywheel-gates".into(),
            keys_namespace: "flywheel-keys".into(),
            unfilled: AtomicUsize::new(KINDS),
        }
    }

    /// A context for looking once, without a process around it.
    pub fn for_one_look(client: Client) -> Self {
        let (pokes, _) = mpsc::channel(1);
        Self::with_world(client, Arc::new(RealServers::default()), Arc::new(SystemClock), pokes, Duration::from_secs(600))
    }

    /// The time of a pass that begins now.
    pub fn now(&self) -> Now {
        Now { at: self.clock.now(), resync: self.resync }
    }

    /// Asks for a pass over `factory`.
    pub fn poke(&self, factory: ObjectRef<Factory>) {
        if self.pokes.try_send(factory).is_err() {
            tracing::warn!("too many pokes wait; the resync will serve this one");
        }
    }

    /// Tells whoever listens that a branch moved, or its pull request changed.
    pub fn moved(&self, moved: Moved) {
        // Nobody listens while another process leads.
        let _ = self.branches.send(moved);
    }

    /// Branches that are told from now on; a lost one costs time alone.
    pub fn branches(&self) -> broadcast::Receiver<Moved> {
        self.branches.subscribe()
    }

    /// Notes that a kind's cache is filled, once for each kind.
    pub fn note_filled(&self, kind: &'static str) {
        self.unfilled.fetch_sub(1, Ordering::Relaxed);
        tracing::debug!(kind, "cache filled");
    }

    /// Whether all caches are filled.
    pub fn is_ready(&self) -> bool {
        self.unfilled.load(Ordering::Relaxed) == 0
    }
}
