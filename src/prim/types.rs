//! The types that a document defines: a part of JSON Schema for each, which
//! refer to one another and never round in a circle.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    code::Code,
    expression::Expression,
    fields::Fields,
    form::{FORM, may},
    notes::{Notes, quoted},
    patterns::{FIELD, PARAGRAPH, PROSE, TYPE_REF, WORDS},
    shape::{MOST_ENTRIES, Object, Place, Shape, within},
};

/// Where a schema of its own has the types.
const DEFINITIONS: &str = "#/$defs/";
/// What every object of JavaScript has already, so that a field of that name is
/// never absent there.
pub const INHERITED: [&str; 12] = [
    "__proto__",
    "__defineGetter__",
    "__defineSetter__",
    "__lookupGetter__",
    "__lookupSetter__",
    "constructor",
    "hasOwnProperty",
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toLocaleString",
    "toString",
    "valueOf",
];
/// The greatest whole number that every reader of JSON tells from its neighbours
/// (RFC 8259, section 6).
const SAFE: f64 = 9_007_199_254_740_991.0;
/// How much a type may be once its references are followed.
const MOST_WEIGHT: u64 = 50_000;
/// How much of schemas is looked at for the values that they say themselves.
const MOST_LOOKED_AT: u64 = 500_000;
/// Keywords that say something of one kind of value alone.
const OF_KINDS: &[(&str, &[&str])] = &[
    ("properties", &["object"]),
    ("required", &["object"]),
    ("additionalProperties", &["object"]),
    ("items", &["array"]),
    ("minItems", &["array"]),
    ("maxItems", &["array"]),
    ("uniqueItems", &["array"]),
    ("minimum", &["integer", "number"]),
    ("maximum", &["integer", "number"]),
    ("exclusiveMinimum", &["integer", "number"]),
    ("exclusiveMaximum", &["integer", "number"]),
    ("minLength", &["string"]),
    ("maxLength", &["string"]),
    ("pattern", &["string"]),
    ("format", &["string"]),
];

/// The type of a body.
#[derive(Clone, Debug, PartialEq)]
pub struct Type {
    /// Its name: `SearchRequest`.
    pub name: String,
    /// Its schema, with its keys in one order: the keywords of `docs/document.md`, and `#/types/Name` as `$ref`.
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
        FORM.kind.check(&FORM.kind, schema, &Place::Root(&place), notes);
        sound(schema, &place, map, notes);
    }
    let is_sound = notes.wrong.len() == before;
    // What is wrong with one hides no circle of others.
    let types = if is_sound || map.len() <= MOST_ENTRIES { sorted(map, notes) } else { Vec::new() };
    if !is_sound {
        return Vec::new();
    }
    let mut left = MOST_LOOKED_AT;
    for kind in &types {
        said(&kind.schema, &within("types", &kind.name), &types, &mut left, notes);
    }
    if left == 0 {
        notes.wrong(Code::TypeBroken, "types", "hold more defaults and examples, of types too big, than are looked at: leave some out");
    }
    types
}

/// Values that a schema says itself are of it.
fn said(schema: &Value, path: &str, types: &[Type], left: &mut u64, notes: &mut Notes) {
    let Value::Object(keys) = schema else { return };
    let examples = keys.get("examples").and_then(Value::as_array).into_iter().flatten();
    let examples = examples.enumerate().map(|(i, value)| (format!("{path}.examples[{i}]"), value));
    let values: Vec<_> = keys.get("default").map(|value| (format!("{path}.default"), value)).into_iter().chain(examples).collect();
    if !values.is_empty() {
        let whole = standalone(types, schema);
        *left = left.saturating_sub(nodes(&whole).saturating_mul(1 + values.len() as u64));
        if *left == 0 {
            return;
        }
        let check = TypeCheck::of(&whole);
        for (place, value) in values {
            if !check.takes(value) {
                notes.wrong(Code::TypeBroken, place, "is not what its own schema takes");
            }
        }
    }
    for (place, inner) in within_schema(keys, path) {
        said(inner, &place, types, left, notes);
    }
}

fn nodes(value: &Value) -> u64 {
    match value {
        Value::Object(map) => 1 + map.values().map(nodes).sum::<u64>(),
        Value::Array(entries) => 1 + entries.iter().map(nodes).sum::<u64>(),
        _ => 1,
    }
}

/// The same with all keys in one order, as a package's own document has them.
fn ordered(schema: &Value) -> Value {
    match schema {
        Value::Object(keys) => {
            let sorted: BTreeMap<_, _> = keys.iter().collect();
            sorted.into_iter().map(|(key, value)| (key.clone(), ordered(value))).collect()
        }
        Value::Array(entries) => entries.iter().map(ordered).collect(),
        other => other.clone(),
    }
}

/// A schema as a validator knows it.
#[derive(Debug)]
pub struct TypeCheck(Option<jsonschema::Validator>);

impl TypeCheck {
    /// Of a schema that stands alone, such as [`standalone`] makes.
    pub fn of(schema: &Value) -> Self {
        Self(jsonschema::draft202012::options().should_validate_formats(true).build(schema).ok())
    }

