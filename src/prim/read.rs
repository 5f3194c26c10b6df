//! From text or JSON to a [`Document`], leniently.

use serde_json::Value;

use super::{
    code::Code,
    document::Document,
    fields::Fields,
    notes::{Finding, Notes, Problem, quoted},
    pricing, providers, routes, status, text, types,
};
use crate::api::names::PrimitiveId;

/// Reads YAML, of which JSON is a part. All problems come at once; a text that
/// is no YAML has one.
pub fn read(text: &str) -> Result<Document, Vec<Problem>> {
    from_value(value(text).map_err(|problem| vec![problem])?)
}

/// A text as the value that [`from_value`] takes, whatever is in it.
pub fn value(text: &str) -> Result<Value, Problem> {
    text::parse(text).map_err(Finding::problem)
}

/// Reads a document that is parsed already: what a Primitive holds.
pub fn from_value(value: Value) -> Result<Document, Vec<Problem>> {
    let mut notes = Notes::default();
    let document = assemble(&value, &mut notes);
    finished(document, &mut notes).map(|document| document.holding(value))
}

/// The document that was assembled, where nothing was wrong with it; without what it
/// was given as.
pub(super) fn finished(document: Option<Document>, notes: &mut Notes) -> Result<Document, Vec<Problem>> {
    match document {
        Some(document) if notes.wrong.is_empty() => Ok(Document { assumptions: std::mem::take(&mut notes.assumptions), ..document }),
        _ => Err(notes.wrong.iter().cloned().map(Finding::problem).collect()),
    }
}

/// Everything that can be read of it; none where there is too little for a
/// document. What is wrong, `notes` has.
pub(super) fn assemble(value: &Value, notes: &mut Notes) -> Option<Document> {
    text::bounded(value, notes).ok()?;
    let fields = Fields::of(value, "", notes)?;
    let id = identify(&fields, notes);
    let shown = id.as_ref().map_or("", PrimitiveId::as_str);
    let name = fields.text("name", notes).unwrap_or_else(|| {
        notes.assume("name", format!("absent, so {shown}.sh"));
        format!("{shown}.sh")
    });
    let description = fields.text("description", notes).unwrap_or_else(|| {
        notes.lenient(Code::Missing, "description", "absent, so the name");
        name.clone()
    });
    let endpoint = fields.text("endpoint", notes).unwrap_or_else(|| {
        notes.assume("endpoint", format!("absent, so {shown}.prim.sh"));
        format!("{shown}.prim.sh")
    });
    if !fields.has("routes_map") {
        notes.lenient(Code::Missing, "routes_map", "absent: the service has its health check alone");
    }
    let status = fields.text("status", notes);
    if status::phase(status.as_deref()).is_none() {
        notes.lenient(Code::UnknownWord, "status", "is a word of no vocabulary, and says nothing");
    }
    // Information only, and where the service listens is not the document's to say.
    fields.integer("port", (1, u16::MAX), notes);
    let [quick_start, tips, limits] = ["quick_start", "tips", "limits"].map(|key| fields.texts(key, notes));
    let said = [&quick_start, &tips, &limits].into_iter().flatten().map(|line| line.to_ascii_lowercase()).collect::<Vec<_>>().join("\n");
    let pricing = pricing::rows(&fields, notes);
    let types = types::read(&fields, notes);
    Some(Document {
        name,
        description,
        endpoint,
        version: version(&fields, notes),
        status,
        env: providers::variables(&fields, "env", notes),
        free: pricing::is_free(&fields, &pricing, notes),
        pricing,
        routes: routes::read(&fields, &said, notes),
        types,
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
        notes.wrong(Code::Missing, "id", "a document needs an id: a text such as search");
        return None;
    };
    match text.parse() {
        Ok(id) => Some(id),
        Err(_) if text.len() > 60 => {
            notes.wrong(Code::Malformed, "id", format!("{} is longer than an id", quoted(text)));
            None
        }
        Err(error) => {
            notes.wrong(Code::Malformed, "id", error.to_string());
            None
        }
    }
}

fn version(fields: &Fields<'_>, notes: &mut Notes) -> String {
    let version = fields.text("version", notes).unwrap_or_else(|| "0.1.0".into());
    if version.len() > 32 || !version.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
        notes.wrong(Code::Malformed, "version", format!("{} must be up to 32 letters, digits, '.', '-' and '+'", quoted(&version)));
    }
    version
}
