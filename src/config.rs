//! Settings of the controller process, from flags or environment.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

/// Settings of `flywheel controller`.
#[derive(Args, Clone, Debug)]
pub struct ControllerConfig {
    /// Namespace of the custom resources.
    #[arg(long, env = "FLYWHEEL_NAMESPACE", default_value = "flywheel")]
    pub namespace: String,

    /// Namespace of gate Jobs.
    #[arg(long, env = "FLYWHEEL_GATES_NAMESPACE", default_value = "flywheel-gates")]
    pub gates_namespace: String,

    /// Namespace of the Lease that lets one controller act at a time; without one,
    /// this process must be the only one.
    #[arg(long, env = "FLYWHEEL_LEASE_NAMESPACE", default_value = "")]
    pub lease_namespace: String,

    /// What the holder of the Lease is called, beside a random part.
    #[arg(long, env = "HOSTNAME", default_value = "flywheel")]
    pub host: String,
    /// Program that looks for secrets in what would be pushed.
    #[arg(long, env = "FLYWHEEL_GITLEAKS", default_value = "/usr/local/bin/gitleaks")]
    pub gitleaks: PathBuf,

    /// Namespace of workloads.
    #[arg(long, env = "FLYWHEEL_RUN_NAMESPACE", default_value = "flywheel-run")]
    pub run_namespace: String,

    /// Namespace of Secrets that are granted to primitives.
    #[arg(long, env = "FLYWHEEL_KEYS_NAMESPACE", default_value = "flywheel-keys")]
    pub keys_namespace: String,

    /// Address of health checks (/livez, /readyz), metrics (/metrics) and the primitives' phases (/phases).
    #[arg(long, env = "FLYWHEEL_HEALTH_LISTEN", default_value = "0.0.0.0:8080")]
    pub health_listen: SocketAddr,

    /// Address that the forge delivers webhooks to: /webhook/NAMESPACE/FACTORY.
    #[arg(long, env = "FLYWHEEL_WEBHOOK_LISTEN", default_value = "0.0.0.0:9443")]
    pub webhook_listen: SocketAddr,

    /// Seconds between two looks at an object when nothing happens.
    #[arg(long, env = "FLYWHEEL_RESYNC_SECONDS", default_value = "600", value_parser = clap::value_parser!(u64).range(1..))]
    resync_seconds: u64,

    /// Form of the log.
    #[arg(long, env = "FLYWHEEL_LOG_FORMAT", value_enum, default_value = "json")]
    pub log_format: LogFormat,

    /// Where a test has the process die.
    #[arg(long, env = "FLYWHEEL_FAILPOINT", default_value = "", hide = true)]
    pub failpoint: String,
}

impl ControllerConfig {
    /// Time between two looks at an object when nothing happens.
    pub fn resync(&self) -> Duration {
        Duration::from_secs(self.resync_seconds)
    }
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}
