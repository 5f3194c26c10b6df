//! A sandbox that is thrown away, and commands in it.

use std::time::Duration;

use async_trait::async_trait;

use super::error::PortError;

/// Runs commands where they can do no harm: in a pod that is gone afterwards, and
/// never on the machine that asks.
#[async_trait(?Send)]
pub trait Shell {
    /// Name of the command line that is installed there.
    fn program(&self) -> &str;
    /// Runs a line of a shell to its end, or ends it after `patience`.
    async fn run(&self, command: &str, patience: Duration) -> Result<Printed, PortError>;
}

/// What a command left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// Its exit code; none where it was ended.
    pub code: Option<i32>,
    /// Standard output, up to the sandbox's limit.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}
