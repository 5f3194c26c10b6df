//! One object of a plan, read key by key. A key whose value is null counts as absent.

use std::{collections::BTreeMap, ops::RangeInclusive};

use serde_json::{Map, Value};

use super::{EXACT, MOST_FINDINGS};
use crate::suite::finding::{Code, Finding};

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Notes(pub Vec<Finding>);

impl Notes {
    pub fn add(&mut self, code: Code, path: impl Into<String>, message: impl Into<String>) {
        if self.0.len() < MOST_FINDINGS {
            self.0.push(Finding::new(code, path, message));
        }
    }
}

/// An object and where it stands.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    /// The object at `path`; a finding where it is none.
    pub fn of(value: &'a Value, path: impl Into<String>, notes: &mut Notes) -> Option<Self> {
        let path = path.into();
        match value {
            Value::Object(map) => Some(Self { map, path }),
            other => {
                notes.add(Code::WrongType, path, format!("must be an object, not {}", kind(other)));
                None
            }
        }
    }

    /// Where `key` stands.
    pub fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) }
    }

    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    fn wrong(&self, key: &str, wanted: &str, found: &Value, notes: &mut Notes) {
        notes.add(Code::WrongType, self.at(key), format!("must be {wanted}, not {}", kind(found)));
    }

    /// A key that has to be there.
    pub fn required(&self, key: &str, notes: &mut Notes) -> Option<&'a Value> {
        let found = self.get(key);
        if found.is_none() {
            notes.add(Code::Missing, self.at(key), "is missing");
        }
        found
    }

    /// A text; empty where absent.
    pub fn text(&self, key: &str, notes: &mut Notes) -> String {
        self.maybe(key, notes).unwrap_or_default()
    }

    /// A text, if it is there.
    pub fn maybe(&self, key: &str, notes: &mut Notes) -> Option<String> {
        match self.get(key)? {
            Value::String(text) => Some(text.clone()),
            other => {
                self.wrong(key, "a text", other, notes);
                None
            }
        }
    }

    /// A text that has to be there, and something in it.
    pub fn name(&self, key: &str, notes: &mut Notes) -> Option<String> {
        let found = self.required(key, notes)?;
        match found {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::String(_) => {
                notes.add(Code::WrongValue, self.at(key), "is empty");
                None
            }
            other => {
                self.wrong(key, "a text", other, notes);
                None
            }
        }
    }

    pub fn flag(&self, key: &str, notes: &mut Notes) -> bool {
        match self.get(key) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.wrong(key, "true or false", other, notes);
                false
            }
        }
    }

    /// A whole number, if it is there.
    pub fn whole(&self, key: &str, range: &RangeInclusive<u64>, notes: &mut Notes) -> Option<u64> {
        let found = self.get(key)?;
        let number = whole(found);
        if number.is_none_or(|n| !range.contains(&n)) {
            let code = if found.is_number() { Code::WrongValue } else { Code::WrongType };
            notes.add(code, self.at(key), format!("must be a whole number from {} to {}", range.start(), range.end()));
            return None;
        }
        number
    }

    /// An array; empty where absent.
    pub fn list(&self, key: &str, notes: &mut Notes) -> &'a [Value] {
        match self.get(key) {
            None => &[],
            Some(Value::Array(entries)) => entries,
            Some(other) => {
                self.wrong(key, "an array", other, notes);
                &[]
            }
        }
    }

    /// An array of texts; empty where absent.
    pub fn texts(&self, key: &str, notes: &mut Notes) -> Vec<String> {
        let mut texts = Vec::new();
        for (i, entry) in self.list(key, notes).iter().enumerate() {
            match entry {
                Value::String(text) => texts.push(text.clone()),
                other => notes.add(Code::WrongType, format!("{}[{i}]", self.at(key)), format!("must be a text, not {}", kind(other))),
            }
        }
        texts
    }

    /// An object's entries with where they stand; none where absent.
    pub fn entries(&self, key: &str, notes: &mut Notes) -> Vec<(&'a String, &'a Value, String)> {
        match self.get(key) {
            None => Vec::new(),
            Some(Value::Object(map)) => map.iter().map(|(name, value)| (name, value, format!("{}.{name}", self.at(key)))).collect(),
            Some(other) => {
                self.wrong(key, "an object", other, notes);
                Vec::new()
            }
        }
    }

    /// An object of texts; empty where absent.
    pub fn texts_by_name(&self, key: &str, notes: &mut Notes) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        for (name, value, path) in self.entries(key, notes) {
            match value {
                Value::String(text) => drop(found.insert(name.clone(), text.clone())),
                other => notes.add(Code::WrongType, path, format!("must be a text, not {}", kind(other))),
            }
        }
        found
    }

    /// Refuses keys beside those.
    pub fn only(&self, keys: &[&str], notes: &mut Notes) {
        for key in self.map.keys().filter(|key| !keys.contains(&key.as_str())) {
            notes.add(Code::WrongValue, self.at(key), format!("is not known here; {} are", keys.join(", ")));
        }
    }
}

/// A number without a fraction, as JSON Schema takes them: 1.0 is one.
pub(super) fn whole(value: &Value) -> Option<u64> {
    let float = || value.as_f64().filter(|n| n.fract() == 0.0 && *n >= 0.0 && *n <= 9_007_199_254_740_992.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, not negative, and exact")]
    value.as_u64().filter(|n| *n <= EXACT).or_else(|| float().map(|n| n as u64))
}

pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
