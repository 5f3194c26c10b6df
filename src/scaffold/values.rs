//! Values that a document's types take, and some that they do not: what tests send.
//! Whatever is made here is held against the type before anybody gets it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::types::{self, SAFE, followed, is, kinds, reference};
use crate::prim::{Document, Expression, Type, TypeCheck, standalone};

/// How many values one sample is made of at most.
const MOST_VALUES: usize = 2000;
/// How many are looked at for all types of a document, over all tries.
const MOST_OF_ALL: usize = 200_000;
/// How many samples are tried for one that the type takes.
const MOST_SAMPLES: usize = 8;
/// How many values are tried for one of several schemas at once.
const MOST_CANDIDATES: usize = 12;
/// How many fields are tried for one that a wrong value shows in.
const MOST_TRIED: usize = 20;
/// A test need not send a novel.
const LONGEST: usize = 10_000;

/// What tests send for a type.
pub(super) struct Known {
    /// The type as JSON Schema that stands alone.
    pub schema: Value,
    /// A value that it takes, where one was found.
    pub sample: Option<Value>,
    /// A value that it does not take because one field is of another type, and that
    /// field; `body` where it is the whole.
    pub mistyped: Option<(String, Value)>,
}

/// The same for each type that a route takes, by its name.
pub(super) fn known(document: &Document) -> BTreeMap<String, Known> {
    let mut known = BTreeMap::new();
    let mut left = MOST_OF_ALL;
    for kind in document.routes.iter().filter_map(|route| types::taken(document, route)) {
        if !known.contains_key(&kind.name) {
            let schema = standalone(&document.types, &kind.schema);
            let check = TypeCheck::of(&schema);
            let sample = sample(document, kind, &check, &mut left);
            let mistyped = mistyped(document, kind, &check, sample.as_ref());
            known.insert(kind.name.clone(), Known { schema, sample, mistyped });
        }
    }
    known
}

/// With all fields first, and then with those alone that must be there.
fn sample(document: &Document, kind: &Type, check: &TypeCheck, left: &mut usize) -> Option<Value> {
    (0..MOST_SAMPLES).find_map(|turn| {
        let most = MOST_VALUES.min(*left);
        let mut making = Making { document, whole: turn % 2 == 0, left: most };
        let made = making.value(&kind.schema, turn / 2);
        *left -= most - making.left;
        made.filter(|value| check.takes(value))
    })
}

fn mistyped(document: &Document, kind: &Type, check: &TypeCheck, good: Option<&Value>) -> Option<(String, Value)> {
    let wrong = [json!({"not": "this"}), json!("not this"), json!(0.5), json!([])];
    let fields = types::fields(document, kind).filter(|fields| !fields.is_empty());
    let Some(fields) = fields else {
        let other = |wrong: &Value| !may_be(document, &kind.schema, wrong) && !check.takes(wrong);
        return wrong.into_iter().find(other).map(|wrong| ("body".into(), wrong));
    };
    let good = good?;
    fields.iter().take(MOST_TRIED).find_map(|(name, field)| {
        let mut other = wrong.iter().filter(|wrong| !may_be(document, field, wrong));
        other.find_map(|wrong| {
            let mut bad = good.clone();
            bad.as_object_mut()?.insert(name.clone(), wrong.clone());
            (!check.takes(&bad)).then(|| (name.clone(), bad))
        })
    })
}

/// Whether a value is of a kind that a schema takes, whatever else it wants.
fn may_be(document: &Document, schema: &Value, value: &Value) -> bool {
    let schema = followed(document, schema);
    let all = |key: &str| schema.get(key).and_then(Value::as_array).into_iter().flatten();
    kinds(schema).iter().any(|kind| is(kind, value)) || all("anyOf").chain(all("oneOf")).any(|option| may_be(document, option, value))
}

fn entries<'a>(schema: &'a Value, key: &str) -> &'a [Value] {
    schema.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn count(schema: &Value, key: &str) -> Option<usize> {
    // A bound may be written as `3.0`.
    let number = schema.get(key)?.as_f64()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the checker holds it to whole numbers that fit")]
    Some(number as usize)
}

/// A sample while it is made.
struct Making<'a> {
    document: &'a Document,
    /// Whether it has fields that may be left out.
    whole: bool,
    /// How many values it may still be made of.
    left: usize,
}

