//! The routes of a document.

use std::collections::{BTreeMap, btree_map::Entry};

use serde_json::Value;

use super::{
    code::Code,
    document::{Body, DeclaredError, Route},
    extensions,
    fields::Fields,
    form::SUCCESSES,
    names::{camel, words},
    notes::{Notes, quoted},
    params,
    path::{Path, Segment},
    pricing,
};
use crate::api::http::Method;

/// Reads them. `prose` is what else the document says, in lower case.
pub(super) fn read(document: &Fields<'_>, prose: &str, notes: &mut Notes) -> Vec<Route> {
    let entries = document.objects("routes_map", notes);
    let mut routes: Vec<Route> = entries.iter().filter_map(|entry| one(entry, notes)).collect();
    let mut first: BTreeMap<(Method, String), &str> = BTreeMap::new();
    for route in &routes {
        match first.entry((route.method, route.path.key())) {
            Entry::Vacant(free) => drop(free.insert(&route.place)),
            Entry::Occupied(taken) => {
                let text = format!("{route} is {} again: a request would match both", taken.get());
                notes.wrong(Code::RouteRepeated, format!("{}.route", route.place), text);
            }
        }
    }
    // By the names alone: what is wrong with a type is said of it, and not of its users.
    if let Some(Value::Object(types)) = document.get("types") {
        let named = routes.iter().flat_map(|route| [(route, "request", &route.request), (route, "response", &route.response)]);
        for (route, key, body) in named {
            if let Body::Json(Some(name)) = body
                && !types.contains_key(name)
            {
                let text = format!("{} is not among types, so any JSON", quoted(name));
                notes.lenient(Code::TypeUndefined, format!("{}.{key}", route.place), text);
            }
        }
    }
    take_slashes(&mut routes, prose, notes);
    name(&mut routes, notes);
    routes
}

fn one(entry: &Fields<'_>, notes: &mut Notes) -> Option<Route> {
    let Some(line) = entry.text("route", notes) else {
        notes.wrong(Code::Missing, entry.at("route"), "a route needs its method and path, such as \"POST /v1/search\"");
        return None;
    };
    let split = line.split_once(char::is_whitespace);
    let (method, path) = match split.map(|(m, p)| (Method::parse(&m.to_ascii_uppercase()), p.trim())) {
        Some((Some(method), path)) => (method, path),
        _ => {
            notes.wrong(
                Code::Malformed,
                entry.at("route"),
                format!("{} must be GET, POST, PUT, PATCH or DELETE and a path", quoted(&line)),
            );
            return None;
        }
    };
    let path = match Path::parse(path) {
        Ok(path) if method == Method::Get && (path.is_root() || path.is_own()) => {
            let text = format!("{path} is every service's own, so this route is left out");
            notes.lenient(Code::RouteReserved, entry.at("route"), text);
            return None;
        }
        Ok(path) if path.is_root() => {
            notes.wrong(Code::Malformed, entry.at("route"), "/ is the health check of every service: take another path");
            return None;
        }
        Ok(path) => {
            if let Some(twice) = path.repeated() {
                notes.wrong(Code::Repeated, entry.at("route"), format!("the path has two parameters :{twice}: give one another name"));
                return None;
            }
            path
        }
        Err(problem) => {
            notes.wrong(Code::Malformed, entry.at("route"), problem);
            return None;
        }
    };
    let written = format!("{method} {}", path.written());
    if written != line {
        notes.lenient(Code::OtherSpelling, entry.at("route"), format!("{} is {written}", quoted(&line)));
    }
    let operation = entry.text("operation_id", notes).unwrap_or_else(|| {
        let made = operation(method, &path);
        notes.lenient(Code::Missing, entry.at("operation_id"), format!("absent, so {made}"));
        made
    });
    let description = entry.text("description", notes).unwrap_or_else(|| {
        notes.lenient(Code::Missing, entry.at("description"), "absent, so the route");
        format!("{method} {path}")
    });
    let remarks = entry.text("notes", notes);
    let request = request(entry, method, remarks.as_deref(), notes);
    let status = status(entry, notes);
    Some(Route {
        place: entry.path().into(),
        name: camel(&operation),
        description,
        notes: remarks,
        status,
        request,
        response: response(entry, status, notes),
        query: params::read(entry, notes),
        errors: errors(entry, notes),
        price: pricing::of_route(entry, notes),
        params: extensions::params(entry, &path, notes),
        auth: extensions::auth(entry, notes),
        idempotent: entry.flag("idempotent", notes),
        backend: extensions::backend(entry, notes),
        method,
        path,
        operation,
    })
}

/// An operation id for a route that has none.
fn operation(method: Method, path: &Path) -> String {
    let mut parts = vec![method.as_str().to_ascii_lowercase()];
    parts.extend(path.nouns().flat_map(words));
    if let Some(Segment::Param { name, .. }) = path.segments.last() {
        parts.push("by".into());
        parts.extend(words(name));
    }
    parts.join("_")
}

fn status(entry: &Fields<'_>, notes: &mut Notes) -> u16 {
    if entry.get("status").is_none() {
        notes.lenient(Code::Missing, entry.at("status"), "absent, so 200");
        return 200;
    }
    let given = entry.integer("status", (100, 599), notes).unwrap_or(200);
    if !SUCCESSES.contains(&given.into()) {
        let text =
            format!("{given} is not the status of a success, or of a redirect: write 200, 201, 202 or 204, or 301, 302, 303, 307 or 308");
        notes.wrong(Code::OutOfRange, entry.at("status"), text);
    }
    given
}

