//! BIND.

use std::{
    io::Write,
    process::{Command, Stdio},
    sync::Arc,
};

use async_trait::async_trait;
use flywheel::{
    adapters::rfc2136::Rfc2136,
    api::{
        factory::{DnsProvider, DnsSpec, Rfc2136Spec},
        references::SecretReference,
    },
    ports::dns::{Dns, TsigKey},
};

use super::{
    address::reserved,
    state_file,
    suites::dns::{Arrange, Key, suite},
};
use crate::{
    cluster::bed::ready,
    support::{run, variable},
};

struct Bind;

fn spec(zone: &str, server: &str) -> DnsSpec {
    DnsSpec {
        zone: zone.into(),
        owner_id: None,
        provider: DnsProvider::Rfc2136,
        rfc2136: Some(Rfc2136Spec { server: server.into(), credentials: SecretReference { name: "x".into(), namespace: "x".into() } }),
        ttl_seconds: 60,
    }
}

fn key(name: &str, algorithm: &str, secret: &str) -> TsigKey {
    TsigKey { name: name.into(), algorithm: algorithm.into(), secret: secret.into() }
}

fn client(zone: &str, server: &str, key: &TsigKey) -> Arc<dyn Dns> {
    Arc::new(Rfc2136::new(&spec(zone, server), key).expect("client"))
}

fn granted() -> TsigKey {
    key("flywheel.", "hmac-sha256", &state_file("dns/tsig-secret"))
}

/// The bed's zone, with the key that may change it.
pub(in crate::cluster) fn zone() -> Arc<dyn Dns> {
    client(&variable("DNS_ZONE"), &variable("DNS_SERVER"), &granted())
}

#[async_trait]
impl Arrange for Bind {
    async fn dns(&self, which: Key) -> Arc<dyn Dns> {
        let secret = state_file("dns/tsig-secret");
        let key = match which {
            Key::Granted => granted(),
            Key::Ungranted => key("observer.", "hmac-sha256", &state_file("dns/observer-secret")),
            Key::WrongSecret => key("flywheel.", "hmac-sha256", "d3Jvbmcgc2VjcmV0IG9mIHNvbWUgbGVuZ3Ro"),
            Key::WrongAlgorithm => key("flywheel.", "hmac-sha512", &secret),
            Key::Unknown => key("unknown.", "hmac-sha256", &secret),
        };
        client(&variable("DNS_ZONE"), &variable("DNS_SERVER"), &key)
    }

    async fn missing_zone(&self) -> Arc<dyn Dns> {
        client("elsewhere.test", &variable("DNS_SERVER"), &granted())
    }

    async fn closed_port(&self) -> Arc<dyn Dns> {
        client(&variable("DNS_ZONE"), &reserved().to_string(), &granted())
    }

    async fn change_a_record(&self) {
        let name = format!("contract.{}", variable("DNS_ZONE"));
        update(&[format!("add {name}. 60 TXT now")]);
        update(&[format!("delete {name}. TXT")]);
    }

    async fn add(&self, name: &str, kind: &'static str, data: &str) {
        let data = if kind == "TXT" { format!("\"{data}\"") } else { data.to_owned() };
        update(&[format!("add {name}. 60 {kind} {data}")]);
    }

    async fn clear(&self, names: &[&str]) {
        // Each type by name: the policy grants no more.
        let kinds = ["A", "AAAA", "CNAME", "TXT"];
        let lines: Vec<_> = names.iter().flat_map(|name| kinds.map(|kind| format!("delete {name}. {kind}"))).collect();
        update(&lines);
    }

    async fn data(&self, name: &str, kind: &'static str) -> Vec<String> {
        let (server, port) = server();
        let answer = run(Command::new("dig").args([&format!("@{server}"), "-p", &port, "+short", "+tcp", name, kind]));
        answer.lines().map(|line| line.trim_matches('"').to_owned()).collect()
    }
}

fn server() -> (String, String) {
    variable("DNS_SERVER").rsplit_once(':').map(|(s, p)| (s.to_owned(), p.to_owned())).expect("IP:port")
}

/// Changes the zone as somebody with the key would.
fn update(lines: &[String]) {
    let (server, port) = server();
    // The key by its file, the rest over standard input: nothing in argv.
    let mut nsupdate = Command::new("nsupdate").args(["-k", &variable("DNS_TSIG_FILE")]).stdin(Stdio::piped()).spawn().expect("nsupdate");
    let updates: String = lines.iter().map(|line| format!("update {line}\n")).collect();
    let script = format!("server {server} {port}\n{updates}send\n");
    nsupdate.stdin.take().expect("stdin").write_all(script.as_bytes()).expect("script");
    assert!(nsupdate.wait().expect("nsupdate").success());
}

#[tokio::test]
async fn bind_keeps_the_contract() {
    ready().await;
    suite(&Bind).await;
}
