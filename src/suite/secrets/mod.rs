//! Secrets that a plan refers to by name: `{{secret:NAME}}`. Their values go into
//! requests and nowhere else; wherever an answer repeats one, the reference stands.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::exchange::Answer;

mod forms;

/// Shortest value that is looked for in answers: a shorter one is in any text.
const SHORTEST: usize = 4;

/// Values by name.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    values: BTreeMap<String, SecretString>,
    /// What is looked for, each with its name: values, and the base64 of them. The
    /// longest first: one may be a part of another.
    sought: Vec<(SecretString, String)>,
}

impl Secrets {
    /// Those given.
    pub fn new(values: impl IntoIterator<Item = (String, SecretString)>) -> Self {
        let values: BTreeMap<String, SecretString> = values.into_iter().collect();
        let mut sought = Vec::new();
        for (name, value) in &values {
            if value.expose_secret().len() >= SHORTEST {
                let pieces = forms::base64(value.expose_secret()).into_iter().map(SecretString::from);
                sought.extend(std::iter::once(value.clone()).chain(pieces).map(|piece| (piece, name.clone())));
            }
        }
        sought.sort_by_key(|(piece, _)| std::cmp::Reverse(piece.expose_secret().len()));
        Self { values, sought }
    }

    /// One by name.
    pub fn get(&self, name: &str) -> Option<&SecretString> {
        self.values.get(name)
    }

    /// A text without secrets: each value, however it is written there, becomes its
    /// reference.
    pub fn redact(&self, text: &str) -> String {
        let (mut clean, mut at) = (String::new(), 0);
        let mut kept = 0;
        while let Some(c) = text[at..].chars().next() {
            let found = self.sought.iter().find_map(|(value, name)| Some((forms::written(&text[at..], value.expose_secret())?, name)));
            match found {
                Some((length, name)) => {
                    clean.push_str(&text[kept..at]);
                    clean.push_str(&reference(name));
                    at += length;
                    kept = at;
                }
                None => at += c.len_utf8(),
            }
        }
        if kept == 0 {
            return text.to_owned();
        }
        clean.push_str(&text[kept..]);
        clean
    }
}

impl Secrets {
    /// The answer as it may be repeated; none where it repeats no secret.
    pub(super) fn clean(&self, answer: &Answer) -> Option<Answer> {
        if self.sought.is_empty() {
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
            // As each place that we send it to has it, and a service says it back.
            ("/v1/s3%22cr%20t/x?k=s3%2522cr%2520t", "/v1/{{secret:KEY}}/x?k={{secret:KEY}}"),
            (r#"{"a":"{\"b\":\"s3\\\"cr t\"}"}"#, r#"{"a":"{\"b\":\"{{secret:KEY}}\"}"}"#),
            (r"\u0073\u0033\u0022cr\u0020t", "{{secret:KEY}}"),
            ("x is too short to be told from any other x", "x is too short to be told from any other x"),
        ] {
            assert_eq!(secrets.redact(text), expected);
        }
        assert!(!format!("{secrets:?}").contains("s3"));
    }
}
