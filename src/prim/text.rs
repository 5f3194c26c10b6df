//! From a text to a value, within bounds: who sends a document may be anybody.
//! And back: where in the text a path stands.

use std::{collections::BTreeMap, slice::Iter};

use granit_parser::{Event, Parser, Span};
use serde_json::Value;

use super::{
    code::Code,
    notes::{Finding, Notes, Position, quoted},
    quick,
    shape::within,
};

/// Bytes of the largest document.
pub const LARGEST: usize = 1024 * 1024;
/// Levels of mappings and lists in the deepest.
const DEEPEST: usize = 32;
/// Mappings, lists and scalars in the largest.
const NODES: usize = 50_000;

/// A text as a value. The one finding says what is wrong, and where.
pub(super) fn parse(text: &str) -> Result<Value, Finding> {
    Ok(Parsed::of(text)?.value)
}

/// What a text says, and what helps to find it there again.
pub(super) struct Parsed<'a> {
    /// What it says.
    pub value: Value,
    text: &'a str,
    /// Where the whole, each key and each entry stand, in the order of the text, where
    /// it is ordinary YAML.
    places: Option<Vec<Position>>,
}

impl<'a> Parsed<'a> {
    /// Reads a text.
    pub fn of(text: &'a str) -> Result<Self, Finding> {
        if text.len() > LARGEST {
            return Err(Finding::new(Code::TooLarge, "", format!("has {} bytes", text.len())));
        }
        if let Some(at) = text.find('\0') {
            let finding = Finding::new(Code::ControlCharacter, "", "has a NUL character");
            return Err(Finding { position: Some(position(text, at)), ..finding });
        }
        Ok(match quick::read(text, DEEPEST, NODES) {
            Some((value, places)) => Self { value, text, places: Some(places) },
            None => Self { value: library(text)?, text, places: None },
        })
    }

    /// Says of each finding where in the text it stands: at its path, or at the nearest
    /// that there is around it.
    pub fn locate(&self, findings: &mut [Finding]) {
        let mut all: Vec<&mut Finding> = findings.iter_mut().collect();
        let Some(places) = &self.places else {
            let positions = Positions::of(self.text);
            all.into_iter().for_each(|finding| finding.position = positions.find(&finding.path));
            return;
        };
        let mut places = places.iter();
        let Some(whole) = places.next() else { return };
        all.iter_mut().for_each(|finding| finding.position = Some(*whole));
        locate(&self.value, "", &mut places, &mut all);
    }
}

/// The same for what is within a value. The places of what nothing was found in are
/// passed by.
fn locate(value: &Value, path: &str, places: &mut Iter<'_, Position>, findings: &mut [&mut Finding]) {
    let mut entry = |inner: &Value, path: &dyn Fn() -> String, findings: &mut [&mut Finding]| {
        let Some(place) = places.next() else { return };
        if findings.is_empty() {
            return locate(inner, "", places, &mut []);
        }
        let path = path();
        let holds =
            |finding: &Finding| finding.path.strip_prefix(&path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
        let mut here: Vec<&mut Finding> = findings.iter_mut().filter(|finding| holds(finding)).map(|finding| &mut **finding).collect();
        here.iter_mut().for_each(|finding| finding.position = Some(*place));
        locate(inner, &path, places, &mut here);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| entry(inner, &|| within(path, key), findings)),
        Value::Array(entries) => {
            entries.iter().enumerate().for_each(|(i, inner)| entry(inner, &|| format!("{path}[{i}]"), findings));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The same of whatever YAML there is.
pub(super) fn library(text: &str) -> Result<Value, Finding> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        emit_comments: false,
        // As YAML 1.2 has them: `on` is a text.
        strict_booleans: true,
        underscored_numbers_as_strings: true,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
        budget: serde_saphyr::budget! { max_documents: 1, max_depth: DEEPEST, max_nodes: NODES, max_aliases: 1_000 },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(|at| Position { line: count(at.line()), column: count(at.column()) });
        let mut said = said(&error);
        // A message may quote what it stumbled over.
        if let Some((end, _)) = said.char_indices().nth(300) {
            said.truncate(end);
        }
        Finding { position: place, ..Finding::new(Code::NotYaml, "", format!("is not YAML: {}", said.replace('\n', " "))) }
    })
}

/// What aliases do that mean many times what they are.
const MULTIPLIED: &str = "its aliases multiply beyond what is taken: write out what they mean";

