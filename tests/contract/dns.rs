//! What every DNS server must do.

use std::sync::Arc;

use async_trait::async_trait;
use flywheel::{
    api::conditions::Reason,
    ports::{dns::Dns, error::Class},
};

use super::refused;

/// Which key a client signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The one that may change the zone.
    Granted,
    /// One that the server knows and that may change nothing.
    Ungranted,
    /// The granted one's name with another secret.
    WrongSecret,
    /// The granted one with another algorithm.
    WrongAlgorithm,
    /// One that the server does not know.
    Unknown,
}

/// Puts a DNS server into a state.
#[async_trait]
pub trait Arrange: Send + Sync {
    /// A client of the zone.
    async fn dns(&self, key: Key) -> Arc<dyn Dns>;
    /// A client of a zone that the server does not have, with the granted key.
    async fn missing_zone(&self) -> Arc<dyn Dns>;
    /// A client of an address where nobody listens.
    async fn closed_port(&self) -> Arc<dyn Dns>;
    /// Changes some record of the zone.
    async fn change_a_record(&self);
}

/// Runs every case.
pub async fn suite(arrange: &dyn Arrange) {
    let dns = arrange.dns(Key::Granted).await;
    let before = dns.serial().await.unwrap();
    dns.prove_update().await.unwrap();
    dns.prove_update().await.unwrap();
    assert_eq!(dns.serial().await.unwrap(), before, "proving the key changes nothing");
    arrange.change_a_record().await;
    assert_ne!(dns.serial().await.unwrap(), before, "a change shows in the serial");

    for key in [Key::WrongSecret, Key::WrongAlgorithm, Key::Unknown] {
        let dns = arrange.dns(key).await;
        dns.serial().await.expect("reading the zone takes no key");
        refused(dns.prove_update().await, Class::Denied, Reason::KeyRejected, &format!("{key:?}"));
    }
    let ungranted = arrange.dns(Key::Ungranted).await;
    refused(ungranted.prove_update().await, Class::Denied, Reason::UpdateRefused, "a key without a grant");

    let missing = arrange.missing_zone().await;
    refused(missing.serial().await, Class::Invalid, Reason::ZoneNotServed, "the serial of a zone that is not there");
    refused(missing.prove_update().await, Class::Invalid, Reason::ZoneNotServed, "an update of a zone that is not there");

    let closed = arrange.closed_port().await;
    refused(closed.serial().await, Class::Transient, Reason::Unreachable, "a query to a port where nobody listens");
    refused(closed.prove_update().await, Class::Transient, Reason::Unreachable, "an update to a port where nobody listens");
}
