//! Gate layer 4: a service as somebody meets it who has nothing but its command line
//! and a wallet. The command line is installed and run in a sandbox that nothing is
//! believed of; what counts are exchanges that go through the judge's own recorder, in
//! answer to commands that the judge ordered. Read `plan.rs` for what a room is told.

mod money;
mod plan;

use std::sync::Arc;

use async_trait::async_trait;

pub use money::{Bank, RoomPurse, Unmoved};
pub use plan::{Cli, Command, Limits, Money, Parameters, Request, RoomPlan};

use crate::{gate::report::Step, ports::payments::Payer};

/// A room's own wallet, and the money in it.
#[async_trait(?Send)]
pub trait Purse {
    /// The wallet: fresh, and nobody's but this room's.
    fn payer(&self) -> Arc<dyn Payer>;
    /// The steps `wallet` and `fund`: money comes in, once however often it is tried.
    async fn fund(&self) -> Vec<Step>;
    /// The step `return`: what is left goes back to where it came from.
    async fn bring_back(&self) -> Step;
}
