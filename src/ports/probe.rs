//! What the outside sees of a primitive: its real name, over TLS, as a caller
//! would ask.

use async_trait::async_trait;

use super::error::PortError;
use crate::api::names::Fqdn;

/// Asks services as callers do.
#[async_trait]
pub trait Probe: Send + Sync {
    /// `GET https://<host>/`, without following a redirect. Each call resolves the
    /// name and connects anew. An error means that there was no answer; it tells
    /// apart a name that does not resolve, a refused connection, a certificate
    /// that does not fit, and silence.
    async fn get(&self, host: &Fqdn) -> Result<Answered, PortError>;
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// HTTP status.
    pub status: u16,
    /// The body, of which at most 64 KiB are read; null where it is no JSON.
    pub body: serde_json::Value,
}
