//! From text or JSON to a [`Document`].

use serde_json::Value;

use super::{
    document::Document,
    fields::Fields,
    normal::ordered,
    notes::{Notes, Problem},
    pricing, providers, routes,
};
use crate::api::names::PrimitiveId;

/// Reads YAML, of which JSON is a part. All problems come at once; a text that
/// is no YAML has one.
pub fn read(text: &str) -> Result<Document, Vec<Problem>> {
    from_value(value(text).map_err(|problem| vec![problem])?)
}

/// A text as the value that [`from_value`] takes, whatever is in it.
pub fn value(text: &str) -> Result<Value, Problem> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| Problem { path: String::new(), text: format!("is not YAML: {error}") })
}

/// Reads a document that is parsed already: what a Primitive holds.
pub fn from_value(value: Value) -> Result<Document, Vec<Problem>> {
    let mut notes = Notes::default();
    let document = assemble(&value, &mut notes);
    match document {
        Some(document) if notes.problems.is_empty() => Ok(Document { given: ordered(value), assumptions: notes.assumptions, ..document }),
        _ => Err(notes.problems),
    }
}

fn assemble(value: &Value, notes: &mut Notes) -> Option<Document> {
    let fields = Fields::of(value, "", notes)?;
    let id = identify(&fields, notes);
    let shown = id.as_ref().map_or("", PrimitiveId::as_str);
    let name = fields.text("name", notes).unwrap_or_else(|| {
        notes.assume("name", format!("absent, so {shown}.sh"));
        format!("{shown}.sh")
    });
    let description = fields.text("description", notes).unwrap_or_else(|| {
        notes.assume("description", "absent, so the name");
        name.clone()
    });
    let endpoint = fields.text("endpoint", notes).unwrap_or_else(|| {
        notes.assume("endpoint", format!("absent, so {shown}.prim.sh"));
        format!("{shown}.prim.sh")
    });
    if !fields.has("routes_map") {
        notes.assume("routes_map", "absent: the service has its health check alone");
    }
    // Information only, and where the service listens is not the document's to say.
    fields.integer("port", (1, u16::MAX), notes);
    let [quick_start, tips, limits] = ["quick_start", "tips", "limits"].map(|key| fields.texts(key, notes));
    let said = [&quick_start, &tips, &limits].into_iter().flatten().map(|line| line.to_ascii_lowercase()).collect::<Vec<_>>().join("\n");
    let pricing = pricing::rows(&fields, notes);
    Some(Document {
        name,
        description,
        endpoint,
        version: version(&fields, notes),
        status: fields.text("status", notes),
        env: providers::variables(&fields, "env", notes),
        free: pricing::is_free(&fields, &pricing, notes),
        pricing,
        routes: routes::read(&fields, &said, notes),
        providers: providers::read(&fields, notes),
        quick_start,
        tips,
        limits,
        ownership: fields.text("ownership", notes),
        assumptions: Vec::new(),
        given: Value::Null,
        id: id?,
    })
}

fn identify(fields: &Fields<'_>, notes: &mut Notes) -> Option<PrimitiveId> {
    let Some(text) = fields.get("id").and_then(Value::as_str) else {
        notes.problem("id", "a document needs an id: a text such as search");
        return None;
    };
    match text.parse() {
        Ok(id) => Some(id),
        Err(error) => {
            notes.problem("id", error.to_string());
            None
        }
    }
}

fn version(fields: &Fields<'_>, notes: &mut Notes) -> String {
    let version = fields.text("version", notes).unwrap_or_else(|| "0.1.0".into());
    if version.len() > 32 || !version.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
        notes.problem("version", format!("{version:?} must be up to 32 letters, digits, '.', '-' and '+'"));
    }
    version
}
