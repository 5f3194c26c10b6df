//! Layer 1 of the gates: the program inside a GateRun's Job, and the pure
//! builder of that Job.
//!
//! It may not trust anything that a package's code says about itself, and it
//! talks to nobody outside its pod. Read [`job`] for the pod's shape, then
//! [`run`] for what the trusted container does, then `docs/architecture.md`
//! ("Trust in the gates") for why.
//!
//! Pure: [`bundle`], [`paths`], [`plan`], [`checks`], [`payment`], [`shape`],
//! [`report`], [`job`], [`layout`], [`pod`]. The others do I/O, each of one kind.

pub mod bundle;
pub mod checks;
pub mod job;
pub mod layout;
pub mod paths;
pub mod payment;
pub mod plan;
pub mod pod;
pub mod report;
pub mod shape;

pub mod exec;
pub mod steps;

mod control;
mod facilitator;
mod host;
mod http;
mod run;
mod seal;
mod unpack;

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;

pub use seal::SealError;
pub use unpack::{UnpackError, unpack};

/// The parts of a gate's pod, each a container's command.
#[derive(Debug, Subcommand)]
pub enum GateCommand {
    /// Waits until the pod's network is closed.
    Seal(seal::SealArgs),
    /// Verifies the change's files and lays them out for the tools.
    Unpack(unpack::UnpackArgs),
    /// Runs the package's code for `gate run`, in its own container.
    Host(host::HostArgs),
    /// Runs every step and writes the verdict.
    Run(run::RunArgs),
}

/// Runs one part.
pub fn run(command: &GateCommand) -> anyhow::Result<ExitCode> {
    match command {
        GateCommand::Seal(args) => seal::main(args),
        GateCommand::Unpack(args) => unpack::main(args),
        GateCommand::Host(args) => single_threaded()?.block_on(host::main(args)),
        GateCommand::Run(args) => {
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(run::main(args))
        }
    }
}

/// The host counts against its own limit on processes: it has one thread.
fn single_threaded() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// An error and its causes in one line.
fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

/// Where a container's last words go: its termination message.
#[derive(Debug, clap::Args)]
pub struct LastWords {
    /// File that the kubelet takes the container's termination message from.
    #[arg(long, default_value = "/dev/termination-log")]
    pub termination: PathBuf,
    /// Name of the Job, repeated in the verdict.
    #[arg(long, default_value = "")]
    pub job: String,
}

impl LastWords {
    /// Ends a trusted init container: the gate never came to a verdict.
    fn error(&self, step: &str, message: String) -> anyhow::Result<ExitCode> {
        let summary = report::Summary::broken(&self.job, step, message);
        std::fs::write(&self.termination, summary.to_termination())?;
        Ok(ExitCode::FAILURE)
    }
}
