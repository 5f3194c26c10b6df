//! The outside world as traits with plain types in and out: what Flywheel needs
//! of a forge, a DNS server, an edge, a service, a wallet and a clock, and nothing of how one speaks.
//! Nothing here names a protocol library or Kubernetes; `adapters` does.
//! Read `error.rs` first: how a failure says who must act.

pub mod clock;
pub mod dns;
pub mod edge;
pub mod error;
pub mod forge;
pub mod model;
pub mod payments;
pub mod probe;
pub mod provisioner;
pub mod scan;
pub mod shell;

use std::sync::Arc;

use secrecy::SecretString;

use crate::api::factory::{DnsSpec, EdgeSpec, ModelSpec, RepositorySpec};
use dns::{Dns, TsigKey};
use edge::{ClientIdentity, Edge};
use error::PortError;
use forge::{Forge, ForgeAdmin};
use model::Model;
use probe::Probe;

/// Makes clients from a Factory's spec and its credentials. Making one does no
/// I/O; an error is about the settings themselves.
pub trait Connect: Send + Sync {
    /// A client for one repository, acting as `token`'s account.
    fn forge(&self, spec: &RepositorySpec, token: &SecretString) -> Result<Arc<dyn Forge>, PortError>;
    /// A client for one repository, as the administrator whose token it is.
    fn forge_admin(&self, spec: &RepositorySpec, token: &SecretString) -> Result<Arc<dyn ForgeAdmin>, PortError>;
    /// A client for one zone.
    fn dns(&self, spec: &DnsSpec, key: &TsigKey) -> Result<Arc<dyn Dns>, PortError>;
    /// A client for one edge.
    fn edge(&self, spec: &EdgeSpec, identity: &ClientIdentity) -> Result<Arc<dyn Edge>, PortError>;
    /// A client of services themselves, which takes certificates that `ca_bundle`
    /// signs (PEM), or the public roots where it is none.
    fn probe(&self, ca_bundle: Option<&str>) -> Result<Arc<dyn Probe>, PortError>;
    /// A client for one language model.
    fn model(&self, spec: &ModelSpec, key: &SecretString) -> Result<Arc<dyn Model>, PortError>;
}
