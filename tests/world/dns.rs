//! A DNS server in memory: zones with their records, keys, and which key may
//! change which zone.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use async_trait::async_trait;
use flywheel::{
    api::{conditions::Reason, factory::DnsSpec, names::Fqdn},
    ports::{
        dns::{AddressRecord, AddressSet, Dns, Holder, NameRemoved, NameState, Owner, TsigKey},
        error::{Class, PortError},
    },
};
use secrecy::ExposeSecret;

use super::{
    Outage, World,
    faults::{Faults, call},
};

/// Where the server answers.
pub const SERVER: &str = "192.0.2.53:53";
/// The zone it serves.
pub const ZONE: &str = "prim.sh";
/// Name and secret of the key that may change the zone.
pub const KEY: (&str, &str) = ("flywheel.", "a2V5LXNlY3JldC05OTBi");
/// The key's algorithm.
pub const ALGORITHM: &str = "hmac-sha256";

/// The types whose records are marked, with what a mark's name begins with.
const KINDS: [(&str, &str); 2] = [("A", "a-"), ("AAAA", "aaaa-")];

/// The server.
pub struct DnsState {
    /// Where it answers.
    pub server: String,
    /// It fails as a whole.
    pub outage: Option<Outage>,
    /// Serial number of each zone.
    pub zones: BTreeMap<String, u32>,
    /// Records, by name and type: how long they may be kept, and their data.
    pub records: BTreeMap<(String, &'static str), (u32, Vec<String>)>,
    /// Algorithm and secret of each key.
    pub keys: BTreeMap<String, (String, String)>,
    /// Which key may change which zone.
    pub grants: BTreeSet<(String, String)>,
    /// Single calls that fail.
    pub faults: Faults,
}

impl DnsState {
    pub(super) fn good() -> Self {
        Self {
            server: SERVER.into(),
            outage: None,
            zones: [(ZONE.to_owned(), 1)].into(),
            records: BTreeMap::new(),
            keys: [(KEY.0.to_owned(), (ALGORITHM.to_owned(), KEY.1.to_owned()))].into(),
            grants: [(KEY.0.to_owned(), ZONE.to_owned())].into(),
            faults: Faults::default(),
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

    /// What is at a name, of one type.
    pub fn data(&self, name: &str, kind: &'static str) -> Vec<String> {
        self.records.get(&(name.to_owned(), kind)).map(|(_, data)| data.clone()).unwrap_or_default()
    }

    /// How long a name's addresses and marks may be kept, where that is the same
    /// for all.
    fn ttl(&self, name: &str) -> Option<u32> {
        let of = |name: String, kind| self.records.get(&(name, kind)).map(|(ttl, _)| *ttl);
        let addresses = KINDS.iter().filter_map(|(kind, _)| of(name.to_owned(), *kind));
        let marks = KINDS.iter().filter_map(|(_, prefix)| of(format!("{prefix}{name}"), "TXT"));
        let first = addresses.clone().next()?;
        addresses.chain(marks).all(|ttl| ttl == first).then_some(first)
    }

    /// The claims on a name; nothing for a mark that is none.
    fn claims(&self, name: &str) -> Vec<(&'static str, String, Option<Owner>)> {
        let of = |(kind, prefix): (&'static str, &str)| {
            let texts = self.data(&format!("{prefix}{name}"), "TXT");
            texts.into_iter().map(move |text| (kind, text.clone(), Owner::from_text(&text)))
        };
        KINDS.into_iter().flat_map(of).collect()
    }

    fn holder(&self, name: &str) -> Option<Holder> {
        let claims = self.claims(name);
        if let Some((_, text, None)) = claims.iter().find(|(_, _, owner)| owner.is_none()) {
            return Some(Holder::Unmarked(format!("TXT {text}")));
        }
        for kind in ["CNAME", "A", "AAAA"] {
            let marked = claims.iter().any(|(of, ..)| *of == kind);
            if let (false, Some(data)) = (marked, self.data(name, kind).first()) {
                return Some(Holder::Unmarked(format!("{name} {kind} {data}")));
            }
        }
        let owners: Vec<Owner> = claims.into_iter().filter_map(|(_, _, owner)| owner).collect();
        let first = owners.first()?.clone();
        if owners.iter().any(|owner| *owner != first) {
            return Some(Holder::Unmarked("marks of several".into()));
        }
        Some(Holder::Marked(first))
    }

    fn clear(&mut self, name: &str) {
        for (kind, prefix) in KINDS {
            self.records.remove(&(name.to_owned(), kind));
            self.records.remove(&(format!("{prefix}{name}"), "TXT"));
        }
    }

    fn changed(&mut self, zone: &str) {
        *self.zones.get_mut(zone).expect("a zone that is served") += 1;
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

    fn call<T>(&self, operation: &'static str, effect: impl FnOnce(&mut DnsState) -> Result<T, PortError>) -> Result<T, PortError> {
        self.world.read(|state| {
            call(
                &mut state.dns,
                |dns| &mut dns.faults,
                operation,
                &self.server,
                |dns| {
                    dns.answers(&self.server)?;
                    effect(dns)
                },
            )
        })
    }

    fn may_update(&self, dns: &DnsState) -> Result<(), PortError> {
        let known = (self.key.algorithm.clone(), self.key.secret.expose_secret().to_owned());
        // As BIND does: the signature first, then the zone, then the grant.
        if dns.keys.get(&self.key.name) != Some(&known) {
            return Err(PortError::new(Class::Denied, Reason::KeyRejected, "key unknown, or its secret differs"));
        }
        dns.serial(&self.zone)?;
        if !dns.grants.contains(&(self.key.name.clone(), self.zone.clone())) {
            return Err(PortError::new(Class::Denied, Reason::UpdateRefused, "the key may not change the zone"));
        }
        Ok(())
    }

    fn in_zone(&self, dns: &DnsState, name: &Fqdn) -> Result<String, PortError> {
        if !name.as_str().ends_with(&format!(".{}", self.zone)) {
            return Err(PortError::invalid(name.as_str(), "is not a name below the zone"));
        }
        dns.serial(&self.zone)?;
        Ok(name.to_string())
    }
}

#[async_trait]
impl Dns for Client {
    async fn serial(&self) -> Result<u32, PortError> {
        self.call("serial", |dns| dns.serial(&self.zone))
    }

    async fn prove_update(&self) -> Result<(), PortError> {
        self.call("prove_update", |dns| self.may_update(dns))
    }

    async fn look_up(&self, name: &Fqdn) -> Result<NameState, PortError> {
        self.call("look_up", |dns| {
            let name = self.in_zone(dns, name)?;
            let addresses = ["A", "AAAA"].into_iter().flat_map(|kind| dns.data(&name, kind)).filter_map(|a| a.parse().ok()).collect();
            Ok(NameState { addresses, ttl: dns.ttl(&name), holder: dns.holder(&name) })
        })
    }

    async fn set_address(&self, record: &AddressRecord) -> Result<AddressSet, PortError> {
        self.call("set_address", |dns| {
            if let Some(problem) = record.owner.problem() {
                return Err(PortError::invalid("owner", problem));
            }
            let name = self.in_zone(dns, &record.name)?;
            if let Some(holder) = dns.holder(&name).filter(|holder| *holder != Holder::Marked(record.owner.clone())) {
                return Ok(AddressSet::OwnedBy(holder));
            }
            let kind = KINDS[usize::from(matches!(record.address, IpAddr::V6(_)))];
            let mut wanted = dns.records.clone();
            for (kind, prefix) in KINDS {
                wanted.remove(&(name.clone(), kind));
                wanted.remove(&(format!("{prefix}{name}"), "TXT"));
            }
            wanted.insert((name.clone(), kind.0), (record.ttl, vec![record.address.to_string()]));
            wanted.insert((format!("{}{name}", kind.1), "TXT"), (record.ttl, vec![record.owner.text()]));
            if wanted == dns.records {
                return Ok(AddressSet::Unchanged);
            }
            self.may_update(dns)?;
            dns.records = wanted;
            dns.changed(&self.zone);
            Ok(AddressSet::Set)
        })
    }

    async fn remove(&self, name: &Fqdn, owner: &Owner) -> Result<NameRemoved, PortError> {
        self.call("remove", |dns| {
            let name = self.in_zone(dns, name)?;
            match dns.holder(&name) {
                None => return Ok(NameRemoved::Absent),
                Some(holder) if holder != Holder::Marked(owner.clone()) => return Ok(NameRemoved::OwnedBy(holder)),
                Some(_) => {}
            }
            self.may_update(dns)?;
            dns.clear(&name);
            dns.changed(&self.zone);
            Ok(NameRemoved::Removed)
        })
    }
}
