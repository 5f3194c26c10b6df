//! A wallet's signatures, against vectors and a captured exchange of the reference
//! implementation, and its refusals.

use std::{path::PathBuf, sync::Arc};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use flywheel::{
    adapters::x402::{Wallet, recover},
    api::conditions::Reason,
    ports::{
        clock::Clock,
        error::Class,
        payments::{Challenge, Declared, Domain, Payer, Price, Receipt, Version, networks, settlement_failed},
    },
};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::refused;

/// The first account of anvil and hardhat, which everybody has the key of.
const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const ADDRESS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const SEPOLIA: &str = "eip155:84532";
const SHOP: &str = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8";
const NOW: i64 = 1_795_398_341;

struct At(i64);

impl Clock for At {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::from_second(self.0).unwrap()
    }
}

fn wallet(key: &str) -> Wallet {
    Wallet::new(&key.into(), "AGENT_PRIVATE_KEY", Arc::new(At(NOW))).unwrap()
}

fn declared() -> Declared {
    Declared { network: SEPOLIA.into(), asset: None, domain: None, pay_to: Some(SHOP.into()), price: Price::Exactly(5000) }
}

fn usdc() -> &'static networks::Network {
    networks::network(SEPOLIA).unwrap()
}

fn way() -> Value {
    json!({
        "scheme": "exact", "network": SEPOLIA, "amount": "5000", "asset": usdc().usdc.to_lowercase(), "payTo": SHOP,
        "maxTimeoutSeconds": 300, "extra": { "name": "USDC", "version": "2" }
    })
}

fn v2(way: &Value) -> Challenge {
    let json = json!({ "x402Version": 2, "error": "Payment required", "resource": { "url": "http://s/v1/x" }, "accepts": [way] });
    Challenge::read(Some(&STANDARD.encode(json.to_string())), b"").unwrap()
}

fn v1() -> Challenge {
    let json = json!({ "x402Version": 1, "error": "X-PAYMENT header is required", "accepts": [{
        "scheme": "exact", "network": "base-sepolia", "maxAmountRequired": "5000", "resource": "http://s/v1/x", "description": "",
        "mimeType": "application/json", "payTo": SHOP, "maxTimeoutSeconds": 300, "asset": usdc().usdc, "extra": { "name": "USDC", "version": "2" }
    }] });
    Challenge::read(None, json.to_string().as_bytes()).unwrap()
}

#[tokio::test]
async fn texts_are_signed_as_other_wallets_do() {
    // The example of web3.js's documentation.
    let wallet = wallet("4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318");
    assert_eq!(wallet.address(), "0x2c7536E3605D9C16a7a3D7b1898e529396a65c23");
    assert_eq!(
        wallet.sign_message("Some data").await.unwrap(),
        "0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c"
    );
}

#[tokio::test]
async fn both_versions_carry_a_signature_that_names_the_wallet() {
    let wallet = wallet(KEY);
    assert_eq!(wallet.address(), ADDRESS);
    for (challenge, header) in [(v2(&way()), "payment-signature"), (v1(), "x-payment")] {
        let terms = challenge.choose(&declared()).unwrap();
        let payment = wallet.authorize(terms, &declared()).await.unwrap();
        assert_eq!((payment.header, payment.amount, payment.valid_before), (header, 5000, 1_795_398_641));
        let sent: Value = serde_json::from_slice(&STANDARD.decode(payment.value.expose_secret()).unwrap()).unwrap();
        let signed = &sent["payload"]["authorization"];
        assert_eq!(signed["from"], ADDRESS);
        assert_eq!((&signed["to"], &signed["value"], &signed["nonce"]), (&json!(SHOP), &json!("5000"), &json!(payment.nonce)));
        assert_eq!((&signed["validAfter"], &signed["validBefore"]), (&json!("1795397741"), &json!("1795398641")));
        assert_eq!(recover(&sent["payload"], SEPOLIA, usdc().usdc, &usdc().domain()).as_deref(), Some(ADDRESS));
        // Not for another token, chain or amount.
        assert_ne!(recover(&sent["payload"], "eip155:8453", usdc().usdc, &usdc().domain()).as_deref(), Some(ADDRESS));
        let mut dearer = sent["payload"].clone();
        dearer["authorization"]["value"] = "5001".into();
        assert_ne!(recover(&dearer, SEPOLIA, usdc().usdc, &usdc().domain()).as_deref(), Some(ADDRESS));
        match challenge.version {
            Version::V2 => assert_eq!((&sent["accepted"], &sent["resource"]["url"]), (&way(), &json!("http://s/v1/x"))),
            Version::V1 => assert_eq!((&sent["scheme"], &sent["network"]), (&json!("exact"), &json!("base-sepolia"))),
        }
        let again = wallet.authorize(terms, &declared()).await.unwrap();
        assert_ne!(again.nonce, payment.nonce);
        assert!(!format!("{payment:?}").contains(payment.value.expose_secret()));
    }
}

