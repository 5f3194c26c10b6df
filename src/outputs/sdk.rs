//! A TypeScript client of a service, in one file without dependencies. Who pays is
//! the caller's `fetch`.

use std::fmt::Write;

use serde_json::Value;

use super::{Service, openapi};
use crate::{
    prim::{Body, Document, Route, Segment},
    scaffold::{RouteSummary, comment},
};

/// What every client has.
const CALLER: &str = include_str!("sdk.ts");

/// The client's module.
pub(super) fn module(service: &Service) -> String {
    let document = &service.document;
    let mut text = format!("// Derived from the document of {} by `flywheel generate sdk`; don't edit.\n\n", document.id);
    let _ = writeln!(text, "const URL_OF_SERVICE = {};\n", quoted(&format!("https://{}", document.endpoint)));
    text.push_str(CALLER);
    if !document.types.is_empty() {
        text.push_str("\n/** The types of bodies that the document defines. */\nexport namespace types {\n");
        for kind in &document.types {
            let _ = writeln!(text, "  export type {} = {};", kind.name, type_of(&kind.schema, ""));
        }
        text.push_str("}\n");
    }
    let _ = writeln!(text, "\n/** {} */\nexport function connect(options: Options = {{}}) {{", comment(&document.description));
    text.push_str("  const call = caller(options);\n  void call;\n  return {\n");
    for (route, summary) in document.routes.iter().zip(&service.manifest.routes) {
        text.push_str(&method(document, route, summary));
    }
    text.push_str("  };\n}\n");
    text
}

/// A route as a method. Names stand in quotes: one may be a word of the language.
fn method(document: &Document, route: &Route, summary: &RouteSummary) -> String {
    let (mut members, mut needed) = (Vec::new(), false);
    let params = route.path.params().map(|name| {
        let known = route.params.iter().find(|param| param.name == name);
        format!("{}: {}", quoted(name), known.map_or_else(|| "string".into(), |param| type_of(&openapi::path_schema(param), "")))
    });
    let params: Vec<_> = params.collect();
    if !params.is_empty() {
        members.push(format!("params: {{ {} }}", params.join("; ")));
        needed = true;
    }
    if !route.query.is_empty() {
        let required = route.query.iter().any(|param| param.required);
        let each = route.query.iter().map(|param| {
            let may = if param.required { "" } else { "?" };
            format!("{}{may}: {}", quoted(&param.name), type_of(&openapi::query_schema(param), ""))
        });
        members.push(format!("query{}: {{ {} }}", if required { "" } else { "?" }, each.collect::<Vec<_>>().join("; ")));
        needed |= required;
    }
    let body = match &route.request {
        Body::None => "undefined",
        Body::Bytes => {
            members.push("body: Bytes".into());
            "input.body, \"application/octet-stream\""
        }
        Body::Json(name) => {
            members.push(format!("body: {}", json_type(document, name.as_deref(), summary.body.as_ref())));
            "JSON.stringify(input.body), \"application/json\""
        }
    };
    needed |= route.request != Body::None;
    let input = match (members.is_empty(), needed) {
        (true, _) => String::new(),
        (false, true) => format!("input: {{ {} }}", members.join("; ")),
        (false, false) => format!("input: {{ {} }} = {{}}", members.join("; ")),
    };
    let query = if route.query.is_empty() { "{}" } else { "input.query ?? {}" };
    let call = format!("call({}, {}, {query}, {body})", quoted(route.method.as_str()), path(route));
    let (answer, result) = match &route.response {
        // Where it leads: nobody goes there with what was paid here.
        Body::None if (300..400).contains(&route.status) => {
            ("string | null".to_owned(), format!("return (await {call}).headers.get(\"location\");"))
        }
        Body::None => ("void".to_owned(), format!("await {call};")),
        Body::Bytes => ("ArrayBuffer".to_owned(), format!("return (await {call}).arrayBuffer();")),
        Body::Json(name) => {
            let answer = json_type(document, name.as_deref(), None);
            (answer.clone(), format!("return (await (await {call}).json()) as {answer};"))
        }
    };
    format!(
        "    /** `{}`, {}: {} */\n    async {}({input}): Promise<{answer}> {{\n      {result}\n    }},\n",
        comment(&route.to_string()),
        summary.price,
        comment(&route.description),
        quoted(&route.name),
    )
}

