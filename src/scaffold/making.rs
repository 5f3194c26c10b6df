//! What a test makes first, so that what a route is about is there: the items that its
//! path names, the outermost first. Where nobody knows how to make one, the test takes
//! that it is not there.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    native::{Collection, Native, Op, Sent},
    plan::{Plan, Planned, Work},
    samples, shapes, types,
};
use crate::prim::{Body, Route};

/// A request, after those that make what its path names.
#[derive(Serialize)]
pub(super) struct Made {
    before: Vec<Before>,
    /// The path, with `{0}` for what the first one made is called, and so on.
    path: String,
    status: u16,
}

/// A request that makes something.
#[derive(Clone, Serialize)]
struct Before {
    method: &'static str,
    path: String,
    body: Option<String>,
    /// What that is called, where it is known before.
    named: Option<String>,
    /// Else the field of the answer that says it.
    key: String,
}

/// How a route is asked for that is about something: none where it is about nothing, or
/// where it may fail though that is there, or nobody can make that.
pub(super) fn made(plan: &Plan<'_>, planned: &Planned<'_>) -> Option<Made> {
    let Work::Native(native) = &planned.work else { return None };
    let kept = plan.collections.get(native.collection)?;
    if native.sent.is_some() || !planned.lacks.is_empty() || samples::unknown(plan, planned) || !succeeds(plan, native) {
        return None;
    }
    let mut making = Making { plan, before: Vec::new(), names: BTreeMap::new() };
    // Without what is around it, a name alone finds it.
    let mut names = if native.within.is_empty() { Vec::new() } else { making.within(planned.route, kept, &native.within)? };
    let itself = matches!(native.op, Op::Put { .. } | Op::Step { makes: true, .. });
    let about = native.param.is_some() || matches!(native.op, Op::Edge { .. } | Op::Take { .. });
    if about && !itself {
        let name = making.item(native.collection)?;
        names.extend(native.param.clone().map(|param| (param, name)));
    }
    let path = filled(planned.route, &names);
    (!making.before.is_empty()).then_some(Made { path, status: planned.route.status, before: making.before })
}

/// Whether a good request about what was just made succeeds.
fn succeeds(plan: &Plan<'_>, native: &Native) -> bool {
    let status = plan.collections.get(native.collection).and_then(|kept| kept.status.as_ref());
    let made = || plan.of(native.collection).filter_map(|route| sent(&samples::body(plan, route)));
    match &native.op {
        Op::Create { signed: Some(_) } | Op::Search | Op::Batch | Op::Under => false,
        Op::Become { from, once, to } => from.as_ref().is_none_or(|from| Some(from) == status) && !(*once && Some(to) == status),
        // One that was never set is off.
        Op::Switch { on, once, field } => !once || (*on && made().all(|fields| !fields.contains_key(field))),
        Op::Follow { fields } => {
            let address = |sent: Map<String, Value>| {
                fields.iter().any(|field| sent.get(field).is_some_and(|text| text.to_string().starts_with("\"http")))
            };
            made().any(address)
        }
        // What is sent may be no number.
        Op::Step { field, .. } | Op::Flip { field } => made().all(|fields| !fields.contains_key(field)),
        _ => true,
    }
}

/// The fields of a body.
fn sent(body: &Option<String>) -> Option<Map<String, Value>> {
    serde_json::from_str(body.as_deref()?).ok()
}

/// What is made so far.
struct Making<'p, 'a> {
    plan: &'p Plan<'a>,
    before: Vec<Before>,
    /// What stands for the name of the one of each collection.
    names: BTreeMap<usize, String>,
}

impl Making<'_, '_> {
    /// What the parameters before an item's own are filled with. Each names an item around
    /// the next; what lies below no item is as in any sample.
    fn within(&mut self, route: &Route, kept: &Collection, params: &[String]) -> Option<Vec<(String, String)>> {
        let (around, own, between) = kept.around(params);
        let mut names = Vec::new();
        if let Some(outer) = kept.within {
            let name = self.item(outer)?;
            if !around.is_empty() {
                names = self.within(route, self.plan.collections.get(outer)?, around)?;
            }
            names.push((own?.clone(), name));
        }
        let text = |(at, name): (usize, &String)| (name.clone(), samples::number(route, name).unwrap_or_else(|| format!("test-{at}")));
        names.extend(between.iter().enumerate().map(text));
        Some(names)
    }

    /// What stands for the name of an item, which is made unless it was.
    fn item(&mut self, collection: usize) -> Option<String> {
        if let Some(name) = self.names.get(&collection) {
            return Some(name.clone());
        }
        let (plan, before) = (self.plan, self.before.clone());
        for maker in plan.of(collection) {
            if let Some(request) = self.request(maker) {
                self.before.push(request);
                let name = format!("{{{}}}", self.before.len() - 1);
                self.names.insert(collection, name.clone());
                return Some(name);
            }
            self.before.clone_from(&before);
        }
        None
    }

    /// The request that makes one, after those that make what is around it.
    fn request(&mut self, maker: &Planned<'_>) -> Option<Before> {
        let plan = self.plan;
        let Work::Native(native) = &maker.work else { return None };
        let makes = matches!(native.op, Op::Create { signed: None } | Op::Upload | Op::Put { .. } | Op::Step { makes: true, way: 1, .. });
        if !makes || !maker.lacks.is_empty() || samples::unknown(plan, maker) {
            return None;
        }
        let kept = plan.collections.get(native.collection)?;
        let body = samples::body(plan, maker);
        let fields = sent(&body).unwrap_or_default();
        if fields.iter().any(|(name, value)| types::hides(name, value)) {
            return None;
        }
        let mut names = self.within(maker.route, kept, &native.within)?;
        let key = kept.key.as_deref().unwrap_or("id");
        let text = |value: &Value| value.as_str().map(str::to_owned).or_else(|| value.as_i64().map(|number| number.to_string()));
        let named = match (&native.param, &native.sent) {
            (Some(param), _) => {
                let name = samples::param(maker.route, param);
                names.push((param.clone(), name.clone()));
                Some(name)
            }
            (None, Some(Sent::Body(field))) => fields.get(field).and_then(text),
            (None, Some(Sent::Query(_))) => return None,
            (None, None) => kept.key.as_ref().and_then(|key| fields.get(key)).and_then(text),
        };
        let key = if named.is_some() { key.to_owned() } else { told(plan, maker, key)? };
        Some(Before { method: maker.route.method.as_str(), path: filled(maker.route, &names), body, named, key })
    }
}

/// The field of an answer that says what was made is called.
fn told(plan: &Plan<'_>, maker: &Planned<'_>, key: &str) -> Option<String> {
    if !matches!(maker.route.response, Body::Json(_)) || maker.route.status == 204 {
        return None;
    }
    let shape = shapes::answered(plan.document, maker);
    let Some(kind) = shape else { return Some(key.to_owned()) };
    let fields = types::fields(plan.document, kind)?;
    let ids = shapes::ids(plan, maker);
    [key].into_iter().chain(ids).find(|name| fields.contains_key(*name)).map(str::to_owned)
}

/// A route's path with these names in it, and any sample for what they leave.
fn filled(route: &Route, names: &[(String, String)]) -> String {
    let named = |name: &str| names.iter().find(|(param, _)| param == name).map(|(_, text)| text.clone());
    let path = route.path.filled(|name| named(name).unwrap_or_else(|| samples::param(route, name)));
    path + &samples::query(route)
}