impl<'a> Making<'a> {
    /// A value of a schema: another one for each `turn`, as long as there are others.
    fn value(&mut self, schema: &'a Value, turn: usize) -> Option<Value> {
        self.left = self.left.checked_sub(1)?;
        let named: Vec<_> = match schema.get("const") {
            Some(only) => vec![only],
            None => entries(schema, "examples").iter().chain(schema.get("default")).chain(entries(schema, "enum")).collect(),
        };
        if !named.is_empty() {
            let kinds = kinds(schema);
            let fits = |value: &&&Value| kinds.is_empty() || kinds.iter().any(|kind| is(kind, value));
            let named: Vec<_> = named.iter().filter(fits).copied().cloned().collect();
            return if types::says_more(schema) { self.first(schema, named, turn) } else { at(named, turn) };
        }
        let referred = reference(self.document, schema).map(|kind| &kind.schema);
        let options: Vec<&Value> = referred.into_iter().chain(entries(schema, "anyOf")).chain(entries(schema, "oneOf")).collect();
        let kinds = kinds(schema);
        let one_of = schema.get("oneOf").is_some();
        match (&options[..], &kinds[..]) {
            ([], []) => Some(text("test", 0, usize::MAX, turn)?.into()),
            ([], _) => self.of_kind(schema, kinds[turn % kinds.len()], turn / kinds.len()),
            // Whatever is of one of them is of the whole.
            (_, []) if !one_of && referred.is_none() => {
                (0..options.len()).find_map(|i| self.value(options[(turn + i) % options.len()], (turn + i) / options.len()))
            }
            ([only], []) => self.value(only, turn),
            _ => {
                let mut tried = Vec::new();
                for n in 0..MOST_CANDIDATES {
                    let own = at(kinds.clone(), n).and_then(|kind| self.of_kind(schema, kind, n / kinds.len()));
                    tried.extend(own);
                    tried.extend(at(options.clone(), n).and_then(|option| self.value(option, n / options.len())));
                }
                self.first(schema, tried, turn)
            }
        }
    }

    /// One of these that the schema takes.
    fn first(&mut self, schema: &Value, tried: Vec<Value>, turn: usize) -> Option<Value> {
        let whole = standalone(&self.document.types, schema);
        self.left = self.left.checked_sub(size(&whole))?;
        let check = TypeCheck::of(&whole);
        at(tried.into_iter().filter(|value| check.takes(value)).collect(), turn)
    }

    fn of_kind(&mut self, schema: &'a Value, kind: &str, turn: usize) -> Option<Value> {
        Some(match kind {
            "string" => word(schema, turn)?.into(),
            "integer" | "number" => number(schema, kind == "integer", turn)?,
            "boolean" => (turn.is_multiple_of(2)).into(),
            "null" => Value::Null,
            "array" => self.array(schema, turn)?,
            _ => self.object(schema, turn)?,
        })
    }

    /// No longer than it must be, where one must not differ from another.
    fn array(&mut self, schema: &'a Value, turn: usize) -> Option<Value> {
        let (least, most) = (count(schema, "minItems").unwrap_or(0), count(schema, "maxItems").unwrap_or(usize::MAX));
        let wanted = least + usize::from(turn > 0 && least < most);
        let differ = schema.get("uniqueItems") == Some(&Value::Bool(true));
        let mut made: Vec<Value> = Vec::new();
        for n in turn.. {
            if made.len() == wanted {
                break;
            }
            // Nothing else may be there: two truths are the same.
            if n > turn + 2 * wanted + 8 {
                return None;
            }
            let entry = match schema.get("items") {
                Some(items) => self.value(items, if differ { n } else { turn })?,
                None => text("test", 0, usize::MAX, if differ { n } else { turn })?.into(),
            };
            self.left = self.left.checked_sub(1)?;
            if !differ || !made.contains(&entry) {
                made.push(entry);
            }
        }
        Some(made.into())
    }

