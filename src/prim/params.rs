//! Query parameters. The format has a type for each, and prose for all else:
//! `1-100, default 20`, `(required)`, `Max items (default 50, max 200)`.

use super::{
    code::Code,
    document::{QueryKind, QueryParam},
    fields::Fields,
    notes::{Notes, quoted},
};

/// Longest name: generated lines are laid out for it.
const LONGEST_NAME: usize = 40;

/// Reads a route's parameters.
pub(super) fn read(route: &Fields<'_>, notes: &mut Notes) -> Vec<QueryParam> {
    let mut params: Vec<QueryParam> = Vec::new();
    for entry in route.objects("query_params", notes) {
        let Some(param) = one(&entry, notes) else { continue };
        if params.iter().any(|p| p.name == param.name) {
            notes.lenient(Code::Repeated, entry.path(), format!("{} stands there twice; the first holds", param.name));
        } else {
            params.push(param);
        }
    }
    params
}

fn one(entry: &Fields<'_>, notes: &mut Notes) -> Option<QueryParam> {
    let name = entry.text("name", notes).unwrap_or_default();
    let fits = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        && name.len() <= LONGEST_NAME
        && name != "__proto__";
    if !fits {
        let text = format!("must be up to {LONGEST_NAME} letters, digits, '_', '-' and '.', a letter or '_' first");
        notes.wrong(Code::Malformed, entry.at("name"), text);
        return None;
    }
    let description = entry.text("description", notes).unwrap_or_default();
    let prose = Prose::of(&description);
    let kind = kind(entry, &name, notes);
    let number = matches!(kind, QueryKind::Integer | QueryKind::Number);
    let keys = Bounds::of(entry, number, notes);
    // Prose holds where no key says it.
    let open = number && keys.min.is_none() && keys.max.is_none();
    let (said_min, said_max) = match prose.range {
        Some((min, max)) if open => (Some(min), Some(max)),
        _ => (None, prose.max.filter(|_| open)),
    };
    let said_default = prose.default.filter(|_| number && keys.default.is_none());
    let said_required = prose.required && entry.get("required").is_none();
    if said_min.is_some() || said_max.is_some() || said_default.is_some() || said_required {
        notes.lenient(Code::RuleInProse, entry.at("description"), format!("{} is the parameter's rule", quoted(&description)));
    }
    let max = keys.max.or(said_max);
    let default = keys.default.or(said_default);
    // A count or an offset: nothing below nought makes sense.
    let counts = counts(&name) || max.is_some() || default.is_some();
    let min =
        keys.min.or(said_min).or(Some(0).filter(|_| number && counts && max.is_none_or(|max| max >= 0) && default.is_none_or(|d| d >= 0)));
    let fits = |n: &i64| min.is_none_or(|min| *n >= min) && max.is_none_or(|max| *n <= max);
    let default = default.filter(fits);
    let required = entry.flag("required", notes).unwrap_or(said_required);
    Some(QueryParam { name, kind, description, required: required && default.is_none(), min, max, default })
}

/// Names of parameters that count, whatever type is written beside them.
fn counts(name: &str) -> bool {
    ["limit", "offset"].contains(&name)
}

fn kind(entry: &Fields<'_>, name: &str, notes: &mut Notes) -> QueryKind {
    let given = entry.text("type", notes);
    match given.as_deref() {
        Some("integer") => QueryKind::Integer,
        Some(other @ ("number" | "string")) if counts(name) => {
            notes.lenient(Code::OtherSpelling, entry.at("type"), format!("{other} is read as integer, since {name} counts"));
            QueryKind::Integer
        }
        Some("string") => QueryKind::Text,
        Some("number") => QueryKind::Number,
        Some("boolean") => QueryKind::Flag,
        Some(other) => {
            notes.lenient(Code::UnknownWord, entry.at("type"), format!("{} is read as string", quoted(other)));
            QueryKind::Text
        }
        None => {
            notes.lenient(Code::Missing, entry.at("type"), "nothing is read as string");
            QueryKind::Text
        }
    }
}

/// What keys say of a number.
pub(super) struct Bounds {
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub default: Option<i64>,
}

