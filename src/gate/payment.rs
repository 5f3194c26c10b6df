//! The x402 terms of a 402 answer, and the payment that the stub facilitator
//! takes for them. No key is involved: the signature is zeros.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::plan::{Price, Terms};

/// Header with the terms of a 402 answer.
pub const REQUIRED: &str = "payment-required";
/// Header with a payment.
pub const SIGNATURE: &str = "payment-signature";
/// Longest header that is decoded.
const MAX_HEADER: usize = 16 * 1024;
/// The wallet that pays: nobody's.
pub const PAYER: &str = "0x0000000000000000000000000000000000000002";

/// What a 402 answer offers: one way to pay, taken from its header.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    accepted: Value,
    resource: Value,
}

impl Offer {
    /// The payment of this offer, told from others by its nonce.
    pub fn pay(&self, nonce: &str) -> String {
        let payload = json!({
            "x402Version": 2,
            "resource": self.resource,
            "accepted": self.accepted,
            "payload": {
                "signature": format!("0x{}", "0".repeat(130)),
                "authorization": {
                    "from": PAYER, "to": self.accepted["payTo"], "value": self.accepted["amount"],
                    "validAfter": "0", "validBefore": "99999999999", "nonce": nonce
                }
            }
        });
        STANDARD.encode(payload.to_string())
    }
}

/// The offer of a 402 answer's header, if it asks for what was declared.
pub fn offer(header: Option<&str>, price: &Price, terms: &Terms) -> Result<Offer, String> {
    let header = header.ok_or("the 402 answer has no PAYMENT-REQUIRED header with its terms")?;
    if header.len() > MAX_HEADER {
        return Err(format!("the PAYMENT-REQUIRED header has {} bytes, and {MAX_HEADER} are plenty", header.len()));
    }
    let json = STANDARD.decode(header.trim()).map_err(|_| "the PAYMENT-REQUIRED header is not base64")?;
    let required: Value = serde_json::from_slice(&json).map_err(|_| "the PAYMENT-REQUIRED header is not base64 of JSON")?;
    if required["x402Version"] != 2 {
        return Err("the terms are not of x402 version 2".into());
    }
    let accepts = required["accepts"].as_array().filter(|a| !a.is_empty()).ok_or("the terms offer no way to pay")?;
    // Every way must be the declared one: a caller may take any of them.
    for way in accepts {
        check(way, price, terms)?;
    }
    Ok(Offer { accepted: accepts[0].clone(), resource: required["resource"].clone() })
}

/// Whether one way to pay is the declared one.
pub fn check(way: &Value, price: &Price, terms: &Terms) -> Result<(), String> {
    let text = |key: &str| way[key].as_str().unwrap_or_default().to_owned();
    for (key, wanted) in [("scheme", "exact"), ("network", terms.network.as_str())] {
        if text(key) != wanted {
            return Err(format!("the terms say {key} {:?}, and {wanted:?} is declared", text(key)));
        }
    }
    if !text("payTo").eq_ignore_ascii_case(&terms.pay_to) {
        return Err(format!("the terms pay {:?}, and {:?} is the wallet", text("payTo"), terms.pay_to));
    }
    if let Some(asset) = &terms.asset
        && !text("asset").eq_ignore_ascii_case(asset)
    {
        return Err(format!("the terms ask for the token {:?}, and {asset:?} is declared", text("asset")));
    }
    let amount: u128 = text("amount").parse().map_err(|_| format!("the terms' amount {:?} is no number", text("amount")))?;
    match price {
        Price::Free => Err("a free route asks for a payment".into()),
        Price::Exactly { micros } if u128::from(*micros) != amount => {
            Err(format!("the terms ask for {amount} units of the token, and the declared price is {micros}"))
        }
        Price::Exactly { .. } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        Terms { network: "eip155:84532".into(), pay_to: "0xAbc0000000000000000000000000000000000001".into(), asset: None }
    }

    fn way() -> Value {
        json!({ "scheme": "exact", "network": "eip155:84532", "amount": "1000", "asset": "0xA", "payTo": "0xabc0000000000000000000000000000000000001" })
    }

    fn header(required: &Value) -> String {
        STANDARD.encode(required.to_string())
    }

    #[test]
    fn the_declared_terms_make_an_offer_that_can_be_paid() {
        let header = header(&json!({ "x402Version": 2, "resource": { "url": "u" }, "accepts": [way()] }));
        let offer = offer(Some(&header), &Price::Exactly { micros: 1000 }, &terms()).unwrap();
        let paid: Value = serde_json::from_slice(&STANDARD.decode(offer.pay("0x1")).unwrap()).unwrap();
        assert_eq!(paid["accepted"], way());
        assert_eq!(paid["payload"]["authorization"]["nonce"], "0x1");
        assert_eq!(paid["payload"]["authorization"]["value"], "1000");
    }

    #[test]
    fn other_terms_are_named() {
        let price = Price::Exactly { micros: 1000 };
        for (key, value, expected) in [
            ("network", "eip155:8453", "network"),
            ("payTo", "0x2", "wallet"),
            ("amount", "1", "price"),
            ("amount", "-1", "no number"),
            ("scheme", "upto", "scheme"),
        ] {
            let mut other = way();
            other[key] = value.into();
            // Hidden behind a right one.
            let header = header(&json!({ "x402Version": 2, "accepts": [way(), other] }));
            let error = offer(Some(&header), &price, &terms()).unwrap_err();
            assert!(error.contains(expected), "{key}: {error}");
        }
        let with_asset = Terms { asset: Some("0xB".into()), ..terms() };
        assert!(check(&way(), &price, &with_asset).unwrap_err().contains("token"));
        assert!(check(&way(), &Price::Free, &terms()).is_err());
    }

    #[test]
    fn a_header_may_be_anything() {
        for bad in [None, Some(""), Some("%%"), Some("AAAA"), Some("bnVsbA==")] {
            assert!(offer(bad, &Price::Exactly { micros: 1 }, &terms()).is_err(), "{bad:?}");
        }
        assert!(offer(Some(&"A".repeat(MAX_HEADER + 1)), &Price::Exactly { micros: 1 }, &terms()).is_err());
    }
}
