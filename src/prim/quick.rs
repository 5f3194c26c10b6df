//! YAML as documents are usually written, without the machinery that all of YAML
//! needs. Both ways give up on whatever is out of the ordinary, and the library does
//! it then; where they don't, tests hold each against it.

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

use super::notes::Position;

/// Keys that most mappings have room for, so that they don't grow in steps.
const USUAL: usize = 8;

/// A mapping or a list whose entries are still to come.
enum Open {
    /// What it has so far, and the key whose value comes next.
    Mapping(Map<String, Value>, Option<String>),
    List(Vec<Value>),
}

/// What a text says that has no anchors, aliases, tags, directives and merge keys,
/// whose keys are texts and differ, and which is not deeper or larger than told; and
/// where, as they come, the whole, each key and each entry of a list stand.
pub(super) fn read(text: &str, deepest: usize, most: usize) -> Option<(Value, Vec<Position>)> {
    let mut open: Vec<Open> = Vec::new();
    let mut places = Vec::with_capacity(text.len() / 32);
    let mut whole = None;
    let mut begun = false;
    let mut left = most;
    for event in Parser::new_from_str_with_options(text, granit_parser::options! { emit_comments: false }) {
        let (event, span) = event.ok()?;
        let begins = matches!(event, Event::Scalar(..) | Event::MappingStart(..) | Event::SequenceStart(..));
        if begins && !matches!(open.last(), Some(Open::Mapping(_, Some(_)))) {
            places.push(Position { line: span.start.line(), column: span.start.col() + 1 });
        }
        let value = match event {
            Event::DocumentStart(_, None) if !begun => {
                begun = true;
                continue;
            }
            Event::StreamStart | Event::DocumentEnd => continue,
            Event::StreamEnd => return whole.map(|value| (value, places)),
            Event::Scalar(text, ScalarStyle::Plain, 0, None) => {
                let value = plain(&text)?;
                value.unwrap_or_else(|| Value::String(text.into_owned()))
            }
            Event::Scalar(text, _, 0, None) => Value::String(text.into_owned()),
            Event::MappingStart(_, 0, None) if open.len() < deepest => {
                // A key is no mapping.
                if let Some(Open::Mapping(_, None)) = open.last() {
                    return None;
                }
                open.push(Open::Mapping(Map::with_capacity(USUAL), None));
                continue;
            }
            Event::SequenceStart(_, 0, None) if open.len() < deepest => {
                if let Some(Open::Mapping(_, None)) = open.last() {
                    return None;
                }
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => match open.pop()? {
                Open::Mapping(map, _) => Value::Object(map),
                Open::List(entries) => Value::Array(entries),
            },
            _ => return None,
        };
        left = left.checked_sub(1)?;
        match (open.last_mut(), value) {
            (None, value) => whole = Some(value),
            (Some(Open::List(entries)), value) => entries.push(value),
            (Some(Open::Mapping(_, key @ None)), Value::String(text)) if text != "<<" => *key = Some(text),
            (Some(Open::Mapping(_, None)), _) => return None,
            (Some(Open::Mapping(map, key)), value) => {
                if map.insert(key.take()?, value).is_some() {
                    return None;
                }
            }
        }
    }
    None
}

/// A scalar without quotes that is no text; else `Some(None)`. None where it may be
/// a number, and is not written as numbers mostly are.
fn plain(text: &str) -> Option<Option<Value>> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Some(Value::Null)),
        "true" | "True" | "TRUE" => return Some(Some(Value::Bool(true))),
        "false" | "False" | "FALSE" => return Some(Some(Value::Bool(false))),
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) || text.contains('_') {
        return Some(None);
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (digits, decimals) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.len() < 18 && text.bytes().all(|b| b.is_ascii_digit());
    if all_digits(digits) && all_digits(decimals) && (digits == "0" || !digits.starts_with('0')) {
        let whole = || text.parse::<i64>().ok().map(Number::from);
        return whole().or_else(|| Number::from_f64(text.parse().ok()?)).map(|number| Some(Value::Number(number)));
    }
    // Other numbers: of other bases, with exponents, without a digit first, infinite.
    let odd = unsigned.starts_with("0x") || unsigned.starts_with(['+', '.']) || unsigned.starts_with('0');
    (!odd && text.parse::<f64>().is_err()).then_some(None)
}

