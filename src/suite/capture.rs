//! What an answer fills variables with.

use serde_json::Value;
use serde_json_path::JsonPath;

/// Characters of the longest path: a longer one only costs.
const LONGEST: usize = 512;

/// A JSONPath (RFC 9535), or what is wrong with it.
pub(super) fn parse(path: &str) -> Result<JsonPath, String> {
    if path.len() > LONGEST {
        return Err(format!("is longer than {LONGEST} bytes"));
    }
    // The parser recurses into what is in brackets.
    if path.bytes().filter(|b| matches!(b, b'(' | b'[' | b'!')).count() > 32 {
        return Err("has more than 32 brackets and negations".into());
    }
    JsonPath::parse(path).map_err(|error| {
        let hint = if path.starts_with("$.") { "; a name with other characters than letters, digits and _ is written ['so']" } else { "" };
        format!("is no JSONPath: {error}{hint}")
    })
}

/// The one value at a path, as a variable holds it; none where there is no such
/// value, where it is null, and where there are several.
pub(super) fn at(path: &str, body: &Value) -> Option<String> {
    let path = parse(path).ok()?;
    path.query(body).exactly_one().ok().and_then(text)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
