//! The document of a Primitive's spec, and its package on the base branch.

use kube::ResourceExt;
use serde_json::Value;

use super::super::{
    code::{Package as Listed, Source},
    connections::{self, Connection},
    context::Context,
    gate_plan,
};
use crate::{
    api::{
        conditions::{self, ConditionType, Reason},
        factory::{Factory, PricesSpec},
        names::{Branch, PrimitiveId, Sha},
        primitive::Document as Given,
    },
    decide::primitive::{Base, Content, Package, PackageFile, Wanted, WantedFile},
    ports::{
        error::{Class, PortError},
        forge::{EntryKind, Forge},
    },
    prim::{self, Document, Problem},
    scaffold::{Kind, Manifest, Prices},
};

/// The document that stands at `path`, read, and the files it becomes.
pub(super) fn wanted(path: &str, given: &Given, factory: Option<&Factory>) -> Result<Wanted, PortError> {
    let value = serde_json::to_value(given).map_err(|e| PortError::invalid(path, e))?;
    let endpoint = value["endpoint"].as_str().map(str::to_owned);
    let document = prim::from_value(value).map_err(|problems| invalid(path, &problems))?;
    if let (Some(endpoint), Some(factory)) = (endpoint, factory) {
        let own = format!("{}.{}", document.id, factory.spec.dns.zone);
        if endpoint.trim_end_matches('.') != own {
            let what = format!("is {endpoint:?}, and this Factory can only serve it at {own}: leave it out, or say that");
            return Err(PortError::invalid(&format!("{path}.endpoint"), what));
        }
    }
    let prices = factory.map(|factory| factory.spec.prices.clone()).unwrap_or_default();
    let manifest = gate_plan::files_of(&document, &prices).map_err(|problems| invalid(path, &problems))?;
    Ok(Wanted {
        hash: document.hash(),
        made: manifest.hash(),
        name: document.name.clone(),
        description: document.description.clone(),
        assumptions: manifest.assumptions.iter().map(ToString::to_string).collect(),
        routes: manifest.routes.len(),
        provider: manifest.routes.iter().filter(|route| route.backend == "provider").count(),
        paid: manifest.paid(),
        kept: manifest.kept,
        unwritten: manifest.unimplemented.iter().map(|route| format!("{}: {}", route.route, route.reason)).collect(),
        files: manifest
            .files
            .into_iter()
            .map(|file| WantedFile { generated: file.kind == Kind::Generated, path: file.path, content: file.content })
            .collect(),
    })
}

/// Every problem with its path in the object.
fn invalid(path: &str, problems: &[Problem]) -> PortError {
    let all: Vec<_> = problems.iter().map(|p| if p.path.is_empty() { format!("{path}: {p}") } else { format!("{path}.{p}") }).collect();
    PortError::new(Class::Invalid, Reason::Invalid, all.join("; "))
}

/// The base branch as the Factory saw it last, and the package there.
pub(super) async fn base(factory: &Factory, id: &PrimitiveId, forge: &Connection<dyn Forge>, cx: &Context) -> Result<Base, PortError> {
    let status = factory.status.as_ref();
    let Some(commit) = status.and_then(|status| status.base_sha.as_ref()?.parse::<Sha>().ok()) else {
        let ready = status.and_then(|s| conditions::find(&s.conditions, ConditionType::ForgeReady));
        let why = ready.map_or("nobody has looked at it yet", |c| c.message.as_str());
        return Err(PortError::new(Class::Waiting, Reason::Waiting, format!("Factory {}: {why}", factory.name_any())));
    };
    at(commit, factory, id, forge, cx).await
}

/// The base branch as it is now: what goes for ever must not have been merged anew
/// since the Factory looked.
pub(super) async fn newest(factory: &Factory, id: &PrimitiveId, forge: &Connection<dyn Forge>, cx: &Context) -> Result<Base, PortError> {
    let branch: Branch = factory.spec.repository.base_branch.parse().map_err(|e| PortError::invalid("spec.repository.baseBranch", e))?;
    let state = of_factory(factory, forge.ask(cx, |forge| async move { forge.branch(&branch).await }).await)?;
    at(state.head, factory, id, forge, cx).await
}

async fn at(commit: Sha, factory: &Factory, id: &PrimitiveId, forge: &Connection<dyn Forge>, cx: &Context) -> Result<Base, PortError> {
    let source = Source::new(factory, forge, cx);
    let listed = of_factory(factory, source.packages(&commit).await)?.remove(id.as_str());
    let package = match listed {
        None => None,
        Some(listed) => Some(Package {
            tree: listed.tree.clone(),
            paths: listed.entries.iter().filter(|e| e.kind != EntryKind::Directory).map(|e| e.path.clone()).collect(),
            content: content(&source, &listed, &factory.spec.prices).await,
        }),
    };
    Ok(Base { commit, package })
}

async fn content(source: &Source<'_>, listed: &Listed, prices: &PricesSpec) -> Result<Content, PortError> {
    let files = source.files(listed).await?;
    let files: Vec<_> =
        files.iter().map(|f| PackageFile { path: f.path.clone(), content: f.content.clone(), mode: f.mode.clone() }).collect();
    let document = document(&files, prices);
    let hash = document.as_ref().ok().map(|(document, _)| document.hash());
    let manifest = document.ok().and_then(|(_, manifest)| manifest);
    let paid = manifest.as_ref().map(Manifest::paid).unwrap_or_default();
    let (own, kept) = manifest.map(|manifest| (manifest.files, manifest.kept)).unwrap_or_default();
    let (generated, seeded): (Vec<_>, Vec<_>) = own.into_iter().partition(|file| file.kind == Kind::Generated);
    Ok(Content {
        hash,
        generated: generated.into_iter().map(|file| file.path).collect(),
        seeded: seeded.into_iter().map(|file| (file.path, file.content)).collect(),
        paid,
        kept,
        files,
    })
}

/// A package's own document, and the files it becomes where it makes some: for what its
/// code charges, whatever the Factory's prices are by now.
pub(super) fn document(files: &[PackageFile], prices: &PricesSpec) -> Result<(Document, Option<Manifest>), PortError> {
    let on_base = |what: String| PortError::new(Class::Invalid, Reason::Invalid, format!("the base branch's {what}"));
    let file = files
        .iter()
        .find(|file| file.path.ends_with("/prim.yaml") && file.path.split('/').count() == 3)
        .ok_or_else(|| on_base("package has no prim.yaml: merge one".into()))?;
    let value: Value = prim::value(&file.content).map_err(|p| on_base(format!("{}: {p}", file.path)))?;
    let document = prim::from_value(value).map_err(|problems| {
        let all: Vec<_> = problems.iter().map(ToString::to_string).collect();
        on_base(format!("{}: {}", file.path, all.join("; ")))
    })?;
    let charged = Prices::charged(&document, files.iter().map(|file| (&*file.path, &*file.content)));
    let manifest = gate_plan::files_charging(&document, prices, charged).ok();
    Ok((document, manifest))
}

/// A Factory's error as its primitives tell it.
pub(super) fn of_factory<T>(factory: &Factory, result: Result<T, PortError>) -> Result<T, PortError> {
    result.map_err(|error| connections::of_factory(factory, &error))
}
