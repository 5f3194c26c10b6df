//! What a service says after it had a payment settled.

use super::challenge::{Unreadable, decode};

/// Headers that carry a receipt, of version 2 and of version 1.
pub const RECEIPT_HEADERS: [&str; 2] = ["payment-response", "x-payment-response"];

/// A receipt, as the service says it: only the chain knows whether it is true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Whether it was settled.
    pub success: bool,
    /// The transaction's hash; empty where there is none.
    pub transaction: String,
    /// The chain, as the service calls it.
    pub network: String,
    /// Who paid; empty where it is not said.
    pub payer: String,
    /// Why it was not settled; empty where it was.
    pub error: String,
}

impl Receipt {
    /// Reads the header's value. Texts longer than 200 characters are cut.
    pub fn read(header: &str) -> Result<Self, Unreadable> {
        let json = decode(header, "the receipt")?;
        let success = json["success"].as_bool().ok_or(Unreadable::new("the receipt does not say whether it succeeded"))?;
        let text = |key: &str| json[key].as_str().unwrap_or_default().chars().take(200).collect();
        Ok(Self { success, transaction: text("transaction"), network: text("network"), payer: text("payer"), error: text("errorReason") })
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    #[test]
    fn a_receipt_is_read_and_bounded() {
        let good = STANDARD.encode(r#"{"success":true,"payer":"0x2","transaction":"0xabc","network":"eip155:84532"}"#);
        let receipt = Receipt::read(&good).unwrap();
        assert_eq!((receipt.success, receipt.transaction.as_str(), receipt.payer.as_str()), (true, "0xabc", "0x2"));
        let long = STANDARD.encode(format!(r#"{{"success":false,"errorReason":"{}"}}"#, "e".repeat(1000)));
        assert_eq!(Receipt::read(&long).unwrap().error.len(), 200);
        for bad in ["", "%", "bnVsbA==", "e30=", &STANDARD.encode(r#"{"success":"yes"}"#), &"A".repeat(1 << 20)] {
            assert!(Receipt::read(bad).is_err(), "{bad:.40}");
        }
    }
}
