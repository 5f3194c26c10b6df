//! `flywheel doctor`: looks at a Factory as the controller does, and deeper: with
//! an administrator's token, and into the cluster's network. It changes nothing
//! that lasts and prints findings, each with what to do. The checks are in
//! `factory.rs`, `forge.rs` and `network.rs` with `scene.rs`; what to do is in `remedies.rs`.

mod factory;
mod forge;
mod network;
pub mod remedies;
mod scene;

use std::{io::Write, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, ValueEnum};
use kube::{Api, Client};
use secrecy::SecretString;
use serde::Serialize;

use crate::{api::factory::Factory, controller::status::API_TIMEOUT};

/// Settings of `flywheel doctor`.
#[derive(Args, Debug)]
pub struct DoctorConfig {
    /// The Factory to look at.
    pub factory: String,

    /// Its namespace.
    #[arg(long, short, default_value = "flywheel")]
    pub namespace: String,

    /// File with a token of an administrator of the repository, for the webhook
    /// and the branch's protection rule. It is sent to spec.repository.url, if
    /// the credentials Secret allows that server.
    #[arg(long)]
    pub admin_token_file: Option<PathBuf>,

    /// Don't start pods to prove that NetworkPolicies are enforced.
    #[arg(long)]
    pub skip_network: bool,

    /// Look at the network alone.
    #[arg(long, conflicts_with = "skip_network")]
    pub only_network: bool,

    /// Namespace of gate Jobs.
    #[arg(long, default_value = "flywheel-gates")]
    pub gates_namespace: String,

    /// Namespace of the controller, whose image the pods run.
    #[arg(long, default_value = "flywheel-system")]
    pub system_namespace: String,

    /// Seconds that a pod tries to reach what it must not.
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(u64).range(3..=120))]
    pub network_seconds: u64,

    /// Form of the findings.
    #[arg(long, value_enum, default_value = "text")]
    pub output: Output,
}

/// Form of the findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Good.
    Ok,
    /// Works, and could be better.
    Warn,
    /// Must be mended.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, one word.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// Why, one word; of the list in docs/reasons.md, or the check's own.
    pub reason: &'static str,
    /// What was found.
    pub message: String,
    /// What to do; absent where all is good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { check, level: Level::Ok, reason: "Verified", message: message.into(), remedy: None }
    }

    fn bad(check: &'static str, level: Level, reason: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, level, reason, message: message.into(), remedy: Some(remedy.into()) }
    }
}

/// Looks and prints. Exit code 0: nothing must be mended; 1: something must.
pub async fn run(config: DoctorConfig) -> anyhow::Result<ExitCode> {
    let client = Client::try_default().await.context("no way to the API server: set KUBECONFIG")?;
    let api: Api<Factory> = Api::namespaced(client.clone(), &config.namespace);
    let Some(object) = within("API server", api.get_opt(&config.factory)).await? else {
        bail!("no Factory {} in namespace {}, or no CRDs", config.factory, config.namespace)
    };

    let mut findings = Vec::new();
    if !config.only_network {
        findings.extend(factory::look(&client, &object).await);
        match &config.admin_token_file {
            Some(file) => {
                let token: SecretString =
                    std::fs::read_to_string(file).with_context(|| format!("admin token file {}", file.display()))?.trim().into();
                findings.extend(forge::look(&client, &object, &token).await);
            }
            None => findings.push(Finding::bad(
                "webhook",
                Level::Warn,
                "NotChecked",
                "the webhook's settings were not looked at: only a repository administrator may see them",
                "Give --admin-token-file.",
            )),
        }
    }
    if !config.skip_network {
        let place = network::Place {
            gates: &config.gates_namespace,
            system: &config.system_namespace,
            span: Duration::from_secs(config.network_seconds),
            runtime_class: object.spec.deploy.runtime_class.as_deref(),
        };
        findings.extend(network::look(&client, &place).await);
    }
    print(&findings, config.output)?;
    let worst = findings.iter().map(|f| f.level).max().unwrap_or(Level::Ok);
    Ok(if worst == Level::Fail { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// One call of the API server. kube's client retries by itself for far longer
/// than anybody looks at a terminal.
async fn within<T>(what: &str, call: impl Future<Output = kube::Result<T>>) -> anyhow::Result<T> {
    let answer = tokio::time::timeout(API_TIMEOUT, call).await;
    answer
        .map_err(|_| anyhow!("the API server did not answer within {} s", API_TIMEOUT.as_secs()))
        .and_then(|a| Ok(a?))
        .with_context(|| what.to_owned())
}

fn print(findings: &[Finding], output: Output) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    for finding in findings {
        match output {
            Output::Json => writeln!(out, "{}", serde_json::to_string(finding)?)?,
            Output::Text => {
                let mark = match finding.level {
                    Level::Ok => "ok  ",
                    Level::Warn => "WARN",
                    Level::Fail => "FAIL",
                };
                writeln!(out, "{mark} {:<12} {}", finding.check, finding.message)?;
                if let Some(remedy) = &finding.remedy {
                    writeln!(out, "                  {}: {remedy}", finding.reason)?;
                }
            }
        }
    }
    Ok(())
}
