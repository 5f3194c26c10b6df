//! The strict checker: everything in which a document differs from the format,
//! all at once. `form.rs` has what a schema can say; here is the rest, and what
//! the lenient reader had to assume.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    code::Code,
    document::{Document, ProviderStatus, Route},
    fields::Fields,
    form::FORM,
    notes::{Finding, MOST, Notes, quoted},
    read::assemble,
    shape::Place,
    text::{Positions, parse},
};

/// Checks a text, and says for each finding where it stands. Returns what the
/// text holds, where it is YAML at all.
pub fn check_text(text: &str) -> (Option<Value>, Vec<Finding>) {
    let value = match parse(text) {
        Ok(value) => value,
        Err(finding) => return (None, vec![finding]),
    };
    // The document may stand inside a Primitive.
    let (inner, prefix) = match held(&value) {
        Some(document) => (document, "spec.document"),
        None => (&value, ""),
    };
    let mut findings = check(inner);
    if !findings.is_empty() {
        let positions = Positions::of(text);
        for finding in &mut findings {
            finding.path = match (prefix.is_empty(), finding.path.is_empty()) {
                (true, _) => std::mem::take(&mut finding.path),
                (false, true) => prefix.into(),
                (false, false) => format!("{prefix}.{}", finding.path),
            };
            finding.position = positions.find(&finding.path);
        }
        findings.sort_by_key(|finding| finding.position);
    }
    let inner = if prefix.is_empty() { value } else { inner.clone() };
    (Some(inner), findings)
}

/// The document that a Primitive's manifest holds.
fn held(value: &Value) -> Option<&Value> {
    (value["kind"] == "Primitive").then(|| &value["spec"]["document"])
}

/// Checks a document. No finding is a promise: it reads without anything being
/// taken for granted that the format does not say.
pub fn check(value: &Value) -> Vec<Finding> {
    let mut shape = Notes::default();
    let mut read = Notes::default();
    // Reading looks first: it refuses what is too large to be looked at further.
    let document = assemble(value, &mut read);
    if let Some(finding) = read.wrong.iter().find(|finding| finding.path.is_empty()) {
        return vec![finding.clone()];
    }
    FORM.document.check(&FORM.kind, value, &Place::Root(""), &mut shape);
    if let Some(document) = document.or_else(|| of_any_id(value)) {
        rules(&document, value, &mut shape);
    }
    let mut findings = shape.wrong;
    let seen: BTreeSet<String> = findings.iter().map(|finding| finding.path.clone()).collect();
    let more = read.wrong.into_iter().chain(read.lenient).filter(|finding| !seen.contains(&finding.path));
    findings.extend(more);
    findings.sort_by(|a, b| (&a.path, a.code).cmp(&(&b.path, b.code)));
    findings.dedup_by(|a, b| a.path == b.path && a.code == b.code);
    if findings.len() >= MOST {
        findings.truncate(MOST - 1);
        findings.push(Finding::new(Code::TooLarge, "", format!("has more problems than the {} that are listed", MOST - 1)));
    }
    findings
}

/// The document as it would be with an id that is one, so that a bad one hides
/// nothing else.
fn of_any_id(value: &Value) -> Option<Document> {
    let mut value = value.clone();
    value.as_object_mut()?.insert("id".into(), "x".into());
    assemble(&value, &mut Notes::default())
}

/// The part of [`check`] that [`super::schema`] says too.
pub fn check_shape(value: &Value) -> Vec<Finding> {
    let mut notes = Notes::default();
    FORM.document.check(&FORM.kind, value, &Place::Root(""), &mut notes);
    notes.wrong
}

/// What a schema can't say.
fn rules(document: &Document, given: &Value, notes: &mut Notes) {
    for route in &document.routes {
        price(route, document, given, notes);
        backend(route, document, notes);
    }
    providers(document, notes);
    sizes(given, notes);
}

/// A route that looks free in a paid document, and has no price of its own.
fn price(route: &Route, document: &Document, given: &Value, notes: &mut Notes) {
    let place = route.place.strip_prefix("routes_map[").and_then(|rest| rest.strip_suffix(']')).and_then(|i| i.parse::<usize>().ok());
    // One that is no price is said to be none, and not to be absent.
    let written = place.is_some_and(|i| !given["routes_map"][i]["price"].is_null());
    if document.free || route.price.is_some() || written {
        return;
    }
    // What the prose says is read as its readers do: by the word.
    let words = |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word.eq_ignore_ascii_case("free"));
    if route.notes.as_deref().is_some_and(words) {
        notes.wrong(Code::PriceUnclear, format!("{}.price", route.place), "is absent, and notes speaks of free");
    } else if route.error(402).is_none() {
        notes.wrong(Code::PriceUnclear, format!("{}.price", route.place), "is absent, and errors has no 402");
    }
}

fn backend(route: &Route, document: &Document, notes: &mut Notes) {
    let named = route.backend.as_ref().and_then(|backend| backend.provider.as_ref());
    if let Some(name) = named
        && !document.providers.iter().any(|provider| provider.name == *name)
    {
        notes.wrong(
            Code::ProviderUnknown,
            format!("{}.backend.provider", route.place),
            format!("{} is not among the providers", quoted(name)),
        );
    }
}

fn providers(document: &Document, notes: &mut Notes) {
    let mut names = BTreeSet::new();
    for provider in &document.providers {
        if !names.insert(&provider.name) {
            notes.wrong(
                Code::ProviderRepeated,
                format!("{}.name", provider.place),
                format!("{} stands there twice", quoted(&provider.name)),
            );
        }
        let missing: Vec<_> = provider.env.iter().filter(|name| !document.env.contains(name)).map(String::as_str).collect();
        if !missing.is_empty() {
            notes.wrong(Code::ProviderEnv, format!("{}.env", provider.place), format!("{} is not in env", missing.join(", ")));
        }
    }
    let active: Vec<_> = document.providers.iter().filter(|provider| provider.status == ProviderStatus::Active).collect();
    let defaults = active.iter().filter(|provider| provider.default).count();
    if active.len() > 1 && defaults != 1 {
        notes.wrong(Code::ProviderDefault, "providers", format!("{} of {} active ones are the default", defaults, active.len()));
    }
}

fn sizes(given: &Value, notes: &mut Notes) {
    let mut silent = Notes::default();
    let size = |key: &str, silent: &mut Notes| {
        let fields = Fields::of(given, "", silent)?;
        fields.inner(key, silent)?.text("max_body_size", silent)
    };
    if let (Some(factory), Some(deploy)) = (size("factory", &mut silent), size("deploy", &mut silent))
        && factory != deploy
    {
        notes.wrong(Code::BodyLimits, "deploy.max_body_size", format!("{} is not factory's {}", quoted(&deploy), quoted(&factory)));
    }
}
