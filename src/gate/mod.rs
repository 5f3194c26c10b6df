//! Layers 1 and 2 of the gates: the programs inside a GateRun's Job, and the pure
//! builders of that Job.
//!
//! Layer 1 may not trust anything that a package's code says about itself, and it
//! talks to nobody outside its pod. Layer 2 runs no such code, and asks a deployed
//! service by its name. Read [`job`] for the pods' shapes, then `unit.rs` for what
//! the trusted container does, then [`contract`].
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

pub mod contract;
pub mod exec;
pub mod steps;

pub(crate) mod control;
mod facilitator;
pub(crate) mod host;
mod http;
mod https;
mod seal;
mod unit;
mod unpack;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use futures::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Handle};

use crate::api::gate_run::Verdict;

pub use control::PORT as CONTROL_PORT;
pub use seal::SealError;
pub use unpack::{UnpackError, unpack};

/// The parts of a gate's pod, each a container's command.
#[derive(Debug, Subcommand)]
pub enum GateCommand {
    /// Waits until the pod's network is closed.
    Seal(seal::SealArgs),
    /// Verifies the change's files and lays them out for the tools.
    Unpack(unpack::UnpackArgs),
    /// Runs the package's code for `gate unit`, in its own container.
    Host(host::HostArgs),
    /// Runs every step of layer 1 and writes the verdict.
    Unit(unit::UnitArgs),
}

/// What tries the tests of a preview against the service that runs in the pod: the
/// gate itself knows no test plans.
pub type Ahead<'f> = dyn for<'a> Fn(&'a plan::Plan, &'a plan::Preview) -> LocalBoxFuture<'a, Vec<report::Step>> + 'f;

/// The same, told where its connections live.
pub type AheadBy = for<'a> fn(&'a plan::Plan, &'a plan::Preview, Handle) -> LocalBoxFuture<'a, Vec<report::Step>>;

/// Runs one part.
pub fn run(command: &GateCommand, ahead: AheadBy) -> anyhow::Result<ExitCode> {
    match command {
        GateCommand::Seal(args) => seal::main(args),
        GateCommand::Unpack(args) => unpack::main(args),
        GateCommand::Host(args) => single_threaded()?.block_on(host::main(args)),
        GateCommand::Unit(args) => {
            block_on(|wires| async move { unit::main(args, &|plan, preview| ahead(plan, preview, wires.clone())).await })?
        }
    }
}

/// Waits for what speaks with servers that nobody vouches for. A flood of interim
/// answers keeps whatever thread reads its connection busy, for seconds at a time and
/// as long as it goes on. So connections have threads of their own, named by the
/// handle; the deadlines that hold for them are looked at by others; and nobody waits
/// for the flood's end.
pub(crate) fn block_on<T, F: Future<Output = T>>(command: impl FnOnce(Handle) -> F) -> std::io::Result<T> {
    let runtime = || Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let (here, wires) = (runtime()?, runtime()?);
    let came = here.block_on(command(wires.handle().clone()));
    here.shutdown_background();
    wires.shutdown_background();
    Ok(came)
}

/// The host counts against its own limit on processes: it has one thread.
fn single_threaded() -> std::io::Result<tokio::runtime::Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// An error and its causes in one line.
pub(crate) fn chain(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

/// A plan from a file, if it is the one that the Job announces.
pub(crate) fn announced<T: DeserializeOwned>(path: &Path, digest: &str) -> anyhow::Result<T> {
    let plan = unpack::read(path)?;
    let found = bundle::digest(&plan);
    if found != digest {
        bail!("the plan's digest is {found}, and {digest} was announced");
    }
    serde_json::from_slice(&plan).context("the plan is of another version: give controller and gates one image")
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
    /// Ends a container that never came to a verdict.
    pub(crate) fn error(&self, step: &str, message: String) -> anyhow::Result<ExitCode> {
        let summary = report::Summary::broken(&self.job, step, message);
        std::fs::write(&self.termination, summary.to_termination())?;
        Ok(ExitCode::FAILURE)
    }

    /// Ends a gate that came to a verdict: its report goes to the log, which is
    /// nothing else, and its summary to the termination message.
    pub(crate) fn verdict(&self, report: &report::Report) -> anyhow::Result<ExitCode> {
        let log = report.to_log();
        let mut out = std::io::stdout().lock();
        writeln!(out, "{log}").and_then(|()| out.flush()).context("the report")?;
        // Last: whoever sees the verdict finds the whole report.
        std::fs::write(&self.termination, report.summary(&log).to_termination())?;
        Ok(if report.verdict == Verdict::Error { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
