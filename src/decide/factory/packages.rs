//! The base branch is the truth: every package that it has gets its Primitive,
//! whoever merged it. One whose Primitive was deleted and retained is left alone
//! until its tree is another. Advisory: what is wrong with one package keeps
//! nothing else from working.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{Part, Seen};
use crate::{
    api::{
        API_VERSION,
        conditions::{ConditionType, Reason, Statement, Truth},
        names::{PrimitiveId, Sha},
    },
    decide::{Action, Manifest, Receipt, waits::SOON},
    ports::error::Class,
};

/// Primitives made in one pass, at most.
pub const AT_ONCE: usize = 50;

/// What a message begins with that names packages without a Primitive.
const NONE_MADE: &str = "no Primitive is made for";

/// The packages of the base branch, and the Primitives that there are.
#[derive(Clone, Debug, Default)]
pub struct PackagesSeen {
    /// Every package that has a prim.yaml, with the id of everything in it.
    pub trees: BTreeMap<String, Sha>,
    /// Every Primitive of the namespace, with its Factory. It was looked at before
    /// the branch: one that is not here was let go before.
    pub primitives: BTreeMap<String, String>,
    /// What was retained when a Primitive went: its package's tree. Looked at after
    /// the Primitives.
    pub retained: BTreeMap<String, String>,
    /// Documents of packages that lack a Primitive, as far as they were read: a
    /// value, or why there is none.
    pub documents: BTreeMap<String, Result<Value, String>>,
}

impl PackagesSeen {
    /// Packages that should have a Primitive and have none, of whatever Factory.
    pub fn lacking(&self) -> impl Iterator<Item = &str> {
        let there = |id: &str| self.primitives.contains_key(id);
        let retained = |id: &str, tree: &Sha| self.retained.get(id).is_some_and(|known| known == tree.as_str());
        self.trees.iter().filter(move |(id, tree)| !there(id) && !retained(id, tree)).map(|(id, _)| id.as_str())
    }

    /// What is still true of what was retained.
    fn still_retained(&self) -> BTreeMap<String, String> {
        let same = |id: &String, tree: &String| self.trees.get(id).is_some_and(|now| now.as_str() == tree);
        self.retained.iter().filter(|(id, tree)| same(id, tree)).map(|(id, tree)| (id.clone(), tree.clone())).collect()
    }
}

/// What the packages come to.
pub(super) struct Judged {
    pub statement: Statement,
    pub class: Option<Class>,
    pub actions: Vec<Action>,
    pub again: Option<Duration>,
    pub retained: BTreeMap<String, String>,
    pub count: Option<i64>,
}

pub(super) fn judge(seen: &Seen) -> Judged {
    let kind = ConditionType::PackagesAdopted;
    let unknown = |statement, class| Judged {
        statement,
        class,
        actions: Vec::new(),
        again: None,
        retained: seen.previous.retained.clone(),
        count: seen.previous.packages,
    };
    let packages = match &seen.packages {
        Part::Seen(packages) => packages,
        Part::Failed(error) => {
            return unknown(Statement::new(kind, Truth::False, error.reason, &error.message), Some(error.class));
        }
        Part::NotChecked => {
            let why = "the forge could not be asked, see ForgeReady";
            return unknown(Statement::new(kind, Truth::Unknown, Reason::NotChecked, why), None);
        }
    };
    let retained = packages.still_retained();
    let mut problems = foreign(packages, &seen.factory.name);
    let mut made = Vec::new();
    let mut actions = Vec::new();
    let mut left = 0;
    for id in packages.lacking() {
        match (document(packages, id), actions.len() < AT_ONCE) {
            (Some(Err(problem)), _) => problems.push(format!("packages/{id}: {problem}")),
            (Some(Ok(document)), true) => {
                made.push(id);
                actions.push(Action::Adopt(primitive(seen, id, document)));
            }
            (Some(Ok(_)), false) | (None, _) => left += 1,
        }
    }
    let gone: Vec<_> = packages.retained.keys().filter(|id| !retained.contains_key(*id)).cloned().collect();
    if !gone.is_empty() {
        actions.push(Action::DropRetained { factory: seen.factory.clone(), ids: gone });
    }
    let (status, reason, message) = if !problems.is_empty() {
        (Truth::False, Reason::Invalid, format!("{NONE_MADE}: {}", problems.join("; ")))
    } else if !made.is_empty() || left > 0 {
        let more = if left == 0 { String::new() } else { format!(", and then for {left} more") };
        (Truth::False, Reason::Waiting, format!("Primitives are made for {}{more}", made.join(", ")))
    } else {
        (Truth::True, Reason::Verified, all_adopted(seen, packages, &retained))
    };
    Judged {
        statement: Statement::new(kind, status, reason, message),
        class: None,
        again: (!made.is_empty() || left > 0).then_some(SOON),
        actions,
        retained,
        count: i64::try_from(packages.trees.len()).ok(),
    }
}

