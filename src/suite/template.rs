//! Variables in texts: `{{name}}`, and secrets: `{{secret:NAME}}`.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use serde_json::Value;

use super::secrets::{Secrets, reference};

/// A piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// As it stands.
    Plain(&'a str),
    /// A variable's value.
    Variable(&'a str),
    /// A secret's value.
    Secret(&'a str),
    /// Braces that are neither, from their beginning to the text's end.
    Broken(&'a str),
}

/// A text in pieces. Whatever begins with two braces is meant as a variable.
pub(super) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let (mut found, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find("{{") {
        if at > 0 {
            found.push(Piece::Plain(&rest[..at]));
        }
        let inner = &rest[at + 2..];
        let Some(end) = inner.find("}}") else {
            found.push(Piece::Broken(&rest[at..]));
            return found;
        };
        let name = &inner[..end];
        found.push(match name.strip_prefix("secret:") {
            Some(secret) if is_secret(secret) => Piece::Secret(secret),
            None if is_variable(name) => Piece::Variable(name),
            _ => {
                found.push(Piece::Broken(&rest[at..]));
                return found;
            }
        });
        rest = &inner[end + 2..];
    }
    if !rest.is_empty() {
        found.push(Piece::Plain(rest));
    }
    found
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn is_secret(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

/// What a template lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// A variable that has no value.
    Variable(String),
    /// A secret that was not given.
    Secret(String),
    /// A variable that an answer filled, and its value, which would be a host.
    Host(String, String),
    /// Braces that are no template.
    Broken(String),
}

/// What fills templates.
#[derive(Clone, Copy)]
pub(super) struct Filler<'a> {
    pub variables: &'a BTreeMap<String, String>,
    pub secrets: &'a Secrets,
    /// Whether a variable's value is what a service answered.
    pub answered: &'a dyn Fn(&str) -> bool,
}

/// A filled text, and how reports say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filled {
    pub text: String,
    pub shown: String,
}

impl<'a> Filler<'a> {
    /// One that knows no secrets and builds no URLs.
    pub fn of(variables: &'a BTreeMap<String, String>, none: &'a Secrets) -> Self {
        Self { variables, secrets: none, answered: &|_| false }
    }

    /// A text with everything filled, as it is.
    pub fn fill(&self, text: &str) -> Result<Filled, Lack> {
        self.with(text, |_, _, value| Ok(value.to_owned()))
    }

    /// A URL with everything filled. What stands after the host is encoded, so that
    /// a value can't become another part of the URL than the one that it stands in.
    /// What a service answered is never a part of the host.
    pub fn url(&self, text: &str) -> Result<Filled, Lack> {
        self.with(text, |before, name, value| {
            let after = before.split_once("://").map(|(_, after)| after);
            let path = || encode(value, b"-._~!$&'()*+,;=:@/");
            Ok(match after {
                Some(after) if after.contains('?') => encode(value, b"-._~:/@,"),
                Some(after) if after.contains(['/', '\\', '#']) => path(),
                // A path may follow a host at once.
                Some(after) if value.starts_with('/') && !after.is_empty() => path(),
                _ if (self.answered)(name) => return Err(Lack::Host(name.to_owned(), value.to_owned())),
                None => value.to_owned(),
                // Within a host: only what a host has.
                Some(_) => value.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']')).collect(),
            })
        })
    }

    fn with(&self, text: &str, encoded: impl Fn(&str, &str, &str) -> Result<String, Lack>) -> Result<Filled, Lack> {
        let mut filled = Filled::default();
        for piece in pieces(text) {
            match piece {
                Piece::Plain(plain) => {
                    filled.text.push_str(plain);
                    filled.shown.push_str(plain);
                }
                Piece::Variable(name) => {
                    let value = self.variables.get(name).ok_or_else(|| Lack::Variable(name.to_owned()))?;
                    // A variable may hold what an answer said of a secret.
                    let clean = self.secrets.redact(value);
                    let sent = encoded(&filled.text, name, value)?;
                    filled.shown.push_str(if clean == *value { &sent } else { &clean });
                    filled.text.push_str(&sent);
                }
                Piece::Secret(name) => {
                    let value = self.secrets.get(name).ok_or_else(|| Lack::Secret(name.to_owned()))?;
                    // A secret is no answer, whatever it is called.
                    let value = encoded(&filled.text, "", value.expose_secret())?;
                    filled.shown.push_str(&reference(name));
                    filled.text.push_str(&value);
                }
                Piece::Broken(rest) => return Err(Lack::Broken(rest.chars().take(40).collect())),
            }
        }
        filled.shown = self.secrets.redact(&filled.shown);
        Ok(filled)
    }

    /// A value with all its texts filled, but not its keys: as it is sent, and as it is shown.
    pub fn value(&self, value: &Value) -> Result<(Value, Value), Lack> {
        Ok(match value {
            Value::String(text) => {
                let filled = self.fill(text)?;
                (filled.text.into(), filled.shown.into())
            }
            Value::Array(entries) => {
                let (sent, shown): (Vec<_>, Vec<_>) =
                    entries.iter().map(|entry| self.value(entry)).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
                (sent.into(), shown.into())
            }
            Value::Object(map) => {
                let (mut sent, mut shown) = (serde_json::Map::new(), serde_json::Map::new());
                for (key, value) in map {
                    let (one, other) = self.value(value)?;
                    sent.insert(key.clone(), one);
                    shown.insert(key.clone(), other);
                }
                (sent.into(), shown.into())
            }
            plain => (plain.clone(), plain.clone()),
        })
    }
}

