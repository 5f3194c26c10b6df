//! Whether a value is like a pattern, by our rules.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    hidden,
    pattern::{Pattern, Range, Rule, Word},
    plan::Plan,
    secrets::Secrets,
    template::Filler,
};

/// Characters of an answer that a message repeats.
const EXCERPT: usize = 80;

/// What patterns are held against.
pub(super) struct Matcher<'a> {
    pub plan: &'a Plan,
    pub variables: &'a BTreeMap<String, String>,
}

impl Matcher<'_> {
    /// Whether a value, or that there is none, is like a pattern; where not, says so.
    pub fn fits(&self, actual: Option<&Value>, pattern: &Pattern, path: &str) -> Result<(), String> {
        match pattern {
            Pattern::Anything => Ok(()),
            Pattern::Word(word) => Self::word(actual, *word, path),
            Pattern::Text(text) => {
                let none = Secrets::default();
                let wanted = Filler::of(self.variables, &none).fill(text).map_err(|_| format!("{path}: {text} is not known"))?.text;
                check(
                    actual.and_then(Value::as_str).is_some_and(|actual| same_text(actual, &wanted)),
                    actual,
                    &Value::from(wanted).to_string(),
                    path,
                )
            }
            Pattern::Literal(wanted) => check(actual.is_some_and(|actual| equal(actual, wanted)), actual, &wanted.to_string(), path),
            Pattern::First(first) => {
                let entries = actual.and_then(Value::as_array);
                check(entries.is_some(), actual, "an array", path)?;
                match (first, entries.and_then(|entries| entries.first())) {
                    (Some(first), Some(entry)) => self.fits(Some(entry), first, &format!("{path}[0]")),
                    _ => Ok(()),
                }
            }
            Pattern::Fields(fields) => {
                let map = actual.and_then(Value::as_object);
                check(map.is_some(), actual, "an object", path)?;
                fields.iter().try_for_each(|(key, wanted)| self.fits(map.and_then(|map| map.get(key)), wanted, &format!("{path}.{key}")))
            }
            Pattern::All(rules) => rules.iter().try_for_each(|rule| self.rule(actual, rule, path)),
        }
    }

    fn word(actual: Option<&Value>, word: Word, path: &str) -> Result<(), String> {
        let text = actual.and_then(Value::as_str);
        let number = actual.filter(|value| value.is_number()).and_then(Value::as_f64);
        let entries = actual.and_then(Value::as_array);
        let (fits, wanted) = match word {
            Word::String => (text.is_some(), "a text".to_owned()),
            Word::SomeString => (text.is_some_and(|text| !text.is_empty()), "a text with something in it".to_owned()),
            Word::Number => (number.is_some(), "a number".to_owned()),
            Word::AtLeast(least) => (number.is_some_and(|n| n >= least), format!("a number from {least}")),
            Word::Boolean => (actual.is_some_and(Value::is_boolean), "true or false".to_owned()),
            Word::Array => (entries.is_some(), "an array".to_owned()),
            Word::SomeArray => (entries.is_some_and(|entries| !entries.is_empty()), "an array with something in it".to_owned()),
        };
        check(fits, actual, &wanted, path)
    }

    fn rule(&self, actual: Option<&Value>, rule: &Rule, path: &str) -> Result<(), String> {
        match rule {
            Rule::Nullable(inner) if actual.is_some_and(|actual| !actual.is_null()) => self.fits(actual, inner, path),
            Rule::Nullable(_) => check(actual.is_some(), actual, "something or null", path),
            Rule::Optional(inner) => {
                if actual.is_some() {
                    self.fits(actual, inner, path)
                } else {
                    Ok(())
                }
            }
            Rule::Absent => check(actual.is_none(), actual, "nothing", path),
            Rule::OneOf(several) => {
                let problems: Vec<_> = several.iter().map_while(|one| self.fits(actual, one, path).err()).collect();
                if problems.len() < several.len() {
                    return Ok(());
                }
                let said: String = problems.join("; ").chars().take(4 * EXCERPT).collect();
                Err(format!("{path}: none of {} fits: {said}", several.len()))
            }
            Rule::Number(range) => {
                let number = actual.filter(|value| value.is_number()).and_then(Value::as_f64);
                let fits = number.is_some_and(|n| within(n, range) && (!range.integer || n.fract() == 0.0));
                check(fits, actual, &format!("a{} number{}", if range.integer { " whole" } else { "" }, bounds(range)), path)
            }
            Rule::Length(range) => {
                let length = match actual {
                    Some(Value::String(text)) => Some(text.chars().count()),
                    Some(Value::Array(entries)) => Some(entries.len()),
                    _ => None,
                };
                #[expect(clippy::cast_precision_loss, reason = "no answer has 2^53 of anything")]
                let fits = length.is_some_and(|n| within(n as f64, range));
                check(fits, actual, &format!("a text or an array of a length{}", bounds(range)), path)
            }
            Rule::Each(inner) => {
                let entries = actual.and_then(Value::as_array);
                check(entries.is_some(), actual, "an array", path)?;
                entries.into_iter().flatten().enumerate().try_for_each(|(i, entry)| self.fits(Some(entry), inner, &format!("{path}[{i}]")))
            }
            Rule::Contains(part) => check(
                actual.and_then(Value::as_str).is_some_and(|text| text.contains(part)),
                actual,
                &format!("a text with {part:?} in it"),
                path,
            ),
            Rule::Equals(wanted) => check(actual.is_some_and(|actual| equal(actual, wanted)), actual, &wanted.to_string(), path),
            Rule::Schema(name) => {
                let Some(validator) = self.plan.validators.get(name) else { return Err(format!("{path}: there is no schema {name}")) };
                let Some(actual) = actual else { return check(false, None, &format!("what schemas.{name} says"), path) };
                validator.check(actual).map_err(|(place, problem)| {
                    let said: String = problem.chars().take(4 * EXCERPT).collect();
                    format!("{path}{place}: is not as schemas.{name} says: {said}")
                })
            }
        }
    }
}

