//! Moving money by a signature alone: whoever holds a wallet signs, a facilitator has it
//! settled and pays for that, and the chain says what a wallet has.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Declared, Domain, Payment, Price, Receipt, Terms, Version, networks};
use crate::ports::error::PortError;

/// Seconds that a transfer may take to be settled.
const WINDOW_SECONDS: u64 = 300;
/// Seconds after its signature at which nothing of a transfer can come any more: what is
/// over by its own clock may be so a moment later by the chain's, and is seen later still.
pub const LATEST_SECONDS: i64 = WINDOW_SECONDS as i64 + 60;

/// A token on a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// The chain's CAIP-2 name.
    pub network: String,
    /// Address of the token's contract.
    pub asset: String,
    /// Its EIP-712 domain.
    pub domain: Domain,
}

impl Token {
    /// The dollar that is paid with on a chain: its USDC, which `asset` may name.
    pub fn dollar(network: &str, asset: Option<&str>) -> Result<Self, String> {
        let known = networks::network(network).ok_or_else(|| format!("{network:?} has no known USDC"))?;
        match asset.filter(|asset| !asset.eq_ignore_ascii_case(known.usdc)) {
            Some(other) => Err(format!("{other:?} is not the USDC of {network}, and no other token is moved")),
            None => Ok(Self { network: network.into(), asset: known.usdc.into(), domain: known.domain() }),
        }
    }

    /// What a wallet signs to move so much of it to an address.
    pub fn transfer(&self, to: &str, amount: u128) -> (Terms, Declared) {
        let extra = json!({ "name": self.domain.name, "version": self.domain.version });
        let way = json!({
            "scheme": "exact", "network": self.network, "asset": self.asset, "amount": amount.to_string(), "payTo": to,
            "maxTimeoutSeconds": WINDOW_SECONDS, "extra": extra,
        });
        let terms = Terms {
            version: Version::V2,
            scheme: "exact".into(),
            network: self.network.clone(),
            asset: self.asset.clone(),
            amount,
            pay_to: to.into(),
            max_timeout_seconds: WINDOW_SECONDS,
            domain: Some(self.domain.clone()),
            way,
            resource: Value::Null,
        };
        let declared = Declared {
            network: self.network.clone(),
            asset: Some(self.asset.clone()),
            domain: Some(self.domain.clone()),
            pay_to: Some(to.into()),
            price: Price::Exactly(amount),
        };
        (terms, declared)
    }
}

/// Has signed payments settled, as a service would that was paid by them.
#[async_trait]
pub trait Settler: Send + Sync {
    /// Has a payment of these terms settled. One payment moves once, however often that
    /// is asked; an error may come after it moved.
    async fn settle(&self, terms: &Terms, payment: &Payment) -> Result<Receipt, PortError>;
}

/// Says what wallets have.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// What an address has of a token, in the token's units.
    async fn balance(&self, token: &Token, address: &str) -> Result<u128, PortError>;
}
