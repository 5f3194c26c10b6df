//! Shapes of values: one description from which a value is checked, with codes
//! and paths, and from which its JSON Schema is written. `form.rs` has the
//! document's.

use std::{fmt, sync::OnceLock};

use regex::Regex;
use serde_json::Value;

use super::{
    code::Code,
    fields::kind,
    notes::{Finding, Notes, quoted},
};

/// Entries that a list or a mapping may have.
pub(super) const MOST_ENTRIES: usize = 500;

/// What a value may be.
pub(super) enum Shape {
    Any,
    Null,
    Flag,
    /// Any number.
    Number,
    /// A whole number from one to another.
    Integer(i64, i64),
    /// One of these numbers.
    Numbers(&'static [i64]),
    Text(&'static Pattern),
    /// One of these words.
    Word(&'static [&'static str]),
    List {
        of: Box<Shape>,
        least: usize,
        unique: bool,
    },
    Object(Object),
    /// A mapping whose keys the document makes.
    Map {
        key: &'static Pattern,
        of: Box<Shape>,
    },
    /// One of several, of different types.
    Either(Vec<Shape>),
    /// The shape that is passed along with the check: `$defs/type`.
    Itself,
}

/// A mapping whose keys the format makes. Keys that begin with `x-` are anybody's.
#[derive(Default)]
pub(super) struct Object {
    pub fields: Vec<Field>,
    /// Whether other keys may be there too.
    pub open: bool,
    /// Keys that are read, and the key to write instead.
    pub others: &'static [(&'static str, &'static str)],
    pub when: Vec<When>,
}

/// One key of an [`Object`].
pub(super) struct Field {
    pub key: &'static str,
    pub about: &'static str,
    pub shape: Shape,
    pub required: bool,
}

/// What else holds where a key has a certain value.
pub(super) struct When {
    pub key: &'static str,
    pub is: Is,
    pub then: Then,
}

pub(super) enum Is {
    /// A text that begins with one of these words and a space.
    Begins(&'static [&'static str]),
    Number(i64),
    Text(&'static str),
}

pub(super) enum Then {
    /// This key must be there.
    Needs(&'static str),
    /// This key is absent or null.
    Nothing(&'static str),
}

/// What a text looks like.
pub(super) struct Pattern {
    /// A regular expression that ECMA 262 and `regex` read alike.
    pub regex: &'static str,
    /// What it takes, in words.
    pub words: &'static str,
    /// How many characters it takes.
    pub longest: usize,
    /// Texts of that form that are not taken.
    pub not: &'static [&'static str],
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub const fn new(regex: &'static str, longest: usize, words: &'static str) -> Self {
        Self { regex, words, longest, not: &[], compiled: OnceLock::new() }
    }

    pub const fn but(regex: &'static str, longest: usize, words: &'static str, not: &'static [&'static str]) -> Self {
        Self { regex, words, longest, not, compiled: OnceLock::new() }
    }

    /// Its regular expression. All are there: a test of `form.rs` compiles each.
    pub fn compiled(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| Regex::new(self.regex).ok()).as_ref()
    }

    fn takes(&self, text: &str) -> bool {
        self.compiled().is_some_and(|regex| regex.is_match(text)) && !self.not.contains(&text)
    }

    fn check(&self, text: &str, path: &Place<'_>, notes: &mut Notes) {
        // A text of n bytes has n characters at most.
        if text.len() > self.longest && text.chars().count() > self.longest {
            wrong(Code::OutOfRange, path, "is too long", format!("write {} characters at most", self.longest), notes);
        } else if !self.takes(text) {
            wrong(Code::Malformed, path, format!("{} does not fit", quoted(text)), format!("write {}", self.words), notes);
        }
    }
}

/// Where a value stands. Its path is written out only where something is wrong.
pub(super) enum Place<'a> {
    Root(&'a str),
    Key(&'a Place<'a>, &'a str),
    Entry(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(path) => f.write_str(path),
            Self::Key(outer, key) => f.write_str(&within(&outer.to_string(), key)),
            Self::Entry(outer, i) => write!(f, "{outer}[{i}]"),
        }
    }
}

