//! The spec's document as a proposal: made once for each document, mirrored while
//! it is open, and never made against a base branch that moved on by itself.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    change,
    draft::{Draft, Hold},
    naming,
    seen::{Base, Change, Wanted},
};
use crate::{
    api::{
        API_VERSION,
        conditions::{ConditionType, Reason, Statement, Truth},
        primitive::Routes,
        references::{Milestone, reach, reached},
    },
    decide::{
        Action, ObjectName,
        waits::{HELD, NOTICED, POLL, SOON, age, growing},
    },
};

/// Routes without an answer that the status lists, each by so many characters.
const MISSING: usize = 50;
const MAX_ROUTE: usize = 300;

/// What is to be said of the proposal, and done for it.
pub(super) fn judge(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    draft.states_all("Branch");
    for change in [&seen.current, &seen.planned].into_iter().flatten() {
        note(draft, change);
    }
    if let Ok(wanted) = &seen.document {
        draft.status.routes = Some(routes(wanted));
    }
    let (wanted, base) = match (&seen.document, &seen.base) {
        (Ok(wanted), Ok(base)) => (wanted, base),
        (Err(error), base) => {
            // Nothing is proposed; what the base branch has goes on.
            if draft.is_good() {
                draft.error(None, error);
            }
            if base.as_ref().is_ok_and(|base| base.package.is_some()) {
                merged(draft, "the base branch has the package");
            }
            return;
        }
        (_, Err(error)) => return draft.error(None, error),
    };
    if let Some(Err(error)) = base.package.as_ref().map(|package| &package.content) {
        return draft.error(Some(ConditionType::Merged), error);
    }
    give_up_older(draft, wanted);
    let there = base.package.as_ref().and_then(|package| package.content.as_ref().ok()?.hash.as_deref());
    if there == Some(&wanted.hash) {
        adopt(draft, wanted);
        if !refresh(draft, wanted, base) {
            as_wanted(draft, base);
        }
        return;
    }
    if seen.previous.proposed_hash.as_deref() == Some(&wanted.hash) { follow(draft, wanted, base) } else { begin(draft, wanted, base) }
}

/// Who answers its routes, for whoever has no pull request to read.
fn routes(wanted: &Wanted) -> Routes {
    let count = |some: usize| i64::try_from(some).unwrap_or(i64::MAX);
    let missing = wanted.unwritten.iter().take(MISSING).map(|route| change::cut(route, MAX_ROUTE)).collect();
    Routes { declared: count(wanted.routes), provider: count(wanted.provider), unimplemented: count(wanted.unwritten.len()), missing }
}

/// An AgentPR for what the spec said before is taken back.
fn give_up_older(draft: &mut Draft<'_>, wanted: &Wanted) {
    let own = &draft.seen.own;
    if let Some(older) = &draft.seen.current
        && older.name != change::change_name(&own.id, &wanted.made)
        && !older.settled()
        && !older.going
        && older.foreign.is_none()
    {
        draft.actions.push(Action::RemoveObject(agent_pr(&own.namespace, &older.name)));
    }
}

/// The base branch says what the spec says.
fn adopt(draft: &mut Draft<'_>, wanted: &Wanted) {
    // What was adopted from the base branch needs no proposal, now or later.
    if draft.seen.previous.proposed_hash.as_deref() != Some(&wanted.hash) {
        draft.status.milestones.clear();
    }
    draft.status.proposed_hash = Some(wanted.hash.clone());
    draft.status.agent_pr = draft.seen.planned.as_ref().filter(|change| change.foreign.is_none()).map(|change| change.name.clone());
    note_green(draft);
    draft.merged = true;
    draft.reach("Merged");
}

fn as_wanted(draft: &mut Draft<'_>, base: &Base) {
    merged(draft, &format!("packages/{} of the base branch is the spec's document, at commit {}", draft.seen.own.id, at(draft, base)));
}