/// Says which Primitives the API server refused; whether it took none of those that
/// were to be made.
pub(super) fn refused(statements: &mut [Statement], done: &[(&Action, Receipt)]) -> bool {
    let adopted = done.iter().filter(|(action, _)| matches!(action, Action::Adopt(_))).count();
    let refusals: Vec<_> = done
        .iter()
        .filter_map(|(action, receipt)| match (action, receipt) {
            (Action::Adopt(Manifest(object)), Receipt::Refused { reason, message, .. }) => {
                Some((*reason, format!("packages/{}: {message}", object["metadata"]["name"].as_str().unwrap_or_default())))
            }
            _ => None,
        })
        .collect();
    let Some((first, _)) = refusals.first() else { return false };
    if let Some(said) = statements.iter_mut().find(|statement| statement.kind == ConditionType::PackagesAdopted) {
        let all = refusals.iter().map(|(_, problem)| problem.as_str()).collect::<Vec<_>>().join("; ");
        let (reason, message) = match said.reason {
            Reason::Invalid => (Reason::Invalid, format!("{}; {all}", said.message)),
            _ => (*first, format!("{NONE_MADE}: {all}")),
        };
        *said = Statement::new(said.kind, Truth::False, reason, message);
    }
    refusals.len() == adopted
}

/// Packages whose Primitive's name another Factory has.
fn foreign(packages: &PackagesSeen, factory: &str) -> Vec<String> {
    let owner = |id: &String| packages.primitives.get(id).filter(|owner| *owner != factory);
    let taken = packages.trees.keys().filter_map(|id| Some((id, owner(id)?)));
    taken
        .map(|(id, owner)| format!("packages/{id}: the Primitive {id} of this namespace is Factory {owner}'s: rename one of the two"))
        .collect()
}

/// A package's document, where it was read, or why it can be none.
fn document<'a>(packages: &'a PackagesSeen, id: &str) -> Option<Result<&'a Value, String>> {
    if let Err(problem) = id.parse::<PrimitiveId>() {
        return Some(Err(problem.to_string()));
    }
    let value = match packages.documents.get(id)? {
        Ok(value) => value,
        Err(problem) => return Some(Err(format!("prim.yaml {problem}"))),
    };
    Some(match value.get("id").map(|given| (given.as_str(), given)) {
        Some((Some(given), _)) if given == id => Ok(value),
        Some((_, given)) => Err(format!("prim.yaml has the id {given}: it must be the directory's name")),
        None => Err("prim.yaml has no id: it must be the directory's name".into()),
    })
}

fn primitive(seen: &Seen, id: &str, document: &Value) -> Manifest {
    Manifest(json!({
        "apiVersion": API_VERSION,
        "kind": "Primitive",
        "metadata": { "name": id, "namespace": seen.factory.namespace },
        "spec": { "factoryRef": { "name": seen.factory.name }, "document": document },
    }))
}

fn all_adopted(seen: &Seen, packages: &PackagesSeen, retained: &BTreeMap<String, String>) -> String {
    let all = format!("every package of {} has its Primitive", seen.spec.repository.base_branch);
    let left: Vec<_> = retained.keys().filter(|id| !packages.primitives.contains_key(*id)).map(String::as_str).collect();
    if left.is_empty() {
        all
    } else {
        format!("{all}, but those that were retained: {}; their workloads, names and data stay", left.join(", "))
    }
}
