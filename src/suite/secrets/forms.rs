//! How a text may be written within another: what we send a secret in (a URL, a form,
//! JSON, and each within the other), what services make of that when they repeat it,
//! and base64, which headers are made of.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// Most backslashes before a character: JSON in JSON in JSON has eight.
const MOST_ESCAPES: usize = 8;
/// Shortest base64 that is looked for: shorter ones are in many words.
const SHORTEST_BASE64: usize = 6;

/// What was done to find what a text repeats. Whoever writes backslashes without end
/// would have it take minutes.
#[derive(Debug, Default)]
pub(super) struct Work(u32);

impl Work {
    /// Most of it: under a second, and more than a long answer takes that means well and
    /// is held against ten secrets.
    pub const MOST: u32 = 24_000_000;
    /// Of a character in all its writings; of one that is looked at, 1.
    const STEP: u32 = 96;
    /// Of a character that can but stand for itself, among such.
    const PLAIN: u32 = 4;

    /// What was done.
    #[cfg(test)]
    pub fn done(&self) -> u32 {
        self.0
    }

    /// Whether there was too much, so that nothing more is told.
    pub fn is_over(&self) -> bool {
        self.0 > Self::MOST
    }

    fn add(&mut self, work: u32) {
        self.0 = self.0.saturating_add(work);
    }
}

/// The length of what stands at a text's beginning, if that is the value in some
/// writing; none once there was too much work.
pub(super) fn written(text: &str, value: &str, work: &mut Work) -> Option<usize> {
    let (mut rest, mut left) = (text, value.chars());
    // Most places of most texts are told by their first letter, which stands for itself.
    loop {
        let unread = left.clone();
        let Some(c) = left.next() else { return Some(text.len() - rest.len()) };
        let begins = rest.chars().next()?;
        if !is_sign(begins) {
            if begins != c {
                return None;
            }
            work.add(1);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        // At most `MOST_ESCAPES` of them are looked behind.
        work.add(1 + escapes(rest).map(|_| 1).sum::<u32>());
        if !stands(rest, c) {
            return None;
        }
        let steps = |text: &str, c: &char| {
            if work.is_over() {
                return Vec::new();
            }
            let may_be_written = text.starts_with(is_sign);
            work.add(if may_be_written { Work::STEP } else { Work::PLAIN });
            if may_be_written { steps(text, *c) } else { Vec::from_iter(text.starts_with(*c).then(|| c.len_utf8())) }
        };
        return Some(text.len() - rest.len() + follow(rest, unread, steps).last()?);
    }
}

/// Whether another character than it may be written with it.
fn is_sign(c: char) -> bool {
    matches!(c, '%' | '\\' | '&' | '+')
}

/// Whether a character may begin a text, in any writing: told without keeping anything.
fn stands(text: &str, c: char) -> bool {
    let first = c.encode_utf8(&mut [0; 4]).as_bytes()[0];
    text.starts_with(c)
        || percent_byte(text, first).next().is_some()
        || c == ' ' && text.starts_with('+')
        || escapes(text).any(|at| c == '\\' || escaped(&text[at..], c).is_some())
        || entity(text, c).is_some()
}

/// Every place that a text can be read to, step by step, the nearest first.
fn follow<T>(text: &str, units: impl Iterator<Item = T>, mut steps: impl FnMut(&str, &T) -> Vec<usize>) -> Vec<usize> {
    let mut ends = vec![0];
    for unit in units {
        let mut next = Vec::new();
        for at in &ends {
            next.extend(steps(&text[*at..], &unit).into_iter().map(|n| at + n));
        }
        next.sort_unstable();
        next.dedup();
        ends = next;
        if ends.is_empty() {
            break;
        }
    }
    ends
}

/// What services may read of a value, the value first: what is sent in a header has no
/// blanks at its ends, and its bytes are often taken for Latin-1.
pub(super) fn read_back(value: &str) -> Vec<String> {
    let latin = |text: &str| text.bytes().map(char::from).collect::<String>();
    let readings = [value, value.trim()].into_iter().flat_map(|read| [read.to_owned(), latin(read), latin(read).trim().to_owned()]);
    let mut once = Vec::new();
    for reading in readings {
        if !once.contains(&reading) {
            once.push(reading);
        }
    }
    once
}

/// The pieces of base64 that are there whatever stands before and after a value, one
/// for each place that it may begin at in three bytes.
pub(super) fn base64(value: &str) -> Vec<String> {
    let piece = |before: usize| {
        let bytes = [&vec![0; before], value.as_bytes()].concat();
        let whole = STANDARD_NO_PAD.encode(&bytes);
        // A character has six bits: those at the edges have bits of others.
        let (first, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        whole.get(first..end).unwrap_or_default().to_owned()
    };
    let pieces = (0..3).map(piece).filter(|piece| piece.len() >= SHORTEST_BASE64);
    pieces.flat_map(|piece| [piece.replace('+', "-").replace('/', "_"), piece]).collect()
}

/// How long a character at a text's beginning may be, in each writing in which it
/// stands there.
fn steps(text: &str, c: char) -> Vec<usize> {
    let mut found = Vec::new();
    // As it is.
    if text.starts_with(c) {
        found.push(c.len_utf8());
    }
    // In a URL or a form.
    found.extend(percent(text, c));
    if c == ' ' && text.starts_with('+') {
        found.push(1);
    }
    // In JSON, as often as that may be.
    for at in escapes(text) {
        if c == '\\' {
            found.push(at);
        }
        found.extend(escaped(&text[at..], c).map(|n| at + n));
    }
    found.extend(entity(text, c));
    found
}

/// `%XX` for each byte, or `%25XX`, and so on.
fn percent(text: &str, c: char) -> Vec<usize> {
    if !text.starts_with('%') {
        return Vec::new();
    }
    let mut utf8 = [0; 4];
    follow(text, c.encode_utf8(&mut utf8).bytes(), |text, byte| percent_byte(text, *byte).collect())
}

fn percent_byte(text: &str, byte: u8) -> impl Iterator<Item = usize> {
    let begins = text.starts_with('%');
    let rest = text.strip_prefix('%').unwrap_or_default();
    // `%` itself is 25: what stands there may be that, or begin another byte.
    let layers = rest.as_bytes().chunks(2).take(3).take_while(|two| two == b"25").count();
    let is_byte = move |at: usize| {
        let hex = rest.get(at..at + 2).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) == Some(byte)
    };
    (0..=layers).filter(move |_| begins).map(|layer| 2 * layer).filter(move |at| is_byte(*at)).map(|at| 1 + at + 2)
}

/// The ends of one backslash at a text's beginning, of two, and so on.
fn escapes(text: &str) -> impl Iterator<Item = usize> {
    let next = |at: &usize| backslash(&text[*at..]).map(|escape| at + escape);
    std::iter::successors(backslash(text), next).take(MOST_ESCAPES)
}

fn backslash(text: &str) -> Option<usize> {
    if text.starts_with('\\') { Some(1) } else { percent_byte(text, b'\\').next() }
}

/// What stands after a backslash.
fn escaped(text: &str, c: char) -> Option<usize> {
    let short = match c {
        '"' | '/' | '\'' => Some(c),
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        '\u{8}' => Some('b'),
        '\u{c}' => Some('f'),
        _ => None,
    };
    if let Some(short) = short {
        if text.starts_with(short) {
            return Some(1);
        }
        if let Some(length) = u8::try_from(short).ok().and_then(|short| percent_byte(text, short).next()) {
            return Some(length);
        }
    }
    let mut units = [0; 2];
    let mut at = 0;
    for (i, unit) in c.encode_utf16(&mut units).iter().enumerate() {
        if i > 0 {
            while let Some(escape) = backslash(&text[at..]) {
                at += escape;
            }
        }
        let hex = text[at..].strip_prefix('u')?.get(..4).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))?;
        (u16::from_str_radix(hex, 16).ok()? == *unit).then_some(())?;
        at += 5;
    }
    Some(at)
}

