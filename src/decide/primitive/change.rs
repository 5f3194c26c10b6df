//! AgentPRs as they are made: a document's files against what the base branch has,
//! or a package's removal.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::seen::{Content, FactorySeen, Own, Seen, Wanted};
use crate::{
    api::{
        API_VERSION, PRIMITIVE_LABEL,
        agent_pr::File,
        conditions::Reason,
        names::{PrimitiveId, Sha},
    },
    decide::Manifest,
    ports::error::{Class, PortError},
    scaffold::{altered, lost, merge, turned},
};

/// Most bytes of an AgentPR's files.
const MAX_BYTES: usize = 200 * 1024;
/// Most files of an AgentPR.
const MAX_FILES: usize = 200;
/// Longest title, of the 200 characters that are taken.
const MAX_TITLE: usize = 160;
/// Lines of each list in a pull request's text.
const MAX_LINES: usize = 20;
/// Longest line there.
const MAX_LINE: usize = 240;
/// Longest text of a refusal.
const MAX_MESSAGE: usize = 1000;

/// Name of the AgentPR that proposes what a document becomes: these files.
pub fn change_name(id: &PrimitiveId, made: &str) -> String {
    format!("{id}-{}", first(made))
}

/// Name of the AgentPR that removes a package.
pub fn removal_name(id: &PrimitiveId, tree: &Sha) -> String {
    format!("{id}-remove-{}", first(tree.as_str()))
}

/// The ten digits of a hash that names are made with.
pub(super) fn first(hash: &str) -> &str {
    hash.get(..10).unwrap_or(hash)
}

/// What a package needs to become the document's.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Generated files as they are generated, seeded ones as far as what the document
    /// asks for goes together with what people made of them, and no more of what only
    /// its former document generated.
    pub files: Vec<File>,
    /// Where seeded files stay as they are, since it does not.
    pub contradicted: Vec<String>,
    /// Routes that were free and are paid for now, or the other way.
    pub turned: Vec<String>,
    /// What was kept and is found no more.
    pub lost: Vec<String>,
    /// What was kept and is found otherwise than before.
    pub altered: Vec<String>,
}

pub(super) fn changes(wanted: &Wanted, base: Option<&Content>) -> Changes {
    let has = |path: &str| base.and_then(|base| base.files.iter().find(|file| file.path == path));
    let mut contradicted = Vec::new();
    let mut files = Vec::new();
    for file in &wanted.files {
        let content = match has(&file.path) {
            Some(there) if there.content == file.content => continue,
            None => file.content.clone(),
            Some(_) if file.generated => file.content.clone(),
            Some(there) => {
                // Where nobody knows what it came from, it is whoever's works on it.
                let Some(former) = base.and_then(|base| base.seeded.get(&file.path)) else { continue };
                let merged = merge(former, &there.content, &file.content);
                contradicted.extend((!merged.contradicted.is_empty()).then(|| merged.told(&file.path)));
                if merged.text == there.content {
                    continue;
                }
                merged.text
            }
        };
        files.push(File { path: file.path.clone(), content: Some(content) });
    }
    let kept: BTreeSet<&str> = wanted.files.iter().map(|file| file.path.as_str()).collect();
    let former = base.iter().flat_map(|base| &base.generated);
    files.extend(
        former.filter(|path| !kept.contains(path.as_str()) && has(path).is_some()).map(|path| File { path: path.clone(), content: None }),
    );
    let turned = base.map(|base| turned(&base.paid, &wanted.paid)).unwrap_or_default();
    let lost = base.map(|base| lost(&base.kept, &wanted.kept)).unwrap_or_default();
    let altered = base.map(|base| altered(&base.kept, &wanted.kept)).unwrap_or_default();
    Changes { files, contradicted, turned, lost, altered }
}

/// Generated files that are not as they are generated now, of a package whose document
/// is the wanted one: prices changed, or the scaffolder did. Where what was free is paid
/// for now, or the other way, handlers go along: they are for who pays or for anybody.
pub(super) fn stale(wanted: &Wanted, base: Option<&Content>) -> Changes {
    let mut changes = changes(wanted, base);
    if !changes.turned.is_empty() {
        return changes;
    }
    let generated: BTreeSet<&str> = wanted.files.iter().filter(|file| file.generated).map(|file| file.path.as_str()).collect();
    changes.files.retain(|file| generated.contains(file.path.as_str()));
    changes.contradicted.clear();
    changes
}