    /// Whether it takes a value. What is no schema takes none.
    pub fn takes(&self, value: &Value) -> bool {
        self.0.as_ref().is_some_and(|validator| validator.is_valid(value))
    }
}

/// A schema of a document that stands alone: all types that it refers to are in
/// its `$defs`.
pub fn standalone(types: &[Type], schema: &Value) -> Value {
    let mut names = Vec::new();
    references(schema, &mut names);
    let mut next = 0;
    while let Some(name) = names.get(next).copied() {
        if names[..next].contains(&name) {
            names.remove(next);
            continue;
        }
        if let Some(kind) = types.iter().find(|kind| kind.name == name) {
            references(&kind.schema, &mut names);
        }
        next += 1;
    }
    let mut whole = referred(schema, DEFINITIONS);
    let needed = types.iter().filter(|kind| names.contains(&kind.name.as_str()));
    let needed: Map<String, Value> = needed.map(|kind| (kind.name.clone(), referred(&kind.schema, DEFINITIONS))).collect();
    if let Some(keys) = whole.as_object_mut().filter(|_| !needed.is_empty()) {
        keys.insert("$defs".into(), needed.into());
    }
    whole
}

/// How much there is of a schema once its references are followed, each time anew:
/// so much may be looked at to tell whether it takes one value.
fn weight(schema: &Value, known: &BTreeMap<&str, u64>) -> u64 {
    let Value::Object(keys) = schema else { return 1 };
    let referred = reference(schema).and_then(|name| known.get(name)).copied().unwrap_or_default();
    let values = keys.get("enum").map(nodes).unwrap_or_default();
    let within = within_schema(keys, "").into_iter().map(|(_, inner)| weight(inner, known));
    within.fold(1_u64.saturating_add(referred).saturating_add(values), u64::saturating_add)
}

/// A schema whose references to types begin with `place` in place of `#/types/`.
pub fn referred(schema: &Value, place: &str) -> Value {
    match schema {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| match (key.as_str(), value) {
                // A field may have any name.
                ("properties", Value::Object(fields)) => {
                    (key.clone(), fields.iter().map(|(name, schema)| (name.clone(), referred(schema, place))).collect())
                }
                ("$ref", Value::String(to)) => (key.clone(), to.replacen("#/types/", place, 1).into()),
                // These hold values, and no schemas.
                ("const" | "default" | "enum" | "examples", _) => (key.clone(), value.clone()),
                _ => (key.clone(), referred(value, place)),
            })
            .collect(),
        Value::Array(entries) => entries.iter().map(|entry| referred(entry, place)).collect(),
        other => other.clone(),
    }
}

/// What a schema's `type` says, one or several.
fn kinds(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
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
        && let Some(Err(why)) = Expression::of(schema)
    {
        broken("pattern", format!("{} is no regular expression that is taken: {why}", quoted(pattern)));
    }
    let kinds = kinds(schema);
    for (key, of) in OF_KINDS {
        if keys.contains_key(*key) && !kinds.iter().any(|kind| of.contains(kind)) {
            broken(key, format!("is for {} alone, which type does not say", of.join(" and ")));
        }
    }
    let properties = keys.get("properties").and_then(Value::as_object);
    for (i, name) in keys.get("required").and_then(Value::as_array).into_iter().flatten().enumerate() {
        if let Some(name) = name.as_str()
            && properties.is_some_and(|properties| !properties.contains_key(name))
        {
            broken(&format!("required[{i}]"), format!("{} is not among the properties", quoted(name)));
        }
    }
    let required = keys.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    if let Some(name) = properties.into_iter().flat_map(Map::keys).map(String::as_str).chain(required).find(|name| INHERITED.contains(name))
    {
        broken("properties", format!("{name} is what every object of JavaScript has, and no field"));
    }
    for key in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] {
        if keys.get(key).and_then(Value::as_f64).is_some_and(|n| n.abs() > SAFE) {
            broken(key, "is beyond 2^53, where numbers of JSON are not told apart everywhere".into());
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
    let mut weights: BTreeMap<&str, u64> = BTreeMap::new();
    while !waiting.is_empty() {
        let ready = waiting.iter().find(|(_, needs)| needs.iter().all(|need| !waiting.contains_key(need))).map(|(name, _)| *name);
        let Some(name) = ready else {
            let circle = waiting.keys().copied().collect::<Vec<_>>().join(", ");
            notes.wrong(Code::TypeBroken, "types", format!("some of {} hold themselves, and so have no end", quoted(&circle)));
            return Vec::new();
        };
        waiting.remove(name);
        let heavy = types.get(name).map(|schema| weight(schema, &weights)).unwrap_or_default();
        if heavy > MOST_WEIGHT {
            let text = format!("is too big once its references are followed: {heavy} schemas, of {MOST_WEIGHT} at most");
            notes.wrong(Code::TypeBroken, within("types", name), text);
            return Vec::new();
        }
        weights.insert(name, heavy);
        sorted.extend(types.get(name).map(|schema| Type { name: name.into(), schema: ordered(schema) }));
    }
    sorted
}
