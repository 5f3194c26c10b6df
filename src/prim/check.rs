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
    notes::{Finding, MOST, Notes, Problem, quoted},
    read::{assemble, finished},
    shape::Place,
    text::Parsed,
};

/// What a text comes to, strictly and leniently.
#[derive(Debug)]
pub struct Checked {
    /// The document, where it can be read; else what is in the way.
    pub document: Result<Document, Vec<Problem>>,
    /// In what the text is not strict, and where in it that stands.
    pub findings: Vec<Finding>,
}

/// Checks a text and reads it: a document, or a Primitive that holds one.
pub fn check_text(text: &str) -> Checked {
    let mut parsed = match Parsed::of(text) {
        Ok(parsed) => parsed,
        Err(finding) => return Checked { document: Err(vec![finding.clone().problem()]), findings: vec![finding] },
    };
    let held = held(&parsed.value);
    let (document, mut findings) = look(held.unwrap_or(&parsed.value));
    if !findings.is_empty() {
        if held.is_some() {
            for finding in &mut findings {
                let dot = if finding.path.is_empty() { "" } else { "." };
                finding.path = format!("spec.document{dot}{}", finding.path);
            }
        }
        parsed.locate(&mut findings);
        findings.sort_by_key(|finding| finding.position);
    }
    let inner = held.cloned();
    let given = inner.unwrap_or_else(|| std::mem::take(&mut parsed.value));
    Checked { document: document.map(|document| document.holding(given)), findings }
}

/// The document that a Primitive's manifest holds.
fn held(value: &Value) -> Option<&Value> {
    (value["kind"] == "Primitive").then(|| &value["spec"]["document"])
}

/// Checks a document. No finding is a promise: it reads without anything being
/// taken for granted that the format does not say.
pub fn check(value: &Value) -> Vec<Finding> {
    look(value).1
}

/// What can be read of it, and in what it is not strict.
fn look(value: &Value) -> (Result<Document, Vec<Problem>>, Vec<Finding>) {
    let mut shape = Notes::default();
    let mut read = Notes::default();
    // Reading looks first: it refuses what is too large to be looked at further.
    let document = assemble(value, &mut read);
    if let Some(finding) = read.wrong.iter().find(|finding| finding.path.is_empty()) {
        let finding = finding.clone();
        return (finished(None, &mut read), vec![finding]);
    }
    FORM.document.check(&FORM.kind, value, &Place::Root(""), &mut shape);
    match &document {
        Some(document) => rules(document, value, &mut shape),
        None => of_any_id(value).iter().for_each(|document| rules(document, value, &mut shape)),
    }
    let document = finished(document, &mut read);
    let mut findings = shape.wrong;
    // Who reads a route knows which part of it is wrong; its form says no more than that it is.
    for finding in findings.iter_mut().filter(|finding| finding.code == Code::Malformed && finding.path.ends_with(".route")) {
        if let Some(said) = read.wrong.iter().chain(&read.lenient).find(|said| said.path == finding.path) {
            finding.text.clone_from(&said.text);
            finding.remedy.clone_from(&said.remedy);
        }
    }
    let seen: BTreeSet<String> = findings.iter().map(|finding| finding.path.clone()).collect();
    let more = read.wrong.into_iter().chain(read.lenient).filter(|finding| !seen.contains(&finding.path));
    findings.extend(more);
    findings.sort_by(|a, b| (&a.path, a.code).cmp(&(&b.path, b.code)));
    findings.dedup_by(|a, b| a.path == b.path && a.code == b.code);
    if findings.len() >= MOST {
        findings.truncate(MOST - 1);
        findings.push(Finding::new(Code::TooLarge, "", format!("has more problems than the {} that are listed", MOST - 1)));
    }
    (document, findings)
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
