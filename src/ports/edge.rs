//! The proxy that ends TLS for primitives and routes to them by host name.

use std::net::SocketAddr;

use async_trait::async_trait;
use secrecy::SecretString;

use super::error::PortError;
use crate::api::names::Fqdn;

/// One edge.
#[async_trait]
pub trait Edge: Send + Sync {
    /// Host names that are routed now.
    async fn hosts(&self) -> Result<Vec<String>, PortError>;
    /// Routes of Flywheel's form; others may stand beside them.
    async fn routes(&self) -> Result<Vec<Route>, PortError>;
    /// Makes a route, or makes the one of that id as wanted. Other routes stay as
    /// they are, whoever changes them at the same time.
    async fn set_route(&self, route: &Route) -> Result<RouteSet, PortError>;
    /// Removes the route of that id.
    async fn remove_route(&self, id: &str) -> Result<RouteRemoved, PortError>;
}

/// Where requests for a host go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What it is found by, such as `route-<owner>-<primitive>`.
    pub id: String,
    /// The host name.
    pub host: Fqdn,
    /// Who serves it, over plain HTTP.
    pub upstream: SocketAddr,
}

/// What came of setting a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteSet {
    /// It was set.
    Set,
    /// It was so already.
    Unchanged,
    /// Another route has that host; nothing changed. Its id, or what it is.
    HostTaken(String),
}

/// What came of removing a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouteRemoved {
    /// It was there and is gone.
    Removed,
    /// It was not there.
    Absent,
}

/// What a client shows at mutual TLS.
#[derive(Clone, Debug)]
pub struct ClientIdentity {
    /// Certificate chain, PEM.
    pub certificate: String,
    /// Private key, PEM.
    pub key: SecretString,
}