/// The path, as an expression.
fn path(route: &Route) -> String {
    let (mut parts, mut literal) = (Vec::new(), String::new());
    for segment in &route.path.segments {
        literal.push('/');
        match segment {
            Segment::Literal(text) => literal.push_str(text),
            Segment::Param { name, slashes } => {
                parts.push(quoted(&std::mem::take(&mut literal)));
                parts.push(format!("{}(input.params[{}])", if *slashes { "rest" } else { "part" }, quoted(name)));
            }
        }
    }
    if !literal.is_empty() {
        parts.push(quoted(&literal));
    }
    if parts.is_empty() { quoted("/") } else { parts.join(" + ") }
}

/// The type of a JSON body: that of the document, or what else is known of it.
fn json_type(document: &Document, name: Option<&str>, known: Option<&Value>) -> String {
    match (name.and_then(|name| document.kind(name)), known) {
        (Some(kind), _) => format!("types.{}", kind.name),
        (None, Some(schema)) => type_of(schema, "types."),
        (None, None) => "unknown".into(),
    }
}

/// What a schema says, as far as types can: bounds and patterns are the service's
/// to check. `types` is what the names of others begin with.
fn type_of(schema: &Value, types: &str) -> String {
    if schema == &Value::Bool(false) {
        return "never".into();
    }
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/types/")) {
        return format!("{types}{name}");
    }
    if let Some(value) = schema.get("const") {
        return literal(value);
    }
    let listed = |key: &str| schema[key].as_array().filter(|entries| !entries.is_empty());
    if let Some(values) = listed("enum") {
        return union(values.iter().map(literal));
    }
    let mut all = Vec::new();
    for key in ["anyOf", "oneOf"] {
        all.extend(listed(key).map(|schemas| union(schemas.iter().map(|schema| type_of(schema, types)))));
    }
    match &schema["type"] {
        Value::String(kind) => all.push(of_kind(kind, schema, types)),
        Value::Array(kinds) => all.push(union(kinds.iter().filter_map(Value::as_str).map(|kind| of_kind(kind, schema, types)))),
        _ if schema["properties"].is_object() => all.push(object(schema, types)),
        _ => {}
    }
    if all.is_empty() { "unknown".into() } else { all.join(" & ") }
}

fn of_kind(kind: &str, schema: &Value, types: &str) -> String {
    match kind {
        "integer" | "number" => "number".into(),
        // Not `Array<…>`, which a document may call a type of its own.
        "array" => format!("({})[]", type_of(&schema["items"], types)),
        "object" => object(schema, types),
        plain => plain.into(),
    }
}

fn object(schema: &Value, types: &str) -> String {
    let needed = |name: &str| schema["required"].as_array().is_some_and(|all| all.iter().any(|one| one == name));
    let properties = schema["properties"].as_object().into_iter().flatten();
    let mut members: Vec<_> = properties
        .map(|(name, schema)| format!("{}{}: {}", quoted(name), if needed(name) { "" } else { "?" }, type_of(schema, types)))
        .collect();
    if schema["additionalProperties"] != Value::Bool(false) {
        members.push("[key: string]: unknown".into());
    }
    format!("{{ {} }}", members.join("; "))
}

/// One of several, as one type.
fn union(types: impl Iterator<Item = String>) -> String {
    format!("({})", types.collect::<Vec<_>>().join(" | "))
}

/// The type of one value.
fn literal(value: &Value) -> String {
    if value.is_array() || value.is_object() { "unknown".into() } else { value.to_string() }
}

/// A text as the language writes it, which is as JSON does.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