/// How wide a text may be before it is folded.
const WIDTH: usize = 80;

/// A value as YAML in the library's layout, where its keys are plain, no list holds
/// a list, and each text is of one of four forms.
pub(super) fn write(value: &Value) -> Option<String> {
    let Value::Object(map) = value else { return None };
    let mut out = String::with_capacity(4096);
    mapping(map, 0, &mut out)?;
    (!map.is_empty()).then_some(out)
}

fn indent(column: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', column));
}

fn mapping(map: &Map<String, Value>, column: usize, out: &mut String) -> Option<()> {
    for (i, (key, value)) in map.iter().enumerate() {
        // The first one may stand behind a dash.
        if i > 0 || out.is_empty() || out.ends_with('\n') {
            indent(column, out);
        }
        let plain = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '$')
            && key.len() < 100
            && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"$_-".contains(&b))
            && !is_word(key);
        if !plain {
            return None;
        }
        out.push_str(key);
        out.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                mapping(inner, column + 2, out)?;
            }
            Value::Array(entries) if !entries.is_empty() => {
                out.push('\n');
                list(entries, column, out)?;
            }
            other => {
                out.push(' ');
                scalar(other, column, out)?;
            }
        }
    }
    Some(())
}

fn list(entries: &[Value], column: usize, out: &mut String) -> Option<()> {
    for entry in entries {
        indent(column, out);
        out.push_str("- ");
        match entry {
            Value::Object(inner) if !inner.is_empty() => mapping(inner, column + 2, out)?,
            Value::Array(inner) if !inner.is_empty() => return None,
            other => scalar(other, column, out)?,
        }
    }
    Some(())
}

/// What has no entries, with the line's end.
fn scalar(value: &Value, column: usize, out: &mut String) -> Option<()> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        // Fractions have forms of their own.
        Value::Number(number) if number.is_f64() => out.push_str(serde_saphyr::to_string(number).ok()?.trim_end()),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
        Value::String(text) => {
            let seen = |c: char| c == '\n' || c == ' ' || !(c.is_control() || c.is_whitespace() || matches!(c, '\u{feff}' | '\u{fffe}'..));
            if !text.bytes().all(|b| matches!(b, b' '..=b'~')) && !text.chars().all(seen) {
                return None;
            }
            return if text.contains('\n') { literal(text, column + 2, out) } else { line(text, column + 2, out) };
        }
    }
    out.push('\n');
    Some(())
}

/// A text of several lines, `column` of them.
fn literal(text: &str, column: usize, out: &mut String) -> Option<()> {
    let content = text.strip_suffix('\n').unwrap_or(text);
    // Where the lines begin is told by the first one, and how many end it by a sign.
    let odd = |line: &str| !line.is_empty() && line.trim_start_matches(' ').is_empty();
    if content.starts_with([' ', '\n']) || content.ends_with('\n') || content.is_empty() || content.split('\n').any(odd) {
        return None;
    }
    out.push_str(if content.len() == text.len() { "|-\n" } else { "|\n" });
    for line in content.split('\n') {
        if !line.is_empty() {
            indent(column, out);
            out.push_str(line);
        }
        out.push('\n');
    }
    Some(())
}

