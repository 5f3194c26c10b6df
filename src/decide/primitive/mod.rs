//! From what was seen of a Primitive to what is done and said: its document is
//! proposed once, what the base branch says runs, and what runs has its name.
//! Nothing here looks or waits; observing is `controller/primitive`. Read
//! `seen.rs` next, then `proposal.rs`, `deployment.rs` and `deletion.rs`.

mod change;
mod deletion;
mod deployment;
mod draft;
mod gates;
mod idea;
mod naming;
mod phase;
mod proposal;
mod schedule;
mod seen;
mod unread;

pub use self::{
    change::{change_name, removal_name},
    gates::{KEPT, asks, layers, run_name},
    naming::{another, named, routed, url},
    seen::{
        Asked, Base, Change, Content, Deployment, FactorySeen, Gate, IdeaSeen, ModelSeen, Naming, Outside, Own, Package, PackageFile,
        Probed, Remains, Rollout, Running, Seen, Told, Wanted, WantedFile,
    },
    unread::stands,
};

use super::{Decision, Now, waits::SOON};
use crate::api::{
    conditions::{ConditionType, Reason},
    primitive::{Phase, PrimitiveStatus, Stage},
};
use draft::{Draft, Hold};

/// Decides.
pub fn decide(seen: &Seen, now: Now) -> Decision<PrimitiveStatus> {
    let mut draft = Draft::new(seen, now);
    if let Some(pause) = &seen.spec.paused {
        draft.hold(Hold::stalled(Reason::Paused, &pause.reason, now.resync));
        idea::keep(&mut draft);
        return draft.finish("");
    }
    if seen.deleting {
        return deletion::decide(draft);
    }
    if let (Some(error), Outside::Unread(probed)) = (stands(seen), &seen.outside) {
        return unread::decide(draft, error, probed.as_ref());
    }
    idea::judge(&mut draft);
    proposal::judge(&mut draft);
    let Ok(Base { package, .. }) = &seen.base else { return draft.finish("") };
    if package.is_none() {
        draft.status.phase = Some(Phase::Phantom);
        return draft.finish("");
    }
    if stage(seen) == Stage::Building {
        building(&mut draft);
    } else {
        deployed(&mut draft);
    }
    let message = ready_message(&draft);
    draft.finish(&message)
}

/// How far it may go.
fn stage(seen: &Seen) -> Stage {
    seen.spec.stage.or(seen.factory.as_ref().map(|factory| factory.default_stage)).unwrap_or_default()
}

/// Merged, and no further: whatever runs is taken down, and its data stays.
fn building(draft: &mut Draft<'_>) {
    draft.status.phase = Some(Phase::Building);
    match &draft.seen.outside {
        Outside::Unwanted(remains) => {
            let (going, blocked) = deletion::take_down(draft, remains, deletion::Data::Kept);
            if let Some(error) = blocked {
                return draft.error(None, error);
            }
            if !going.is_empty() {
                let message = format!("spec.stage is Building: {} are being removed", going.join(", "));
                return draft.hold(Hold::going(Reason::Deleting, message, SOON));
            }
            draft.taken_down();
        }
        Outside::Failed(error) => draft.error(None, error),
        Outside::Unseen | Outside::Unread(_) | Outside::Wanted(_) => {
            draft.hold(Hold::going(Reason::NotChecked, "what runs was not looked at", SOON));
        }
    }
}

fn deployed(draft: &mut Draft<'_>) {
    match &draft.seen.outside {
        Outside::Wanted(deployment) => deployment::judge(draft, deployment),
        Outside::Failed(error) => draft.error(Some(ConditionType::Deployed), error),
        // Whoever looked found something wrong before, which is said already.
        Outside::Unseen | Outside::Unread(_) | Outside::Unwanted(_) => {
            if draft.is_good() {
                draft.hold(Hold::going(Reason::NotChecked, "what runs was not looked at", SOON));
            }
        }
    }
    phase::judge(draft);
}

fn ready_message(draft: &Draft<'_>) -> String {
    let status = &draft.status;
    match (stage(draft.seen), &status.url, &status.commit) {
        (Stage::Testing, Some(url), Some(commit)) => format!("{url} answers with commit {commit}"),
        (Stage::Live, Some(url), Some(commit)) => {
            let passed: Vec<_> = status.gates.iter().map(|known| known.layer.name()).collect();
            format!("{url} answers with commit {commit}, which passed {}", passed.join(" and "))
        }
        _ => "the package is on the base branch, which is as far as spec.stage lets it go".into(),
    }
}
