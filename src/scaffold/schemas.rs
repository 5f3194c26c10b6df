//! What a route takes, as Zod. The format names types and says nothing of their
//! fields: those that an example or a sentence names are known, all others pass.

use serde_json::{Map, Value, json};

use super::{
    claims::Claim,
    held,
    native::{Collection, Native, Op, Sent, Signed},
    plan::{Plan, Planned, Work},
    prose, text, types,
};
use crate::prim::{Body, DeclaredError, Document, INHERITED, Method, QueryKind, QueryParam, Route};

/// Longest name of a field that is taken from an example.
const LONGEST_FIELD: usize = 40;

/// Fields that hold a text wherever there is one of that name.
const TEXTS: [&str; 8] = ["name", "title", "url", "email", "slug", "question", "query", "username"];

/// The example that `quick_start` gives for a route's body.
pub(super) fn example(document: &Document, route: &Route) -> Map<String, Value> {
    let found = document.quick_start.iter().find_map(|line| {
        let (method, rest) = line.trim().split_once(' ')?;
        let path = rest.split_whitespace().next()?;
        let json = rest.find('{').filter(|_| method == route.method.as_str() && path == route.path.to_string())?;
        let mut values = serde_json::Deserializer::from_str(&rest[json..]).into_iter::<Map<String, Value>>();
        values.next()?.ok()
    });
    let mut fields = found.unwrap_or_default();
    let plain = |name: &str| {
        !name.is_empty()
            && name.len() <= LONGEST_FIELD
            && !INHERITED.contains(&name)
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    fields.retain(|name, _| plain(name));
    fields
}

/// One field of a body.
pub(super) struct Field {
    pub name: String,
    pub kind: Kind,
    pub required: bool,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text {
        longest: Option<u64>,
    },
    OneOf(Vec<String>),
    Number,
    Whole,
    Flag,
    /// A wallet's address.
    Address,
    /// 0x and hexadecimal digits.
    Hex,
    /// A time in ISO 8601.
    Time,
    /// Anything.
    Any,
}

/// What is known of the fields of a route's body: from the key of what it makes, the
/// message that is signed, an example, and what the document says of a bad request.
pub(super) fn fields<'a>(plan: &Plan<'_>, planned: &'a Planned<'_>) -> &'a [Field] {
    planned.fields.get_or_init(|| find(plan, planned))
}

fn find(plan: &Plan<'_>, planned: &Planned<'_>) -> Vec<Field> {
    let (document, route) = (plan.document, planned.route);
    let mut fields: Vec<Field> = Vec::new();
    let mut add = |name: &str, kind: Kind, required: bool| match fields.iter_mut().find(|field| field.name == name) {
        Some(field) => field.required |= required,
        None => fields.push(Field { name: name.into(), kind, required }),
    };
    let address = |name: &str| {
        let about = |error: &&DeclaredError| error.status == 400 && error.description.to_ascii_lowercase().contains("address");
        ["address", "wallet"].contains(&name) && route.errors.iter().any(|error| about(&error))
    };
    if let Some(signed) = signed(planned) {
        for name in prose::placeholders(&signed.message) {
            let kind = match name.as_str() {
                name if name == signed.address => Kind::Address,
                "timestamp" => Kind::Time,
                _ => Kind::Text { longest: None },
            };
            add(&name, kind, true);
        }
        add("signature", Kind::Hex, true);
    }
    if let Some(key) = key(plan, planned) {
        let kept = planned.work.kept().and_then(|native| plan.collections.get(native.collection));
        let numbers = kept.is_some_and(|c| c.numbers);
        let made = matches!(planned.work.kept(), Some(Native { op: Op::Create { .. }, .. })) && kept.is_some_and(Collection::makes_names);
        add(key, if numbers { Kind::Whole } else { Kind::Text { longest: None } }, !made);
    }
    match &planned.claim {
        Some(Claim::Code { field, .. }) => add(field, Kind::Text { longest: None }, true),
        Some(Claim::Turn { field: Some(field), .. }) => {
            add(field, if address(field) { Kind::Address } else { Kind::Text { longest: None } }, true);
        }
        _ => {}
    }
    let ends = planned.work.kept().and_then(|native| plan.collections.get(native.collection)).is_some_and(|c| c.ends);
    let lives = |name: &str| ends && types::SPANS.contains(&name);
    let late = |name: &str, value: Option<&Value>| ends && types::ENDS.contains(&name) && value.is_none_or(Value::is_string);
    // A change that leaves a field away leaves it as it is.
    let missing = if route.method == Method::Patch { Vec::new() } else { prose::missing(route) };
    for (name, value) in example(document, route) {
        let kind = match &value {
            // The store refuses others, whatever an example says.
            _ if lives(&name) => Kind::Number,
            value if late(&name, Some(value)) => Kind::Time,
            Value::String(_) if address(&name) => Kind::Address,
            Value::String(_) => match prose::one_of(document, &name) {
                Some(values) => Kind::OneOf(values),
                None => Kind::Text { longest: prose::longest(document, &name) },
            },
            Value::Number(_) => Kind::Number,
            Value::Bool(_) => Kind::Flag,
            // An array or object in an example may have other forms.
            Value::Null | Value::Array(_) | Value::Object(_) => Kind::Any,
        };
        add(&name, kind.clone(), missing.contains(&name) || kind == Kind::Address);
    }
    for name in missing {
        let kind = match &*name {
            name if lives(name) => Kind::Number,
            name if name != "expires" && late(name, None) => Kind::Time,
            name if address(name) => Kind::Address,
            name if TEXTS.contains(&name) => Kind::Text { longest: prose::longest(document, name) },
            _ => Kind::Any,
        };
        add(&name, kind, true);
    }
    fields
}

