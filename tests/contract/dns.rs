//! What every DNS server must do.

use std::sync::Arc;

use async_trait::async_trait;
use flywheel::{
    api::{conditions::Reason, names::Fqdn},
    ports::{
        dns::{AddressRecord, AddressSet, Dns, Holder, NameRemoved, Owner},
        error::Class,
    },
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
    /// Adds a record, as somebody else would: `kind` is A, AAAA, CNAME or TXT.
    async fn add(&self, name: &str, kind: &'static str, data: &str);
    /// Removes all records of these names.
    async fn clear(&self, names: &[&str]);
    /// Data of a name's records, as anybody sees it.
    async fn data(&self, name: &str, kind: &'static str) -> Vec<String>;
}

/// The name that the suite sets, and where its marks are.
const NAME: &str = "contract-name.prim.sh";
const MARKS: [&str; 2] = ["a-contract-name.prim.sh", "aaaa-contract-name.prim.sh"];

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

    names(arrange).await;
    names_of_others(arrange).await;
    arrange.clear(&[NAME, MARKS[0], MARKS[1]]).await;
    names_that_cant_be(arrange).await;

    let closed = arrange.closed_port().await;
    refused(closed.serial().await, Class::Transient, Reason::Unreachable, "a query to a port where nobody listens");
    refused(closed.prove_update().await, Class::Transient, Reason::Unreachable, "an update to a port where nobody listens");
}

fn name() -> Fqdn {
    NAME.parse().unwrap()
}

fn ours() -> Owner {
    Owner::primitive("prim", "flywheel", "search")
}

fn record(address: &str, ttl: u32) -> AddressRecord {
    AddressRecord { name: name(), address: address.parse().unwrap(), ttl, owner: ours() }
}

async fn names(arrange: &dyn Arrange) {
    let dns = arrange.dns(Key::Granted).await;
    arrange.clear(&[NAME, MARKS[0], MARKS[1]]).await;
    let free = dns.look_up(&name()).await.unwrap();
    assert_eq!((free.addresses, free.ttl, free.holder), (vec![], None, None));
    assert_eq!(dns.remove(&name(), &ours()).await.unwrap(), NameRemoved::Absent);

    let first = record("192.0.2.1", 60);
    assert_eq!(dns.set_address(&first).await.unwrap(), AddressSet::Set);
    let serial = dns.serial().await.unwrap();
    assert_eq!(dns.set_address(&first).await.unwrap(), AddressSet::Unchanged);
    assert_eq!(dns.serial().await.unwrap(), serial, "what is so already is not written");
    assert_eq!(arrange.data(NAME, "A").await, ["192.0.2.1"]);
    let claim = "heritage=external-dns,external-dns/owner=prim,external-dns/resource=primitive/flywheel/search";
    assert_eq!(arrange.data(MARKS[0], "TXT").await, [claim], "where external-dns looks, and as it writes");
    let seen = dns.look_up(&name()).await.unwrap();
    assert_eq!((seen.addresses, seen.ttl, seen.holder), (vec!["192.0.2.1".parse().unwrap()], Some(60), Some(Holder::Marked(ours()))));

    for (what, changed) in [("another address", record("192.0.2.2", 60)), ("another time", record("192.0.2.2", 61))] {
        assert_eq!(dns.set_address(&changed).await.unwrap(), AddressSet::Set, "{what}");
        assert_eq!(dns.set_address(&changed).await.unwrap(), AddressSet::Unchanged, "{what}");
        assert_eq!(dns.look_up(&name()).await.unwrap().ttl, Some(changed.ttl), "{what}");
    }
    assert_eq!(arrange.data(NAME, "A").await, ["192.0.2.2"], "instead of the first, not beside it");

    assert_eq!(dns.set_address(&record("2001:db8::1", 60)).await.unwrap(), AddressSet::Set, "the other family");
    assert_eq!((arrange.data(NAME, "A").await, arrange.data(NAME, "AAAA").await), (vec![], vec!["2001:db8::1".into()]));
    assert_eq!((arrange.data(MARKS[0], "TXT").await, arrange.data(MARKS[1], "TXT").await), (vec![], vec![claim.into()]));

    // What somebody who tidies up by hand leaves.
    arrange.clear(&[NAME]).await;
    assert_eq!(dns.look_up(&name()).await.unwrap().holder, Some(Holder::Marked(ours())), "the mark alone still holds the name");
    assert_eq!(dns.set_address(&first).await.unwrap(), AddressSet::Set);

    assert_eq!(dns.remove(&name(), &ours()).await.unwrap(), NameRemoved::Removed);
    assert_eq!(dns.remove(&name(), &ours()).await.unwrap(), NameRemoved::Absent);
    for at in [NAME, MARKS[0], MARKS[1]] {
        for kind in ["A", "AAAA", "TXT"] {
            assert_eq!(arrange.data(at, kind).await, Vec::<String>::new(), "{at} {kind} is left");
        }
    }
}

/// A record of somebody else's: name, type, data.
type Other<'a> = (&'a str, &'static str, &'a str);

