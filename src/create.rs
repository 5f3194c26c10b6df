//! `flywheel create --idea`: a document that a language model writes, and the strict
//! checker takes.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, bail};
use secrecy::SecretString;
use serde_json::json;
use url::Url;

use crate::{
    adapters::model::ChatCompletions,
    author::{self, Outcome, Task},
};

/// What `flywheel create` is told.
#[derive(Debug, clap::Args)]
pub struct CreateConfig {
    /// What the service should do, in a few sentences.
    #[arg(long)]
    idea: String,
    /// Its id; the model's choice unless given.
    #[arg(long)]
    id: Option<String>,
    /// Server with OpenAI's chat completions.
    #[arg(long, env = "FLYWHEEL_MODEL_URL", default_value = "https://api.openai.com/v1")]
    model_url: Url,
    /// The model's name there.
    #[arg(long, env = "FLYWHEEL_MODEL")]
    model: String,
    /// File with the key; without it none is sent.
    #[arg(long, env = "FLYWHEEL_MODEL_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// How often the model is asked at most: again with what was wrong.
    #[arg(long, default_value_t = author::MOST_ROUNDS, value_parser = clap::value_parser!(u32).range(1..=i64::from(author::MOST_ROUNDS)))]
    rounds: u32,
    /// Seconds that one answer may take.
    #[arg(long, default_value = "120", value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout_seconds: u64,
    /// US dollars for a million tokens that the model reads, for the summary.
    #[arg(long, default_value = "0")]
    input_price: f64,
    /// US dollars for a million tokens that it writes.
    #[arg(long, default_value = "0")]
    output_price: f64,
    /// Where to write the document; standard output unless given.
    #[arg(long)]
    out: Option<PathBuf>,
}

/// Writes the document, or nothing; and what it took, as a line of JSON on standard error.
pub async fn run(config: CreateConfig) -> anyhow::Result<ExitCode> {
    if let Some(out) = config.out.as_ref().filter(|out| out.exists()) {
        bail!("{} is there: name another file with --out", out.display());
    }
    let key = config.key_file.as_deref().map(key).transpose()?;
    let model = ChatCompletions::new(&config.model_url, &config.model, key, Duration::from_secs(config.timeout_seconds))?;
    let outcome = author::realize(&model, &Task::new(&config.idea, config.id.as_deref(), config.rounds)).await;
    report(&config, &outcome);
    if let Some(failed) = outcome.failed {
        return Err(failed.into());
    }
    let Some(document) = outcome.document else { return Ok(ExitCode::FAILURE) };
    match &config.out {
        Some(out) => fs::write(out, document).with_context(|| format!("{}", out.display()))?,
        None => std::io::stdout().write_all(document.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn report(config: &CreateConfig, outcome: &Outcome) {
    // Tokens of three answers are exact in a float.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    let million = |tokens: u64| tokens as f64 / 1e6;
    let dollars = million(outcome.input_tokens) * config.input_price + million(outcome.output_tokens) * config.output_price;
    for problem in &outcome.problems {
        eprintln!("the model's document: {problem}");
    }
    eprintln!(
        "{}",
        json!({
            "rounds": outcome.rounds, "inputTokens": outcome.input_tokens, "outputTokens": outcome.output_tokens,
            "costUsd": dollars, "strict": outcome.document.is_some(),
        })
    );
}

/// The key of a model's server, from a file.
pub(crate) fn key(file: &Path) -> anyhow::Result<SecretString> {
    let text = fs::read_to_string(file).with_context(|| format!("{}", file.display()))?;
    Ok(text.trim().to_owned().into())
}
