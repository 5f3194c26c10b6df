//! What runs of a Primitive, how it is reached, and what is left of it.

use std::{collections::BTreeMap, net::IpAddr};

use kube::ResourceExt;
use sha2::{Digest, Sha256};

use super::{
    super::{
        catalogue,
        code::Source,
        connections::Connection,
        context::Context,
        environment, gate_plan,
        workload::{self, Workload},
    },
    Reach, again, gates, package,
};
use crate::{
    api::{
        conditions::{self, ConditionType},
        factory::Factory,
        names::{Fqdn, Sha},
        primitive::{DeletionPolicy, Primitive, Stage, Version},
    },
    decide::{
        Now,
        primitive::{
            Asked, Base, Content, Deployment, Naming, Outside, Package, PackageFile, Probed, Remains, Rollout, Running, Seen, another,
            asks, named, routed, stands, url,
        },
    },
    gate::bundle::{Bundle, SourceFile},
    ports::{
        dns::{AddressRecord, Holder, NameState, Owner},
        edge::Route,
        error::PortError,
    },
    prim::Document,
};

/// Looks at what is outside, as far as the object's state asks for it.
pub(super) async fn see(object: &Primitive, seen: &Seen, factory: &Factory, reach: &Reach, now: Now, cx: &Context) -> Outside {
    let stage = seen.spec.stage.unwrap_or(factory.spec.policy.default_stage);
    if stands(seen).is_some() {
        return Outside::Unread(answer(seen, factory, cx).await);
    }
    let looked = match &seen.base {
        _ if seen.deleting && seen.spec.deletion_policy == DeletionPolicy::Retain => return Outside::Unseen,
        Ok(Base { package: None, .. }) if seen.deleting => remains(seen, factory, reach, true, cx).await.map(Outside::Unwanted),
        _ if seen.deleting => return Outside::Unseen,
        Ok(Base { package: Some(_), .. }) if stage == Stage::Building => {
            let was_named = seen.previous.url.is_some() || seen.previous.effects.iter().any(|e| e.kind == "DnsRecord" || e.kind == "Route");
            remains(seen, factory, reach, was_named, cx).await.map(Outside::Unwanted)
        }
        Ok(Base { package: Some(Package { tree, content: Ok(content), .. }), commit }) => {
            let version = version(seen, tree, commit);
            match deployment(object, seen, factory, &version, content, reach, cx).await {
                Ok(found) => gated(found, seen, factory, content, (reach, now), cx).await.map(|found| Outside::Wanted(Box::new(found))),
                Err(error) => Err(error),
            }
        }
        _ => return Outside::Unseen,
    };
    looked.unwrap_or_else(Outside::Failed)
}

/// The package, at the commit that it was first seen at: other packages' merges
/// change nothing here.
fn version(seen: &Seen, tree: &Sha, newest: &Sha) -> Version {
    let previous = &seen.previous;
    let known =
        [previous.rolling.clone(), previous.tree.clone().zip(previous.commit.clone()).map(|(tree, commit)| Version { tree, commit })];
    let same = known.into_iter().flatten().find(|version| version.tree == tree.as_str());
    same.unwrap_or_else(|| Version { commit: newest.to_string(), tree: tree.to_string() })
}

async fn deployment(
    object: &Primitive,
    seen: &Seen,
    factory: &Factory,
    version: &Version,
    content: &Content,
    reach: &Reach,
    cx: &Context,
) -> Result<Deployment, PortError> {
    let id = &seen.own.id;
    let (document, manifest) = package::document(&content.files, &factory.spec.prices)?;
    // Whoever merges a document of another's id must not get what is the other's.
    if document.id != *id {
        let what = format!("id: is {}, which is another package's", document.id);
        return Err(PortError::invalid(&format!("the base branch's packages/{id}/prim.yaml"), what));
    }
    let keeps_data = manifest.as_ref().and_then(|m| m.keeps_data.as_deref());
    let environment = environment::of(factory, object, &document, keeps_data, cx).await?;
    let files = content.files.iter().map(file).collect();
    let bundle = Bundle::pack(files).map_err(|e| PortError::invalid("the base branch's package", e))?;
    let (tree, commit) = (parse(&version.tree)?, parse(&version.commit)?);
    let manifests = workload::build(&Workload {
        factory,
        primitive: object,
        id,
        bundle: &bundle,
        tree: &tree,
        commit: &commit,
        keeps_data,
        environment: &environment,
    });
    let found = workload::observe(Some(&manifests), factory, id, cx).await?;
    let running = Running {
        tree: found.tree,
        differs: found.differs,
        rollout: match found.rollout {
            workload::Rollout::Absent => Rollout::Absent,
            workload::Rollout::Going(doing) => Rollout::Going(doing),
            workload::Rollout::Stuck(why) => Rollout::Stuck(why),
            workload::Rollout::Down(doing) => Rollout::Down(doing),
            workload::Rollout::Ready => Rollout::Ready,
        },
    };
    let runs = !running.differs && running.rollout == Rollout::Ready;
    let old = if runs { workload::leftovers(factory, id, Some(bundle.digest()), cx).await? } else { Vec::new() };
    // Nobody is led to what has never answered.
    let answers = runs || seen.previous.tree.is_some();
    let naming = match found.address.filter(|_| answers) {
        Some(upstream) => Some(naming(seen, factory, &document, upstream, reach, cx).await?),
        None => None,
    };
    Ok(Deployment {
        version: version.clone(),
        manifests,
        missing: environment.missing,
        running,
        old,
        naming,
        plans: BTreeMap::new(),
        tool: factory.spec.deploy.image.clone(),
        runs: Vec::new(),
    })
}

