//! What a Factory derives from all packages of a commit: the files that the
//! repository should have for them, and how what it has differs. The same look serves
//! the Factory, which proposes them, and the gate, which judges a change of them. What
//! it comes to is `decide/factory/catalogue.rs`.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use clap::ValueEnum;
use kube::ResourceExt;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    agent_pr::{self, Other},
    code::Source,
    connections::Connection,
    context::Context,
    gate_plan::{self, Written},
};
use crate::{
    api::{
        AGGREGATES,
        agent_pr::AgentPR,
        conditions::{self, ConditionType, Reason},
        factory::Factory,
        names::Sha,
        references::reached,
    },
    decide::{
        agent_pr::Change,
        factory::{CatalogueChange, CatalogueSeen},
        gate_run::Derived,
    },
    outputs::{self, FOLDER, Output, Owner, PLAN, Service},
    ports::{
        error::{Class, PortError},
        forge::{self, Entry, EntryKind, Forge},
    },
    prim,
    scaffold::Prices,
    suite::{self, Mode},
};

/// What was derived last for each Factory: a commit's packages don't change.
#[derive(Default)]
pub struct Catalogues(Mutex<HashMap<String, (String, Summary)>>);

#[derive(Clone)]
struct Summary {
    hash: String,
    differs: usize,
    name: String,
}

/// What is derived from a commit's packages.
struct Whole {
    /// Files by their path from the root.
    files: BTreeMap<String, String>,
    /// What the commit has where it should have them, with its id.
    there: BTreeMap<String, Sha>,
}

impl Whole {
    /// Hash of the files.
    fn hash(&self) -> String {
        digest(self.files.iter().flat_map(|(path, content)| [path.as_str(), content.as_str()]))
    }

    /// The ids that the files have in the repository beside `commit`.
    fn ids(&self, commit: &Sha, forge: &dyn Forge) -> Result<BTreeMap<String, Sha>, PortError> {
        let strange =
            || PortError::new(Class::Bug, Reason::InternalError, format!("no file beside commit {commit} can be told by its content"));
        self.files
            .iter()
            .map(|(path, content)| Ok((path.clone(), forge.blob_id(commit, content.as_bytes()).ok_or_else(strange)?)))
            .collect()
    }
}

fn digest<'a>(parts: impl Iterator<Item = &'a str>) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a path is derived, and nobody else's.
fn is_derived(path: &str) -> bool {
    let below = path.strip_prefix(FOLDER).and_then(|rest| rest.strip_prefix('/'));
    path == PLAN || below.is_some_and(|path| Output::value_variants().iter().any(|output| output.owns(path)))
}

/// What the packages of a commit come to, or what is wrong with one of them.
async fn derive(factory: &Factory, source: &Source<'_>, commit: &Sha) -> Result<Result<Whole, String>, PortError> {
    let entries = source.entries(commit).await?;
    let mut services = Vec::new();
    for (id, package) in source.packages(commit).await? {
        // A directory without one is no package.
        let Some(entry) = package.document() else { continue };
        let wrong = |problem: &str| format!("{}: {problem}", entry.path);
        let text = match source.document(&package).await? {
            Ok(text) => text,
            Err(problem) => return Ok(Err(wrong(&problem))),
        };
        // What runs charges what its package says, whatever the Factory's prices are by now.
        let index = match package.file("src/index.ts") {
            Some(entry) => source.text(entry).await?.unwrap_or_default(),
            None => "".into(),
        };
        let all = |problems: Vec<prim::Problem>| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let made = prim::read(&text).and_then(|document| {
            let charged = Prices::written(&document, &index);
            Ok(Service { manifest: gate_plan::files_charging(&document, &factory.spec.prices, charged)?, document })
        });
        match made {
            Ok(service) if service.document.id.as_str() == id => services.push(service),
            Ok(service) => return Ok(Err(wrong(&format!("id: is {}, and the directory is {id}'s", service.document.id)))),
            Err(problems) => return Ok(Err(wrong(&all(problems)))),
        }
    }
    let owner = Owner { factory: factory.name_any(), namespace: factory.namespace().unwrap_or_default() };
    let below = |(path, content): (String, String)| (format!("{FOLDER}/{path}"), content);
    let outputs = Output::value_variants().iter().flat_map(|output| output.files(&services, &owner));
    let mut files: BTreeMap<_, _> = outputs.map(below).collect();
    let file = |entry: &&Entry| entry.kind != EntryKind::Directory;
    let there: BTreeMap<_, _> =
        entries.iter().filter(file).filter(|entry| is_derived(&entry.path)).map(|entry| (entry.path.clone(), entry.sha.clone())).collect();
    // A repository without packages, and without anything derived, needs nothing.
    if services.is_empty() && there.is_empty() {
        return Ok(Ok(Whole { files: BTreeMap::new(), there }));
    }
    match written(source, commit).await? {
        Ok(there) => drop(files.insert(PLAN.into(), plan(source, commit, there, &services).await?)),
        Err(problem) => return Ok(Err(format!("{PLAN}: {problem}"))),
    }
    Ok(Ok(Whole { files, there }))
}