/// What is wrong, in words of ours: the library's are for who calls it.
fn said(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::{Error, budget::BudgetBreach};
    let fixed = match error.without_snippet() {
        Error::DuplicateMappingKey { key: Some(key), .. } => return format!("the key {} is there twice: keep one", quoted(key)),
        Error::DuplicateMappingKey { key: None, .. } => "a key is there twice: keep one",
        Error::UnknownAnchor { .. } => "an alias names an anchor that is not before it",
        Error::RecursiveReferencesRequireWeakTypes { .. } => "an alias stands within what it names",
        Error::AliasReplayLimitExceeded { .. } | Error::AliasExpansionLimitExceeded { .. } => MULTIPLIED,
        Error::MergeValueNotMapOrSeqOfMaps { .. } => "<< takes a mapping, or a list of them",
        Error::InvalidBinaryBase64 { .. } => "what !!binary stands before is no Base64",
        Error::Unexpected { expected: "string scalar", .. } => "a key is no text",
        Error::Budget { breach, .. } => match breach {
            BudgetBreach::Documents { .. } => "it holds several documents: keep one",
            BudgetBreach::Depth { .. } => return format!("it is nested more than {DEEPEST} levels deep"),
            BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. } => return format!("it holds more than {NODES} values"),
            BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. } | BudgetBreach::AliasAnchorRatio { .. } => {
                "it has more aliases than are taken"
            }
            _ => "it is larger than what is taken",
        },
        _ => return parsing(&error.to_string()),
    };
    fixed.into()
}

