//! Secrets that a plan refers to by name: `{{secret:NAME}}`. Their values go into
//! requests and nowhere else; wherever an answer repeats one, the reference stands.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::exchange::Answer;

/// Shortest value that is looked for in answers: a shorter one is in any text.
const SHORTEST: usize = 4;

/// Values by name.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeMap<String, SecretString>);

impl Secrets {
    /// Those given.
    pub fn new(values: impl IntoIterator<Item = (String, SecretString)>) -> Self {
        Self(values.into_iter().collect())
    }

    /// One by name.
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        self.0.get(name)
    }

    /// A text without secrets: each value, as it is or as JSON or a URL writes it,
    /// becomes its reference.
    pub fn redact(&self, text: &str) -> String {
        let mut values: Vec<(String, String)> = Vec::new();
        for (name, value) in &self.0 {
            let value = value.expose_secret();
            if value.len() < SHORTEST {
                continue;
            }
            let json = serde_json::Value::from(value).to_string();
            let url: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            let spaced = url.replace('+', "%20");
            // A body within a body is written twice over.
            let inner = |json: &str| json.get(1..json.len() - 1).unwrap_or_default().to_owned();
            let json = inner(&json);
            let twice = inner(&serde_json::Value::from(json.as_str()).to_string());
            for form in [value.to_owned(), json, twice, url, spaced] {
                values.push((form, reference(name)));
            }
        }
        // The longest first: one may be a part of another.
        values.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        values.dedup();
        values
            .into_iter()
            .fold(text.to_owned(), |text, (value, name)| if text.contains(&value) { text.replace(&value, &name) } else { text })
    }
}

impl Secrets {
    /// The answer as it may be repeated; none where it repeats no secret.
    pub(super) fn clean(&self, answer: &Answer) -> Option<Answer> {
        if self.0.is_empty() {
            return None;
        }
        let text = String::from_utf8_lossy(&answer.body);
        let clean = Answer {
            body: self.redact(&text).into_bytes(),
            headers: answer.headers.iter().map(|(name, value)| (name.clone(), self.redact(value))).collect(),
            ..answer.clone()
        };
        (clean.body != text.as_bytes() || clean.headers != answer.headers).then_some(clean)
    }
}

/// How a plan and reports name a secret.
pub fn reference(name: &str) -> String {
    format!("{{{{secret:{name}}}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_said_by_its_name() {
        let secrets =
            Secrets::new([("KEY".into(), "s3\"cr t".into()), ("LONGER".into(), "s3\"cr t and more".into()), ("ONE".into(), "x".into())]);
        for (text, expected) in [
            ("Bearer s3\"cr t", "Bearer {{secret:KEY}}"),
            (r#"{"key":"s3\"cr t"}"#, r#"{"key":"{{secret:KEY}}"}"#),
            ("?key=s3%22cr+t&other=s3%22cr%20t", "?key={{secret:KEY}}&other={{secret:KEY}}"),
            ("s3\"cr t and more", "{{secret:LONGER}}"),
            ("x is too short to be told from any other x", "x is too short to be told from any other x"),
        ] {
            assert_eq!(secrets.redact(text), expected);
        }
        assert!(!format!("{secrets:?}").contains("s3"));
    }
}
