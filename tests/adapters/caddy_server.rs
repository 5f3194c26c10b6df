//! An admin API over mutual TLS that answers every request alike.

use std::net::SocketAddr;

use axum::{Router, http::StatusCode, serve::Listener};
use tokio::task::JoinHandle;

pub use crate::tls::Authority;
use crate::tls::Tls;

/// An admin API; it ends with this value.
pub struct AdminApi {
    /// Where it answers.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for AdminApi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl AdminApi {
    /// Answers `GET /id/flywheel-routes` alike for ever. Its certificate is for
    /// `name`, and it lets in whom `clients` signed.
    pub async fn start(servers: &Authority, name: &str, clients: &Authority, code: StatusCode, body: &str) -> Self {
        let tls = Tls::listen(servers, name, Some(clients)).await;
        let address = tls.local_addr().unwrap();
        let body = body.to_owned();
        let router = Router::new().route("/id/flywheel-routes", axum::routing::get(move || async move { (code, body) }));
        let task = tokio::spawn(async move { axum::serve(tls, router).await.unwrap() });
        Self { address, task }
    }
}
