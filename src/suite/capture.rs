//! What an answer fills variables with.

use serde_json::Value;
use serde_json_path::JsonPath;

/// Characters of the longest path: a longer one only costs.
const LONGEST: usize = 512;
/// Most descents (`..`) in a path.
const MOST_DESCENTS: usize = 2;

/// A JSONPath (RFC 9535), or what is wrong with it.
pub(super) fn parse(path: &str) -> Result<JsonPath, String> {
    if path.len() > LONGEST {
        return Err(format!("is longer than {LONGEST} bytes"));
    }
    let plain = unquoted(path);
    // Each gathers what the one before found again, from each of its levels.
    if plain.matches("..").count() > MOST_DESCENTS {
        return Err(format!(
            "has more than {MOST_DESCENTS} descents (..), which may take longer than anybody waits; name what stands between"
        ));
    }
    // A filter would look through all of the answer again for each value that it tries.
    if plain.match_indices('$').any(|(at, _)| at > 0) {
        return Err("looks for $ within a filter, which may take longer than anybody waits; a filter looks at @".into());
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

/// A path without the names and texts that are quoted in it.
fn unquoted(path: &str) -> String {
    let (mut plain, mut quote, mut escaped) = (String::new(), None, false);
    for c in path.chars() {
        match quote {
            None if c == '\'' || c == '"' => quote = Some(c),
            None => plain.push(c),
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(end) if c == end => quote = None,
            Some(_) => {}
        }
    }
    plain
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_would_take_for_ever_is_none() {
        for path in ["$..a..b..c", "$..a..a..a..a..a", "$..[?@..a && @..b]", "$[?$..a]", "$[?@.a == $.b]", "$..a[?@..a]..b"] {
            assert!(parse(path).is_err(), "{path}");
        }
        for path in ["$..a..b", "$['a..b..c..d']", "$[\"..\"]..a['$..x']..b", "$[?@.a == '$..']", "$.a['\\'..']..b..c", "$..*"] {
            assert!(parse(path).is_ok(), "{path}: {:?}", parse(path));
        }
    }

    #[test]
    fn what_is_left_ends_soon() {
        let deep = (0..120).fold(serde_json::json!(1), |inner, _| serde_json::json!({"a": inner, "b": [1, 2, 3]}));
        assert_eq!(at("$..a..a", &deep), None);
    }
}
