//! How a change ends: merged, or taken back with its object.

use super::{Action, Draft, ForgeSeen, PullState, Reason, SOON, Sha, Verdict};

/// Merged: was it what was tested? Then nothing of it stays but the commit.
pub(super) fn merged(draft: &mut Draft<'_>, sha: &Sha, forge: &ForgeSeen) {
    draft.status.merge_sha = Some(sha.to_string());
    draft.status.obstacle = None;
    let tree = forge.merged.as_ref().map(|commit| commit.tree.to_string());
    let tested =
        tree.is_some() && draft.status.attempts.iter().any(|a| Some(&a.tree) == tree.as_ref() && a.verdict == Some(Verdict::Passed));
    if tested {
        draft.reach("Green");
    }
    draft.reach("Merged");
    match branch_and_head(draft, forge) {
        Some((branch, head)) => {
            draft.does(Action::DeleteBranch(branch, head));
            draft.again = SOON;
        }
        None => draft.status.cleaned = true,
    }
    draft.does(Action::PokeFactory);
    draft.status.tested = tested;
    let again = draft.again;
    say(draft, tested);
    if !draft.status.cleaned {
        draft.again = again;
    }
}

/// Nothing is to be done any more; what was said stands.
pub(super) fn settled(draft: &mut Draft<'_>) {
    // By what was said then, and not by whether the object could be looked at since.
    let tested = draft.seen.previous.tested;
    say(draft, tested);
}

fn say(draft: &mut Draft<'_>, tested: bool) {
    let sha = draft.status.merge_sha.clone().unwrap_or_default();
    if tested {
        draft.is_ready(Reason::Merged, &format!("merged as {sha}"));
    } else {
        let what = format!("merged as {sha}, whose tree no gate has passed: revert it, or look at who merges past the gates");
        draft.stalls(Reason::MergedUntested, &what);
        draft.again = draft.now.resync;
    }
}

/// The object is to go: whatever was proposed and not merged is taken back.
pub(super) fn go(draft: &mut Draft<'_>) {
    match &draft.seen.forge {
        Ok(forge) => {
            if let Some(pull) = forge.pull.as_ref().filter(|pull| pull.state == PullState::Open) {
                draft.does(Action::ClosePull(pull.number));
            }
            if forge.pull.as_ref().is_some_and(|pull| matches!(pull.state, PullState::Merged(_))) {
                draft.does(Action::PokeFactory);
            }
            if let Some((branch, head)) = branch_and_head(draft, forge) {
                draft.does(Action::DeleteBranch(branch, head));
            }
        }
        // Without its Factory nothing can be reached, and nothing is owed to it.
        Err(_) if draft.seen.orphaned || draft.seen.previous.branch.is_none() => {}
        Err(error) => return draft.fails(error),
    }
    draft.does(Action::Release);
    draft.waits(Reason::Deleting, "its pull request is closed and its branch removed", SOON);
}

fn branch_and_head(draft: &Draft<'_>, forge: &ForgeSeen) -> Option<(crate::api::names::Branch, Sha)> {
    let branch = draft.status.branch.as_ref()?.parse().ok()?;
    Some((branch, forge.head.as_ref()?.sha.clone()))
}
