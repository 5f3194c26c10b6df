//! What only the document's sentences say: messages to sign, waits, limits, and
//! what fields must hold. Nothing is read into a sentence that does not have
//! exactly the words looked for.

use crate::prim::{Document, Route, singular, words};

/// The wait between a message's time and ours, unless the document says another.
const FRESH_SECONDS: u64 = 300;

/// Whether a sentence says that something is signed.
pub(super) fn says_signature(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["signature", "sign message", "signed message", "eip-191"].iter().any(|words| text.contains(words))
}

/// Whether a sentence, or a field's name, says that something ends by itself.
pub(super) fn says_ttl(text: impl AsRef<str>) -> bool {
    words(text.as_ref()).iter().any(|word| ["ttl", "expires", "expire", "expiry", "expiration"].contains(&word.as_str()))
}

/// Whether a sentence says of a change that what is not sent stays as it is: "Pass null
/// to remove a limit."
pub(super) fn says_partial(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["null to ", "fields optional", "fields are optional", "partial", "only the fields"].iter().any(|words| text.contains(words))
}

/// Whether a sentence says of a search that it goes by meaning, which no store of texts does.
pub(super) fn says_meaning(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["semantic", "vector", "embedding", "similar", "nearest"].iter().any(|word| text.contains(word))
}

/// Whether a sentence says of what is read that nobody reads it a second time.
pub(super) fn says_once(text: &str) -> bool {
    const ONCE: [&str; 9] =
        ["read once", "read it once", "once only", "only once", "just once", "exactly once", "one-time", "one time", "view it once"];
    let text = text.to_ascii_lowercase();
    words(&text).iter().any(|word| ["burn", "burns", "burned"].contains(&word.as_str())) || ONCE.iter().any(|words| text.contains(words))
}

/// Whether a route removes only what nothing lies within.
pub(super) fn says_emptied(route: &Route) -> bool {
    let says = |text: &str, words: &str| text.to_ascii_lowercase().contains(words);
    route.prose().any(|text| says(text, "must be empty"))
        || route
            .errors
            .iter()
            .filter(|error| error.status == 409)
            .any(|error| words(&error.code).join(" ").contains("not empty") || says(&error.description, "not empty"))
}

/// Everything a document says about itself, a sentence or line each.
fn lines(document: &Document) -> impl Iterator<Item = &str> {
    let lists = [&document.tips, &document.limits, &document.quick_start];
    lists.into_iter().flatten().map(String::as_str).chain(document.ownership.as_deref())
}

/// The message to sign, `<field>` for fields of the body, and the seconds that its
/// time may be from ours.
pub(super) fn message(document: &Document, route: &Route) -> Option<(String, u64)> {
    let said = route.prose().chain(lines(document)).find_map(|text| {
        let (before, after) = text.split_once(": ")?;
        let message = after.trim().trim_matches(['"', '`', '\'']);
        let told = before.to_ascii_lowercase().contains("message") && !placeholders(message).is_empty();
        told.then(|| message.to_owned())
    })?;
    let within =
        lines(document).chain(route.prose()).find(|text| text.to_ascii_lowercase().contains("timestamp") && text.contains("within"));
    let seconds = within.and_then(|text| span(&words(text.split_once("within")?.1))).unwrap_or(FRESH_SECONDS);
    Some((said, seconds))
}

/// The fields that a message names.
pub(super) fn placeholders(message: &str) -> Vec<String> {
    let names = message.split('<').skip(1).filter_map(|rest| rest.split_once('>')).map(|(name, _)| name.to_owned());
    names.filter(|name| plain(name)).collect()
}