/// The path of a key within `path`.
pub(super) fn within(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.len() <= 64 && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-$".contains(&b));
    match (plain, path.is_empty()) {
        (true, true) => key.into(),
        (true, false) => format!("{path}.{key}"),
        (false, _) => format!("{path}[{}]", quoted(key)),
    }
}

fn wrong(code: Code, path: &Place<'_>, text: impl Into<String>, remedy: impl Into<String>, notes: &mut Notes) {
    notes.add(Finding { remedy: remedy.into(), ..Finding::new(code, path.to_string(), text) });
}

fn listed(words: &[&str]) -> String {
    words.join(", ")
}

/// A whole number in JSON Schema's sense: `200.0` is one.
pub(super) fn whole(value: &Value) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "no fraction, and within what a double counts exactly")]
    let of = |float: f64| (float.fract() == 0.0 && float.abs() <= EXACT).then_some(float as i64);
    value.as_i64().or_else(|| value.as_f64().and_then(of))
}

impl Shape {
    pub fn list(of: Self) -> Self {
        Self::List { of: Box::new(of), least: 0, unique: false }
    }

    pub fn or_null(self) -> Self {
        Self::Either(vec![self, Self::Null])
    }

    /// Everything in which a value differs. `itself` is what [`Shape::Itself`] is.
    pub fn check(&self, itself: &Self, value: &Value, path: &Place<'_>, notes: &mut Notes) {
        match (self, value) {
            (Self::Any, _) | (Self::Null, Value::Null) | (Self::Flag, Value::Bool(_)) | (Self::Number, Value::Number(_)) => {}
            (Self::Itself, _) => itself.check(itself, value, path, notes),
            (Self::Integer(least, most), Value::Number(_)) => {
                if !whole(value).is_some_and(|n| (*least..=*most).contains(&n)) {
                    let remedy = format!("write a whole number from {least} to {most}");
                    wrong(Code::OutOfRange, path, format!("{value} is none that is taken"), remedy, notes);
                }
            }
            (Self::Numbers(numbers), Value::Number(_)) => {
                if !whole(value).is_some_and(|n| numbers.contains(&n)) {
                    let all: Vec<_> = numbers.iter().map(ToString::to_string).collect();
                    wrong(
                        Code::OutOfRange,
                        path,
                        format!("{value} is none that is taken"),
                        format!("write one of {}", all.join(", ")),
                        notes,
                    );
                }
            }
            (Self::Text(pattern), Value::String(text)) => pattern.check(text, path, notes),
            (Self::Word(words), Value::String(text)) => {
                if !words.contains(&text.as_str()) {
                    let text = format!("{} is no word that is taken", quoted(text));
                    wrong(Code::UnknownWord, path, text, format!("write one of {}", listed(words)), notes);
                }
            }
            (Self::List { of, least, unique }, Value::Array(entries)) => {
                if entries.len() < *least || entries.len() > MOST_ENTRIES {
                    let remedy = format!("write {least} to {MOST_ENTRIES}");
                    wrong(Code::OutOfRange, path, format!("has {} entries", entries.len()), remedy, notes);
                }
                for (i, entry) in entries.iter().enumerate().take(MOST_ENTRIES) {
                    let place = Place::Entry(path, i);
                    if *unique && entries[..i].contains(entry) {
                        notes.wrong(Code::Repeated, place.to_string(), "stands there twice");
                    } else {
                        of.check(itself, entry, &place, notes);
                    }
                }
            }
            (Self::Map { key: pattern, of }, Value::Object(map)) => {
                if map.len() > MOST_ENTRIES {
                    wrong(Code::OutOfRange, path, format!("has {} entries", map.len()), format!("write {MOST_ENTRIES} at most"), notes);
                }
                for (key, value) in map.iter().take(MOST_ENTRIES) {
                    let place = Place::Key(path, key);
                    pattern.check(key, &place, notes);
                    of.check(itself, value, &place, notes);
                }
            }
            (Self::Object(object), Value::Object(_)) => object.check(itself, value, path, notes),
            (Self::Either(shapes), value) => match shapes.iter().find(|shape| shape.is_of(itself, value)) {
                Some(shape) => shape.check(itself, value, path, notes),
                None => self.mistyped(itself, value, path, notes),
            },
            (_, value) => self.mistyped(itself, value, path, notes),
        }
    }

