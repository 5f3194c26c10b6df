//! A document's types, and as Zod. What that says and what JSON Schema says is one:
//! a test holds them against each other. Read `values.rs` next.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::text;
use crate::prim::{Body, Document, Expression, Route, Type};

/// Fields by which an item says for how long it lives.
pub(super) const SPANS: [&str; 4] = ["ttl", "ttl_seconds", "expires_in", "ttl_ms"];
/// Fields by which it says when it ends.
pub(super) const ENDS: [&str; 3] = ["expires_at", "expiresAt", "expires"];
/// A time that no test lives to see.
pub(super) const LATE: &str = "2999-12-31T23:59:59Z";
/// Characters of a text whose pattern takes time with the square of its length, where its
/// type has no `maxLength`: so many take some tens of milliseconds, and a whole body minutes.
const LONGEST_SQUARED: f64 = 4096.0;
/// Names of a time after which nothing is put into an item.
const CLOSES: [&str; 5] = ["closes_at", "closesAt", "ends_at", "endsAt", "deadline"];

/// What an item's field says in a test where the store goes by it: such that the item is
/// there, for everybody, as long as the test looks at it.
pub(super) fn seen(name: &str) -> Option<Value> {
    Some(match name {
        name if SPANS.contains(&name) => 3_600_000.into(),
        name if ENDS.contains(&name) || CLOSES.contains(&name) => LATE.into(),
        "private" | "is_private" | "isPrivate" | "burn_after_read" => false.into(),
        "public" | "is_public" | "isPublic" => true.into(),
        "visibility" => "public".into(),
        "max_views" => 1000.into(),
        _ => return None,
    })
}

/// Whether a field with this value has the store end an item, or not show it to everybody,
/// as soon as it is made; how long one lives is another question.
pub(super) fn hides(name: &str, value: &Value) -> bool {
    let lives = SPANS.contains(&name) || ENDS.contains(&name);
    !lives && seen(name).is_some_and(|seen| seen != *value)
}

/// Whole numbers beyond this are not told apart in JavaScript.
pub(super) const SAFE: f64 = 9_007_199_254_740_991.0;

/// The type that a route takes, where the document defines it.
pub(super) fn taken<'a>(document: &'a Document, route: &Route) -> Option<&'a Type> {
    match &route.request {
        Body::Json(Some(name)) => document.kind(name),
        _ => None,
    }
}

/// The type that a route answers with, where the document defines it.
pub(super) fn answered<'a>(document: &'a Document, route: &Route) -> Option<&'a Type> {
    match &route.response {
        Body::Json(Some(name)) => document.kind(name),
        _ => None,
    }
}

/// What a type is once its references are followed.
pub(super) fn followed<'a>(document: &'a Document, mut schema: &'a Value) -> &'a Value {
    // They never go in a circle.
    while let Some(kind) = reference(document, schema) {
        schema = &kind.schema;
    }
    schema
}

/// The type that a schema refers to.
pub(super) fn reference<'a>(document: &'a Document, schema: &Value) -> Option<&'a Type> {
    document.kind(schema.get("$ref")?.as_str()?.strip_prefix("#/types/")?)
}

/// The fields of a type that takes objects and nothing else.
pub(super) fn fields<'a>(document: &'a Document, kind: &'a Type) -> Option<&'a Map<String, Value>> {
    static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    let schema = followed(document, &kind.schema);
    let object =
        schema.get("type").and_then(Value::as_str) == Some("object") && schema.get("enum").is_none() && schema.get("const").is_none();
    object.then(|| schema.get("properties").and_then(Value::as_object).unwrap_or(&NONE))
}

/// The schema of an answer, and those of the items in it: in a list, or in those of its
/// fields that `around` says may be around some.
pub(super) fn items<'a>(document: &'a Document, schema: &'a Value, around: impl Fn(&str) -> bool) -> Vec<&'a Value> {
    let whole = followed(document, schema);
    let entries = |list: &'a Value| list.get("items").map(|items| followed(document, items));
    let fields = whole.get("properties").and_then(Value::as_object).into_iter().flatten();
    let inner = fields.filter(|(name, _)| around(name)).filter_map(|(_, field)| {
        let field = followed(document, field);
        entries(field).or_else(|| field.get("properties").map(|_| field))
    });
    [Some(whole), entries(whole)].into_iter().flatten().chain(inner).collect()
}

