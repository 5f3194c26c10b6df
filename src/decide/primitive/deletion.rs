//! What becomes of a primitive whose object is deleted: with Retain nothing but a
//! note on the Factory, with Delete the package goes first, by a pull request, and
//! then everything that was made for it. Whatever is left is said.

use jiff::Timestamp;

use super::{
    change::{self, removal_name},
    draft::{Draft, Hold},
    proposal::{agent_pr, note},
    seen::{Base, Outside, Package, Remains},
};
use crate::{
    api::{
        conditions::Reason,
        primitive::{DeletionPolicy, PrimitiveStatus},
    },
    decide::{
        Action, Decision, ObjectName,
        waits::{HELD, POLL, SOON, growing},
    },
    ports::{dns::Holder, error::PortError},
};

/// What becomes of a primitive's data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Data {
    Kept,
    Removed,
}

pub(super) fn decide(mut draft: Draft<'_>) -> Decision<PrimitiveStatus> {
    match draft.seen.spec.deletion_policy {
        DeletionPolicy::Retain => retain(&mut draft),
        DeletionPolicy::Delete => delete(&mut draft),
    }
    draft.finish("")
}

fn say(draft: &mut Draft<'_>, message: impl Into<String>) {
    draft.hold(Hold::going(Reason::Deleting, message, SOON));
}

fn release(draft: &mut Draft<'_>, message: String) {
    say(draft, message);
    draft.actions.push(Action::Release);
}

/// Everything that the status knows of, for whoever goes on with it.
fn left(draft: &Draft<'_>) -> String {
    let seen = draft.seen;
    let package = matches!(&seen.base, Ok(Base { package: Some(_), .. })).then(|| format!("packages/{} of the base branch", seen.own.id));
    // What is open goes with its AgentPR, which this object owns.
    let open = seen.current.as_ref().filter(|change| change.foreign.is_none() && !change.settled()).and_then(|change| change.url.as_ref());
    let stays = seen.previous.effects.iter().filter(|effect| effect.kind != "Branch" && Some(&effect.name) != open);
    let names: Vec<_> = package.into_iter().chain(stays.map(|effect| format!("{} {}", effect.kind, effect.name))).collect();
    if names.is_empty() { "nothing is left".into() } else { format!("left as they are: {}", names.join(", ")) }
}

fn retain(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    let Some(factory) = &seen.factory else { return without_factory(draft) };
    match &seen.base {
        Err(error) => wait(draft, error),
        Ok(Base { package, .. }) => {
            // The policy was Delete a moment ago.
            if let Some(removal) = seen.planned.as_ref().filter(|change| change.foreign.is_none() && !change.settled()) {
                if !removal.going {
                    draft.actions.push(Action::RemoveObject(agent_pr(&seen.own.namespace, &removal.name)));
                }
                return say(draft, format!("deletionPolicy is Retain; AgentPR {} is being taken back", removal.name));
            }
            if let Some(package) = package {
                let tree = package.tree.clone();
                draft.actions.push(Action::Retain { factory: factory.name.clone(), id: seen.own.id.clone(), tree });
            }
            let message = format!("deletionPolicy is Retain; {}", left(draft));
            release(draft, message);
        }
    }
}

fn without_factory(draft: &mut Draft<'_>) {
    let message = format!("its Factory is gone, and with it the way to everything; {}", left(draft));
    release(draft, message);
}

/// The forge says what was before a merge that it made.
fn stale(draft: &mut Draft<'_>, since: Option<Timestamp>, message: impl Into<String>) {
    let again = growing(since, draft.now.at, (SOON, HELD));
    draft.hold(Hold::going(Reason::Deleting, message, again));
}

fn wait(draft: &mut Draft<'_>, error: &PortError) {
    let message = format!("waits with the deletion: {}", error.message);
    draft.error(None, &PortError::new(error.class, error.reason, message));
}

fn delete(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    if seen.factory.is_none() {
        return without_factory(draft);
    }
    let base = match &seen.base {
        Ok(base) => base,
        Err(error) => return wait(draft, error),
    };
    if let Some(proposal) = &seen.current
        && proposal.foreign.is_none()
        && !proposal.settled()
    {
        if !proposal.going {
            draft.actions.push(Action::RemoveObject(agent_pr(&seen.own.namespace, &proposal.name)));
        }
        return say(draft, format!("AgentPR {} is being taken back", proposal.name));
    }
    match &base.package {
        Some(package) => remove_package(draft, base, package),
        None if seen.current.as_ref().is_some_and(|change| change.ahead_of(base)) => {
            let since = seen.current.as_ref().and_then(|change| change.settled_at);
            stale(draft, since, "a change of it was just merged, and the base branch does not show it yet");
        }
        None => remove_rest(draft),
    }
}