impl Bounds {
    /// Reads `minimum`, `maximum` and `default`. They are not in old documents, and
    /// so have to be right.
    pub fn of(entry: &Fields<'_>, number: bool, notes: &mut Notes) -> Self {
        const RANGE: (i64, i64) = (-1_000_000_000, 1_000_000_000);
        let [min, max, default] = ["minimum", "maximum", "default"].map(|key| {
            let value = entry.integer(key, RANGE, notes);
            if entry.get(key).is_some() && !number {
                notes.wrong(Code::WrongType, entry.at(key), "is for numbers alone");
            }
            value
        });
        if let (Some(least), Some(most)) = (min, max)
            && least > most
        {
            notes.wrong(Code::OutOfRange, entry.at("minimum"), format!("{least} is above the maximum"));
        }
        if default.is_some_and(|n| min.is_some_and(|min| n < min) || max.is_some_and(|max| n > max)) {
            notes.wrong(Code::OutOfRange, entry.at("default"), "is not from minimum to maximum");
        }
        Self { min, max, default }
    }
}

/// What a description says to a machine.
#[derive(Debug, Default, PartialEq, Eq)]
struct Prose {
    range: Option<(i64, i64)>,
    max: Option<i64>,
    default: Option<i64>,
    required: bool,
}

impl Prose {
    fn of(text: &str) -> Self {
        let text = grouped(&text.to_ascii_lowercase().replace('–', "-"));
        let tokens: Vec<&str> = text.split(|c: char| c.is_whitespace() || ",;()".contains(c)).filter(|t| !t.is_empty()).collect();
        let number = |i: usize| tokens.get(i).and_then(|token| digits(token));
        let after = |words: &[&str]| {
            let mut places = (0..tokens.len()).filter(|i| words.contains(&tokens[*i].trim_end_matches(':')));
            places.find_map(|i| number(i + 1))
        };
        let dashed = tokens.iter().find_map(|token| {
            let (least, most) = token.split_once('-')?;
            Some((digits(least)?, digits(most)?))
        });
        let spelled = || (1..tokens.len()).find(|i| tokens[*i] == "to").and_then(|i| Some((number(i - 1)?, number(i + 1)?)));
        Self {
            range: dashed.or_else(spelled).filter(|(least, most)| least < most),
            max: after(&["max", "maximum"]),
            default: after(&["default", "defaults"]),
            required: text.contains("(required)"),
        }
    }
}

/// A text whose thousands have no commas: `1,000` is one number.
fn grouped(text: &str) -> String {
    let digit = |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
    let three = |at: usize| (1..=3).all(|n| digit(Some(at + n))) && !digit(Some(at + 4));
    let within = |at: usize, c: char| c == ',' && digit(at.checked_sub(1)) && three(at);
    text.char_indices().filter(|(at, c)| !within(*at, *c)).map(|(_, c)| c).collect()
}

/// A whole number that a person would write in prose.
fn digits(token: &str) -> Option<i64> {
    let token = token.trim_end_matches('.');
    (token.len() <= 9 && token.bytes().all(|b| b.is_ascii_digit())).then(|| token.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_read_where_it_is_plain() {
        let prose = |range, max, default, required| Prose { range, max, default, required };
        for (text, read) in [
            ("1-100, default 20", prose(Some((1, 100)), None, Some(20), false)),
            ("How many, 1 to 50; default 10", prose(Some((1, 50)), None, Some(10), false)),
            ("Max items (default 50, max 200)", prose(None, Some(200), Some(50), false)),
            ("Max 1,000, default 100", prose(None, Some(1000), Some(100), false)),
            ("1,2 or 3; max 10,000,000", prose(None, Some(10_000_000), None, false)),
            ("Pagination offset (default 0)", prose(None, None, Some(0), false)),
            ("EVM wallet address (required)", prose(None, None, None, true)),
            ("Filter by key prefix (e.g. notes/)", Prose::default()),
            ("Cursor from previous response's next_cursor", Prose::default()),
            ("A date such as 2026-02", Prose::default()),
        ] {
            // The date is a range of digits by its form, but one that falls.
            assert_eq!(Prose::of(text), read, "{text}");
        }
    }
}
