//! Templates filled from a plan.

use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context, value::Serde};
use serde::Serialize;

use super::{
    manifest::{File, Kind, Manifest, RouteSummary, Unimplemented},
    native::{Native, Op},
    plan::{Backend, Plan, Planned, Work},
    samples, schemas, service, text,
};
use crate::prim::{Body, Method, RoutePrice};

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::None);
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.add_function("prop", text::prop);
    templates.add_function("const", text::constant);
    templates.add_function("list", text::list);
    templates.add_function("comment", text::comment);
    templates.add_function("prose", text::markdown);
    templates.add_function("cell", text::cell);
    for (name, source) in SOURCES {
        // A template that can't be parsed is named when it is asked for.
        let _ = templates.add_template(name, source);
    }
    templates
});

const SOURCES: [(&str, &str); 9] = [
    ("README.md", include_str!("templates/README.md.j2")),
    ("src/index.ts", include_str!("templates/index.ts.j2")),
    ("src/schemas.ts", include_str!("templates/schemas.ts.j2")),
    ("src/service.ts", include_str!("templates/service.ts.j2")),
    ("src/store.ts", include_str!("templates/store.ts.j2")),
    ("src/access.ts", include_str!("templates/access.ts.j2")),
    ("src/provider.ts", include_str!("templates/provider.ts.j2")),
    ("test/unit.test.ts", include_str!("templates/unit.test.ts.j2")),
    ("test/service.test.ts", include_str!("templates/service.test.ts.j2")),
];

/// One route as templates see it.
#[derive(Serialize)]
struct RouteView {
    method: &'static str,
    title: String,
    hono: String,
    name: String,
    description: String,
    price: String,
    status: u16,
    body: String,
    query: String,
    takes: String,
    does: String,
    lacking: bool,
    sample_path: String,
    sample_body: Option<String>,
    amount: Option<String>,
    answers: Vec<u16>,
    bad_body: bool,
    bad_path: Option<String>,
}

/// The files of a package.
pub(super) fn package(plan: &Plan<'_>) -> Result<Manifest, String> {
    let document = plan.document;
    let mut ordered: Vec<&Planned<'_>> = plan.routes.iter().collect();
    ordered.sort_by_key(|planned| planned.route.path.specificity());
    let routes: Vec<_> = ordered.iter().map(|planned| view(plan, planned)).collect();
    let any = |test: &dyn Fn(&Planned<'_>) -> bool| plan.routes.iter().any(test);
    let guarded = any(&|p| p.guarded);
    let missing = any(&|p| p.work.backend() == Backend::Missing);
    let resources = super::flows::resources(plan);
    let calls = super::flows::calls(plan);
    let context = context! {
        id => document.id.as_str(),
        name => document.name.as_str(),
        version => document.version.as_str(),
        description => document.description.as_str(),
        quick_start => Serde(document.quick_start.clone()),
        limits => Serde(document.limits.clone()),
        variables => Serde(super::flows::variables(plan)),
        vendor => Serde(plan.vendor.clone()),
        variable => plan.data.as_deref(),
        paid => any(&|p| p.price != RoutePrice::Free),
        guarded => guarded,
        provided => any(&|p| p.work == Work::Provider),
        stored => plan.data.is_some(),
        missing => missing,
        throws => missing || ordered.iter().any(|p| service::handler(p).throws),
        typed => routes.iter().any(|r| !r.body.is_empty() || !r.query.is_empty()),
        filled => any(&schemas::must_be_filled),
        refusing => routes.iter().any(|r| r.bad_body || r.bad_path.is_some()),
        tested => !resources.is_empty() || !calls.is_empty(),
        resources => Serde(resources),
        calls => Serde(calls),
        routes => Serde(routes),
    };
    let mut wanted = vec![("README.md", Kind::Generated), ("src/index.ts", Kind::Generated)];
    wanted.push(("test/unit.test.ts", Kind::Generated));
    if !plan.routes.is_empty() {
        wanted.extend([("src/schemas.ts", Kind::Generated), ("src/service.ts", Kind::Seeded)]);
    }
    if plan.data.is_some() {
        wanted.push(("src/store.ts", Kind::Generated));
    }
    if guarded {
        wanted.push(("src/access.ts", Kind::Generated));
    }
    if plan.vendor.is_some() {
        wanted.push(("src/provider.ts", Kind::Seeded));
    }
    if plan.data.is_some() || plan.vendor.is_some() {
        wanted.push(("test/service.test.ts", Kind::Seeded));
    }
    let root = format!("packages/{}", document.id);
    let mut files = vec![File { path: format!("{root}/prim.yaml"), content: document.to_yaml(), kind: Kind::Generated }];
    for (name, kind) in wanted {
        files.push(File { path: format!("{root}/{name}"), content: render(name, &context)?, kind });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Manifest {
        files,
        routes: plan.routes.iter().map(|planned| summary(plan, planned)).collect(),
        unimplemented: plan.routes.iter().filter_map(unimplemented).collect(),
        assumptions: plan.assumptions.clone(),
        keeps_data: plan.data.clone(),
        env: samples::env(plan),
    })
}

fn render(name: &str, context: &Value) -> Result<String, String> {
    let rendered = TEMPLATES.get_template(name).and_then(|template| template.render(context));
    // A template's last line break is not part of it.
    rendered.map(|text| text + "\n").map_err(|error| format!("the template of {name} can't be filled: {error:#}"))
}

fn view(plan: &Plan<'_>, planned: &Planned<'_>) -> RouteView {
    let route = planned.route;
    let handler = service::handler(planned);
    RouteView {
        method: route.method.as_str(),
        title: route.to_string(),
        hono: route.path.hono(),
        name: route.name.clone(),
        description: text::prose(&route.description),
        price: planned.price.to_string(),
        status: route.status,
        body: schemas::body(plan.document, planned),
        query: schemas::query(route),
        takes: handler.takes,
        does: handler.does,
        lacking: planned.work.backend() == Backend::Missing,
        sample_path: samples::path(route),
        sample_body: samples::body(plan.document, planned),
        amount: samples::amount(planned.price),
        answers: samples::answers(planned),
        bad_body: matches!(route.request, Body::Json(_)) && route.method != Method::Get,
        bad_path: samples::bad_path(route).filter(|_| !matches!(route.request, Body::Json(_))),
    }
}

fn summary(plan: &Plan<'_>, planned: &Planned<'_>) -> RouteSummary {
    let route = planned.route;
    RouteSummary {
        method: route.method.to_string(),
        path: route.path.to_string(),
        operation: route.operation.clone(),
        price: planned.price.to_string(),
        micros: match planned.price {
            RoutePrice::Free => None,
            RoutePrice::Of(price) => Some(price.micros()),
        },
        status: route.status,
        backend: planned.work.backend().as_str().into(),
        answers: samples::answers(planned),
        example: samples::example(plan.document, planned),
    }
}

fn unimplemented(planned: &Planned<'_>) -> Option<Unimplemented> {
    let Work::Missing(reason) = &planned.work else { return None };
    Some(Unimplemented { route: planned.route.to_string(), operation: planned.route.operation.clone(), reason: reason.clone() })
}

/// Whether a route makes, lists, reads, changes or removes items of a collection.
pub(super) fn native<'a>(planned: &'a Planned<'_>) -> Option<(&'a str, &'a Op)> {
    match &planned.work {
        Work::Native(Native { collection, op }) => Some((collection, op)),
        _ => None,
    }
}