/// What was proposed from the spec and merged, and would have other generated files now,
/// is proposed once more. It goes on as it is meanwhile. What others merged is theirs.
/// Returns whether it said how the package stands.
fn refresh(draft: &mut Draft<'_>, wanted: &Wanted, base: &Base) -> bool {
    let seen = draft.seen;
    let (Some(factory), Some(Ok(content))) = (&seen.factory, base.package.as_ref().map(|package| &package.content)) else { return false };
    if reached(&draft.status.milestones, "Proposed").is_none() {
        return false;
    }
    let changes = change::stale(wanted, Some(content));
    if changes.files.is_empty() {
        return false;
    }
    let id = &seen.own.id;
    let name = change::change_name(id, &wanted.made);
    let behind =
        format!("the spec's document becomes other files than packages/{id} of the base branch has: prices changed, or the scaffolder did");
    match &seen.planned {
        Some(Change { foreign: Some(whose), .. }) => taken(draft, &name, whose),
        Some(change) if change.stalled => mirror(draft, change),
        Some(change) if change.settled() && unnoticed(draft, change, base) => return false,
        Some(change) if change.settled() => {
            let message = format!("{behind}; AgentPR {name} proposed them before");
            draft.advise(Statement::new(ConditionType::SpecOutdated, Truth::True, Reason::Superseded, message));
            return false;
        }
        Some(change) => {
            draft.pull.clone_from(&change.url);
            merged(draft, &format!("{behind}; AgentPR {name} brings them"));
        }
        None if factory.forge_hold.is_some() => return false,
        None => match change::propose(seen, factory, wanted, false, &changes) {
            Err(error) => draft.error(Some(ConditionType::Merged), &error),
            Ok(object) => {
                draft.actions.push(Action::CreateObject(object));
                draft.status.agent_pr = Some(name);
                return false;
            }
        },
    }
    true
}

/// The commit to name: one that does not move with every other package's merge.
fn at(draft: &Draft<'_>, base: &Base) -> String {
    let previous = &draft.seen.previous;
    let tree = base.package.as_ref().map(|package| package.tree.as_str());
    let known = [previous.rolling.as_ref().map(|v| (&v.tree, &v.commit)), previous.tree.as_ref().zip(previous.commit.as_ref())];
    let known = known.into_iter().flatten().find(|(of, _)| Some(of.as_str()) == tree);
    known.map_or_else(|| base.commit.to_string(), |(_, commit)| commit.clone())
}

fn merged(draft: &mut Draft<'_>, message: &str) {
    draft.good(ConditionType::Merged, Reason::Merged, message);
}

/// The document was not proposed yet.
fn begin(draft: &mut Draft<'_>, wanted: &Wanted, base: &Base) {
    let seen = draft.seen;
    let Some(factory) = &seen.factory else { return };
    match &seen.planned {
        Some(Change { name, foreign: Some(whose), .. }) => return taken(draft, name, whose),
        Some(change) if change.going => return wait_for_going(draft, change),
        // It was made, and the status of that pass was lost.
        Some(change) if !change.settled() || change.ahead_of(base) || recent(draft, change, base) => {
            note_proposal(draft, wanted, change.name.clone());
            return follow(draft, wanted, base);
        }
        // The same document was proposed and merged before; the base branch has another by now.
        Some(change) => {
            draft.actions.push(Action::RemoveObject(agent_pr(&seen.own.namespace, &change.name)));
            return wait_for_going(draft, change);
        }
        None => {}
    }
    if let Some((name, holder)) = &seen.claimed {
        return naming::taken(draft, name, holder);
    }
    if let Some(message) = &factory.forge_hold {
        return draft.bad(ConditionType::Merged, Hold::going(Reason::Waiting, message, POLL * 6));
    }
    let content = base.package.as_ref().and_then(|package| package.content.as_ref().ok());
    let changes = change::changes(wanted, content);
    if changes.files.is_empty() {
        // The documents differ in words that no file has.
        adopt(draft, wanted);
        return as_wanted(draft, base);
    }
    match change::propose(seen, factory, wanted, base.package.is_none(), &changes) {
        Err(error) => draft.error(Some(ConditionType::Merged), &error),
        Ok(object) => {
            let name = change::change_name(&seen.own.id, &wanted.made);
            draft.actions.push(Action::CreateObject(object));
            let message = format!("AgentPR {name} is being made");
            note_proposal(draft, wanted, name);
            draft.bad(ConditionType::Merged, Hold::going(Reason::Proposing, message, SOON));
        }
    }
}

fn taken(draft: &mut Draft<'_>, name: &str, whose: &str) {
    let message = format!("AgentPR {name} is there already and {whose}: remove it, or choose another id");
    draft.bad(ConditionType::Merged, Hold::stalled(Reason::Taken, message, HELD));
}

fn note_proposal(draft: &mut Draft<'_>, wanted: &Wanted, name: String) {
    draft.status.proposed_hash = Some(wanted.hash.clone());
    draft.status.agent_pr = Some(name);
    draft.status.milestones = vec![Milestone { name: "Proposed".into(), at: Time(draft.now.at) }];
}

fn wait_for_going(draft: &mut Draft<'_>, change: &Change) {
    let message = format!("AgentPR {} of an earlier proposal is being removed; the document is proposed after it", change.name);
    draft.bad(ConditionType::Merged, Hold::going(Reason::Proposing, message, SOON));
}

