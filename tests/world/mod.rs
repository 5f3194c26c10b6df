//! The outside world in memory: a forge, a DNS server, an edge, the services behind it, a language model and a clock, whose
//! state a test sets and which fail as the adapters do, with the same class and
//! reason. It knows nothing of Kubernetes and decides nothing; that the fakes do
//! not lie is the contract suites' work (`tests/contract`), which run on them and
//! on the real servers alike. Read `forge.rs` next.

pub mod bank;
pub mod dns;
pub mod edge;
pub mod faults;
pub mod forge;
pub mod model;
pub mod probe;
pub mod rooms;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use flywheel::{
    api::{
        conditions::Reason,
        factory::{DnsSpec, EdgeSpec, ModelSpec, RepositorySpec},
    },
    ports::{
        Connect,
        clock::Clock,
        dns::{Dns, TsigKey},
        edge::{ClientIdentity, Edge},
        error::{Class, PortError},
        forge::{Forge, ForgeAdmin},
        model::Model,
        probe::Probe,
    },
};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

/// Everything outside the process.
pub struct World(Mutex<State>);

/// What a test sets.
pub struct State {
    /// The forge.
    pub forge: forge::ForgeState,
    /// The DNS server.
    pub dns: dns::DnsState,
    /// The edge.
    pub edge: edge::EdgeState,
    /// What answers behind the edge.
    pub probe: probe::ProbeState,
    /// A language model.
    pub model: model::ModelState,
    /// The time.
    pub now: Timestamp,
}

/// How a whole server fails, whatever it is asked.
#[derive(Clone, Copy, Debug)]
pub enum Outage {
    /// Nobody answers.
    Down,
    /// It answers with an error of its own.
    Failing,
    /// It asks to wait.
    Limited(Duration),
    /// It answers with something else than its protocol.
    Nonsense,
    /// It answers with more than is read of one answer.
    Endless,
}

impl Outage {
    fn error(self, server: &str) -> PortError {
        match self {
            Self::Down => PortError::unreachable(server),
            Self::Failing => PortError::new(Class::Transient, Reason::ServerError, format!("{server} answered 502")),
            Self::Endless => PortError::new(Class::Invalid, Reason::TooLarge, format!("{server} answered with more than 1 bytes")),
            Self::Limited(wait) => PortError::new(Class::RateLimited(wait), Reason::RateLimited, format!("{server} asks to wait")),
            Self::Nonsense => PortError::new(Class::Bug, Reason::UnexpectedAnswer, format!("{server} answered with something else")),
        }
    }
}

impl World {
    /// A world in which everything is as it should be.
    pub fn good() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            forge: forge::ForgeState::good(),
            dns: dns::DnsState::good(),
            edge: edge::EdgeState::good(),
            probe: probe::ProbeState::good(),
            model: model::ModelState::good(),
            now: Timestamp::from_second(1_800_000_000).unwrap(),
        })))
    }

    /// Changes the world.
    pub fn change(&self, change: impl FnOnce(&mut State)) {
        self.read(change);
    }

    /// Looks at the world.
    pub fn read<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets time pass.
    pub fn wait(&self, span: Duration) {
        self.change(|state| state.now += span);
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        self.read(|state| state.now)
    }
}

/// Connects to a [`World`] instead of servers.
pub struct Fakes(pub Arc<World>);

impl Fakes {
    fn forge_client(&self, spec: &RepositorySpec, token: &SecretString) -> forge::Client {
        forge::Client::new(&self.0, &spec.url, (&spec.owner, &spec.name), token.expose_secret())
    }
}

impl Connect for Fakes {
    fn forge(&self, spec: &RepositorySpec, token: &SecretString) -> Result<Arc<dyn Forge>, PortError> {
        Ok(Arc::new(self.forge_client(spec, token)))
    }

    fn forge_admin(&self, spec: &RepositorySpec, token: &SecretString) -> Result<Arc<dyn ForgeAdmin>, PortError> {
        Ok(Arc::new(self.forge_client(spec, token)))
    }

    fn dns(&self, spec: &DnsSpec, key: &TsigKey) -> Result<Arc<dyn Dns>, PortError> {
        Ok(Arc::new(dns::Client::new(&self.0, spec, key)?))
    }

    fn edge(&self, spec: &EdgeSpec, identity: &ClientIdentity) -> Result<Arc<dyn Edge>, PortError> {
        Ok(Arc::new(edge::Client::new(&self.0, spec, identity)))
    }

    fn probe(&self, ca_bundle: Option<&str>) -> Result<Arc<dyn Probe>, PortError> {
        Ok(Arc::new(probe::Client::new(&self.0, ca_bundle)))
    }

    fn model(&self, spec: &ModelSpec, key: &SecretString) -> Result<Arc<dyn Model>, PortError> {
        Ok(Arc::new(model::Client::new(&self.0, spec, key)))
    }
}
