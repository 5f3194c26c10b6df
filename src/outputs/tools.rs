//! Routes as tools that a model calls: of the Model Context Protocol, and as
//! functions. Whoever carries a call out finds beside each how to ask for it.

use serde_json::{Map, Value, json};

use super::{Service, line, openapi};
use crate::{
    prim::{Body, Method, Route, Segment},
    scaffold::RouteSummary,
};

/// Longest name of a tool that models' makers take.
const LONGEST: usize = 64;

/// A route as a tool.
struct Tool {
    name: String,
    description: String,
    parameters: Value,
    request: Value,
    /// What it does to the service, for clients that ask before some.
    annotations: Value,
}

/// Tools as `tools/list` answers them.
pub(super) fn mcp(service: &Service) -> Value {
    let tools = tools(service).into_iter().map(|tool| {
        json!({ "name": tool.name, "description": tool.description, "inputSchema": tool.parameters, "annotations": tool.annotations, "_meta": { "request": tool.request } })
    });
    json!({ "tools": tools.collect::<Vec<_>>() })
}

/// Functions as a model is given them, and the requests that they are.
pub(super) fn functions(service: &Service) -> Value {
    let tools = tools(service);
    let requests: Map<String, Value> = tools.iter().map(|tool| (tool.name.clone(), tool.request.clone())).collect();
    let functions = tools.into_iter().map(|tool| {
        json!({ "type": "function", "function": { "name": tool.name, "description": tool.description, "parameters": tool.parameters } })
    });
    json!({ "tools": functions.collect::<Vec<_>>(), "requests": requests })
}

/// Tools as commands of a terminal.
pub(super) fn commands(service: &Service) -> Vec<Value> {
    let prefix = format!("{}_", service.document.id).replace('-', "_");
    let name = |tool: &Tool| tool.name.strip_prefix(&prefix).unwrap_or(&tool.name).to_ascii_lowercase().replace('_', "-");
    let command = |tool: Tool| json!({ "name": name(&tool), "description": tool.description, "parameters": tool.parameters, "request": tool.request });
    tools(service).into_iter().map(command).collect()
}

fn tools(service: &Service) -> Vec<Tool> {
    let mut taken: Vec<String> = Vec::new();
    let routes = service.document.routes.iter().zip(&service.manifest.routes);
    routes
        .map(|(route, summary)| {
            let tool = tool(service, route, summary, &taken);
            taken.push(tool.name.clone());
            tool
        })
        .collect()
}

fn tool(service: &Service, route: &Route, summary: &RouteSummary, taken: &[String]) -> Tool {
    let document = &service.document;
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' };
    let full: String = format!("{}_{}", document.id, super::operation(document, route)).chars().map(plain).collect();
    let cut = |most: usize| full.chars().take(most).collect::<String>();
    // Two long ones may be the same when they are cut.
    let name = (2..).map(|n| format!("{}_{n}", cut(LONGEST - 4)));
    let name = std::iter::once(cut(LONGEST)).chain(name.take(taken.len() + 1)).find(|name| !taken.contains(name)).unwrap_or_default();
    let cost = if summary.micros.is_some() { format!(" Costs {}.", summary.price) } else { String::new() };

    let (mut properties, mut required) = (Map::new(), Vec::new());
    for param in route.path.params() {
        let known = route.params.iter().find(|known| known.name == param);
        properties.insert(param.into(), known.map_or_else(|| json!({ "type": "string" }), openapi::path_schema));
        required.push(param.to_owned());
    }
    for param in &route.query {
        let mut schema = openapi::query_schema(param);
        schema["description"] = line(&param.description).into();
        properties.insert(param.name.clone(), schema);
        required.extend(param.required.then(|| param.name.clone()));
    }
    let mut definitions = None;
    let body = match &route.request {
        Body::None => Value::Null,
        Body::Bytes => {
            properties.insert("body".into(), json!({ "type": "string", "contentEncoding": "base64", "description": "The bytes." }));
            "bytes".into()
        }
        Body::Json(_) => {
            let mut body = summary.body.clone().unwrap_or_else(|| json!({ "type": "object" }));
            // References within are from the whole's root.
            definitions = body.as_object_mut().and_then(|body| body.remove("$defs"));
            properties.insert("body".into(), body);
            "json".into()
        }
    };
    if !body.is_null() {
        required.push("body".into());
    }
    let mut parameters = json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
    if let Some(definitions) = definitions {
        parameters["$defs"] = definitions;
    }
    let mut request = json!({
        "method": route.method.as_str(),
        "url": format!("https://{}{}", document.endpoint, openapi::template(route)),
        "query": route.query.iter().map(|param| param.name.as_str()).collect::<Vec<_>>(),
        "body": body,
        "price": summary.price,
    });
    if let Some(Segment::Param { name, slashes: true }) = route.path.segments.last() {
        request["rest"] = name.clone().into();
    }
    let (reads, removes) = (route.method == Method::Get, route.method == Method::Delete);
    let same = route.idempotent.unwrap_or(matches!(route.method, Method::Get | Method::Put | Method::Delete));
    Tool {
        annotations: json!({ "readOnlyHint": reads, "destructiveHint": removes, "idempotentHint": same, "openWorldHint": true }),
        name,
        description: format!("{}{cost}", line(&route.description)),
        parameters,
        request,
    }
}
