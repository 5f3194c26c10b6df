//! A DNS server in memory: zones, keys, and which key may change which zone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use flywheel::{
    api::{conditions::Reason, factory::DnsSpec},
    ports::{
        dns::{Dns, TsigKey},
        error::{Class, PortError},
    },
};
use secrecy::ExposeSecret;

use super::{Outage, World};

/// Where the server answers.
pub const SERVER: &str = "192.0.2.53:53";
/// The zone it serves.
pub const ZONE: &str = "prim.sh";
/// Name and secret of the key that may change the zone.
pub const KEY: (&str, &str) = ("flywheel.", "a2V5LXNlY3JldC05OTBi");
/// The key's algorithm.
pub const ALGORITHM: &str = "hmac-sha256";

/// The server.
pub struct DnsState {
    /// Where it answers.
    pub server: String,
    /// It fails as a whole.
    pub outage: Option<Outage>,
    /// Serial number of each zone.
    pub zones: BTreeMap<String, u32>,
    /// Algorithm and secret of each key.
    pub keys: BTreeMap<String, (String, String)>,
    /// Which key may change which zone.
    pub grants: BTreeSet<(String, String)>,
}

impl DnsState {
    pub(super) fn good() -> Self {
        Self {
            server: SERVER.into(),
            outage: None,
            zones: [(ZONE.to_owned(), 1)].into(),
            keys: [(KEY.0.to_owned(), (ALGORITHM.to_owned(), KEY.1.to_owned()))].into(),
            grants: [(KEY.0.to_owned(), ZONE.to_owned())].into(),
        }
    }

    fn answers(&self, server: &str) -> Result<(), PortError> {
        if server != self.server {
            return Err(PortError::unreachable(server));
        }
        self.outage.map_or(Ok(()), |outage| Err(outage.error(server)))
    }

    fn serial(&self, zone: &str) -> Result<u32, PortError> {
        self.zones.get(zone).copied().ok_or_else(|| PortError::new(Class::Invalid, Reason::ZoneNotServed, "not authoritative"))
    }
}

/// One zone, with one key.
pub struct Client {
    world: Arc<World>,
    server: String,
    zone: String,
    key: TsigKey,
}

impl Client {
    /// A client of `spec`'s zone.
    pub fn new(world: &Arc<World>, spec: &DnsSpec, key: &TsigKey) -> Result<Self, PortError> {
        let settings = spec.rfc2136.as_ref().ok_or_else(|| PortError::invalid("spec.dns.rfc2136", "is required with provider Rfc2136"))?;
        Ok(Self { world: world.clone(), server: settings.server.clone(), zone: spec.zone.clone(), key: key.clone() })
    }
}

#[async_trait]
impl Dns for Client {
    async fn serial(&self) -> Result<u32, PortError> {
        self.world.read(|state| {
            state.dns.answers(&self.server)?;
            state.dns.serial(&self.zone)
        })
    }

    async fn prove_update(&self) -> Result<(), PortError> {
        self.world.read(|state| {
            state.dns.answers(&self.server)?;
            let known = (self.key.algorithm.clone(), self.key.secret.expose_secret().to_owned());
            // As BIND does: the signature first, then the zone, then the grant.
            if state.dns.keys.get(&self.key.name) != Some(&known) {
                return Err(PortError::new(Class::Denied, Reason::KeyRejected, "key unknown, or its secret differs"));
            }
            state.dns.serial(&self.zone)?;
            if !state.dns.grants.contains(&(self.key.name.clone(), self.zone.clone())) {
                return Err(PortError::new(Class::Denied, Reason::UpdateRefused, "the key may not change the zone"));
            }
            Ok(())
        })
    }
}
