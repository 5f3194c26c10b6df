//! The RFC 2136 adapter against a server that signs, forgets to sign, and lies.

use std::net::SocketAddr;

use base64::{Engine, prelude::BASE64_STANDARD};
use flywheel::{
    adapters::rfc2136::Rfc2136,
    api::{conditions::Reason, factory::DnsSpec},
    ports::{
        dns::{Dns, TsigKey},
        error::Class,
    },
};
use hickory_proto::op::ResponseCode;

use super::{
    refused,
    rfc2136_server::{Answer, KEY, SECRET, changes_nothing, serve},
};
use crate::{address::reserved, fixtures};

const ZONE: &str = "prim.sh";

fn key() -> TsigKey {
    TsigKey { name: KEY.into(), algorithm: "hmac-sha256".into(), secret: BASE64_STANDARD.encode(SECRET).into() }
}

fn spec(server: &str) -> DnsSpec {
    let mut spec = fixtures::spec().dns;
    spec.rfc2136.as_mut().unwrap().server = server.to_string();
    spec
}

fn client(server: SocketAddr) -> Rfc2136 {
    Rfc2136::new(&spec(&server.to_string()), &key()).unwrap()
}

fn secrets() -> [String; 2] {
    [BASE64_STANDARD.encode(SECRET), String::from_utf8(SECRET.to_vec()).unwrap()]
}

#[tokio::test]
async fn an_update_that_the_server_signs_for_is_believed_and_changes_nothing() {
    let (address, served) = serve(Answer::Signed(ResponseCode::NoError)).await;
    client(address).prove_update().await.unwrap();
    let request = served.await.unwrap();
    assert!(changes_nothing(&request, "prim.sh."), "{request:?}");
}

#[tokio::test]
async fn every_answer_to_an_update_has_its_class() {
    const BADSIG: u16 = 16;
    const BADKEY: u16 = 17;
    const BADTIME: u16 = 18;
    use ResponseCode::{NXDomain, NoError, NotAuth, NotZone, Refused, ServFail};
    let rows = [
        // Whoever stands between us and the server could say these.
        (Answer::Unsigned(NoError), Class::Denied, Reason::KeyRejected, "without the key's signature"),
        (Answer::SignedByAnother(NoError), Class::Denied, Reason::KeyRejected, "without the key's signature"),
        (Answer::Replayed(NoError), Class::Denied, Reason::KeyRejected, "without the key's signature"),
        (Answer::Rejected(BADKEY), Class::Denied, Reason::KeyRejected, "TSIG key flywheel."),
        (Answer::Rejected(BADSIG), Class::Denied, Reason::KeyRejected, "its secret differs"),
        (Answer::Rejected(BADTIME), Class::Invalid, Reason::KeyRejected, "NTP"),
        (Answer::Signed(NotAuth), Class::Invalid, Reason::ZoneNotServed, "not authoritative for prim.sh"),
        (Answer::Unsigned(NotAuth), Class::Invalid, Reason::ZoneNotServed, "not authoritative for prim.sh"),
        (Answer::Signed(NotZone), Class::Invalid, Reason::ZoneNotServed, "not authoritative"),
        (Answer::Signed(Refused), Class::Denied, Reason::UpdateRefused, "update-policy"),
        (Answer::Signed(ServFail), Class::Transient, Reason::ServerError, "SERVFAIL"),
        (Answer::Signed(NXDomain), Class::Bug, Reason::UnexpectedAnswer, "to an update"),
        (Answer::Garbage, Class::Bug, Reason::UnexpectedAnswer, "something that is not DNS"),
        (Answer::Half, Class::Transient, Reason::Unreachable, "does not answer"),
        (Answer::Close, Class::Transient, Reason::Unreachable, "does not answer"),
        (Answer::Silence, Class::Transient, Reason::Unreachable, "does not answer"),
    ];
    for (answer, class, reason, names) in rows {
        let (address, served) = serve(answer).await;
        let result = client(address).prove_update().await;
        served.abort();
        if matches!(answer, Answer::Silence) {
            tokio::time::resume();
        }
        let secrets = secrets();
        refused(result, class, reason, names, &secrets.each_ref().map(String::as_str));
    }
}

