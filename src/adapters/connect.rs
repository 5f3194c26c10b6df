//! Picks the adapter that a Factory's spec names.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use url::Url;

use super::{caddy::Caddy, gitea::Gitea, model::ChatCompletions, probe::HttpsProbe, rfc2136::Rfc2136};
use crate::{
    api::factory::{DnsProvider, DnsSpec, EdgeSpec, ForgeKind, ModelSpec, RepositorySpec},
    ports::{
        Connect,
        dns::{Dns, TsigKey},
        edge::{ClientIdentity, Edge},
        error::PortError,
        forge::{Forge, ForgeAdmin},
        model::Model,
        probe::Probe,
    },
};

/// Forge clients that are kept; dropped whole when they are many.
const KEPT: usize = 64;

/// Connects to real servers.
#[derive(Default)]
pub struct RealServers {
    /// One for each repository and token: with what it knows, and its connections.
    forges: Mutex<HashMap<String, Arc<Gitea>>>,
}

impl RealServers {
    fn gitea(&self, spec: &RepositorySpec, token: &SecretString) -> Result<Arc<Gitea>, PortError> {
        let mut digest = Sha256::new();
        for part in [spec.url.as_str(), &spec.owner, &spec.name, token.expose_secret()] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        let key: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let mut forges = self.forges.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = forges.get(&key) {
            return Ok(known.clone());
        }
        let made = Arc::new(Gitea::new(spec, token)?);
        if forges.len() >= KEPT {
            forges.clear();
        }
        forges.insert(key, made.clone());
        Ok(made)
    }
}

impl Connect for RealServers {
    fn forge(&self, spec: &RepositorySpec, token: &SecretString) -> Result<Arc<dyn Forge>, PortError> {
        match spec.forge {
            ForgeKind::Gitea => Ok(self.gitea(spec, token)?),
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

    fn model(&self, spec: &ModelSpec, key: &SecretString) -> Result<Arc<dyn Model>, PortError> {
        let url = Url::parse(&spec.url).map_err(|e| PortError::invalid("spec.model.url", e))?;
        let timeout = Duration::from_secs(spec.timeout_seconds.unsigned_abs().into());
        Ok(Arc::new(ChatCompletions::new(&url, &spec.name, Some(key.clone()), timeout)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one client learned, the next pass has.
    #[test]
    fn a_repository_and_a_token_have_one_client() {
        // Another test may have done so.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let spec = |name: &str| -> RepositorySpec {
            let spec = serde_json::json!({ "forge": "Gitea", "url": "https://forge.example", "owner": "prim", "name": name, "credentials": { "name": "x" } });
            serde_json::from_value(spec).expect("a repository")
        };
        let servers = RealServers::default();
        let client = |name: &str, token: &str| servers.gitea(&spec(name), &token.to_owned().into()).expect("a client");
        let first = client("factory", "a");
        assert!(Arc::ptr_eq(&first, &client("factory", "a")));
        assert!(!Arc::ptr_eq(&first, &client("other", "a")) && !Arc::ptr_eq(&first, &client("factory", "b")));
        for number in 0..2 * KEPT {
            client(&number.to_string(), "a");
        }
        assert!(servers.forges.lock().expect("the clients").len() <= KEPT);
    }
}
