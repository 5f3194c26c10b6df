//! An x402 facilitator as those ask it who were paid: `POST /settle`
//! (<https://docs.x402.org/core-concepts/facilitator>), and a chain's JSON-RPC for what a
//! wallet has.

use std::time::Duration;

use alloy_primitives::{Address, U256};
use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{Client, Url};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::{
    adapters::http,
    api::conditions::Reason,
    ports::{
        error::{Class, PortError},
        payments::{Ledger, Payment, Receipt, Settler, Terms, Token},
    },
};

/// Longest wait for a settlement: some blocks.
const SETTLED: Duration = Duration::from_secs(60);
/// Longest answer, in bytes.
const LONGEST: usize = 64 * 1024;
/// The first four bytes of the hash of `balanceOf(address)`.
const BALANCE_OF: &str = "70a08231";

/// A facilitator.
pub struct Facilitator {
    http: Client,
    url: Url,
}

impl Facilitator {
    /// The one at this base URL.
    pub fn new(url: &str) -> Result<Self, PortError> {
        let mut url: Url = url.parse().map_err(|e| PortError::invalid("facilitator", e))?;
        url.path_segments_mut()
            .map_err(|()| PortError::invalid("facilitator", "must be an http or https URL"))?
            .pop_if_empty()
            .push("settle");
        Ok(Self { http: client("facilitator", SETTLED)?, url })
    }
}

#[async_trait]
impl Settler for Facilitator {
    async fn settle(&self, terms: &Terms, payment: &Payment) -> Result<Receipt, PortError> {
        let payload = STANDARD.decode(payment.value.expose_secret()).ok().and_then(|json| serde_json::from_slice::<Value>(&json).ok());
        let payload = payload.ok_or_else(|| PortError::new(Class::Bug, Reason::UnexpectedAnswer, "a payment of ours can't be read"))?;
        let asked = json!({ "x402Version": 2, "paymentPayload": payload, "paymentRequirements": terms.way });
        let said = ask(&self.http, &self.url, "the facilitator", &asked).await?;
        let text = |key: &str| said[key].as_str().unwrap_or_default().chars().take(200).collect::<String>();
        let success = said["success"].as_bool();
        let success = success.ok_or_else(|| unexpected("the facilitator", "does not say whether the payment was settled"))?;
        Ok(Receipt {
            success,
            transaction: text("transaction"),
            network: text("network"),
            payer: text("payer"),
            error: text("errorReason"),
        })
    }
}

/// A chain, by its JSON-RPC.
pub struct Chain {
    http: Client,
    url: Url,
}

impl Chain {
    /// The one at this URL.
    pub fn new(url: &str) -> Result<Self, PortError> {
        let url = url.parse().map_err(|e| PortError::invalid("rpc", e))?;
        Ok(Self { http: client("rpc", http::TIMEOUT)?, url })
    }
}

#[async_trait]
impl Ledger for Chain {
    async fn balance(&self, token: &Token, address: &str) -> Result<u128, PortError> {
        let owner: Address = address.parse().map_err(|_| PortError::invalid("address", format!("{address:?} is no address")))?;
        let data = format!("0x{BALANCE_OF}{:0>64}", alloy_primitives::hex::encode(owner));
        let call = json!([{ "to": token.asset, "data": data }, "latest"]);
        let asked = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": call });
        let said = ask(&self.http, &self.url, "the chain's RPC", &asked).await?;
        let units: Option<U256> = said["result"].as_str().filter(|text| text.len() > 2).and_then(|text| text.parse().ok());
        units.and_then(|units| u128::try_from(units).ok()).ok_or_else(|| {
            unexpected("the chain's RPC", "says no balance: is it the chain that payments are made on, and does the token exist there?")
        })
    }
}

fn client(field: &str, timeout: Duration) -> Result<Client, PortError> {
    http::client().timeout(timeout).build().map_err(|e| PortError::invalid(field, e))
}

/// The JSON that a server answers.
async fn ask(http: &Client, url: &Url, server: &str, question: &Value) -> Result<Value, PortError> {
    let response = http.post(url.clone()).json(question).send().await.map_err(|e| http::no_answer(server, e))?;
    if let Some(failure) = http::common_failure(server, &response) {
        return Err(failure);
    }
    let status = response.status();
    let body = http::body(server, response, LONGEST).await?;
    // A refused payment is an answer with a reason, whatever its status.
    serde_json::from_slice(&body).map_err(|e| unexpected(server, &format!("answered {status} and no JSON")).because(e))
}

fn unexpected(server: &str, problem: &str) -> PortError {
    PortError::new(Class::Transient, Reason::UnexpectedAnswer, format!("{server} {problem}"))
}
