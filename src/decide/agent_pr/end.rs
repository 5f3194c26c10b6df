//! How a change ends: merged, or taken back with its object.

use super::{Action, Branch, Commit, Draft, ForgeSeen, PullState, Reason, SOON, Sha, Verdict, updates};

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
        Some((branch, head)) if is_merged(draft, forge, head) => {
            draft.does(Action::DeleteBranch(branch, head.sha.clone()));
            draft.again = SOON;
        }
        // Somebody goes on there: what they have may be nowhere else.
        Some((_, head)) => {
            draft.status.left = Some(head.sha.to_string());
            draft.status.cleaned = true;
        }
        None => draft.status.cleaned = true,
    }
    draft.does(Action::PokeFactory);
    for run in &draft.seen.surplus {
        draft.does(Action::RemoveObject(run.clone()));
    }
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
        let branch = draft.status.branch.clone().unwrap_or_default();
        let left = draft.status.left.as_ref();
        let left =
            left.map(|head| format!("; branch {branch} was left at {head}, which is not what was merged: remove it when nobody needs it"));
        draft.is_ready(Reason::Merged, &format!("merged as {sha}{}", left.unwrap_or_default()));
    } else {
        let what = format!("merged as {sha}, whose tree no gate has passed: revert it, or look at who merges past the gates");
        draft.stalls(Reason::MergedUntested, &what);
        draft.again = draft.now.resync;
    }
}

/// The object is to go: whatever was proposed and not merged is taken back.
pub(super) fn go(draft: &mut Draft<'_>) {
    let mut branch_says = "its branch removed".to_owned();
    match &draft.seen.forge {
        Ok(forge) => {
            if let Some(pull) = forge.pull.as_ref().filter(|pull| pull.state == PullState::Open) {
                draft.does(Action::ClosePull(pull.number));
            }
            if forge.pull.as_ref().is_some_and(|pull| matches!(pull.state, PullState::Merged(_))) {
                draft.does(Action::PokeFactory);
            }
            match branch_and_head(draft, forge) {
                Some((branch, head)) if is_own(draft, forge, head) => draft.does(Action::DeleteBranch(branch, head.sha.clone())),
                Some((branch, head)) => {
                    branch_says =
                        format!("its branch {branch} left at {}, which somebody else made: remove it when nobody needs it", head.sha);
                }
                None => {}
            }
        }
        // Without its Factory nothing can be reached, and nothing is owed to it.
        Err(_) if draft.seen.orphaned || draft.seen.previous.branch.is_none() => {}
        Err(error) => return draft.fails(error),
    }
    draft.does(Action::Release);
    draft.waits(Reason::Deleting, &format!("its pull request is closed and {branch_says}"), SOON);
}

fn branch_and_head<'a>(draft: &Draft<'_>, forge: &'a ForgeSeen) -> Option<(Branch, &'a Commit)> {
    let branch = draft.status.branch.as_ref()?.parse().ok()?;
    Some((branch, forge.head.as_ref()?))
}

/// The head that was merged, as far as is known, or the forge's merge of what came of it
/// into that head: asked for by a pass that was cut off, an update may wait there for a
/// merge that is under way, and come after it.
fn is_merged(draft: &Draft<'_>, forge: &ForgeSeen, head: &Commit) -> bool {
    let judged = draft.status.revision.as_ref().map(|r| r.head.as_str());
    let known = |sha: &Sha| [judged, draft.status.made.as_deref()].contains(&Some(sha.as_str()));
    // With another tree it would be somebody's own merge.
    let nothing_new = forge.merged.as_ref().filter(|merged| merged.tree == head.tree);
    let updated = nothing_new.is_some_and(|merged| updates(head, known, &merged.sha));
    known(&head.sha) || updated
}

/// Nobody but us made anything on the branch.
fn is_own(draft: &Draft<'_>, forge: &ForgeSeen, head: &Commit) -> bool {
    let merged = forge.pull.as_ref().is_some_and(|pull| matches!(pull.state, PullState::Merged(_)));
    let onto = draft.status.onto.as_deref();
    match draft.status.made.as_deref() {
        Some(made) => {
            // Or the forge's merge of the base into it, whose receipt was lost.
            let updated = updates(head, |sha| sha.as_str() == made, &forge.base);
            head.sha.as_str() == made || updated || (merged && is_merged(draft, forge, head))
        }
        // A pass was cut off after it had made the branch, or its commit.
        None => onto.is_some() && (onto == Some(head.sha.as_str()) || head.parents.iter().map(Sha::as_str).eq(onto)),
    }
}
