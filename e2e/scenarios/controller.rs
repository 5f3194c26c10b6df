//! The controller as a process of this machine, beside the cluster, which is told
//! where to die.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;
use tokio::process::{Child, Command as Process};

use crate::support::{run, testbed_path, variable};

/// One running controller; it goes with this.
pub struct Controller {
    child: Child,
    log: PathBuf,
    /// Where this process' part of the log begins.
    from: u64,
}

/// How it is run.
#[derive(Clone, Copy)]
pub struct Manner<'a> {
    /// As whom it asks the API server.
    pub kubeconfig: &'a Path,
    /// Where it takes the forge's deliveries.
    pub webhook: &'a str,
}

impl Controller {
    /// Starts it, to die at whichever of `places` it reaches first; nowhere where
    /// that is empty.
    pub fn start(places: &str, manner: Manner<'_>) -> Self {
        let logs = PathBuf::from(variable("AUDIT_LOG")).parent().expect("a directory").to_owned();
        let resolver = logs.join("controller-resolv.conf");
        let server = variable("DNS_SERVER");
        fs::write(&resolver, format!("nameserver {}\n", server.split(':').next().unwrap_or_default())).expect("resolv.conf");
        let log = logs.join("controller.log");
        let output = fs::File::options().create(true).append(true).open(&log).expect("controller.log");
        let from = output.metadata().expect("controller.log").len();
        let script = format!(
            "ulimit -c 0; mount --bind {} /etc/resolv.conf && exec {} controller",
            resolver.display(),
            env!("CARGO_BIN_EXE_flywheel")
        );
        let child = Process::new("unshare")
            .args(["--mount", "sh", "-c", &script])
            .env("KUBECONFIG", manner.kubeconfig)
            .env("FLYWHEEL_FAILPOINT", places)
            .env("FLYWHEEL_GITLEAKS", gitleaks())
            .env("FLYWHEEL_RESYNC_SECONDS", "5")
            .env("FLYWHEEL_HEALTH_LISTEN", "127.0.0.1:0")
            .env("FLYWHEEL_WEBHOOK_LISTEN", manner.webhook)
            .stdout(Stdio::null())
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .expect("the controller starts");
        Self { child, log, from }
    }

    /// Waits until it died by itself, and returns the action and the side of it.
    pub async fn died(mut self) -> (String, String) {
        let status = self.child.wait().await.expect("wait");
        let log = fs::read(&self.log).expect("controller.log");
        let log = String::from_utf8_lossy(&log[usize::try_from(self.from).expect("a length")..]).into_owned();
        let last = log.lines().rev().find(|line| line.contains("failpoint reached"));
        let Some(last) = last else { panic!("the controller ended by itself, {status}: {log}") };
        let last: Value = serde_json::from_str(last).expect("a line of the log");
        let said = |key: &str| last[key].as_str().unwrap_or_default().to_owned();
        (said("action"), said("side"))
    }
}

/// Where the bed's gitleaks is.
fn gitleaks() -> &'static str {
    static PATH: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    PATH.get_or_init(|| format!("{}/gitleaks", run(Command::new(testbed_path()).args(["program", "gitleaks"])).trim()))
}
