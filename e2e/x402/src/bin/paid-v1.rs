//! A service of x402 version 1 whose one route costs something. Packages speak
//! version 2; this is who callers of the older version are tried against.
//!
//! `paid-v1 ADDRESS FACILITATOR-URL PAY-TO MICROS`: USDC on Base Sepolia

use std::error::Error;

use axum::{Router, routing::get};
use x402_axum::X402Middleware;
use x402_chain_eip155::{KnownNetworkEip155, V1Eip155Exact, chain::ChecksummedAddress};
use x402_types::networks::USDC;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [address, facilitator, pay_to, micros] = <[String; 4]>::try_from(std::env::args().skip(1).collect::<Vec<_>>())
        .map_err(|_| "usage: paid-v1 ADDRESS FACILITATOR-URL PAY-TO MICROS")?;
    let pay_to: ChecksummedAddress = pay_to.parse()?;
    let price = V1Eip155Exact::price_tag(pay_to, USDC::base_sepolia().amount(micros.parse::<u64>()?));
    let listener = tokio::net::TcpListener::bind(&address).await.map_err(|e| format!("{address}: {e}"))?;
    let own = listener.local_addr()?;
    let charge = X402Middleware::try_new(&facilitator)?.with_base_url(format!("http://{own}/").parse()?).with_price_tag(price);
    let router = Router::new().route("/v1/paid", get(|| async { "paid" }).layer(charge.with_mime_type("text/plain".into())));
    println!("listens on {own}");
    Ok(axum::serve(listener, router).await?)
}
