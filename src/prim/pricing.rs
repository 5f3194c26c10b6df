//! Prices: of a route, and whether a document is free. Money fails closed:
//! where two statements differ, the one that charges holds.

use std::{fmt, str::FromStr};

use serde_json::Value;

use super::{code::Code, fields::Fields, notes::Notes};

/// An amount in US dollars above nothing, exact to a millionth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price(u64);

/// A text that is no price.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a price: write dollars above nothing such as \"$0.01\", six decimals at most")]
pub struct PriceError(String);

impl Price {
    /// Millionths of a dollar: what a USDC payment counts in.
    pub fn micros(self) -> u64 {
        self.0
    }
}

impl FromStr for Price {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, PriceError> {
        let error = || PriceError(text.into());
        let amount = text.strip_prefix('$').ok_or_else(error)?;
        let (whole, decimals) = amount.split_once('.').unwrap_or((amount, "0"));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || decimals.is_empty() || whole.len() > 9 || decimals.len() > 6 || !digits(whole) || !digits(decimals) {
            return Err(error());
        }
        match format!("{whole}{decimals:0<6}").parse() {
            Ok(micros) if micros > 0 => Ok(Self(micros)),
            _ => Err(error()),
        }
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let decimals = format!("{micros:06}");
        match decimals.trim_end_matches('0') {
            "" => write!(f, "${whole}"),
            trimmed => write!(f, "${whole}.{trimmed}"),
        }
    }
}

/// What one route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutePrice {
    /// Nothing.
    Free,
    /// This much for each call.
    Of(Price),
}

impl fmt::Display for RoutePrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Free => f.write_str("free"),
            Self::Of(price) => price.fmt(f),
        }
    }
}

/// A row of the document's price list: words for people, which name no route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricingRow {
    /// What is sold.
    pub op: String,
    /// For how much, in free text: `$0.009/hr`, `dynamic`.
    pub price: String,
    /// What to know about it.
    pub note: Option<String>,
}

/// The document's price list.
pub(super) fn rows(document: &Fields<'_>, notes: &mut Notes) -> Vec<PricingRow> {
    let rows = document.objects("pricing", notes).into_iter();
    rows.map(|row| PricingRow {
        op: row.text("op", notes).unwrap_or_default(),
        price: row.text("price", notes).unwrap_or_else(|| "unknown".into()),
        note: row.text("note", notes),
    })
    .collect()
}

/// Whether the whole document is free: it says so, and says nothing else.
pub(super) fn is_free(document: &Fields<'_>, rows: &[PricingRow], notes: &mut Notes) -> bool {
    let said = document.inner("factory", notes).and_then(|factory| factory.flag("free_service", notes));
    let all_free = rows.iter().all(|row| row.price == "free");
    match (said, rows.is_empty(), all_free) {
        (Some(true), true, _) | (Some(true), false, true) => true,
        (None, false, true) => {
            notes.assume("pricing", "every row is free, so the service is");
            true
        }
        (Some(true), false, false) => {
            notes.lenient(Code::PriceContradicted, "factory.free_service", "says free while a pricing row does not, so routes are paid");
            false
        }
        (Some(false), false, true) => {
            notes.lenient(Code::PriceContradicted, "factory.free_service", "says paid while every pricing row is free, so routes are paid");
            false
        }
        (None, true, _) => {
            notes.assume("pricing", "neither prices nor factory.free_service: routes are paid");
            false
        }
        (Some(false), ..) | (None, false, false) => false,
    }
}

/// A route's own price, if it has one.
pub(super) fn of_route(route: &Fields<'_>, notes: &mut Notes) -> Option<RoutePrice> {
    let given = match route.get("price")? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => {
            notes.lenient(Code::WrongType, route.at("price"), format!("{number} is ${number}"));
            format!("${number}")
        }
        other => other.to_string(),
    };
    if given == "free" {
        return Some(RoutePrice::Free);
    }
    match given.parse() {
        Ok(price) => Some(RoutePrice::Of(price)),
        Err(error) => {
            notes.wrong(Code::Malformed, route.at("price"), format!("{error}, or free"));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_exact_or_none() {
        for (text, micros, shown) in
            [("$0.01", 10_000, "$0.01"), ("$1", 1_000_000, "$1"), ("$0.000001", 1, "$0.000001"), ("$2.50", 2_500_000, "$2.5")]
        {
            let price: Price = text.parse().unwrap();
            assert_eq!((price.micros(), price.to_string().as_str()), (micros, shown));
        }
        for bad in ["", "$", "$0", "0.01", "$$1", "$.5", "$1.", "$-1", "$0.0000001", "$0.009/hr", "dynamic", "$1e3", "$9999999999"] {
            assert!(bad.parse::<Price>().is_err(), "{bad}");
        }
    }
}
