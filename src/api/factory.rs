//! Factory: one repository, its policy, and where its primitives run.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{policy::PolicySpec, references::SecretReference};

/// One factory repository and everything its primitives share: the forge that
/// holds it, the policy its changes are merged by, where its primitives run and
/// the zone they are named in.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[kube(
    group = "flywheel.prim.sh",
    version = "v1alpha1",
    kind = "Factory",
    plural = "factories",
    shortname = "fac",
    category = "flywheel",
    namespaced,
    status = "FactoryStatus",
    doc = "One factory repository and everything its primitives share: forge, policy, where they run, and their DNS zone.",
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"Reason","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].reason"}"#,
    printcolumn = r#"{"name":"Repository","type":"string","jsonPath":".status.repository"}"#,
    printcolumn = r#"{"name":"Zone","type":"string","jsonPath":".spec.dns.zone"}"#,
    printcolumn = r#"{"name":"Packages","type":"integer","jsonPath":".status.packages"}"#,
    printcolumn = r#"{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"Message","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type=='Ready')].message"}"#
)]
#[serde(rename_all = "camelCase")]
pub struct FactorySpec {
    /// The repository that is the truth for every primitive's code.
    #[x_kube(validation = Rule::new("self.forge == oldSelf.forge && self.url == oldSelf.url && self.owner == oldSelf.owner && self.name == oldSelf.name").message("forge, url, owner and name can't change: make a Factory of its own for another repository"))]
    pub repository: RepositorySpec,
    /// The zone primitives are named in, and who may write it.
    #[x_kube(validation = Rule::new("self.zone == oldSelf.zone").message("the zone can't change: every primitive's name is in it"))]
    #[x_kube(validation = Rule::new("!has(oldSelf.ownerId) || (has(self.ownerId) && self.ownerId == oldSelf.ownerId)").message("ownerId can't change once it is set: every primitive's record is marked with it"))]
    pub dns: DnsSpec,
    /// Where primitives run and how they are reached.
    // A word of CEL, which Kubernetes writes so.
    #[x_kube(validation = Rule::new("self.__namespace__ == oldSelf.__namespace__").message("the namespace can't change: every primitive's workload and data are in it"))]
    pub deploy: DeploySpec,
    /// What may be merged, and how much at a time.
    #[serde(default)]
    pub policy: PolicySpec,
    /// What calls cost.
    #[serde(default)]
    pub prices: PricesSpec,
    /// The language model that writes the documents of primitives that have an idea
    /// alone; without it there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelSpec>,
}

/// A repository on a forge.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepositorySpec {
    /// The forge's kind.
    pub forge: ForgeKind,
    /// The forge's base URL as the controller reaches it, without a path to the
    /// repository: `https://git.example.org`.
    #[schemars(length(max = 2048), regex(pattern = "^https?://[^/@?#]+(/[^?#]*)?$"))]
    pub url: String,
    /// User or organisation that owns the repository.
    #[schemars(length(max = 100), regex(pattern = "^[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$"))]
    pub owner: String,
    /// The repository's name.
    #[schemars(length(max = 100), regex(pattern = "^[A-Za-z0-9_.-]+$"))]
    #[x_kube(validation = Rule::new("self != '.' && self != '..'").message("a repository can't be named . or .."))]
    pub name: String,
    /// The branch that is the truth.
    #[serde(default = "main_branch")]
    #[schemars(length(min = 1, max = 244))]
    pub base_branch: String,
    /// Secret with the keys `token` (the bot account's) and `webhookSecret` (what
    /// the forge signs its deliveries with).
    pub credentials: SecretReference,
}

/// Forges with an adapter.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum ForgeKind {
    /// Gitea 1.22 or later, or a Forgejo that speaks the same API.
    Gitea,
}

/// A DNS zone and the provider that changes it.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.provider != 'Rfc2136' || has(self.rfc2136)").message("rfc2136 is required with provider Rfc2136"))]
pub struct DnsSpec {
    /// The zone, without a trailing dot. A primitive's name is `<id>.<zone>`.
    #[schemars(length(max = 200), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"))]
    pub zone: String,
    /// Whose records they are, where several installations write into one zone:
    /// external-dns calls it the owner. Another for each; where absent, the
    /// Factory's name and a hash of which repository it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub owner_id: Option<String>,
    /// How records are changed.
    #[serde(default)]
    pub provider: DnsProvider,
    /// Settings of provider Rfc2136.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rfc2136: Option<Rfc2136Spec>,
    /// Time to live of the records, in seconds.
    #[serde(default = "record_ttl")]
    #[schemars(range(min = 1, max = 86400))]
    pub ttl_seconds: i32,
}

/// DNS providers with an adapter.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum DnsProvider {
    /// Dynamic updates (RFC 2136) signed with TSIG (RFC 8945).
    #[default]
    Rfc2136,
}

/// A DNS server that takes dynamic updates.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rfc2136Spec {
    /// Address of the zone's primary server: `IP:port`.
    #[schemars(length(max = 64))]
    pub server: String,
    /// Secret with the keys `keyName`, `algorithm` (hmac-sha256, hmac-sha384 or
    /// hmac-sha512) and `secret` (base64), as BIND's tsig-keygen prints them.
    pub credentials: SecretReference,
}

