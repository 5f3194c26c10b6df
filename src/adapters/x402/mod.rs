//! A wallet whose key lies here: it signs x402 payments (EIP-3009) and texts (EIP-191).
//! It sends nothing and speaks to no chain; it signs nothing that was not declared.
//! Read `eip3009.rs` for what a payment's signature covers, `facilitator.rs` for who has
//! one settled.

mod eip3009;
mod facilitator;

use std::{fmt, io::Read, path::Path, sync::Arc};

use alloy_primitives::{Address, B256, Signature, eip191_hash_message, hex};
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use k256::ecdsa::SigningKey;
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroize};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    api::conditions::Reason,
    ports::{
        clock::Clock,
        error::{Class, PortError},
        payments::{Declared, Payer, Payment, Terms, Version},
    },
};
use eip3009::Authorization;
pub use eip3009::recover;
pub use facilitator::{Chain, Facilitator};

/// How long before now a payment becomes valid, in seconds: clocks and blocks lag.
const BACKDATED: u64 = 600;
/// Longest key file, in bytes: a key has 66, and an end of line.
const MAX_KEY_FILE: u64 = 256;

/// A key and what is known of it. The key is wiped from memory when it is dropped.
pub struct Wallet {
    key: SigningKey,
    address: Address,
    checksummed: String,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet").field("address", &self.checksummed).finish_non_exhaustive()
    }
}

impl Wallet {
    /// The wallet of a private key: 64 hexadecimal digits, with or without `0x`.
    /// `whence` says in errors where the key was given, such as the variable's name.
    pub fn new(key: &SecretString, whence: &str, clock: Arc<dyn Clock>) -> Result<Self, PortError> {
        let text = key.expose_secret().trim();
        let mut bytes = [0_u8; 32];
        let read = hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes);
        let key = read.ok().and_then(|()| SigningKey::from_slice(&bytes).ok());
        bytes.zeroize();
        // The library's errors quote what they were given, so none goes along.
        let key = key.ok_or_else(|| {
            PortError::secret_invalid(format!(
                "{whence} is no private key: 64 hexadecimal digits, with or without 0x, that are a key of secp256k1"
            ))
        })?;
        let address = Address::from_private_key(&key);
        Ok(Self { key, address, checksummed: address.to_checksum(None), clock })
    }

    /// The wallet whose private key is all that a file holds.
    pub fn from_file(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, PortError> {
        let whence = format!("the wallet's key file {}", path.display());
        let mut text = String::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(MAX_KEY_FILE).read_to_string(&mut text));
        let key = SecretString::from(text);
        read.map_err(|e| PortError::secret_invalid(format!("{whence} can't be read")).because(e))?;
        Self::new(&key, &whence, clock)
    }

    /// A wallet of its own for each name. Whoever has this one's key can make it again at
    /// any time, and nobody else can.
    pub fn derived(&self, name: &str) -> Result<Self, PortError> {
        let mut own: [u8; 32] = self.key.to_bytes().into();
        // One hash in 2^128 is no key of the curve; then the next one is.
        let key = (0..=u8::MAX).find_map(|attempt| {
            let mut mac = Hmac::<Sha256>::new_from_slice(&own).ok()?;
            mac.update(b"flywheel room\n");
            mac.update(name.as_bytes());
            mac.update(&[attempt]);
            SigningKey::from_slice(&mac.finalize().into_bytes()).ok()
        });
        own.zeroize();
        let key = key.ok_or_else(|| PortError::new(Class::Bug, Reason::UnexpectedAnswer, "no wallet can be derived"))?;
        let address = Address::from_private_key(&key);
        Ok(Self { key, address, checksummed: address.to_checksum(None), clock: self.clock.clone() })
    }

    /// The signature of a hash, as `r`, `s` and `v` (27 or 28) in 0x and hexadecimal digits.
    fn sign(&self, hash: &B256) -> Result<String, PortError> {
        let (signature, recovery) = self
            .key
            .sign_prehash_recoverable(hash.as_slice())
            .map_err(|e| PortError::new(Class::Bug, Reason::UnexpectedAnswer, "the wallet's key can't sign").because(e))?;
        Ok(hex::encode_prefixed(Signature::from((signature, recovery)).as_bytes()))
    }
}

#[async_trait]
impl Payer for Wallet {
    fn address(&self) -> &str {
        &self.checksummed
    }

    async fn authorize(&self, terms: &Terms, declared: &Declared) -> Result<Payment, PortError> {
        let refused = |problem: String| PortError::new(Class::Invalid, Reason::Invalid, format!("not paid: {problem}"));
        declared.check(terms).map_err(|mismatch| refused(mismatch.to_string()))?;
        let domain = declared.domain(terms).map_err(|mismatch| refused(mismatch.to_string()))?;
        let now = u64::try_from(self.clock.now().as_second()).unwrap_or_default();
        let authorization = Authorization {
            from: self.address,
            to: parsed(&terms.pay_to).map_err(refused)?,
            value: terms.amount,
            valid_after: now.saturating_sub(BACKDATED),
            valid_before: now.saturating_add(terms.max_timeout_seconds),
            nonce: nonce()?,
        };
        let hash = authorization.hash(&declared.network, parsed(&terms.asset).map_err(refused)?, &domain).map_err(refused)?;
        let payload = json!({ "signature": self.sign(&hash)?, "authorization": authorization.json() });
        let (header, json) = match terms.version {
            Version::V1 => ("x-payment", v1(terms, &payload)),
            Version::V2 => ("payment-signature", v2(terms, &payload)),
        };
        Ok(Payment {
            header,
            value: STANDARD.encode(json.to_string()).into(),
            amount: terms.amount,
            nonce: authorization.nonce.to_string(),
            valid_before: authorization.valid_before,
        })
    }

    async fn sign_message(&self, text: &str) -> Result<String, PortError> {
        self.sign(&eip191_hash_message(text))
    }
}

/// What version 1 sends: which way is taken is said by scheme and network.
fn v1(terms: &Terms, payload: &Value) -> Value {
    json!({ "x402Version": 1, "scheme": terms.scheme, "network": terms.network, "payload": payload })
}

/// What version 2 sends: the way that is taken as a whole, and what it buys.
fn v2(terms: &Terms, payload: &Value) -> Value {
    let mut json = json!({ "x402Version": 2, "accepted": terms.way, "payload": payload });
    if !terms.resource.is_null() {
        json["resource"] = terms.resource.clone();
    }
    json
}

fn parsed(address: &str) -> Result<Address, String> {
    address.parse().map_err(|_| format!("{address:?} is no address"))
}

fn nonce() -> Result<B256, PortError> {
    B256::try_random().map_err(|e| {
        PortError::new(Class::Transient, Reason::Unreachable, "the machine has no random numbers for a payment's nonce").because(e)
    })
}