fn encode(value: &str, plain: &[u8]) -> String {
    use std::fmt::Write;
    value.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            text.push(byte.into());
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

/// Every text in a value, but not its keys.
pub(super) fn texts<'a>(value: &'a Value, visit: &mut dyn FnMut(&'a str)) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(entries) => entries.iter().for_each(|entry| texts(entry, visit)),
        Value::Object(map) => map.values().for_each(|entry| texts(entry, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_url_is_filled_so_that_each_value_stays_where_it_stands() {
        let variables = BTreeMap::from(
            [("base", "http://127.0.0.1:80"), ("id", "a/b?c#d e%"), ("host", "a.b:1/x@"), ("none", ""), ("path", "/v1/x?y")]
                .map(|(k, v)| (k.to_owned(), v.to_owned())),
        );
        let secrets = Secrets::new([("KEY".to_owned(), "top secret".to_owned().into())]);
        let filler = Filler { variables: &variables, secrets: &secrets, answered: &|_| false };
        for (text, expected) in [
            ("{{base}}/v1/{{id}}/x?q={{id}}", Ok("http://127.0.0.1:80/v1/a/b%3Fc%23d%20e%25/x?q=a/b%3Fc%23d%20e%25")),
            ("https://{{host}}/", Ok("https://a.b:1x/")),
            ("https://h/{{none}}", Ok("https://h/")),
            ("https://h{{path}}", Ok("https://h/v1/x%3Fy")),
            ("https://h/?key={{secret:KEY}}", Ok("https://h/?key=top%20secret")),
            ("https://h/{{gone}}", Err(Lack::Variable("gone".into()))),
            ("https://h/{{secret:GONE}}", Err(Lack::Secret("GONE".into()))),
            ("https://h/{{ id }}", Err(Lack::Broken("{{ id }}".into()))),
        ] {
            assert_eq!(filler.url(text).map(|filled| filled.text), expected.map(str::to_owned), "{text}");
        }
        // The same where services answered them.
        let answered = Filler { answered: &|_| true, ..filler };
        for (text, expected) in [
            ("https://h{{path}}", Ok("https://h/v1/x%3Fy")),
            ("https://h/{{host}}", Ok("https://h/a.b:1/x@")),
            ("https://h?x={{host}}", Ok("https://h?x=a.b:1/x@")),
            ("https://h{{host}}", Err("host")),
            ("https://h:{{id}}/", Err("id")),
            ("https://{{path}}", Err("path")),
            ("{{base}}/v1", Err("base")),
        ] {
            let filled = answered.url(text);
            match expected {
                Ok(expected) => assert_eq!(filled.map(|filled| filled.text), Ok(expected.to_owned()), "{text}"),
                Err(name) => assert!(matches!(&filled, Err(Lack::Host(of, _)) if of == name), "{text}: {filled:?}"),
            }
        }
        assert_eq!(filler.url("https://h/?key={{secret:KEY}}").unwrap().shown, "https://h/?key={{secret:KEY}}");
        let (sent, shown) = filler.value(&json!({"{{id}}": ["x {{secret:KEY}}", 1]})).unwrap();
        assert_eq!((sent, shown), (json!({"{{id}}": ["x top secret", 1]}), json!({"{{id}}": ["x {{secret:KEY}}", 1]})));
    }
}
