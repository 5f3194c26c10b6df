//! The `flywheel` binary: see [`flywheel::cli`] for its subcommands.

use std::process::ExitCode;

use clap::Parser;
use flywheel::{
    cli::{self, Cli},
    telemetry,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    telemetry::install_crypto_provider();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody is left to tell if that can't be printed.
            let _ = error.print();
            return if error.use_stderr() { cli::misused() } else { ExitCode::SUCCESS };
        }
    };
    match cli.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("flywheel: {}", telemetry::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}
