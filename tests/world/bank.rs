//! A facilitator and its chain in one, on loopback: it takes what a wallet really signed,
//! each signature once, and moves what is there. It fails where it is told to.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};
use flywheel::{
    adapters::x402::recover,
    ports::payments::{Token, networks},
};
use serde_json::{Value, json};

const NETWORK: &str = "eip155:84532";

/// What the next settlement comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing moves, and there is an error.
    Down,
    /// It moves, and the answer is lost.
    Lost,
    /// It says that it was not settled.
    Refused,
    /// It moves, and the answer is the transaction's hash and that it failed.
    Broadcast,
    /// The same, and nothing moves.
    Reverted,
}

/// What the chain's RPC says next of a balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// That its node is behind, in words that are not for a terminal.
    Busy,
    /// What it was before anything came.
    Nothing,
    /// So much.
    Has(u128),
}

#[derive(Default)]
struct Books {
    balances: BTreeMap<String, u128>,
    used: BTreeSet<String>,
    faults: Vec<Fault>,
    says: Vec<Said>,
    /// The chain's number, where it is another one.
    chain: Option<u64>,
    /// Every settlement that moved something: from, to, amount.
    moved: Vec<(String, String, u128)>,
    asked: usize,
}

/// The server.
pub struct Bank {
    /// Base URL of the facilitator.
    pub facilitator: String,
    /// URL of the chain's JSON-RPC.
    pub rpc: String,
    books: Arc<Mutex<Books>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Bank {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Bank {
    pub async fn open() -> Self {
        flywheel::telemetry::install_crypto_provider();
        let books = Arc::new(Mutex::new(Books::default()));
        let router = Router::new().route("/settle", post(settle)).route("/rpc", post(rpc)).with_state(books.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let facilitator = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { rpc: format!("{facilitator}/rpc"), facilitator, books, serving }
    }

    pub fn token() -> Token {
        Token::dollar(NETWORK, None).unwrap()
    }

    pub fn put(&self, address: &str, micros: u128) {
        self.books.lock().unwrap().balances.insert(address.to_lowercase(), micros);
    }

    pub fn has(&self, address: &str) -> u128 {
        self.books.lock().unwrap().has(address)
    }

    /// The first comes first.
    pub fn fails(&self, faults: &[Fault]) {
        self.books.lock().unwrap().faults = faults.iter().rev().copied().collect();
    }

    /// The first comes first.
    pub fn says(&self, said: &[Said]) {
        self.books.lock().unwrap().says = said.iter().rev().copied().collect();
    }

    /// The RPC is one of another chain, on which nobody has anything.
    pub fn is_elsewhere(&self, chain: u64) {
        self.books.lock().unwrap().chain = Some(chain);
    }

    pub fn moved(&self) -> Vec<(String, String, u128)> {
        self.books.lock().unwrap().moved.clone()
    }

    pub fn asked(&self) -> usize {
        self.books.lock().unwrap().asked
    }
}

impl Books {
    fn has(&self, address: &str) -> u128 {
        self.balances.get(&address.to_lowercase()).copied().unwrap_or_default()
    }

    /// What a facilitator says of a payment, after it had it settled.
    fn settle(&mut self, asked: &Value) -> Result<(), &'static str> {
        let (payment, wanted) = (&asked["paymentPayload"], &asked["paymentRequirements"]);
        if asked["x402Version"] != 2 || payment["x402Version"] != 2 || payment["accepted"] != *wanted {
            return Err("invalid_payload");
        }
        let usdc = networks::network(NETWORK).unwrap();
        if wanted["network"] != NETWORK || !wanted["asset"].as_str().unwrap_or_default().eq_ignore_ascii_case(usdc.usdc) {
            return Err("invalid_network");
        }
        let signer = recover(&payment["payload"], NETWORK, usdc.usdc, &usdc.domain()).ok_or("invalid_signature")?;
        let given = &payment["payload"]["authorization"];
        let text = |key: &str| given[key].as_str().unwrap_or_default();
        let (from, to, amount) =
            (text("from").to_lowercase(), text("to").to_lowercase(), text("value").parse().map_err(|_| "invalid_value")?);
        if signer.to_lowercase() != from
            || given["value"] != wanted["amount"]
            || !text("to").eq_ignore_ascii_case(wanted["payTo"].as_str().unwrap_or_default())
        {
            return Err("invalid_signature");
        }
        if !self.used.insert(text("nonce").into()) {
            return Err("authorization_used");
        }
        let left = self.has(&from).checked_sub(amount).ok_or("insufficient_funds")?;
        self.balances.insert(from.clone(), left);
        *self.balances.entry(to.clone()).or_default() += amount;
        self.moved.push((from, to, amount));
        Ok(())
    }
}

async fn settle(State(books): State<Arc<Mutex<Books>>>, Json(asked): Json<Value>) -> (StatusCode, Json<Value>) {
    let mut books = books.lock().unwrap();
    books.asked += 1;
    let fault = books.faults.pop();
    if fault == Some(Fault::Down) {
        return (StatusCode::BAD_GATEWAY, Json(json!({})));
    }
    let settled = match fault {
        Some(Fault::Refused | Fault::Reverted) => Err("unexpected_error"),
        _ => books.settle(&asked),
    };
    if matches!(fault, Some(Fault::Broadcast | Fault::Reverted)) {
        let answer = json!({ "success": false, "errorReason": "invalid_transaction_state", "transaction": "0xabc", "network": NETWORK, "payer": "" });
        return (StatusCode::OK, Json(answer));
    }
    if fault == Some(Fault::Lost) {
        return (StatusCode::GATEWAY_TIMEOUT, Json(json!({})));
    }
    let answer = match settled {
        Ok(()) => json!({ "success": true, "transaction": "0xabc", "network": NETWORK, "payer": "" }),
        Err(reason) => json!({ "success": false, "errorReason": reason, "transaction": "", "network": NETWORK, "payer": "" }),
    };
    (StatusCode::OK, Json(answer))
}

async fn rpc(State(books): State<Arc<Mutex<Books>>>, Json(asked): Json<Value>) -> Json<Value> {
    let mut books = books.lock().unwrap();
    let result = |result: String| Json(json!({ "jsonrpc": "2.0", "id": 1, "result": result }));
    if asked["method"] == "eth_chainId" {
        return result(format!("{:#x}", books.chain.or(networks::chain_id(NETWORK)).unwrap()));
    }
    let call = &asked["params"][0];
    let data = call["data"].as_str().unwrap_or_default();
    let known = asked["method"] == "eth_call" && data.starts_with("0x70a08231") && data.len() == 74;
    // Whoever asks where there is no such token is answered with nothing.
    let usdc = networks::network(NETWORK).unwrap().usdc;
    if !known || books.chain.is_some() || !call["to"].as_str().unwrap_or_default().eq_ignore_ascii_case(usdc) {
        return result("0x".into());
    }
    let units = match books.says.pop() {
        Some(Said::Busy) => {
            let message = format!("header not found \u{1b}[31m{}", "x".repeat(10_000));
            return Json(json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": -32000, "message": message } }));
        }
        Some(Said::Nothing) => 0,
        Some(Said::Has(units)) => units,
        None => books.has(&format!("0x{}", &data[34..])),
    };
    result(format!("0x{units:064x}"))
}

/// The same without a pause before something is asked again.
pub fn quick(bank: flywheel::room::Bank) -> flywheel::room::Bank {
    flywheel::room::Bank { pause: std::time::Duration::ZERO, ..bank }
}