/// As HTML writes it.
fn entity(text: &str, c: char) -> Option<usize> {
    let rest = text.strip_prefix('&')?;
    let name = &rest[..rest.bytes().take(10).position(|b| b == b';')?];
    let named = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let digits = name.strip_prefix('#')?;
            let number = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => digits.parse(),
            };
            number.ok().and_then(char::from_u32)
        }
    };
    (named == Some(c)).then_some(name.len() + 2)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn written(text: &str, value: &str) -> Option<usize> {
        super::written(text, value, &mut Work::default())
    }

    #[test]
    fn a_text_is_known_in_each_writing() {
        let value = "a/b \"c\\\n€😀%&+";
        let json = Value::from(value).to_string();
        let json = json.trim_matches('"');
        let twice = Value::from(json).to_string();
        let thrice = Value::from(twice.trim_matches('"')).to_string();
        let ascii: String = value.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let form: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        let percent: String = value.bytes().map(|b| format!("%{b:02X}")).collect();
        for text in [
            value,
            json,
            twice.trim_matches('"'),
            thrice.trim_matches('"'),
            &ascii,
            &ascii.replace('\\', "\\\\"),
            &form,
            &form.replace('+', "%20"),
            &percent,
            &percent.to_lowercase(),
            &percent.replace('%', "%25"),
            &json.bytes().map(|b| format!("%{b:02x}")).collect::<String>(),
            "a/b%20%22c%5c%0A%E2%82%ac%f0%9f%98%80%25&+",
            "a/b &quot;c\\&#10;&#x20AC;😀%&amp;+",
            "a\\/b \\\"c\\\\\\n€😀%&+",
        ] {
            assert_eq!(written(text, value), Some(text.len()), "{text}");
            let more = format!("{text} and more");
            assert!(written(&more, value).is_some_and(|end| end <= text.len() + 1), "{text}");
        }
        for text in ["", "a", "a/b \"c\\", "a/b \"d\\\n€😀%&+"] {
            assert_eq!(written(text, value), None, "{text}");
        }
        assert_eq!(written(&"\\".repeat(100_000), "\\\\\\x"), None);
    }

    proptest! {
        #[test]
        fn no_writing_hides_it(value in "\\PC{1,12}", before in "[ -~]{0,5}", after in "[ -~]{0,5}") {
            let json = Value::from(value.as_str()).to_string();
            let form: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            for text in [value.clone(), json[1..json.len() - 1].to_owned(), form.clone(), form.replace('+', "%20"), form.replace('%', "%25")] {
                prop_assert!(written(&text, &value).is_some_and(|end| end >= text.len()), "{} {}", text, value);
            }
            let pieces = base64(&value);
            if value.len() > 7 {
                let whole = format!("{before}{value}{after}");
                for encoded in [STANDARD.encode(&whole), URL_SAFE.encode(&whole)] {
                    prop_assert!(pieces.iter().any(|piece| encoded.contains(piece)), "{} {:?}", encoded, pieces);
                }
            }
        }
    }
}
