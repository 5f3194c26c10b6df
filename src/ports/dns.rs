//! A DNS zone that Flywheel writes names into. Beside each address goes a TXT
//! record that says whose it is, in the form that external-dns reads and writes,
//! so that neither takes a name from the other.

use std::{fmt, net::IpAddr};

use async_trait::async_trait;
use secrecy::SecretString;

use super::error::PortError;
use crate::api::names::Fqdn;

/// One zone on its primary server.
#[async_trait]
pub trait Dns: Send + Sync {
    /// The zone's serial number, from an authoritative answer.
    async fn serial(&self) -> Result<u32, PortError>;
    /// Proves that the key may change records of the zone, by a signed update
    /// that changes nothing.
    async fn prove_update(&self) -> Result<(), PortError>;
    /// What a name is now.
    async fn look_up(&self, name: &Fqdn) -> Result<NameState, PortError>;
    /// Points a name at one address and marks whose it is, both or neither. The
    /// server itself checks that the name is still as it was looked at; what is
    /// another's is never changed.
    async fn set_address(&self, record: &AddressRecord) -> Result<AddressSet, PortError>;
    /// Removes a name's addresses and the mark, if the mark is `owner`'s.
    async fn remove(&self, name: &Fqdn, owner: &Owner) -> Result<NameRemoved, PortError>;
}

/// What a name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameState {
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// How many seconds others may keep them; nothing where there is none, or where
    /// they differ.
    pub ttl: Option<u32>,
    /// Who holds it; nothing where it is free.
    pub holder: Option<Holder>,
}

/// A name to point somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRecord {
    /// The name, in the zone.
    pub name: Fqdn,
    /// Where it points.
    pub address: IpAddr,
    /// How many seconds others may keep it.
    pub ttl: u32,
    /// Whose it is.
    pub owner: Owner,
}

/// Whose a name is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Which installation: external-dns calls it the owner.
    pub id: String,
    /// Which object, such as `primitive/flywheel/search`.
    pub resource: String,
}

/// What marks a TXT record as somebody's claim.
const HERITAGE: &str = "heritage=external-dns";

impl Owner {
    /// The owner that a Primitive is.
    pub fn primitive(id: &str, namespace: &str, name: &str) -> Self {
        Self { id: id.into(), resource: format!("primitive/{namespace}/{name}") }
    }

    /// The owner that a TXT record's text names; nothing where it is no claim.
    pub fn from_text(text: &str) -> Option<Self> {
        let mut parts = text.trim_matches('"').split(',');
        if parts.next() != Some(HERITAGE) {
            return None;
        }
        let mut owner = Self { id: String::new(), resource: String::new() };
        for part in parts {
            match part.split_once('=') {
                Some(("external-dns/owner", id)) => owner.id = id.into(),
                Some(("external-dns/resource", resource)) => owner.resource = resource.into(),
                // Others write more; none of it says whose the name is.
                _ => {}
            }
        }
        Some(owner)
    }

    /// The claim as a TXT record's text.
    pub fn text(&self) -> String {
        format!("{HERITAGE},external-dns/owner={},external-dns/resource={}", self.id, self.resource)
    }

    /// Why the claim can't be written, if it can't.
    pub fn problem(&self) -> Option<&'static str> {
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && !b"\",=\\".contains(&b));
        if !plain(&self.id) || !plain(&self.resource) {
            return Some("takes printable ASCII without quotes, commas, equals signs or spaces");
        }
        // One string of a TXT record; external-dns takes several for several claims.
        (self.text().len() > 255).then_some("is too long: its claim must fit into 255 bytes")
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.resource, self.id)
    }
}

/// Who holds a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Whoever the mark names.
    Marked(Owner),
    /// Somebody who left no mark; with what is there, such as `A 192.0.2.1`.
    Unmarked(String),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Marked(owner) => owner.fmt(f),
            Self::Unmarked(there) => write!(f, "somebody without a mark ({there})"),
        }
    }
}

/// What came of setting an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressSet {
    /// It was set.
    Set,
    /// It was so already.
    Unchanged,
    /// The name is another's; nothing changed.
    OwnedBy(Holder),
}

/// What came of removing a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameRemoved {
    /// It was there and is gone.
    Removed,
    /// It was free.
    Absent,
    /// The name is another's; nothing changed.
    OwnedBy(Holder),
}

/// A TSIG key (RFC 8945).
#[derive(Clone, Debug)]
pub struct TsigKey {
    /// The key's name, such as `flywheel.`.
    pub name: String,
    /// `hmac-sha256`, `hmac-sha384` or `hmac-sha512`.
    pub algorithm: String,
    /// The shared secret in base64.
    pub secret: SecretString,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_written_as_external_dns_writes_them() {
        let owner = Owner::primitive("prim", "flywheel", "search");
        let text = "heritage=external-dns,external-dns/owner=prim,external-dns/resource=primitive/flywheel/search";
        assert_eq!(owner.text(), text);
        assert_eq!(Owner::from_text(text), Some(owner.clone()));
        assert_eq!(Owner::from_text(&format!("\"{text}\"")), Some(owner), "some providers keep the quotes");
        assert_eq!(Owner::from_text("v=spf1 -all"), None);
        assert_eq!(Owner::from_text("heritage=other,external-dns/owner=x"), None);
    }

    #[test]
    fn a_claim_that_would_read_as_another_is_told() {
        assert_eq!(Owner::primitive("prim", "flywheel", "search").problem(), None);
        for id in ["", "a,external-dns/owner=b", "a b", "a\"b", "ü", &"x".repeat(200)] {
            assert!(Owner::primitive(id, "flywheel", "search").problem().is_some(), "{id}");
        }
    }
}
