//! One object of a document, read key by key. A key whose value is null counts
//! as absent; a value of another type is taken where its meaning is plain.

use std::fmt::Display;

use serde_json::{Map, Value};

use super::{
    code::Code,
    notes::Notes,
    shape::{MOST_ENTRIES, whole},
};

/// An object and where it stands.
pub(super) struct Fields<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

impl<'a> Fields<'a> {
    /// The object at `path`; a problem where it is none.
    pub fn of(value: &'a Value, path: impl Into<String>, notes: &mut Notes) -> Option<Self> {
        let path = path.into();
        match value {
            Value::Object(map) => Some(Self { map, path }),
            other => {
                notes.wrong(Code::WrongType, path, format!("must be a mapping, not {}", kind(other)));
                None
            }
        }
    }

    /// Where `key` stands.
    pub fn at(&self, key: &str) -> String {
        if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) }
    }

    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the key is written, even as null.
    pub fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    /// A text. A number or a boolean is taken as it is written.
    pub fn text(&self, key: &str, notes: &mut Notes) -> Option<String> {
        match self.get(key)? {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            value @ (Value::Number(_) | Value::Bool(_)) => {
                notes.lenient(Code::WrongType, self.at(key), format!("{value} is the text \"{value}\""));
                Some(value.to_string())
            }
            other => {
                notes.wrong(Code::WrongType, self.at(key), format!("must be a text, not {}", kind(other)));
                None
            }
        }
    }

    /// A boolean; `"true"` and `"false"` are taken.
    pub fn flag(&self, key: &str, notes: &mut Notes) -> Option<bool> {
        match self.get(key)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text == "true" || text == "false" => {
                notes.lenient(Code::WrongType, self.at(key), format!("the text \"{text}\" is the boolean"));
                Some(text == "true")
            }
            other => {
                notes.wrong(Code::WrongType, self.at(key), format!("must be true or false, not {}", kind(other)));
                None
            }
        }
    }

    /// A whole number from `least` to `most`; its digits in quotes are taken.
    pub fn integer<N: TryFrom<i64> + PartialOrd + Display>(&self, key: &str, (least, most): (N, N), notes: &mut Notes) -> Option<N> {
        let number = match self.get(key)? {
            Value::String(text) => text.trim().parse().ok().inspect(|_: &i64| {
                notes.lenient(Code::WrongType, self.at(key), "the digits are the number");
            }),
            value => whole(value),
        };
        let number = number.and_then(|n| N::try_from(n).ok()).filter(|n| (&least..=&most).contains(&n));
        if number.is_none() {
            notes.wrong(Code::OutOfRange, self.at(key), format!("must be a whole number from {least} to {most}"));
        }
        number
    }

    /// A list with the place of each entry; empty where it is absent.
    pub fn list(&self, key: &str, notes: &mut Notes) -> Vec<(String, &'a Value)> {
        match self.get(key) {
            None => Vec::new(),
            Some(Value::Array(entries)) if entries.len() > MOST_ENTRIES => {
                notes.wrong(Code::TooLarge, self.at(key), format!("has {} entries, of which {MOST_ENTRIES} are taken", entries.len()));
                Vec::new()
            }
            Some(Value::Array(entries)) => entries.iter().enumerate().map(|(i, v)| (format!("{}[{i}]", self.at(key)), v)).collect(),
            Some(other) => {
                notes.wrong(Code::WrongType, self.at(key), format!("must be a list, not {}", kind(other)));
                Vec::new()
            }
        }
    }

    /// A list of objects; entries that are none are problems.
    pub fn objects(&self, key: &str, notes: &mut Notes) -> Vec<Fields<'a>> {
        let entries = self.list(key, notes);
        entries.into_iter().filter_map(|(path, value)| Fields::of(value, path, notes)).collect()
    }

    /// A list of texts. One that YAML made a mapping (`- Note: …`) is prose, and
    /// left out with a word about it.
    pub fn texts(&self, key: &str, notes: &mut Notes) -> Vec<String> {
        let entries = self.list(key, notes);
        let text = |(path, value): (String, &Value)| match value {
            Value::String(text) => Some(text.trim().to_owned()),
            Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
            other => {
                notes.lenient(Code::WrongType, path, format!("is no text but {}, and is left out: put it in quotes", kind(other)));
                None
            }
        };
        entries.into_iter().filter_map(text).filter(|text| !text.is_empty()).collect()
    }

    /// A mapping that may be absent.
    pub fn inner(&self, key: &str, notes: &mut Notes) -> Option<Fields<'a>> {
        Fields::of(self.get(key)?, self.at(key), notes)
    }
}

/// What a value is, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}