    fn object(&mut self, schema: &'a Value, turn: usize) -> Option<Value> {
        let required: Vec<_> = entries(schema, "required").iter().filter_map(Value::as_str).collect();
        let more = schema.get("additionalProperties");
        let mut object = Map::new();
        for (name, field) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let must = required.contains(&name.as_str());
            let made = if must || self.whole { self.field(name, field, turn) } else { None };
            match made {
                Some(made) => drop(object.insert(name.clone(), made)),
                None if must => return None,
                None => {}
            }
        }
        for name in required {
            if !object.contains_key(name) {
                object.insert(name.into(), self.other(more, turn)?);
            }
        }
        // One without fields differs from another by one more.
        if turn > 0 && object.is_empty() && more != Some(&Value::Bool(false)) {
            object.insert(format!("field{turn}"), self.other(more, turn)?);
        }
        Some(object.into())
    }

    /// A field of that name.
    fn field(&mut self, name: &str, schema: &'a Value, turn: usize) -> Option<Value> {
        let seen = types::seen(name).and_then(|said| self.first(schema, vec![said], 0));
        seen.or_else(|| self.value(schema, turn))
    }

    /// A field that is not among the properties.
    fn other(&mut self, more: Option<&'a Value>, turn: usize) -> Option<Value> {
        match more.filter(|more| more.is_object()) {
            Some(more) => self.value(more, turn),
            None => Some(text("test", 0, usize::MAX, turn)?.into()),
        }
    }
}

/// One for each turn, and from the first on again.
fn at<T>(mut all: Vec<T>, turn: usize) -> Option<T> {
    if all.is_empty() { None } else { Some(all.swap_remove(turn % all.len())) }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.values().map(size).sum::<usize>(),
        Value::Array(entries) => 1 + entries.iter().map(size).sum::<usize>(),
        _ => 1,
    }
}

fn word(schema: &Value, turn: usize) -> Option<String> {
    let (least, most) = (count(schema, "minLength").unwrap_or(0), count(schema, "maxLength").unwrap_or(usize::MAX));
    if least > LONGEST {
        return None;
    }
    let fits = |text: &String| (least..=most).contains(&text.chars().count());
    let format = schema.get("format").and_then(Value::as_str);
    let pattern = schema.get("pattern").and_then(Value::as_str);
    let mut texts = Vec::new();
    match (format, pattern) {
        (None, None) => return text("test", least, most, turn),
        (Some(format), None) => texts = formatted(format, least, turn),
        (_, Some(pattern)) => {
            let expression = Expression::of(schema)?.ok()?;
            let matches = regex::Regex::new(pattern).ok()?;
            let tries = [0, 1, 2, 4, 8, 16].into_iter().chain(u32::try_from(least)).map(|more| expression.example(more));
            texts.extend(format.into_iter().flat_map(|format| formatted(format, least, turn)).chain(tries));
            // What an expression needs no part of, it says nothing about.
            texts.extend(text("test", least, most, turn));
            let of_format = format.map(|format| TypeCheck::of(&json!({ "format": format })));
            texts.retain(|text| matches.is_match(text) && of_format.as_ref().is_none_or(|check| check.takes(&text.as_str().into())));
        }
    }
    texts.retain(fits);
    let mut distinct: Vec<String> = Vec::new();
    for text in texts {
        if !distinct.contains(&text) {
            distinct.push(text);
        }
    }
    // Those of a format have their own for each turn.
    at(distinct, if pattern.is_none() { 0 } else { turn })
}

/// Any text of so many characters.
fn text(word: &str, least: usize, most: usize, turn: usize) -> Option<String> {
    let mark = if turn == 0 { String::new() } else { turn.to_string() };
    let mut text = word.to_owned();
    while text.len() + mark.len() < least {
        text.push('t');
    }
    text.truncate(most.saturating_sub(mark.len()));
    text.push_str(mark.get(mark.len().saturating_sub(most)..)?);
    Some(text)
}

/// Texts of a format: as people write them, a short one, and one of so many characters.
fn formatted(format: &str, least: usize, turn: usize) -> Vec<String> {
    let pad = |length: usize| "a".repeat(least.saturating_sub(length));
    let mark = if turn == 0 { String::new() } else { turn.to_string() };
    let second = turn % 60;
    match format {
        "date" => vec![format!("2026-01-{:02}", 1 + turn % 28)],
        "date-time" => {
            let time = format!("2026-01-01T00:00:{second:02}");
            let fraction = "0".repeat(least.saturating_sub(time.len() + 2).max(1));
            vec![format!("{time}Z"), format!("{time}.{fraction}Z")]
        }
        "email" => {
            let host = host(least.saturating_sub(40));
            let local = "a".repeat(least.saturating_sub(host.len() + mark.len() + 1).max(1));
            vec![format!("someone{mark}@example.com"), format!("a{mark}@b.co"), format!("{local}{mark}@{host}")]
        }
        "hostname" => vec![
            format!("{}example.com", dotted(&mark)),
            format!("a{mark}.co"),
            format!("a{mark}.{}", host(least.saturating_sub(2 + mark.len()))),
        ],
        "ipv4" => {
            vec![format!("192.0.2.{}", 1 + turn % 250), format!("1.1.1.{}", 1 + turn % 9), format!("192.168.100.{}", 100 + turn % 100)]
        }
        "ipv6" => {
            let last = 1 + turn % 9000;
            vec![
                format!("2001:db8::{last}"),
                format!("::{last}"),
                format!("2001:db8:1:1:1:1:1:{last}"),
                format!("2001:0db8:0000:0000:0000:0000:0000:{last:04}"),
            ]
        }
        "uri" => {
            let uri = format!("https://example.com/{mark}");
            vec![format!("{uri}{}", pad(uri.len())), format!("https://a.co/{mark}"), format!("a:b{mark}")]
        }
        "uuid" => vec![format!("123e4567-e89b-42d3-a456-{:012}", 426_614_174_000_u64 + turn as u64)],
        _ => Vec::new(),
    }
}

