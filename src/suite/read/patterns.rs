//! Expectations of values.

use serde_json::Value;

use super::fields::{Fields, Notes, kind, whole};
use crate::suite::{
    finding::Code,
    pattern::{Pattern, Range, Rule, Word},
};

/// Every matcher, and what it takes.
pub(in crate::suite) const MATCHERS: [&str; 10] =
    ["$nullable", "$optional", "$oneOf", "$absent", "$number", "$each", "$length", "$contains", "$equals", "$schema"];
/// What a reference to a schema begins with.
pub(in crate::suite) const SCHEMAS: &str = "#/schemas/";

/// What is expected of a value.
pub(super) fn pattern(value: &Value, path: &str, notes: &mut Notes) -> Pattern {
    match value {
        Value::Null => Pattern::Anything,
        Value::String(text) => word(text).map_or_else(|| Pattern::Text(text.clone()), Pattern::Word),
        Value::Bool(_) | Value::Number(_) => Pattern::Literal(value.clone()),
        Value::Array(entries) => {
            let mut read: Vec<_> = entries.iter().enumerate().map(|(i, entry)| pattern(entry, &format!("{path}[{i}]"), notes)).collect();
            Pattern::First((!read.is_empty()).then(|| Box::new(read.swap_remove(0))))
        }
        Value::Object(map) if map.keys().any(|key| key.starts_with('$')) => {
            let rules = map.iter().filter_map(|(key, value)| rule(key, value, &format!("{path}.{key}"), notes)).collect();
            Pattern::All(rules)
        }
        Value::Object(map) => {
            Pattern::Fields(map.iter().map(|(key, value)| (key.clone(), pattern(value, &format!("{path}.{key}"), notes))).collect())
        }
    }
}

/// prim.sh's word that a text is, if it is one.
pub(in crate::suite) fn word(text: &str) -> Option<Word> {
    Some(match text {
        "string" => Word::String,
        "non-empty string" => Word::SomeString,
        "number" => Word::Number,
        "boolean" => Word::Boolean,
        "array" => Word::Array,
        "array (non-empty)" => Word::SomeArray,
        other => {
            // JavaScript's white space, and its digits.
            let blank = |c: char| c.is_whitespace() && c != '\u{85}' || c == '\u{feff}';
            let digits = other.strip_prefix("number")?.trim_start_matches(blank).strip_prefix(">=")?.trim_start_matches(blank);
            let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            Word::AtLeast(digits.parse().ok().filter(|_| number)?)
        }
    })
}

fn rule(key: &str, value: &Value, path: &str, notes: &mut Notes) -> Option<Rule> {
    let wrong = |wanted: &str, notes: &mut Notes| {
        notes.add(Code::WrongType, path, format!("must be {wanted}, not {}", kind(value)));
        None
    };
    Some(match (key, value) {
        ("$nullable", inner) => Rule::Nullable(pattern(inner, path, notes)),
        ("$optional", inner) => Rule::Optional(pattern(inner, path, notes)),
        ("$each", inner) => Rule::Each(pattern(inner, path, notes)),
        ("$equals", value) => Rule::Equals(value.clone()),
        ("$oneOf", Value::Array(entries)) if !entries.is_empty() => {
            Rule::OneOf(entries.iter().enumerate().map(|(i, entry)| pattern(entry, &format!("{path}[{i}]"), notes)).collect())
        }
        ("$oneOf", _) => return wrong("an array with something in it", notes),
        ("$absent", Value::Bool(true)) => Rule::Absent,
        ("$absent", _) => return wrong("true", notes),
        ("$number", _) => Rule::Number(range(value, path, false, notes)?),
        ("$length", _) => Rule::Length(range(value, path, true, notes)?),
        ("$contains", Value::String(text)) => Rule::Contains(text.clone()),
        ("$contains", _) => return wrong("a text", notes),
        ("$schema", Value::String(text)) if text.strip_prefix(SCHEMAS).is_some_and(is_name) => {
            Rule::Schema(text[SCHEMAS.len()..].to_owned())
        }
        ("$schema", _) => {
            notes.add(Code::WrongValue, path, format!("must be {SCHEMAS} and a name of letters, digits, _, . and -"));
            return None;
        }
        _ => {
            notes.add(
                Code::UnknownMatcher,
                path,
                format!("is no matcher; those are {}, and stand beside no other keys", MATCHERS.join(", ")),
            );
            return None;
        }
    })
}

/// Whether a schema can be called so.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

fn range(value: &Value, path: &str, counts: bool, notes: &mut Notes) -> Option<Range> {
    let fields = Fields::of(value, path, notes)?;
    fields.only(if counts { &["min", "max"] } else { &["min", "max", "integer"] }, notes);
    let mut bound = |key: &str| {
        let found = fields.get(key)?;
        let fits = if counts { whole(found).is_some() } else { found.is_number() };
        if !fits {
            notes.add(Code::WrongType, fields.at(key), if counts { "must be a count" } else { "must be a number" });
        }
        found.as_f64().filter(|_| fits)
    };
    Some(Range { min: bound("min"), max: bound("max"), integer: !counts && fields.flag("integer", notes) })
}
