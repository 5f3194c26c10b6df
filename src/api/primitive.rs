//! Primitive: one declared HTTP service.

use std::{borrow::Cow, collections::BTreeMap};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    gate_run::{Layer, RoomLeft, Verdict},
    references::{FactoryReference, Milestone},
};

/// One HTTP service, declared by its `prim.yaml` document or by an idea of one.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[kube(
    group = "flywheel.prim.sh",
    version = "v1alpha1",
    kind = "Primitive",
    shortname = "prim",
    category = "flywheel",
    namespaced,
    status = "PrimitiveStatus",
    doc = "One HTTP service, declared by its prim.yaml document or by an idea of one.",
    validation = Rule::new("!has(self.spec.document) || self.metadata.name == self.spec.document.id").message("metadata.name must be the document's id"),
    validation = Rule::new("!has(self.spec.idea) || (size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([a-z0-9-]*[a-z0-9])?$') && !(self.metadata.name in ['www','api','ns','ns1','ns2','mx','edge','gateway','flywheel']))").message("metadata.name must be an id, since the idea's document gets it: a-z, 0-9 and -, beginning with a letter, 40 characters at most, and none of www, api, ns, ns1, ns2, mx, edge, gateway, flywheel"),
    printcolumn = r#"{"name":"Phase","type":"string","jsonPath":".status.phase"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason"}"#,
    printcolumn = r#"{"name":"Waits","type":"string","jsonPath":".status.waitsFor.what"}"#,
    printcolumn = r#"{"name":"Since","type":"date","jsonPath":".status.waitsFor.since"}"#,
    printcolumn = r#"{"name":"URL","type":"string","jsonPath":".status.url"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"501","type":"integer","priority":1,"jsonPath":".status.routes.unimplemented"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type=='Ready')].message"}"#
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.document) != has(self.idea)").message("exactly one of document and idea is required"))]
pub struct PrimitiveSpec {
    /// The Factory that builds and runs it.
    #[x_kube(validation = Rule::new("self == oldSelf").message("factoryRef can't change"))]
    pub factory_ref: FactoryReference,
    /// The `prim.yaml` document; unknown keys are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Document>,
    /// What the service should do, in a few sentences: the Factory's model writes the
    /// document, which is then in the status and proposed. Asked for once; another
    /// idea is asked for anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 8000))]
    pub idea: Option<String>,
    /// How far the service may go; the Factory's default where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// Set to hold every further step: nothing is proposed, deployed, named or taken
    /// down, a deletion neither. What runs goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Pause>,
    /// What deleting this object does to the service.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// A `prim.yaml` document. Only `id` is looked at here; reading the rest is
/// `prim`'s work.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub struct Document {
    /// The primitive's id.
    pub id: String,
    /// Everything else, as it was given.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// Written by hand: a derived schema would drop unknown keys, or forbid CEL to
/// see `id`.
impl JsonSchema for Document {
    fn schema_name() -> Cow<'static, str> {
        "Document".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The prim.yaml document; unknown keys are kept.",
            "type": "object",
            "required": ["id"],
            "properties": {
                "id": {
                    "description": "The primitive's id: its directory under packages/, its host name's first label and this object's name.",
                    "type": "string",
                    "maxLength": 40,
                    "pattern": "^[a-z]([a-z0-9-]*[a-z0-9])?$"
                }
            },
            "x-kubernetes-preserve-unknown-fields": true,
            "x-kubernetes-validations": [{
                "rule": "!(self.id in ['www','api','ns','ns1','ns2','mx','edge','gateway','flywheel'])",
                "message": "this id is reserved"
            }]
        })
    }
}

/// How far a primitive may go.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
pub enum Stage {
    /// Merged, not deployed.
    Building,
    /// Deployed and contract-tested.
    #[default]
    Testing,
    /// In use.
    Live,
}

/// A hold, with its reason.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
pub struct Pause {
    /// Why, for whoever finds it waiting.
    #[schemars(length(min = 1, max = 1024))]
    pub reason: String,
}

/// What deleting a Primitive does to its service.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum DeletionPolicy {
    /// Leaves repository, workload and name as they are.
    #[default]
    Retain,
    /// Opens a removal pull request and takes down what was made.
    Delete,
}

/// How far a primitive has come.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum Phase {
    /// Declared, nothing merged.
    #[default]
    Phantom,
    /// Layer 1 passed and merged.
    Building,
    /// The merged commit is deployed and passed layer 2.
    Testing,
    /// Layers 1 to 3 passed, and name, TLS and HTTP answer from outside.
    Live,
    /// Was live; a later gate or probe is red.
    Degraded,
}

impl Phase {
    /// The phase as an object has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Phantom => "Phantom",
            Self::Building => "Building",
            Self::Testing => "Testing",
            Self::Live => "Live",
            Self::Degraded => "Degraded",
        }
    }
}

