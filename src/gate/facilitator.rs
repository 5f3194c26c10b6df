//! The stub facilitator: a trusted server on loopback that takes exactly the
//! payments that the gate made, and remembers what it was asked about each; in a
//! preview it takes any. The code under test is its client, so it is bounded in everything.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, State},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{checks::Asked, payment::PAYER};

/// Loopback port.
pub(super) const PORT: u16 = 4021;
/// Longest request.
const MAX_BODY: usize = 64 * 1024;
/// Most questions about one payment that are remembered: two are one too many.
const MAX_ASKED: usize = 8;

/// What the facilitator knows.
#[derive(Clone, Default)]
pub(super) struct Facilitator {
    book: Arc<Mutex<Book>>,
}

#[derive(Default)]
struct Book {
    network: String,
    takes_all: bool,
    issued: u64,
    payments: HashMap<String, Payment>,
}

struct Payment {
    good: bool,
    asked: Asked,
}

impl Facilitator {
    /// A facilitator for one chain.
    pub(super) fn new(network: &str) -> Self {
        Self { book: Arc::new(Mutex::new(Book { network: network.into(), ..Book::default() })) }
    }

    /// Serves until the process ends.
    pub(super) async fn serve(self, listener: TcpListener) {
        let router = Router::new()
            .route("/supported", get(supported))
            .route("/verify", post(verify))
            .route("/settle", post(settle))
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(self);
        // It ends with the process, and an error of one connection is its own.
        let _ = axum::serve(listener, router).await;
    }

    /// The nonce of a payment that will be taken, or refused.
    pub(super) fn issue(&self, good: bool) -> String {
        let mut book = self.book();
        book.issued += 1;
        let nonce = format!("0x{:064x}", book.issued);
        book.payments.insert(nonce.clone(), Payment { good, asked: Asked::default() });
        nonce
    }

    /// From now on every payment is taken, whoever made it.
    pub(super) fn take_all(&self) {
        self.book().takes_all = true;
    }

    /// What was asked about a payment.
    pub(super) fn asked(&self, nonce: &str) -> Asked {
        self.book().payments.get(nonce).map(|p| p.asked.clone()).unwrap_or_default()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a question, and says whether the payment is one to take.
    fn note(&self, question: &Value, list: fn(&mut Asked) -> &mut Vec<Value>) -> bool {
        let nonce = question["paymentPayload"]["payload"]["authorization"]["nonce"].as_str().unwrap_or_default();
        let mut book = self.book();
        let takes_all = book.takes_all;
        let Some(payment) = book.payments.get_mut(nonce) else { return takes_all };
        let asked = list(&mut payment.asked);
        if asked.len() < MAX_ASKED {
            asked.push(question["paymentRequirements"].clone());
        }
        payment.good
    }
}

async fn supported(State(facilitator): State<Facilitator>) -> Json<Value> {
    let network = facilitator.book().network.clone();
    Json(json!({ "kinds": [{ "x402Version": 2, "scheme": "exact", "network": network }], "extensions": [], "signers": {} }))
}

async fn verify(State(facilitator): State<Facilitator>, Json(question): Json<Value>) -> Json<Value> {
    Json(if facilitator.note(&question, |asked| &mut asked.verified) {
        json!({ "isValid": true, "payer": PAYER })
    } else {
        json!({ "isValid": false, "invalidReason": "invalid_payload", "payer": PAYER })
    })
}

async fn settle(State(facilitator): State<Facilitator>, Json(question): Json<Value>) -> Json<Value> {
    let network = facilitator.book().network.clone();
    Json(if facilitator.note(&question, |asked| &mut asked.settled) {
        json!({ "success": true, "payer": PAYER, "transaction": format!("0x{}", "0".repeat(64)), "network": network })
    } else {
        json!({ "success": false, "errorReason": "invalid_payload", "transaction": "", "network": network })
    })
}