/// What the parser stumbled over, without the place, which is said beside it.
fn parsing(said: &str) -> String {
    let said = said.split(" at line ").next().unwrap_or(said);
    let begins = |begin: &str| said.starts_with(begin);
    match () {
        () if begins("mapping values are not allowed") => {
            "a colon makes no key here: put the text in quotes, or mend how far lines are indented".into()
        }
        () if begins("unexpected character: `") => {
            let character = said.trim_start_matches("unexpected character: `").trim_end_matches('\'');
            format!("a value can't begin with {character}: put it in quotes")
        }
        () if begins("alias replay limit") => MULTIPLIED.into(),
        () if said.contains("found a tab") || begins("tabs disallowed") => "a tab stands where only spaces indent".into(),
        () if begins("cannot deserialize null into string") => "a key is no text".into(),
        () if begins("non-finite float") => "a number is larger than any that is taken, or none: put it in quotes".into(),
        () if begins("recursion limit exceeded") => format!("it is nested more than {DEEPEST} levels deep"),
        () => said.into(),
    }
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn position(text: &str, at: usize) -> Position {
    let before = &text[..at];
    let line = before.rfind('\n').map_or(0, |newline| newline + 1);
    Position { line: before.matches('\n').count() + 1, column: before[line..].chars().count() + 1 }
}

/// Refuses a value that is too deep or too large, or has a NUL in a text,
/// wherever it came from.
pub(super) fn bounded(value: &Value, notes: &mut Notes) -> Result<(), ()> {
    let mut nodes = 0;
    let mut level = vec![value];
    for depth in 0.. {
        if depth > DEEPEST || nodes > NODES {
            notes.wrong(Code::TooLarge, "", format!("has more than {DEEPEST} levels or {NODES} values"));
            return Err(());
        }
        if level.is_empty() {
            break;
        }
        nodes += level.len();
        let mut next = Vec::new();
        for value in level {
            let nul = match value {
                Value::String(text) => text.contains('\0'),
                Value::Array(entries) => {
                    next.extend(entries);
                    false
                }
                Value::Object(map) => {
                    next.extend(map.values());
                    map.keys().any(|key| key.contains('\0'))
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => false,
            };
            if nul {
                notes.wrong(Code::ControlCharacter, "", "a text in it has a NUL character");
                return Err(());
            }
        }
        level = next;
    }
    Ok(())
}

/// Where the paths of a text stand: a key's at the key, an entry's at the entry.
#[derive(Debug, Default)]
pub(super) struct Positions(BTreeMap<String, Position>);

/// A mapping or a list that is being gone through.
enum Open {
    /// Its path, and the key whose value comes next.
    Mapping(String, Option<String>),
    /// Its path, and the number of the entry that comes next.
    List(String, usize),
}

impl Positions {
    /// Goes through a text that [`parse`] took.
    pub fn of(text: &str) -> Self {
        let mut found = Self::default();
        let mut open: Vec<Open> = Vec::new();
        for event in Parser::new_from_str(text) {
            let Ok((event, span)) = event else { break };
            match event {
                Event::Scalar(text, ..) => {
                    if let Some(Open::Mapping(_, key @ None)) = open.last_mut() {
                        *key = Some(text.into_owned());
                        found.note(&open, &span);
                    } else {
                        found.begin(&mut open, &span);
                    }
                }
                Event::MappingStart(..) => {
                    let path = found.begin(&mut open, &span);
                    open.push(Open::Mapping(path, None));
                }
                Event::SequenceStart(..) => {
                    let path = found.begin(&mut open, &span);
                    open.push(Open::List(path, 0));
                }
                Event::Alias(..) => {
                    found.begin(&mut open, &span);
                }
                Event::MappingEnd | Event::SequenceEnd => {
                    open.pop();
                }
                _ => {}
            }
        }
        found
    }

    /// Notes where the key stands that was just read.
    fn note(&mut self, open: &[Open], span: &Span) {
        if let Some(Open::Mapping(path, Some(key))) = open.last() {
            self.set(within(path, key), span);
        }
    }

    fn set(&mut self, path: String, span: &Span) {
        let position = Position { line: span.start.line(), column: span.start.col() + 1 };
        self.0.entry(path).or_insert(position);
    }

    /// A value begins: its path.
    fn begin(&mut self, open: &mut [Open], span: &Span) -> String {
        match open.last_mut() {
            None => {
                self.set(String::new(), span);
                String::new()
            }
            // A key that is a mapping itself has no path; reading refused it.
            Some(Open::Mapping(path, key)) => key.take().map_or_else(String::new, |key| within(path, &key)),
            Some(Open::List(path, next)) => {
                let path = format!("{path}[{next}]");
                *next += 1;
                self.set(path.clone(), span);
                path
            }
        }
    }

    /// Where a path stands, or the nearest that there is around it.
    pub fn find(&self, path: &str) -> Option<Position> {
        let mut path = path;
        loop {
            if let Some(position) = self.0.get(path) {
                return Some(*position);
            }
            if path.is_empty() {
                return None;
            }
            path = &path[..path.rfind(['.', '[']).unwrap_or(0)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_same_however_the_text_was_read() {
        for text in [
            include_str!("../../tests/document/complete.yaml"),
            include_str!("../../tests/scaffold/documents/notes.yaml"),
            "- a\n- {b: [1, {c: 2}], \"d.e\": 3,\n   f: [[4]]}\n",
            "just a text",
        ] {
            let parsed = Parsed::of(text).unwrap();
            assert!(parsed.places.is_some(), "{text}");
            let positions = Positions::of(text);
            let paths = positions.0.keys().flat_map(|path| [path.clone(), within(path, "absent"), format!("{path}[999].x")]);
            let mut findings: Vec<_> = paths.map(|path| Finding::new(Code::Missing, path, "")).collect();
            parsed.locate(&mut findings);
            for finding in findings {
                assert_eq!(finding.position, positions.find(&finding.path), "{} of {text}", finding.path);
            }
        }
    }

    #[test]
    fn what_is_no_yaml_is_told_in_words_for_its_author() {
        let deep = format!("a: {}{}", "[".repeat(40), "]".repeat(40));
        let laughs = (1..7).fold("a0: &a0 [x, x]\n".to_owned(), |text, i| {
            let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
            format!("{text}a{i}: &a{i} [{aliases}]\n")
        });
        for (text, place, said) in [
            ("id: a\nid: b\n", (2, 1), "the key \"id\" is there twice: keep one"),
            ("a: *nothing\n", (1, 4), "an alias names an anchor that is not before it"),
            ("a: &a [*a]\n", (1, 8), "an alias stands within what it names"),
            ("a: {<<: 3}\n", (1, 9), "<< takes a mapping, or a list of them"),
            ("a: !!binary \"x y\"\n", (1, 13), "what !!binary stands before is no Base64"),
            ("? [a, b]\n: c\n", (1, 3), "a key is no text"),
            ("id: a\n---\nid: b\n", (2, 1), "it holds several documents: keep one"),
            (&deep, (1, 35), "it is nested more than 32 levels deep"),
            (&laughs, (5, 0), "its aliases multiply beyond what is taken: write out what they mean"),
            ("id: @x\n", (1, 5), "a value can't begin with @: put it in quotes"),
            ("a: b: c\n", (1, 5), "a colon makes no key here: put the text in quotes, or mend how far lines are indented"),
            ("id: a\n\tname: b\n", (1, 5), "a tab stands where only spaces indent"),
            ("id: [a\n", (1, 5), "unclosed bracket '['"),
            ("id: a\nnull: b\n", (2, 1), "a key is no text"),
            ("order: 1e400\n", (1, 8), "a number is larger than any that is taken, or none: put it in quotes"),
        ] {
            let finding = parse(text).unwrap_err();
            assert_eq!(finding.text, format!("is not YAML: {said}"));
            let position = finding.position.unwrap();
            // Where in its line aliases are too many, the library counts by itself.
            let column = if place.1 == 0 { 0 } else { position.column };
            assert_eq!((position.line, column), place, "{said}");
        }
    }
}
