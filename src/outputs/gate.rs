//! A gate's plan for all services of a repository, in the form of `suite`: a test for
//! each route, after those that make what it is about. Tests are appended and never
//! changed: whoever wrote or mended one keeps it. What can't be made stands there as a
//! variable that nothing fills, so that its test is blocked and never passes for nothing.

mod own;
mod shape;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use serde_json::{Map, Value, json};

pub use own::{asks_for, of_service};

use super::{Service, line};
use crate::{
    prim::{Body, Document, Method, Route, Segment, TypeCheck, singular, words},
    scaffold::RouteSummary,
};

/// A plan with a test for each route.
#[derive(Clone, Debug, PartialEq)]
pub struct Appended {
    /// The plan: what was there as it was, and new tests after it.
    pub plan: Value,
    /// The routes that had no test, each as method and URL with its test's id.
    pub added: Vec<(String, String)>,
}

/// Appends to a plan what it lacks; to nothing where there is no plan yet. What is
/// there must be a plan that `suite` reads.
pub fn append(plan: Option<&Value>, services: &[Service]) -> Appended {
    let mut services: Vec<_> = services.iter().collect();
    services.sort_by_key(|service| service.document.id.as_str());
    let mut growing = Growing::of(plan.cloned().unwrap_or_else(empty), false);
    for service in services {
        growing.take(service);
    }
    growing.done()
}

/// A plan without a test.
fn empty() -> Value {
    json!({
        "plan": "A test for each route", "version": 1, "network": "", "context": "Appended by `flywheel generate gate`.",
        "groups": [], "tests": [],
    })
}

/// A plan that grows.
struct Growing {
    plan: Value,
    tests: Vec<Value>,
    /// Tests by what they ask for.
    by_key: BTreeMap<String, String>,
    ids: BTreeSet<String>,
    added: Vec<(String, String)>,
    /// Whether tests that were derived before are derived anew, under their ids.
    renews: bool,
}

/// The tests that stand for a service's routes, by the routes' places.
struct Ids {
    health: String,
    routes: Vec<String>,
    /// Which of them are new.
    new: Vec<bool>,
}

impl Growing {
    fn of(plan: Value, renews: bool) -> Self {
        let tests = plan["tests"].as_array().cloned().unwrap_or_default();
        let text = |test: &Value, key: &str| test[key].as_str().unwrap_or_default().to_owned();
        let mut by_key = BTreeMap::new();
        for test in &tests {
            by_key.entry(key(&text(test, "method"), &text(test, "endpoint"))).or_insert_with(|| text(test, "id"));
        }
        // What a test waits for that is not there is no name for what is derived.
        let needs = tests.iter().flat_map(|test| test["depends_on"].as_array().into_iter().flatten());
        let needs = needs.filter_map(|id| id.as_str().map(str::to_owned));
        let ids = tests.iter().map(|test| text(test, "id")).chain(needs).collect();
        Self { plan, tests, by_key, ids, added: Vec::new(), renews }
    }

    fn done(mut self) -> Appended {
        if !self.added.is_empty() {
            self.plan["tests"] = self.tests.into();
        }
        Appended { plan: self.plan, added: self.added }
    }

    fn take(&mut self, service: &Service) {
        let document = &service.document;
        let url = format!("https://{}", document.endpoint);
        let (ids, fresh) = self.named(service, &url);
        let mut made = Vec::new();
        if fresh {
            let mut health = test(&ids.health, service, "Health check", "GET", &format!("{url}/"), &Value::Null);
            health["expected"] = json!({ "status": 200, "body": { "status": "ok" } });
            made.push(health);
        }
        let mut routes: Vec<(usize, &Route, &RouteSummary)> =
            document.routes.iter().zip(&service.manifest.routes).enumerate().map(|(i, (route, summary))| (i, route, summary)).collect();
        // What makes comes first, outer things before inner ones, and what removes last,
        // inner ones before outer; else the document's order holds.
        routes.sort_by_key(|(_, route, _)| {
            let depth = route.path.segments.len();
            match route.method {
                Method::Post if makes(document, route) => (0, depth),
                Method::Put => (1, depth),
                Method::Delete => (3, usize::MAX - depth),
                _ => (2, 0),
            }
        });
        for (i, route, summary) in routes.into_iter().filter(|(i, ..)| ids.new[*i]) {
            made.push(self.route(service, &ids, &url, (i, route, summary)));
        }
        if made.is_empty() {
            return;
        }
        self.group(service, &url, made.iter().map(|test| test["id"].clone()).collect());
        for test in made {
            let asked = format!("{} {}", test["method"].as_str().unwrap_or_default(), test["endpoint"].as_str().unwrap_or_default());
            self.added.push((asked, test["id"].as_str().unwrap_or_default().to_owned()));
            match self.tests.iter_mut().find(|there| there["id"] == test["id"]) {
                Some(there) => *there = test,
                None => self.tests.push(test),
            }
        }
    }