/// Where primitives run and how they are reached.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeploySpec {
    /// Namespace of the workloads.
    #[serde(default = "run_namespace")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// The proxy that ends TLS and routes by host name.
    pub edge: EdgeSpec,
    /// RuntimeClass of pods that run agents' code, such as `gvisor`; the
    /// cluster's default where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub runtime_class: Option<String>,
    /// Image that runs primitives and gates: Bun and the kit's dependencies.
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// Environment of every primitive, such as the payment network and `payTo`.
    /// Never a secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// A Caddy that takes routes through its remote admin API.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct EdgeSpec {
    /// Base URL of the remote admin API: `https://IP:port`.
    #[schemars(length(max = 2048), regex(pattern = "^https://[^/@?#]+/?$"))]
    pub admin_url: String,
    /// Name in the admin API's certificate, where it differs from the URL's host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub admin_server_name: Option<String>,
    /// PEM certificates that sign the admin API's certificate.
    #[schemars(length(min = 1, max = 65536))]
    pub admin_ca_bundle: String,
    /// Secret of type `kubernetes.io/tls`: the client certificate the admin API
    /// lets in.
    pub credentials: SecretReference,
    /// Address that the primitives' A or AAAA records name.
    #[schemars(length(min = 2, max = 45))]
    pub address: String,
    /// PEM certificates that sign the primitives' own certificates, for probes;
    /// the public roots where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 65536))]
    pub ca_bundle: Option<String>,
}

/// What calls cost.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PricesSpec {
    /// What a call of a route costs that has no price of its own, in a document that
    /// does not say it is free: US dollars above nothing, such as `$0.01`, with six
    /// decimals at most. A change proposes every such package anew.
    #[schemars(
        length(max = 17),
        regex(pattern = "^\\$([0-9]{0,8}[1-9][0-9]{0,8}(\\.[0-9]{1,6})?|[0-9]{1,9}\\.[0-9]{0,5}[1-9][0-9]{0,5})$")
    )]
    pub default: String,
}

impl Default for PricesSpec {
    fn default() -> Self {
        Self { default: "$0.01".into() }
    }
}

/// A language model behind OpenAI's chat completions.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ModelSpec {
    /// The server's base URL: `https://api.openai.com/v1`.
    #[schemars(length(max = 2048), regex(pattern = "^https?://[^/@?#]+(/[^?#]*)?$"))]
    pub url: String,
    /// The model's name there.
    #[schemars(length(min = 1, max = 200), regex(pattern = r"^\P{Cc}*\S\P{Cc}*$"))]
    pub name: String,
    /// Secret with the key `key`.
    pub credentials: SecretReference,
    /// Longest wait for one answer, in seconds.
    #[serde(default = "model_timeout")]
    #[schemars(range(min = 1, max = 600))]
    pub timeout_seconds: i32,
    /// How often it is asked for one document: again with what was wrong.
    #[serde(default = "model_rounds")]
    #[schemars(range(min = 1, max = 3))]
    pub max_rounds: i32,
    /// US dollars for a million tokens that it reads, such as `$2.50`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 17),
        regex(pattern = "^\\$([0-9]{0,8}[1-9][0-9]{0,8}(\\.[0-9]{1,6})?|[0-9]{1,9}\\.[0-9]{0,5}[1-9][0-9]{0,5})$")
    )]
    pub input_price: Option<String>,
    /// US dollars for a million tokens that it writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(max = 17),
        regex(pattern = "^\\$([0-9]{0,8}[1-9][0-9]{0,8}(\\.[0-9]{1,6})?|[0-9]{1,9}\\.[0-9]{0,5}[1-9][0-9]{0,5})$")
    )]
    pub output_price: Option<String>,
}

/// What the controller saw of a Factory.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FactoryStatus {
    /// Generation of the spec that this status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The repository as `owner/name`, once it was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The account the token belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Newest commit of the base branch that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_sha: Option<String>,
    /// How many packages that commit has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<i64>,
    /// Packages whose Primitive was deleted and retained, with their git tree: none
    /// is made for them again before that is another.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub retained: BTreeMap<String, String>,
    /// Clean rooms of which nobody knows that all of their money is back, by their names,
    /// and until when money may come to each: a GateRun that made one may be gone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rooms: BTreeMap<String, Time>,
    /// What is derived from all packages, where the base branch has it as they make it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalogue: Option<CatalogueStatus>,
    /// `Ready`, `Reconciling` or `Stalled` while true, and one per part:
    /// `CredentialsReady`, `ForgeReady`, `BranchProtected`, `WebhookReady`,
    /// `DnsReady`, `EdgeReady`; `PackagesAdopted` and `CatalogueCurrent` advise.
    #[serde(default)]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// What is derived from all packages.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq, KubeSchema)]
pub struct CatalogueStatus {
    /// Newest commit of the base branch that was seen to have it as its packages make it.
    pub commit: String,
    /// Hash of all of it.
    pub hash: String,
}

fn main_branch() -> String {
    "main".into()
}

fn record_ttl() -> i32 {
    60
}

fn model_timeout() -> i32 {
    120
}

fn model_rounds() -> i32 {
    3
}

fn run_namespace() -> String {
    "flywheel-run".into()
}
