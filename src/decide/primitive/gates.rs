//! The gate layers over what runs, one after the other: one run for each version,
//! another where the run itself broke, and more by the Factory's schedule. What they
//! said is kept in the status by tree, and not in whether a GateRun is still there.
//! When a run is due is `schedule.rs`.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::{
    change::owner_reference,
    deployment::short,
    draft::{Draft, Hold},
    schedule,
    seen::{Deployment, FactorySeen, Gate, Own, Seen},
};
use crate::{
    api::{
        API_VERSION, PRIMITIVE_LABEL,
        conditions::{ConditionType, Reason},
        gate_run::{Layer, RoomLeft, Verdict},
        names::PrimitiveId,
        policy::GatesSpec,
        primitive::{Flaky, LayerVerdict, Stage, Version},
    },
    decide::{
        Action, Manifest, ObjectName,
        waits::{HELD, POLL, age},
    },
};

/// Former runs of each layer that are kept.
pub const KEPT: usize = 3;
/// How long a run that broke and does not say what it tested keeps others from it.
const UNKNOWN: Duration = Duration::from_secs(3600);
/// Passes on a second try, and rooms, that the status remembers at most.
const REMEMBERED: usize = 50;

/// Name of a version's run of a layer, the first being 1.
pub fn run_name(id: &PrimitiveId, tree: &str, layer: Layer, run: u64) -> String {
    // Enough of it that nobody finds another tree of this name.
    let name = format!("{id}-{}-{}", tree.get(..24).unwrap_or(tree), layer.as_str());
    if run > 1 { format!("{name}-{run}") } else { name }
}

/// Which of a version's runs of a layer has this name.
pub fn run_number(name: &str, id: &PrimitiveId, tree: &str, layer: Layer) -> Option<u64> {
    match name.strip_prefix(&run_name(id, tree, layer, 1))? {
        "" => Some(1),
        rest => rest.strip_prefix('-')?.parse().ok().filter(|run| *run > 1),
    }
}

/// Layers that what runs has to pass, in their order.
pub fn layers(stage: Stage, policy: &GatesSpec) -> Vec<Layer> {
    let mut layers = if stage == Stage::Live { policy.live.clone() } else { Vec::new() };
    // Whatever a Factory says: without it nothing is Testing.
    layers.push(Layer::Contract);
    layers.sort_unstable();
    layers.dedup();
    layers
}

/// What is said about a layer.
pub(super) fn condition(layer: Layer) -> ConditionType {
    match layer {
        Layer::Unit | Layer::Contract => ConditionType::ContractPassed,
        Layer::Canary => ConditionType::CanaryPassed,
        Layer::CleanRoom => ConditionType::CleanRoomPassed,
    }
}

/// What is known of this version by a layer.
fn known<'a>(seen: &'a Seen, layer: Layer, version: &Version) -> Option<&'a LayerVerdict> {
    seen.previous.gates.iter().find(|known| known.layer == layer && known.tree == version.tree)
}

/// Whether runs have to be looked at: a layer has no verdict yet, or is due again.
pub fn asks(seen: &Seen, deployment: &Deployment, now: jiff::Timestamp) -> bool {
    let Some(factory) = &seen.factory else { return false };
    layers(super::stage(seen), &factory.gates).into_iter().any(|layer| {
        let rests = |known: &LayerVerdict| {
            let ended = known.running.is_none() && known.verdict.is_some_and(|verdict| verdict != Verdict::Error);
            ended && !is_due(known, seen, factory, deployment, now)
        };
        !known(seen, layer, &deployment.version).is_some_and(rests)
    })
}

