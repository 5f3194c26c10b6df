//! AgentPR: one change of the factory repository, from file manifest to merge.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    gate_run::Verdict,
    primitive::NextAction,
    references::{FactoryReference, Milestone},
};

/// One proposed change of the factory repository.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[kube(
    group = "flywheel.prim.sh",
    version = "v1alpha1",
    kind = "AgentPR",
    plural = "agentprs",
    shortname = "apr",
    category = "flywheel",
    namespaced,
    status = "AgentPRStatus",
    doc = "One proposed change of the factory repository, from file manifest to merge.",
    printcolumn = r#"{"name":"Primitive","type":"string","jsonPath":".spec.primitive"}"#,
    printcolumn = r#"{"name":"PR","type":"integer","jsonPath":".status.number"}"#,
    printcolumn = r#"{"name":"Queue","type":"integer","jsonPath":".status.queue"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type=='Ready')].message"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("self == oldSelf").message("a change can't be edited: make another AgentPR"),
    validation = Rule::new("self.primitive == 'flywheel' || has(self.files) != has(self.manifestRef)").message("exactly one of files and manifestRef is required"),
    validation = Rule::new("self.primitive != 'flywheel' || (!has(self.files) && !has(self.manifestRef))").message("what is derived from all packages (primitive flywheel) has no files and no manifestRef: the Factory makes them")
)]
pub struct AgentPRSpec {
    /// The Factory whose repository is changed.
    pub factory_ref: FactoryReference,
    /// Id of the primitive whose package is changed; `flywheel` where what is derived
    /// from all packages is brought up to date.
    #[schemars(length(max = 40), regex(pattern = "^[a-z]([a-z0-9-]*[a-z0-9])?$"))]
    pub primitive: String,
    /// The change itself, up to 200 KiB in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 200))]
    #[x_kube(validation = Rule::new("self.map(f, has(f.content) ? size(f.content) : 0).sum() <= 204800").message("the files have more than 204800 characters in all: put the change into a ConfigMap and name it as manifestRef"))]
    pub files: Option<Vec<File>>,
    /// The change by reference, for what is larger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_ref: Option<ManifestReference>,
    /// Title of the pull request and of the squashed commit, one line.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^\P{Cc}*\S\P{Cc}*$"))]
    #[x_kube(validation = Rule::new("!self.matches('(?i)^\\\\s*(\\\\[(wip|draft)\\\\]|(wip|draft):)')").message("title must not begin as a draft's does: forges merge none"))]
    pub title: String,
    /// Description of the pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16384))]
    pub body: Option<String>,
}

/// One file of a change. No content means that the file is removed.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
pub struct File {
    /// Path from the repository's root.
    #[schemars(length(min = 1, max = 255), regex(pattern = "^[A-Za-z0-9_.@-]+(/[A-Za-z0-9_.@-]+)*$"))]
    #[x_kube(validation = Rule::new("self.split('/').all(part, part != '.' && part != '..')").message("path must not have . or .. in it"))]
    pub path: String,
    /// The file's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 204800))]
    pub content: Option<String>,
}

/// An immutable ConfigMap that holds a file manifest, named by its digest.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
pub struct ManifestReference {
    /// Name of the ConfigMap, in the object's own namespace.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its content's digest: `sha256:` and 64 hexadecimal digits.
    #[schemars(length(max = 71), regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub digest: String,
}

/// How far a change has come.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AgentPRStatus {
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Hash of the file manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_hash: Option<String>,
    /// What the change is, derived from the base tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// The branch, `agent/<primitive>-<creation time>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// What was gated, and what may be merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Revision>,
    /// Number of the pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// Address of the pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The base branch's commit that the change was made on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onto: Option<String>,
    /// The base branch's newest commit when it was last looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The commit that Flywheel made or last updated on the branch: any other head
    /// is somebody's edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<String>,
    /// Somebody else has committed to the branch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edited: bool,
    /// Place in the Factory's queue, from 1: the first is merged next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<i64>,
    /// The gates that were run for it, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub attempts: Vec<Attempt>,
    /// Hash of what was last reported to the forge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<String>,
    /// What the forge said last that is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Obstacle>,
    /// A gate had passed the tree that was merged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tested: bool,
    /// The branch is gone again, or was left.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cleaned: bool,
    /// The head at which its branch was left, since that is not what was merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
    /// When it was `Seen`, `Committed`, `Opened`, `Green`, `Merged`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub milestones: Vec<Milestone>,
    /// Commit on the base branch that the merge made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge_sha: Option<String>,
    /// What may be done now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_action: Option<NextAction>,
    /// `Ready` (merged), and `Reconciling` or `Stalled` while true.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// What a change is.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum Intent {
    /// The base tree has no such package.
    NewPrimitive,
    /// The base tree has the package.
    Change,
    /// The package goes.
    Removal,
}

/// What is in a change's way.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Obstacle {
    /// What it is.
    pub kind: ObstacleKind,
    /// What the forge said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Head and base that it is about: with others it may be gone.
    pub at: String,
    /// How often it was met there.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub times: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the shape that serde calls")]
fn is_zero(times: &i64) -> bool {
    *times == 0
}

/// Kinds of obstacles.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum ObstacleKind {
    /// The base branch says it already.
    NothingToChange,
    /// A branch of that name is there and holds something else.
    BranchTaken,
    /// Change and base branch contradict each other.
    Conflict,
    /// None: the head holds the base branch's commit, though that can't be read
    /// from its parents.
    Contains,
    /// The forge does not merge it, or not yet.
    Held,
}

/// One run of a gate over a change.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Name of the GateRun.
    pub gate: String,
    /// The tree it was about.
    pub tree: String,
    /// What it came to; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// Exactly which trees a verdict is about.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, KubeSchema)]
pub struct Revision {
    /// Commit of the base branch.
    #[schemars(length(max = 64), regex(pattern = "^([0-9a-f]{40}|[0-9a-f]{64})$"))]
    pub base: String,
    /// Head commit of the change's branch.
    #[schemars(length(max = 64), regex(pattern = "^([0-9a-f]{40}|[0-9a-f]{64})$"))]
    pub head: String,
    /// Tree that a merge of both would have.
    #[schemars(length(max = 64), regex(pattern = "^([0-9a-f]{40}|[0-9a-f]{64})$"))]
    pub tree: String,
}
