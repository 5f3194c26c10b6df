//! What a service says with its 402: ways to pay. It is read from whoever answers,
//! so everything is bounded and nothing is believed.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::Value;

use super::{
    receipt::Receipt,
    terms::{Declared, Domain, Mismatch, Terms, Version},
};

/// Headers that may carry a challenge, the protocol's own first.
pub const REQUIRED_HEADERS: [&str; 2] = ["payment-required", "x-payment-required"];
/// Longest header that is decoded, in bytes.
const MAX_HEADER: usize = 16 * 1024;
/// Longest body that is read, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// Most ways to pay.
const MAX_WAYS: usize = 16;

/// Base64 as browsers read it: padded or not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true),
);

/// How terms are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// As the protocol says they are written.
    Strict,
    /// As prim.sh's client does: a way is looked at once it is taken, but for the
    /// amount of the first.
    Loose,
}

/// What can't be read, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(String);

impl Unreadable {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

/// The ways to pay of one 402 answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Challenge {
    /// The protocol's version.
    pub version: Version,
    /// Why a payment is asked for, such as `Settlement failed`; empty where it is not
    /// said, cut at 200 characters.
    pub error: String,
    /// The ways, at least one.
    pub accepts: Vec<Terms>,
}

impl Challenge {
    /// Reads what a 402 answer says in its header (the value of the first of
    /// [`REQUIRED_HEADERS`] that it has) or, where it has none, in its body.
    pub fn read(header: Option<&str>, body: &[u8]) -> Result<Self, Unreadable> {
        match header {
            Some(header) => Self::from_json(&decode(header, "the payment header")?, Reading::Strict),
            None if body.len() > MAX_BODY => {
                Err(Unreadable(format!("the 402 answer's body has {} bytes, and {MAX_BODY} are plenty", body.len())))
            }
            None => {
                let json = serde_json::from_slice(body)
                    .map_err(|_| Unreadable::new("the 402 answer has neither a payment header nor a JSON body with its terms"))?;
                Self::from_json(&json, Reading::Strict)
            }
        }
    }

    /// The same as prim.sh's client reads it: terms are in the header alone, an amount
    /// may be a number, and a way that lacks something is a way all the same, which
    /// [`Declared::check`] refuses.
    pub fn read_loosely(header: &str) -> Result<Self, Unreadable> {
        Self::from_json(&decode(header, "the payment header")?, Reading::Loose)
    }

    fn from_json(json: &Value, reading: Reading) -> Result<Self, Unreadable> {
        let version = match json["x402Version"].as_u64() {
            Some(1) => Version::V1,
            Some(2) => Version::V2,
            Some(other) => return Err(Unreadable(format!("the terms are of x402 version {other}; 1 and 2 are known"))),
            None => return Err(Unreadable::new("the 402 answer has no x402 terms (no x402Version)")),
        };
        let ways = json["accepts"].as_array().filter(|ways| !ways.is_empty()).ok_or(Unreadable::new("the terms offer no way to pay"))?;
        if ways.len() > MAX_WAYS {
            return Err(Unreadable(format!("the terms offer {} ways to pay, and {MAX_WAYS} are plenty", ways.len())));
        }
        let resource = &json["resource"];
        let accepts = match reading {
            Reading::Strict => ways.iter().enumerate().map(|(at, way)| terms(version, way, resource, at)).collect::<Result<_, _>>()?,
            Reading::Loose => {
                loose_amount(&ways[0]["amount"]).map_err(|problem| Unreadable(format!("accepts[0].amount of the terms {problem}")))?;
                ways.iter().map(|way| loose_terms(version, way, resource)).collect()
            }
        };
        Ok(Self { version, error: json["error"].as_str().unwrap_or_default().chars().take(200).collect(), accepts })
    }

    /// The first way that is what was declared; where none is, why the first one is not.
    pub fn choose(&self, declared: &Declared) -> Result<&Terms, Mismatch> {
        let mut refused = None;
        for way in &self.accepts {
            match declared.check(way) {
                Ok(()) => return Ok(way),
                Err(mismatch) => _ = refused.get_or_insert(mismatch),
            }
        }
        Err(refused.unwrap_or(Mismatch::NoWay))
    }
}

