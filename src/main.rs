//! The `flywheel` binary: see [`flywheel::cli`] for its subcommands.

use std::process::ExitCode;

use clap::Parser;
use flywheel::{cli::Cli, telemetry};

fn main() -> ExitCode {
    telemetry::install_crypto_provider();
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("flywheel: {}", telemetry::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
