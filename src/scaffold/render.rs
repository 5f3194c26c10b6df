//! Templates filled from a plan.

use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context, value::Serde};
use serde::Serialize;

use super::{
    claims::Claim,
    making,
    manifest::{File, Kind, Manifest, RouteSummary, Unimplemented},
    native::Collection,
    plan::{Backend, Plan, Planned, Work},
    samples, schema, schemas,
    service::{self, Handler},
    shapes, text, types,
};
use crate::api::package::{CONFIGURATION, configuration};
use crate::prim::{Body, Document, Method, QueryKind, Route, RoutePrice};

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_auto_escape_callback(|_| AutoEscape::None);
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.add_function("prop", text::prop);
    templates.add_function("const", text::constant);
    templates.add_function("list", text::list);
    let array = |indent: usize, left: String, items: Vec<String>, right: String| text::array(indent, &left, &items, &right);
    templates.add_function("array", array);
    templates.add_function("comment", text::comment);
    templates.add_function("prose", text::markdown);
    templates.add_function("cell", text::cell);
    for (name, source) in SOURCES {
        // A template that can't be parsed is named when it is asked for.
        let _ = templates.add_template(name, source);
    }
    templates
});

const SOURCES: [(&str, &str); 10] = [
    ("README.md", include_str!("templates/README.md.j2")),
    ("src/index.ts", include_str!("templates/index.ts.j2")),
    ("src/schemas.ts", include_str!("templates/schemas.ts.j2")),
    ("src/service.ts", include_str!("templates/service.ts.j2")),
    ("src/store.ts", include_str!("templates/store.ts.j2")),
    ("src/access.ts", include_str!("templates/access.ts.j2")),
    ("src/provider.ts", include_str!("templates/provider.ts.j2")),
    ("src/providers/vendor.ts", include_str!("templates/vendor.ts.j2")),
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
    params: String,
    query: String,
    /// The type in whose shape the store's answer is, as an expression.
    answers_type: Option<String>,
    /// Fields of it that are the item's own id, as literals.
    ids: Vec<String>,
    takes: String,
    does: String,
    waits: bool,
    repeats: bool,
    lacking: bool,
    sample_path: String,
    sample_body: Option<String>,
    amount: Option<String>,
    answers: Vec<u16>,
    /// What is made before, so that it answers as declared.
    made: Option<making::Made>,
    bad_body: bool,
    bad_path: Option<String>,
    mistyped: Option<String>,
    field: Option<String>,
}