fn dotted(mark: &str) -> String {
    if mark.is_empty() { String::new() } else { format!("a{mark}.") }
}

/// A host of that many characters, or of a few.
fn host(length: usize) -> String {
    let mut host = String::from("b.co");
    while host.len() + 1 < length {
        let label = "a".repeat((length - host.len() - 1).min(50));
        host = format!("{label}.{host}");
    }
    host
}

fn number(schema: &Value, whole: bool, turn: usize) -> Option<Value> {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let bounds @ [least, above, most, below] = ["minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"].map(bound);
    let fits = |n: &f64| {
        let sound = !whole || (n.fract() == 0.0 && n.abs() <= SAFE);
        sound
            && least.is_none_or(|least| *n >= least)
            && above.is_none_or(|above| *n > above)
            && most.is_none_or(|most| *n <= most)
            && below.is_none_or(|below| *n < below)
    };
    let low = [least, above].into_iter().flatten().reduce(f64::max);
    let high = [most, below].into_iter().flatten().reduce(f64::min);
    let middle = low.zip(high).map(|(low, high)| f64::midpoint(low, high));
    let beside = |n: f64| [n, n.ceil(), n.floor() + 1.0, n.floor(), n.ceil() - 1.0, n + 0.5, n - 0.5];
    let edges = std::iter::once(1.0).chain(bounds.into_iter().flatten().flat_map(beside)).chain(middle);
    let first = edges.into_iter().find(fits)?;
    #[expect(clippy::cast_precision_loss, reason = "there are some thousand turns")]
    let (step, half) = (turn as f64, turn.div_ceil(2) as f64);
    // To both sides of it, one after the other.
    let beside = if turn.is_multiple_of(2) { first - half } else { first + half };
    let between = low.zip(high).map(|(low, high)| low + (high - low) / (step + 2.0));
    let n = std::iter::once(beside).chain(between).find(fits).unwrap_or(first);
    if n.fract() == 0.0 && n.abs() <= SAFE {
        // Exact within these bounds.
        #[expect(clippy::cast_possible_truncation, reason = "a whole number that fits")]
        return Some((n as i64).into());
    }
    serde_json::Number::from_f64(n).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prim;

    fn sampled(schema: &Value) -> Option<Value> {
        let types = json!({
            "Taken": schema, "Word": { "type": "string", "minLength": 2 }, "Flag": { "type": "boolean" },
        });
        let route = json!({ "route": "POST /v1/a", "operation_id": "a", "status": 200, "description": "a", "request": "Taken", "response": "json", "price": "free" });
        let value = json!({ "id": "a", "description": "a", "types": types, "routes_map": [route] });
        assert_eq!(prim::check(&value), [], "{schema}");
        let document = prim::from_value(value).unwrap();
        known(&document).remove("Taken")?.sample
    }

    #[test]
    fn whatever_can_be_taken_has_a_sample() {
        let mut formats: Vec<Value> = Vec::new();
        for (format, least, most) in [
            ("date", 10, 10),
            ("date-time", 27, 30),
            ("email", 0, 8),
            ("email", 60, 90),
            ("email", 150, 200),
            ("hostname", 0, 6),
            ("hostname", 90, 120),
            ("ipv4", 0, 7),
            ("ipv4", 15, 15),
            ("ipv6", 0, 4),
            ("ipv6", 39, 39),
            ("uri", 0, 4),
            ("uri", 40, 40),
            ("uuid", 36, 36),
        ] {
            formats.push(json!({"type": "string", "format": format, "minLength": least, "maxLength": most}));
            let differ = json!({"type": "string", "format": format});
            formats.push(json!({"type": "array", "items": differ, "minItems": 5, "uniqueItems": true}));
        }
        for schema in [
            json!({"type": "array", "minItems": 3, "items": {"type": "string"}}),
            json!({"type": "array", "minItems": 3, "uniqueItems": true}),
            json!({"type": "array", "minItems": 3, "uniqueItems": true, "items": {"type": "string", "maxLength": 1}}),
            json!({"type": "array", "minItems": 2, "uniqueItems": true, "items": {"type": "boolean"}}),
            json!({"type": "array", "minItems": 2, "uniqueItems": true, "items": {"$ref": "#/types/Flag"}}),
            json!({"type": "array", "minItems": 3, "uniqueItems": true, "items": {"enum": ["a", "b", "c"]}}),
            json!({"type": "array", "minItems": 3, "uniqueItems": true, "items": {"type": "object"}}),
            json!({"type": "array", "minItems": 3, "uniqueItems": true, "items": {"type": "array", "items": {"type": "integer"}, "maxItems": 1}}),
            json!({"type": "array", "minItems": 4, "uniqueItems": true, "items": {"type": "integer", "minimum": -1, "maximum": 2}}),
            json!({"type": "array", "minItems": 3, "uniqueItems": true, "items": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5}}),
            json!({"type": "array", "minItems": 2, "uniqueItems": true, "items": {"type": ["null", "string"], "maxLength": 0}}),
            json!({"type": "array", "minItems": 2, "uniqueItems": true, "items": {"anyOf": [{"const": 1}, {"const": 2}]}}),
            json!({"type": "array", "minItems": 2, "uniqueItems": true, "items": {"type": "string", "pattern": "^a{1,3}$"}}),
            json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "array", "minItems": 2, "uniqueItems": true}}}),
            json!({"type": "number", "exclusiveMaximum": 0.4}),
            json!({"type": "number", "exclusiveMinimum": 0.1, "exclusiveMaximum": 0.2}),
            json!({"type": "number", "exclusiveMinimum": 1, "minimum": 0, "maximum": 1.25}),
            json!({"type": "integer", "exclusiveMinimum": -3, "exclusiveMaximum": -1}),
            json!({"type": "integer", "minimum": 0.5, "maximum": 1.5}),
            json!({"type": "string", "enum": ["a", 1, "abc"], "minLength": 2}),
            json!({"type": "integer", "enum": ["a", 1]}),
            json!({"type": "string", "format": "date", "pattern": "^2026-01"}),
            json!({"type": "string", "pattern": "t$", "minLength": 20, "maxLength": 20}),
            json!({"oneOf": [{"type": "integer", "minimum": 1}, {"type": "integer", "maximum": 1}]}),
            json!({"oneOf": [{"type": "object", "required": ["a"]}, {"type": "object", "required": ["b"]}]}),
            json!({"$ref": "#/types/Word", "anyOf": [{"type": "string", "maxLength": 1}, {"type": "string"}]}),
            json!({"type": "object", "anyOf": [{"type": "object", "required": ["a"]}, {"type": "string"}]}),
            json!({"type": ["string", "null"], "anyOf": [{"type": "null"}, {"type": "integer"}]}),
            json!({"anyOf": [{"type": "string", "minLength": 20000}, {"type": "integer"}]}),
            json!({"type": "object", "properties": {"a": {"type": "string", "minLength": 20000}, "b": {"type": "integer"}}}),
            json!({"type": "object", "properties": {"a": {"oneOf": [{}, {}]}, "b": {"type": "integer"}}}),
        ]
        .into_iter()
        .chain(formats)
        {
            assert!(sampled(&schema).is_some(), "{schema}");
        }
    }

    #[test]
    fn what_takes_nothing_has_none_and_ends() {
        let mut deep = json!({"type": "string", "minLength": 20000});
        for _ in 0..6 {
            deep = json!({"oneOf": [deep, {"type": "object", "required": ["a"], "additionalProperties": false}]});
        }
        for schema in [
            json!({"type": "array", "minItems": 3, "uniqueItems": true, "items": {"type": "boolean"}}),
            json!({"type": "array", "minItems": 1_000_000, "items": {"type": "boolean"}}),
            json!({"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2}),
            deep,
        ] {
            assert_eq!(sampled(&schema), None, "{schema}");
        }
    }
}
