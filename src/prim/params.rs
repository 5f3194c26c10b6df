//! Query parameters. The format has a type for each, and prose for all else:
//! `1-100, default 20`, `(required)`, `Max items (default 50, max 200)`.

use super::{
    document::{QueryKind, QueryParam},
    fields::Fields,
    notes::Notes,
};

/// Longest name: generated lines are laid out for it.
const LONGEST_NAME: usize = 40;

/// Reads a route's parameters.
pub(super) fn read(route: &Fields<'_>, notes: &mut Notes) -> Vec<QueryParam> {
    let mut params: Vec<QueryParam> = Vec::new();
    for entry in route.objects("query_params", notes) {
        let Some(param) = one(&entry, notes) else { continue };
        if params.iter().any(|p| p.name == param.name) {
            notes.assume(entry.path(), format!("{} stands there twice; the first holds", param.name));
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
        notes.problem(entry.at("name"), format!("must be up to {LONGEST_NAME} letters, digits, '_', '-' and '.', a letter or '_' first"));
        return None;
    }
    let description = entry.text("description", notes).unwrap_or_default();
    let prose = Prose::of(&description);
    let counts = ["limit", "offset"].contains(&name.as_str());
    let kind = match entry.text("type", notes).as_deref() {
        Some("integer" | "number" | "string") if counts => QueryKind::Integer,
        Some("string") => QueryKind::Text,
        Some("integer") => QueryKind::Integer,
        Some("number") if prose.range.is_some() || prose.default.is_some() || prose.max.is_some() => QueryKind::Integer,
        Some("number") => QueryKind::Number,
        Some("boolean") => QueryKind::Flag,
        other => {
            notes.assume(entry.at("type"), format!("{} is read as string", other.map_or("nothing".into(), |o| format!("{o:?}"))));
            QueryKind::Text
        }
    };
    let number = matches!(kind, QueryKind::Integer | QueryKind::Number);
    let (min, max) = match (number, prose.range, prose.max) {
        (true, Some((min, max)), _) => (Some(min), Some(max)),
        // A count or an offset: nothing below nought makes sense.
        (true, None, max) if counts || prose.default.is_some() || max.is_some() => (Some(0), max),
        _ => (None, None),
    };
    let fits = |n: &i64| min.is_none_or(|min| *n >= min) && max.is_none_or(|max| *n <= max);
    let default = prose.default.filter(|_| number).filter(fits);
    let required = match entry.get("required") {
        Some(_) => entry.flag("required", notes).unwrap_or(false),
        None => prose.required,
    };
    if min.is_some() || max.is_some() || default.is_some() || prose.required {
        notes.assume(entry.at("description"), format!("{description:?} is the parameter's rule"));
    }
    Some(QueryParam { name, kind, description, required: required && default.is_none(), min, max, default })
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
        let text = text.to_ascii_lowercase().replace('–', "-");
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