/// Whether an answer's text is a pattern's. An EVM address is the same in any case.
fn same_text(actual: &str, wanted: &str) -> bool {
    let address = |text: &str| text.len() == 42 && text.starts_with("0x") && text[2..].bytes().all(|b| b.is_ascii_hexdigit());
    actual == wanted || (address(actual) && address(wanted) && actual.eq_ignore_ascii_case(wanted))
}

/// Whether two values are the same; 1 and 1.0 are.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| equal(a, b))),
        _ => one == other,
    }
}

fn within(number: f64, range: &Range) -> bool {
    range.min.is_none_or(|min| number >= min) && range.max.is_none_or(|max| number <= max)
}

fn bounds(range: &Range) -> String {
    let from = range.min.map(|min| format!(" from {min}")).unwrap_or_default();
    let to = range.max.map(|max| format!(" up to {max}")).unwrap_or_default();
    from + &to
}

fn check(fits: bool, actual: Option<&Value>, wanted: &str, path: &str) -> Result<(), String> {
    if fits {
        return Ok(());
    }
    let secret = is_secret(path);
    let wanted =
        if secret && wanted.starts_with('"') { "another one".into() } else { wanted.chars().take(2 * EXCERPT).collect::<String>() };
    let found = match actual {
        Some(Value::String(_)) if secret => "is a text that is not shown".to_owned(),
        None => "is not there".to_owned(),
        Some(Value::Array(entries)) => format!("is an array of {}", entries.len()),
        Some(Value::Object(_)) => "is an object".to_owned(),
        Some(value) => {
            let text = value.to_string();
            let cut = if text.chars().count() > EXCERPT { "…" } else { "" };
            format!("is {}{cut}", text.chars().take(EXCERPT).collect::<String>())
        }
    };
    Err(format!("{path}: {found}, and {wanted} is expected"))
}

/// Whether what lies at a path, a JSON Pointer or a header is called as secrets are.
pub(super) fn is_secret(path: &str) -> bool {
    let name = path.split(['.', '/', ' ', '[']).rfind(|part| !part.starts_with(|c: char| c.is_ascii_digit()) && !part.is_empty());
    name.is_some_and(hidden::is_secret)
}