/// The same with what gates say, where the version runs and answers.
async fn gated(
    mut found: Deployment,
    seen: &Seen,
    factory: &Factory,
    content: &Content,
    (reach, now): (&Reach, Now),
    cx: &Context,
) -> Result<Deployment, PortError> {
    let runs = !found.running.differs && found.running.rollout == Rollout::Ready;
    let answered = found.naming.as_ref().is_some_and(|naming| matches!(naming.probed, Probed::Answered { right: true, .. }));
    if runs && answered {
        let files: Vec<_> = content.files.iter().map(file).collect();
        // What is wrong with them is the run's to say, which reads them anew. What can't
        // be read now is no reason to ask again.
        if let (Ok(forge), Ok(base)) = (&reach.forge, &seen.base)
            && let Ok(written) = catalogue::written(&Source::new(factory, forge, cx), &base.commit).await
        {
            found.plans = gate_plan::digests(&files, factory, &written).unwrap_or_default();
        }
        if asks(seen, &found, now.at) {
            found.runs = gates::runs(seen, &url(&host(seen, factory)?), cx).await?;
        }
    }
    Ok(found)
}

fn file(file: &PackageFile) -> SourceFile {
    SourceFile { path: file.path.clone(), content: file.content.clone(), mode: file.mode.clone() }
}

fn parse(sha: &str) -> Result<Sha, PortError> {
    sha.parse().map_err(|e| PortError::invalid("status", e))
}

fn host(seen: &Seen, factory: &Factory) -> Result<Fqdn, PortError> {
    let name = format!("{}.{}", seen.own.id, factory.spec.dns.zone);
    package::of_factory(factory, name.parse().map_err(|e| PortError::invalid("spec.dns.zone", e)))
}

/// An edge may serve several installations: of two Factories of one name each has
/// its own.
fn route_id(seen: &Seen, factory: &Factory) -> String {
    format!("route-{}-{}", owner_id(factory), seen.own.id)
}

fn owner(seen: &Seen, factory: &Factory) -> Owner {
    Owner::primitive(&owner_id(factory), &seen.own.namespace, seen.own.id.as_str())
}

/// Whose records and routes they are, for other installations that write into the
/// zone and the edge. It follows from what a Factory is made anew from, so that who lost a cluster has
/// its names again.
fn owner_id(factory: &Factory) -> String {
    if let Some(given) = &factory.spec.dns.owner_id {
        return given.clone();
    }
    let repository = &factory.spec.repository;
    let whole = format!("{} {}/{}", repository.url.trim_end_matches('/'), repository.owner, repository.name);
    let hash: String = Sha256::digest(whole).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{hash}", factory.name_any())
}

/// Who else holds the name, before anything is proposed: what is never to have its
/// name needs no package.
pub(super) async fn claimed(seen: &Seen, factory: &Factory, reach: &Reach, cx: &Context) -> Option<(Fqdn, Holder)> {
    let to_come = seen.document.is_ok() || seen.idea.as_ref().is_some_and(|idea| matches!(idea.asked, Asked::Nothing));
    let first = matches!(&seen.base, Ok(Base { package: None, .. })) && seen.planned.is_none() && to_come;
    if !first || seen.deleting || seen.spec.stage.unwrap_or(factory.spec.policy.default_stage) == Stage::Building {
        return None;
    }
    let host = host(seen, factory).ok()?;
    // A zone that can't be asked holds nobody up here: it is asked again before the
    // name is set.
    let state = look_up(&host, factory, reach, cx).await.ok()?;
    another(&state, &owner(seen, factory)).cloned().map(|holder| (host, holder))
}

