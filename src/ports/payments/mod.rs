//! Paying for an answer (x402): what a service asks for, whether that is what was
//! declared, and a wallet that signs it. Reading and judging are pure; only the
//! wallet behind [`Payer`] holds a key, and it judges again before it signs.
//! Read `challenge.rs` for what services say, `terms.rs` for what is refused,
//! `transfer.rs` for money that moves without a service.

mod challenge;
pub mod networks;
mod receipt;
mod terms;
mod transfer;

pub use challenge::{Challenge, REQUIRED_HEADERS, Unreadable, challenge_text, settlement_failed};
pub use receipt::{RECEIPT_HEADERS, Receipt};
pub use terms::{Declared, Domain, MAX_WINDOW_SECONDS, Mismatch, Price, Terms, Version};
pub use transfer::{LATEST_SECONDS, Ledger, Settler, Token};

use async_trait::async_trait;
use secrecy::SecretString;

use super::error::PortError;

/// A wallet that pays.
#[async_trait]
pub trait Payer: Send + Sync {
    /// Its address, with the checksum of EIP-55.
    fn address(&self) -> &str;

    /// Signs an EIP-3009 `transferWithAuthorization` of these terms, with a nonce of
    /// its own and for the seconds that they ask for. Nothing is signed unless they
    /// are what was declared ([`Declared::check`]); such an error is `Invalid` and
    /// says what differs. Each call makes another payment: whoever calls it twice may
    /// pay twice.
    async fn authorize(&self, terms: &Terms, declared: &Declared) -> Result<Payment, PortError>;

    /// The EIP-191 signature of a text (`personal_sign`): `0x` and 130 hexadecimal digits.
    async fn sign_message(&self, text: &str) -> Result<String, PortError>;
}

/// A payment that was signed and not yet sent.
#[derive(Clone, Debug)]
pub struct Payment {
    /// Name of the header that carries it.
    pub header: &'static str,
    /// The header's value. Whoever has it can have it settled, until it lapses.
    pub value: SecretString,
    /// What it moves, in the token's units.
    pub amount: u128,
    /// What tells it from others: `0x` and 64 hexadecimal digits.
    pub nonce: String,
    /// When it lapses, in seconds since 1970.
    pub valid_before: u64,
}