fn is_due(known: &LayerVerdict, seen: &Seen, factory: &FactorySeen, deployment: &Deployment, now: jiff::Timestamp) -> bool {
    // What was shown then is not what would be shown now.
    let other = |then: Option<&String>, now: Option<&String>| matches!((then, now), (Some(then), Some(now)) if then != now);
    let plan = deployment.plans.get(&known.layer);
    let changed = plan.is_some() && (other(known.plan.as_ref(), plan) || other(known.tool.as_ref(), Some(&deployment.tool)));
    let changed = changed && !came_to_nothing(known, &seen.own.id, deployment, now);
    let due = known.at.as_ref().and_then(|at| schedule::due(&factory.gates, &seen.own.id, known.layer, at.0));
    changed || due.is_some_and(|due| due <= now)
}

/// Whether the newest run of this version broke that tried what would be tried now: it
/// was tried again already, and is not for ever. Whoever removes it asks again. One
/// that broke before it knew what it tests counts for a while.
fn came_to_nothing(known: &LayerVerdict, id: &PrimitiveId, deployment: &Deployment, now: jiff::Timestamp) -> bool {
    let number = |run: &&Gate| run_number(&run.name, id, &known.tree, known.layer);
    let newest = deployment.runs.iter().filter(|run| run.ours && number(run).is_some()).max_by_key(number);
    newest.filter(|run| run.verdict == Some(Verdict::Error)).is_some_and(|run| match &run.tested {
        Some(tested) => deployment.plans.get(&known.layer) == Some(&tested.plan) && tested.tool == deployment.tool,
        None => age(run.at, now) < UNKNOWN,
    })
}

/// What was said of this version, where it is not asked again now.
pub(super) fn remember(draft: &mut Draft<'_>, version: &Version) {
    let seen = draft.seen;
    let Some(factory) = &seen.factory else { return };
    for layer in layers(super::stage(seen), &factory.gates) {
        match known(seen, layer, version) {
            Some(known) if known.verdict.is_some() => {
                if !say(draft, factory, known) {
                    return;
                }
            }
            _ => return,
        }
    }
}

/// Says what the gates came to, or asks them, one after the other. The version runs,
/// and its name answers. Whether all were passed that its stage asks for.
pub(super) fn judge(draft: &mut Draft<'_>, deployment: &Deployment, url: &str) -> bool {
    let seen = draft.seen;
    let Some(factory) = &seen.factory else { return false };
    // Also of runs that broke, or whose version is no more, before they are removed: a
    // later one may have emptied a former one's room.
    let mut ended: Vec<_> = deployment.runs.iter().filter(|run| run.ours && run.verdict.is_some()).collect();
    ended.sort_by(|a, b| (a.at, a.created, &a.name).cmp(&(b.at, b.created, &b.name)));
    ended.into_iter().for_each(|run| note_rooms(&mut draft.status.rooms, run, factory));
    for layer in layers(super::stage(seen), &factory.gates) {
        let part = Part { layer, factory, deployment, url };
        if !part.judge(draft) || !enough(draft, &part) {
            return false;
        }
    }
    true
}

/// Whether a layer that was passed is enough for the stage.
fn enough(draft: &mut Draft<'_>, part: &Part<'_>) -> bool {
    let known = draft.status.gates.iter().find(|known| known.layer == part.layer);
    let (Some(known), Stage::Live) = (known, super::stage(draft.seen)) else { return true };
    let counts_unconfined = part.factory.gates.clean_room.as_ref().is_some_and(|room| room.unconfined);
    let message = match known {
        LayerVerdict { untried: Some(untried), layer, .. } => format!(
            "gate layer {} passed, but {untried} of its tests were not tried, and Live takes all of them: where they are of priced routes, name a Secret with a funded wallet as the Factory's policy.gates.contract.wallet (docs/operations.md, \"Gates that pay\"); spec.stage Testing needs none",
            layer.name()
        ),
        LayerVerdict { layer: Layer::CleanRoom, confined_by: None, .. } if !counts_unconfined => {
            "gate layer CleanRoom passed in a room that nothing confined but a container, and such a room does not count for Live: name a RuntimeClass such as gvisor as the Factory's spec.deploy.runtimeClass, or set policy.gates.cleanRoom.unconfined, or take CleanRoom out of policy.gates.live (docs/operations.md, \"Gates in a clean room\"); spec.stage Testing needs none".to_owned()
        }
        _ => return true,
    };
    draft.hold(Hold::stalled(Reason::StageUnavailable, message, draft.now.resync));
    false
}

