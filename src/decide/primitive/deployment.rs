//! The package on the base branch as a running version: made, waited for, and the
//! objects of earlier versions removed once it is there.

use super::{
    draft::{Draft, Hold},
    gates, naming,
    seen::{Deployment, Rollout},
};
use crate::{
    api::conditions::{ConditionType, Reason, Statement, Truth},
    decide::{
        Action, Manifest,
        waits::{PROBES, SOON, growing},
    },
};

/// Kinds that are made once and never changed: a bundle is named by its digest, and
/// a claim holds somebody's data.
const MADE_ONCE: [&str; 2] = ["ConfigMap", "PersistentVolumeClaim"];
/// Kinds whose objects the status lists: all that are made.
const LISTED: [&str; 5] = ["ConfigMap", "Secret", "PersistentVolumeClaim", "Deployment", "Service"];

/// What is to be said of the version, and done for it.
pub(super) fn judge(draft: &mut Draft<'_>, deployment: &Deployment) {
    environment(draft, &deployment.missing);
    let runs = rollout(draft, deployment);
    let Some(naming) = &deployment.naming else {
        if runs {
            let message = "the workload's Service has no address yet";
            draft.bad(ConditionType::Routed, Hold::going(Reason::Waiting, message, SOON));
        }
        return;
    };
    let serves = naming::judge(draft, naming, &deployment.version);
    if runs && serves {
        draft.passed = gates::judge(draft, deployment, &naming::url(&naming.route.host));
    } else {
        gates::remember(draft, &deployment.version);
    }
}

fn environment(draft: &mut Draft<'_>, missing: &[String]) {
    let kind = ConditionType::EnvironmentComplete;
    draft.advise(if missing.is_empty() {
        Statement::new(kind, Truth::True, Reason::Verified, "everything that the document asks for is provided")
    } else {
        Statement::new(kind, Truth::False, Reason::NotProvided, format!("nothing provides {}", missing.join(", ")))
    });
}

/// Whether this very version runs, and all of it.
fn rollout(draft: &mut Draft<'_>, deployment: &Deployment) -> bool {
    let (version, running) = (&deployment.version, &deployment.running);
    let kind = ConditionType::Deployed;
    let commit = short(&version.commit);
    if running.rollout != Rollout::Absent {
        listed(draft, &deployment.manifests);
    }
    match &running.rollout {
        Rollout::Absent => apply(draft, deployment, commit),
        _ if running.differs => apply(draft, deployment, commit),
        Rollout::Ready if running.tree.as_ref() == Some(&version.tree) => {
            let status = &mut draft.status;
            (status.commit, status.tree, status.rolling) = (Some(version.commit.clone()), Some(version.tree.clone()), None);
            for old in &deployment.old {
                draft.actions.push(Action::RemoveObject(old.clone()));
                draft.lost(old.kind, &format!("{}/{}", old.namespace, old.name));
            }
            draft.reach("Deployed");
            draft.good(kind, Reason::Verified, format!("commit {commit} runs"));
            return true;
        }
        Rollout::Ready => draft.bad(kind, Hold::going(Reason::RollingOut, format!("commit {commit} starts"), SOON)),
        Rollout::Going(doing) => draft.bad(kind, Hold::going(Reason::RollingOut, format!("commit {commit} starts: {doing}"), SOON)),
        Rollout::Down(doing) => {
            let again = growing(draft.since_false(kind), draft.now.at, PROBES);
            draft.bad(kind, Hold::going(Reason::Down, format!("commit {commit} ran, and does not now: {doing}"), again));
        }
        Rollout::Stuck(why) => {
            draft.bad(kind, Hold::stalled(Reason::RolloutFailed, format!("commit {commit} does not start: {why}"), draft.now.resync));
        }
    }
    draft.status.rolling = (draft.status.tree.as_ref() != Some(&version.tree)).then(|| version.clone());
    false
}

fn apply(draft: &mut Draft<'_>, deployment: &Deployment, commit: &str) {
    draft.actions.extend(deployment.manifests.iter().cloned().map(action));
    listed(draft, &deployment.manifests);
    draft.bad(ConditionType::Deployed, Hold::going(Reason::RollingOut, format!("commit {commit} is being deployed"), SOON));
}

fn action(manifest: Manifest) -> Action {
    let once = manifest.0["kind"].as_str().is_some_and(|kind| MADE_ONCE.contains(&kind));
    if once { Action::CreateObject(manifest) } else { Action::ApplyObject(manifest) }
}

fn listed(draft: &mut Draft<'_>, manifests: &[Manifest]) {
    for Manifest(object) in manifests {
        let (kind, meta) = (object["kind"].as_str(), &object["metadata"]);
        if let Some(kind) = LISTED.iter().find(|listed| kind == Some(listed)) {
            let part = |key: &str| meta[key].as_str().unwrap_or_default().to_owned();
            draft.effect(kind, format!("{}/{}", part("namespace"), part("name")));
        }
    }
}

/// A commit's first ten digits, as people write it.
pub(super) fn short(commit: &str) -> &str {
    super::change::first(commit)
}
