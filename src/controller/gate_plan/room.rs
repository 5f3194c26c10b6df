//! What layer 4 shows of a package that runs: what `gate room` is told, and the command
//! line that its room is given.

use std::collections::BTreeMap;

use kube::ResourceExt;
use serde_json::{Value, json};

use super::{Deployed, micros};
use crate::{
    api::{factory::Factory, gate_run::RoomLeft, policy::CleanRoomPolicy},
    gate::{bundle::digest, layout},
    outputs,
    ports::{
        payments::Token,
        provisioner::{FACTORY, NETWORK, TOKEN},
    },
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
        "confinedBy": confined_by(factory.spec.deploy.runtime_class.as_deref()),
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

/// Where and when a room is.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// Where the service answers.
    pub url: &'a str,
    /// The commit that says what it answers.
    pub commit: &'a str,
    /// How long it may take.
    pub seconds: u64,
    /// Rooms that ended without a verdict: they may have left money behind.
    pub earlier: &'a [RoomLeft],
    /// What confines its commands.
    pub confined_by: Option<&'a str>,
}

/// The same of a service that runs there.
pub fn room_at(mut room: Room, at: At<'_>) -> Room {
    (room.plan["url"], room.plan["commit"]) = (at.url.into(), at.commit.into());
    room.plan["limits"]["totalSeconds"] = at.seconds.into();
    room.plan["limits"]["agent"]["groupSeconds"] = at.seconds.into();
    if room.plan["money"].is_object() && !at.earlier.is_empty() {
        room.plan["money"]["earlier"] = json!(at.earlier);
    }
    if let Some(plan) = room.plan.as_object_mut() {
        plan.remove("confinedBy");
        plan.extend(at.confined_by.map(|by| ("confinedBy".to_owned(), by.into())));
    }
    room
}

/// What is said of a room that runs under a RuntimeClass.
pub fn confined_by(runtime_class: Option<&str>) -> Option<String> {
    runtime_class.map(|class| format!("RuntimeClass {class}"))
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

/// What whoever finds a room has to know of its money, and may know: on which chain it
/// is, and by whose word.
pub fn notes(factory: &Factory) -> BTreeMap<String, String> {
    let terms = super::terms(&factory.spec.deploy.env);
    let named = format!("{}/{}", factory.namespace().unwrap_or_default(), factory.name_any());
    let token = Token::dollar(&terms.network, None).map(|token| (TOKEN.to_owned(), token.asset)).ok();
    [(FACTORY.to_owned(), named), (NETWORK.to_owned(), terms.network)].into_iter().chain(token).collect()
}