/// One layer over one version.
struct Part<'a> {
    layer: Layer,
    factory: &'a FactorySeen,
    deployment: &'a Deployment,
    url: &'a str,
}

impl<'a> Part<'a> {
    fn version(&self) -> &'a Version {
        &self.deployment.version
    }

    /// Its runs over this version, the first first.
    fn runs(&self, own: &Own) -> Vec<(u64, &'a Gate)> {
        let number = |run: &Gate| run_number(&run.name, &own.id, &self.version().tree, self.layer);
        let mut runs: Vec<_> = self.deployment.runs.iter().filter_map(|run| Some((number(run)?, run))).collect();
        runs.sort_by_key(|(number, _)| *number);
        runs
    }

    /// Whether it was passed.
    fn judge(&self, draft: &mut Draft<'_>) -> bool {
        let seen = draft.seen;
        let runs = self.runs(&seen.own);
        let named = |name: &str| runs.iter().map(|(_, run)| *run).find(|run| run.name == name);
        let known = known(seen, self.layer, self.version()).cloned();
        // A run that broke says nothing of the service: whoever removes it asks again.
        let known = known.filter(|k| k.running.is_some() || k.verdict != Some(Verdict::Error) || named(&k.gate).is_some());
        match known {
            Some(known) if known.running.is_some() => {
                let name = known.running.clone().unwrap_or_default();
                self.follow(draft, known, &name, named(&name), &runs)
            }
            Some(known) if known.verdict.is_some() => {
                if is_due(&known, seen, self.factory, self.deployment, draft.now.at) && self.can_be_run() {
                    return self.begin(draft, known, next(&runs), false);
                }
                self.told(draft, known)
            }
            _ => self.afresh(draft, &runs),
        }
    }

    /// Nothing is known of this version: whatever runs there are say it.
    fn afresh(&self, draft: &mut Draft<'_>, runs: &[(u64, &Gate)]) -> bool {
        let fresh = LayerVerdict {
            layer: self.layer,
            tree: self.version().tree.clone(),
            gate: String::new(),
            verdict: None,
            message: None,
            untried: None,
            at: None,
            plan: None,
            tool: None,
            confined_by: None,
            reused_from: None,
            running: None,
            retrying: false,
        };
        let newest = runs.last().map(|(_, run)| *run);
        // One that runs was made by a pass whose status was lost.
        if let Some(run) = newest.filter(|run| !run.ours || run.verdict.is_none()) {
            return self.follow(draft, fresh, &run.name, Some(run), runs);
        }
        if let Some(earlier) = runs.iter().rev().map(|(_, run)| *run).find(|run| self.still_says(run, draft)) {
            let reused = LayerVerdict { reused_from: Some(earlier.name.clone()), ..fresh };
            return self.conclude(draft, reused, earlier);
        }
        let broken = runs.iter().rev().take_while(|(_, run)| showed_nothing(run)).count();
        match newest {
            Some(run) if broken > 1 => self.conclude(draft, fresh, run),
            _ if !self.can_be_run() => self.unavailable(draft),
            _ => self.begin(draft, fresh, next(runs), broken == 1),
        }
    }

    /// An earlier run tested the same by the same, came to a verdict, and is not so
    /// old that it is due again.
    fn still_says(&self, run: &Gate, draft: &Draft<'_>) -> bool {
        let (Some(tested), Some(at)) = (&run.tested, run.at) else { return false };
        // Whoever may make GateRuns could have one of this name over what ran before.
        let tree = tested.tree.is_empty() || tested.tree == self.version().tree.as_str();
        let same = tree && self.deployment.plans.get(&self.layer) == Some(&tested.plan) && tested.tool == self.deployment.tool;
        let due = schedule::due(&self.factory.gates, &draft.seen.own.id, self.layer, at);
        run.ours && same && matches!(run.verdict, Some(Verdict::Passed | Verdict::Failed)) && due.is_none_or(|due| due > draft.now.at)
    }

    fn can_be_run(&self) -> bool {
        self.lacks().is_none()
    }

    /// What of the Factory's policy the layer can't be run without, and where that is
    /// described.
    fn lacks(&self) -> Option<(&'static str, &'static str)> {
        let gates = &self.factory.gates;
        match self.layer {
            Layer::Canary if gates.canary.is_none() => Some(("policy.gates.canary names no model", "Gates with a model")),
            Layer::CleanRoom if gates.clean_room.is_none() => Some(("policy.gates.cleanRoom is not set", "Gates in a clean room")),
            _ => None,
        }
    }

    fn unavailable(&self, draft: &mut Draft<'_>) -> bool {
        let (lacks, described) = self.lacks().unwrap_or_default();
        let layer = self.layer.name();
        let message = format!(
            "it answers and passed gate layer 2; Live needs gate layer {layer}, and the Factory's {lacks}: set it (docs/operations.md, \"{described}\"), or take {layer} out of policy.gates.live; spec.stage Testing needs none"
        );
        draft.unknown(condition(self.layer), Hold::stalled(Reason::StageUnavailable, message, draft.now.resync));
        false
    }

    /// What became of the run that runs.
    fn follow(&self, draft: &mut Draft<'_>, known: LayerVerdict, name: &str, run: Option<&Gate>, runs: &[(u64, &Gate)]) -> bool {
        match run {
            Some(run) if !run.ours => {
                let message = format!("GateRun {} is there already and is not this Primitive's: remove it", run.name);
                draft.bad(condition(self.layer), Hold::stalled(Reason::Taken, message, HELD));
                false
            }
            Some(run) if showed_nothing(run) && !known.retrying => self.begin(draft, known, next(runs), true),
            Some(run) if run.verdict.is_some() => self.conclude(draft, known, run),
            Some(run) => {
                let known = LayerVerdict { running: Some(name.into()), ..known };
                self.runs_now(draft, known, name, &run.message, run.before)
            }
            // It was not made, or somebody removed it.
            None => {
                let retrying = known.retrying;
                let number = run_number(name, &draft.seen.own.id, &self.version().tree, self.layer);
                self.begin(draft, known, number.unwrap_or_else(|| next(runs)), retrying)
            }
        }
    }

    fn begin(&self, draft: &mut Draft<'_>, known: LayerVerdict, number: u64, retrying: bool) -> bool {
        let own = &draft.seen.own;
        let name = run_name(&own.id, &self.version().tree, self.layer, number);
        let manifest = self.gate_run(own, &name, known.verdict.is_some());
        let surplus = surplus(draft, self.deployment, self.layer);
        draft.actions.push(Action::CreateObject(manifest));
        draft.actions.extend(surplus.into_iter().map(Action::RemoveObject));
        let known = LayerVerdict { running: Some(name.clone()), retrying, ..known };
        self.runs_now(draft, known, &name, "it is being made", None)
    }

    /// A run goes on. What was said before stands meanwhile.
    fn runs_now(&self, draft: &mut Draft<'_>, mut known: LayerVerdict, name: &str, doing: &str, before: Option<i64>) -> bool {
        if known.verdict.is_some() {
            draft.look_again(POLL);
            return self.told(draft, known);
        }
        known.gate = name.into();
        let again = if known.retrying { ", since the run before broke or its model missed it" } else { "" };
        let message = format!("GateRun {name} tests commit {}{again}: {doing}", short(&self.version().commit));
        keep(draft, known);
        let place = before.map(|before| format!(" ({before} before it)")).unwrap_or_default();
        draft.waits_for(format!("{}{place}", self.layer.name()));
        draft.unknown(condition(self.layer), Hold::going(Reason::Running, message, POLL));
        false
    }

    /// A run came to its verdict.
    fn conclude(&self, draft: &mut Draft<'_>, known: LayerVerdict, run: &Gate) -> bool {
        let verdict = run.verdict.unwrap_or(Verdict::Error);
        let at = run.at.unwrap_or(draft.now.at);
        let plan = run.tested.as_ref().map(|tested| tested.plan.clone()).or_else(|| self.deployment.plans.get(&self.layer).cloned());
        let tool = run.tested.as_ref().map_or_else(|| self.deployment.tool.clone(), |tested| tested.tool.clone());
        let flaky = known.retrying && verdict == Verdict::Passed;
        let ended = LayerVerdict { at: Some(Time(at)), running: None, retrying: false, ..known };
        // A run that broke refutes nothing that was shown before, by what it was shown then.
        if verdict == Verdict::Error && ended.verdict.is_some_and(|verdict| verdict != Verdict::Error) {
            let said = ended.message.clone().filter(|said| !said.starts_with(BROKE)).map(|said| format!("; {said}")).unwrap_or_default();
            let message = format!("{BROKE} {} broke, and what was said before stands: {}{said}", run.name, run.message);
            return self.told(draft, LayerVerdict { message: Some(message), ..ended });
        }
        let told = verdict != Verdict::Passed || run.untried.is_some() || run.room_left.is_some();
        let mut now = LayerVerdict {
            gate: run.name.clone(),
            verdict: Some(verdict),
            message: told.then(|| run.message.clone()),
            untried: run.untried,
            reused_from: ended.reused_from.clone().filter(|from| *from == run.name),
            plan,
            tool: Some(tool),
            confined_by: run.tested.as_ref().and_then(|tested| tested.confined_by.clone()),
            ..ended
        };
        if flaky && let Some(problem) = over_budget(draft, self.factory, &run.name) {
            (now.verdict, now.message) = (Some(Verdict::Failed), Some(problem));
        }
        self.told(draft, now)
    }

    /// Says what is known, and keeps it.
    fn told(&self, draft: &mut Draft<'_>, known: LayerVerdict) -> bool {
        let passed = say(draft, self.factory, &known);
        keep(draft, known);
        passed
    }

    fn gate_run(&self, own: &Own, name: &str, regate: bool) -> Manifest {
        let version = self.version();
        let mut object = json!({
            "apiVersion": API_VERSION,
            "kind": "GateRun",
            "metadata": {
                "name": name, "namespace": own.namespace, "labels": { PRIMITIVE_LABEL: own.id }, "ownerReferences": [owner_reference(own)],
            },
            "spec": {
                "factoryRef": { "name": self.factory.name.name },
                "layer": self.layer,
                "target": { "url": self.url, "primitive": own.id, "commit": version.commit },
            },
        });
        if regate {
            object["spec"]["regate"] = true.into();
        }
        if let (Layer::CleanRoom, Some(policy)) = (self.layer, &self.factory.gates.clean_room) {
            object["spec"]["timeoutSeconds"] = policy.timeout_seconds.into();
        }
        Manifest(object)
    }
}

