//! What is called as secrets are: reports say that it is there, and not what it is.

use std::borrow::Cow;

use serde_json::Value;

/// What stands for a value.
pub const HIDDEN: &str = "[hidden]";

/// What is a secret's name wherever it stands in one.
const ANYWHERE: [&str; 8] = ["authorization", "cookie", "secret", "password", "passphrase", "credential", "jwt", "mnemonic"];
/// What is one at a name's end: the address of a token is no secret, and `key` names many things.
const LAST: [&str; 8] = ["token", "signature", "apikey", "privatekey", "accesskey", "signingkey", "authkey", "internalkey"];

/// Whether a header, a field or a parameter of this name has what somebody else must not see.
pub fn is_secret(name: &str) -> bool {
    let letters: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    LAST.iter().any(|end| letters.ends_with(end)) || ANYWHERE.iter().any(|part| letters.contains(part))
}

/// A value that reports may show, of what has this name. What a plan refers to by
/// `{{secret:NAME}}` says no more than that.
pub fn shown<'a>(name: &str, value: &'a str) -> &'a str {
    if is_secret(name) && !value.is_empty() && !value.contains("{{secret:") { HIDDEN } else { value }
}

/// A body that reports may show: JSON, a form, or anything else as it is.
pub fn body(text: &str) -> Cow<'_, str> {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else {
        let is_form = !text.contains(|c: char| c.is_whitespace() || c == '<');
        return if is_form { form(text) } else { text.into() };
    };
    if hide(&mut value) { value.to_string().into() } else { text.into() }
}

/// A URL that reports may show.
pub fn url(text: &str) -> Cow<'_, str> {
    match text.split_once('?') {
        Some((path, query)) => match form(query) {
            Cow::Owned(query) => format!("{path}?{query}").into(),
            Cow::Borrowed(_) => text.into(),
        },
        None => text.into(),
    }
}

/// `name=value&…`.
fn form(text: &str) -> Cow<'_, str> {
    let pair = |pair: &str| match pair.split_once('=') {
        Some((name, value)) => format!("{name}={}", shown(name, value)),
        None => pair.to_owned(),
    };
    let hidden = text.split('&').map(pair).collect::<Vec<_>>().join("&");
    if hidden == text { text.into() } else { hidden.into() }
}

/// Hides the texts of fields that are called so; whether there were any.
pub fn hide(value: &mut Value) -> bool {
    let mut any = false;
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if shown(name, text) != text.as_str() => (any, *text) = (true, HIDDEN.to_owned()),
                    other => any |= hide(other),
                }
            }
        }
        Value::Array(entries) => entries.iter_mut().for_each(|entry| any |= hide(entry)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_by_what_they_are_called() {
        let text = r#"{"id":"1","API_KEY":"sk-1","deep":[{"access_token":"t","tokens":3,"Set-Cookie":"c"}],"note":"token"}"#;
        let expected =
            r#"{"id":"1","API_KEY":"[hidden]","deep":[{"access_token":"[hidden]","tokens":3,"Set-Cookie":"[hidden]"}],"note":"token"}"#;
        assert_eq!(body(text), expected);
        for plain in ["plain", "", "1", r#"{ "token_address": "0x1", "key": "a", "token": "" }"#, "a=b&c", "token = x", "<a token='x'>"] {
            assert_eq!(body(plain), plain);
        }
        assert_eq!(body("a=1&client_secret=x&b"), "a=1&client_secret=[hidden]&b");
        for (given, expected) in [
            ("http://a.test/v1/x?token=t&to=b", "http://a.test/v1/x?token=[hidden]&to=b"),
            ("http://a.test/v1/token=t", "http://a.test/v1/token=t"),
            ("http://a.test/?token={{secret:T}}", "http://a.test/?token={{secret:T}}"),
        ] {
            assert_eq!(url(given), expected);
        }
        for (name, secret) in [("Authorization", true), ("x-api-key", true), ("apiKey", true), ("key", false), ("tokenId", false)] {
            assert_eq!(shown(name, "v") == HIDDEN, secret, "{name}");
        }
    }
}
