//! GateRun: one run of one gate layer, and its verdict.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    agent_pr::{ManifestReference, Revision},
    references::FactoryReference,
};

/// One run of one gate layer over one target.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[kube(
    group = "flywheel.prim.sh",
    version = "v1alpha1",
    kind = "GateRun",
    shortname = "gate",
    category = "flywheel",
    namespaced,
    status = "GateRunStatus",
    doc = "One run of one gate layer over one target, and its verdict.",
    printcolumn = r#"{"name":"Layer","type":"string","jsonPath":".spec.layer"}"#,
    printcolumn = r#"{"name":"Verdict","type":"string","jsonPath":".status.verdict"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason"}"#,
    printcolumn = r#"{"name":"Before","type":"integer","jsonPath":".status.before"}"#,
    printcolumn = r#"{"name":"Since","type":"date","jsonPath":".status.since"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type=='Ready')].message"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self == oldSelf").message("a run can't be edited: make another GateRun"),
    validation = Rule::new("(self.layer == 'Unit') != has(self.target.url)").message("layer Unit tests an agentPR or a manifestRef, and all others a url"),
    validation = Rule::new("self.layer != 'CleanRoom' || self.timeoutSeconds >= 180").message("layer CleanRoom needs a timeoutSeconds of at least 180: a room is made, furnished and left in that time")
)]
pub struct GateRunSpec {
    /// The Factory whose policy and image are used.
    pub factory_ref: FactoryReference,
    /// Which gate.
    pub layer: Layer,
    /// What is tested.
    pub target: Target,
    /// The run ends as Error after this many seconds.
    #[serde(default = "run_timeout")]
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: i32,
    /// What it tests has a verdict that stands meanwhile: its turn comes after all
    /// runs that somebody waits for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub regate: bool,
}

/// Gate layers.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
pub enum Layer {
    /// 1: lint, types, five checks, generated files fresh, secret scan.
    Unit,
    /// 2: deterministic HTTP tests.
    Contract,
    /// 3: an agent reads llms.txt and uses the service.
    Canary,
    /// 4: the same on a fresh, isolated machine.
    CleanRoom,
}

impl Layer {
    /// The layer as a label has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unit => "unit",
            Self::Contract => "contract",
            Self::Canary => "canary",
            Self::CleanRoom => "cleanroom",
        }
    }

    /// The layer as an object has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unit => "Unit",
            Self::Contract => "Contract",
            Self::Canary => "Canary",
            Self::CleanRoom => "CleanRoom",
        }
    }
}

/// What a gate tests: exactly one of its fields.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("[has(self.agentPR), has(self.manifestRef), has(self.url)].filter(x, x).size() == 1").message("exactly one of agentPR, manifestRef and url is required"),
    validation = Rule::new("has(self.url) == has(self.primitive) && has(self.url) == has(self.commit)").message("primitive and commit are required with url, and go with nothing else")
)]
pub struct Target {
    /// A change, at exactly these trees.
    #[serde(rename = "agentPR", default, skip_serializing_if = "Option::is_none")]
    pub agent_pr: Option<AgentPRTarget>,
    /// A file manifest that no branch has yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_ref: Option<ManifestReference>,
    /// A running service, by the name that callers use: `https://search.prim.sh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048), regex(pattern = "^https://[^/@?#]+/?$"))]
    pub url: Option<String>,
    /// Id of the primitive that should answer there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40), regex(pattern = "^[a-z]([a-z0-9-]*[a-z0-9])?$"))]
    pub primitive: Option<String>,
    /// Commit whose document says what it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = "^([0-9a-f]{40}|[0-9a-f]{64})$"))]
    pub commit: Option<String>,
}

/// An AgentPR at exactly these trees.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
pub struct AgentPRTarget {
    /// Name of the AgentPR, in the object's own namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The trees.
    pub revision: Revision,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum Verdict {
    /// Everything required was shown.
    Passed,
    /// Something required was refuted.
    Failed,
    /// Nothing was refuted, and something required could not be tried.
    Blocked,
    /// The run itself broke: crash, eviction, time-out.
    Error,
}

impl Verdict {
    /// The verdict as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "Passed",
            Self::Failed => "Failed",
            Self::Blocked => "Blocked",
            Self::Error => "Error",
        }
    }
}

/// What a run did.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct GateRunStatus {
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What it came to; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// One line per step or test.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<StepResult>,
    /// Name of the Job, in the gates' namespace; absent before it is made, and where
    /// a verdict needed none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Runs that go before it, while it waits for its turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// Since when it waits, or runs, or has its verdict.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// What it tests by what: a later run of the same would find the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tested: Option<Tested>,
    /// How many of its tests were not tried, which counts neither for nor against:
    /// the results that are advisory and Blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untried: Option<i64>,
    /// Where the full report is kept; absent where no Job ran, and until it was
    /// looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportReference>,
    /// `Ready` (a verdict is there), and `Reconciling` or `Stalled` while true.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// What a run tests, and by what.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tested {
    /// Git tree: of the package, or of the whole change.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tree: String,
    /// Digest of what is to be shown.
    pub plan: String,
    /// The image whose program shows it.
    pub tool: String,
    /// What confines the commands of a clean room beside its container, such as a
    /// RuntimeClass; nothing where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confined_by: Option<String>,
}

/// Where a run's full report is kept, or why it is not.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportReference {
    /// Name of the ConfigMap, in the object's own namespace; it goes with the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map: Option<String>,
    /// Key in its `binaryData`: one JSON document, packed by gzip.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Bytes of the unpacked document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// The step in which a room's money goes back; with a space and a room's name after it,
/// that of a room before it.
pub const RETURN: &str = "return";

/// A clean room of which nobody knows that all of its money is back.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, KubeSchema)]
pub struct RoomLeft {
    /// Its name, from which its wallet follows.
    pub name: String,
    /// Until when money may still come to its wallet: one that is found empty before then
    /// is looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// One step's result.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepResult {
    /// The step's or test's name.
    pub name: String,
    /// What it came to.
    pub verdict: Verdict,
    /// How long it took, in milliseconds.
    pub milliseconds: i64,
    /// Why, where it did not pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The run's verdict does not follow from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub advisory: bool,
}

fn run_timeout() -> i32 {
    300
}
