//! Secrets that a plan refers to by name: `{{secret:NAME}}`. Their values go into
//! requests and nowhere else; wherever an answer repeats one, the reference stands.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::exchange::Answer;

use forms::Work;

mod forms;

/// Shortest value that is looked for in answers: a shorter one is in any text.
const SHORTEST: usize = 4;
/// What stands for the rest of a text that takes too long to look through.
const UNREAD: &str = "(the rest takes too long to look through, and is not shown)";

/// Values by name.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    values: BTreeMap<String, SecretString>,
    /// What is looked for, each with its name: values, what services may make of them, and
    /// the base64 of both. The longest first: one may be a part of another.
    sought: Vec<(SecretString, String)>,
}

impl Secrets {
    /// Those given.
    pub fn new(values: impl IntoIterator<Item = (String, SecretString)>) -> Self {
        let values: BTreeMap<String, SecretString> = values.into_iter().collect();
        let mut sought: Vec<(SecretString, String)> = Vec::new();
        let mut seek = |name: &str, piece: String| {
            if !sought.iter().any(|(known, _)| known.expose_secret() == piece) {
                sought.push((piece.into(), name.to_owned()));
            }
        };
        let long = || values.iter().filter(|(_, value)| value.expose_secret().len() >= SHORTEST);
        // What somebody calls so is that, whatever it may be of another.
        long().for_each(|(name, value)| seek(name, value.expose_secret().to_owned()));
        for (name, value) in long() {
            for read in forms::read_back(value.expose_secret()).into_iter().filter(|read| read.len() >= SHORTEST) {
                forms::base64(&read).into_iter().for_each(|piece| seek(name, piece));
                seek(name, read);
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
    /// reference. Of a text that takes too long to look through, the rest is left out.
    pub fn redact(&self, text: &str) -> String {
        self.redact_by(text, &mut Work::default())
    }

    fn redact_by(&self, text: &str, work: &mut Work) -> String {
        if self.sought.is_empty() {
            return text.to_owned();
        }
        let (mut clean, mut at) = (String::new(), 0);
        let mut kept = 0;
        while let Some(c) = text[at..].chars().next() {
            let written = |value: &SecretString, work: &mut Work| forms::written(&text[at..], value.expose_secret(), work);
            let found = self.sought.iter().find_map(|(value, name)| Some((written(value, work)?, name)));
            if work.is_over() {
                clean.push_str(&text[kept..at]);
                return clean + UNREAD;
            }
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
        // One answer has no more of it than one text: it has many headers.
        let mut work = Work::default();
        let headers = answer.headers.iter().map(|(name, value)| (name.clone(), self.redact_by(value, &mut work))).collect();
        let clean = Answer { headers, body: self.redact_by(&text, &mut work).into_bytes(), ..answer.clone() };
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

    #[test]
    fn a_value_is_known_as_services_read_it() {
        let secrets =
            Secrets::new([("BLANK".into(), " s3cr3t\t".into()), ("WIDE".into(), "señor à".into()), ("OWN".into(), "s3cr3t".into())]);
        let wide: String = "señor à".bytes().map(char::from).collect();
        for (text, expected) in [
            ("key: ' s3cr3t\t'", "key: '{{secret:BLANK}}'"),
            // A header's ends are not its value's; whoever has just that for a secret has named it.
            ("key: s3cr3t.", "key: {{secret:OWN}}."),
            ("señor à", "{{secret:WIDE}}"),
            (&format!("<{wide}>"), "<{{secret:WIDE}}>"),
            (&format!("<{}>", wide.trim()), "<{{secret:WIDE}}>"),
            ("se%C3%83%C2%B1or%20%C3%83%C2%A0", "{{secret:WIDE}}"),
        ] {
            assert_eq!(secrets.redact(text), expected);
        }
        let alone = Secrets::new([("BLANK".into(), " s3cr3t\t".into()), ("SHORT".into(), "  ab ".into())]);
        assert_eq!(alone.redact("s3cr3t, and ab"), "{{secret:BLANK}}, and ab");
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, "x:s3cr3t");
        assert!(alone.redact(&encoded).contains("{{secret:BLANK}}"), "{encoded}");
        let mut pieces: Vec<_> = secrets.sought.iter().map(|(piece, _)| piece.expose_secret()).collect();
        assert!(pieces.is_sorted_by_key(|piece| std::cmp::Reverse(piece.len())), "the longest first");
        pieces.sort_unstable();
        assert!(pieces.windows(2).all(|two| two[0] != two[1]), "each once");
    }

    #[test]
    fn a_hostile_text_takes_bounded_work_and_is_not_shown() {
        const LENGTH: usize = 1 << 20;
        let secrets = Secrets::new([("KEY".into(), "\\".repeat(800).into()), ("SIGNS".into(), "+%&\\ \"%25&#x".into())]);
        for piece in ["%5c", "+", "%%", "&#"] {
            let mut work = Work::default();
            let text = piece.repeat(LENGTH / piece.len());
            let clean = secrets.redact_by(&text, &mut work);
            assert!(work.done() <= Work::MOST + 100_000, "{piece}: {work:?}");
            assert!(!work.is_over() || clean.ends_with(UNREAD), "{piece}");
        }
        let mut work = Work::default();
        assert_eq!(secrets.redact_by(&"\\".repeat(LENGTH), &mut work), UNREAD, "nothing is shown that may be one");
        assert!(work.done() <= Work::MOST + 100_000, "{work:?}");
        // What is over is over for all that it counts for.
        assert_eq!(secrets.redact_by("x", &mut work), UNREAD);
    }

    #[test]
    fn a_long_text_that_means_well_is_shown_whole() {
        let key = "k\"e/y \\+%&";
        let secrets =
            Secrets::new((0..10).map(|i| (format!("KEY{i}"), format!("{i}{key}").into())).chain([("SIGN".into(), "\"quoted".into())]));
        let row = |i: usize| serde_json::json!({ "id": i, "url": format!("https://a.test/v1/x?a=%20&b={i}+1"), "inner": format!("{{\"a\":\"{i}\"}}") });
        let rows: Vec<_> = (0..14_000).map(row).collect();
        let text = serde_json::json!({ "rows": rows, "said": format!("7{key}") }).to_string();
        assert!(text.len() > 1 << 20, "{}", text.len());
        let mut work = Work::default();
        let clean = secrets.redact_by(&text, &mut work);
        assert!(!work.is_over(), "{work:?}");
        assert!(clean.ends_with("\"said\":\"{{secret:KEY7}}\"}") && !clean.contains(UNREAD), "{}", &clean[clean.len() - 200..]);
        assert_eq!(clean.len(), text.len() - serde_json::json!(format!("7{key}")).to_string().len() + "\"{{secret:KEY7}}\"".len());
    }
}