    /// An id for the health check and each route, and whether the first is new.
    fn named(&mut self, service: &Service, url: &str) -> (Ids, bool) {
        let (prefix, mut last) = self.prefix(service);
        let health = self.by_key.get(&key("GET", url)).cloned();
        let fresh = health.as_deref().is_none_or(|id| self.is_renewed(id));
        let health = health.unwrap_or_else(|| self.free(&prefix, &mut 0, "H"));
        let (mut routes, mut new) = (Vec::new(), Vec::new());
        for route in &service.document.routes {
            let key = key(route.method.as_str(), &format!("{url}{}", route.path));
            let there = self.by_key.get(&key).cloned();
            new.push(there.as_deref().is_none_or(|id| self.is_renewed(id)));
            let id = there.unwrap_or_else(|| self.free(&prefix, &mut last, ""));
            self.by_key.insert(key, id.clone());
            routes.push(id);
        }
        (Ids { health, routes, new }, fresh)
    }

    fn is_renewed(&self, id: &str) -> bool {
        self.renews && self.tests.iter().any(|test| test["id"] == id && test["generated"] == true)
    }

    /// The prefix of a service's ids and the last number that it has: its own tests'
    /// last one that no other service's tests have, or the service's id in capitals.
    fn prefix(&self, service: &Service) -> (String, u64) {
        let number = |test: &Value| {
            let (prefix, number) = test["id"].as_str()?.rsplit_once('-')?;
            Some((prefix.to_owned(), number.parse::<u64>().ok()?))
        };
        let mine = |test: &&Value| test["service"] == service.document.name.as_str();
        let foreign: BTreeSet<_> = self.tests.iter().filter(|test| !mine(test)).filter_map(number).map(|(prefix, _)| prefix).collect();
        let own = self.tests.iter().filter(mine).filter_map(number).map(|(prefix, _)| prefix).rfind(|prefix| !foreign.contains(prefix));
        let prefix = own.unwrap_or_else(|| service.document.id.as_str().to_ascii_uppercase());
        let last = self.tests.iter().filter_map(number).filter(|(other, _)| *other == prefix).map(|(_, n)| n).max();
        (prefix, last.unwrap_or_default())
    }

    /// The next id that nobody has.
    fn free(&mut self, prefix: &str, last: &mut u64, kind: &str) -> String {
        loop {
            *last += 1;
            let id = format!("{prefix}-{kind}{last}");
            if self.ids.insert(id.clone()) {
                return id;
            }
        }
    }

    fn route(&self, service: &Service, ids: &Ids, url: &str, (i, route, summary): (usize, &Route, &RouteSummary)) -> Value {
        let document = &service.document;
        let (path, makers) = self.filled(service, ids, route, summary);
        let mut input = body_of(summary);
        let stuck = renew(&mut input, summary);
        let title = line(&route.description);
        let mut made = test(&ids.routes[i], service, &title, route.method.as_str(), &format!("{url}{path}"), &input);
        made["expected"] = json!({ "status": route.status });
        if let Body::Json(Some(name)) = &route.response
            && let Some(shape) = document.kind(name).and_then(|kind| shape::of(&kind.schema, document, &summary.lacking))
        {
            made["expected"]["body"] = shape;
        }
        // prim.sh's plans have a test that gives the wallet its money.
        let funded =
            summary.micros.is_some() && self.tests.iter().any(|test| test["id"] == "F-1" && test["service"] != document.name.as_str());
        let mut needs = vec![ids.health.clone()];
        needs.extend(funded.then(|| "F-1".to_owned()));
        needs.extend(makers);
        made["depends_on"] = needs.into();
        made["captures"] = captures(document, route, i).into();
        let mut notes = match summary.micros {
            None => "free".to_owned(),
            Some(micros) => {
                // Millionths of a dollar are the atomic units of USDC.
                made["payment"] = json!({ "amount": micros.to_string() });
                format!("x402 paid ({}).", summary.price)
            }
        };
        if !stuck.is_empty() {
            let _ = write!(notes, " Of {} no run has a value of its own, so that the next one finds it taken.", stuck.join(", "));
        }
        made["notes"] = notes.into();
        made
    }