/// The AgentPR that proposes a document.
pub(super) fn propose(seen: &Seen, factory: &FactorySeen, wanted: &Wanted, new: bool, changes: &Changes) -> Result<Manifest, PortError> {
    let own = &seen.own;
    if !changes.turned.is_empty() && !changes.contradicted.is_empty() {
        let message = format!(
            "{} would be free or paid for other than before, and what was changed by hand stands against it in {}: leave the price, or merge a change of that first",
            changes.turned.join(", "),
            changes.contradicted.join("; "),
        );
        return Err(PortError::new(Class::Invalid, Reason::Invalid, cut(&message, MAX_MESSAGE)));
    }
    let verb = if new { "Add" } else { "Change" };
    let source = if seen.idea.is_some() { "that a model wrote for its idea, strictly checked" } else { "in its spec" };
    let title = format!("{verb} {}", cut(&wanted.name, MAX_TITLE));
    let mut body = format!("{}\n\n", cut(&wanted.description, MAX_LINE));
    body.push_str(&format!("Proposed by Primitive {}/{}, from the document {source}.\n", own.namespace, own.id));
    list(&mut body, "Taken for granted, since the document does not say", &wanted.assumptions);
    list(&mut body, "No longer found, though the service keeps it", &changes.lost);
    list(&mut body, "Found otherwise than before", &changes.altered);
    list(&mut body, "Answered 501 until somebody writes them", &wanted.unwritten);
    list(&mut body, "Left as it is, though the document asks for other code there: change it by hand", &changes.contradicted);
    let mut object = object(own, factory, &change_name(&own.id, &wanted.made), &title, &body, &changes.files)?;
    object["metadata"]["ownerReferences"] = json!([owner_reference(own)]);
    Ok(Manifest(object))
}

/// The AgentPR that removes a package. The Primitive does not own it: it must
/// outlive whoever asked for it.
pub(super) fn remove(own: &Own, factory: &FactorySeen, tree: &Sha, paths: &[String]) -> Result<Manifest, PortError> {
    let files: Vec<File> = paths.iter().map(|path| File { path: path.clone(), content: None }).collect();
    let body = format!("Primitive {}/{} was deleted, and its deletionPolicy is Delete.\n", own.namespace, own.id);
    Ok(Manifest(object(own, factory, &removal_name(&own.id, tree), &format!("Remove {}", own.id), &body, &files)?))
}

/// The owner that a Primitive is of what it makes beside itself.
pub(super) fn owner_reference(own: &Own) -> Value {
    json!({
        "apiVersion": API_VERSION, "kind": "Primitive", "name": own.id, "uid": own.uid, "controller": true, "blockOwnerDeletion": false,
    })
}

fn object(own: &Own, factory: &FactorySeen, name: &str, title: &str, body: &str, files: &[File]) -> Result<Value, PortError> {
    let bytes: usize = files.iter().map(|file| file.path.len() + file.content.as_ref().map_or(0, String::len)).sum();
    if bytes > MAX_BYTES || files.len() > MAX_FILES {
        let message = format!(
            "the change has {} files of {} KiB in all, and {MAX_FILES} files of {} KiB are taken: make spec.document smaller",
            files.len(),
            bytes.div_ceil(1024),
            MAX_BYTES / 1024
        );
        return Err(PortError::new(Class::Invalid, Reason::TooLarge, message));
    }
    Ok(json!({
        "apiVersion": API_VERSION,
        "kind": "AgentPR",
        "metadata": { "name": name, "namespace": own.namespace, "labels": { PRIMITIVE_LABEL: own.id } },
        "spec": { "factoryRef": { "name": factory.name.name }, "primitive": own.id, "title": title, "body": body, "files": files },
    }))
}

fn list(body: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    body.push_str(&format!("\n{title}:\n"));
    for line in lines.iter().take(MAX_LINES) {
        body.push_str(&format!("- {}\n", cut(line, MAX_LINE)));
    }
    if lines.len() > MAX_LINES {
        body.push_str(&format!("- and {} more\n", lines.len() - MAX_LINES));
    }
}

/// One line of a text, no longer than that.
pub(super) fn cut(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(most) {
        None => line,
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}