    fn mistyped(&self, itself: &Self, value: &Value, path: &Place<'_>, notes: &mut Notes) {
        let wanted = self.words(itself);
        wrong(Code::WrongType, path, format!("is {}", kind(value)), format!("write {wanted}"), notes);
    }

    /// Whether a value has the JSON type of this shape.
    fn is_of(&self, itself: &Self, value: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Null => value.is_null(),
            Self::Flag => value.is_boolean(),
            Self::Number | Self::Integer(..) | Self::Numbers(_) => value.is_number(),
            Self::Text(_) | Self::Word(_) => value.is_string(),
            Self::List { .. } => value.is_array(),
            Self::Object(_) | Self::Map { .. } => value.is_object(),
            Self::Either(shapes) => shapes.iter().any(|shape| shape.is_of(itself, value)),
            Self::Itself => itself.is_of(itself, value),
        }
    }

    fn words(&self, itself: &Self) -> String {
        match self {
            Self::Any => "anything".into(),
            Self::Null => "null".into(),
            Self::Flag => "true or false".into(),
            Self::Number => "a number".into(),
            Self::Integer(least, most) => format!("a whole number from {least} to {most}"),
            Self::Numbers(_) => "a whole number".into(),
            Self::Text(pattern) => pattern.words.into(),
            Self::Word(words) => format!("one of {}", listed(words)),
            Self::List { .. } => "a list".into(),
            Self::Object(_) | Self::Map { .. } => "a mapping".into(),
            Self::Either(shapes) => shapes.iter().map(|shape| shape.words(itself)).collect::<Vec<_>>().join(", or "),
            Self::Itself => itself.words(itself),
        }
    }
}

impl Object {
    fn check(&self, itself: &Shape, value: &Value, path: &Place<'_>, notes: &mut Notes) {
        let Value::Object(map) = value else { return };
        for (key, value) in map {
            if let Some(field) = self.fields.iter().find(|field| field.key == key) {
                field.shape.check(itself, value, &Place::Key(path, key), notes);
            } else if !self.open && !key.starts_with("x-") {
                self.unknown(key, &Place::Key(path, key), notes);
            }
        }
        let missing = |key: &str, notes: &mut Notes| {
            let about = self.fields.iter().find(|field| field.key == key).map_or("", |field| field.about);
            wrong(Code::Missing, &Place::Key(path, key), "is not there", format!("add it ({})", about.trim_end_matches('.')), notes);
        };
        for field in self.fields.iter().filter(|field| field.required && !map.contains_key(field.key)) {
            missing(field.key, notes);
        }
        for when in self.when.iter().filter(|when| map.get(when.key).is_some_and(|value| when.is.true_of(value))) {
            match when.then {
                Then::Needs(key) if !map.contains_key(key) => missing(key, notes),
                Then::Nothing(key) if map.get(key).is_some_and(|value| !value.is_null()) => {
                    notes.wrong(Code::NoBodyHere, Place::Key(path, key).to_string(), "there is nothing here in HTTP");
                }
                Then::Needs(_) | Then::Nothing(_) => {}
            }
        }
    }

    fn unknown(&self, key: &str, path: &Place<'_>, notes: &mut Notes) {
        match self.others.iter().find(|(other, _)| *other == key) {
            Some((_, right)) => wrong(Code::OtherSpelling, path, format!("is another word for {right}"), format!("write {right}"), notes),
            None => notes.wrong(Code::UnknownKey, path.to_string(), "is no key of the format"),
        }
    }
}

impl Is {
    fn true_of(&self, value: &Value) -> bool {
        match self {
            Self::Begins(words) => value.as_str().and_then(|text| text.split_once(' ')).is_some_and(|(first, _)| words.contains(&first)),
            Self::Number(number) => whole(value) == Some(*number),
            Self::Text(text) => value.as_str() == Some(text),
        }
    }
}
