//! What a clean room's pod is told: a service that runs, the tests of it, its command
//! line, and what may be paid. Keys are in files beside it, and never here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    api::gate_run::RoomLeft,
    canary::{self, ModelAt},
    gate::plan::{Route, Terms},
};

/// Everything that `flywheel gate room` is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomPlan {
    /// Where the service answers: `https://HOST` without a path.
    pub url: String,
    /// The commit whose document says what it answers.
    pub commit: String,
    /// PEM certificates that sign its certificate; the public roots where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
    /// Id of the primitive: the command's name.
    pub primitive: String,
    /// A test plan (`src/suite`) of that service alone, with all its groups.
    pub plan: Value,
    /// The service's routes, as layer 2 is told of them: they say which refusals refute
    /// nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// The command line; absent where the document wants none, and then every test is
    /// sent by the runner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cli: Option<Cli>,
    /// On what chain and to whom is paid; whatever the plan says without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// The model that uses the command line as the plan's groups say; without one they
    /// are not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelAt>,
    /// How the room's own wallet is funded. Without it nothing is funded, and what is
    /// paid is paid by the wallet that the pod mounts, where it mounts one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub money: Option<Money>,
    /// What confines the sandbox beside its container, such as a RuntimeClass; nothing
    /// where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confined_by: Option<String>,
    /// Limits.
    #[serde(default)]
    pub limits: Limits,
}

/// A service's command line: one file for Bun, which lies beside the plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cli {
    /// Digest of the file: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// Its commands, as `outputs::command_line` lists them.
    pub commands: Vec<Command>,
}

/// A route, and how the command line calls it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// The command's name.
    pub name: String,
    /// The request that it makes.
    pub request: Request,
    /// Its options.
    pub parameters: Parameters,
}

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Method.
    pub method: String,
    /// URL, with parameters of its path as `{name}`.
    pub url: String,
    /// Names of query parameters, as options are called.
    pub query: Vec<String>,
    /// What the service calls those of them that it calls otherwise.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub names: BTreeMap<String, String>,
    /// `json` or `bytes` where it has a body.
    pub body: Option<String>,
    /// The parameter that takes the rest of the path, slashes included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<String>,
}

/// A command's options: a JSON Schema of which names matter here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// Each option.
    pub properties: Map<String, Value>,
    /// Those that can't be left out.
    pub required: Vec<String>,
}

/// Where a room's money comes from and goes back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Money {
    /// Who settles payments.
    pub facilitator: String,
    /// The chain's JSON-RPC, for balances; without it receipts are all there is to go by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpc: Option<String>,
    /// What the room's wallet gets, in millionths of a US dollar.
    pub micros: u64,
    /// Rooms that ended without a verdict, and may have left money behind: what they have
    /// is brought back too, where somebody says what that is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<RoomLeft>,
}

/// What a room may do at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Limits {
    /// Seconds for everything: what is not done by then is Error.
    pub total_seconds: u64,
    /// Seconds for one command.
    pub command_seconds: u64,
    /// Seconds, rounds and money of whoever uses the command line; its money is that of
    /// the whole run.
    pub agent: canary::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self { total_seconds: 270, command_seconds: 30, agent: canary::Limits::default() }
    }
}
