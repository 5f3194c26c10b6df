//! A gate's plan for a service, in the form of prim.sh's smoke-test plan: a test for
//! each route, after those that make what it is about. What can't be made stands
//! there as a variable that nothing fills, so that its test is blocked and never
//! passes for nothing.

use std::collections::BTreeMap;

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
    // What makes comes first and what removes last; else the document's order holds.
    routes.sort_by_key(|(_, route, _)| match route.method {
        Method::Post => 0,
        Method::Delete => 2,
        _ => 1,
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
            Segment::Param { name, .. } => match maker(service, &route.path.segments[..at]) {
                // What a route puts there, it names itself.
                _ if route.method == Method::Put && at + 1 == route.path.segments.len() => {
                    path.push_str(&format!("{{{{test_prefix}}}}-{name}"))
                }
                Some(made) => {
                    makers.push(format!("{prefix}-{}", made + 1));
                    path.push_str(&format!("{{{{{}}}}}", variable(made)));
                }
                None => path.push_str(&format!("{{{{{name}}}}}")),
            },
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
        path.push_str(&format!("?{query}"));
    }
    (path, makers)
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
