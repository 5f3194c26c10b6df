//! A change's files, as they may be proposed: read, judged by the rules that the
//! gate has too, and looked through for secrets. What fails here is never pushed.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::{context::Context, manifest, objects};
use crate::{
    api::{
        agent_pr::{AgentPR, File},
        conditions::Reason,
        package::configuration,
    },
    decide::agent_pr::Change,
    gate::{
        bundle::{MAX_FILE, MAX_TOTAL, SourceFile, digest},
        paths,
    },
    ports::{
        error::{Class, PortError},
        forge,
    },
    prim,
};

/// What a draft's title begins with, in lower case.
const DRAFTS: [&str; 4] = ["wip:", "[wip]", "draft:", "[draft]"];
/// Most bytes of the files that an AgentPR holds itself.
const MAX_INLINE: usize = 200 * 1024;

/// The files of a change.
pub async fn read(object: &AgentPR, namespace: &str, cx: &Context) -> Result<Change, PortError> {
    titled(&object.spec.title)?;
    let (path, files) = files(object, namespace, cx).await?;
    admit(path, &object.spec.primitive, &files)?;
    // What people read of it is as public as its files.
    let words = [("spec.title", Some(object.spec.title.as_str())), ("spec.body", object.spec.body.as_deref())];
    let words = words.into_iter().filter_map(|(field, text)| Some((field, text?)));
    let texts: Vec<_> = words.chain(files.iter().filter_map(|f| Some((f.path.as_str(), f.content.as_deref()?)))).collect();
    if let Some(found) = cx.scanner.scan(&texts).await? {
        let path = if found.starts_with("spec.") { String::new() } else { format!("{path}: ") };
        return Err(PortError::new(Class::Invalid, Reason::SecretInFile, format!("{path}{found}")));
    }
    let changes =
        files.iter().map(|f| forge::Change { path: f.path.clone(), content: f.content.clone().map(String::into_bytes) }).collect();
    Ok(Change { hash: hash(&files), files: changes })
}

/// Whether a pull request may be called so. The schema says the same; an older one
/// does not.
fn titled(title: &str) -> Result<(), PortError> {
    let wrong = |what: &str| Err(PortError::invalid("spec.title", what));
    if title.trim().is_empty() {
        return wrong("is empty");
    }
    if title.chars().any(char::is_control) {
        return wrong("must be one line without control characters: what follows would be the commit's own words");
    }
    let begin = title.trim_start().to_lowercase();
    match DRAFTS.iter().find(|draft| begin.starts_with(**draft)) {
        Some(draft) => wrong(&format!("begins with {draft:?}, by which forges know a draft, and they merge none: leave it out")),
        None => Ok(()),
    }
}

async fn files(object: &AgentPR, namespace: &str, cx: &Context) -> Result<(&'static str, Vec<File>), PortError> {
    if let Some(files) = &object.spec.files {
        let total: usize = files.iter().map(|f| f.content.as_ref().map_or(0, String::len)).sum();
        if total > MAX_INLINE {
            let what = format!("spec.files: {total} bytes in all, and {MAX_INLINE} at most; name the rest by spec.manifestRef");
            return Err(PortError::new(Class::Invalid, Reason::TooLarge, what));
        }
        return Ok(("spec.files", files.clone()));
    }
    let path = "spec.manifestRef";
    let reference = object.spec.manifest_ref.as_ref().ok_or_else(|| PortError::invalid(path, "is missing, and so is spec.files"))?;
    let configs: Api<ConfigMap> = Api::namespaced(cx.client.clone(), namespace);
    let config = objects::get(&configs, &reference.name, "spec.manifestRef.name: ConfigMap").await?;
    let files = manifest::unpack(path, &config, reference)?;
    Ok((path, files.into_iter().map(|f| File { path: f.path, content: Some(f.content) }).collect()))
}

