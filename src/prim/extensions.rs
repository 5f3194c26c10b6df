//! What a route may say that old documents do not: its path parameters, who may
//! call it, and what implements it. No old document has them, so nothing here is
//! lenient.

use serde_json::Value;

use super::{
    code::Code,
    document::{Auth, BackendPattern, PathParam, QueryKind, RouteBackend},
    fields::Fields,
    notes::{Finding, Notes, quoted},
    params::Bounds,
    path::Path,
    programs::launched,
};

/// The route's `params`.
pub(super) fn params(route: &Fields<'_>, path: &Path, notes: &mut Notes) -> Vec<PathParam> {
    let mut params: Vec<PathParam> = Vec::new();
    for entry in route.objects("params", notes) {
        let Some(name) = entry.text("name", notes) else {
            notes.wrong(Code::Missing, entry.at("name"), "a parameter needs the name that it has in the path");
            continue;
        };
        if !path.params().any(|param| param == name) {
            notes.wrong(Code::NoSuchParameter, entry.at("name"), format!("{} is not in {path}", quoted(&name)));
            continue;
        }
        if params.iter().any(|param| param.name == name) {
            notes.wrong(Code::Repeated, entry.path(), format!("{name} stands there twice"));
        }
        let kind = match entry.text("type", notes).as_deref() {
            Some("string") => QueryKind::Text,
            Some("integer") => QueryKind::Integer,
            other => {
                let code = if other.is_some() { Code::UnknownWord } else { Code::Missing };
                notes.wrong(code, entry.at("type"), "must be string or integer");
                continue;
            }
        };
        let bounds = Bounds::of(&entry, kind == QueryKind::Integer, notes);
        let description = entry.text("description", notes).unwrap_or_default();
        params.push(PathParam { name, kind, description, min: bounds.min, max: bounds.max });
    }
    params
}

/// The route's `auth`.
pub(super) fn auth(route: &Fields<'_>, notes: &mut Notes) -> Option<Auth> {
    match route.text("auth", notes)?.as_str() {
        "none" => Some(Auth::None),
        "wallet" => Some(Auth::Wallet),
        "internal" => Some(Auth::Internal),
        other => {
            notes.wrong(Code::UnknownWord, route.at("auth"), format!("{} must be none, wallet or internal", quoted(other)));
            None
        }
    }
}

/// The route's `backend`: a pattern, or a mapping with its settings.
pub(super) fn backend(route: &Fields<'_>, notes: &mut Notes) -> Option<RouteBackend> {
    let bare = |pattern| RouteBackend { pattern, provider: None, operation: None, command: Vec::new() };
    let value = route.get("backend")?;
    if let Value::String(word) = value {
        return pattern(word, &route.at("backend"), notes).map(bare);
    }
    let fields = Fields::of(value, route.at("backend"), notes)?;
    let Some(word) = fields.text("pattern", notes) else {
        notes.wrong(Code::Missing, fields.at("pattern"), "a backend needs its pattern");
        return None;
    };
    let pattern = pattern(&word, &fields.at("pattern"), notes)?;
    let command = match fields.get("command") {
        None => Vec::new(),
        Some(Value::Array(words)) if words.iter().all(Value::is_string) && !words.is_empty() => {
            words.iter().filter_map(|word| word.as_str().map(str::to_owned)).collect()
        }
        Some(_) => {
            notes.wrong(Code::WrongType, fields.at("command"), "must be a list of texts, since no shell reads it");
            Vec::new()
        }
    };
    if let Some(i) = launched(&command) {
        let what = format!("{} runs what its arguments say, and a caller would say it", quoted(command.first().map_or("", String::as_str)));
        let remedy = "name a program that does this one thing, or put the code into a file".into();
        notes.add(Finding { remedy, ..Finding::new(Code::Malformed, format!("{}[{i}]", fields.at("command")), what) });
    }
    let (cli, vendor) = (pattern == BackendPattern::Cli, matches!(pattern, BackendPattern::RestJson | BackendPattern::Sdk));
    if cli && fields.get("command").is_none() {
        notes.wrong(Code::Missing, fields.at("command"), "cli needs the program and its arguments");
    }
    for (key, fits, which) in
        [("command", cli, "cli"), ("provider", vendor, "rest-json and sdk"), ("operation", vendor, "rest-json and sdk")]
    {
        if fields.get(key).is_some() && !fits {
            notes.wrong(Code::UnknownKey, fields.at(key), format!("is for {which} alone"));
        }
    }
    Some(RouteBackend { pattern, provider: fields.text("provider", notes), operation: fields.text("operation", notes), command })
}

fn pattern(word: &str, path: &str, notes: &mut Notes) -> Option<BackendPattern> {
    match word {
        "native" => Some(BackendPattern::Native),
        "rest-json" => Some(BackendPattern::RestJson),
        "cli" => Some(BackendPattern::Cli),
        "sdk" => Some(BackendPattern::Sdk),
        other => {
            notes.wrong(Code::UnknownWord, path, format!("{} must be native, rest-json, cli or sdk", quoted(other)));
            None
        }
    }
}
