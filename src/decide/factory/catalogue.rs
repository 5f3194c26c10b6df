//! What is derived from all packages, as one change of the Factory's own: made when
//! no other is on its way, one at a time, and last. Its merge changes no package, so
//! that nothing follows from it. Advisory: nothing waits for it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::{Part, Seen, previous};
use crate::{
    api::{
        AGGREGATES, API_VERSION,
        conditions::{ConditionType, Reason, Statement, Truth},
        factory::CatalogueStatus,
        names::Sha,
    },
    decide::{
        Action, Manifest, Now, ObjectName,
        waits::{HELD, NOTICED, POLL, SOON, age},
    },
    ports::error::Class,
};

/// How long it waits for others that are on their way.
const PATIENCE: Duration = Duration::from_secs(600);
/// Others that a message names.
const NAMED: usize = 3;
const KIND: ConditionType = ConditionType::CatalogueCurrent;

/// What the base branch has of what is derived, and who changes it.
#[derive(Clone, Debug)]
pub struct CatalogueSeen {
    /// The Factory's uid, for what it owns.
    pub owner_uid: String,
    /// The base branch's head.
    pub commit: Sha,
    /// Hash of the files that its packages make.
    pub hash: String,
    /// Files that it has otherwise, lacks, or has and should not.
    pub differs: usize,
    /// Name of the AgentPR that brings exactly this up to date.
    pub name: String,
    /// AgentPRs of this kind. Looked for where something differs, or did.
    pub own: Vec<CatalogueChange>,
    /// Other AgentPRs that are on their way.
    pub others: Vec<String>,
}

/// An AgentPR of what is derived.
#[derive(Clone, Debug)]
pub struct CatalogueChange {
    /// Its name.
    pub name: String,
    /// This Factory made it.
    pub ours: bool,
    /// It is being deleted.
    pub going: bool,
    /// It is merged.
    pub merged: bool,
    /// When that was, or that there was nothing to change.
    pub settled_at: Option<Timestamp>,
    /// Somebody must act on it.
    pub stalled: bool,
    /// What it says of itself.
    pub said: Option<(Reason, String)>,
}

impl CatalogueChange {
    fn is_open(&self) -> bool {
        !self.merged && self.settled_at.is_none()
    }
}

/// What it comes to.
pub(super) struct Judged {
    pub statement: Option<Statement>,
    pub class: Option<Class>,
    pub actions: Vec<Action>,
    pub again: Option<Duration>,
    pub status: Option<CatalogueStatus>,
}

pub(super) fn judge(seen: &Seen, now: Now) -> Judged {
    let nothing = Judged { statement: None, class: None, actions: Vec::new(), again: None, status: None };
    if !seen.spec.policy.aggregates {
        return nothing;
    }
    let kept = Judged { status: seen.previous.catalogue.clone(), ..nothing };
    match &seen.catalogue {
        Part::NotChecked => {
            let why = "the forge could not be asked, see ForgeReady";
            Judged { statement: Some(Statement::new(KIND, Truth::Unknown, Reason::NotChecked, why)), ..kept }
        }
        Part::Failed(error) => {
            let statement = Statement::new(KIND, Truth::False, error.reason, &error.message);
            Judged { statement: Some(statement), class: Some(error.class), ..kept }
        }
        Part::Seen(catalogue) => look(seen, catalogue, now, &kept),
    }
}

