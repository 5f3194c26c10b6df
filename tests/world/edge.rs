//! An edge in memory: whose certificate it takes, which one it shows, its routes.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use flywheel::{
    api::{conditions::Reason, factory::EdgeSpec},
    ports::{
        edge::{ClientIdentity, Edge},
        error::{Class, PortError},
    },
};

use super::{Outage, World};

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
    /// Host names that are routed; nothing where the list itself is missing.
    pub routes: Option<Vec<String>>,
}

impl EdgeState {
    pub(super) fn good() -> Self {
        Self { admin_url: ADMIN_URL.into(), outage: None, ca: CA.into(), clients: [CLIENT.0.to_owned()].into(), routes: Some(Vec::new()) }
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
}

#[async_trait]
impl Edge for Client {
    async fn hosts(&self) -> Result<Vec<String>, PortError> {
        self.world.read(|state| {
            let edge = &state.edge;
            if self.spec.admin_url != edge.admin_url {
                return Err(PortError::unreachable(&self.spec.admin_url));
            }
            if let Some(outage) = edge.outage {
                return Err(outage.error(&self.spec.admin_url));
            }
            if self.spec.admin_ca_bundle != edge.ca || !edge.clients.contains(&self.certificate) {
                return Err(PortError::new(Class::Invalid, Reason::CertificateRejected, "the TLS handshake failed"));
            }
            edge.routes.clone().ok_or_else(|| PortError::new(Class::Invalid, Reason::RouteListMissing, "no route list"))
        })
    }
}
