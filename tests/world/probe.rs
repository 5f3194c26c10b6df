//! What the outside sees of this world: a name resolves as the DNS server's
//! records say, the edge answers at that address for the hosts it routes, and
//! behind it answers whatever a test has put at an upstream's address.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use async_trait::async_trait;
use flywheel::{
    api::{conditions::Reason, names::Fqdn},
    ports::{
        edge::Route,
        error::{Class, PortError},
        probe::{Answered, Probe},
    },
};
use serde_json::Value;

use super::{
    Outage, World,
    edge::Listed,
    faults::{Faults, When, call},
};

/// Address where the edge serves primitives.
pub const ADDRESS: &str = "192.0.2.80";

/// The way from a caller to a service, where it is not DNS server's or edge's.
pub struct ProbeState {
    /// It fails as a whole.
    pub outage: Option<Outage>,
    /// Where the edge serves.
    pub address: String,
    /// What signs the certificates that the edge shows; a public authority where
    /// it is none.
    pub ca: Option<String>,
    /// What answers behind the edge.
    pub services: BTreeMap<SocketAddr, Answered>,
    /// Single calls that fail.
    pub faults: Faults,
}

impl ProbeState {
    pub(super) fn good() -> Self {
        Self { outage: None, address: ADDRESS.into(), ca: None, services: BTreeMap::new(), faults: Faults::default() }
    }
}

/// A caller.
pub struct Client {
    world: Arc<World>,
    ca: Option<String>,
}

impl Client {
    /// A caller that takes what `ca_bundle` signs.
    pub fn new(world: &Arc<World>, ca_bundle: Option<&str>) -> Self {
        Self { world: world.clone(), ca: ca_bundle.map(Into::into) }
    }
}

#[async_trait]
impl Probe for Client {
    async fn get(&self, host: &Fqdn) -> Result<Answered, PortError> {
        self.world.read(|state| {
            call(
                state,
                |state| &mut state.probe.faults,
                "get",
                host.as_str(),
                |state| {
                    if let Some(outage) = state.probe.outage {
                        return Err(outage.error(host.as_str()));
                    }
                    let addresses = state.dns.data(host.as_str(), "A");
                    let failed = |reason, message: String| Err(PortError::new(Class::Transient, reason, message));
                    if addresses.is_empty() {
                        return failed(Reason::ProbeFailed, format!("the name {host} does not resolve"));
                    }
                    if !addresses.contains(&state.probe.address) {
                        return failed(Reason::Unreachable, format!("https://{host}/ refuses connections"));
                    }
                    let upstream = state.edge.routes.iter().flatten().find_map(|route| match route {
                        Listed::Ours(route) if route.host == *host => Some(route.upstream),
                        Listed::Ours(_) | Listed::Other(_) => None,
                    });
                    let Some(upstream) = upstream else {
                        return failed(Reason::ProbeFailed, format!("the TLS handshake with {host} failed"));
                    };
                    if self.ca != state.probe.ca {
                        let message = format!("the certificate that {host} shows is signed by another");
                        return Err(PortError::new(Class::Waiting, Reason::CertificateRejected, message));
                    }
                    let nobody = Answered { status: 502, body: Value::Null };
                    Ok(state.probe.services.get(&upstream).cloned().unwrap_or(nobody))
                },
            )
        })
    }
}

#[tokio::test]
async fn a_name_is_answered_once_all_that_leads_there_is_made() {
    let world = World::good();
    let (host, upstream): (Fqdn, SocketAddr) = ("search.prim.sh".parse().unwrap(), "10.96.0.77:80".parse().unwrap());
    let probe = Client::new(&world, None);
    let told = async |part: &str| {
        let error = probe.get(&host).await.expect_err(part);
        assert!(error.message.contains(part), "{part:?} is not in {:?}", error.message);
    };
    told("does not resolve").await;
    let record = |address: &str| (60, vec![address.to_owned()]);
    world.change(|state| drop(state.dns.records.insert((host.to_string(), "A"), record("192.0.2.99"))));
    told("refuses connections").await;
    world.change(|state| drop(state.dns.records.insert((host.to_string(), "A"), record(ADDRESS))));
    told("TLS handshake").await;
    let route = Route { id: "route-prim-search".into(), host: host.clone(), upstream };
    world.change(|state| state.edge.routes.as_mut().unwrap().push(Listed::Ours(route)));
    assert_eq!(probe.get(&host).await.unwrap().status, 502);
    let answer = Answered { status: 200, body: serde_json::json!({ "service": "search" }) };
    world.change(|state| drop(state.probe.services.insert(upstream, answer.clone())));
    assert_eq!(probe.get(&host).await.unwrap(), answer);
    world.change(|state| state.probe.ca = Some("another".into()));
    told("signed by another").await;
    world.change(|state| state.probe.faults.fail("get", When::Before, Outage::Down));
    told("does not answer").await;
}
