//! What layer 4 shows of a package that runs: what `gate room` is told, and the command
//! line that its room is given.

use serde_json::{Value, json};

use super::{Deployed, micros};
use crate::{
    api::{factory::Factory, policy::CleanRoomPolicy},
    gate::{bundle::digest, layout},
    outputs,
};

/// What a clean room is given.
#[derive(Clone, Debug)]
pub struct Room {
    /// What `gate room` is told, without where and when.
    pub plan: Value,
    /// The command line, one file for Bun, where the document wants one.
    pub cli: Option<String>,
}

/// A room for a package with the Factory's wallet and its model; what of the Factory's
/// policy can't be used, from the field's path on.
pub fn room(deployed: &Deployed, factory: &Factory, policy: &CleanRoomPolicy) -> Result<Room, String> {
    let (contract, gates) = (&deployed.contract, &factory.spec.policy.gates);
    let cli = outputs::command_line(&deployed.service);
    let fund = micros("cleanRoom.fund", &policy.fund)?;
    // Without a wallet nothing is paid, whatever is allowed.
    let (money, paid) = match &contract.payment {
        None => (Value::Null, (0, 0)),
        Some(payment) => (money(factory, policy)?, (payment.request_micros.min(fund), fund)),
    };
    let model = gates.canary.as_ref().map(|canary| json!({ "url": canary.model.url.trim_end_matches('/'), "name": canary.model.name }));
    let mut plan = json!({
        "url": contract.url,
        "commit": contract.commit,
        "caBundle": contract.ca_bundle,
        "primitive": contract.plan.primitive,
        "plan": contract.suite,
        "routes": contract.plan.routes,
        "cli": cli.as_ref().map(|cli| json!({ "digest": digest(cli.program.as_bytes()), "commands": cli.commands })),
        "terms": contract.plan.terms,
        "model": model,
        "money": money,
        "limits": { "agent": { "maxPaymentMicros": paid.0, "budgetMicros": paid.1 } },
    });
    if let Some(plan) = plan.as_object_mut() {
        plan.retain(|_, value| !value.is_null());
    }
    if let Some(canary) = &gates.canary {
        plan["limits"]["agent"]["rounds"] = canary.max_rounds.into();
    }
    Ok(Room { plan, cli: cli.map(|cli| cli.program) })
}

/// The same of a service that runs there, in so much time, after rooms that ended without
/// a verdict: they may have left money behind.
pub fn room_at(mut room: Room, url: &str, commit: &str, seconds: u64, earlier: &[String]) -> Room {
    (room.plan["url"], room.plan["commit"]) = (url.into(), commit.into());
    room.plan["limits"]["totalSeconds"] = seconds.into();
    room.plan["limits"]["agent"]["groupSeconds"] = seconds.into();
    if room.plan["money"].is_object() && !earlier.is_empty() {
        room.plan["money"]["earlier"] = earlier.into();
    }
    room
}

/// How much money comes to a room, and by whom.
pub fn money(factory: &Factory, policy: &CleanRoomPolicy) -> Result<Value, String> {
    let mut money = json!({ "facilitator": facilitator(factory, policy)?, "micros": micros("cleanRoom.fund", &policy.fund)? });
    if let Some(rpc) = &policy.rpc {
        money["rpc"] = rpc.as_str().into();
    }
    Ok(money)
}

/// Who moves money to a room and back.
fn facilitator<'a>(factory: &'a Factory, policy: &'a CleanRoomPolicy) -> Result<&'a str, String> {
    let own = factory.spec.deploy.env.get(layout::FACILITATOR).filter(|url| !url.is_empty());
    policy.facilitator.as_ref().or(own).map(|url| url.trim_end_matches('/')).ok_or_else(|| {
        format!(
            "the Factory's spec.policy.gates.cleanRoom.facilitator: there is a wallet, and nobody to move money from it: name an x402 facilitator there, or as {} in spec.deploy.env",
            layout::FACILITATOR
        )
    })
}