/// Notes whose money is not back: a run's own status goes with it.
fn note_rooms(rooms: &mut Vec<RoomLeft>, run: &Gate, factory: &FactorySeen) {
    rooms.retain(|room| !run.rooms_emptied.contains(&room.name));
    let pays = factory.gates.contract.wallet.is_some();
    if let Some(left) = run.room_left.as_ref().filter(|left| pays && rooms.iter().all(|room| room.name != left.name)) {
        rooms.push(left.clone());
    }
    let surplus = rooms.len().saturating_sub(REMEMBERED);
    rooms.drain(..surplus);
}

/// Whether a run is tried once more: it broke, or its model did not do what the
/// service lets it do.
fn showed_nothing(run: &Gate) -> bool {
    run.verdict == Some(Verdict::Error) || run.missed
}

/// How a message begins that tells of a later run that broke.
const BROKE: &str = "a later run";

fn next(runs: &[(u64, &Gate)]) -> u64 {
    runs.last().map_or(1, |(number, _)| number + 1)
}

fn keep(draft: &mut Draft<'_>, known: LayerVerdict) {
    draft.status.gates.retain(|other| other.layer != known.layer);
    draft.status.gates.push(known);
    draft.status.gates.sort_by_key(|known| known.layer);
}

/// Notes that a run passed only on its second try; why that counts as failed, where
/// there were too many of them.
fn over_budget(draft: &mut Draft<'_>, factory: &FactorySeen, gate: &str) -> Option<String> {
    let policy = &factory.gates;
    let window = u64::try_from(policy.flaky_window_seconds).unwrap_or_default();
    let now = draft.now.at;
    let flaky = &mut draft.status.flaky;
    flaky.retain(|flaky| flaky.gate != gate && age(Some(flaky.at.0), now).as_secs() < window);
    flaky.push(Flaky { gate: gate.into(), at: Time(now) });
    let surplus = flaky.len().saturating_sub(REMEMBERED);
    flaky.drain(..surplus);
    let (count, budget) = (flaky.len(), usize::try_from(policy.flaky_budget).unwrap_or_default());
    (count > budget).then(|| {
        format!(
            "it passed only when it was tried again, which counts as failed: that was {count} times within {window} s, and the Factory's policy.gates.flakyBudget is {budget}"
        )
    })
}

