//! What a canary's pod is told: a service that runs, the plan of its tests, and the
//! model. Keys are in files beside it, and never here.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::limits::Limits;
use crate::gate::plan::Terms;

/// Everything that `flywheel gate agent` is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentPlan {
    /// Where the service answers: `https://HOST` without a path.
    pub url: String,
    /// The commit whose document says what it answers.
    pub commit: String,
    /// PEM certificates that sign its certificate; the public roots where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
    /// A test plan (`src/suite`) of that service alone: each of its groups is a task.
    pub plan: Value,
    /// On what chain and to whom is paid; whatever the plan says without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// The model.
    pub model: ModelAt,
    /// Limits.
    #[serde(default)]
    pub limits: Limits,
}

/// A model behind a server with OpenAI's chat completions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelAt {
    /// The server's base address, such as `https://api.openai.com/v1`.
    pub url: String,
    /// The model's name there.
    pub name: String,
    /// US dollars for a million tokens that it reads, for the report.
    #[serde(default)]
    pub input_price: f64,
    /// US dollars for a million tokens that it writes.
    #[serde(default)]
    pub output_price: f64,
}
