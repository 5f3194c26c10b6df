//! Picks the adapter that a Factory's spec names.

use std::sync::Arc;

use secrecy::SecretString;

use super::{caddy::Caddy, gitea::Gitea, probe::HttpsProbe, rfc2136::Rfc2136};
use crate::{
    api::factory::{DnsProvider, DnsSpec, EdgeSpec, ForgeKind, RepositorySpec},
    ports::{
        Connect,
        dns::{Dns, TsigKey},
        edge::{ClientIdentity, Edge},
        error::PortError,
        forge::{Forge, ForgeAdmin},
        probe::Probe,
    },
};

/// Connects to real servers.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealServers;

impl Connect for RealServers {
    fn forge(&self, spec: &RepositorySpec, token: &SecretString) -> Result<Arc<dyn Forge>, PortError> {
        match spec.forge {
            ForgeKind::Gitea => Ok(Arc::new(Gitea::new(spec, token)?)),
        }
    }

    fn forge_admin(&self, spec: &RepositorySpec, token: &SecretString) -> Result<Arc<dyn ForgeAdmin>, PortError> {
        match spec.forge {
            ForgeKind::Gitea => Ok(Arc::new(Gitea::new(spec, token)?)),
        }
    }

    fn dns(&self, spec: &DnsSpec, key: &TsigKey) -> Result<Arc<dyn Dns>, PortError> {
        match spec.provider {
            DnsProvider::Rfc2136 => Ok(Arc::new(Rfc2136::new(spec, key)?)),
        }
    }

    fn edge(&self, spec: &EdgeSpec, identity: &ClientIdentity) -> Result<Arc<dyn Edge>, PortError> {
        Ok(Arc::new(Caddy::new(spec, identity)?))
    }

    fn probe(&self, ca_bundle: Option<&str>) -> Result<Arc<dyn Probe>, PortError> {
        Ok(Arc::new(HttpsProbe::new(ca_bundle)?))
    }
}