/// Former runs of a layer that nobody needs any more: all but the last, and those
/// that the status names.
fn surplus(draft: &Draft<'_>, deployment: &Deployment, layer: Layer) -> Vec<ObjectName> {
    let gates = draft.seen.previous.gates.iter().chain(&draft.status.gates);
    let named: Vec<_> = gates.flat_map(|known| [Some(&known.gate), known.running.as_ref(), known.reused_from.as_ref()]).flatten().collect();
    let mut runs: Vec<_> = deployment.runs.iter().filter(|run| run.ours && run.layer == layer).collect();
    runs.sort_by(|a, b| (b.created, b.name.len(), &b.name).cmp(&(a.created, a.name.len(), &a.name)));
    let former = runs.into_iter().skip(KEPT).filter(|run| !named.contains(&&run.name));
    let object = |run: &Gate| ObjectName {
        api_version: API_VERSION,
        kind: "GateRun",
        namespace: draft.seen.own.namespace.clone(),
        name: run.name.clone(),
    };
    former.map(object).collect()
}

/// Says what a layer came to. Whether it was passed.
fn say(draft: &mut Draft<'_>, factory: &FactorySeen, known: &LayerVerdict) -> bool {
    let kind = condition(known.layer);
    let Some(verdict) = known.verdict else { return false };
    if let Some(due) = known.at.as_ref().and_then(|at| schedule::due(&factory.gates, &draft.seen.own.id, known.layer, at.0)) {
        let left = due.duration_since(draft.now.at).as_secs().max(1);
        draft.look_again(std::time::Duration::from_secs(u64::try_from(left).unwrap_or(1)));
    }
    let from = known.reused_from.as_ref().map(|_| " before, of the same tree by the same plan and image").unwrap_or_default();
    let running = known.running.as_ref().map(|run| format!("; asked again by GateRun {run}")).unwrap_or_default();
    let message = known.message.as_deref().unwrap_or_default();
    let reason = match verdict {
        Verdict::Passed => {
            if known.layer == Layer::Contract {
                draft.reach("Tested");
            }
            let more = if message.is_empty() { String::new() } else { format!(": {message}") };
            draft.good(kind, Reason::Passed, format!("GateRun {} passed{from}{more}{running}", known.gate));
            return true;
        }
        Verdict::Failed => Reason::Failed,
        Verdict::Blocked => Reason::Blocked,
        Verdict::Error => Reason::Broken,
    };
    let from = if from.is_empty() { "" } else { " (of the same tree by the same plan and image)" };
    draft.bad(kind, Hold::stalled(reason, format!("GateRun {}{from}: {message}{running}", known.gate), draft.now.resync));
    false
}