async fn look_up(host: &Fqdn, factory: &Factory, reach: &Reach, cx: &Context) -> Result<NameState, PortError> {
    ask(factory, &reach.dns, cx, |dns| {
        let host = host.clone();
        async move { dns.look_up(&host).await }
    })
    .await
}

/// What answers at the name of a primitive whose package can't be read.
async fn answer(seen: &Seen, factory: &Factory, cx: &Context) -> Option<Probed> {
    seen.previous.url.as_ref()?;
    let host = match host(seen, factory) {
        Ok(host) => host,
        Err(error) => return Some(Probed::Failed(error)),
    };
    let name = seen.document.as_ref().map_or("", |wanted| wanted.name.as_str());
    let probed = probe(&host, seen.own.id.as_str(), name, factory, cx).await;
    // The base branch's document may give it another name than the spec's does.
    let outdated = conditions::find(&seen.previous.conditions, ConditionType::SpecOutdated).is_some_and(|c| c.status == "True");
    Some(match probed {
        Probed::Answered { status, service, right } => {
            Probed::Answered { right: right || (outdated && status == 200 && service.is_some()), status, service }
        }
        other => other,
    })
}

async fn naming(
    seen: &Seen,
    factory: &Factory,
    document: &Document,
    upstream: std::net::SocketAddr,
    reach: &Reach,
    cx: &Context,
) -> Result<Naming, PortError> {
    let host = host(seen, factory)?;
    let route = Route { id: route_id(seen, factory), host: host.clone(), upstream };
    let address = factory.spec.deploy.edge.address.parse::<IpAddr>();
    let record = package::of_factory(factory, address.map_err(|e| PortError::invalid("spec.deploy.edge.address", e))).map(|address| {
        let ttl = u32::try_from(factory.spec.dns.ttl_seconds).unwrap_or(60);
        AddressRecord { name: host.clone(), address, ttl, owner: owner(seen, factory) }
    });
    let routes = ask(factory, &reach.edge, cx, |edge| async move { edge.routes().await }).await;
    let name = look_up(&host, factory, reach, cx).await;
    // Routes of another form are asked for only where ours is to be set.
    let unrouted = routes.as_ref().is_ok_and(|routes| !routes.iter().any(|other| other.host == host || other.id == route.id));
    let hosts = if unrouted { ask(factory, &reach.edge, cx, |edge| async move { edge.hosts().await }).await } else { Ok(Vec::new()) };
    let host_taken = hosts.as_ref().is_ok_and(|hosts| hosts.iter().any(|other| other == host.as_str()));
    let routes = hosts.and(routes);
    let leads = matches!((&routes, &record, &name), (Ok(routes), Ok(record), Ok(name)) if routed(routes, &route) && named(name, record));
    let probed = if leads { probe(&host, document.id.as_str(), &document.name, factory, cx).await } else { Probed::NotTried };
    Ok(Naming { route, record, routes, host_taken, name, probed })
}

async fn ask<C: ?Sized, T, F>(
    factory: &Factory,
    connection: &Result<Connection<C>, PortError>,
    cx: &Context,
    look: impl FnOnce(std::sync::Arc<C>) -> F,
) -> Result<T, PortError>
where
    F: Future<Output = Result<T, PortError>>,
{
    let asked = match connection {
        Ok(connection) => connection.ask(cx, look).await,
        Err(error) => Err(again(error)),
    };
    package::of_factory(factory, asked)
}

async fn probe(host: &Fqdn, id: &str, name: &str, factory: &Factory, cx: &Context) -> Probed {
    let answer = match cx.connect.probe(factory.spec.deploy.edge.ca_bundle.as_deref()) {
        Ok(probe) => probe.get(host).await,
        Err(error) => Err(error),
    };
    match answer {
        Err(error) => Probed::Failed(error),
        Ok(answer) => {
            let service = answer.body["service"].as_str().map(str::to_owned);
            let named = service.as_deref().is_some_and(|service| service == id || service == name);
            Probed::Answered { status: answer.status, service, right: answer.status == 200 && named }
        }
    }
}

/// What is left of what should not be there.
async fn remains(seen: &Seen, factory: &Factory, reach: &Reach, named: bool, cx: &Context) -> Result<Remains, PortError> {
    let objects = workload::leftovers(factory, &seen.own.id, None, cx).await?;
    if !named {
        return Ok(Remains { name: None, route: None, objects });
    }
    let host = host(seen, factory)?;
    let state = look_up(&host, factory, reach, cx).await;
    let id = route_id(seen, factory);
    let routes = ask(factory, &reach.edge, cx, |edge| async move { edge.routes().await }).await;
    let there = routes.map(|routes| routes.iter().any(|route| route.id == id && route.host == host));
    Ok(Remains { name: Some((owner(seen, factory), host, state)), route: Some((id, there)), objects })
}