/// What a commit has as the gates' plan.
pub async fn written(source: &Source<'_>, commit: &Sha) -> Result<Written, PortError> {
    let read = |text: &str| {
        let value = suite::parse(text).map_err(|finding| finding.to_string())?;
        match suite::from_value(&value, Mode::Ours) {
            Ok(_) => Ok(value),
            Err(findings) => Err(findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")),
        }
    };
    Ok(text(source, commit).await?.and_then(|text| text.as_deref().map(read).transpose()))
}

async fn text(source: &Source<'_>, commit: &Sha) -> Result<Result<Option<Arc<str>>, String>, PortError> {
    match source.entries(commit).await?.iter().find(|entry| entry.path == PLAN) {
        None => Ok(Ok(None)),
        Some(entry) => Ok(source.text(entry).await?.map(Some)),
    }
}

/// The gates' plan: what is there, and what it lacks after it.
async fn plan(source: &Source<'_>, commit: &Sha, there: Option<Value>, services: &[Service]) -> Result<String, PortError> {
    let appended = outputs::append_gate(there.as_ref(), services);
    Ok(match text(source, commit).await? {
        // As it is written there, to the letter.
        Ok(Some(text)) if appended.added.is_empty() => text.to_string(),
        _ => format!("{:#}\n", appended.plan),
    })
}

/// What the Factory sees of it at its base branch's head.
pub async fn see(factory: &Factory, head: &Sha, connection: &Connection<dyn Forge>, cx: &Context) -> Result<CatalogueSeen, PortError> {
    let key = format!("{head} {} {}", factory.spec.prices.default, factory.spec.repository.url);
    let whose = format!("{}/{}", factory.namespace().unwrap_or_default(), factory.name_any());
    let summary = match cx.catalogues.known(&whose, &key) {
        Some(summary) => summary,
        None => {
            let summary = summarize(factory, head, connection, cx).await?;
            cx.catalogues.keep(whose, key, summary.clone());
            summary
        }
    };
    let Summary { hash, differs, name } = summary;
    let owner_uid = factory.uid().unwrap_or_default();
    let said = factory.status.iter().find_map(|status| conditions::find(&status.conditions, ConditionType::CatalogueCurrent));
    let mut seen = CatalogueSeen { owner_uid, commit: head.clone(), hash, differs, name, own: Vec::new(), others: Vec::new() };
    if differs > 0 || said.is_some_and(|said| said.reason != Reason::Verified.as_str()) {
        (seen.own, seen.others) = changes(factory, cx).await?;
    }
    Ok(seen)
}

async fn summarize(factory: &Factory, head: &Sha, connection: &Connection<dyn Forge>, cx: &Context) -> Result<Summary, PortError> {
    let source = Source::new(factory, connection, cx);
    let Some(forge) = connection.client() else { return Err(connection.ask(cx, |_| async { Ok(()) }).await.err().unwrap_or_else(nobody)) };
    let whole = derive(factory, &source, head).await?.map_err(|problem| {
        PortError::new(Class::Invalid, Reason::Invalid, format!("nothing is derived from the packages before this is mended: {problem}"))
    })?;
    let ids = whole.ids(head, &*forge)?;
    let missing = ids.iter().filter(|(path, id)| whole.there.get(*path) != Some(id)).count();
    let surplus = whole.there.keys().filter(|path| !ids.contains_key(*path)).count();
    // By what is there too, so that a way back that was gone before has a name of its own.
    let from = whole.there.iter().flat_map(|(path, id)| [path.as_str(), id.as_str()]);
    let name = digest(from.chain([whole.hash().as_str()]));
    Ok(Summary { hash: whole.hash(), differs: missing + surplus, name: format!("{AGGREGATES}-{}", &name[..10]) })
}

fn nobody() -> PortError {
    PortError::new(Class::Bug, Reason::InternalError, "a forge that was asked has no client")
}

/// The Factory's own changes, and the names of others that are on their way.
async fn changes(factory: &Factory, cx: &Context) -> Result<(Vec<CatalogueChange>, Vec<String>), PortError> {
    let namespace = factory.namespace().unwrap_or_default();
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for change in agent_pr::list(&namespace, cx).await? {
        if change.spec.factory_ref.name != factory.name_any() {
            continue;
        }
        if change.spec.primitive != AGGREGATES {
            others.extend(agent_pr::is_running(&change).then(|| change.name_any()));
            continue;
        }
        own.push(read(&change, factory));
    }
    Ok((own, others))
}

fn read(change: &Other, factory: &Factory) -> CatalogueChange {
    let status = change.status.clone().unwrap_or_default();
    let says = |kind: ConditionType| conditions::find(&status.conditions, kind);
    let ready = says(ConditionType::Ready);
    let reason = |word: &str| Reason::ALL.iter().copied().find(|reason| reason.as_str() == word).unwrap_or(Reason::Waiting);
    CatalogueChange {
        name: change.name_any(),
        ours: change.owner_references().iter().any(|owner| Some(&owner.uid) == factory.uid().as_ref()),
        going: change.metadata.deletion_timestamp.is_some(),
        merged: status.merge_sha.is_some(),
        settled_at: reached(&status.milestones, "Merged")
            .or_else(|| ready.filter(|ready| ready.status == "True").map(|ready| ready.last_transition_time.0)),
        stalled: says(ConditionType::Stalled).is_some_and(|stalled| stalled.status == "True"),
        said: ready.map(|ready| (reason(&ready.reason), ready.message.clone())),
    }
}

/// The files of a change that brings what a commit has up to date, as they may be
/// proposed.
pub async fn change(factory: &Factory, commit: &Sha, connection: &Connection<dyn Forge>, cx: &Context) -> Result<Change, PortError> {
    let source = Source::new(factory, connection, cx);
    let forge = connection.client().ok_or_else(nobody)?;
    let whole = derive(factory, &source, commit).await?.map_err(|problem| PortError::new(Class::Invalid, Reason::Invalid, problem))?;
    let ids = whole.ids(commit, &*forge)?;
    let other = whole.files.iter().filter(|(path, _)| whole.there.get(*path) != ids.get(*path));
    let texts: Vec<_> = other.map(|(path, content)| (path.as_str(), content.as_str())).collect();
    if let Some(found) = cx.scanner.scan(&texts).await? {
        return Err(PortError::new(Class::Invalid, Reason::SecretInFile, found));
    }
    let gone = whole.there.keys().filter(|path| !whole.files.contains_key(*path));
    let written = texts.iter().map(|(path, content)| forge::Change { path: (*path).into(), content: Some(content.as_bytes().to_vec()) });
    let files: Vec<_> = written.chain(gone.map(|path| forge::Change { path: path.clone(), content: None })).collect();
    Ok(Change { hash: format!("sha256:{}", whole.hash()), files })
}

/// What the gate holds a change's head against.
pub async fn judged(factory: &Factory, head: &Sha, connection: &Connection<dyn Forge>, cx: &Context) -> Result<Derived, PortError> {
    let source = Source::new(factory, connection, cx);
    let forge = connection.client().ok_or_else(nobody)?;
    Ok(match derive(factory, &source, head).await? {
        Ok(whole) => Derived { wanted: Ok(whole.ids(head, &*forge)?), is_derived },
        Err(problem) => Derived { wanted: Err(problem), is_derived },
    })
}

/// Whether an AgentPR is of what a Factory derives.
pub fn is(object: &AgentPR) -> bool {
    object.spec.primitive == AGGREGATES
}

impl Catalogues {
    fn known(&self, whose: &str, key: &str) -> Option<Summary> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(whose).filter(|(of, _)| of == key).map(|(_, summary)| summary.clone())
    }

    fn keep(&self, whose: String, key: String, summary: Summary) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(whose, (key, summary));
    }

    /// Forgets a Factory.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&format!("{namespace}/{name}"));
    }
}
