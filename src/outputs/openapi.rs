//! An OpenAPI 3.1 description of a service. Its schemas are JSON Schema 2020-12, as
//! a document's types are.

use serde_json::{Map, Value, json};

use super::Service;
use crate::{
    prim::{Body, Document, PathParam, QueryKind, QueryParam, Route, referred},
    scaffold::RouteSummary,
};

/// Where components stand that are referred to.
const SCHEMAS: &str = "#/components/schemas/";
/// Schema of every error: no type of a document begins with a small letter.
const ERROR: &str = "error";

/// The description.
pub(super) fn describe(service: &Service) -> Value {
    let document = &service.document;
    let mut paths: Map<String, Value> = Map::new();
    for (route, summary) in document.routes.iter().zip(&service.manifest.routes) {
        let methods = paths.entry(template(route)).or_insert_with(|| json!({}));
        methods[route.method.as_str().to_ascii_lowercase()] = operation(document, route, summary);
    }
    let paid = service.manifest.routes.iter().any(|route| route.micros.is_some());
    let mut schemas: Map<String, Value> = document.types.iter().map(|kind| (kind.name.clone(), referred(&kind.schema, SCHEMAS))).collect();
    schemas.insert(ERROR.into(), error());
    let mut components = json!({ "schemas": schemas });
    if paid {
        components["securitySchemes"] = json!({
            "x402": { "type": "apiKey", "in": "header", "name": "PAYMENT-SIGNATURE", "description": "A payment by x402 version 2, for the terms that a 402 names." },
        });
    }
    json!({
        "openapi": "3.1.0",
        "info": { "title": document.name, "version": document.version, "description": document.description },
        "servers": [{ "url": format!("https://{}", document.endpoint) }],
        "paths": paths,
        "components": components,
    })
}

/// A route's path as OpenAPI writes it.
pub(super) fn template(route: &Route) -> String {
    let part = |segment: &crate::prim::Segment| match segment {
        crate::prim::Segment::Literal(text) => text.clone(),
        crate::prim::Segment::Param { name, .. } => format!("{{{name}}}"),
    };
    let parts: Vec<_> = route.path.segments.iter().map(part).collect();
    format!("/{}", parts.join("/"))
}

fn operation(document: &Document, route: &Route, summary: &RouteSummary) -> Value {
    let mut operation = json!({ "operationId": super::operation(document, route), "summary": route.description });
    if let Some(notes) = &route.notes {
        operation["description"] = notes.clone().into();
    }
    let params = route.path.params().map(|name| in_path(route, name)).chain(route.query.iter().map(in_query));
    let repeats = || {
        json!({
            "name": "Idempotency-Key", "in": "header", "required": false, "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
            "description": "A call with the same key and body as one before is answered as that was, and done and paid once.",
        })
    };
    let params: Vec<_> = params.chain(summary.repeats.then(repeats)).collect();
    if !params.is_empty() {
        operation["parameters"] = params.into();
    }
    if let Some(content) = content(document, &route.request, summary.body.as_ref()) {
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation["responses"] = responses(document, route, summary);
    if summary.micros.is_some() {
        operation["security"] = json!([{ "x402": [] }]);
    }
    operation["x-price"] = summary.price.clone().into();
    operation
}

fn in_path(route: &Route, name: &str) -> Value {
    let known = route.params.iter().find(|param| param.name == name);
    let slashes = route.path.segments.iter().any(|s| matches!(s, crate::prim::Segment::Param { name: n, slashes: true } if n == name));
    let said = known.map(|param| param.description.clone()).unwrap_or_default();
    let said = if slashes { format!("{said} It may have slashes.").trim().to_owned() } else { said };
    let schema = known.map_or_else(|| json!({ "type": "string" }), path_schema);
    json!({ "name": name, "in": "path", "required": true, "description": said, "schema": schema })
}

/// What a path parameter is.
pub(super) fn path_schema(param: &PathParam) -> Value {
    schema(param.kind, param.min, param.max)
}

fn in_query(param: &QueryParam) -> Value {
    json!({ "name": param.name, "in": "query", "required": param.required, "description": param.description, "schema": query_schema(param) })
}

/// What a query parameter is.
pub(super) fn query_schema(param: &QueryParam) -> Value {
    let mut schema = schema(param.kind, param.min, param.max);
    if let Some(default) = param.default {
        schema["default"] = default.into();
    }
    schema
}

fn schema(kind: QueryKind, min: Option<i64>, max: Option<i64>) -> Value {
    let mut schema = json!({ "type": match kind {
        QueryKind::Text => "string",
        QueryKind::Integer => "integer",
        QueryKind::Number => "number",
        QueryKind::Flag => "boolean",
    } });
    for (key, bound) in [("minimum", min), ("maximum", max)] {
        if let Some(bound) = bound {
            schema[key] = bound.into();
        }
    }
    schema
}

/// What a body may be; nothing where there is none.
fn content(document: &Document, body: &Body, known: Option<&Value>) -> Option<Value> {
    match body {
        Body::None => None,
        Body::Bytes => Some(json!({ "application/octet-stream": {} })),
        Body::Json(name) => {
            let schema = match name.as_deref().filter(|name| document.kind(name).is_some()) {
                Some(name) => json!({ "$ref": format!("{SCHEMAS}{name}") }),
                None => known.cloned().unwrap_or_else(|| json!({})),
            };
            Some(json!({ "application/json": { "schema": schema } }))
        }
    }
}

fn responses(document: &Document, route: &Route, summary: &RouteSummary) -> Value {
    let mut success = json!({ "description": route.description });
    if let Some(content) = content(document, &route.response, None) {
        success["content"] = content;
    }
    let mut responses = Map::from_iter([(route.status.to_string(), success)]);
    let mut add = |status: u16, said: &str| {
        let there = responses.entry(status.to_string()).or_insert_with(|| {
            json!({
                "description": "", "content": { "application/json": { "schema": { "$ref": format!("{SCHEMAS}{ERROR}") } } },
            })
        });
        let before = there["description"].as_str().unwrap_or_default();
        there["description"] = if before.is_empty() { said.into() } else { format!("{before}; {said}").into() };
    };
    for error in &route.errors {
        add(error.status, &format!("{}: {}", error.code, error.description));
    }
    if summary.micros.is_some() && route.error(402).is_none() {
        add(402, &format!("Not paid: the terms are in the header PAYMENT-REQUIRED. It costs {}.", summary.price));
    }
    responses.into()
}

fn error() -> Value {
    json!({
        "type": "object", "required": ["error"],
        "properties": { "error": {
            "type": "object", "required": ["code", "message"],
            "properties": { "code": { "type": "string" }, "message": { "type": "string" } },
        } },
    })
}