    /// The route's path with a variable for each parameter, and the tests that fill them.
    fn filled(&self, service: &Service, ids: &Ids, route: &Route, summary: &RouteSummary) -> (String, Vec<String>) {
        let document = &service.document;
        let (mut path, mut makers) = (String::new(), Vec::new());
        for (at, segment) in route.path.segments.iter().enumerate() {
            path.push('/');
            match segment {
                Segment::Literal(text) => path.push_str(text),
                Segment::Param { name, .. } => {
                    let here = &route.path.segments[..=at];
                    let itself = route.method == Method::Put && here.len() == route.path.segments.len();
                    // One that succeeds without anything having been made puts its own there.
                    let alone = itself && summary.example.is_some();
                    if let Some(made) = maker(document, &route.path.segments[..at]).filter(|_| !alone) {
                        makers.push(ids.routes[made].clone());
                        let _ = write!(path, "{{{{{}}}}}", self.variable(document, made, &ids.routes[made]));
                    } else if let Some(put) = putter(document, here) {
                        // What a route puts there, it names itself.
                        let _ = write!(path, "{{{{test_prefix}}}}-{}", snake(name));
                        makers.extend((!itself).then(|| ids.routes[put].clone()));
                    } else if name == "address" {
                        path.push_str("{{agent_address}}");
                    } else {
                        let _ = write!(path, "{{{{{}}}}}", snake(name));
                    }
                }
            }
        }
        if let Some((_, query)) = summary.sample.split_once('?') {
            let _ = write!(path, "?{query}");
        }
        (path, makers)
    }

    /// The variable that a route's test fills: what is there says it, if anything.
    fn variable(&self, document: &Document, maker: usize, id: &str) -> String {
        let there = self.tests.iter().find(|test| test["id"] == id).and_then(|test| test["captures"].as_object());
        let named = |path: &Value| path.as_str().is_some_and(|path| path.ends_with(".id"));
        let captured = there.and_then(|all| all.iter().find(|(_, path)| named(path)).or_else(|| all.iter().next()));
        captured.map_or_else(|| variable(document, maker), |(name, _)| name.clone())
    }

    /// Puts tests into the service's group: one that was appended, never one that
    /// somebody wrote.
    fn group(&mut self, service: &Service, url: &str, tests: Vec<Value>) {
        let document = &service.document;
        if !self.plan["groups"].is_array() {
            self.plan["groups"] = json!([]);
        }
        let Some(groups) = self.plan["groups"].as_array_mut() else { return };
        let mut id = document.id.as_str().to_owned();
        while groups.iter().any(|group| group["id"] == id.as_str() && group["generated"] != true) {
            id.push_str("-generated");
        }
        if let Some(there) = groups.iter_mut().find(|group| group["id"] == id.as_str()).and_then(|group| group["tests"].as_array_mut()) {
            let new: Vec<_> = tests.into_iter().filter(|test| !there.contains(test)).collect();
            there.extend(new);
            return;
        }
        groups.push(json!({
            "id": id, "name": document.name, "tests": tests, "generated": true,
            "prompt": format!("Read {url}/llms.txt and do what it describes, once each. Report what was answered."),
        }));
    }
}

fn test(id: &str, service: &Service, title: &str, method: &str, endpoint: &str, input: &Value) -> Value {
    json!({
        "id": id, "service": service.document.name, "test": title, "method": method, "endpoint": endpoint, "input": input,
        "expected": {}, "depends_on": [], "captures": {}, "notes": null, "generated": true,
    })
}

/// What a test asks for: the method and the URL without its query, in which variables
/// and parameters are alike. What comes after /objects/ is one too, in prim.sh's plans.
fn key(method: &str, url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = url.split_once("://").map_or(("", url), |(_, rest)| rest.split_once('/').unwrap_or((rest, "")));
    let mut made = format!("{method} {}", host.to_ascii_lowercase());
    let mut before = "";
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        made.push('/');
        let parameter = segment.contains("{{") || segment.starts_with([':', '*']) || before == "objects";
        made.push_str(if parameter { ":" } else { segment });
        before = segment;
    }
    made
}

fn snake(name: &str) -> String {
    words(name).join("_")
}

