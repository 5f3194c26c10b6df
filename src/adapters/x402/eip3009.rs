//! What the signature of a payment covers: EIP-3009's `TransferWithAuthorization`,
//! hashed by EIP-712 for one token on one chain.

use alloy_primitives::{Address, B256, Signature, U256, hex};
use alloy_sol_types::{Eip712Domain, SolStruct};
use serde_json::{Value, json};

use crate::ports::payments::{Domain, networks};

mod typed {
    alloy_sol_types::sol! {
        struct TransferWithAuthorization {
            address from;
            address to;
            uint256 value;
            uint256 validAfter;
            uint256 validBefore;
            bytes32 nonce;
        }
    }
}

/// One transfer that may be settled by whoever has its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Authorization {
    pub from: Address,
    pub to: Address,
    /// In the token's units.
    pub value: u128,
    /// Seconds since 1970.
    pub valid_after: u64,
    /// Seconds since 1970.
    pub valid_before: u64,
    pub nonce: B256,
}

impl Authorization {
    /// What is signed. `network` is the chain's CAIP-2 name.
    pub fn hash(&self, network: &str, token: Address, domain: &Domain) -> Result<B256, String> {
        let chain = networks::chain_id(network).ok_or_else(|| format!("{network:?} is no chain of the EVM (eip155:NUMBER)"))?;
        let domain = Eip712Domain::new(
            Some(domain.name.clone().into()),
            Some(domain.version.clone().into()),
            Some(U256::from(chain)),
            Some(token),
            None,
        );
        let transfer = typed::TransferWithAuthorization {
            from: self.from,
            to: self.to,
            value: U256::from(self.value),
            validAfter: U256::from(self.valid_after),
            validBefore: U256::from(self.valid_before),
            nonce: self.nonce,
        };
        Ok(transfer.eip712_signing_hash(&domain))
    }

    /// As x402 sends it: numbers are texts in decimal.
    pub fn json(&self) -> Value {
        json!({
            "from": self.from.to_checksum(None),
            "to": self.to.to_checksum(None),
            "value": self.value.to_string(),
            "validAfter": self.valid_after.to_string(),
            "validBefore": self.valid_before.to_string(),
            "nonce": self.nonce.to_string(),
        })
    }

    fn read(json: &Value) -> Option<Self> {
        let text = |key: &str| json[key].as_str();
        Some(Self {
            from: text("from")?.parse().ok()?,
            to: text("to")?.parse().ok()?,
            value: text("value")?.parse().ok()?,
            valid_after: text("validAfter")?.parse().ok()?,
            valid_before: text("validBefore")?.parse().ok()?,
            nonce: text("nonce")?.parse().ok()?,
        })
    }
}

/// The checksummed address of the wallet that signed a payment's `payload`
/// (`authorization` and `signature`) for a token on a chain; none where it can't be
/// read or was signed by nobody.
pub fn recover(payload: &Value, network: &str, token: &str, domain: &Domain) -> Option<String> {
    let hash = Authorization::read(&payload["authorization"])?.hash(network, token.parse().ok()?, domain).ok()?;
    let bytes = hex::decode(payload["signature"].as_str()?).ok()?;
    let signer = Signature::from_raw(&bytes).ok()?.recover_address_from_prehash(&hash).ok()?;
    Some(signer.to_checksum(None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_the_one_that_usdc_knows() {
        // TRANSFER_WITH_AUTHORIZATION_TYPEHASH of EIP-3009.
        let hash = alloy_primitives::keccak256(typed::TransferWithAuthorization::eip712_encode_type().as_bytes());
        assert_eq!(hash.to_string(), "0x7c7c6cdb67a18743f49ec6fa9b35f50d52ed05cbed4cc592e13b44501c1a2267");
    }
}
