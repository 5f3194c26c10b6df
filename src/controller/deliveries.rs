//! What this process knows of webhook deliveries, a Factory at a time: the
//! secret they are signed with, and whether they come when the branch moves.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::{api::names::Sha, decide::factory::WebhookSeen};

/// `<namespace>/<name>` of a Factory.
type Key = (String, String);

/// Deliveries of all Factories.
#[derive(Default)]
pub struct Deliveries(Mutex<HashMap<Key, Hook>>);

#[derive(Default)]
struct Hook {
    /// Nothing can be signed with an empty one.
    secret: SecretString,
    seen: WebhookSeen,
    head: Option<(Sha, Timestamp)>,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its signature is right.
    Accepted,
    /// Its signature is wrong.
    BadSignature,
    /// No Factory of that name has been looked at yet.
    UnknownFactory,
}

impl Deliveries {
    /// Sets the secret that a Factory's deliveries are signed with.
    pub fn expect(&self, namespace: &str, name: &str, secret: SecretString) {
        self.lock().entry((namespace.into(), name.into())).or_default().secret = secret;
    }

    /// Takes no more deliveries of a Factory until its secret can be read again.
    pub fn withdraw(&self, namespace: &str, name: &str) {
        self.expect(namespace, name, SecretString::default());
    }

    /// Forgets a Factory that is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.lock().remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// Notes where a poll found the base branch, and returns what is known of the
    /// Factory's deliveries. A branch that moved between two polls without any
    /// delivery in between moved silently.
    pub fn observe(&self, namespace: &str, name: &str, head: Option<&Sha>, now: Timestamp) -> WebhookSeen {
        let mut hooks = self.lock();
        let hook = hooks.entry((namespace.into(), name.into())).or_default();
        if let Some(head) = head {
            if let Some((before, noted)) = &hook.head
                && before != head
                && hook.seen.last_accepted.is_none_or(|accepted| accepted < *noted)
            {
                hook.seen.silent_move.get_or_insert(now);
            }
            hook.head = Some((head.clone(), now));
        }
        hook.seen.clone()
    }

    /// Checks a delivery's `sha256=<hex>` signature in constant time.
    pub fn deliver(&self, namespace: &str, name: &str, body: &[u8], signature: &str, now: Timestamp) -> Verdict {
        let mut hooks = self.lock();
        let Some(hook) = hooks.get_mut(&(namespace.to_owned(), name.to_owned())) else {
            return Verdict::UnknownFactory;
        };
        if verify(&hook.secret, body, signature) {
            hook.seen = WebhookSeen { last_accepted: Some(now), refused: false, silent_move: None };
            Verdict::Accepted
        } else {
            hook.seen.refused = true;
            Verdict::BadSignature
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Hook>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn verify(secret: &SecretString, body: &[u8], signature: &str) -> bool {
    // An empty secret would let anybody sign.
    if secret.expose_secret().is_empty() {
        return false;
    }
    let Some(tag) = signature.strip_prefix("sha256=").and_then(decode_hex) else {
        return false;
    };
    Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()).is_ok_and(|mac| mac.chain_update(body).verify_slice(&tag).is_ok())
}

/// Whether a header's text has the form of a signature.
pub fn is_signature(text: &str) -> bool {
    text.strip_prefix("sha256=").and_then(decode_hex).is_some_and(|tag| tag.len() == 32)
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn sha(digit: &str) -> Sha {
        digit.repeat(40).parse().unwrap()
    }

    fn sign(secret: &str, body: &[u8]) -> String {
        let tag = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body).finalize().into_bytes();
        tag.iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
    }

    #[test]
    fn only_a_right_signature_is_accepted() {
        let deliveries = Deliveries::default();
        assert_eq!(deliveries.deliver("a", "b", b"hello", &sign("s", b"hello"), at(1)), Verdict::UnknownFactory);
        deliveries.observe("a", "b", None, at(1));
        assert_eq!(deliveries.deliver("a", "b", b"hello", &sign("", b"hello"), at(1)), Verdict::BadSignature, "no secret yet");
        deliveries.expect("a", "b", "s".into());
        for wrong in [sign("t", b"hello"), sign("s", b"hello!"), "sha256=zz".into(), "sha1=00".into(), String::new()] {
            assert_eq!(deliveries.deliver("a", "b", b"hello", &wrong, at(1)), Verdict::BadSignature, "{wrong}");
        }
        assert_eq!(deliveries.deliver("a", "b", b"hello", &sign("s", b"hello"), at(1)), Verdict::Accepted);
    }

    #[test]
    fn a_move_is_silent_only_without_a_delivery_since_the_last_look() {
        let deliveries = Deliveries::default();
        deliveries.expect("a", "b", "s".into());
        let look = |head: &str, second| deliveries.observe("a", "b", Some(&sha(head)), at(second)).silent_move;
        let deliver = |second| deliveries.deliver("a", "b", b"x", &sign("s", b"x"), at(second));

        assert_eq!(look("1", 10), None, "nothing to compare with yet");
        assert_eq!(look("2", 20), Some(at(20)));
        assert_eq!(look("2", 30), Some(at(20)), "the first time counts");
        deliver(31);
        assert_eq!(look("3", 32), None, "a delivery came before the look");
        assert_eq!(look("4", 40), Some(at(40)));
        deliver(41);
        assert_eq!(look("4", 50), None, "a delivery came after the look");
    }
}