/// Whether a 402 answer to a payment says that the payment was good and its
/// settlement failed, after which one more payment may be tried. Some say so in the
/// body, some in the terms, and our own services by a receipt: nobody has one whose
/// payment was not even tried to be settled. `header` and `receipt` are the values of
/// the first of [`REQUIRED_HEADERS`] and of [`RECEIPT_HEADERS`](super::RECEIPT_HEADERS).
pub fn settlement_failed(header: Option<&str>, receipt: Option<&str>, body: &[u8]) -> bool {
    const SAID: &str = "Settlement failed";
    let in_body = || {
        let json: Value = serde_json::from_slice(body.get(..MAX_BODY).unwrap_or(body)).unwrap_or_default();
        // The kit's envelope puts it one deeper.
        json["error"] == SAID || json["error"]["message"] == SAID
    };
    receipt.is_some_and(|receipt| Receipt::read(receipt).is_ok_and(|receipt| !receipt.success))
        || in_body()
        || Challenge::read(header, body).is_ok_and(|challenge| challenge.error == SAID)
}

/// The JSON of a header: base64 of at most 16 KiB.
pub(super) fn decode(header: &str, what: &str) -> Result<Value, Unreadable> {
    decoded(header, what).map(|(_, json)| json)
}

/// The JSON that a payment header holds, as it was written.
pub fn challenge_text(header: &str) -> Result<Vec<u8>, Unreadable> {
    decoded(header, "the payment header").map(|(text, _)| text)
}

fn decoded(header: &str, what: &str) -> Result<(Vec<u8>, Value), Unreadable> {
    let header = header.trim();
    if header.len() > MAX_HEADER {
        return Err(Unreadable(format!("{what} has {} bytes, and {MAX_HEADER} are plenty", header.len())));
    }
    let json = BASE64.decode(header).map_err(|_| Unreadable(format!("{what} is not base64")))?;
    let value = serde_json::from_slice(&json).map_err(|_| Unreadable(format!("{what} is not base64 of JSON")))?;
    Ok((json, value))
}

fn amount_key(version: Version) -> &'static str {
    match version {
        Version::V1 => "maxAmountRequired",
        Version::V2 => "amount",
    }
}

fn domain(way: &Value) -> Option<Domain> {
    let text = |key: &str| way["extra"][key].as_str().map(str::to_owned);
    Some(Domain { name: text("name")?, version: text("version")? })
}

/// A way that may lack anything: no check lets what stands for it pass.
fn loose_terms(version: Version, way: &Value, resource: &Value) -> Terms {
    let text = |key: &str| way[key].as_str().unwrap_or_default().to_owned();
    Terms {
        version,
        scheme: text("scheme"),
        network: text("network"),
        asset: text("asset"),
        amount: loose_amount(&way[amount_key(version)]).unwrap_or(u128::MAX),
        pay_to: text("payTo"),
        max_timeout_seconds: way["maxTimeoutSeconds"].as_u64().unwrap_or_default(),
        domain: domain(way).filter(|domain| !domain.name.is_empty() && !domain.version.is_empty()),
        way: way.clone(),
        resource: resource.clone(),
    }
}

/// An amount as JavaScript's `BigInt` takes it, in decimal.
fn loose_amount(value: &Value) -> Result<u128, &'static str> {
    match value {
        Value::String(text) => amount(text.trim()),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, not negative, and exact")]
        Value::Number(number) => {
            let whole = |n: f64| (n.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&n)).then_some(n as u128);
            number.as_u64().map(u128::from).or_else(|| number.as_f64().and_then(whole)).ok_or("is no whole number")
        }
        _ => Err("is no number"),
    }
}

fn terms(version: Version, way: &Value, resource: &Value, at: usize) -> Result<Terms, Unreadable> {
    let text =
        |key: &str| way[key].as_str().map(str::to_owned).ok_or_else(|| Unreadable(format!("accepts[{at}].{key} of the terms is no text")));
    let amount_key = amount_key(version);
    Ok(Terms {
        version,
        scheme: text("scheme")?,
        network: text("network")?,
        asset: text("asset")?,
        amount: amount(&text(amount_key)?).map_err(|problem| Unreadable(format!("accepts[{at}].{amount_key} of the terms {problem}")))?,
        pay_to: text("payTo")?,
        max_timeout_seconds: way["maxTimeoutSeconds"]
            .as_u64()
            .ok_or_else(|| Unreadable(format!("accepts[{at}].maxTimeoutSeconds of the terms is no number of seconds")))?,
        domain: domain(way),
        way: way.clone(),
        resource: resource.clone(),
    })
}

/// An amount in a token's units. The chain's numbers have 256 bits; what does not
/// fit into 128 is more than there is of any dollar token, and no amount to pay.
fn amount(text: &str) -> Result<u128, &'static str> {
    if text.is_empty() || text.len() > 78 || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err("is no whole number in decimal");
    }
    text.parse().map_err(|_| "is more than any token has")
}
