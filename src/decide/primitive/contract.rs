//! Gate layer 2 over what runs: one run for each version, and another only where
//! the run itself broke. What it said is kept in the status, and not in whether the
//! GateRun is still there.

use serde_json::json;

use super::{
    change::owner_reference,
    deployment::short,
    draft::{Draft, Hold},
    seen::{Deployment, FactorySeen, Gate, Own},
};
use crate::{
    api::{
        API_VERSION, PRIMITIVE_LABEL,
        conditions::{ConditionType, Reason},
        gate_run::Verdict,
        names::PrimitiveId,
        primitive::{Contract, Version},
    },
    decide::{
        Action, Manifest,
        waits::{HELD, POLL},
    },
};

/// Runs that are made for one version, where each before the last broke.
pub const MAX_RUNS: usize = 3;

/// Name of a version's run, the first being 1.
pub fn run_name(id: &PrimitiveId, tree: &str, run: usize) -> String {
    // Enough of it that nobody finds another tree of this name.
    let name = format!("{id}-{}-contract", tree.get(..24).unwrap_or(tree));
    if run > 1 { format!("{name}-{run}") } else { name }
}

/// Whether a verdict stands. A run that broke says nothing of the service: what
/// counts is which runs are there, so that removing them asks again.
pub fn is_final(verdict: Option<Verdict>) -> bool {
    verdict.is_some_and(|verdict| verdict != Verdict::Error)
}

/// What was said of this version, where it is not asked again now.
pub(super) fn remember(draft: &mut Draft<'_>, version: &Version) {
    let Some(known) = draft.seen.previous.contract.clone().filter(|known| known.tree == version.tree) else { return };
    if let Some(verdict) = known.verdict {
        say(draft, verdict, &known.gate, known.message.as_deref().unwrap_or_default());
    }
}

/// Says what the gate came to, or asks it. The version runs, and its name answers.
pub(super) fn judge(draft: &mut Draft<'_>, deployment: &Deployment, url: &str) {
    let seen = draft.seen;
    let version = &deployment.version;
    if seen.previous.contract.as_ref().is_some_and(|known| known.tree == version.tree && is_final(known.verdict)) {
        return remember(draft, version);
    }
    let Some(factory) = &seen.factory else { return };
    match deployment.runs.last() {
        Some(run) if !run.ours => {
            let message = format!("GateRun {} is there already and is not this Primitive's: remove it", run.name);
            draft.bad(ConditionType::ContractPassed, Hold::stalled(Reason::Taken, message, HELD));
        }
        Some(Gate { verdict: Some(Verdict::Error), .. }) if deployment.runs.len() < MAX_RUNS => {
            begin(draft, factory, deployment, url);
        }
        Some(Gate { verdict: Some(verdict), name, message, .. }) => {
            let message = Some(message.clone()).filter(|_| *verdict != Verdict::Passed);
            let said = message.clone().unwrap_or_default();
            draft.status.contract = Some(Contract { tree: version.tree.clone(), gate: name.clone(), verdict: Some(*verdict), message });
            say(draft, *verdict, name, &said);
        }
        Some(run) => running(draft, version, &run.name, &run.message),
        None => begin(draft, factory, deployment, url),
    }
}

fn begin(draft: &mut Draft<'_>, factory: &FactorySeen, deployment: &Deployment, url: &str) {
    let own = &draft.seen.own;
    let name = run_name(&own.id, &deployment.version.tree, deployment.runs.len() + 1);
    draft.actions.push(Action::CreateObject(gate_run(own, factory, &deployment.version, &name, url)));
    running(draft, &deployment.version, &name, "it is being made");
}

fn running(draft: &mut Draft<'_>, version: &Version, name: &str, doing: &str) {
    draft.status.contract = Some(Contract { tree: version.tree.clone(), gate: name.into(), verdict: None, message: None });
    let message = format!("GateRun {name} tests commit {}: {doing}", short(&version.commit));
    draft.unknown(ConditionType::ContractPassed, Hold::going(Reason::Running, message, POLL));
}

fn say(draft: &mut Draft<'_>, verdict: Verdict, gate: &str, message: &str) {
    let kind = ConditionType::ContractPassed;
    let reason = match verdict {
        Verdict::Passed => {
            draft.reach("Tested");
            return draft.good(kind, Reason::Passed, format!("GateRun {gate} passed"));
        }
        Verdict::Failed => Reason::Failed,
        Verdict::Blocked => Reason::Blocked,
        Verdict::Error => Reason::Broken,
    };
    draft.bad(kind, Hold::stalled(reason, format!("GateRun {gate}: {message}"), draft.now.resync));
}

fn gate_run(own: &Own, factory: &FactorySeen, version: &Version, name: &str, url: &str) -> Manifest {
    Manifest(json!({
        "apiVersion": API_VERSION,
        "kind": "GateRun",
        "metadata": {
            "name": name, "namespace": own.namespace, "labels": { PRIMITIVE_LABEL: own.id }, "ownerReferences": [owner_reference(own)],
        },
        "spec": {
            "factoryRef": { "name": factory.name.name },
            "layer": "Contract",
            "target": { "url": url, "primitive": own.id, "commit": version.commit },
        },
    }))
}
