//! Routes as tools that a model calls: of the Model Context Protocol, and as
//! functions, and as commands. Whoever carries a call out finds beside each how to ask
//! for it.

use std::collections::BTreeSet;

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
    let mut taken = BTreeSet::from(["help".to_owned()]);
    let mut command = |tool: Tool| {
        let plain = tool.name.strip_prefix(&prefix).unwrap_or(&tool.name).to_ascii_lowercase().replace('_', "-");
        let numbered = (2..).map(|n| format!("{plain}-{n}"));
        let name = std::iter::once(plain.clone()).chain(numbered).find(|name| taken.insert(name.clone()));
        json!({ "name": name, "description": tool.description, "parameters": tool.parameters, "request": tool.request })
    };
    tools(service).into_iter().map(&mut command).collect()
}

/// What a caller calls a route's parameters, each beside the route's own name for it.
struct Names<'a> {
    path: Vec<(&'a str, String)>,
    query: Vec<(&'a str, String)>,
}

impl<'a> Names<'a> {
    /// All arguments of a call are in one place, which a request's are not: a parameter
    /// that is called as another one or as the body says also where it goes.
    fn of(route: &'a Route) -> Self {
        let path: Vec<_> = route.path.params().collect();
        let query: Vec<_> = route.query.iter().map(|param| param.name.as_str()).collect();
        let has_body = route.request != Body::None;
        let shared = |name: &str| (has_body && name == "body") || (path.contains(&name) && query.contains(&name));
        let mut taken: BTreeSet<_> = path.iter().chain(&query).filter(|name| !shared(name)).map(|name| (*name).to_owned()).collect();
        let mut named = |place: &str, name: &'a str| {
            if !shared(name) {
                return (name, name.to_owned());
            }
            let mut own = format!("{place}_{name}");
            while !taken.insert(own.clone()) {
                own.push('_');
            }
            (name, own)
        };
        Self { path: path.iter().map(|name| named("path", name)).collect(), query: query.iter().map(|name| named("query", name)).collect() }
    }

    /// The route's path, with what a caller calls its parameters.
    fn template(&self, route: &Route) -> String {
        let mut names = self.path.iter().map(|(_, name)| name.as_str());
        let part = |segment: &Segment| match segment {
            Segment::Literal(text) => format!("/{text}"),
            Segment::Param { .. } => format!("/{{{}}}", names.next().unwrap_or_default()),
        };
        if route.path.segments.is_empty() { "/".into() } else { route.path.segments.iter().map(part).collect() }
    }
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
    let names = Names::of(route);
    for (param, name) in &names.path {
        let known = route.params.iter().find(|known| known.name == *param);
        properties.insert(name.clone(), known.map_or_else(|| json!({ "type": "string" }), openapi::path_schema));
        required.push(name.clone());
    }
    for (param, (_, name)) in route.query.iter().zip(&names.query) {
        let mut schema = openapi::query_schema(param);
        schema["description"] = line(&param.description).into();
        properties.insert(name.clone(), schema);
        required.extend(param.required.then(|| name.clone()));
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
        "url": format!("https://{}{}", document.endpoint, names.template(route)),
        "query": names.query.iter().map(|(_, name)| name).collect::<Vec<_>>(),
        "body": body,
        "price": summary.price,
    });
    // What the route calls those of its query that a caller calls otherwise.
    let renamed: Map<_, _> =
        names.query.iter().filter(|(own, name)| own != name).map(|(own, name)| (name.clone(), (*own).into())).collect();
    if !renamed.is_empty() {
        request["names"] = renamed.into();
    }
    if let (Some(Segment::Param { slashes: true, .. }), Some((_, name))) = (route.path.segments.last(), names.path.last()) {
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
