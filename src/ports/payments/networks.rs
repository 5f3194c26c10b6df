//! The chains that are known by name, and their USDC.

use super::terms::Domain;

/// A chain and the dollar token on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its name in x402 version 2, by CAIP-2.
    pub caip2: &'static str,
    /// Its name in x402 version 1.
    pub v1: &'static str,
    /// USDC's address.
    pub usdc: &'static str,
    /// Name in USDC's EIP-712 domain, which differs between the two chains.
    pub usdc_name: &'static str,
}

impl Network {
    /// The EIP-712 domain of its USDC.
    pub fn domain(&self) -> Domain {
        Domain { name: self.usdc_name.into(), version: "2".into() }
    }
}

/// The chains.
pub const NETWORKS: [Network; 2] = [
    Network { caip2: "eip155:8453", v1: "base", usdc: "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", usdc_name: "USD Coin" },
    Network { caip2: "eip155:84532", v1: "base-sepolia", usdc: "0x036CbD53842c5426634e7929541eC2318f3dCF7e", usdc_name: "USDC" },
];

/// The known chain of a CAIP-2 name.
pub fn network(caip2: &str) -> Option<&'static Network> {
    NETWORKS.iter().find(|network| network.caip2 == caip2)
}

/// The CAIP-2 name of what a service of version 1 calls its network; it may be one already.
pub fn caip2_of(name: &str) -> Option<&str> {
    match NETWORKS.iter().find(|network| network.v1 == name) {
        Some(network) => Some(network.caip2),
        None => chain_id(name).map(|_| name),
    }
}

/// The number of a chain of the EVM, from its CAIP-2 name.
pub fn chain_id(caip2: &str) -> Option<u64> {
    let digits = caip2.strip_prefix("eip155:")?;
    let plain = !digits.is_empty() && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}
