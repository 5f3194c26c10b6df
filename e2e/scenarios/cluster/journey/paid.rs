//! A primitive that costs something: its pod reaches the Factory's facilitator, which
//! settles on the chain, and nobody is paid but whom the Factory names.

use std::{path::Path, sync::Arc};

use flywheel::{
    adapters::{clock::SystemClock, x402::Wallet},
    ports::payments::{Challenge, Declared, Payer, Price, Receipt},
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{answering, caller, declare, remove};
use crate::{cluster::bed::ready, support::variable};

/// To whom the test bed's Factory has primitives paid.
const PAY_TO: &str = "0x000000000000000000000000000000000000dEaD";
/// What the route costs, in the dollar's units.
const PRICE: u128 = 3000;

/// What an address has, in the dollar's units.
async fn balance(address: &str) -> u128 {
    let data = format!("0x70a08231{:0>64}", address.trim_start_matches("0x").to_lowercase());
    let call =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_call", "params": [{ "to": variable("USDC_ADDRESS"), "data": data }, "latest"] });
    let answer = reqwest::Client::new().post(variable("CHAIN_RPC")).json(&call).send().await.expect("the chain answers");
    let said: Value = answer.json().await.expect("JSON");
    let digits = said["result"].as_str().unwrap_or_else(|| panic!("{said}")).trim_start_matches("0x");
    u128::from_str_radix(digits, 16).expect("a balance")
}

#[tokio::test]
async fn a_primitive_is_paid_on_the_chain() {
    let (kube, _) = ready().await;
    let document = json!({
        "id": "paid", "name": "paid.sh", "endpoint": "paid.prim.sh", "description": "Keeps names for a price.",
        "env": ["PAID_DB_PATH"],
        "routes_map": [
            { "route": "POST /v1/names", "response": "Name", "status": 201, "operation_id": "create_name", "price": "$0.003",
              "description": "Keep a name." },
            { "route": "GET /v1/names", "response": "Names", "operation_id": "list_names", "price": "$0.001", "description": "List names." }
        ]
    });
    declare(&kube, document, json!({})).await;
    answering(&kube, "paid").await;

    let wallet = Wallet::from_file(Path::new(&variable("TEST_WALLET_KEY_FILE")), Arc::new(SystemClock)).expect("the test wallet");
    let before = (balance(wallet.address()).await, balance(PAY_TO).await);
    let (client, url) = caller("paid").expect("a client");
    let ask = || client.post(format!("{url}/v1/names")).json(&json!({ "name": "ann" }));
    let unpaid = ask().send().await.expect("an answer");
    assert_eq!(unpaid.status(), 402);
    let terms = unpaid.headers()["payment-required"].to_str().expect("text");
    let challenge = Challenge::read(Some(terms), b"").expect("terms");
    let declared = Declared {
        network: variable("CHAIN_NETWORK"),
        asset: None,
        domain: None,
        pay_to: Some(PAY_TO.into()),
        price: Price::Exactly(PRICE),
    };
    let payment = wallet.authorize(challenge.choose(&declared).expect("what is declared"), &declared).await.expect("a payment");
    let paid = ask().header(payment.header, payment.value.expose_secret()).send().await.expect("an answer");
    let receipt = paid.headers().get("payment-response").map(|header| Receipt::read(header.to_str().expect("text")).expect("a receipt"));
    let status = paid.status();
    assert_eq!(status, 201, "{receipt:?}: {}", paid.text().await.unwrap_or_default());
    assert!(receipt.is_some_and(|receipt| receipt.success && receipt.transaction.len() == 66));
    assert_eq!((balance(wallet.address()).await, balance(PAY_TO).await), (before.0 - PRICE, before.1 + PRICE));
    remove(&kube, "paid").await;
}