fn look(seen: &Seen, catalogue: &CatalogueSeen, now: Now, kept: &Judged) -> Judged {
    let branch = &seen.spec.repository.base_branch;
    let object =
        |name: &str| ObjectName { api_version: API_VERSION, kind: "AgentPR", namespace: seen.factory.namespace.clone(), name: name.into() };
    let waits = |reason, message: String, again, actions| Judged {
        statement: Some(Statement::new(KIND, Truth::False, reason, message)),
        actions,
        again: Some(again),
        status: kept.status.clone(),
        class: None,
    };
    // What is under way for what the packages made before is taken back first: there
    // are never two. One that merges just then goes with its record, and without harm.
    let current = catalogue.differs == 0;
    let stale = |change: &&CatalogueChange| change.ours && change.is_open() && (current || change.name != catalogue.name);
    let old: Vec<_> = catalogue.own.iter().filter(stale).collect();
    let actions: Vec<_> = old.iter().filter(|change| !change.going).map(|change| Action::RemoveObject(object(&change.name))).collect();
    if current {
        let message = format!("what is derived from the packages of {branch} is what they make");
        let status = CatalogueStatus { commit: catalogue.commit.to_string(), hash: catalogue.hash.clone() };
        // Whoever has just merged it may not have said so yet: its object is the record of it.
        let since = previous(seen, KIND).filter(|c| c.status == "True").map(|c| c.last_transition_time.0);
        let merging = old.iter().find(|change| !change.going).filter(|_| age(since, now.at) < NOTICED);
        let (reason, message, actions, again) = match merging {
            Some(CatalogueChange { name, .. }) => {
                let message = format!("{message}; AgentPR {name} is removed unless it says soon that it has merged them");
                (Reason::Waiting, message, Vec::new(), Some(POLL))
            }
            None => (Reason::Verified, message, actions, None),
        };
        let statement = Some(Statement::new(KIND, Truth::True, reason, message));
        return Judged { statement, actions, again, status: Some(status), class: None };
    }
    if let Some(change) = old.first() {
        let message = format!("AgentPR {} is being removed: {branch} has other packages since", change.name);
        return waits(Reason::Proposing, message, SOON, actions);
    }
    let behind = format!("{} files that are derived from the packages of {branch} are not as they make them", catalogue.differs);
    match catalogue.own.iter().find(|change| change.name == catalogue.name) {
        Some(change) if !change.ours => waits(
            Reason::Taken,
            format!("{behind}; AgentPR {} is there already and somebody else's: remove it", change.name),
            HELD,
            actions,
        ),
        Some(change) if change.going => waits(Reason::Proposing, format!("AgentPR {} is being removed", change.name), SOON, actions),
        Some(change) if change.is_open() => {
            let (reason, said) = change.said.clone().unwrap_or((Reason::Proposing, "nobody has looked at it yet".into()));
            waits(reason, format!("{behind}; AgentPR {}: {said}", change.name), if change.stalled { HELD } else { POLL * 6 }, actions)
        }
        Some(change) if age(change.settled_at, now.at) < NOTICED => {
            waits(Reason::Waiting, format!("AgentPR {} is merged, and {branch} is looked at again", change.name), SOON, actions)
        }
        // It was merged, and somebody has put back exactly what was there before.
        Some(change) if change.merged => waits(
            Reason::Proposing,
            format!("{behind}; AgentPR {} of before is being removed", change.name),
            SOON,
            vec![Action::RemoveObject(object(&change.name))],
        ),
        Some(change) => {
            waits(Reason::NothingToChange, format!("{behind}, and AgentPR {} found nothing to change", change.name), HELD, actions)
        }
        None => begin(seen, catalogue, now, &behind, waits),
    }
}

fn begin(
    seen: &Seen,
    catalogue: &CatalogueSeen,
    now: Now,
    behind: &str,
    waits: impl Fn(Reason, String, Duration, Vec<Action>) -> Judged,
) -> Judged {
    let since = previous(seen, KIND).filter(|c| c.status == "False").map(|c| c.last_transition_time.0);
    let ready = super::forge(seen).statement.status == Truth::True;
    if !ready {
        return waits(Reason::Waiting, format!("{behind}; the forge takes no change now, see ForgeReady"), HELD, Vec::new());
    }
    if !catalogue.others.is_empty() && age(since, now.at) < PATIENCE {
        let named = catalogue.others.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = catalogue.others.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        return waits(Reason::Queued, format!("{behind}; AgentPRs come first that are on their way: {named}{more}"), POLL * 6, Vec::new());
    }
    let message = format!("{behind}; AgentPR {} is being made", catalogue.name);
    waits(Reason::Proposing, message, POLL * 6, vec![Action::CreateObject(propose(seen, catalogue))])
}

/// An AgentPR without files: what it brings follows from the packages alone, wherever
/// it is made, and the gate holds it to that.
fn propose(seen: &Seen, catalogue: &CatalogueSeen) -> Manifest {
    let ObjectName { namespace, name, .. } = &seen.factory;
    Manifest(json!({
        "apiVersion": API_VERSION,
        "kind": "AgentPR",
        "metadata": {
            "name": catalogue.name, "namespace": namespace,
            "ownerReferences": [{
                "apiVersion": API_VERSION, "kind": "Factory", "name": name, "uid": catalogue.owner_uid, "controller": true,
                "blockOwnerDeletion": false,
            }],
        },
        "spec": {
            "factoryRef": { "name": name }, "primitive": AGGREGATES,
            "title": "Bring what is derived from the packages up to date",
            "body": format!("Made by Factory {namespace}/{name}: {} files follow from packages/*/prim.yaml.\n", catalogue.differs),
        },
    }))
}
