//! A Factory's policy: what may be merged, how much at a time, and which gates a
//! primitive passes before it is Live.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{gate_run::Layer, primitive::Stage};

/// What may be merged, and how much at a time.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicySpec {
    /// Stage of a Primitive that names none.
    pub default_stage: Stage,
    /// Commit status that the base branch must require; the gates set it.
    #[schemars(length(min = 1, max = 255))]
    pub required_check: String,
    /// Pull requests of this Factory open at a time.
    #[schemars(range(min = 1, max = 1000))]
    pub max_open_pull_requests: i32,
    /// Gate Jobs of this Factory running at a time.
    #[schemars(range(min = 1, max = 1000))]
    pub max_running_gates: i32,
    /// Keep what is derived from all packages (`generated/` and `gates/plan.json`) up
    /// to date by changes of the Factory's own.
    pub aggregates: bool,
    /// What its gates pay and ask with, how often they ask, and what Live needs.
    pub gates: GatesSpec,
}

impl Default for PolicySpec {
    fn default() -> Self {
        Self {
            default_stage: Stage::Testing,
            required_check: "flywheel/gate".into(),
            max_open_pull_requests: 20,
            max_running_gates: 2,
            aggregates: true,
            gates: GatesSpec::default(),
        }
    }
}

/// What gates pay and ask with, how often they ask, and what Live needs.
// Each field has its default by itself: rules of CEL are derived from a struct that
// has none as a whole.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GatesSpec {
    /// What gate layer 2 pays with.
    #[serde(default)]
    pub contract: ContractPolicy,
    /// Who uses services in gate layer 3; nobody where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryPolicy>,
    /// Fresh rooms in which gate layer 4 uses a service by its command line; none where
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clean_room: Option<CleanRoomPolicy>,
    /// Layers that a running service passes before it is Live.
    #[serde(default = "live_layers")]
    #[schemars(length(min = 1, max = 3))]
    #[x_kube(validation = Rule::new("self.all(layer, layer in ['Contract', 'Canary', 'CleanRoom']) && 'Contract' in self").message("live is Contract, and with it Canary, CleanRoom or both: layer Unit is of changes, and not of a service"))]
    pub live: Vec<Layer>,
    /// Seconds after which a layer that was passed is run again; never where 0. Each
    /// primitive has its own moment in that time, so that they don't begin together.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == 0 || self >= 60").message("regateEverySeconds is 0, which is never, or at least 60"))]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub regate_every_seconds: i64,
    /// How often runs of a primitive may pass only when they are tried again, within
    /// `flakyWindowSeconds`: one more counts as failed.
    #[serde(default = "flaky_budget")]
    #[schemars(range(min = 0, max = 1000))]
    pub flaky_budget: i32,
    /// See `flakyBudget`.
    #[serde(default = "flaky_window")]
    #[schemars(range(min = 60, max = 31_536_000))]
    pub flaky_window_seconds: i64,
    /// Whether a change's plan is tried in its own pod before it is merged: what does
    /// not pass holds a Live primitive's merge, and is told of all others'.
    #[serde(default = "yes")]
    pub preview: bool,
}

impl Default for GatesSpec {
    fn default() -> Self {
        Self {
            contract: ContractPolicy::default(),
            canary: None,
            clean_room: None,
            live: live_layers(),
            regate_every_seconds: 0,
            flaky_budget: flaky_budget(),
            flaky_window_seconds: flaky_window(),
            preview: yes(),
        }
    }
}

/// What gate layer 2 pays with.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ContractPolicy {
    /// Secret in the gates' namespace whose key `privateKey` is a wallet's, 0x and 64
    /// hexadecimal digits: what gates pay for tests of priced routes comes from it.
    /// Where absent, such tests are not tried, which is not enough for Live. The
    /// controller mounts it into the gate's container and never reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub wallet: Option<String>,
    /// The most that one request may cost: US dollars, such as `$0.05`.
    #[schemars(length(max = 17), regex(pattern = "^\\$[0-9]{1,9}(\\.[0-9]{1,6})?$"))]
    pub max_payment: String,
    /// The most that one run may cost.
    #[schemars(length(max = 17), regex(pattern = "^\\$[0-9]{1,9}(\\.[0-9]{1,6})?$"))]
    pub budget: String,
}

impl Default for ContractPolicy {
    fn default() -> Self {
        Self { wallet: None, max_payment: "$0.10".into(), budget: "$1.00".into() }
    }
}

/// Who uses services in gate layer 3.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryPolicy {
    /// The model that is given a service's llms.txt and a task. It pays from the
    /// wallet of `contract`, one request at most `contract.maxPayment`.
    pub model: ModelSpec,
    /// Answers of the model in one run, at most.
    #[serde(default = "max_rounds")]
    #[schemars(range(min = 1, max = 10))]
    pub max_rounds: i32,
    /// The most that one run may cost in payments to the service.
    #[serde(default = "canary_budget")]
    #[schemars(length(max = 17), regex(pattern = "^\\$[0-9]{1,9}(\\.[0-9]{1,6})?$"))]
    pub budget: String,
}

/// Fresh rooms for gate layer 4. What a room pays with comes from the wallet of
/// `contract`, and its groups for a command line are given to the model of `canary`.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CleanRoomPolicy {
    /// Seconds that a room may take.
    #[schemars(range(min = 180, max = 3600))]
    pub timeout_seconds: i32,
    /// What the wallet of a room begins with, and so the most that a run may cost; what
    /// is left goes back.
    #[schemars(length(max = 17), regex(pattern = "^\\$[0-9]{1,9}(\\.[0-9]{1,6})?$"))]
    pub fund: String,
    /// Base URL of the x402 facilitator that moves it, as gates reach it; where absent
    /// that of `X402_FACILITATOR_URL` in `spec.deploy.env`. Without either nothing is
    /// paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = "^https?://[^/@?#]+(/[^?#]*)?$"))]
    pub facilitator: Option<String>,
    /// URL of the chain's JSON-RPC, which says what a wallet has. Without it nobody knows
    /// what a room that was killed has left.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = "^https?://[^/@?#]+(/[^?#]*)?$"))]
    pub rpc: Option<String>,
    /// Rooms whose commands nothing confines but a container count for Live. Without it
    /// they are run and told of, and Live takes one under `spec.deploy.runtimeClass`.
    pub unconfined: bool,
}

impl Default for CleanRoomPolicy {
    fn default() -> Self {
        Self { timeout_seconds: 600, fund: "$1.00".into(), facilitator: None, rpc: None, unconfined: false }
    }
}

/// An OpenAI-compatible model.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelSpec {
    /// Base URL of its API, as gates reach it: `https://infer.example/v1`.
    #[schemars(length(max = 2048), regex(pattern = "^https?://[^/@?#]+(/[^?#]*)?$"))]
    pub url: String,
    /// The model's name there.
    #[schemars(length(min = 1, max = 255))]
    pub name: String,
    /// Secret in the gates' namespace whose key `key` the model's server takes; none is
    /// sent where absent. The controller mounts it and never reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret: Option<String>,
}

fn live_layers() -> Vec<Layer> {
    vec![Layer::Contract, Layer::Canary]
}

fn flaky_budget() -> i32 {
    3
}

/// A week.
fn flaky_window() -> i64 {
    604_800
}

fn yes() -> bool {
    true
}

fn max_rounds() -> i32 {
    10
}

fn canary_budget() -> String {
    "$1.00".into()
}