/// The package goes from the base branch as it came: by a pull request.
fn remove_package(draft: &mut Draft<'_>, base: &Base, package: &Package) {
    let seen = draft.seen;
    let Some(factory) = &seen.factory else { return };
    let name = removal_name(&seen.own.id, &package.tree);
    let Some(removal) = &seen.planned else {
        return match change::remove(&seen.own, factory, &package.tree, &package.paths) {
            Ok(object) => {
                draft.actions.push(Action::CreateObject(object));
                say(draft, format!("AgentPR {name} removes the package first"));
            }
            Err(error) => draft.error(None, &error),
        };
    };
    draft.states_all("Branch");
    note(draft, removal);
    draft.pull.clone_from(&removal.url);
    if let Some(whose) = &removal.foreign {
        let message = format!("AgentPR {name} is there already and {whose}: remove it");
        return draft.hold(Hold::stalled(Reason::Taken, message, HELD));
    }
    if removal.ahead_of(base) {
        return stale(draft, removal.settled_at, format!("AgentPR {name} is merged, and the base branch does not show it yet"));
    }
    if removal.settled() {
        // An earlier removal of the very same package; it came back since.
        if !removal.going {
            draft.actions.push(Action::RemoveObject(agent_pr(&seen.own.namespace, &name)));
        }
        return say(draft, format!("AgentPR {name} of an earlier removal is being removed"));
    }
    let said = removal.ready.as_ref().map_or("nobody has looked at it yet", |(_, _, message)| message);
    let message = format!("AgentPR {name} removes the package first: {said}");
    let hold = if removal.stalled { Hold::stalled(Reason::Deleting, message, HELD) } else { Hold::going(Reason::Deleting, message, POLL) };
    draft.hold(hold);
}

fn remove_rest(draft: &mut Draft<'_>) {
    let remains = match &draft.seen.outside {
        Outside::Unwanted(remains) => remains,
        Outside::Failed(error) => return wait(draft, error),
        // Whoever looked must have looked for what is left.
        Outside::Unseen | Outside::Unread(_) | Outside::Wanted(_) => return say(draft, "what is left is looked for"),
    };
    let (going, blocked) = take_down(draft, remains, Data::Removed);
    match blocked {
        Some(error) => {
            let still = if going.is_empty() { String::new() } else { format!(" (being removed: {})", going.join(", ")) };
            wait(draft, &PortError::new(error.class, error.reason, format!("{}{still}", error.message)));
        }
        None if going.is_empty() => release(draft, "everything that was made for it is gone".into()),
        None => say(draft, format!("being removed: {}", going.join(", "))),
    }
}

/// Removes the name first, so that nobody is led to what is not there. What is
/// being removed, and what can't be looked at.
pub(super) fn take_down<'a>(draft: &mut Draft<'_>, remains: &'a Remains, data: Data) -> (Vec<String>, Option<&'a PortError>) {
    let (mut going, mut blocked) = (Vec::new(), None);
    let mut route_is_ours = true;
    match &remains.name {
        Some((_, _, Err(error))) => blocked = Some(error),
        Some((owner, name, Ok(state))) if state.holder == Some(Holder::Marked(owner.clone())) => {
            draft.actions.push(Action::RemoveName(name.clone(), owner.clone()));
            going.push(format!("record {name}"));
        }
        // A Factory of the same name in another namespace has routes of the same name.
        Some((owner, _, Ok(state))) => {
            route_is_ours = !matches!(&state.holder, Some(Holder::Marked(other)) if other.id == owner.id);
        }
        None => {}
    }
    match &remains.route {
        Some((_, Err(error))) => blocked = blocked.or(Some(error)),
        Some((id, Ok(true))) if route_is_ours => {
            draft.actions.push(Action::RemoveRoute(id.clone()));
            going.push(format!("route {id}"));
        }
        Some((_, Ok(_))) | None => {}
    }
    // While the name may still lead there, what answers stays.
    if blocked.is_none() {
        let objects = objects(&remains.objects, data, going.is_empty());
        going.extend(objects.iter().map(|object| format!("{} {}/{}", object.kind, object.namespace, object.name)));
        draft.actions.extend(objects.into_iter().cloned().map(Action::RemoveObject));
    }
    (going, blocked)
}

/// Which objects go now. A Secret is named unseen, before all that can be seen:
/// where that is gone, it is. Data can't be had back, so that it goes alone, and
/// last of all.
fn objects(all: &[ObjectName], data: Data, alone: bool) -> Vec<&ObjectName> {
    let (claims, rest): (Vec<_>, Vec<_>) = all.iter().partition(|object| object.kind == "PersistentVolumeClaim");
    if rest.iter().any(|object| object.kind != "Secret") {
        return rest;
    }
    match claims.first() {
        Some(claim) if data == Data::Removed && alone => rest.into_iter().chain([*claim]).collect(),
        _ => Vec::new(),
    }
}