/// Whether a text is fit to be a field's name in code.
pub(super) fn plain(name: &str) -> bool {
    let ascii = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    ascii && name != "__proto__" && name.len() <= 40 && name.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// `5 minutes`, `an hour`: the first span of time among words, in seconds.
fn span(words: &[String]) -> Option<u64> {
    words.windows(2).find_map(|pair| {
        let count: u64 = match pair[0].as_str() {
            "a" | "an" | "one" | "per" => 1,
            digits => digits.parse().ok()?,
        };
        let unit = match singular(&pair[1]).as_str() {
            "second" | "sec" => 1,
            "minute" | "min" => 60,
            "hour" | "hr" => 3600,
            "day" => 86400,
            "week" => 604_800,
            _ => return None,
        };
        count.checked_mul(unit).filter(|seconds| *seconds > 0)
    })
}

/// "once per 2 hours per address": the wait between two calls in seconds, and the
/// field that they have alike, where it is not for everybody together.
pub(super) fn cooldown(route: &Route) -> Option<(u64, Option<String>)> {
    route.error(429)?;
    route.prose().find_map(|text| {
        let text = text.to_ascii_lowercase();
        let (_, after) = text.split_once("once per ").or_else(|| text.split_once("once every "))?;
        let sentence: Vec<_> = words(after.split('.').next()?);
        // "once per hour" has no number.
        let seconds = span(&sentence).or_else(|| span(&[&["per".to_owned()][..], &sentence].concat()))?;
        let per = sentence.iter().position(|word| word == "per").and_then(|at| sentence.get(at + 1));
        Some((seconds, per.filter(|name| plain(name)).cloned()))
    })
}

/// "Max buckets per wallet: 10": how many of a thing one wallet may have.
pub(super) fn most(document: &Document, noun: &str) -> Option<u64> {
    document.limits.iter().find_map(|line| {
        let words = words(line);
        let [max, things @ .., per, whose, count] = &words[..] else { return None };
        let said = ["max", "maximum"].contains(&max.as_str()) && per == "per";
        let wallet = ["wallet", "owner", "caller", "account", "address", "agent"].contains(&whose.as_str());
        let mut things = things.to_vec();
        let last = things.last_mut()?;
        *last = singular(last);
        (said && wallet && things.join("_") == noun).then(|| count.parse().ok())?
    })
}

/// Fields that a route's description of a bad request says must be there: "Missing url",
/// "Missing or invalid name or slug". Of two that the route's own description takes either
/// of ("a text or a vector"), neither must be.
pub(super) fn missing(route: &Route) -> Vec<String> {
    const VAGUE: [&str; 12] =
        ["field", "fields", "body", "json", "input", "parameter", "parameters", "request", "value", "data", "spec", "payload"];
    let said = words(&route.description);
    let either = |names: &[&str]| {
        let near = |at: usize| said.get(at.saturating_sub(3)..(at + 4).min(said.len())).unwrap_or_default();
        let ors = (0..said.len()).filter(|at| said[*at] == "or");
        let in_words = |name: &str, span: &[String]| span.windows(words(name).len()).any(|window| *window == words(name)[..]);
        names.len() > 1 && ors.into_iter().any(|at| names.iter().all(|name| in_words(name, near(at))))
    };
    let mut fields = Vec::new();
    for error in route.errors.iter().filter(|error| error.status == 400) {
        let lower = error.description.to_ascii_lowercase();
        let begins = ["missing or invalid ", "invalid or missing ", "missing required ", "missing "];
        let Some(begin) = begins.into_iter().find(|begin| lower.starts_with(begin)) else { continue };
        // Names are as they stand there: JSON tells `eventType` from `eventtype`.
        let rest = error.description[begin.len()..].trim_end_matches('.');
        let named = rest.split(" or ").flat_map(|part| part.split(" and ")).flat_map(|part| part.split([',', '/']));
        let named = named.map(|phrase| {
            let phrase = phrase.trim();
            phrase.strip_suffix(" field").or_else(|| phrase.strip_suffix(" fields")).unwrap_or(phrase)
        });
        let names: Vec<_> = named.filter(|name| plain(name) && !VAGUE.contains(&name.to_ascii_lowercase().as_str())).collect();
        if either(&names) {
            continue;
        }
        fields.extend(names.into_iter().map(|name| {
            // A sentence's own capitals are not the field's.
            let capital = name.starts_with(|c: char| c.is_ascii_uppercase());
            if capital { name.to_ascii_lowercase() } else { name.to_owned() }
        }));
    }
    fields
}

/// "Type must be one of: bug, friction.": what a field may hold.
pub(super) fn one_of(document: &Document, field: &str) -> Option<Vec<String>> {
    lines(document).find_map(|line| {
        let (before, after) = line.split_once(" must be one of")?;
        let values: Vec<_> = after.trim_start_matches(':').trim().trim_end_matches('.').split(',').map(|v| v.trim().to_owned()).collect();
        let simple = values.iter().all(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)));
        (words(before).join("_") == field && simple && values.len() > 1).then_some(values)
    })
}

/// "Body max 5000 characters": how long a field may be.
pub(super) fn longest(document: &Document, field: &str) -> Option<u64> {
    lines(document).filter(|line| line.to_ascii_lowercase().contains("max")).find_map(|line| {
        let words = words(line);
        let at = words.iter().position(|word| word == "max")?;
        let characters = words.get(at + 2).is_some_and(|word| word.starts_with("char"));
        (characters && words[..at].join("_") == field).then(|| words[at + 1].parse().ok())?
    })
}

/// Names of fields in the example that `quick_start` gives for a route.
pub(super) fn example_fields(document: &Document, route: &Route) -> impl Iterator<Item = String> {
    super::schemas::example(document, route).into_iter().map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use crate::prim;

    use super::*;

    #[test]
    fn fields_that_must_be_there_are_named_as_they_stand() {
        for (about, said, fields) in [
            ("d", "Missing url", vec!["url"]),
            ("d", "Missing or invalid model/messages", vec!["model", "messages"]),
            ("d", "Missing urls field", vec!["urls"]),
            ("d", "Missing required fields", vec![]),
            ("d", "Missing eventType, callbackUrl or Name.", vec!["eventType", "callbackUrl", "name"]),
            ("d", "Missing amount or reason", vec!["amount", "reason"]),
            ("Provide image_url or image_base64.", "Missing image_url or image_base64", vec![]),
            ("By a text or a vector", "Missing text or vector", vec![]),
            ("Now or never, a text and a long way on the vector", "Missing text or vector", vec!["text", "vector"]),
            ("d", "Missing request body", vec![]),
            ("d", "Bad url", vec![]),
        ] {
            let text = format!(
                "id: a\ndescription: b\nroutes_map:\n  - {{route: POST /v1/a, operation_id: a, request: json, response: json, description: \"{about}\", errors: [{{status: 400, code: bad, description: \"{said}\"}}]}}\n"
            );
            let document = prim::from_value(prim::value(&text).unwrap()).unwrap();
            assert_eq!(missing(&document.routes[0]), fields, "{about}: {said}");
        }
    }
}