/// The kinds that a schema names.
pub(super) fn kinds(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether a type takes arrays and nothing else.
pub(super) fn is_list(document: &Document, kind: &Type) -> bool {
    followed(document, &kind.schema).get("type").and_then(Value::as_str) == Some("array")
}

/// Whether an answer of a type has fields that the type does not name. Whoever pays sees
/// what is theirs; what anybody sees is what the type says, unless it says that there is more.
pub(super) fn shows_more(document: &Document, kind: &Type, free: bool) -> bool {
    let schema = followed(document, &kind.schema);
    let named = schema.get("properties").and_then(Value::as_object).is_some_and(|fields| !fields.is_empty());
    match schema.get("additionalProperties") {
        Some(Value::Bool(more)) => *more,
        Some(_) => true,
        None => !free || !named,
    }
}

/// Whether a schema is that of what items or a list may stand in, or takes null.
pub(super) fn holds(document: &Document, schema: &Value) -> bool {
    let schema = followed(document, schema);
    let one = |value: &Value| matches!(value.as_str(), Some("object" | "array" | "null"));
    let kind = schema.get("type");
    kind.is_some_and(|kind| one(kind) || kind.as_array().is_some_and(|kinds| kinds.iter().any(one)))
}

/// Whether every value of a type has a text in this field.
pub(super) fn has_text(document: &Document, kind: &Type, name: &str) -> bool {
    requires(document, kind, name) && kind_of_field(document, kind, name) == Some("string")
}

/// Whether every value of a type has this field.
pub(super) fn requires(document: &Document, kind: &Type, name: &str) -> bool {
    let required = followed(document, &kind.schema).get("required").and_then(Value::as_array);
    required.is_some_and(|names| names.iter().any(|one| one == name))
}

/// The one kind that a field of a type is.
fn kind_of_field<'a>(document: &'a Document, kind: &'a Type, name: &str) -> Option<&'a str> {
    followed(document, fields(document, kind)?.get(name)?).get("type")?.as_str()
}

/// Whether a field of a type is a whole number.
pub(super) fn is_whole(document: &Document, kind: &Type, name: &str) -> bool {
    kind_of_field(document, kind, name) == Some("integer")
}

/// Whether a field of a type is a number.
pub(super) fn is_number(document: &Document, kind: &Type, name: &str) -> bool {
    matches!(kind_of_field(document, kind, name), Some("integer" | "number"))
}

/// The fields of a type that are numbers.
pub(super) fn numbers<'a>(document: &'a Document, kind: &'a Type) -> impl Iterator<Item = &'a String> {
    fields(document, kind).into_iter().flat_map(Map::keys).filter(move |name| is_number(document, kind, name))
}

/// Whether a field of a type is true or false.
pub(super) fn is_flag(document: &Document, kind: &Type, name: &str) -> bool {
    kind_of_field(document, kind, name) == Some("boolean")
}

/// Whether an object of a type may say for how many seconds it lives.
pub(super) fn lives(document: &Document, kind: &Type) -> bool {
    SPANS.iter().any(|name| is_number(document, kind, name))
}

/// Whether an object of a type may say at what time it ends.
pub(super) fn ends(document: &Document, kind: &Type) -> bool {
    let is = |field: &Value, what: &str| match field.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == what),
        kind => kind.and_then(Value::as_str) == Some(what),
    };
    let text = |field: &Value| {
        let format = field.get("format").and_then(Value::as_str);
        is(field, "string") && field.get("enum").is_none() && matches!(format, None | Some("date-time"))
    };
    let time = |field: &Value| {
        let field = followed(document, field);
        text(field) || field.get("anyOf").and_then(Value::as_array).is_some_and(|some| some.iter().any(text))
    };
    fields(document, kind).is_some_and(|fields| ENDS.iter().any(|name| fields.get(*name).is_some_and(time)))
}

/// The texts that a field of a type may be, where it names them.
#[derive(Clone, Debug)]
pub(super) struct Words {
    pub all: Vec<String>,
    /// The one that it is unless another is said.
    pub usual: Option<String>,
}

/// The texts that a field of a type may be.
pub(super) fn words(document: &Document, kind: &Type, name: &str) -> Option<Words> {
    let said = fields(document, kind)?.get(name)?;
    let field = followed(document, said);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let all: Vec<String> = match field.get("const") {
        Some(only) => text(only).into_iter().collect(),
        None => field.get("enum")?.as_array()?.iter().filter_map(text).collect(),
    };
    let usual = said.get("default").or_else(|| field.get("default")).and_then(text).filter(|word| all.contains(word));
    (!all.is_empty()).then_some(Words { all, usual })
}

/// Whether an object of a type gets fields that nobody sent.
pub(super) fn fills(document: &Document, kind: &Type) -> bool {
    let default = |field: &Value| field.get("default").is_some();
    fields(document, kind).is_some_and(|fields| fields.values().any(default))
}

