//! The chain and its facilitator, as far as tests ask them, and one that stands
//! between a service and the facilitator.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use alloy_primitives::{B256, hex, keccak256};
use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use flywheel::{adapters::x402::Wallet, ports::payments::Payer};
use serde_json::{Value, json};

pub const NETWORK: &str = "eip155:84532";

fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty());
    if value.is_none() {
        assert!(std::env::var_os("FLYWHEEL_REQUIRE_PAYMENTS").is_none(), "{name} is not set");
        eprintln!("NOT TRIED: {name} says no chain to pay on: `make test-payments` starts one");
    }
    value
}

/// A chain.
#[derive(Clone)]
pub struct Chain {
    /// URL of its JSON-RPC.
    pub rpc: String,
    usdc: String,
    /// Its facilitator's URL.
    pub facilitator: String,
    http: reqwest::Client,
}

impl Chain {
    /// The one that the environment names.
    pub fn from_environment() -> Option<Self> {
        Some(Self {
            rpc: variable("CHAIN_RPC")?,
            usdc: variable("USDC_ADDRESS")?,
            facilitator: variable("FACILITATOR_URL")?,
            http: client(),
        })
    }

    async fn call(&self, method: &str, params: Value) -> Value {
        let question = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut answer: Value = self.http.post(&self.rpc).json(&question).send().await.unwrap().json().await.unwrap();
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].take()
    }

    /// What an address has, in the dollar's units.
    pub async fn balance(&self, address: &str) -> u128 {
        let data = format!("0x70a08231{}", word(address));
        let said = self.call("eth_call", json!([{ "to": self.usdc, "data": data }, "latest"])).await;
        u128::from_str_radix(said.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    }

    /// A new wallet with so much in it.
    pub async fn wallet(&self, micros: u128) -> Wallet {
        let wallet = super::wallet(&B256::random().to_string());
        // The dollar's `balanceOf` is the second of what it stores (e2e/chain/Dollar.sol).
        let slot = keccak256(hex::decode(format!("{}{:064x}", word(wallet.address()), 1)).unwrap());
        self.call("anvil_setStorageAt", json!([self.usdc, slot.to_string(), format!("0x{micros:064x}")])).await;
        assert_eq!(self.balance(wallet.address()).await, micros);
        wallet
    }
}

fn word(address: &str) -> String {
    format!("{:0>64}", address.trim_start_matches("0x").to_lowercase())
}

fn client() -> reqwest::Client {
    flywheel::telemetry::install_crypto_provider();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap()
}

/// A facilitator that passes on what it is asked, but for its first settlements,
/// which it fails as one does whose chain is away.
pub struct Facilitator {
    pub url: String,
    /// Settlements that it passed on.
    pub settled: Arc<AtomicUsize>,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for Facilitator {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Between {
    real: String,
    failures: AtomicUsize,
    settled: Arc<AtomicUsize>,
    http: reqwest::Client,
}

impl Facilitator {
    pub async fn failing(failures: usize, real: &str) -> Self {
        let settled = Arc::new(AtomicUsize::new(0));
        let between = Between { real: real.into(), failures: failures.into(), settled: settled.clone(), http: client() };
        let router = Router::new().route("/{path}", get(passed_on)).route("/{path}", post(asked)).with_state(Arc::new(between));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, settled, serving }
    }
}

async fn passed_on(State(between): State<Arc<Between>>, Path(path): Path<String>) -> Json<Value> {
    Json(between.http.get(format!("{}/{path}", between.real)).send().await.unwrap().json().await.unwrap())
}

async fn asked(State(between): State<Arc<Between>>, Path(path): Path<String>, Json(question): Json<Value>) -> Json<Value> {
    if path == "settle" {
        let failed = between.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        if failed {
            return Json(
                json!({ "success": false, "errorReason": "unexpected_error", "transaction": "", "network": NETWORK, "payer": "" }),
            );
        }
        between.settled.fetch_add(1, Ordering::Relaxed);
    }
    Json(between.http.post(format!("{}/{path}", between.real)).json(&question).send().await.unwrap().json().await.unwrap())
}
