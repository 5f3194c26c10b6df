//! An x402 facilitator for one chain of the EVM: verifies payments and settles them
//! with its own account's gas. The crates have the protocol, this starts them.
//!
//! `facilitator ADDRESS RPC-URL CHAIN-ID KEY-FILE`

use std::{collections::HashMap, error::Error, sync::Arc, time::Duration};

use alloy_provider::Provider;
use serde_json::{Value, json};
use x402_chain_eip155::{
    V1Eip155Exact, V2Eip155Exact,
    chain::{
        Eip155ChainProvider, Eip155ChainReference, Eip155MetaTransactionProvider,
        config::{Eip155ChainConfig, Eip155ChainConfigInner, RpcConfig},
    },
};
use x402_facilitator_local::{FacilitatorLocal, handlers};
use x402_types::{
    chain::{ChainId, ChainProviderOps, ChainRegistry, FromConfig},
    config::LiteralOrEnv,
    scheme::{SchemeBlueprints, SchemeRegistry, X402SchemeFacilitator, X402SchemeFacilitatorBuilder},
};

type Failure = Box<dyn Error>;

/// How often the chain is asked whether a transaction is in a block.
const POLL: Duration = Duration::from_millis(200);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let [address, rpc, chain, key_file] = <[String; 4]>::try_from(std::env::args().skip(1).collect::<Vec<_>>())
        .map_err(|_| "usage: facilitator ADDRESS RPC-URL CHAIN-ID KEY-FILE")?;
    let key = std::fs::read_to_string(&key_file).map_err(|e| format!("{key_file}: {e}"))?;
    let config = Eip155ChainConfig {
        chain_reference: Eip155ChainReference::new(chain.parse()?),
        inner: Eip155ChainConfigInner {
            eip1559: true,
            flashblocks: false,
            // The library's error would quote the key.
            signers: vec![LiteralOrEnv::from_literal(key.trim().parse().map_err(|_| format!("{key_file} holds no private key"))?)],
            rpc: vec![RpcConfig { http: LiteralOrEnv::from_literal(rpc.parse()?), rate_limit: None }],
            receipt_timeout_secs: 30,
        },
    };
    let provider = Eip155ChainProvider::from_config(&config).await?;
    provider.inner().client().set_poll_interval(POLL);
    let chains = ChainRegistry::new(HashMap::from([(provider.chain_id(), Chain(Arc::new(provider)))]));
    let schemes = serde_json::from_value(json!([
        { "id": "v1-eip155-exact", "chains": "eip155:*" },
        { "id": "v2-eip155-exact", "chains": "eip155:*" },
    ]))?;
    let blueprints = SchemeBlueprints::new().and_register(V1Eip155Exact).and_register(V2Eip155Exact);
    let facilitator = Arc::new(FacilitatorLocal::new(SchemeRegistry::build(chains, blueprints, &schemes)));
    let listener = tokio::net::TcpListener::bind(&address).await.map_err(|e| format!("{address}: {e}"))?;
    println!("listens on {}", listener.local_addr()?);
    Ok(axum::serve(listener, handlers::routes().with_state(facilitator)).await?)
}

/// The chain's client, shared by the schemes: a registry hands out references,
/// and a scheme wants to own its client.
struct Chain(Arc<Eip155ChainProvider>);

impl ChainProviderOps for Chain {
    fn signer_addresses(&self) -> Vec<String> {
        ChainProviderOps::signer_addresses(&*self.0)
    }

    fn chain_id(&self) -> ChainId {
        self.0.chain_id()
    }
}

impl X402SchemeFacilitatorBuilder<&Chain> for V1Eip155Exact {
    fn build(&self, chain: &Chain, config: Option<Value>) -> Result<Box<dyn X402SchemeFacilitator>, Failure> {
        self.build(chain.0.clone(), config)
    }
}

impl X402SchemeFacilitatorBuilder<&Chain> for V2Eip155Exact {
    fn build(&self, chain: &Chain, config: Option<Value>) -> Result<Box<dyn X402SchemeFacilitator>, Failure> {
        self.build(chain.0.clone(), config)
    }
}
