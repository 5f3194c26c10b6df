//! What a gate has to show, decided before it starts and outside its pod: the
//! service's routes, their prices, and what an answer looks like. It comes from
//! the document and the Factory, never from the code under test.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// Limits of the run.
    #[serde(default)]
    pub limits: Limits,
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

/// Methods of routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "they are HTTP's own")]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// The method as HTTP spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Whether requests of this method carry a body.
    pub fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
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
    /// Something: the document says that it is paid and not how much.
    Undeclared,
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
    /// Status of a success.
    pub status: u16,
    /// Statuses of declared errors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<u16>,
    /// A request that succeeds, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Example>,
    /// Whether answers depend on a provider outside, which no gate reaches: its
    /// declared 502, 503 and 504 then count as answers.
    #[serde(default)]
    pub upstream: bool,
    /// JSON Schema of a success's body, where it is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response: Option<Value>,
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

/// Why a document makes no plan.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct PlanError {
    /// Where in the document.
    pub field: String,
    /// What is wrong there.
    pub problem: String,
}

impl Plan {
    /// The plan of a document, with the Factory's terms.
    pub fn of_document(document: &Value, terms: Terms) -> Result<Self, PlanError> {
        let wrong = |field: &str, problem: &str| PlanError { field: field.into(), problem: problem.into() };
        let primitive = document["id"].as_str().ok_or_else(|| wrong("id", "is missing"))?.to_owned();
        let mut names = vec![primitive.clone()];
        names.extend(document["name"].as_str().map(str::to_owned));
        let listed = document["routes_map"].as_array().map(Vec::as_slice).unwrap_or_default();
        if listed.len() > MAX_ROUTES {
            return Err(wrong("routes_map", &format!("has {} routes, and a gate tries {MAX_ROUTES} at most", listed.len())));
        }
        let common = Common::of(document);
        let routes = listed.iter().enumerate().map(|(i, r)| route(r, &common).map_err(|p| wrong(&format!("routes_map[{i}]"), &p)));
        let variables = document["env"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Ok(Self {
            primitive,
            names,
            terms,
            env: variables.map(|name| (name.to_owned(), "placeholder".to_owned())).collect(),
            routes: routes.collect::<Result<_, _>>()?,
            generated: Vec::new(),
            limits: Limits::default(),
        })
    }
}

/// What a document says about all its routes. Its prices name no routes, so that
/// one is known where every paid row has the same.
struct Common {
    free: bool,
    upstream: bool,
    price: Option<u64>,
}

impl Common {
    fn of(document: &Value) -> Self {
        let rows = document["pricing"].as_array().into_iter().flatten().filter_map(|row| row["price"].as_str());
        let mut paid: Vec<_> = rows.filter(|p| *p != "free").map(micros).collect();
        paid.dedup();
        let price = if let [Some(only)] = paid[..] { Some(only) } else { None };
        let upstream = document["providers"].as_array().is_some_and(|p| !p.is_empty());
        Self { free: document["factory"]["free_service"] == true, upstream, price }
    }
}

fn route(route: &Value, common: &Common) -> Result<Route, String> {
    let text = route["route"].as_str().ok_or("route is missing")?;
    let (method, path) = text.split_once(' ').ok_or("route must be a method, a space and a path")?;
    let method = serde_json::from_value(method.into()).map_err(|_| format!("{method:?} is no method of a route"))?;
    if !path.starts_with('/') || path.len() > 500 {
        return Err(format!("{path:?} is no path"));
    }
    let status = |value: &Value| value.as_u64().and_then(|s| u16::try_from(s).ok());
    let errors: Vec<u16> = route["errors"].as_array().into_iter().flatten().filter_map(|e| status(&e["status"])).collect();
    let price = match route["price"].as_str() {
        Some("free") => Price::Free,
        Some(price) => Price::Exactly { micros: micros(price).ok_or(format!("{price:?} is no price"))? },
        None if common.free || !errors.contains(&402) => Price::Free,
        None => common.price.map_or(Price::Undeclared, |micros| Price::Exactly { micros }),
    };
    let example = match &route["example"] {
        Value::Null => None,
        given => Some(serde_json::from_value(given.clone()).map_err(|e| format!("example: {e}"))?),
    };
    let response = route.get("response_schema").filter(|schema| schema.is_object()).cloned();
    Ok(Route {
        method,
        path: path.into(),
        price,
        status: status(&route["status"]).unwrap_or(200),
        errors,
        example,
        upstream: common.upstream,
        response,
    })
}

/// Millionths of a dollar in `$0.005`, if it is that exactly.
fn micros(price: &str) -> Option<u64> {
    let (whole, fraction) = price.strip_prefix('$').map(|p| p.split_once('.').unwrap_or((p, "")))?;
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 6 {
        return None;
    }
    format!("{whole}{fraction:0<6}").parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn terms() -> Terms {
        Terms { network: "eip155:84532".into(), pay_to: "0x01".into(), asset: None }
    }

    #[test]
    fn prices_are_exact_or_none() {
        for (text, expected) in [
            ("$0.005", Some(5000)),
            ("$1", Some(1_000_000)),
            ("$0.000001", Some(1)),
            ("$0.0000001", None),
            ("$0.009/hr", None),
            ("dynamic", None),
            ("$", None),
            ("$-1", None),
            ("$1.", Some(1_000_000)),
        ] {
            assert_eq!(micros(text), expected, "{text}");
        }
    }

    #[test]
    fn a_document_says_what_is_paid_and_what_is_free() {
        let document = json!({
            "id": "find", "name": "find.sh", "env": ["KEY"],
            "pricing": [{ "op": "a", "price": "$0.005" }, { "op": "b", "price": "free" }, { "op": "c", "price": "$0.005" }],
            "routes_map": [
                { "route": "POST /v1/find", "status": 201, "errors": [{ "status": 400 }, { "status": 402 }] },
                { "route": "GET /v1/free", "errors": [{ "status": 404 }] },
                { "route": "GET /v1/own", "price": "$0.01" }
            ]
        });
        let plan = Plan::of_document(&document, terms()).unwrap();
        assert_eq!(plan.names, ["find", "find.sh"]);
        assert_eq!(plan.env["KEY"], "placeholder");
        let prices: Vec<_> = plan.routes.iter().map(|r| r.price.clone()).collect();
        assert_eq!(prices, [Price::Exactly { micros: 5000 }, Price::Free, Price::Exactly { micros: 10_000 }]);
        assert_eq!((plan.routes[0].status, plan.routes[1].status), (201, 200));

        let mut several = document.clone();
        several["pricing"][2]["price"] = "$0.1".into();
        assert_eq!(Plan::of_document(&several, terms()).unwrap().routes[0].price, Price::Undeclared);
        let mut free = document;
        free["factory"] = json!({ "free_service": true });
        assert_eq!(Plan::of_document(&free, terms()).unwrap().routes[0].price, Price::Free);
    }

    #[test]
    fn a_wrong_route_is_named() {
        for (route, expected) in [("FETCH /x", "no method"), ("GET x", "no path"), ("GET", "a space")] {
            let error = Plan::of_document(&json!({ "id": "a", "routes_map": [{ "route": route }] }), terms()).unwrap_err().to_string();
            assert!(error.starts_with("routes_map[0]: ") && error.contains(expected), "{error}");
        }
    }
}
