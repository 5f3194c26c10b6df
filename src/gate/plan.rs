//! What a gate has to show, decided before it starts and outside its pod: the
//! service's routes, their prices, and what an answer looks like. It comes from
//! the document and the Factory, never from the code under test.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::http::Method;

/// Most routes that are tried.
pub const MAX_ROUTES: usize = 60;

/// Everything the trusted container is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// Id of the primitive: its files lie in `packages/<id>`.
    pub primitive: String,
    /// What `service` in the health answer may be: the document's name or id.
    pub names: Vec<String>,
    /// The payment terms that the Factory sets for all its primitives.
    pub terms: Terms,
    /// Environment of the service, such as placeholders for what the document's
    /// `env` names. Never a secret: the code under test reads it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The routes.
    pub routes: Vec<Route>,
    /// Files that generators write, as they write them from the document now:
    /// the change has them exactly so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generated: Vec<Generated>,
    /// What layer 2 would show of it, tried ahead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// Limits of the run.
    #[serde(default)]
    pub limits: Limits,
}

/// Tests that a change's service is given before it is merged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// A test plan.
    pub suite: Value,
    /// Whether the verdict follows from them: the primitive is live.
    pub required: bool,
}

/// What layer 2 is told: a running service, and what it should answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Contract {
    /// Where it answers: `https://HOST` without a path.
    pub url: String,
    /// The commit whose document says what it answers.
    pub commit: String,
    /// PEM certificates that sign its certificate; the public roots where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_bundle: Option<String>,
    /// What is to be shown.
    pub plan: Plan,
    /// Tests of each route, in the form of a gate's test plan; where there are none,
    /// one route is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<Value>,
    /// What may be paid, by the wallet that the Job mounts; where absent nothing is, and
    /// what needs it is not tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<Payment>,
}

/// What a run may pay, in millionths of a US dollar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    /// For one request.
    pub request_micros: u64,
    /// For all of them.
    pub run_micros: u64,
}

/// To whom and on what chain callers pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Terms {
    /// The chain in CAIP-2 form.
    pub network: String,
    /// The wallet that is paid.
    pub pay_to: String,
    /// The token's address, where it is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<String>,
}

/// What one call costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Price {
    /// Nothing.
    Free,
    /// Exactly this.
    Exactly {
        /// Millionths of a US dollar, which are the units of USDC.
        micros: u64,
    },
}

/// One route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// Method.
    pub method: Method,
    /// Path with parameters as `:name`.
    pub path: String,
    /// Price.
    pub price: Price,
    /// Whether it reads a JSON body, and so knows one that is none.
    pub reads_json: bool,
    /// Status of a success.
    pub status: u16,
    /// Statuses of declared errors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<u16>,
    /// A request that succeeds, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Example>,
    /// Path and query, encoded, with values that are understood: what is asked where no
    /// example is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<String>,
    /// Whether answers depend on a provider outside, which no gate reaches: its
    /// declared 502, 503 and 504 then count as answers.
    #[serde(default)]
    pub upstream: bool,
    /// JSON Schema of a success's body, where it is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Value>,
    /// Ids of layer 2's tests that ask for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<String>,
}

/// A request that succeeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Path parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Query parameters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub query: BTreeMap<String, String>,
    /// Headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// A generated file as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generated {
    /// Path from the repository's root.
    pub path: String,
    /// Digest of its content: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

/// Seconds that parts of a run may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Limits {
    /// A trusted tool.
    pub tool_seconds: u64,
    /// From the start of the service to its first answer.
    pub boot_seconds: u64,
    /// One request.
    pub request_seconds: u64,
    /// The package's own tests.
    pub test_seconds: u64,
    /// Everything: what is not done by then is Error.
    pub total_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tool_seconds: 90, boot_seconds: 30, request_seconds: 10, test_seconds: 60, total_seconds: 270 }
    }
}
