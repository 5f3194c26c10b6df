//! Values as JavaScript has them.

use serde_json::Value;

/// A value, or what stands where there is none.
#[derive(Clone, Copy, Debug)]
pub(super) enum Js<'a> {
    /// Of a parsed body.
    Value(&'a Value),
    /// An array's or a string's `length`.
    Count(usize),
    /// The prototype of an object, as far as it can be told from an empty one.
    Prototype,
    /// Nothing. Functions that values inherit are as little as that.
    Undefined,
}

impl<'a> Js<'a> {
    pub fn text(self) -> Option<&'a str> {
        if let Self::Value(Value::String(text)) = self { Some(text) } else { None }
    }

    pub fn number(self) -> Option<f64> {
        number(self.value().as_ref())
    }

    pub fn is_boolean(self) -> bool {
        matches!(self, Self::Value(Value::Bool(_)))
    }

    /// Elements of an array; none where it is no array.
    pub fn length(self) -> Option<usize> {
        if let Self::Value(Value::Array(entries)) = self { Some(entries.len()) } else { None }
    }

    /// Whether `typeof` says object, and it is not null.
    pub fn is_object(self) -> bool {
        matches!(self, Self::Value(Value::Object(_) | Value::Array(_)) | Self::Prototype)
    }

    /// A property.
    pub fn get(self, key: &str) -> Self {
        match self {
            Self::Value(Value::Object(map)) => match map.get(key) {
                Some(value) => Self::Value(value),
                None if key == "__proto__" => Self::Prototype,
                None => Self::Undefined,
            },
            Self::Value(Value::Array(entries)) => match key {
                "length" => Self::Count(entries.len()),
                "__proto__" => Self::Prototype,
                // An index is written without leading zeros.
                _ => key
                    .parse::<usize>()
                    .ok()
                    .filter(|i| i.to_string() == key)
                    .and_then(|i| entries.get(i))
                    .map_or(Self::Undefined, Self::Value),
            },
            _ => Self::Undefined,
        }
    }

    /// The value, where there is one.
    pub fn value(self) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value.clone()),
            Self::Count(count) => Some(count.into()),
            Self::Prototype | Self::Undefined => None,
        }
    }

    pub fn shown(self) -> String {
        match self.value() {
            Some(value) => value.to_string().chars().take(200).collect(),
            None => "undefined".into(),
        }
    }
}

/// Whether a value counts as true.
pub(in crate::suite) fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64().is_some_and(|n| n != 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// A number; all are doubles.
pub(super) fn number(value: Option<&Value>) -> Option<f64> {
    value.filter(|value| value.is_number()).and_then(Value::as_f64)
}

/// `===` of what is no object.
pub(super) fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Bool(one), Value::Bool(other)) => one == other,
        _ => false,
    }
}

/// `String(value)`.
pub(in crate::suite) fn string(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(_) => number_text(number(Some(value)).unwrap_or(f64::NAN)),
        Value::String(text) => text.clone(),
        Value::Array(entries) => {
            let inner = |entry: &Value| if entry.is_null() { String::new() } else { string(entry) };
            entries.iter().map(inner).collect::<Vec<_>>().join(",")
        }
        Value::Object(_) => "[object Object]".into(),
    }
}