/// The module with every type of a document, as schemas and as types.
pub(super) fn module(document: &Document) -> String {
    let mut code = String::new();
    for kind in &document.types {
        let zod = zod(document, &kind.schema, 0);
        let _ = write!(
            code,
            "\n{}export const {name} = {zod};\nexport type {name} = z.infer<typeof {name}>;\n",
            about(&kind.schema, 0),
            name = kind.name
        );
    }
    let helpers: Vec<_> =
        ["characters", "exactlyOne", "having", "oneOf", "unique"].into_iter().filter(|name| code.contains(&format!("{name}("))).collect();
    let kit =
        if helpers.is_empty() { String::new() } else { format!("import {{ {} }} from \"@flywheel/kit/types\";\n", helpers.join(", ")) };
    format!("// Generated from prim.yaml: a change of this file is overwritten.\n{kit}import {{ z }} from \"zod\";\n{code}")
}

fn about(schema: &Value, indent: usize) -> String {
    let said = schema.get("description").or_else(|| schema.get("title")).and_then(Value::as_str).map(text::comment).unwrap_or_default();
    if said.is_empty() { String::new() } else { format!("{}/** {said} */\n", " ".repeat(indent)) }
}

/// A schema as an expression.
fn zod(document: &Document, schema: &Value, indent: usize) -> String {
    let mut parts: Vec<String> = Vec::new();
    if let Some(kind) = reference(document, schema) {
        parts.push(kind.name.clone());
    }
    let entries = |key: &str| schema.get(key).and_then(Value::as_array);
    let values = entries("enum").cloned().or_else(|| schema.get("const").map(|value| vec![value.clone()]));
    let kinds: Vec<&str> = match schema.get("type") {
        Some(Value::String(kind)) => vec![kind],
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    // Values that are named need no other words, where those are about their kind alone.
    let bare = !says_more(schema);
    let decided = values.is_some() && bare;
    if let Some(values) = values {
        let of_kind = |value: &&Value| !bare || kinds.is_empty() || kinds.iter().any(|kind| is(kind, value));
        parts.push(named(&values.iter().filter(of_kind).collect::<Vec<_>>()));
    }
    if !kinds.is_empty() && !decided {
        let each: Vec<_> = kinds.iter().map(|kind| of_kind(document, schema, kind, indent)).collect();
        parts.push(if each.len() == 1 { each.concat() } else { format!("z.union([{}])", each.join(", ")) });
    }
    for (key, call) in [("anyOf", "z.union"), ("oneOf", "exactlyOne")] {
        if let Some(options) = entries(key) {
            let each: Vec<_> = options.iter().map(|option| zod(document, option, indent)).collect();
            parts.push(if each.len() == 1 { each.concat() } else { format!("{call}([{}])", each.join(", ")) });
        }
    }
    let mut parts = parts.into_iter();
    let first = parts.next().unwrap_or_else(|| "z.unknown()".into());
    parts.fold(first, |left, right| format!("{left}.and({right})"))
}

/// Whether a schema says more of a value than what kind it is.
pub(super) fn says_more(schema: &Value) -> bool {
    const PLAIN: [&str; 8] = ["$ref", "title", "description", "type", "enum", "const", "default", "examples"];
    let both = schema.get("enum").is_some() && schema.get("const").is_some();
    both || schema.as_object().is_some_and(|keys| keys.keys().any(|key| !PLAIN.contains(&key.as_str()) && key != "anyOf" && key != "oneOf"))
}

/// Whether a value is of a kind.
pub(super) fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        _ => value.is_object(),
    }
}

/// These values and no other.
fn named(values: &[&Value]) -> String {
    let mut distinct: Vec<&Value> = Vec::new();
    values.iter().for_each(|value| {
        if !distinct.contains(value) {
            distinct.push(value);
        }
    });
    let literals: Vec<_> = distinct.iter().map(|value| literal(value)).collect();
    let list = literals.join(", ");
    match () {
        () if distinct.is_empty() => "z.never()".into(),
        () if distinct.iter().all(|value| value.is_string()) => format!("z.enum([{list}])"),
        () if distinct.iter().any(|value| value.is_array() || value.is_object()) => format!("oneOf([{list}])"),
        () => format!("z.literal([{list}])"),
    }
}

