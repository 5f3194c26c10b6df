//! A file of prices: what routes cost whose documents do not say.

use std::collections::BTreeMap;

use serde_json::Value;

use super::text;
use crate::prim::{Assumption, Document, Path, Price, Problem, Route, RoutePrice, Segment};

/// Prices by document and route: `search: { "POST /v1/search": "$0.005" }`. A price
/// is `free` or dollars; a parameter of a path is written `:id`, `{id}` or `[id]`,
/// and its name does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prices(BTreeMap<String, BTreeMap<String, Value>>);

impl Prices {
    /// Reads them; what each price says is looked at when its document is.
    pub fn read(value: Value) -> Result<Self, Problem> {
        let text = |e| Problem { path: String::new(), text: format!("must map ids of documents to routes, and these to prices: {e}") };
        serde_json::from_value(value).map(Self).map_err(text)
    }

    /// What a document's routes cost in the `src/index.ts` that was made of it.
    pub fn written(document: &Document, code: &str) -> Self {
        let price = |route: &Route| {
            let path = text::prop(2, "path", &route.path.hono());
            let (_, rest) = code.split_once(&format!("  method: \"{}\",\n{path}\n  price: \"", route.method))?;
            let (price, _) = rest.split_once('"')?;
            Some((format!("{} {}", route.method, route.path), Value::from(price)))
        };
        Self(BTreeMap::from([(document.id.to_string(), document.routes.iter().filter_map(price).collect())]))
    }

    /// The same by the files of its package, each with its path.
    pub fn charged<'a>(document: &Document, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let index = format!("packages/{}/src/index.ts", document.id);
        let code = files.into_iter().find(|(path, _)| *path == index).map_or("", |(_, code)| code);
        Self::written(document, code)
    }

    /// The prices of a document's routes. A price that is none is a problem: nothing
    /// is sold for another price than somebody wrote down.
    pub(super) fn of(&self, document: &Document) -> Result<Listed, Vec<Problem>> {
        let mut prices = vec![None; document.routes.len()];
        let (mut unused, mut problems) = (Vec::new(), Vec::new());
        for (key, value) in self.0.get(document.id.as_str()).into_iter().flatten() {
            let path = format!("prices.{}.{key}", document.id);
            let Some(i) = document.routes.iter().position(|route| is_meant(key, route)) else {
                unused.push(Assumption { path, text: "names no route of the document, and is not used".into() });
                continue;
            };
            match (price(value), prices.get_mut(i)) {
                (Ok(_), Some(Some(_))) => problems.push(Problem { path, text: format!("prices {} once more", document.routes[i]) }),
                (Ok(price), Some(place)) => *place = Some(price),
                (Ok(_), None) => {}
                (Err(text), _) => problems.push(Problem { path, text }),
            }
        }
        if problems.is_empty() { Ok(Listed { prices, unused }) } else { Err(problems) }
    }
}

/// What a file says of one document.
pub(super) struct Listed {
    /// The routes' prices, in their order.
    pub prices: Vec<Option<RoutePrice>>,
    /// Prices of routes that the document has not.
    pub unused: Vec<Assumption>,
}

fn price(value: &Value) -> Result<RoutePrice, String> {
    match value.as_str() {
        Some("free") => Ok(RoutePrice::Free),
        Some(text) => text.parse::<Price>().map(RoutePrice::Of).map_err(|e| format!("{e}, or free")),
        None => Err(format!("{value} is no price: write free, or dollars above nothing such as \"$0.01\"")),
    }
}

/// Whether a key names a route: its method, and its path whatever parameters are called.
fn is_meant(key: &str, route: &Route) -> bool {
    let Some((method, path)) = key.trim().split_once(' ') else { return key == route.operation };
    let plain: Vec<_> = path.trim().split('/').map(parameter).collect();
    let Ok(path) = Path::parse(&plain.join("/")) else { return false };
    let same = |(one, other): (&Segment, &Segment)| match (one, other) {
        (Segment::Literal(one), Segment::Literal(other)) => one == other,
        (Segment::Param { .. }, Segment::Param { .. }) => true,
        _ => false,
    };
    method.eq_ignore_ascii_case(route.method.as_str())
        && path.segments.len() == route.path.segments.len()
        && path.segments.iter().zip(&route.path.segments).all(same)
}

/// `[id]` and `[...rest]`, as some routers write them.
fn parameter(segment: &str) -> String {
    match segment.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(name) => match name.strip_prefix("...") {
            Some(rest) => format!(":{rest}*"),
            None => format!(":{name}"),
        },
        None => segment.into(),
    }
}
