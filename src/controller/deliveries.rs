//! What this process knows of webhook deliveries, a Factory at a time: the
//! secret they are signed with, and whether they come when the branch moves.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use crate::{api::names::Sha, decide::factory::WebhookSeen};

/// `<namespace>/<name>` of a Factory.
type Key = (String, String);

/// How many accepted deliveries of a Factory are remembered by their ids.
pub const REMEMBERED: usize = 256;
/// Longest id that is remembered; forges send UUIDs.
const LONGEST_ID: usize = 64;

/// Deliveries of all Factories.
#[derive(Default)]
pub struct Deliveries(Mutex<HashMap<Key, Hook>>);

#[derive(Default)]
struct Hook {
    /// Nothing can be signed with an empty one.
    secret: SecretString,
    seen: WebhookSeen,
    head: Option<(Sha, Timestamp)>,
    /// Ids of the last accepted ones, the oldest first.
    ids: VecDeque<String>,
}

/// A delivery as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// What the forge calls it.
    pub id: Option<&'a str>,
    /// Its content.
    pub body: &'a [u8],
    /// Its signature, as it stands in the header.
    pub signature: &'a str,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its signature is right.
    Accepted,
    /// Its signature is right, and it was accepted before.
    Duplicate,
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

    /// Checks a delivery's `sha256=<hex>` signature in constant time, and then
    /// whether one of the same id was accepted a short while ago.
    pub fn deliver(&self, namespace: &str, name: &str, sent: &Sent<'_>, now: Timestamp) -> Verdict {
        let mut hooks = self.lock();
        let Some(hook) = hooks.get_mut(&(namespace.to_owned(), name.to_owned())) else {
            return Verdict::UnknownFactory;
        };
        if !verify(&hook.secret, sent.body, sent.signature) {
            hook.seen.refused = true;
            return Verdict::BadSignature;
        }
        // Nothing signs the id, so that a new one on an old delivery costs a poke,
        // and an old one on a new delivery can't be had without its secret.
        if let Some(id) = sent.id.filter(|id| !id.is_empty() && id.len() <= LONGEST_ID) {
            if hook.ids.iter().any(|known| known == id) {
                return Verdict::Duplicate;
            }
            if hook.ids.len() == REMEMBERED {
                hook.ids.pop_front();
            }
            hook.ids.push_back(id.into());
        }
        hook.seen = WebhookSeen { last_accepted: Some(now), refused: false, silent_move: None };
        Verdict::Accepted
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

    /// Deliveries without an id.
    struct Unnamed(Deliveries);

    impl Unnamed {
        fn deliver(&self, namespace: &str, name: &str, body: &[u8], signature: &str, now: Timestamp) -> Verdict {
            self.0.deliver(namespace, name, &Sent { id: None, body, signature }, now)
        }
    }

    #[test]
    fn an_accepted_delivery_is_a_duplicate_until_it_is_forgotten() {
        let deliveries = Deliveries::default();
        for name in ["b", "c"] {
            deliveries.expect("a", name, "s".into());
        }
        let signature = sign("s", b"x");
        let deliver = |name: &str, id: &str, signature: &str, second| {
            deliveries.deliver("a", name, &Sent { id: Some(id), body: b"x", signature }, at(second))
        };
        assert_eq!(deliver("b", "1", &sign("t", b"x"), 1), Verdict::BadSignature);
        assert_eq!(deliver("b", "1", &signature, 2), Verdict::Accepted, "what was refused is not known");
        assert_eq!(deliver("b", "1", &signature, 3), Verdict::Duplicate);
        assert_eq!(deliveries.observe("a", "b", None, at(4)).last_accepted, Some(at(2)), "a duplicate is no news");
        assert_eq!(deliver("b", "1", &sign("t", b"x"), 5), Verdict::BadSignature, "an id is no right");
        assert_eq!(deliver("c", "1", &signature, 6), Verdict::Accepted, "each Factory has its own");
        for no_id in ["", &"1".repeat(LONGEST_ID + 1)] {
            assert_eq!([deliver("b", no_id, &signature, 7), deliver("b", no_id, &signature, 8)], [Verdict::Accepted; 2], "{no_id:?}");
        }
        for id in 2..=REMEMBERED {
            assert_eq!(deliver("b", &id.to_string(), &signature, 9), Verdict::Accepted);
        }
        assert_eq!(deliver("b", "1", &signature, 10), Verdict::Duplicate, "as many are remembered");
        assert_eq!(deliver("b", "next", &signature, 11), Verdict::Accepted);
        assert_eq!(deliver("b", "1", &signature, 12), Verdict::Accepted, "and no more");
    }

    fn sign(secret: &str, body: &[u8]) -> String {
        let tag = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(body).finalize().into_bytes();
        tag.iter().fold("sha256=".to_owned(), |text, byte| format!("{text}{byte:02x}"))
    }

    #[test]
    fn only_a_right_signature_is_accepted() {
        let deliveries = Unnamed(Deliveries::default());
        assert_eq!(deliveries.deliver("a", "b", b"hello", &sign("s", b"hello"), at(1)), Verdict::UnknownFactory);
        deliveries.0.observe("a", "b", None, at(1));
        assert_eq!(deliveries.deliver("a", "b", b"hello", &sign("", b"hello"), at(1)), Verdict::BadSignature, "no secret yet");
        deliveries.0.expect("a", "b", "s".into());
        for wrong in [sign("t", b"hello"), sign("s", b"hello!"), "sha256=zz".into(), "sha1=00".into(), String::new()] {
            assert_eq!(deliveries.deliver("a", "b", b"hello", &wrong, at(1)), Verdict::BadSignature, "{wrong}");
        }
        assert_eq!(deliveries.deliver("a", "b", b"hello", &sign("s", b"hello"), at(1)), Verdict::Accepted);
    }

    #[test]
    fn a_move_is_silent_only_without_a_delivery_since_the_last_look() {
        let deliveries = Unnamed(Deliveries::default());
        deliveries.0.expect("a", "b", "s".into());
        let look = |head: &str, second| deliveries.0.observe("a", "b", Some(&sha(head)), at(second)).silent_move;
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
