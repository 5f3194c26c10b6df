//! The proxy that ends TLS for primitives and routes to them by host name.

use async_trait::async_trait;
use secrecy::SecretString;

use super::error::PortError;

/// One edge.
#[async_trait]
pub trait Edge: Send + Sync {
    /// Host names that are routed now.
    async fn hosts(&self) -> Result<Vec<String>, PortError>;
}

/// What a client shows at mutual TLS.
#[derive(Clone, Debug)]
pub struct ClientIdentity {
    /// Certificate chain, PEM.
    pub certificate: String,
    /// Private key, PEM.
    pub key: SecretString,
}
