//! An edge in memory: whose certificate it takes, which one it shows, its routes.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use flywheel::{
    api::{conditions::Reason, factory::EdgeSpec},
    ports::{
        edge::{ClientIdentity, Edge, Route, RouteRemoved, RouteSet},
        error::{Class, PortError},
    },
};

use super::{
    Outage, World,
    faults::{Faults, call},
};

/// Where its admin API answers.
pub const ADMIN_URL: &str = "https://192.0.2.80:2021";
/// What signs its admin API's certificate.
pub const CA: &str = "-----BEGIN CERTIFICATE-----\nZWRnZSBjYQ==\n-----END CERTIFICATE-----\n";
/// The client certificate it lets in, and its key.
pub const CLIENT: (&str, &str) = ("client certificate", "client-key-51d3");

/// The edge.
pub struct EdgeState {
    /// Where its admin API answers.
    pub admin_url: String,
    /// It fails as a whole.
    pub outage: Option<Outage>,
    /// What signs its admin API's certificate.
    pub ca: String,
    /// Client certificates that it lets in.
    pub clients: BTreeSet<String>,
    /// Its routes; nothing where the list itself is missing.
    pub routes: Option<Vec<Listed>>,
    /// How often the list was replaced, which is a reload each time.
    pub reloads: u32,
    /// Single calls that fail.
    pub faults: Faults,
}

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// One of Flywheel's form.
    Ours(Route),
    /// One that somebody else made, for this host.
    Other(String),
}

impl Listed {
    fn host(&self) -> &str {
        match self {
            Self::Ours(route) => route.host.as_str(),
            Self::Other(host) => host,
        }
    }

    fn id(&self) -> Option<&str> {
        match self {
            Self::Ours(route) => Some(&route.id),
            Self::Other(_) => None,
        }
    }
}

impl EdgeState {
    pub(super) fn good() -> Self {
        Self {
            admin_url: ADMIN_URL.into(),
            outage: None,
            ca: CA.into(),
            clients: [CLIENT.0.to_owned()].into(),
            routes: Some(Vec::new()),
            reloads: 0,
            faults: Faults::default(),
        }
    }
}

/// One client of the edge.
pub struct Client {
    world: Arc<World>,
    spec: EdgeSpec,
    certificate: String,
}

impl Client {
    /// A client that shows `identity`.
    pub fn new(world: &Arc<World>, spec: &EdgeSpec, identity: &ClientIdentity) -> Self {
        Self { world: world.clone(), spec: spec.clone(), certificate: identity.certificate.clone() }
    }

    fn call<T>(
        &self,
        operation: &'static str,
        effect: impl FnOnce(&mut Vec<Listed>, &mut u32) -> Result<T, PortError>,
    ) -> Result<T, PortError> {
        self.world.read(|state| {
            call(
                &mut state.edge,
                |edge| &mut edge.faults,
                operation,
                &self.spec.admin_url,
                |edge| {
                    if self.spec.admin_url != edge.admin_url {
                        return Err(PortError::unreachable(&self.spec.admin_url));
                    }
                    if let Some(outage) = edge.outage {
                        return Err(outage.error(&self.spec.admin_url));
                    }
                    if self.spec.admin_ca_bundle != edge.ca || !edge.clients.contains(&self.certificate) {
                        return Err(PortError::new(Class::Invalid, Reason::CertificateRejected, "the TLS handshake failed"));
                    }
                    let missing = || PortError::new(Class::Invalid, Reason::RouteListMissing, "no route list");
                    effect(edge.routes.as_mut().ok_or_else(missing)?, &mut edge.reloads)
                },
            )
        })
    }
}

#[async_trait]
impl Edge for Client {
    async fn hosts(&self) -> Result<Vec<String>, PortError> {
        self.call("hosts", |routes, _| Ok(routes.iter().map(|r| r.host().to_owned()).collect()))
    }

    async fn routes(&self) -> Result<Vec<Route>, PortError> {
        self.call("routes", |routes, _| {
            Ok(routes.iter().filter_map(|r| if let Listed::Ours(route) = r { Some(route.clone()) } else { None }).collect())
        })
    }

    async fn set_route(&self, route: &Route) -> Result<RouteSet, PortError> {
        self.call("set_route", |routes, reloads| {
            if let Some(other) = routes.iter().find(|r| r.id() != Some(&route.id) && r.host() == route.host.as_str()) {
                return Ok(RouteSet::HostTaken(other.id().unwrap_or("a route without an id").into()));
            }
            match routes.iter_mut().find(|r| r.id() == Some(&route.id)) {
                Some(there) if *there == Listed::Ours(route.clone()) => return Ok(RouteSet::Unchanged),
                Some(there) => *there = Listed::Ours(route.clone()),
                None => routes.push(Listed::Ours(route.clone())),
            }
            *reloads += 1;
            Ok(RouteSet::Set)
        })
    }

    async fn remove_route(&self, id: &str) -> Result<RouteRemoved, PortError> {
        self.call("remove_route", |routes, reloads| {
            let before = routes.len();
            routes.retain(|r| r.id() != Some(id));
            if routes.len() == before {
                return Ok(RouteRemoved::Absent);
            }
            *reloads += 1;
            Ok(RouteRemoved::Removed)
        })
    }
}
