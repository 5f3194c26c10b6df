//! A DNS zone that Flywheel writes names into.

use async_trait::async_trait;
use secrecy::SecretString;

use super::error::PortError;

/// One zone on its primary server.
#[async_trait]
pub trait Dns: Send + Sync {
    /// The zone's serial number, from an authoritative answer.
    async fn serial(&self) -> Result<u32, PortError>;
    /// Proves that the key may change records of the zone, by a signed update
    /// that changes nothing.
    async fn prove_update(&self) -> Result<(), PortError>;
}

/// A TSIG key (RFC 8945).
#[derive(Clone, Debug)]
pub struct TsigKey {
    /// The key's name, such as `flywheel.`.
    pub name: String,
    /// `hmac-sha256`, `hmac-sha384` or `hmac-sha512`.
    pub algorithm: String,
    /// The shared secret in base64.
    pub secret: SecretString,
}