/// A value as an expression.
fn literal(value: &Value) -> String {
    match value {
        Value::String(text) => text::string(text),
        Value::Number(number) => digits(number.as_f64().unwrap_or_default()),
        Value::Array(entries) => format!("[{}]", entries.iter().map(literal).collect::<Vec<_>>().join(", ")),
        // A field's name may be anything here, and a computed one sets no prototype.
        Value::Object(fields) => {
            let fields: Vec<_> = fields.iter().map(|(name, value)| format!("[{}]: {}", text::string(name), literal(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other => other.to_string(),
    }
}

/// A number as JavaScript has it: what it can't tell apart is one.
fn digits(number: f64) -> String {
    if number.abs() <= SAFE { format!("{number}") } else { format!("{number:e}") }
}

fn of_kind(document: &Document, schema: &Value, kind: &str, indent: usize) -> String {
    let bound =
        |key: &str, call: &str| schema.get(key).and_then(Value::as_f64).map(|n| format!(".{call}({})", digits(n))).unwrap_or_default();
    match kind {
        "string" => {
            let of = match schema.get("format").and_then(Value::as_str) {
                Some("date") => "z.iso.date()",
                Some("date-time") => "z.iso.datetime({ offset: true })",
                Some("email") => "z.email()",
                Some("hostname") => "z.hostname()",
                Some("ipv4") => "z.ipv4()",
                Some("ipv6") => "z.ipv6()",
                Some("uri") => "z.url()",
                Some("uuid") => "z.guid()",
                _ => "z.string()",
            };
            let expression = Expression::of(schema).and_then(Result::ok);
            let most = expression.as_ref().filter(|expression| expression.squares()).map(|_| LONGEST_SQUARED);
            let pattern = expression.map(|e| format!(".regex(new globalThis.RegExp({}, \"u\"))", text::string(&e.javascript())));
            format!("{of}{}{}", length(schema, most), pattern.unwrap_or_default())
        }
        "integer" | "number" => {
            let bounds = [("minimum", "min"), ("maximum", "max"), ("exclusiveMinimum", "gt"), ("exclusiveMaximum", "lt")];
            let of = if kind == "integer" { "z.int()" } else { "z.number()" };
            bounds.into_iter().fold(of.to_owned(), |text, (key, call)| text + &bound(key, call))
        }
        "boolean" => "z.boolean()".into(),
        "null" => "z.null()".into(),
        "array" => {
            let items = schema.get("items").map_or_else(|| "z.unknown()".into(), |items| zod(document, items, indent));
            let unique = if schema.get("uniqueItems") == Some(&Value::Bool(true)) { ".refine(...unique())" } else { "" };
            format!("z.array({items}){}{}{unique}", bound("minItems", "min"), bound("maxItems", "max"))
        }
        _ => object(document, schema, indent),
    }
}

/// How long a text may be. JavaScript counts a character beyond the first plane twice,
/// which makes no difference for one that must only be there. `most`: at most so many
/// characters where the type has no word on it.
fn length(schema: &Value, most: Option<f64>) -> String {
    let number = |key: &str| schema.get(key).and_then(Value::as_f64);
    let bound = |name: &str, n: f64| format!("{name}: {}", digits(n));
    let least = number("minLength");
    let most = number("maxLength").or(most.filter(|most| least.is_none_or(|least| least <= *most)));
    match (least, most.map(|most| bound("max", most))) {
        (None, None) => String::new(),
        (Some(least), None) if least <= 1.0 => format!(".min({})", digits(least)),
        (_, most) => {
            let bounds: Vec<_> = least.map(|least| bound("min", least)).into_iter().chain(most).collect();
            format!(".refine(...characters({{ {} }}))", bounds.join(", "))
        }
    }
}

fn object(document: &Document, schema: &Value, indent: usize) -> String {
    let space = " ".repeat(indent);
    let required: Vec<_> = schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object);
    let mut fields = String::new();
    for (name, field) in properties.into_iter().flatten() {
        let zod = zod(document, field, indent + 2);
        let end = match (required.contains(&name.as_str()), field.get("default")) {
            // `unknown` takes what is not there too.
            (true, _) if zod == "z.unknown()" => ".refine((value) => value !== undefined, \"must be there\")".into(),
            // Nobody may leave it out, and who answers knows what it is where nothing else is said.
            (true, Some(default)) => format!(".meta({{ default: {} }})", literal(default)),
            (true, None) => String::new(),
            (false, Some(default)) => format!(".default({})", literal(default)),
            (false, None) => ".optional()".into(),
        };
        let _ = write!(fields, "\n{}{space}  {}: {zod}{end},", about(field, indent + 2), text::key(name));
    }
    let fields = if fields.is_empty() { "{}".into() } else { format!("{{{fields}\n{space}}}") };
    let (open, rest) = match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => ("z.strictObject", String::new()),
        // Said, and not only left open: an answer to anybody has other fields then, too.
        Some(Value::Bool(true)) => ("z.looseObject", ".meta({ additionalProperties: true })".into()),
        Some(Value::Object(more)) => ("z.object", format!(".catchall({})", zod(document, &Value::Object(more.clone()), indent))),
        _ => ("z.looseObject", String::new()),
    };
    let others = required.iter().filter(|name| properties.is_none_or(|properties| !properties.contains_key(**name)));
    let others: String = others.map(|name| format!(".refine(...having({}))", text::string(name))).collect();
    format!("{open}({fields}){rest}{others}")
}