/// The document was proposed, and the base branch has another or none.
fn follow(draft: &mut Draft<'_>, wanted: &Wanted, base: &Base) {
    let seen = draft.seen;
    note_green(draft);
    match &seen.planned {
        Some(Change { name, foreign: Some(whose), .. }) => taken(draft, name, whose),
        Some(change) if change.going && !change.settled() => wait_for_going(draft, change),
        Some(change) if unnoticed(draft, change, base) => {
            draft.actions.push(Action::PokeFactory);
            let merge = change.merged.as_deref().unwrap_or("that the base branch had before");
            let message = format!("AgentPR {} is done with commit {merge}; the Factory looks at the base branch", change.name);
            let since = change.settled_at.or(draft.since_false(ConditionType::Merged));
            let again = growing(since, draft.now.at, (SOON, HELD));
            draft.bad(ConditionType::Merged, Hold::going(Reason::Waiting, message, again));
        }
        Some(change) if change.settled() => outdated(draft, &change.name, base),
        Some(change) => mirror(draft, change),
        None if reached(&draft.status.milestones, "Merged").is_some() => {
            let name = draft.status.agent_pr.clone().unwrap_or_default();
            outdated(draft, &name, base);
        }
        // Whoever removed the AgentPR asked for another: it closed its pull request.
        None => {
            draft.status.proposed_hash = None;
            begin(draft, wanted, base);
        }
    }
}

/// It is settled, and the Factory saw the base branch last before that, or may
/// have.
fn unnoticed(draft: &Draft<'_>, change: &Change, base: &Base) -> bool {
    let blind = draft.seen.factory.as_ref().is_some_and(|factory| factory.forge_hold.is_some());
    change.ahead_of(base) || recent(draft, change, base) || (blind && unseen(draft, change, base))
}

/// It was settled a moment ago, and the base branch was not seen to have it.
fn recent(draft: &Draft<'_>, change: &Change, base: &Base) -> bool {
    unseen(draft, change, base) && age(change.settled_at, draft.now.at) < NOTICED
}

/// What was proposed was never seen on the base branch, which is not at its merge.
fn unseen(draft: &Draft<'_>, change: &Change, base: &Base) -> bool {
    let noticed = reached(&draft.seen.previous.milestones, "Merged").is_some();
    change.settled() && !noticed && change.merged.as_deref() != Some(base.commit.as_str())
}

/// The base branch moved on from what was proposed and merged.
fn outdated(draft: &mut Draft<'_>, name: &str, base: &Base) {
    draft.merged = true;
    draft.reach("Merged");
    let id = &draft.seen.own.id;
    if base.package.is_none() {
        let message = format!(
            "packages/{id} was merged by AgentPR {name} and is no longer on the base branch: change spec.document to propose it anew, or delete this object"
        );
        return draft.bad(ConditionType::Merged, Hold::stalled(Reason::Waiting, message, draft.now.resync));
    }
    let message = format!(
        "packages/{id}/prim.yaml of the base branch is another document than spec.document, which AgentPR {name} proposed before; the base branch is what runs"
    );
    draft.advise(Statement::new(ConditionType::SpecOutdated, Truth::True, Reason::Superseded, message));
    merged(draft, "the base branch has the package");
}

/// What the AgentPR says is what the Primitive says.
fn mirror(draft: &mut Draft<'_>, change: &Change) {
    let (reason, said) = match &change.ready {
        Some((_, reason, message)) => (*reason, message.as_str()),
        None => (Reason::Proposing, "nobody has looked at it yet"),
    };
    let message = format!("AgentPR {}: {said}", change.name);
    draft.pull.clone_from(&change.url);
    // Its owner is told of each change of it.
    let hold = if change.stalled { Hold::stalled(reason, message, draft.now.resync) } else { Hold::going(reason, message, POLL) };
    draft.bad(ConditionType::Merged, hold);
}

/// What there is because of an AgentPR.
pub(super) fn note(draft: &mut Draft<'_>, change: &Change) {
    if change.foreign.is_some() {
        return;
    }
    if let Some(url) = &change.url {
        draft.effect("PullRequest", url);
    }
    if let Some(branch) = &change.branch {
        draft.effect("Branch", branch);
    }
}

/// When the proposal's gate passed: the AgentPR knows.
fn note_green(draft: &mut Draft<'_>) {
    let Some(at) = draft.seen.planned.as_ref().filter(|change| change.foreign.is_none()).and_then(|change| change.green) else { return };
    reach(&mut draft.status.milestones, "Green", Time(at));
}

/// An AgentPR's name as an object's.
pub(super) fn agent_pr(namespace: &str, name: &str) -> ObjectName {
    ObjectName { api_version: API_VERSION, kind: "AgentPR", namespace: namespace.into(), name: name.into() }
}
