//! How a text may be written within another: what we send a secret in (a URL, a form,
//! JSON, and each within the other), what services make of that when they repeat it,
//! and base64, which headers are made of.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// Most backslashes before a character: JSON in JSON in JSON has eight.
const MOST_ESCAPES: usize = 8;
/// Shortest base64 that is looked for: shorter ones are in many words.
const SHORTEST_BASE64: usize = 6;

/// The length of what stands at a text's beginning, if that is the value in some
/// writing.
pub(super) fn written(text: &str, value: &str) -> Option<usize> {
    // What most places of most texts are told by.
    let (first, begins) = (value.chars().next()?, text.chars().next()?);
    if begins != first && !matches!(begins, '%' | '\\' | '&' | '+') {
        return None;
    }
    follow(text, value.chars(), steps).last().copied()
}

/// Every place that a text can be read to, step by step, the nearest first.
fn follow<T>(text: &str, units: impl Iterator<Item = T>, steps: impl Fn(&str, &T) -> Vec<usize>) -> Vec<usize> {
    let mut ends = vec![0];
    for unit in units {
        let mut next: Vec<usize> = ends.iter().flat_map(|at| steps(&text[*at..], &unit).into_iter().map(move |n| at + n)).collect();
        next.sort_unstable();
        next.dedup();
        ends = next;
        if ends.is_empty() {
            break;
        }
    }
    ends
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
fn steps(text: &str, c: &char) -> Vec<usize> {
    let c = *c;
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
    let mut at = 0;
    for _ in 0..MOST_ESCAPES {
        let Some(escape) = backslash(&text[at..]) else { break };
        at += escape;
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
    let mut utf8 = [0; 4];
    follow(text, c.encode_utf8(&mut utf8).bytes(), |text, byte| percent_byte(text, *byte))
}

fn percent_byte(text: &str, byte: u8) -> Vec<usize> {
    let Some(rest) = text.strip_prefix('%') else { return Vec::new() };
    // `%` itself is 25: what stands there may be that, or begin another byte.
    let layers = (rest.len() - rest.trim_start_matches("25").len()) / 2;
    let is_byte = |at: usize| {
        let hex = rest.get(at..at + 2).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) == Some(byte)
    };
    (0..=layers.min(3)).map(|layer| 2 * layer).filter(|at| is_byte(*at)).map(|at| 1 + at + 2).collect()
}

fn backslash(text: &str) -> Option<usize> {
    if text.starts_with('\\') { Some(1) } else { percent_byte(text, b'\\').first().copied() }
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
        if let Some(length) = percent(text, short).first() {
            return Some(*length);
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
