//! What a route takes, as Zod. The format names types and says nothing of their
//! fields: those of an example in `quick_start` are known, all others pass.

use serde_json::{Map, Value};

use super::{
    native::{Native, Op},
    plan::{Planned, Work},
    text,
};
use crate::prim::{Body, Document, Method, QueryKind, QueryParam, Route};

/// Longest name of a field that is taken from an example.
const LONGEST_FIELD: usize = 40;

/// The example that `quick_start` gives for a route's body.
pub(super) fn example(document: &Document, route: &Route) -> Map<String, Value> {
    let found = document.quick_start.iter().find_map(|line| {
        let (method, rest) = line.trim().split_once(' ')?;
        let path = rest.split_whitespace().next()?;
        let json = rest.find('{').filter(|_| method == route.method.as_str() && path == route.path.to_string())?;
        let mut values = serde_json::Deserializer::from_str(&rest[json..]).into_iter::<Map<String, Value>>();
        values.next()?.ok()
    });
    let mut fields = found.unwrap_or_default();
    let plain = |name: &str| {
        !name.is_empty()
            && name.len() <= LONGEST_FIELD
            && name != "__proto__"
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    fields.retain(|name, _| plain(name));
    fields
}

/// The line or lines `body: …,`; nothing where it takes no JSON.
pub(super) fn body(document: &Document, planned: &Planned<'_>) -> String {
    let route = planned.route;
    if !matches!(route.request, Body::Json(_)) {
        return String::new();
    }
    let open = if must_be_filled(planned) { "filled" } else { "z.looseObject" };
    let key = key(planned);
    let mut fields: Vec<(String, Vec<String>)> = Vec::new();
    if let Some(key) = key {
        fields.push((key.into(), vec!["string()".into(), "min(1)".into()]));
    }
    for (name, value) in example(document, route) {
        if Some(name.as_str()) != key {
            fields.push((name, vec![kind(&value).into(), "optional()".into()]));
        }
    }
    if fields.is_empty() {
        return format!("    body: {open}({{}}),");
    }
    let lines: Vec<_> = fields.iter().map(|(name, calls)| text::chain(6, &format!("{}: ", text::key(name)), calls, ",")).collect();
    format!("    body: {open}({{\n{}\n    }}),", lines.join("\n"))
}

/// The field that names what a route makes.
pub(super) fn key<'a>(planned: &'a Planned<'_>) -> Option<&'a str> {
    match &planned.work {
        Work::Native(Native { op: Op::Create { key }, .. }) => key.as_deref(),
        _ => None,
    }
}

/// Whether an empty object is a bad request: the route declares that it knows one.
pub(super) fn must_be_filled(planned: &Planned<'_>) -> bool {
    let route = planned.route;
    let makes = matches!(&planned.work, Work::Native(Native { op: Op::Create { .. }, .. }));
    matches!(route.request, Body::Json(_)) && (makes || (route.method == Method::Post && route.error(400).is_some()))
}

/// An array or object in an example may have other forms; only what is plain is held to it.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string()",
        Value::Number(_) => "number()",
        Value::Bool(_) => "boolean()",
        Value::Null | Value::Array(_) | Value::Object(_) => "unknown()",
    }
}

/// The lines `query: …,`; nothing where it has no parameters.
pub(super) fn query(route: &Route) -> String {
    if route.query.is_empty() {
        return String::new();
    }
    let params: Vec<_> = route.query.iter().map(param).collect();
    format!("    query: z.object({{\n{}\n    }}),", params.join("\n"))
}

fn param(param: &QueryParam) -> String {
    let mut calls: Vec<String> = match param.kind {
        QueryKind::Text => vec!["string()".into()],
        QueryKind::Integer => vec!["coerce".into(), "number()".into(), "int()".into()],
        QueryKind::Number => vec!["coerce".into(), "number()".into()],
        QueryKind::Flag => vec!["stringbool()".into()],
    };
    calls.extend(param.min.map(|n| format!("min({n})")));
    calls.extend(param.max.map(|n| format!("max({n})")));
    match param.default {
        Some(n) => calls.push(format!("default({n})")),
        None if param.required && param.kind == QueryKind::Text => calls.push("min(1)".into()),
        None if param.required => {}
        None => calls.push("optional()".into()),
    }
    let line = text::chain(6, &format!("{}: ", text::key(&param.name)), &calls, ",");
    match text::comment(&param.description).as_str() {
        "" => line,
        about => format!("      /** {about} */\n{line}"),
    }
}
