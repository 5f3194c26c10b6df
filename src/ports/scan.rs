//! Looking for secrets in files before anybody else sees them.

use async_trait::async_trait;

use super::error::PortError;

/// A scanner.
#[async_trait]
pub trait Scan: Send + Sync {
    /// Says where files, by path and text, seem to hold secrets, in one line for
    /// people that repeats none of them; nothing where they don't.
    async fn scan(&self, files: &[(&str, &str)]) -> Result<Option<String>, PortError>;
}