/// The line or lines `body: …,`; nothing where it takes no JSON.
pub(super) fn body(plan: &Plan<'_>, planned: &Planned<'_>) -> String {
    if !matches!(planned.route.request, Body::Json(_)) {
        return String::new();
    }
    if let Some(kind) = types::taken(plan.document, planned.route) {
        // A default is for what is new, and no change of what is there.
        let partly = matches!(planned.work.kept().map(|native| &native.op), Some(Op::Change | Op::SetPart { whole: false }));
        let changes = (partly || planned.route.method == Method::Patch) && types::fills(plan.document, kind);
        return if changes { format!("    body: sent(api.{}),", kind.name) } else { format!("    body: api.{},", kind.name) };
    }
    let held = held::changed(plan, planned);
    if !held.is_empty() {
        let held: Vec<_> = held.iter().map(|kind| format!("api.{}", kind.name)).collect();
        return text::call(4, "body: part", &held, ",");
    }
    let fields = fields(plan, planned);
    // What is done to something needs no body: its path says all.
    let bare = fields.is_empty() && !must_be_filled(planned);
    let needless = matches!(planned.route.method, Method::Post | Method::Delete) || planned.work.kept().is_some_and(|native| native.bare());
    let end = if bare && needless { ".default({})" } else { "" };
    let open = if must_be_filled(planned) && fields.iter().all(|field| !field.required) { "filled" } else { "z.looseObject" };
    if fields.is_empty() {
        return format!("    body: {open}({{}}){end},");
    }
    let lines: Vec<_> = fields.iter().map(|field| text::chain(6, &format!("{}: ", text::key(&field.name)), &calls(field), ",")).collect();
    format!("    body: {open}({{\n{}\n    }}),", lines.join("\n"))
}

/// The same as JSON Schema, for those who call the service.
pub(super) fn json_schema(plan: &Plan<'_>, planned: &Planned<'_>) -> Option<Value> {
    if !matches!(planned.route.request, Body::Json(_)) {
        return None;
    }
    if let Some(kind) = types::taken(plan.document, planned.route) {
        return plan.known.get(&kind.name).map(|known| known.schema.clone());
    }
    let held = held::changed(plan, planned);
    if !held.is_empty() {
        return Some(held::schema(plan.document, &held));
    }
    let fields = fields(plan, planned);
    let properties: Map<String, Value> = fields.iter().map(|field| (field.name.clone(), field_schema(field))).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    let required: Vec<_> = fields.iter().filter(|field| field.required).map(|field| field.name.as_str()).collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    } else if must_be_filled(planned) {
        schema["minProperties"] = json!(1);
    }
    Some(schema)
}

fn field_schema(field: &Field) -> Value {
    let mut schema = match &field.kind {
        Kind::Text { longest: None } => json!({ "type": "string" }),
        Kind::Text { longest: Some(most) } => json!({ "type": "string", "maxLength": most }),
        Kind::OneOf(values) => json!({ "enum": values }),
        Kind::Number => json!({ "type": "number" }),
        Kind::Whole => json!({ "type": "integer" }),
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Address => json!({ "type": "string", "pattern": "^0x[0-9a-fA-F]{40}$" }),
        Kind::Hex => json!({ "type": "string", "pattern": "^0x[0-9a-fA-F]+$" }),
        Kind::Time => json!({ "type": "string", "format": "date-time" }),
        Kind::Any => json!({}),
    };
    if field.required && matches!(field.kind, Kind::Text { .. }) {
        schema["minLength"] = json!(1);
    }
    schema
}

