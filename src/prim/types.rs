//! The types that a document defines: a part of JSON Schema for each, which
//! refer to one another and never round in a circle.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Value};

use super::{
    code::Code,
    fields::Fields,
    form::{FORM, may},
    notes::{Notes, quoted},
    patterns::{FIELD, PARAGRAPH, PROSE, TYPE_REF, WORDS},
    shape::{MOST_ENTRIES, Object, Shape, within},
};

/// The type of a body.
#[derive(Clone, Debug, PartialEq)]
pub struct Type {
    /// Its name: `SearchRequest`.
    pub name: String,
    /// Its schema: the keywords of `docs/document.md`, and `#/types/Name` as `$ref`.
    pub schema: Value,
}

/// The part of JSON Schema that a type may use.
pub(super) fn shape() -> Shape {
    const KINDS: &[&str] = &["string", "integer", "number", "boolean", "object", "array", "null"];
    let list = |of: Shape, least: usize, unique: bool| Shape::List { of: Box::new(of), least, unique };
    let count = || Shape::Integer(0, 1_000_000_000);
    let fields = vec![
        may("$ref", Shape::Text(&TYPE_REF), "Another type of the document."),
        may("title", Shape::Text(&WORDS), "Its name for people."),
        may("description", Shape::Text(&PARAGRAPH), "About it."),
        may("type", Shape::Either(vec![Shape::Word(KINDS), list(Shape::Word(KINDS), 1, true)]), "What it is."),
        may("properties", Shape::Map { key: &FIELD, of: Box::new(Shape::Itself) }, "The fields of an object."),
        may("required", list(Shape::Text(&FIELD), 0, true), "Those that must be there."),
        may("additionalProperties", Shape::Either(vec![Shape::Flag, Shape::Itself]), "Whether others may be there, and what they are."),
        may("items", Shape::Itself, "The entries of an array."),
        may("minItems", count(), "How many entries at least."),
        may("maxItems", count(), "How many at most."),
        may("uniqueItems", Shape::Flag, "Whether entries differ."),
        may("enum", list(Shape::Any, 1, false), "The values that it may be."),
        may("const", Shape::Any, "The one value that it may be."),
        may("minimum", Shape::Number, "The least number."),
        may("maximum", Shape::Number, "The greatest."),
        may("exclusiveMinimum", Shape::Number, "What a number must be above."),
        may("exclusiveMaximum", Shape::Number, "What it must be below."),
        may("minLength", count(), "How many characters at least."),
        may("maxLength", count(), "How many at most."),
        may("pattern", Shape::Text(&PROSE), "A regular expression without look-around or back-references."),
        may(
            "format",
            Shape::Word(&["date", "date-time", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"]),
            "What the text is. Everything that takes bodies looks at it.",
        ),
        may("anyOf", list(Shape::Itself, 1, false), "Types of which one fits at least."),
        may("oneOf", list(Shape::Itself, 1, false), "Types of which exactly one fits."),
        may("default", Shape::Any, "What it is where it is left out."),
        may("examples", Shape::list(Shape::Any), "Values that it may be."),
    ];
    Shape::Object(Object { fields, ..Object::default() })
}

/// Reads the document's types, each after those that it refers to. What is wrong
/// with one is a problem here already: no old document has any.
pub(super) fn read(document: &Fields<'_>, notes: &mut Notes) -> Vec<Type> {
    let Some(given) = document.get("types") else { return Vec::new() };
    let Value::Object(map) = given else {
        notes.wrong(Code::WrongType, "types", "must be a mapping of names to schemas");
        return Vec::new();
    };
    let before = notes.wrong.len();
    for (name, schema) in map.iter().take(MOST_ENTRIES) {
        let place = within("types", name);
        FORM.kind.check(&FORM.kind, schema, &place, notes);
        sound(schema, &place, map, notes);
    }
    // A schema that is no mapping has no references to follow.
    if notes.wrong.len() == before { sorted(map, notes) } else { Vec::new() }
}

/// What the shape can't say of a schema and all within it.
fn sound(schema: &Value, path: &str, types: &Map<String, Value>, notes: &mut Notes) {
    let Value::Object(keys) = schema else { return };
    let mut broken = |key: &str, text: String| notes.wrong(Code::TypeBroken, format!("{path}.{key}"), text);
    if let Some(name) = reference(schema)
        && !types.contains_key(name)
    {
        broken("$ref", format!("{} is not among the types", quoted(name)));
    }
    if let Some(pattern) = keys.get("pattern").and_then(Value::as_str)
        && Regex::new(pattern).is_err()
    {
        broken("pattern", format!("{} is no regular expression that is taken", quoted(pattern)));
    }
    let properties = keys.get("properties").and_then(Value::as_object);
    for (i, name) in keys.get("required").and_then(Value::as_array).into_iter().flatten().enumerate() {
        if let Some(name) = name.as_str()
            && properties.is_some_and(|properties| !properties.contains_key(name))
        {
            broken(&format!("required[{i}]"), format!("{} is not among the properties", quoted(name)));
        }
    }
    for (least, most) in [("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")] {
        let number = |key: &str| keys.get(key).and_then(Value::as_f64);
        if let (Some(low), Some(high)) = (number(least), number(most))
            && low > high
        {
            broken(least, format!("is above {most}, so that nothing fits"));
        }
    }
    for (place, inner) in within_schema(keys, path) {
        sound(inner, &place, types, notes);
    }
}

/// The schemas that a schema holds, with their places.
fn within_schema<'a>(keys: &'a Map<String, Value>, path: &str) -> Vec<(String, &'a Value)> {
    let mut inner = Vec::new();
    for key in ["items", "additionalProperties"] {
        inner.extend(keys.get(key).map(|value| (within(path, key), value)));
    }
    for (name, value) in keys.get("properties").and_then(Value::as_object).into_iter().flatten() {
        inner.push((within(&within(path, "properties"), name), value));
    }
    for key in ["anyOf", "oneOf"] {
        let entries = keys.get(key).and_then(Value::as_array).into_iter().flatten();
        inner.extend(entries.enumerate().map(|(i, value)| (format!("{}[{i}]", within(path, key)), value)));
    }
    inner
}

fn reference(schema: &Value) -> Option<&str> {
    schema.get("$ref")?.as_str()?.strip_prefix("#/types/")
}

/// Names that a schema refers to.
fn references<'a>(schema: &'a Value, found: &mut Vec<&'a str>) {
    found.extend(reference(schema));
    if let Value::Object(keys) = schema {
        within_schema(keys, "").into_iter().for_each(|(_, inner)| references(inner, found));
    }
}

/// The types in an order in which each comes after those it refers to.
fn sorted(types: &Map<String, Value>, notes: &mut Notes) -> Vec<Type> {
    let mut waiting: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, schema) in types {
        let needs = waiting.entry(name).or_default();
        references(schema, needs);
    }
    let mut sorted: Vec<Type> = Vec::new();
    while !waiting.is_empty() {
        let ready = waiting.iter().find(|(_, needs)| needs.iter().all(|need| !waiting.contains_key(need))).map(|(name, _)| *name);
        let Some(name) = ready else {
            let circle = waiting.keys().copied().collect::<Vec<_>>().join(", ");
            notes.wrong(Code::TypeBroken, "types", format!("some of {} hold themselves, and so have no end", quoted(&circle)));
            return Vec::new();
        };
        waiting.remove(name);
        sorted.extend(types.get(name).map(|schema| Type { name: name.into(), schema: schema.clone() }));
    }
    sorted
}
