//! Two forms of a document: as it was given with its keys in one order, which
//! is the package's `prim.yaml`, and with defaults filled in and aliases
//! resolved, which is what its hash is taken of.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{
    document::{Body, Document, Route},
    quick, text,
};

/// Keys that come first in a mapping, in this order; all others follow by name.
const FIRST: [&str; 40] = [
    "id",
    "name",
    "route",
    "operation_id",
    "op",
    "endpoint",
    "status",
    "code",
    "note",
    "type",
    "category",
    "description",
    "port",
    "order",
    "phantom",
    "show_on_index",
    "price",
    "env",
    "env_key",
    "default",
    "factory",
    "deploy",
    "interfaces",
    "gates",
    "pricing",
    "providers",
    "request",
    "request_type",
    "response",
    "response_type",
    "query_params",
    "errors",
    "notes",
    "routes_map",
    "quick_start",
    "tips",
    "limits",
    "ownership",
    "cta",
    "sections",
];

/// The same value with the keys of every mapping in one order.
fn ordered(mut value: Value) -> Value {
    order(&mut value);
    value
}

fn order(value: &mut Value) {
    match value {
        Value::Array(entries) => entries.iter_mut().for_each(order),
        Value::Object(map) => {
            map.values_mut().for_each(order);
            let place = |key: &str| FIRST.iter().position(|first| *first == key).unwrap_or(FIRST.len());
            // Most are in order already.
            if !map.keys().map(|key| (place(key), key)).is_sorted() {
                let mut entries: Vec<_> = std::mem::take(map).into_iter().map(|(key, value)| (place(&key), key, value)).collect();
                entries.sort_unstable_by(|(a, one, _), (b, other, _)| (a, one).cmp(&(b, other)));
                map.extend(entries.into_iter().map(|(_, key, value)| (key, value)));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl Document {
    /// With the value that it was read from.
    pub(super) fn holding(self, value: Value) -> Self {
        Self { given: ordered(value), ..self }
    }

    /// The document as it was given, unknown keys and all, with its keys in one order.
    pub fn given(&self) -> &Value {
        &self.given
    }

    /// The same as YAML. Reading it gives this document again.
    pub fn to_yaml(&self) -> String {
        if let Some(yaml) = quick::write(&self.given) {
            return yaml;
        }
        match serde_saphyr::to_string(&self.given) {
            Ok(yaml) if text::parse(&yaml).is_ok_and(|again| again == self.given) => yaml,
            // Not every text survives every style of YAML; JSON is YAML too, and exact.
            _ => format!("{:#}\n", self.given),
        }
    }

    /// The document with its defaults filled in, its aliases resolved and nulls
    /// that say nothing left out. Unknown keys stay.
    pub fn normal(&self) -> Value {
        let Value::Object(mut map) = without_nulls(self.given.clone()) else { return Value::Null };
        map.insert("name".into(), json!(self.name));
        map.insert("description".into(), json!(self.description));
        map.insert("endpoint".into(), json!(self.endpoint));
        map.insert("version".into(), json!(self.version));
        map.insert("env".into(), json!(self.env));
        map.insert("free".into(), json!(self.free));
        defaults(&mut map, "show_on_index", &json!(true));
        defaults(&mut map, "interfaces", &json!({"mcp": true, "cli": true, "tools": true, "rest": true, "sdk": true}));
        defaults(&mut map, "factory", &json!({"metrics": true, "max_body_size": "1MB", "free_service": self.free}));
        defaults(&mut map, "deploy", &json!({"systemd_after": [], "extra_caddy": [], "access_log": false}));
        defaults(&mut map, "gates", &json!({"coverage_threshold": 80, "allow_todo": false, "skip_smoke": false, "approved_by": ""}));
        defaults(&mut map, "order", &json!(999));
        defaults(&mut map, "phantom", &json!(false));
        defaults(&mut map, "types", &json!({}));
        for key in ["providers", "routes_map", "pricing", "quick_start", "tips", "limits", "hero_badges", "sections"] {
            defaults(&mut map, key, &json!([]));
        }
        each(&mut map, "routes_map", |i, route| {
            let Some(read) = self.routes.get(i) else { return };
            route.retain(|key, _| !["request_type", "response_type"].contains(&key.as_str()));
            route.insert("route".into(), json!(format!("{} {}", read.method, read.path.hono())));
            route.insert("operation_id".into(), json!(read.operation));
            route.insert("status".into(), json!(read.status));
            route.insert("request".into(), body(&read.request));
            route.insert("response".into(), body(&read.response));
            if let Some(price) = read.price {
                route.insert("price".into(), json!(price.to_string()));
            }
            for key in ["errors", "query_params", "params"] {
                defaults(route, key, &json!([]));
            }
            each(route, "query_params", |_, param| defaults(param, "required", &required(read, param)));
            if let Some(word @ Value::String(_)) = route.get("backend").cloned() {
                route.insert("backend".into(), json!({"pattern": word}));
            }
        });
        each(&mut map, "providers", |i, provider| {
            let Some(read) = self.providers.get(i) else { return };
            provider.remove("env_key");
            provider.insert("env".into(), json!(read.env));
            defaults(provider, "status", &json!("active"));
            defaults(provider, "default", &json!(false));
        });
        ordered(Value::Object(map))
    }

    /// SHA-256 of the normal form, in hexadecimal digits: the order of keys,
    /// comments and written-out defaults don't change it.
    pub fn hash(&self) -> String {
        let digest = Sha256::digest(self.normal().to_string());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Whether a parameter must be there, for one that does not say it by key.
fn required(route: &Route, param: &Map<String, Value>) -> Value {
    let read = route.query.iter().find(|read| param.get("name").and_then(Value::as_str).map(str::trim) == Some(&read.name));
    json!(read.is_some_and(|read| read.required))
}

fn body(body: &Body) -> Value {
    match body {
        Body::None => Value::Null,
        Body::Json(name) => json!({"json": name}),
        Body::Bytes => json!("bytes"),
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, without_nulls(v))).collect(),
        Value::Array(entries) => entries.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// Fills in what is absent; inside a mapping, key by key.
fn defaults(map: &mut Map<String, Value>, key: &str, value: &Value) {
    match (map.get_mut(key), value) {
        (None, _) => {
            map.insert(key.into(), value.clone());
        }
        (Some(Value::Object(there)), Value::Object(filled)) => {
            for (key, value) in filled {
                there.entry(key).or_insert_with(|| value.clone());
            }
        }
        _ => {}
    }
}

fn each(map: &mut Map<String, Value>, key: &str, change: impl Fn(usize, &mut Map<String, Value>)) {
    if let Some(Value::Array(entries)) = map.get_mut(key) {
        for (i, entry) in entries.iter_mut().enumerate() {
            if let Value::Object(map) = entry {
                change(i, map);
            }
        }
    }
}