/// The type's name under either of two keys; both are in use, alone and together.
fn alias<'a>(entry: &Fields<'a>, plain: &'static str, typed: &'static str, notes: &mut Notes) -> Option<(&'static str, Option<&'a str>)> {
    if entry.has(typed) {
        let differs = entry.has(plain) && entry.get(plain) != entry.get(typed);
        let text = if differs { format!("differs from {plain}, and holds") } else { format!("is another word for {plain}") };
        notes.lenient(Code::OtherSpelling, entry.at(typed), text);
    }
    let key = [typed, plain].into_iter().find(|key| entry.has(key))?;
    match entry.get(key) {
        None => Some((key, None)),
        Some(value) => match value.as_str() {
            Some(text) => Some((key, Some(text.trim()))),
            None => {
                notes.lenient(Code::WrongType, entry.at(key), "is no name of a type, so any JSON");
                Some((key, Some("")))
            }
        },
    }
}

/// Longest name of a type.
const LONGEST_NAME: usize = 60;

/// A type's name, or what a sentence in its place says.
fn named(entry: &Fields<'_>, key: &str, text: &str, notes: &mut Notes) -> Body {
    match text {
        "bytes" => return Body::Bytes,
        "json" => return Body::Json(None),
        _ => {}
    }
    if !text.is_empty() && text.len() <= LONGEST_NAME && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Body::Json(Some(text.into()));
    }
    if text.to_ascii_lowercase().contains("bytes") {
        notes.lenient(Code::BodyInProse, entry.at(key), format!("{} is no type but says raw bytes", quoted(text)));
        return Body::Bytes;
    }
    if !text.is_empty() {
        notes.lenient(Code::Malformed, entry.at(key), format!("{} is no name of a type, so any JSON", quoted(text)));
    }
    Body::Json(None)
}

fn request(entry: &Fields<'_>, method: Method, remarks: Option<&str>, notes: &mut Notes) -> Body {
    let raw = remarks.is_some_and(|text| text.to_ascii_lowercase().contains("raw bytes"));
    match alias(entry, "request", "request_type", notes) {
        Some((key, Some(text))) => named(entry, key, text, notes),
        Some((_, None)) => Body::None,
        None if method.has_body() && raw => {
            notes.lenient(Code::BodyInProse, entry.at("notes"), "says that the body is raw bytes");
            Body::Bytes
        }
        None if method.has_body() => {
            notes.lenient(Code::Missing, entry.at("request"), "absent, so any JSON object");
            Body::Json(None)
        }
        None => Body::None,
    }
}

fn response(entry: &Fields<'_>, status: u16, notes: &mut Notes) -> Body {
    match alias(entry, "response", "response_type", notes) {
        Some((key, Some(text))) => named(entry, key, text, notes),
        Some((_, None)) => Body::None,
        None if (300..400).contains(&status) => {
            notes.lenient(Code::Missing, entry.at("response"), "absent, so none");
            Body::None
        }
        None => {
            notes.lenient(Code::Missing, entry.at("response"), "absent, so any JSON");
            Body::Json(None)
        }
    }
}

fn errors(entry: &Fields<'_>, notes: &mut Notes) -> Vec<DeclaredError> {
    let mut errors: Vec<DeclaredError> = Vec::new();
    for error in entry.objects("errors", notes) {
        let Some(status) = error.integer("status", (400, 599), notes) else {
            if error.get("status").is_none() {
                notes.wrong(Code::Missing, error.at("status"), "an error needs its HTTP status, 400 to 599");
            }
            continue;
        };
        let code = error.text("code", notes).unwrap_or_else(|| {
            notes.lenient(Code::Missing, error.at("code"), format!("absent, so error_{status}"));
            format!("error_{status}")
        });
        if code.len() > 64 || !code.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)) {
            notes.wrong(Code::Malformed, error.at("code"), format!("{} must be up to 64 letters, digits, '_', '-' and '.'", quoted(&code)));
        }
        let description = error.text("description", notes).unwrap_or_else(|| {
            notes.lenient(Code::Missing, error.at("description"), "absent, so the code");
            code.clone()
        });
        // One status may mean several things; one status with one code is one.
        if errors.iter().any(|other| (other.status, &other.code) == (status, &code)) {
            notes.lenient(Code::Repeated, error.path(), format!("{status} {} stands there twice", quoted(&code)));
        }
        errors.push(DeclaredError { status, code, description });
    }
    errors
}

/// Lets a final parameter take slashes where the document says so in prose,
/// which is the only place it can: "Key may include slashes".
fn take_slashes(routes: &mut [Route], prose: &str, notes: &mut Notes) {
    let mut said = prose.to_owned();
    for text in routes.iter().flat_map(Route::prose) {
        said.push('\n');
        said.push_str(&text.to_ascii_lowercase());
    }
    if !said.contains("slashes") {
        return;
    }
    for route in routes {
        if let Some(Segment::Param { name, slashes }) = route.path.segments.last_mut() {
            let lower = name.to_ascii_lowercase();
            let may = ["may include", "may contain", "can include", "can contain"];
            if !*slashes && may.iter().any(|may| said.contains(&format!("{lower} {may} slashes"))) {
                *slashes = true;
                notes.lenient(Code::SlashesInProse, format!("{}.route", route.place), format!("the prose says that :{name} takes slashes"));
            }
        }
    }
}

/// Makes the routes' names unique.
fn name(routes: &mut [Route], notes: &mut Notes) {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for route in routes {
        let base = route.name.clone();
        while taken.contains_key(&route.name) {
            let count = taken.entry(base.clone()).or_insert(1);
            *count += 1;
            route.name = format!("{base}{count}");
        }
        if route.name != base {
            let text = format!("{} is taken, so {}", route.operation, route.name);
            notes.lenient(Code::OperationRepeated, format!("{}.operation_id", route.place), text);
        }
        taken.insert(route.name.clone(), 1);
    }
}
