//! What every edge must do.

use std::sync::Arc;

use async_trait::async_trait;
use flywheel::{
    api::conditions::Reason,
    ports::{edge::Edge, error::Class},
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