#[tokio::test]
async fn what_was_not_declared_is_not_signed() {
    let wallet = wallet(KEY);
    let changed = |key: &str, value: Value| {
        let mut way = way();
        way[key] = value;
        way
    };
    for (way, says) in [
        (changed("scheme", json!("upto")), "scheme"),
        (changed("network", json!("eip155:8453")), "network"),
        (changed("network", json!("base-sepolia")), "network"),
        (changed("network", json!("eip155:084532")), "network"),
        (changed("asset", json!("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913")), "token"),
        (changed("asset", json!("usdc")), "no address"),
        (changed("payTo", json!(ADDRESS)), "pay"),
        (changed("payTo", json!("0x")), "no address"),
        (changed("amount", json!("4999")), "4999"),
        (changed("amount", json!("5001")), "5001"),
        (changed("extra", json!({ "name": "USD Coin", "version": "2" })), "domain"),
        (changed("extra", json!({ "name": "USDC", "version": "1" })), "domain"),
        (changed("maxTimeoutSeconds", json!(0)), "valid"),
        (changed("maxTimeoutSeconds", json!(86400)), "valid"),
    ] {
        let challenge = v2(&way);
        refused(wallet.authorize(&challenge.accepts[0], &declared()).await, Class::Invalid, Reason::Invalid, says, &[&KEY[2..]]);
        assert!(challenge.choose(&declared()).is_err(), "{way}");
    }
    let capped = |cap| Declared { price: Price::AtMost(cap), ..declared() };
    assert!(wallet.authorize(&v2(&way()).accepts[0], &capped(5000)).await.is_ok());
    refused(wallet.authorize(&v2(&way()).accepts[0], &capped(4999)).await, Class::Invalid, Reason::Invalid, "at most 4999", &[]);
    // What the service leaves out of the domain of a known token is known.
    assert!(wallet.authorize(&v2(&changed("extra", json!({}))).accepts[0], &declared()).await.is_ok());
    // Another token: its domain is declared, or the service's word with bounds.
    let other = Declared { asset: Some(SHOP.into()), ..declared() };
    let named = |name: &str| {
        let mut way = changed("asset", json!(SHOP));
        way["extra"] = json!({ "name": name, "version": "1" });
        v2(&way)
    };
    assert!(wallet.authorize(&named("Token").accepts[0], &other).await.is_ok());
    refused(wallet.authorize(&named("T\u{202e}").accepts[0], &other).await, Class::Invalid, Reason::Invalid, "domain", &[]);
    let strict = Declared { domain: Some(Domain { name: "Coin".into(), version: "1".into() }), ..other.clone() };
    refused(wallet.authorize(&named("Token").accepts[0], &strict).await, Class::Invalid, Reason::Invalid, "domain", &[]);
    let unknown = Declared { network: "eip155:1".into(), ..declared() };
    refused(
        wallet.authorize(&v2(&changed("network", json!("eip155:1"))).accepts[0], &unknown).await,
        Class::Invalid,
        Reason::Invalid,
        "no known USDC",
        &[],
    );
}

#[test]
fn the_first_way_that_was_declared_is_taken() {
    let mut dearer = way();
    dearer["amount"] = "9".into();
    let json = json!({ "x402Version": 2, "accepts": [dearer, way()] });
    let challenge = Challenge::read(Some(&STANDARD.encode(json.to_string())), b"").unwrap();
    assert_eq!(challenge.choose(&declared()).unwrap().amount, 5000);
}

#[test]
fn a_challenge_may_be_anything() {
    let of = |change: fn(&mut Value)| {
        let mut json = json!({ "x402Version": 2, "accepts": [way()] });
        change(&mut json);
        STANDARD.encode(json.to_string())
    };
    for (header, says) in [
        ("%%".to_owned(), "not base64"),
        (STANDARD.encode("{"), "not base64 of JSON"),
        (STANDARD.encode("[".repeat(5000)), "not base64 of JSON"),
        ("A".repeat(16 * 1024 + 1), "plenty"),
        (of(|json| json["x402Version"] = 3.into()), "version 3"),
        (of(|json| json["x402Version"] = Value::Null), "no x402Version"),
        (of(|json| json["accepts"] = json!([])), "no way"),
        (of(|json| json["accepts"] = json!({})), "no way"),
        (of(|json| json["accepts"] = Value::Array(vec![json!({}); 17])), "17 ways"),
        (of(|json| json["accepts"][0]["amount"] = 5000.into()), "accepts[0].amount"),
        (of(|json| json["accepts"][0]["amount"] = "-1".into()), "accepts[0].amount"),
        (of(|json| json["accepts"][0]["amount"] = "1e3".into()), "accepts[0].amount"),
        (of(|json| json["accepts"][0]["amount"] = "340282366920938463463374607431768211456".into()), "more than any token"),
        (of(|json| json["accepts"][0]["amount"] = "9".repeat(79).into()), "accepts[0].amount"),
        (of(|json| json["accepts"][0]["maxTimeoutSeconds"] = "300".into()), "maxTimeoutSeconds"),
        (of(|json| json["accepts"][0]["payTo"] = Value::Null), "accepts[0].payTo"),
    ] {
        let error = Challenge::read(Some(&header), b"").unwrap_err().to_string();
        assert!(error.contains(says), "{says:?} is not in {error:?}");
    }
    for body in [&b""[..], b"<html>", b"null", b"{}", &b"[".repeat(60_000), &b" ".repeat(70_000)] {
        assert!(Challenge::read(None, body).is_err());
    }
}

