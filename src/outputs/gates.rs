//! A gate's plan for a service, in the form of prim.sh's smoke-test plan: a test for
//! each route, after those that make what it is about. What can't be made stands
//! there as a variable that nothing fills, so that its test is blocked and never
//! passes for nothing.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::{Map, Value, json};

use super::{Service, line};
use crate::{
    prim::{Body, Method, Route, Segment},
    scaffold::RouteSummary,
};

/// The plan.
pub(super) fn plan(service: &Service) -> Value {
    let document = &service.document;
    let prefix = document.id.as_str().to_ascii_uppercase();
    let url = format!("https://{}", document.endpoint);
    let health = format!("{prefix}-H1");
    let mut tests = vec![test(&health, service, "Health check", "GET", &format!("{url}/"), &Value::Null)];
    tests[0]["expected"] = json!({ "status": 200, "body": { "status": "ok" } });
    tests[0]["depends_on"] = json!([]);

    let mut routes: Vec<(usize, &Route, &RouteSummary)> =
        document.routes.iter().zip(&service.manifest.routes).enumerate().map(|(i, (route, summary))| (i, route, summary)).collect();
    // What makes comes first, outer things before inner ones, and what removes last,
    // inner ones before outer; else the document's order holds.
    routes.sort_by_key(|(_, route, _)| {
        let depth = route.path.segments.len();
        match route.method {
            Method::Post if makes(service, route) => (0, depth),
            Method::Put => (1, depth),
            Method::Delete => (3, usize::MAX - depth),
            _ => (2, 0),
        }
    });
    for (i, route, summary) in routes {
        let id = format!("{prefix}-{}", i + 1);
        let (path, makers) = filled(service, route, &prefix);
        let input = summary.request.as_deref().map_or(Value::Null, |text| serde_json::from_str(text).unwrap_or_else(|_| text.into()));
        let mut made = test(&id, service, &line(&route.description), route.method.as_str(), &format!("{url}{path}"), &input);
        made["expected"] = json!({ "status": route.status });
        made["depends_on"] = json!([vec![health.clone()], makers].concat());
        made["captures"] = captures(service, route, i).into();
        made["notes"] = if summary.micros.is_some() { format!("x402 paid ({}).", summary.price) } else { "free".into() }.into();
        tests.push(made);
    }
    let ids: Vec<_> = tests.iter().map(|test| test["id"].clone()).collect();
    json!({
        "plan": format!("{}, a test for each route", line(&document.name)), "version": 1, "network": "", "context": line(&document.description),
        "groups": [{
            "id": document.id, "name": document.name, "tests": ids,
            "prompt": format!("Read {url}/llms.txt and do what it describes, once each. Report what was answered."),
        }],
        "tests": tests,
    })
}

fn test(id: &str, service: &Service, title: &str, method: &str, endpoint: &str, input: &Value) -> Value {
    json!({
        "id": id, "service": service.document.name, "test": title, "method": method, "endpoint": endpoint, "input": input,
        "expected": {}, "depends_on": [], "captures": {}, "notes": null, "generated": true,
    })
}

/// The route's path with a variable for each parameter, and the tests that fill them.
fn filled(service: &Service, route: &Route, prefix: &str) -> (String, Vec<String>) {
    let (mut path, mut makers) = (String::new(), Vec::new());
    for (at, segment) in route.path.segments.iter().enumerate() {
        path.push('/');
        match segment {
            Segment::Literal(text) => path.push_str(text),
            Segment::Param { name, .. } => {
                let here = &route.path.segments[..=at];
                if let Some(made) = maker(service, &route.path.segments[..at]) {
                    makers.push(format!("{prefix}-{}", made + 1));
                    let _ = write!(path, "{{{{{}}}}}", variable(made));
                } else if let Some(put) = putter(service, here) {
                    // What a route puts there, it names itself.
                    let _ = write!(path, "{{{{test_prefix}}}}-{name}");
                    let itself = route.method == Method::Put && here.len() == route.path.segments.len();
                    makers.extend((!itself).then(|| format!("{prefix}-{}", put + 1)));
                } else {
                    let _ = write!(path, "{{{{{name}}}}}");
                }
            }
        }
    }
    let query: Vec<_> = service
        .manifest
        .routes
        .iter()
        .find(|s| s.operation == route.operation)
        .into_iter()
        .filter_map(|s| s.sample.split_once('?'))
        .collect();
    if let Some((_, query)) = query.first() {
        let _ = write!(path, "?{query}");
    }
    (path, makers)
}

/// The route that puts something under the name that ends a path.
fn putter(service: &Service, path: &[Segment]) -> Option<usize> {
    let puts = |route: &Route| route.method == Method::Put && route.path.segments == path;
    service.document.routes.iter().position(puts).filter(|_| matches!(path.last(), Some(Segment::Param { .. })))
}

/// Whether something lies under what a route takes.
fn makes(service: &Service, route: &Route) -> bool {
    let depth = route.path.segments.len();
    let inside = |other: &Route| other.path.segments.starts_with(&route.path.segments) && other.path.segments.len() > depth;
    service.document.routes.iter().any(inside)
}

/// The route that makes what lies under a path.
fn maker(service: &Service, path: &[Segment]) -> Option<usize> {
    service
        .document
        .routes
        .iter()
        .position(|route| route.method == Method::Post && route.path.segments == path && matches!(route.response, Body::Json(_)))
}

fn variable(maker: usize) -> String {
    format!("made_{}", maker + 1)
}

/// What later tests take from what a route answers.
fn captures(service: &Service, route: &Route, at: usize) -> Map<String, Value> {
    let after = |other: &Route| match other.path.segments.get(route.path.segments.len()) {
        Some(Segment::Param { name, .. }) if other.path.segments.starts_with(&route.path.segments) => Some(name.clone()),
        _ => None,
    };
    let wanted = service.document.routes.iter().find_map(after).filter(|_| maker(service, &route.path.segments) == Some(at));
    // An item has the field by which its path names it, or an id.
    let fields = service.manifest.routes.get(at).and_then(|summary| summary.body.as_ref());
    let named = |name: &String| fields.is_some_and(|body| body["properties"].get(name).is_some());
    let field = wanted.map(|name| if named(&name) { name } else { "id".into() });
    field.map(|field| (variable(at), Value::from(format!("$.{field}")))).into_iter().collect::<BTreeMap<_, _>>().into_iter().collect()
}