/// A text of one line: as it is, in quotes, or folded at `column`.
fn line(text: &str, column: usize, out: &mut String) -> Option<()> {
    if !is_bare(text)? {
        out.push('"');
        for c in text.chars() {
            if c == '"' || c == '\\' {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
    } else if text.len() > WIDTH && text.chars().count() > WIDTH {
        out.push_str(">-\n");
        return folded(text, column, out);
    } else {
        out.push_str(text);
    }
    out.push('\n');
    Some(())
}

/// Breaks a text at the last space but one word before it grows too wide.
fn folded(text: &str, column: usize, out: &mut String) -> Option<()> {
    // More than one space is folded in another way.
    if text.contains("  ") {
        return None;
    }
    let (mut start, mut width, mut space) = (0, 0, None);
    let mut before = '.';
    for (at, c) in text.char_indices() {
        if before == ' ' {
            space = Some(at - 1);
        }
        before = c;
        width += 1;
        if width > WIDTH {
            let end = space.take()?;
            indent(column, out);
            out.push_str(&text[start..end]);
            out.push('\n');
            (start, width) = (end + 1, 0);
        }
    }
    indent(column, out);
    out.push_str(&text[start..]);
    out.push('\n');
    Some(())
}

/// Words that some reader takes for something else than texts.
fn is_word(text: &str) -> bool {
    const WORDS: [&str; 13] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf", "=", "~"];
    text.len() < 6 && WORDS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether a text of one line needs no quotes; none where that is not plain to see.
fn is_bare(text: &str) -> Option<bool> {
    let Some(first) = text.chars().next() else { return Some(false) };
    let number = |c: char| c.is_ascii_digit() || "+-._:".contains(c) || "abcdefxoABCDEFXOtTzZ ".contains(c);
    match first {
        // `2026-02` is none, and a date with a day is one for some; `1.2.3` is for others.
        '0'..='9' if text.chars().all(|c| c.is_ascii_digit() || c == '.') => return Some(false),
        '0'..='9' if text.split_once('-').is_some_and(|(a, b)| [a, b].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit()))) => {}
        '0'..='9' if text.chars().all(number) => return None,
        '0'..='9' => {}
        _ if text == "#" => return None,
        '+' | '-' | '.' | '_' | '?' | '<' => return None,
        ',' | ':' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' | ' ' => return Some(false),
        _ if is_word(text) => return Some(false),
        _ => {}
    }
    Some(!(text.ends_with([' ', ':']) || text.contains(": ") || text.contains(" #")))
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*};

    use super::*;
    use crate::prim::text::library;

    fn quick(text: &str) -> Option<Value> {
        Some(read(text, 32, 50_000)?.0)
    }

    /// Texts that one reader or another takes for something else, and some that none does.
    fn texts() -> impl Strategy<Value = String> {
        let known = prop::sample::select(vec![
            "",
            " ",
            "-",
            "- a",
            "?",
            "? a",
            ":",
            "a: b",
            "a:",
            "a:b",
            "#",
            "a #b",
            "a#b",
            "~",
            "null",
            "Null",
            "true",
            "yes",
            "No",
            "on",
            "y",
            "=",
            "<<",
            "0",
            "-1",
            "+1",
            "1.5",
            "0.1.0",
            "007",
            "0x1f",
            "1e5",
            "1_0",
            ".5",
            ".inf",
            "nan",
            "2026-02",
            "2026-02-23",
            "2026-02-23 10:00:00",
            "12:30",
            "1MB",
            "100 a day",
            "---",
            "--- a",
            "...",
            "%a",
            "@a",
            "`a",
            "!a",
            "&a",
            "*a",
            "|",
            ">",
            "[a]",
            "{a}",
            "'a'",
            "\"a\"",
            "a\\b",
            "it's",
            "a\nb",
            "a\n",
            "\na",
            " a\nb",
            "a\n\n",
            "a\n \nb",
            "a\tb",
            "→ b",
            "é",
            "a\u{a0}b",
            "\u{2028}",
            "\u{feff}",
            "日本",
            "a\r\nb",
            "$ref",
            "a, b",
            "/v1/x",
            "free",
        ]);
        let known = known.prop_map(str::to_owned);
        let long = collection::vec("[a-z:#'\"→-]{1,12}", 8..30).prop_map(|words| words.join(" "));
        prop_oneof![4 => known, 2 => "[ -~\n]{0,40}", 1 => any::<String>(), 2 => long]
    }

    fn values() -> impl Strategy<Value = Value> {
        let number = prop_oneof![any::<i64>().prop_map(Value::from), any::<u64>().prop_map(Value::from), (-9.0..9.0).prop_map(Value::from)];
        let leaf =
            prop_oneof![1 => Just(Value::Null), 1 => any::<bool>().prop_map(Value::from), 1 => number, 9 => texts().prop_map(Value::from)];
        leaf.prop_recursive(4, 40, 6, |inner| {
            let key = prop_oneof![8 => "[a-z_]{1,8}", 1 => texts()];
            prop_oneof![
                collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                collection::vec((key, inner), 0..6).prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1000) })]

        #[test]
        fn what_is_written_says_the_same(value in values()) {
            if let Some(text) = write(&value) {
                prop_assert_eq!(&text, &serde_saphyr::to_string(&value).unwrap());
                prop_assert_eq!(library(&text).unwrap(), value.clone());
                prop_assert_eq!(quick(&text).unwrap_or_else(|| value.clone()), value);
            }
        }

        #[test]
        fn what_is_read_the_library_reads_alike(value in values(), cut in any::<prop::sample::Index>(), more in "[-a-z0-9:#\n '\"\\[\\]{},&*!|>%~.+_]{0,8}") {
            let mut text = serde_saphyr::to_string(&value).unwrap();
            let places: Vec<_> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            for text in [text.clone(), { text.insert_str(places[cut.index(places.len())], &more); text }] {
                if let Some(read) = quick(&text) {
                    prop_assert_eq!(library(&text), Ok(read), "{}", text);
                }
            }
        }
    }

    #[test]
    fn a_scalar_is_what_the_library_takes_it_for() {
        let scalars = "~ null NULL nULL true True tRUE false yes on 0 -0 7 -7 +7 007 0.5 -0.5 1. .5 -.5 1e3 1e999 1E-3 0x1F 0o17 0b1 1_000 \
            99999999999999999 9223372036854775807 18446744073709551615 99999999999999999999 .inf -.inf .nan inf nan 0.1.0 1.2.3 2026-02 \
            2026-02-23 12:30 1MB 100k 1-2 -a --- +a .a 00 0123456789 a~ <<";
        for scalar in scalars.split_whitespace() {
            for text in [format!("a: {scalar}"), format!("[{scalar}, b]"), format!("{scalar}: a"), format!("- {scalar}")] {
                if let Some(read) = quick(&text) {
                    assert_eq!(library(&text), Ok(read), "{text}");
                }
            }
        }
    }

    #[test]
    fn what_is_out_of_the_ordinary_is_left_to_the_library() {
        let deep = format!("{}{}", "[".repeat(33), "]".repeat(33));
        for text in [
            "",
            "# nothing",
            "a: &x 1",
            "a: &x 1\nb: *x",
            "a: !!str 1",
            "a: !x 1",
            "<<: {a: 1}",
            "a: 1\na: 2",
            "{a: 1, \"a\": 2}",
            "? [a]\n: 1",
            "1: a",
            "~: a",
            "a: 1\n---\nb: 2",
            "%YAML 1.1\n---\na: 1",
            "a: [",
            &deep,
        ] {
            assert_eq!(quick(text), None, "{text}");
        }
    }

    #[test]
    fn documents_as_they_are_written_are_not() {
        for text in [
            include_str!("../../tests/document/complete.yaml"),
            include_str!("../../tests/scaffold/documents/notes.yaml"),
            include_str!("../../tests/scaffold/documents/board.yaml"),
        ] {
            let value = quick(text).unwrap();
            assert_eq!(library(text), Ok(value.clone()));
            // One says `-P`, which some would read otherwise.
            assert_eq!(write(&value), serde_saphyr::to_string(&value).ok().filter(|text| !text.contains("- -P")));
        }
    }
}
