//! A page about a service, for people who write its callers.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Service, line, openapi};
use crate::{
    prim::{Body, Document, Route},
    scaffold::RouteSummary,
};

/// The page, in Markdown.
pub(super) fn page(service: &Service) -> String {
    let document = &service.document;
    let mut text = format!("# {}\n\n{}\n\nhttps://{}\n", words(&document.name), words(&document.description), document.endpoint);
    for (title, lines) in [("Start", &document.quick_start), ("Limits", &document.limits), ("Worth knowing", &document.tips)] {
        if !lines.is_empty() {
            let _ = write!(text, "\n## {title}\n\n");
            lines.iter().for_each(|hint| text.push_str(&format!("- {}\n", words(hint))));
        }
    }
    let routes = || document.routes.iter().zip(&service.manifest.routes);
    let rows = routes().map(|(route, summary)| [code(&route.to_string()), summary.price.clone(), words(&route.description)]);
    text.push_str(&table("Routes", ["route", "price", "what it does"], rows));
    for (route, summary) in routes() {
        let _ = write!(text, "\n## {}\n\n{}\n", words(&route.to_string()), words(&route.description));
        if let Some(notes) = &route.notes {
            let _ = write!(text, "\n{}\n", words(notes));
        }
        text.push_str(&called(document, route, summary));
    }
    if !document.types.is_empty() {
        text.push_str("\n## Types\n");
        for kind in &document.types {
            let _ = write!(text, "\n### {}\n\n```json\n{:#}\n```\n", kind.name, kind.schema);
        }
    }
    text
}

/// How a route is called, and what it answers.
fn called(document: &Document, route: &Route, summary: &RouteSummary) -> String {
    let in_path = route.path.params().map(|name| {
        let known = route.params.iter().find(|param| param.name == name);
        let schema = known.map_or_else(|| json!({ "type": "string" }), openapi::path_schema);
        [code(name), "path".into(), bounds(&schema, true), known.map(|param| words(&param.description)).unwrap_or_default()]
    });
    let in_query = route
        .query
        .iter()
        .map(|param| [code(&param.name), "query".into(), bounds(&openapi::query_schema(param), param.required), words(&param.description)]);
    let params: Vec<_> = in_path.chain(in_query).collect();
    let mut text = String::new();
    if !params.is_empty() {
        text.push_str(&rows(["parameter", "in", "what it is", ""], params.into_iter()));
    }
    let answer = match body(&route.response) {
        Some(answer) => format!("{} with {answer}", route.status),
        None => format!("{} with nothing", route.status),
    };
    let _ = write!(text, "\nTakes {}. Answers {answer}.\n", body(&route.request).unwrap_or_else(|| "nothing".into()));
    let untyped = !matches!(&route.request, Body::Json(Some(name)) if document.kind(name).is_some());
    // Without a field that is known, the schema says what the sentence does.
    if let Some(schema) = summary.body.as_ref().filter(|schema| untyped && schema["properties"].as_object().is_some_and(|p| !p.is_empty()))
    {
        let _ = write!(text, "\n```json\n{schema:#}\n```\n");
    }
    let errors = route.errors.iter().map(|error| [error.status.to_string(), code(&error.code), words(&error.description)]);
    if !route.errors.is_empty() {
        text.push_str(&rows(["status", "code", "when"], errors));
    }
    text
}

fn body(body: &Body) -> Option<String> {
    match body {
        Body::None => None,
        Body::Bytes => Some("bytes".into()),
        Body::Json(None) => Some("`application/json`".into()),
        Body::Json(Some(name)) => Some(format!("`application/json`, a {}", code(name))),
    }
}

/// What a parameter may be.
fn bounds(schema: &Value, required: bool) -> String {
    let range = match (&schema["minimum"], &schema["maximum"]) {
        (Value::Null, Value::Null) => String::new(),
        (least, Value::Null) => format!(", {least} or more"),
        (Value::Null, most) => format!(", {most} at most"),
        (least, most) => format!(", {least} to {most}"),
    };
    let absent = match (&schema["default"], required) {
        (Value::Null, true) => String::new(),
        (Value::Null, false) => ", may be absent".into(),
        (default, _) => format!(", {default} where absent"),
    };
    format!("{}{range}{absent}", schema["type"].as_str().unwrap_or("string"))
}

fn table<const N: usize>(title: &str, head: [&str; N], lines: impl Iterator<Item = [String; N]>) -> String {
    format!("\n## {title}\n{}", rows(head, lines))
}

fn rows<const N: usize>(head: [&str; N], lines: impl Iterator<Item = [String; N]>) -> String {
    let row = |cells: &[String; N]| format!("| {} |\n", cells.each_ref().map(|cell| cell.replace('|', "\\|")).join(" | "));
    let rule = head.map(|_| "---".to_owned());
    let lines: String = lines.map(|cells| row(&cells)).collect();
    format!("\n{}{}{lines}", row(&head.map(str::to_owned)), row(&rule))
}

/// A text as a line of text, and no markup of HTML.
fn words(text: &str) -> String {
    line(text).replace('<', "&lt;")
}

/// A text as it stands, which no backtick of its own ends.
fn code(text: &str) -> String {
    format!("`{}`", line(text).replace('`', "'"))
}
