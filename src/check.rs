//! `flywheel check`: gate layer 1 over files that no branch has yet, in the cluster,
//! as a GateRun with a manifest.

use std::{fs, io::Read, io::Write, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::{ByteString, api::core::v1::ConfigMap};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, PostParams},
    core::DeserializeGuard,
    runtime::{WatchStreamExt, watcher},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    api::{
        API_VERSION,
        conditions::{self, ConditionType},
        gate_run::{GateRun, GateRunStatus, Verdict},
    },
    controller::{manifest::BUNDLE_KEY, objects::timely},
    gate::bundle::{Bundle, SourceFile},
    telemetry,
};

/// What `flywheel check` is told.
#[derive(Debug, clap::Args)]
pub struct CheckConfig {
    /// File with what `flywheel scaffold --json` prints: an object with `files`, each
    /// of a `path` and a `content`. `-` is the standard input.
    manifest: PathBuf,
    /// The Factory whose gate it is.
    #[arg(long)]
    factory: String,
    /// Its namespace.
    #[arg(long, short, default_value = "flywheel")]
    namespace: String,
    /// Seconds that the gate's Job may take.
    #[arg(long, default_value = "300", value_parser = clap::value_parser!(i64).range(1..=3600))]
    timeout_seconds: i64,
    /// Seconds to wait for the verdict, its turn included.
    #[arg(long, default_value = "900", value_parser = clap::value_parser!(u64).range(1..=86400))]
    wait_seconds: u64,
}

/// The file manifest; what else `scaffold` says of it is not looked at.
#[derive(Deserialize)]
struct Manifest {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    path: String,
    content: String,
}

/// Runs the gate, prints one JSON object with a result for each step, and takes away
/// what it made. Exits with 0 where everything passed, with 1 where something did
/// not, and with 2 where the gate says nothing of the files.
pub async fn run(config: CheckConfig) -> anyhow::Result<ExitCode> {
    let bundle = read(&config)?;
    telemetry::install_crypto_provider();
    let client = Client::try_default().await.context("no cluster: is there a kubeconfig?")?;
    let configs: Api<ConfigMap> = Api::namespaced(client.clone(), &config.namespace);
    let runs: Api<GateRun> = Api::namespaced(client.clone(), &config.namespace);
    let mut inputs: ConfigMap = serde_json::from_value(json!({ "metadata": { "generateName": "check-" }, "immutable": true }))?;
    inputs.binary_data = Some([(BUNDLE_KEY.to_owned(), ByteString(bundle.bytes().to_vec()))].into());
    let inputs = timely(configs.create(&PostParams::default(), &inputs)).await?.name_any();

    let status = tokio::select! {
        judged = judge(&config, &inputs, bundle.digest(), &client, &runs) => judged,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    // Both have one name; what is left in the end is said, and no reason to fail.
    for left in [
        timely(runs.delete(&inputs, &DeleteParams::background())).await.map(drop),
        timely(configs.delete(&inputs, &DeleteParams::background())).await.map(drop),
    ] {
        left.unwrap_or_else(|error| eprintln!("{inputs} in {} is left behind: {error}", config.namespace));
    }
    let status = status?;
    let verdict = status.verdict.unwrap_or(Verdict::Error);
    writeln!(std::io::stdout(), "{}", answer(verdict, &status))?;
    Ok(match verdict {
        Verdict::Passed => ExitCode::SUCCESS,
        Verdict::Failed => ExitCode::FAILURE,
        Verdict::Blocked | Verdict::Error => ExitCode::from(2),
    })
}

fn read(config: &CheckConfig) -> anyhow::Result<Bundle> {
    let name = config.manifest.display();
    let text = if config.manifest.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input")?;
        text
    } else {
        fs::read_to_string(&config.manifest).with_context(|| format!("{name}"))?
    };
    let manifest: Manifest = serde_json::from_str(&text).with_context(|| format!("{name} is no file manifest"))?;
    let files = manifest.files.into_iter().map(|file| SourceFile::new(file.path, file.content)).collect();
    Bundle::pack(files).with_context(|| format!("{name}"))
}

/// Makes the run, and waits for its verdict; meanwhile says what it waits for.
async fn judge(config: &CheckConfig, inputs: &str, digest: &str, client: &Client, runs: &Api<GateRun>) -> anyhow::Result<GateRunStatus> {
    let run = serde_json::from_value(json!({
        "apiVersion": API_VERSION, "kind": "GateRun", "metadata": { "name": inputs },
        "spec": {
            "factoryRef": { "name": config.factory }, "layer": "Unit", "timeoutSeconds": config.timeout_seconds,
            "target": { "manifestRef": { "name": inputs, "digest": digest } },
        },
    }))?;
    timely(runs.create(&PostParams::default(), &run)).await?;
    let watched: Api<DeserializeGuard<GateRun>> = Api::namespaced(client.clone(), &config.namespace);
    let only = watcher::Config::default().fields(&format!("metadata.name={inputs}"));
    let mut seen = watcher(watched, only).default_backoff().applied_objects().boxed();
    let mut said = String::new();
    let verdict = async {
        while let Some(guard) = seen.try_next().await? {
            let Some(status) = guard.0.map_err(|invalid| anyhow::anyhow!("{}", invalid.error))?.status else { continue };
            if status.verdict.is_some() {
                return Ok(status);
            }
            if let Some(stalled) = conditions::find(&status.conditions, ConditionType::Stalled).filter(|c| c.status == "True") {
                bail!("{}: {}", stalled.reason, stalled.message);
            }
            let now = conditions::find(&status.conditions, ConditionType::Ready).map(|c| format!("{}: {}", c.reason, c.message));
            if let Some(now) = now.filter(|now| *now != said) {
                eprintln!("{now}");
                said = now;
            }
        }
        bail!("the watch ended")
    };
    match tokio::time::timeout(Duration::from_secs(config.wait_seconds), verdict).await {
        Ok(status) => status,
        Err(_) => bail!("no verdict within {} s: does Factory {} exist, and its controller run?", config.wait_seconds, config.factory),
    }
}

fn answer(verdict: Verdict, status: &GateRunStatus) -> Value {
    let message = conditions::find(&status.conditions, ConditionType::Ready).map(|ready| ready.message.as_str());
    json!({ "verdict": verdict, "message": message, "results": status.results })
}
