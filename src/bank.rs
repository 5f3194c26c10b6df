//! Puts a room's money together: the wallet, the facilitator and the chain that a plan
//! and a Factory name. What is done with it is `src/room/money.rs`.

use std::{sync::Arc, time::Duration};

use anyhow::anyhow;

use crate::{
    adapters::x402::{Chain, Facilitator, Wallet},
    call_args::NETWORK,
    gate::plan::Terms,
    ports::{
        clock::Clock,
        error::PortError,
        payments::{Ledger, Payer, Token},
    },
    room::{Bank, Money, RoomPurse},
};

/// How long a chain or a facilitator has to come to: half a block, or a busy node's moment.
const PAUSE: Duration = Duration::from_secs(1);

/// Who moves a room's money on the chain of these terms.
pub fn bank(money: &Money, terms: Option<&Terms>) -> anyhow::Result<Bank> {
    let network = terms.map(|terms| terms.network.as_str()).filter(|network| !network.is_empty()).unwrap_or(NETWORK);
    let token = Token::dollar(network, terms.and_then(|terms| terms.asset.as_deref())).map_err(|problem| anyhow!("money: {problem}"))?;
    let ledger = match &money.rpc {
        Some(rpc) => Some(Arc::new(Chain::new(rpc)?) as Arc<dyn Ledger>),
        None => None,
    };
    Ok(Bank { token, settler: Arc::new(Facilitator::new(&money.facilitator)?), ledger, pause: PAUSE })
}

/// The purse of the room of this name, which `funder` fills.
pub fn purse(name: &str, money: &Money, terms: Option<&Terms>, funder: Wallet, clock: Arc<dyn Clock>) -> anyhow::Result<RoomPurse> {
    let wallet = |name: &str| Ok::<Arc<dyn Payer>, PortError>(Arc::new(funder.derived(name)?));
    let earlier = money.earlier.iter().map(|left| Ok((left.clone(), wallet(&left.name)?))).collect::<Result<_, PortError>>()?;
    let room = wallet(name)?;
    let bank = bank(money, terms)?;
    Ok(RoomPurse::new(name, bank, Arc::new(funder), room, money.micros).after(earlier, clock))
}
