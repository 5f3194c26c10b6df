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
    closed_port, state_file,
    suites::dns::{Arrange, Key, suite},
};
use crate::{cluster::bed::ready, support::variable};

struct Bind;

fn spec(zone: &str, server: &str) -> DnsSpec {
    DnsSpec {
        zone: zone.into(),
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
        client(&variable("DNS_ZONE"), &format!("127.0.0.1:{}", closed_port()), &granted())
    }

    async fn change_a_record(&self) {
        let (server, port) = variable("DNS_SERVER").rsplit_once(':').map(|(s, p)| (s.to_owned(), p.to_owned())).expect("IP:port");
        let name = format!("contract.{}", variable("DNS_ZONE"));
        // The key by its file, the rest over standard input: nothing in argv.
        let mut nsupdate =
            Command::new("nsupdate").args(["-k", &variable("DNS_TSIG_FILE")]).stdin(Stdio::piped()).spawn().expect("nsupdate");
        let script = format!("server {server} {port}\nupdate add {name}. 60 TXT now\nsend\nupdate delete {name}. TXT\nsend\n");
        nsupdate.stdin.take().expect("stdin").write_all(script.as_bytes()).expect("script");
        assert!(nsupdate.wait().expect("nsupdate").success());
    }
}

#[tokio::test]
async fn bind_keeps_the_contract() {
    ready().await;
    suite(&Bind).await;
}