fn calls(field: &Field) -> Vec<String> {
    let mut calls: Vec<String> = match &field.kind {
        Kind::Text { longest } => {
            let mut calls = vec!["string()".to_owned()];
            calls.extend(field.required.then(|| "min(1)".into()));
            calls.extend(longest.map(|most| format!("refine(...characters({{ max: {most} }}))")));
            calls
        }
        Kind::OneOf(values) => {
            let values: Vec<_> = values.iter().map(|value| text::string(value)).collect();
            vec![format!("enum([{}])", values.join(", "))]
        }
        Kind::Number => vec!["number()".into()],
        Kind::Whole => vec!["int()".into()],
        Kind::Flag => vec!["boolean()".into()],
        Kind::Address => vec!["string()".into(), "regex(/^0x[0-9a-fA-F]{40}$/, \"must be a wallet's address\")".into()],
        Kind::Hex => vec!["string()".into(), "regex(/^0x[0-9a-fA-F]+$/, \"must be hexadecimal\")".into()],
        Kind::Time => vec!["iso".into(), "datetime({ offset: true })".into()],
        // There is nothing that `unknown` refuses.
        Kind::Any if field.required => vec!["any()".into(), "refine((value) => value !== undefined, \"must be there\")".into()],
        Kind::Any => vec!["unknown()".into()],
    };
    if !field.required {
        calls.push("optional()".into());
    }
    calls
}

/// The field that names what a route makes.
pub(super) fn key<'a>(plan: &'a Plan<'_>, planned: &'a Planned<'_>) -> Option<&'a str> {
    match &planned.work {
        Work::Native(Native { op: Op::Create { signed: None }, collection, .. }) => plan.collections.get(*collection)?.key.as_deref(),
        Work::Native(Native { sent: Some(Sent::Body(field)), .. }) => Some(field),
        _ => None,
    }
}

fn signed<'a>(planned: &'a Planned<'_>) -> Option<&'a Signed> {
    match planned.work.kept() {
        Some(Native { op: Op::Create { signed }, .. }) => signed.as_ref(),
        _ => None,
    }
}

/// Whether an empty object is a bad request: the route declares that it knows one.
pub(super) fn must_be_filled(planned: &Planned<'_>) -> bool {
    let route = planned.route;
    if !matches!(route.request, Body::Json(_)) {
        return false;
    }
    match planned.work.kept().map(|native| &native.op) {
        Some(Op::Create { .. }) => matches!(planned.work, Work::Native(_)) || route.error(400).is_some(),
        // Of these the path says what is meant.
        Some(
            Op::Become { .. }
            | Op::Switch { .. }
            | Op::Renew
            | Op::Step { .. }
            | Op::Flip { .. }
            | Op::Remove { .. }
            | Op::Search
            | Op::Take { .. }
            | Op::Batch,
        ) => false,
        _ => route.method == Method::Post && route.error(400).is_some(),
    }
}

/// The lines `params: …,`; nothing where each may be any text.
pub(super) fn params(route: &Route) -> String {
    let whole = route.params.iter().filter(|param| param.kind == QueryKind::Integer);
    let lines: Vec<_> = whole
        .map(|param| {
            let bounds = bounds(param.min, param.max);
            format!("      {}: integerText({bounds}),", text::key(&param.name))
        })
        .collect();
    if lines.is_empty() { String::new() } else { format!("    params: z.looseObject({{\n{}\n    }}),", lines.join("\n")) }
}

/// The lines `query: …,`; nothing where it has no parameters.
pub(super) fn query(route: &Route) -> String {
    if route.query.is_empty() {
        return String::new();
    }
    let params: Vec<_> = route.query.iter().map(param).collect();
    format!("    query: z.object({{\n{}\n    }}),", params.join("\n"))
}

fn param(param: &QueryParam) -> String {
    let left = format!("{}: ", text::key(&param.name));
    let required = param.required && param.default.is_none();
    let end = match param.default {
        Some(n) => format!(".default({n})"),
        None if required => String::new(),
        None => ".optional()".into(),
    };
    let line = match param.kind {
        QueryKind::Text => {
            let least = if required { ".min(1)" } else { "" };
            format!("      {left}z.string(){least}{end},")
        }
        QueryKind::Flag => format!("      {left}z.stringbool(){end},"),
        QueryKind::Integer | QueryKind::Number => {
            let of = if param.kind == QueryKind::Integer { "integer" } else { "number" };
            let line = format!("      {left}{of}({}){end},", bounds(param.min, param.max));
            if text::fits(&line) {
                line
            } else {
                // The longest name with the widest bounds: as the formatter breaks it.
                let bounds = bounds(param.min, param.max).replace("{ ", "").replace(" }", "").replace(", ", ",\n        ");
                format!("      {left}{of}({{\n        {bounds},\n      }}){end},")
            }
        }
    };
    match text::comment(&param.description).as_str() {
        "" => line,
        about => format!("      /** {about} */\n{line}"),
    }
}

/// `{ min: 1, max: 9 }`; nothing where there are none.
fn bounds(min: Option<i64>, max: Option<i64>) -> String {
    let bounds = [("min", min), ("max", max)].into_iter().filter_map(|(key, n)| n.map(|n| format!("{key}: {n}")));
    let bounds = bounds.collect::<Vec<_>>().join(", ");
    if bounds.is_empty() { bounds } else { format!("{{ {bounds} }}") }
}