#[test]
fn a_failed_settlement_is_told_from_other_refusals() {
    let header = |error: &str| STANDARD.encode(json!({ "x402Version": 2, "error": error, "accepts": [way()] }).to_string());
    let receipt = |success: bool| STANDARD.encode(json!({ "success": success, "errorReason": "unexpected_error" }).to_string());
    for (header, receipt, body, failed) in [
        (None, None, r#"{"error":"Settlement failed","details":"x"}"#, true),
        (None, None, r#"{"error":{"code":"payment_required","message":"Settlement failed"}}"#, true),
        (Some(header("Settlement failed")), None, "{}", true),
        (None, Some(receipt(false)), r#"{"error":{"code":"payment_required","message":"Pay the terms."}}"#, true),
        (None, Some(receipt(true)), "{}", false),
        (None, Some("e30=".into()), "{}", false),
        (Some(header("Payment required")), None, "{}", false),
        (Some("%".into()), None, "", false),
        (None, None, r#"{"error":"invalid payment"}"#, false),
    ] {
        assert_eq!(settlement_failed(header.as_deref(), receipt.as_deref(), body.as_bytes()), failed, "{header:?} {receipt:?} {body}");
    }
}

#[test]
fn keys_that_are_none_show_nowhere() {
    let zeros = "0".repeat(64);
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    for bad in ["", "0x", "secret-that-is-none", &KEY[..64], &format!("{KEY}00"), &zeros, order] {
        let result = Wallet::new(&bad.into(), "AGENT_PRIVATE_KEY", Arc::new(At(NOW)));
        // The shortest are part of any text.
        let secret = if bad.len() > 2 { bad } else { "no such text" };
        refused(result, Class::Waiting, Reason::SecretInvalid, "AGENT_PRIVATE_KEY", &[secret]);
    }
    let folder = tempfile();
    std::fs::write(folder.join("key"), format!("{KEY}\n")).unwrap();
    let wallet = Wallet::from_file(&folder.join("key"), Arc::new(At(NOW))).unwrap();
    assert_eq!(format!("{wallet:?}"), format!("Wallet {{ address: \"{ADDRESS}\", .. }}"));
    refused(Wallet::from_file(&folder.join("none"), Arc::new(At(NOW))), Class::Waiting, Reason::SecretInvalid, "none", &[]);
    std::fs::write(folder.join("key"), "A".repeat(1 << 16)).unwrap();
    refused(Wallet::from_file(&folder.join("key"), Arc::new(At(NOW))), Class::Waiting, Reason::SecretInvalid, "key file", &["AAAA"]);
    std::fs::remove_dir_all(folder).unwrap();
}

/// The exchange that the reference implementation's client had with its server:
/// our hashing must find the wallet that signed it.
#[test]
fn the_captured_exchange_is_read_and_its_signer_found() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let specs = std::env::var_os("FLYWHEEL_SPECS").map_or_else(|| root.join("../shared/data/prim.sh"), PathBuf::from);
    let Ok(text) = std::fs::read_to_string(specs.join("x402-wire.json")) else {
        eprintln!("NOT TRIED: no captured exchange at {} (FLYWHEEL_SPECS)", specs.display());
        return;
    };
    let wire: Value = serde_json::from_str(&text).unwrap();
    let challenge = Challenge::read(wire["challenge"]["header_base64"].as_str(), b"{}").unwrap();
    assert_eq!((challenge.version, challenge.error.as_str()), (Version::V2, "Payment required"));
    let shop = "0x0000000000000000000000000000000000000001";
    let terms = challenge.choose(&Declared { pay_to: Some(shop.into()), ..declared() }).unwrap();
    assert_eq!(terms.way, wire["challenge"]["decoded"]["accepts"][0]);
    for sent in [&wire["retry"]["decoded"], &wire["facilitator_settle_request"]["paymentPayload"]] {
        let signer = recover(&sent["payload"], SEPOLIA, usdc().usdc, &usdc().domain());
        assert_eq!(signer.as_deref(), sent["payload"]["authorization"]["from"].as_str());
    }
    let receipt = STANDARD.encode(wire["success"]["decoded"].to_string());
    assert!(Receipt::read(&receipt).unwrap().success);
}

fn tempfile() -> PathBuf {
    let folder = std::env::temp_dir().join(format!("flywheel-wallet-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