/// A number as ECMAScript writes it (Number::toString): the shortest digits that
/// are read as the same double, and an exponent from 10^21 and below 10^-6.
fn number_text(number: f64) -> String {
    if number == 0.0 {
        return "0".into();
    }
    let (sign, size) = if number < 0.0 { ("-", -number) } else { ("", number) };
    let text = format!("{size:e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let digits = mantissa.replace('.', "");
    let (Ok(exponent), count) = (exponent.parse::<i32>(), i32::try_from(digits.len()).unwrap_or(i32::MAX)) else { return text };
    // Where the point stands, counted from the first digit.
    let point = exponent + 1;
    let zeros = |n: i32| "0".repeat(usize::try_from(n).unwrap_or_default());
    let body = if count <= point && point <= 21 {
        format!("{digits}{}", zeros(point - count))
    } else if 0 < point && point <= 21 {
        let (whole, part) = digits.split_at(usize::try_from(point).unwrap_or_default());
        format!("{whole}.{part}")
    } else if -6 < point && point <= 0 {
        format!("0.{}{digits}", zeros(-point))
    } else {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        format!("{first}{point}{rest}e{}{}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
    };
    format!("{sign}{body}")
}

/// `Object.entries(value)`: of an object's keys those first that are indices, by their
/// size. A text's characters are left out.
pub(super) fn entries(value: &Value) -> Vec<(String, &Value)> {
    let index = |key: &str| key.parse::<u32>().ok().filter(|n| *n != u32::MAX && n.to_string() == key);
    let mut entries: Vec<_> = match value {
        Value::Array(entries) => entries.iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    // The sort is stable: other keys stay in their order.
    entries.sort_by_key(|(key, _)| index(key).map_or(u64::MAX, u64::from));
    entries
}

/// `JSON.stringify(value)`: numbers as ECMAScript writes them, and of an object's keys
/// those first that are indices, by their size.
pub(super) fn stringify(value: &Value) -> String {
    match value {
        Value::Number(number) => number.as_f64().map_or_else(|| "null".into(), number_text),
        Value::Array(entries) => format!("[{}]", entries.iter().map(stringify).collect::<Vec<_>>().join(",")),
        Value::Object(_) => {
            let own = entries(value).into_iter().filter(|(key, _)| key != "__proto__");
            let entry = |(key, value): (String, &Value)| format!("{}:{}", Value::from(key), stringify(value));
            format!("{{{}}}", own.map(entry).collect::<Vec<_>>().join(","))
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value.to_string(),
    }
}

/// `Number.parseInt(text, 10)`, as far as an index goes.
pub(super) fn parse_int(text: &str) -> Option<usize> {
    let text = text.trim_start();
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..end].parse().ok()
}

/// `JSON.parse`: half a surrogate pair is a character there.
pub(super) fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| serde_json::from_str(&whole_pairs(text)?).ok())
}

/// The text with each escaped half of a surrogate pair as U+FFFD; none where there
/// is no such.
fn whole_pairs(text: &str) -> Option<String> {
    let mut made = String::with_capacity(text.len());
    let mut rest = text;
    let mut found = false;
    while let Some(at) = rest.find('\\') {
        made.push_str(&rest[..at]);
        rest = &rest[at..];
        let unit = |text: &str| text.strip_prefix("\\u").and_then(|hex| u16::from_str_radix(hex.get(..4)?, 16).ok());
        let taken = match unit(rest) {
            Some(0xd800..=0xdbff) if rest.get(6..).and_then(unit).is_some_and(|low| (0xdc00..=0xdfff).contains(&low)) => 12,
            Some(0xd800..=0xdfff) => {
                made.push_str("\\ufffd");
                found = true;
                rest = &rest[6..];
                continue;
            }
            _ => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
        };
        made.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    made.push_str(rest);
    found.then_some(made)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_written_as_ecmascript_does() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (0.1, "0.1"),
            (123_456_789.125, "123456789.125"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.25e25, "1.25e+25"),
            (0.000_001, "0.000001"),
            (0.000_000_1, "1e-7"),
            (1.5e-9, "1.5e-9"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
        ] {
            assert_eq!(number_text(number), expected);
        }
    }

    #[test]
    fn values_become_texts_as_string_does() {
        for (value, expected) in [
            (json!([1, null, [2, [3]], {}, "x", true]), "1,,2,3,[object Object],x,true"),
            (json!([]), ""),
            (json!({"a": 1}), "[object Object]"),
            (json!(18_446_744_073_709_551_615_u64), "18446744073709552000"),
            (json!(false), "false"),
        ] {
            assert_eq!(string(&value), expected);
        }
    }

    #[test]
    fn values_are_written_as_json_stringify_does() {
        for (value, expected) in [
            (r#"{"b":1.0,"2":[1e21,-0.0,null],"a":"é\n","1":{},"01":true}"#, r#"{"1":{},"2":[1e+21,0,null],"b":1,"a":"é\n","01":true}"#),
            (r#"[12345678901234567890, 0.1, {"__proto__": 1}]"#, "[12345678901234567000,0.1,{}]"),
            ("7", "7"),
        ] {
            assert_eq!(stringify(&serde_json::from_str(value).unwrap()), expected);
        }
    }

    #[test]
    fn half_a_pair_is_a_character() {
        assert_eq!(parse(r#""a\ud800b""#), Some(json!("a\u{fffd}b")));
        assert_eq!(parse(r#""\ud83d\ude00 \udc00 \\ud800""#), Some(json!("\u{1f600} \u{fffd} \\ud800")));
        assert_eq!(parse(r#""\"#), None);
        assert_eq!(parse("[1,]"), None);
    }
}
