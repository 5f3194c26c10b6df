//! The vendors behind a primitive, in both shapes that are in use:
//! `{name, env, status, default, url}` and `{name, env_key, description}`.

use super::{
    code::Code,
    document::{Provider, ProviderStatus},
    fields::Fields,
    notes::{Notes, quoted},
};

/// Reads them.
pub(super) fn read(document: &Fields<'_>, notes: &mut Notes) -> Vec<Provider> {
    document.objects("providers", notes).iter().filter_map(|entry| one(entry, notes)).collect()
}

fn one(entry: &Fields<'_>, notes: &mut Notes) -> Option<Provider> {
    let Some(name) = entry.text("name", notes) else {
        notes.wrong(Code::Missing, entry.at("name"), "a provider needs a name");
        return None;
    };
    if super::words(&name).is_empty() || name.len() > 60 {
        notes.wrong(
            Code::Malformed,
            entry.at("name"),
            format!("{} must be up to 60 characters with a letter or digit among them", quoted(&name)),
        );
        return None;
    }
    let mut env = variables(entry, "env", notes);
    if let Some(key) = entry.text("env_key", notes) {
        if !env.is_empty() && is_variable(&key) {
            notes.lenient(Code::OtherSpelling, entry.at("env_key"), "stands beside env, and is left out");
        } else if is_variable(&key) {
            notes.lenient(Code::OtherSpelling, entry.at("env_key"), "is the one entry of env");
            env.push(key);
        } else {
            notes.wrong(Code::Malformed, entry.at("env_key"), NOT_A_VARIABLE);
        }
    }
    let status = match entry.text("status", notes).as_deref() {
        Some("active") => ProviderStatus::Active,
        None => {
            notes.lenient(Code::Missing, entry.at("status"), "absent, so active");
            ProviderStatus::Active
        }
        Some(_) => ProviderStatus::Other,
    };
    Some(Provider { place: entry.path().into(), name, env, status, default: entry.flag("default", notes).unwrap_or(false) })
}

const NOT_A_VARIABLE: &str = "must be the name of an environment variable: up to 60 capitals, digits and '_', no digit first";

/// A list of environment variables.
pub(super) fn variables(entry: &Fields<'_>, key: &str, notes: &mut Notes) -> Vec<String> {
    let mut names = Vec::new();
    for (path, value) in entry.list(key, notes) {
        match value.as_str() {
            Some(name) if names.iter().any(|n| n == name) => notes.lenient(Code::Repeated, path, format!("{name} stands there twice")),
            Some(name) if is_variable(name) => names.push(name.to_owned()),
            _ => notes.wrong(Code::Malformed, path, NOT_A_VARIABLE),
        }
    }
    names
}

fn is_variable(name: &str) -> bool {
    name.len() <= 60
        && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}
