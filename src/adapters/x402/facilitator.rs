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
use tokio::sync::OnceCell;

use crate::{
    adapters::http,
    api::conditions::Reason,
    ports::{
        error::{Class, PortError},
        payments::{Ledger, Payment, Receipt, Settler, Terms, Token, networks},
    },
};

/// Longest wait for a settlement: some blocks.
const SETTLED: Duration = Duration::from_secs(60);
/// Longest answer, in bytes.
const LONGEST: usize = 64 * 1024;
/// Characters of an error that are repeated.
const LONGEST_WORDS: usize = 200;
/// What an RPC is called in errors.
const RPC: &str = "the chain's RPC";
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
        let text = |key: &str| bounded(said[key].as_str().unwrap_or_default());
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
    /// The chain's number, once it said that.
    number: OnceCell<u64>,
}

impl Chain {
    /// The one at this URL.
    pub fn new(url: &str) -> Result<Self, PortError> {
        let url = url.parse().map_err(|e| PortError::invalid("rpc", e))?;
        Ok(Self { http: client("rpc", http::TIMEOUT)?, url, number: OnceCell::new() })
    }

    /// What it answers to a call.
    async fn call(&self, method: &str, params: Value) -> Result<Value, PortError> {
        let asked = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut said = ask(&self.http, &self.url, RPC, &asked).await?;
        if said["error"].is_null() { Ok(said["result"].take()) } else { Err(refusal(&said["error"])) }
    }

    /// A balance of another chain would be taken for this one's.
    async fn is_of(&self, network: &str) -> Result<(), PortError> {
        let asked = async {
            let said = self.call("eth_chainId", json!([])).await?;
            let number = said.as_str().and_then(|text| u64::from_str_radix(text.strip_prefix("0x")?, 16).ok());
            number.ok_or_else(|| unexpected(RPC, "does not say which chain it is of"))
        };
        let number = *self.number.get_or_try_init(|| asked).await?;
        if networks::chain_id(network) == Some(number) {
            return Ok(());
        }
        Err(PortError::invalid("rpc", format!("it is of chain eip155:{number}, and what is paid with is on {network}")))
    }
}

#[async_trait]
impl Ledger for Chain {
    async fn balance(&self, token: &Token, address: &str) -> Result<u128, PortError> {
        let owner: Address = address.parse().map_err(|_| PortError::invalid("address", format!("{address:?} is no address")))?;
        self.is_of(&token.network).await?;
        let data = format!("0x{BALANCE_OF}{:0>64}", alloy_primitives::hex::encode(owner));
        let said = self.call("eth_call", json!([{ "to": token.asset, "data": data }, "latest"])).await?;
        if said == "0x" {
            let what = format!("the chain of it has no contract at {}, where the dollar of {} is", token.asset, token.network);
            return Err(PortError::invalid("rpc", what));
        }
        let units: Option<U256> = said.as_str().filter(|text| text.starts_with("0x")).and_then(|text| text.parse().ok());
        units.and_then(|units| u128::try_from(units).ok()).ok_or_else(|| unexpected(RPC, "answers what is no balance"))
    }
}

/// What an RPC refuses, in its own words. What it calls a malformed question of ours, or
/// does not know, it refuses tomorrow too; all else is a node that is behind or busy.
fn refusal(error: &Value) -> PortError {
    let code = error["code"].as_i64();
    let said = bounded(error["message"].as_str().unwrap_or("nothing more"));
    let code_said = code.map_or_else(|| "no code".to_owned(), |code| code.to_string());
    let class = if matches!(code, Some(-32602..=-32600)) { Class::Invalid } else { Class::Transient };
    PortError::new(class, Reason::UnexpectedAnswer, format!("{RPC} answered with error {code_said}: {said}"))
}

/// What a server said, as it may be repeated.
fn bounded(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_WORDS).collect()
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