/// Whether a package may have these files.
fn admit(path: &str, primitive: &str, files: &[File]) -> Result<(), PortError> {
    if files.is_empty() {
        return Err(PortError::invalid(path, "has no files"));
    }
    // What goes may be a file that each package has.
    let own = |path: &str| configuration(primitive, path.strip_prefix(&format!("packages/{primitive}/"))?);
    let content = |f: &File| f.content.clone().or_else(|| own(&f.path)).unwrap_or_default();
    let sources: Vec<_> = files.iter().map(|f| SourceFile::new(&f.path, content(f))).collect();
    let large = |what: String| PortError::new(Class::Invalid, Reason::TooLarge, what);
    if let Some(file) = sources.iter().find(|f| f.content.len() > MAX_FILE) {
        return Err(large(format!("{path}: {} has {} bytes, and {MAX_FILE} at most are taken", file.path, file.content.len())));
    }
    let total: usize = sources.iter().map(|f| f.content.len()).sum();
    if total > MAX_TOTAL {
        return Err(large(format!("{path}: {total} bytes in all, and {MAX_TOTAL} at most are taken")));
    }
    let (_, refused) = paths::judge(primitive, sources);
    if !refused.is_empty() {
        let all: Vec<_> = refused.iter().map(|r| format!("{}: {}", r.path, r.reason)).collect();
        return Err(PortError::invalid(path, all.join("; ")));
    }
    let name = format!("packages/{primitive}/prim.yaml");
    if let Some(text) = files.iter().find(|f| f.path == name).and_then(|f| f.content.as_ref()) {
        let wrong = |what: String| PortError::invalid(&format!("{path}: {name}"), what);
        let document = prim::read(text).map_err(|ps| wrong(ps.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
        if document.id.as_str() != primitive {
            return Err(wrong(format!("id: is {}, and the package is {primitive}'s", document.id)));
        }
    }
    Ok(())
}

fn hash(files: &[File]) -> String {
    let mut sorted: Vec<_> = files.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    // Lists of texts always have a JSON form.
    digest(&serde_json::to_vec(&sorted).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::package::CONFIGURATION;

    fn file(path: &str, content: Option<&str>) -> File {
        File { path: path.into(), content: content.map(Into::into) }
    }

    const FREE: &str = "id: notes\nname: notes.sh\nfactory: { free_service: true }\nroutes_map:\n  - { route: GET /v1/notes, status: 200, operation_id: list_notes }\n";

    #[test]
    fn what_no_package_may_have_is_named_by_its_path() {
        assert!(
            admit("spec.files", "notes", &[file("packages/notes/prim.yaml", Some(FREE)), file("packages/notes/src/old.ts", None)]).is_ok()
        );
        let own = |id| CONFIGURATION.map(|name| file(&format!("packages/notes/{name}"), configuration(id, name).as_deref()));
        let gone = CONFIGURATION.map(|name| file(&format!("packages/notes/{name}"), None));
        assert!(admit("spec.files", "notes", &own("notes")).is_ok() && admit("spec.files", "notes", &gone).is_ok());
        assert!(admit("spec.files", "notes", &own("other")[..1]).is_err());
        for (files, names) in [
            (vec![], "spec.files: has no files"),
            (vec![file(".github/workflows/x.yml", Some(""))], ".github/workflows/x.yml"),
            (vec![file("packages/other/src/a.ts", Some(""))], "packages/other/src/a.ts"),
            (vec![file("generated/llms.txt", Some(""))], "generated/llms.txt"),
            (vec![file("gates/plan.json", Some(""))], "gates/plan.json"),
            (vec![file("packages/notes/biome.json", Some("{}"))], "biome.json"),
            (vec![file("packages/notes/prim.yaml", Some("id: ["))], "packages/notes/prim.yaml"),
            (vec![file("packages/notes/prim.yaml", Some(&FREE.replace("id: notes", "id: other")))], "id: is other"),
        ] {
            let error = admit("spec.files", "notes", &files).unwrap_err();
            assert!(error.class == Class::Invalid && error.message.contains(names), "{}", error.message);
        }
        let error = admit("spec.files", "notes", &[file("packages/notes/a.ts", Some(&"x".repeat(MAX_FILE + 1)))]).unwrap_err();
        assert_eq!(error.reason, Reason::TooLarge);
    }

    #[test]
    fn the_hash_is_of_the_files_and_not_of_their_order() {
        let (a, b) = (file("a", Some("1")), file("b", None));
        assert_eq!(hash(&[a.clone(), b.clone()]), hash(&[b, a.clone()]));
        assert_ne!(hash(&[a]), hash(&[file("a", None)]));
    }
}