/// The files of a package.
pub(super) fn package(plan: &Plan<'_>) -> Result<Manifest, String> {
    let document = plan.document;
    let mut ordered: Vec<&Planned<'_>> = plan.routes.iter().collect();
    ordered.sort_by_key(|planned| planned.route.path.specificity());
    let handlers: Vec<_> = ordered.iter().map(|planned| service::handler(plan, planned)).collect();
    let needs = |what: &str| handlers.iter().any(|handler| handler.needs.contains(what));
    let routes: Vec<_> = ordered.iter().zip(&handlers).map(|(planned, handler)| view(plan, planned, handler)).collect();
    let any = |test: &dyn Fn(&Planned<'_>) -> bool| plan.routes.iter().any(test);
    let guarded = any(&|p| p.guarded);
    let missing = any(&|p| p.work.backend() == Backend::Missing);
    let resources = super::flows::resources(plan);
    let calls = super::flows::calls(plan);
    let tested = !resources.is_empty() || !calls.is_empty();
    let context = context! {
        id => document.id.as_str(),
        name => document.name.as_str(),
        version => document.version.as_str(),
        description => document.description.as_str(),
        quick_start => Serde(document.quick_start.clone()),
        limits => Serde(document.limits.clone()),
        variables => Serde(super::flows::variables(plan)),
        vendors => Serde(plan.vendors.clone()),
        vendor => Serde(plan.vendors.first().cloned()),
        needed => Serde(needed(plan)),
        choice => super::vendor::choice(document),
        all_collections => {
            let names: Vec<_> = plan.collections.iter().map(|c| format!("{}Items", c.name)).collect();
            (!names.is_empty()).then(|| text::array(0, "const kept = ", &names, ";"))
        },
        collections => Serde(plan.collections.iter().map(|c| collection(plan, c)).collect::<Vec<_>>()),
        notes => Serde(document.quick_start.iter().chain(&document.limits).map(|line| text::prose(line)).collect::<Vec<_>>()),
        about => text::prose(&document.description),
        max_body_bytes => max_body_bytes(document),
        codes => Serde(plan.routes.iter().filter_map(codes).collect::<Vec<_>>()),
        variable => plan.data.as_deref(),
        paid => any(&|p| p.price != RoutePrice::Free),
        guarded => guarded,
        provided => needs("provider"),
        asked => needs("Call"),
        made_by => needs("madeBy"),
        fields_of => needs("fieldsOf"),
        signed => needs("requireSignature"),
        redirects => needs("redirected"),
        schema => needs("schema"),
        validates => needs("validate"),
        ports => needs("ports"),
        runs => needs("run"),
        stubs => any(&|p| matches!(p.work, Work::Command(_))),
        argued => needs("argument"),
        lasting => needs("lasting"),
        answering => routes.iter().any(|route| route.answers_type.is_some()),
        paging => routes.iter().any(|route| route.answers_type.as_ref().is_some_and(|answers| answers.starts_with("pageOf("))),
        stored => needs("store"),
        parses => needs("schemas"),
        repeating => any(&|p| p.repeats),
        missing => missing,
        throws => needs("ServiceError"),
        typed => routes.iter().any(|r| !r.body.is_empty() || !r.query.is_empty() || !r.params.is_empty()),
        zod => routes.iter().any(|r| r.body.contains(": z.") || r.body.contains(": filled(") || !r.query.is_empty() || !r.params.is_empty()),
        helpers => helpers(plan, &routes),
        declared => routes.iter().any(|r| r.body.contains(" api.") || r.body.contains("(api.")),
        filled => routes.iter().any(|r| r.body.starts_with("    body: filled(")),
        refusing => routes.iter().any(|r| r.bad_body || r.bad_path.is_some()),
        making => routes.iter().any(|r| r.made.is_some()),
        mistyping => routes.iter().any(|r| r.mistyped.is_some()),
        tested => tested,
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
    if !plan.vendors.is_empty() {
        wanted.push(("src/provider.ts", Kind::Seeded));
    }
    if tested {
        wanted.push(("test/service.test.ts", Kind::Seeded));
    }
    let root = format!("packages/{}", document.id);
    let mut files = vec![File { path: format!("{root}/prim.yaml"), content: document.to_yaml(), kind: Kind::Generated }];
    for name in CONFIGURATION {
        let content = configuration(document.id.as_str(), name).unwrap_or_default();
        files.push(File { path: format!("{root}/{name}"), content, kind: Kind::Generated });
    }
    for (name, kind) in wanted {
        files.push(File { path: format!("{root}/{name}"), content: render(name, &context)?, kind });
    }
    for vendor in &plan.vendors {
        let content = render("src/providers/vendor.ts", &context! { vendor => Serde(vendor.clone()) })?;
        files.push(File { path: format!("{root}/src/providers/{}.ts", vendor.file), content, kind: Kind::Seeded });
    }
    if !document.types.is_empty() {
        files.push(File { path: format!("{root}/src/api.ts"), content: types::module(document), kind: Kind::Generated });
    }
    if needs("schema") {
        files.push(File { path: format!("{root}/src/schema.json"), content: schema::PRIM_YAML.clone(), kind: Kind::Generated });
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Manifest {
        files,
        routes: plan.routes.iter().map(|planned| summary(plan, planned)).collect(),
        unimplemented: plan.routes.iter().filter_map(unimplemented).collect(),
        assumptions: plan.assumptions.clone(),
        kept: super::kept::of(plan),
        keeps_data: plan.data.clone(),
        env: samples::env(plan),
    })
}

/// What schemas take from the kit.
fn helpers(plan: &Plan<'_>, routes: &[RouteView]) -> Vec<&'static str> {
    let asks = |kind: QueryKind| plan.routes.iter().any(|planned| planned.route.query.iter().any(|param| param.kind == kind));
    let takes = |call: &str| routes.iter().any(|route| route.body.contains(call));
    let used = [
        ("characters", takes("characters(")),
        ("integer", asks(QueryKind::Integer)),
        ("integerText", routes.iter().any(|route| !route.params.is_empty())),
        ("number", asks(QueryKind::Number)),
        ("part", takes(": part(")),
        ("sent", takes(": sent(")),
    ];
    used.into_iter().filter(|(_, used)| *used).map(|(name, _)| name).collect()
}

fn render(name: &str, context: &Value) -> Result<String, String> {
    let rendered = TEMPLATES.get_template(name).and_then(|template| template.render(context));
    // A template's last line break is not part of it.
    rendered.map(|text| text + "\n").map_err(|error| format!("the template of {name} can't be filled: {error:#}"))
}

fn view(plan: &Plan<'_>, planned: &Planned<'_>, handler: &Handler) -> RouteView {
    let route = planned.route;
    let mistyped = samples::mistyped(plan, planned).and_then(|m| Some((m.body.as_ref()?.to_string(), m.field.clone())));
    let (mistyped, field) = mistyped.unzip();
    RouteView {
        method: route.method.as_str(),
        title: route.to_string(),
        hono: route.path.hono(),
        name: route.name.clone(),
        description: text::prose(&route.description),
        price: planned.price.to_string(),
        status: route.status,
        body: schemas::body(plan, planned),
        params: schemas::params(route),
        query: schemas::query(route),
        answers_type: shapes::expression(plan, planned),
        ids: shapes::ids(plan, planned).into_iter().map(text::string).collect(),
        takes: handler.takes.clone(),
        does: handler.does.clone(),
        waits: handler.waits,
        repeats: planned.repeats,
        lacking: planned.work.backend() == Backend::Missing,
        sample_path: samples::path(route),
        sample_body: samples::body(plan, planned),
        amount: samples::amount(planned.price),
        answers: samples::answers(plan, planned),
        made: making::made(plan, planned),
        bad_body: reads_json(route),
        bad_path: samples::bad_path(route).filter(|_| !matches!(route.request, Body::Json(_))),
        mistyped,
        field,
    }
}

fn reads_json(route: &Route) -> bool {
    matches!(route.request, Body::Json(_)) && route.method != Method::Get
}

fn summary(plan: &Plan<'_>, planned: &Planned<'_>) -> RouteSummary {
    let route = planned.route;
    RouteSummary {
        method: route.method.to_string(),
        path: route.path.to_string(),
        sample: samples::path(route),
        operation: route.operation.clone(),
        json: reads_json(route),
        price: planned.price.to_string(),
        micros: match planned.price {
            RoutePrice::Free => None,
            RoutePrice::Of(price) => Some(price.micros()),
        },
        repeats: planned.repeats,
        status: route.status,
        backend: planned.work.backend().as_str().into(),
        implied: planned.work.backend() == Backend::Provider && !plan.declared,
        answers: samples::answers(plan, planned),
        request: samples::body(plan, planned),
        fresh: samples::fresh(plan, planned),
        lacking: shapes::missing(plan, planned).to_vec(),
        example: samples::example(plan, planned),
        mistyped: samples::mistyped(plan, planned).cloned(),
        body: schemas::json_schema(plan, planned),
    }
}

fn unimplemented(planned: &Planned<'_>) -> Option<Unimplemented> {
    let Work::Missing(reason) = &planned.work else { return None };
    Some(Unimplemented { route: planned.route.to_string(), operation: planned.route.operation.clone(), reason: reason.clone() })
}

/// A collection as its template sees it.
#[derive(Serialize)]
struct CollectionView {
    name: String,
    home: String,
    key: Option<String>,
    within: Option<String>,
    below: usize,
    numbers: bool,
    apart: bool,
    own: bool,
    joined: bool,
    unowned: bool,
    status: Option<String>,
    ends: bool,
    most: Option<u64>,
    counts: Option<String>,
    changed: Option<String>,
}

fn collection(plan: &Plan<'_>, collection: &Collection) -> CollectionView {
    let within = collection.within.and_then(|outer| plan.collections.get(outer)).map(|outer| outer.name.clone());
    let Collection { name, home, key, below, numbers, apart, own, joined, unowned, status, ends, most, counts, changed, .. } =
        collection.clone();
    let counts: Vec<_> = counts.iter().map(|field| text::string(field)).collect();
    let counts = (!counts.is_empty()).then(|| text::array(2, "counts: ", &counts, ","));
    CollectionView {
        name,
        home: text::prop(2, "name", &home),
        key,
        within,
        below,
        numbers,
        apart,
        own,
        joined,
        unowned,
        status,
        ends,
        most,
        counts,
        changed,
    }
}

/// A variable, and what it is in tests.
#[derive(Serialize)]
struct Setting {
    name: String,
    value: &'static str,
}

/// What vendors' clients need, once each.
fn needed(plan: &Plan<'_>) -> Vec<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    for vendor in &plan.vendors {
        for name in &vendor.needed {
            if settings.iter().all(|setting| setting.name != *name) {
                let value = if *name == vendor.base { "http://provider.test" } else { "a key for tests" };
                settings.push(Setting { name: name.clone(), value });
            }
        }
    }
    settings
}

/// The variable with a route's codes.
fn codes(planned: &Planned<'_>) -> Option<String> {
    match &planned.claim {
        Some(Claim::Code { variable, .. }) => Some(variable.clone()),
        _ => None,
    }
}

/// `factory.max_body_size` in bytes, where it is no mebibyte: `128MB`.
fn max_body_bytes(document: &Document) -> Option<u64> {
    let size = document.given()["factory"]["max_body_size"].as_str()?;
    let digits = size.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = size.split_at(digits);
    let factor = match unit.trim().to_ascii_uppercase().as_str() {
        "B" => 1,
        "KB" | "KIB" | "K" => 1 << 10,
        "MB" | "MIB" | "M" => 1 << 20,
        _ => return None,
    };
    let bytes = count.parse::<u64>().ok()?.checked_mul(factor)?;
    // All of a body is held in memory.
    Some(bytes).filter(|bytes| (1..=256 << 20).contains(bytes) && *bytes != 1 << 20)
}
