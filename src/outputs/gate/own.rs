//! A gate's plan for one service that runs: what people wrote about it in the
//! repository's plan, and a test for every other route, as its document has it now.

use std::collections::BTreeSet;

use serde_json::Value;
use url::Url;

use super::{Growing, Service, empty, key};

/// The plan of a service that answers at `https://<its endpoint>`. `written` is the
/// repository's plan, a plan that `suite` reads; its tests of this service, also those of
/// it at `declared`, stay as they are but for their host, and those that were derived
/// are derived anew, under the ids by which others name them. Other services' tests are
/// not run: whoever names one no longer waits for it. What is in no plan is waited for in
/// vain, and told.
pub fn of_service(service: &Service, written: Option<&Value>, declared: &str) -> Value {
    let document = &service.document;
    let url = format!("https://{}", document.endpoint);
    let mut plan = written.cloned().unwrap_or_else(empty);
    let known: BTreeSet<_> = document.routes.iter().map(|route| key(route.method.as_str(), &format!("{url}{}", route.path))).collect();
    let (mut tests, mut others): (Vec<Value>, BTreeSet<String>) = Default::default();
    for mut test in plan["tests"].as_array().cloned().unwrap_or_default() {
        let Some(endpoint) = text(&test, "endpoint").and_then(|endpoint| moved(endpoint, declared, &document.endpoint)) else {
            others.extend(text(&test, "id").map(str::to_owned));
            continue;
        };
        let asks = key(text(&test, "method").unwrap_or_default(), &endpoint);
        // What was derived for a route that is gone is gone.
        if test["generated"] == true && !known.contains(&asks) && asks != key("GET", &url) {
            continue;
        }
        test["endpoint"] = endpoint.into();
        tests.push(test);
    }
    for needs in tests.iter_mut().filter_map(|test| test["depends_on"].as_array_mut()) {
        needs.retain(|id| id.as_str().is_none_or(|id| !others.contains(id)));
    }
    let mut growing = Growing::of(only(plan.take(), tests), true);
    growing.take(service);
    let plan = growing.done().plan;
    let tests = plan["tests"].as_array().cloned().unwrap_or_default();
    only(plan, tests)
}

/// Which of a service's routes a test asks for.
pub fn asks_for(service: &Service, test: &Value) -> Option<usize> {
    let asked = key(text(test, "method")?, text(test, "endpoint")?);
    let url = format!("https://{}", service.document.endpoint);
    service.document.routes.iter().position(|route| key(route.method.as_str(), &format!("{url}{}", route.path)) == asked)
}

fn text<'a>(test: &'a Value, field: &str) -> Option<&'a str> {
    test[field].as_str()
}

/// A URL of one of the two hosts, at the second.
fn moved(endpoint: &str, declared: &str, host: &str) -> Option<String> {
    let (scheme, rest) = endpoint.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // Read as a client reads it, so that nothing in it says another host.
    let origin = Url::parse(&format!("{scheme}://{}", &rest[..end])).ok()?;
    let ours = origin.username().is_empty() && origin.password().is_none() && origin.port().is_none();
    let named = [declared, host].iter().any(|name| origin.host_str().is_some_and(|there| there.eq_ignore_ascii_case(name)));
    (ours && named).then(|| format!("https://{host}{}", &rest[end..]))
}

/// A plan with these tests alone, and the groups that they leave.
fn only(mut plan: Value, tests: Vec<Value>) -> Value {
    let ids: BTreeSet<_> = tests.iter().filter_map(|test| text(test, "id").map(str::to_owned)).collect();
    let known = |id: &Value| id.as_str().is_some_and(|id| ids.contains(id));
    plan["tests"] = tests.into();
    if let Some(groups) = plan["groups"].as_array_mut() {
        for group in groups.iter_mut() {
            if let Some(members) = group["tests"].as_array_mut() {
                members.retain(known);
            }
        }
        groups.retain(|group| group["tests"].as_array().is_some_and(|members| !members.is_empty()));
    }
    plan
}
