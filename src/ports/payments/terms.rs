//! One way to pay, what was declared of it, and how the two may differ.

use serde_json::Value;

use super::networks;

/// Longest time that a payment may stay valid, in seconds. Services ask for minutes;
/// what is valid for days is a cheque for whoever finds it.
pub const MAX_WINDOW_SECONDS: u64 = 3600;

/// The protocol's version, which says how things are called and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Terms in the body, networks by name.
    V1,
    /// Terms in a header, networks by CAIP-2.
    V2,
}

/// The part of an EIP-712 domain that terms name; chain and contract are the terms' own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// Name of the token's contract.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// One way to pay, as a service says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// The protocol's version.
    pub version: Version,
    /// How the amount is meant; only `exact` is paid.
    pub scheme: String,
    /// The chain, as the service calls it.
    pub network: String,
    /// Address of the token's contract.
    pub asset: String,
    /// The price, in the token's units.
    pub amount: u128,
    /// Who is paid.
    pub pay_to: String,
    /// How long the payment must stay valid.
    pub max_timeout_seconds: u64,
    /// The EIP-712 domain, where the service says it.
    pub domain: Option<Domain>,
    /// The way as the service wrote it: version 2 sends it back.
    pub way: Value,
    /// What is bought, as the service wrote it; null in version 1.
    pub resource: Value,
}

/// What one call may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// Exactly this many of the token's units.
    Exactly(u128),
    /// At most this many.
    AtMost(u128),
}

/// What was declared before anybody was asked: nothing else is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    /// The chain's CAIP-2 name, such as `eip155:84532`.
    pub network: String,
    /// Address of the token's contract; the chain's USDC where absent.
    pub asset: Option<String>,
    /// The token's EIP-712 domain, where `asset` names one that is not the chain's
    /// USDC; absent, the service's word counts, within bounds.
    pub domain: Option<Domain>,
    /// Who is paid; absent where a plan does not say.
    pub pay_to: Option<String>,
    /// The price.
    pub price: Price,
}

/// How terms differ from what was declared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Nothing is offered.
    #[error("the terms offer no way to pay")]
    NoWay,
    /// The scheme is not `exact`.
    #[error("the terms' scheme is {0:?}, and only \"exact\" is paid")]
    Scheme(String),
    /// Another chain.
    #[error("the terms' network is {asked:?}, and {declared:?} is declared")]
    Network {
        /// What is asked for.
        asked: String,
        /// What was declared.
        declared: String,
    },
    /// A chain that is declared and can't be used.
    #[error("the declared network {0:?} has no known USDC: declare the token's address")]
    NoToken(String),
    /// Another token.
    #[error("the terms' token is {asked:?}, and {declared:?} is declared")]
    Asset {
        /// What is asked for.
        asked: String,
        /// What was declared.
        declared: String,
    },
    /// Another wallet.
    #[error("the terms pay {asked:?}, and {declared:?} is declared")]
    PayTo {
        /// What is asked for.
        asked: String,
        /// What was declared.
        declared: String,
    },
    /// What should be an address is none.
    #[error("{0} {1:?} is no address (0x and 40 hexadecimal digits)")]
    NoAddress(&'static str, String),
    /// Another price.
    #[error("the terms ask for {asked} units of the token, and {declared} are declared")]
    Price {
        /// What is asked for.
        asked: u128,
        /// What was declared.
        declared: u128,
    },
    /// More than may be spent.
    #[error("the terms ask for {asked} units of the token, and at most {cap} may be spent")]
    TooMuch {
        /// What is asked for.
        asked: u128,
        /// The cap.
        cap: u128,
    },
    /// An EIP-712 domain that is not the token's.
    #[error("the terms' EIP-712 domain {0} is not the token's")]
    Domain(String),
    /// A validity that is too short or too long.
    #[error("the terms ask for a payment that is valid for {0} s; 1 to {MAX_WINDOW_SECONDS} are taken")]
    Window(u64),
}

impl Declared {
    /// Whether terms are what was declared: everything that a signature would bind us to.
    pub fn check(&self, terms: &Terms) -> Result<(), Mismatch> {
        if terms.scheme != "exact" {
            return Err(Mismatch::Scheme(short(&terms.scheme)));
        }
        let network = terms.caip2().filter(|network| *network == self.network && networks::chain_id(network).is_some());
        if network.is_none() {
            return Err(Mismatch::Network { asked: short(&terms.network), declared: self.network.clone() });
        }
        let known = networks::network(&self.network);
        let asset = self.asset.as_deref().or(known.map(|known| known.usdc)).ok_or_else(|| Mismatch::NoToken(self.network.clone()))?;
        address("the terms' token", &terms.asset)?;
        if !terms.asset.eq_ignore_ascii_case(asset) {
            return Err(Mismatch::Asset { asked: terms.asset.clone(), declared: asset.into() });
        }
        address("the terms' payTo", &terms.pay_to)?;
        if let Some(pay_to) = &self.pay_to
            && !terms.pay_to.eq_ignore_ascii_case(pay_to)
        {
            return Err(Mismatch::PayTo { asked: terms.pay_to.clone(), declared: pay_to.clone() });
        }
        match self.price {
            Price::Exactly(declared) if terms.amount != declared => return Err(Mismatch::Price { asked: terms.amount, declared }),
            Price::AtMost(cap) if terms.amount > cap => return Err(Mismatch::TooMuch { asked: terms.amount, cap }),
            Price::Exactly(_) | Price::AtMost(_) => {}
        }
        self.domain(terms)?;
        if !(1..=MAX_WINDOW_SECONDS).contains(&terms.max_timeout_seconds) {
            return Err(Mismatch::Window(terms.max_timeout_seconds));
        }
        Ok(())
    }

    /// The EIP-712 domain to sign for: the declared one or the chain's own USDC's,
    /// which the service may leave out but not contradict; else what the service says.
    pub fn domain(&self, terms: &Terms) -> Result<Domain, Mismatch> {
        let usdc = networks::network(&self.network).filter(|known| known.usdc.eq_ignore_ascii_case(&terms.asset));
        let wanted = self.domain.clone().or(usdc.map(networks::Network::domain));
        match (wanted, &terms.domain) {
            (Some(wanted), Some(said)) if wanted == *said => Ok(wanted),
            (Some(wanted), None) => Ok(wanted),
            (None, Some(said)) if plain(&said.name) && plain(&said.version) => Ok(said.clone()),
            (_, Some(said)) => Err(Mismatch::Domain(short(&format!("{:?} version {:?}", said.name, said.version)))),
            (None, None) => Err(Mismatch::Domain("(none)".into())),
        }
    }
}

impl Terms {
    /// The chain's CAIP-2 name, where it is one of the EVM. Version 1 says some by name.
    pub fn caip2(&self) -> Option<&str> {
        match self.version {
            Version::V1 => networks::caip2_of(&self.network),
            Version::V2 => networks::chain_id(&self.network).map(|_| self.network.as_str()),
        }
    }
}

fn address(what: &'static str, text: &str) -> Result<(), Mismatch> {
    let good = text.strip_prefix("0x").is_some_and(|hex| hex.len() == 40 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
    if good { Ok(()) } else { Err(Mismatch::NoAddress(what, short(text))) }
}

fn plain(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}
