//! What every edge must do.

use std::sync::Arc;

use async_trait::async_trait;
use flywheel::{
    api::conditions::Reason,
    ports::{
        edge::{Edge, Route, RouteRemoved, RouteSet},
        error::Class,
    },
};

use super::refused;

/// What a client has in hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// The certificate that the edge lets in, and the edge's own CA.
    Right,
    /// A certificate that the edge does not let in.
    WrongCertificate,
    /// The right certificate, and another CA than the edge's.
    WrongAuthority,
}

/// Puts an edge into a state.
#[async_trait]
pub trait Arrange: Send + Sync {
    /// The good state: a route list with nothing in it.
    async fn reset(&self);
    /// A client.
    async fn edge(&self, hand: Hand) -> Arc<dyn Edge>;
    /// A client of an address where nobody listens.
    async fn closed_port(&self) -> Arc<dyn Edge>;
    /// Adds a route.
    async fn add_route(&self, host: &str);
    /// Takes the route list itself out of the configuration; false where the
    /// server can't be brought to that.
    async fn remove_list(&self) -> bool;
}

/// Runs every case.
pub async fn suite(arrange: &dyn Arrange) {
    arrange.reset().await;
    let edge = arrange.edge(Hand::Right).await;
    assert_eq!(edge.hosts().await.unwrap(), Vec::<String>::new());
    arrange.add_route("search.prim.sh").await;
    arrange.add_route("store.prim.sh").await;
    let mut hosts = edge.hosts().await.unwrap();
    hosts.sort();
    assert_eq!(hosts, ["search.prim.sh", "store.prim.sh"]);

    arrange.reset().await;
    routes(arrange).await;

    for hand in [Hand::WrongCertificate, Hand::WrongAuthority] {
        let edge = arrange.edge(hand).await;
        refused(edge.hosts().await, Class::Invalid, Reason::CertificateRejected, &format!("{hand:?}"));
    }
    let closed = arrange.closed_port().await;
    refused(closed.hosts().await, Class::Transient, Reason::Unreachable, "a port where nobody listens");

    if arrange.remove_list().await {
        refused(edge.hosts().await, Class::Invalid, Reason::RouteListMissing, "no route list");
    }
    arrange.reset().await;
    assert_eq!(edge.hosts().await.unwrap(), Vec::<String>::new(), "the list is back");
}

fn route(id: &str, host: &str, upstream: &str) -> Route {
    Route { id: id.into(), host: host.parse().unwrap(), upstream: upstream.parse().unwrap() }
}

async fn routes(arrange: &dyn Arrange) {
    let edge = arrange.edge(Hand::Right).await;
    assert_eq!(edge.routes().await.unwrap(), []);
    assert_eq!(edge.remove_route("route-prim-search").await.unwrap(), RouteRemoved::Absent);

    let search = route("route-prim-search", "search.prim.sh", "10.96.0.1:80");
    assert_eq!(edge.set_route(&search).await.unwrap(), RouteSet::Set);
    assert_eq!(edge.set_route(&search).await.unwrap(), RouteSet::Unchanged);
    assert_eq!(edge.routes().await.unwrap(), std::slice::from_ref(&search));

    let thief = route("route-prim-thief", "search.prim.sh", "10.96.0.6:80");
    assert_eq!(edge.set_route(&thief).await.unwrap(), RouteSet::HostTaken("route-prim-search".into()));
    arrange.add_route("store.prim.sh").await;
    let outcome = edge.set_route(&route("route-prim-store", "store.prim.sh", "10.96.0.6:80")).await.unwrap();
    assert!(matches!(&outcome, RouteSet::HostTaken(by) if !by.is_empty()), "by a route of nobody's: {outcome:?}");

    let moved = route("route-prim-search", "search.prim.sh", "10.96.0.2:8080");
    assert_eq!(edge.set_route(&moved).await.unwrap(), RouteSet::Set);
    let renamed = route("route-prim-search", "find.prim.sh", "10.96.0.2:8080");
    assert_eq!(edge.set_route(&renamed).await.unwrap(), RouteSet::Set);
    let faucet = route("route-prim-faucet", "faucet.prim.sh", "10.96.0.3:80");
    assert_eq!(edge.set_route(&faucet).await.unwrap(), RouteSet::Set);
    assert_eq!(edge.routes().await.unwrap(), [renamed.clone(), faucet.clone()], "each once");
    let mut hosts = edge.hosts().await.unwrap();
    hosts.sort();
    assert_eq!(hosts, ["faucet.prim.sh", "find.prim.sh", "store.prim.sh"], "what others made stays");

    assert_eq!(edge.remove_route("route-prim-search").await.unwrap(), RouteRemoved::Removed);
    assert_eq!(edge.remove_route("route-prim-search").await.unwrap(), RouteRemoved::Absent);
    assert_eq!(edge.routes().await.unwrap(), [faucet]);

    // Two writers at once: neither loses what the other wrote.
    let other = arrange.edge(Hand::Right).await;
    let (one, two) = (route("route-prim-one", "one.prim.sh", "10.96.0.4:80"), route("route-prim-two", "two.prim.sh", "10.96.0.5:80"));
    let (first, second) = tokio::join!(edge.set_route(&one), other.set_route(&two));
    assert_eq!((first.unwrap(), second.unwrap()), (RouteSet::Set, RouteSet::Set));
    let there = edge.routes().await.unwrap();
    assert!(there.contains(&one) && there.contains(&two), "{there:?}");
}
