//! The command line: which subcommand does what.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{author, check, config::ControllerConfig, controller, create, doctor, gate_cli, generate, mcp, package, probe, telemetry};

/// Turns a declared HTTP service into a running one.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the controller.
    Controller(ControllerConfig),
    /// Looks at a Factory deeper than the controller may, and says what to do.
    Doctor(doctor::DoctorConfig),
    /// Writes what is derived from the documents of a factory repository; without a
    /// name, this checkout's own generated files.
    Generate(generate::GenerateConfig),
    /// Checks documents against the strict form of a prim.yaml.
    Validate(author::ValidateConfig),
    /// Prints the strict form of a prim.yaml as JSON Schema.
    Schema,
    /// Makes a document from flags and answers.
    New(author::NewConfig),
    /// Has a language model write a document, which the strict checker then takes.
    Create(create::CreateConfig),
    /// Tests files as a gate would, before any branch has them.
    Check(check::CheckConfig),
    /// Serves services as tools of the Model Context Protocol, on standard input and output.
    Mcp(mcp::McpConfig),
    /// Test plans, and the parts of a gate's pod.
    #[command(subcommand)]
    Gate(gate_cli::GateCommand),
    /// Writes packages from prim.yaml documents.
    Scaffold(package::ScaffoldConfig),
    /// Vendors behind a package.
    #[command(subcommand)]
    Provider(package::ProviderCommand),
    /// Prints all primitives that a factory repository knows, packages before primitives.yaml.
    Registry(generate::RegistryConfig),
    /// Tries connections from inside a pod.
    #[command(subcommand)]
    Probe(probe::ProbeCommand),
}

impl Cli {
    /// Runs the subcommand.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self.command {
            Command::Controller(config) => {
                telemetry::install_logs(config.log_format);
                runtime()?.block_on(controller::run(config))?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Doctor(config) => runtime()?.block_on(doctor::run(config)),
            Command::Generate(config) => generate::run(&config),
            Command::Validate(config) => author::validate(&config),
            Command::Schema => author::schema(),
            Command::New(config) => author::new(&config),
            Command::Create(config) => runtime()?.block_on(create::run(config)),
            Command::Check(config) => runtime()?.block_on(check::run(config)),
            Command::Mcp(config) => runtime()?.block_on(mcp::run(config)),
            Command::Gate(command) => gate_cli::run(&command),
            Command::Scaffold(config) => package::run(&config),
            Command::Provider(command) => package::provider(&command),
            Command::Registry(config) => generate::registry(&config),
            Command::Probe(command) => probe::run(&command),
        }
    }
}

/// What ends a program that was called wrongly: 2, as usual, and 3 for gates, where 2
/// says that nothing was proven.
pub fn misused() -> ExitCode {
    let gate = std::env::args_os().nth(1).is_some_and(|command| command == "gate");
    ExitCode::from(if gate { 3 } else { 2 })
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