async fn names_of_others(arrange: &dyn Arrange) {
    let dns = arrange.dns(Key::Granted).await;
    let theirs = Owner::primitive("prim", "flywheel", "other");
    let elsewhere = Owner { id: "other".into(), ..ours() };
    let (claim_theirs, claim_elsewhere) = (theirs.text(), elsewhere.text());
    let rows: &[(&str, &[Other<'_>], Option<&Owner>)] = &[
        ("another object's", &[(NAME, "A", "192.0.2.9"), (MARKS[0], "TXT", &claim_theirs)], Some(&theirs)),
        ("another installation's", &[(NAME, "A", "192.0.2.9"), (MARKS[0], "TXT", &claim_elsewhere)], Some(&elsewhere)),
        ("another's mark alone", &[(MARKS[1], "TXT", &claim_theirs)], Some(&theirs)),
        ("an address without a mark", &[(NAME, "A", "192.0.2.1")], None),
        ("an IPv6 address without a mark", &[(NAME, "AAAA", "2001:db8::9")], None),
        ("an alias", &[(NAME, "CNAME", "elsewhere.test.")], None),
        ("another's text where the mark would be", &[(MARKS[0], "TXT", "v=spf1")], None),
        ("marks of two", &[(MARKS[0], "TXT", &claim_theirs), (MARKS[1], "TXT", &claim_elsewhere)], None),
    ];
    for (what, records, owner) in rows {
        arrange.clear(&[NAME, MARKS[0], MARKS[1]]).await;
        for (at, kind, data) in *records {
            arrange.add(at, kind, data).await;
        }
        let serial = dns.serial().await.unwrap();
        let held = |holder: &Holder| match (holder, owner) {
            (Holder::Marked(marked), Some(owner)) => marked == *owner,
            (Holder::Unmarked(there), None) => !there.is_empty(),
            _ => false,
        };
        let seen = dns.look_up(&name()).await.unwrap().holder;
        assert!(seen.as_ref().is_some_and(held), "{what}: {seen:?}");
        for address in ["192.0.2.1", "2001:db8::1"] {
            let outcome = dns.set_address(&record(address, 60)).await.unwrap();
            assert!(matches!(&outcome, AddressSet::OwnedBy(holder) if held(holder)), "{what}: {outcome:?}");
        }
        let outcome = dns.remove(&name(), &ours()).await.unwrap();
        assert!(matches!(&outcome, NameRemoved::OwnedBy(holder) if held(holder)), "{what}: {outcome:?}");
        assert_eq!(dns.serial().await.unwrap(), serial, "{what}: nothing is changed");
    }
}

async fn names_that_cant_be(arrange: &dyn Arrange) {
    let dns = arrange.dns(Key::Granted).await;
    for outside in ["prim.sh", "search.elsewhere.test", "notprim.sh"] {
        let at = AddressRecord { name: outside.parse().unwrap(), ..record("192.0.2.1", 60) };
        refused(dns.set_address(&at).await, Class::Invalid, Reason::Invalid, outside);
        refused(dns.look_up(&at.name).await, Class::Invalid, Reason::Invalid, outside);
        refused(dns.remove(&at.name, &ours()).await, Class::Invalid, Reason::Invalid, outside);
    }
    let mut forged = record("192.0.2.1", 60);
    forged.owner.id = "prim,external-dns/owner=other".into();
    refused(dns.set_address(&forged).await, Class::Invalid, Reason::Invalid, "an owner that reads as another");

    let free = record("192.0.2.1", 60);
    for (key, reason) in [(Key::Ungranted, Reason::UpdateRefused), (Key::WrongSecret, Reason::KeyRejected)] {
        let dns = arrange.dns(key).await;
        refused(dns.set_address(&free).await, Class::Denied, reason, &format!("{key:?}"));
    }
    let missing = arrange.missing_zone().await;
    let there = AddressRecord { name: "x.elsewhere.test".parse().unwrap(), ..free };
    refused(missing.set_address(&there).await, Class::Invalid, Reason::ZoneNotServed, "a zone that is not there");
}