#[tokio::test]
async fn the_serial_is_taken_from_an_authoritative_answer_alone() {
    let soa = |zone, authoritative| Answer::Soa { zone, authoritative };
    let (address, served) = serve(soa("prim.sh.", true)).await;
    assert_eq!(client(address).serial().await.unwrap(), 2_026_112_301);
    let request = served.await.unwrap();
    assert!(!request.metadata.recursion_desired, "a resolver must not answer for the server");

    use ResponseCode::{FormErr, NXDomain, NoError, NotAuth, Refused, ServFail};
    let rows = [
        (soa("prim.sh.", false), Class::Invalid, Reason::ZoneNotServed),
        (soa("sh.", true), Class::Invalid, Reason::ZoneNotServed),
        (Answer::Unsigned(NoError), Class::Invalid, Reason::ZoneNotServed),
        (Answer::Unsigned(NXDomain), Class::Invalid, Reason::ZoneNotServed),
        (Answer::Unsigned(Refused), Class::Invalid, Reason::ZoneNotServed),
        (Answer::Unsigned(NotAuth), Class::Invalid, Reason::ZoneNotServed),
        (Answer::Unsigned(ServFail), Class::Transient, Reason::ServerError),
        (Answer::Unsigned(FormErr), Class::Bug, Reason::UnexpectedAnswer),
        (Answer::Garbage, Class::Bug, Reason::UnexpectedAnswer),
        (Answer::Close, Class::Transient, Reason::Unreachable),
    ];
    for (answer, class, reason) in rows {
        let (address, _served) = serve(answer).await;
        refused(client(address).serial().await, class, reason, &address.to_string(), &[]);
    }
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let address = reserved();
    refused(client(address).serial().await, Class::Transient, Reason::Unreachable, &address.to_string(), &[]);
    refused(client(address).prove_update().await, Class::Transient, Reason::Unreachable, &address.to_string(), &[]);
}

#[test]
fn settings_that_cant_be_used_are_told_by_their_path() {
    let server = "192.0.2.1:53";
    let made = |spec: &DnsSpec, key: &TsigKey| Rfc2136::new(spec, key).map(|_| ());
    let secrets = secrets();
    let secrets = secrets.each_ref().map(String::as_str);

    let mut without = spec(server);
    without.rfc2136 = None;
    refused(made(&without, &key()), Class::Invalid, Reason::Invalid, "spec.dns.rfc2136:", &secrets);
    for wrong in ["ns1.prim.sh:53", "192.0.2.1", ""] {
        refused(made(&spec(wrong), &key()), Class::Invalid, Reason::Invalid, "spec.dns.rfc2136.server", &secrets);
    }
    for zone in ["a..b", &"a".repeat(64)] {
        let spec = DnsSpec { zone: zone.into(), ..spec(server) };
        refused(made(&spec, &key()), Class::Invalid, Reason::Invalid, "spec.dns.zone", &secrets);
    }

    let reason = Reason::SecretInvalid;
    let wrong = TsigKey { algorithm: "hmac-md5".into(), ..key() };
    refused(made(&spec(server), &wrong), Class::Waiting, reason, "algorithm", &secrets);
    let wrong = TsigKey { secret: "not base64!".into(), ..key() };
    refused(made(&spec(server), &wrong), Class::Waiting, reason, "not base64", &["not base64!"]);
    let wrong = TsigKey { name: "a..b".into(), ..key() };
    refused(made(&spec(server), &wrong), Class::Waiting, reason, "keyName", &secrets);
    // Two keys mixed up: the secret stands where a name should.
    let secret = BASE64_STANDARD.encode(SECRET);
    for swapped in [
        TsigKey { algorithm: secret.clone(), secret: "hmac-sha256".into(), ..key() },
        TsigKey { name: format!("{secret}..{secret}"), secret: KEY.into(), ..key() },
    ] {
        refused(made(&spec(server), &swapped), Class::Waiting, reason, "the DNS key can't be used", &secrets);
        refused(made(&spec(server), &swapped), Class::Waiting, reason, "the DNS key", &[&secret.to_lowercase()]);
    }
    // As BIND's tsig-keygen and others may write it.
    for algorithm in ["HMAC-SHA256", "hmac-sha384.", "hmac-sha512"] {
        made(&spec(server), &TsigKey { algorithm: algorithm.into(), ..key() }).unwrap();
    }
    let zone = DnsSpec { zone: ZONE.into(), ..spec(server) };
    made(&zone, &key()).unwrap();
}
