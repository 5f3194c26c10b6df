//! What becomes of a primitive whose object is deleted: with Retain nothing but a
//! note on the Factory, with Delete the package goes first, by a pull request, and
//! then everything that was made for it. Whatever is left is said.

use super::{
    change::{self, removal_name},
    draft::{Draft, Hold, POLL, SOON},
    proposal::agent_pr,
    seen::{Base, Outside, Package, Remains},
};
use crate::{
    api::{
        conditions::Reason,
        primitive::{DeletionPolicy, PrimitiveStatus},
    },
    decide::{Action, Decision, ObjectName},
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
    let effects = &draft.seen.previous.effects;
    if effects.is_empty() {
        return "nothing is left".into();
    }
    let names: Vec<_> = effects.iter().map(|effect| format!("{} {}", effect.kind, effect.name)).collect();
    format!("left as they are: {}", names.join(", "))
}

fn retain(draft: &mut Draft<'_>) {
    let seen = draft.seen;
    let Some(factory) = &seen.factory else { return without_factory(draft) };
    match &seen.base {
        Err(error) => wait(draft, error),
        Ok(Base { package, .. }) => {
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
            draft.actions.push(Action::PokeFactory);
            say(draft, "a change of it was just merged; the Factory looks at the base branch");
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
    if let Some(url) = &removal.url {
        draft.effect("PullRequest", url);
        draft.pull = Some(url.clone());
    }
    if let Some(whose) = &removal.foreign {
        let message = format!("AgentPR {name} is there already and {whose}: remove it");
        return draft.hold(Hold::stalled(Reason::Taken, message, POLL));
    }
    if removal.ahead_of(base) {
        draft.actions.push(Action::PokeFactory);
        return say(draft, format!("AgentPR {name} is merged; the Factory looks at the base branch"));
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
    let hold = if removal.stalled { Hold::stalled(Reason::Deleting, message, POLL) } else { Hold::going(Reason::Deleting, message, POLL) };
    draft.hold(hold);
}

fn remove_rest(draft: &mut Draft<'_>) {
    let remains = match &draft.seen.outside {
        Outside::Unwanted(remains) => remains,
        Outside::Failed(error) => return wait(draft, error),
        // Whoever looked must have looked for what is left.
        Outside::Unseen | Outside::Wanted(_) => return say(draft, "what is left is looked for"),
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
        // A Secret is named unseen, before all that can be seen: where that is gone, it is.
        let seen = |object: &&ObjectName| data == Data::Removed || !["PersistentVolumeClaim", "Secret"].contains(&object.kind);
        let any = remains.objects.iter().any(|object| seen(&object));
        let goes = |object: &&ObjectName| any && (data == Data::Removed || object.kind != "PersistentVolumeClaim");
        for object in remains.objects.iter().filter(goes) {
            draft.actions.push(Action::RemoveObject(object.clone()));
            going.push(format!("{} {}/{}", object.kind, object.namespace, object.name));
        }
    }
    (going, blocked)
}