/// What the controller did for a Primitive and saw of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PrimitiveStatus {
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How far it has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Where it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Commit of the base branch that is deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Git tree of the package that is deployed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// The version on its way, while it is not the deployed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rolling: Option<Version>,
    /// What each gate layer from the second on said of what runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 4))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["layer".into()]))]
    pub gates: Vec<LayerVerdict>,
    /// Runs that passed only when they were tried again, the newest last: as many as
    /// the Factory's `policy.gates.flakyWindowSeconds` has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub flaky: Vec<Flaky>,
    /// Clean rooms of its gates of which nobody knows that all of their money is back, by
    /// their names, the newest last: the Factory's next room brings it, or
    /// `flywheel gate spawn --bring-back ROOM`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub rooms: Vec<RoomLeft>,
    /// What it waits for; absent where it is Ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<WaitsFor>,
    /// Hash of the document that was last proposed, or found on the base branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed_hash: Option<String>,
    /// What the model made of `spec.idea`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idea: Option<IdeaStatus>,
    /// The document that the model wrote for `spec.idea`, strict, and proposed as one
    /// in the spec would be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Document>,
    /// Who answers its document's routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Routes>,
    /// Name of the AgentPR that proposes it.
    #[serde(rename = "agentPR", default, skip_serializing_if = "Option::is_none")]
    pub agent_pr: Option<String>,
    /// When what was proposed last was `Proposed`, `Green`, `Merged`, `Deployed`,
    /// `Named`, `Serving`, `Tested`, `Live`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub milestones: Vec<Milestone>,
    /// Everything made for it outside this object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
    /// What may be done now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_action: Option<NextAction>,
    /// `Ready`, `Reconciling` or `Stalled` while true, and one per step that was
    /// reached: `DocumentWritten` of an idea, `Merged`, `Deployed`, `Routed`, `NameReady`,
    /// `Serving`, `ContractPassed`, `CanaryPassed`, `CleanRoomPassed`;
    /// `EnvironmentComplete` and `SpecOutdated` advise.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// How an idea became a document, or did not.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdeaStatus {
    /// Hash of the idea that it is about.
    pub hash: String,
    /// When it was noticed.
    pub since: Time,
    /// How often the model answered.
    #[serde(default)]
    pub rounds: i64,
    /// Tokens that it read, by its server's count.
    #[serde(default)]
    pub input_tokens: i64,
    /// Tokens that it wrote.
    #[serde(default)]
    pub output_tokens: i64,
    /// What that costs by the Factory's prices, in US dollars; absent without prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
    /// What was wrong with its last answer, if that was not strict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 30))]
    pub problems: Vec<String>,
}

/// Who answers a document's routes, as its package is scaffolded.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Routes {
    /// How many the document has.
    pub declared: i64,
    /// How many of them are a vendor's to answer.
    pub provider: i64,
    /// How many of them answer 501 until somebody writes them.
    pub unimplemented: i64,
    /// Those, each with the reason: the first 50.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub missing: Vec<String>,
}

/// A package at a commit of the base branch.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, KubeSchema)]
pub struct Version {
    /// The commit that it was taken from.
    pub commit: String,
    /// Git tree of the package.
    pub tree: String,
}

/// What a gate layer said of a version.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LayerVerdict {
    /// Which layer.
    pub layer: Layer,
    /// Git tree of the package that it is about.
    pub tree: String,
    /// Name of the GateRun whose verdict it is; of the one that runs, where there is
    /// none yet.
    pub gate: String,
    /// What it came to; absent while the first run over this tree runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why, where it did not pass; what else is to be known of it, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How many of its tests were not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub untried: Option<i64>,
    /// When it came to it, or a later run broke: the next is due by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// Digest of what was to be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// The image whose program showed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// What confined the commands of a clean room, such as a RuntimeClass. Where absent,
    /// what layer 4 says does not count for Live, unless the Factory's
    /// `policy.gates.cleanRoom.unconfined` says that it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confined_by: Option<String>,
    /// The earlier GateRun whose verdict it is, where none was made for this rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused_from: Option<String>,
    /// Name of the GateRun that runs now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<String>,
    /// The one that runs now is a second try: the one before it broke.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retrying: bool,
}

/// A run that passed only when it was tried again.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, KubeSchema)]
pub struct Flaky {
    /// Name of the GateRun that passed.
    pub gate: String,
    /// When.
    pub at: Time,
}

/// What an object waits for.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitsFor {
    /// What, in one word; a gate by its layer, with its place in the queue where it
    /// has one: `Canary (2 before it)`.
    pub what: String,
    /// Since when.
    pub since: Time,
}

/// Something made for an object in the world outside it.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Effect {
    /// What it is: `Branch`, `PullRequest`, `Deployment`, `DnsRecord`, …
    pub kind: String,
    /// Its name where it lives.
    pub name: String,
    /// When it was made.
    pub since: Time,
}

/// What an agent may do now, without reading prose.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct NextAction {
    /// One word: `Wait`, `Edit`, `Approve`, …
    pub verb: String,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Seconds after which asking again is worth it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<i64>,
}