/// Texts of a run's own, with what a field has otherwise after them where there is room.
const OWN: [&str; 4] = ["{{test_prefix}}-{}", "{{test_prefix}}", "{{test_prefix}}@example.com", "https://{{test_prefix}}.example.com/"];
/// A run's prefix, as [`crate::runner::seeds`] makes it.
const PREFIX: &str = "gate-1795907405042";

/// What a route's test sends.
fn body_of(summary: &RouteSummary) -> Value {
    summary.request.as_deref().map_or(Value::Null, |text| serde_json::from_str(text).unwrap_or_else(|_| text.into()))
}

/// Gives a body's fields that no two items have alike a text of the run's own: what the
/// last run made may still be there. Returns those that take no such text, which stay.
fn renew(input: &mut Value, summary: &RouteSummary) -> Vec<String> {
    let Some(check) = summary.body.as_ref().map(TypeCheck::of) else { return Vec::new() };
    let mut stuck = Vec::new();
    // As it is sent in the end.
    let mut sent = input.clone();
    for field in &summary.fresh {
        let Some(before) = input[field].as_str().filter(|text| !text.contains("{{")).map(str::to_owned) else {
            stuck.extend(input[field].is_number().then(|| field.clone()));
            continue;
        };
        let taken = OWN.iter().map(|own| own.replace("{}", &before)).find(|own| {
            sent[field] = own.replace("{{test_prefix}}", PREFIX).into();
            check.takes(&sent)
        });
        match taken {
            Some(own) => input[field] = own.into(),
            None => {
                sent[field] = before.into();
                stuck.push(field.clone());
            }
        }
    }
    stuck
}

/// The route that puts something under the name that ends a path.
fn putter(document: &Document, path: &[Segment]) -> Option<usize> {
    let puts = |route: &Route| route.method == Method::Put && route.path.segments == path;
    document.routes.iter().position(puts).filter(|_| matches!(path.last(), Some(Segment::Param { .. })))
}

/// Whether something lies under what a route takes.
fn makes(document: &Document, route: &Route) -> bool {
    let depth = route.path.segments.len();
    let inside = |other: &Route| other.path.segments.starts_with(&route.path.segments) && other.path.segments.len() > depth;
    document.routes.iter().any(inside)
}

/// The route that makes what lies under a path.
fn maker(document: &Document, path: &[Segment]) -> Option<usize> {
    let makes = |route: &Route| route.method == Method::Post && route.path.segments == path && matches!(route.response, Body::Json(_));
    document.routes.iter().position(makes)
}

/// How later tests call what a route makes: `bucket_id`, as prim.sh's plans do.
fn variable(document: &Document, maker: usize) -> String {
    let path = &document.routes[maker].path;
    let noun = path.segments.iter().rev().find_map(|segment| if let Segment::Literal(text) = segment { Some(text.as_str()) } else { None });
    format!("{}_id", snake(&singular(noun.unwrap_or("made"))))
}

/// What later tests take from what a route answers.
fn captures(document: &Document, route: &Route, at: usize) -> Map<String, Value> {
    let after = |other: &Route| match other.path.segments.get(route.path.segments.len()) {
        Some(Segment::Param { name, .. }) if other.path.segments.starts_with(&route.path.segments) => Some(name.clone()),
        _ => None,
    };
    let wanted = document.routes.iter().find_map(after).filter(|_| maker(document, &route.path.segments) == Some(at));
    let Some(name) = wanted else { return Map::new() };
    let answer = match &route.response {
        Body::Json(Some(kind)) => document.kind(kind).map(|kind| &kind.schema),
        _ => None,
    };
    let path = answer.and_then(|schema| shape::place(schema, document, &name)).unwrap_or_else(|| "$.id".into());
    [(variable(document, at), Value::from(path))].into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_and_a_route_ask_for_the_same_where_only_parameters_differ() {
        for (one, other) in [
            ("https://a.test/v1/b/{{bucket_id}}/objects/hello.txt?x=1", "https://A.test/v1/b/:id/objects/:key"),
            ("https://a.test/", "https://a.test"),
            ("https://a.test/v1/w/{{a}}-x/policy", "https://a.test/v1/w/:address/policy/"),
        ] {
            assert_eq!(key("GET", one), key("GET", other));
        }
        assert_ne!(key("GET", "https://a.test/v1/b"), key("POST", "https://a.test/v1/b"));
        assert_ne!(key("GET", "https://a.test/v1/b"), key("GET", "https://a.test/v1/b/:id"));
        assert_ne!(key("GET", "https://a.test/v1/b"), key("GET", "https://b.test/v1/b"));
    }
}
