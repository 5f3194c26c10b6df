//! What runs of a Primitive, how it is reached, and what is left of it.

use std::net::IpAddr;

use kube::{Api, ResourceExt};

use super::{
    super::{
        connections::Connection,
        context::Context,
        environment, objects,
        workload::{self, Workload},
    },
    Reach, again, package,
};
use crate::{
    api::{
        conditions::ConditionType,
        factory::Factory,
        gate_run::GateRun,
        names::{Fqdn, Sha},
        primitive::{DeletionPolicy, Primitive, Stage, Version},
    },
    decide::primitive::{
        Base, Content, Deployment, Gate, MAX_RUNS, Naming, Outside, Package, PackageFile, Probed, Remains, Rollout, Running, Seen,
        is_final, named, routed, run_name, url,
    },
    gate::bundle::{Bundle, SourceFile},
    ports::{
        dns::{AddressRecord, Owner},
        edge::Route,
        error::PortError,
    },
    prim::Document,
};

/// Looks at what is outside, as far as the object's state asks for it.
pub(super) async fn see(object: &Primitive, seen: &Seen, factory: &Factory, reach: &Reach, cx: &Context) -> Outside {
    let stage = seen.spec.stage.unwrap_or(factory.spec.policy.default_stage);
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
            deployment(object, seen, factory, &version, content, reach, cx).await.map(|seen| Outside::Wanted(Box::new(seen)))
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
    let (document, manifest) = package::document(&content.files)?;
    // Whoever merges a document of another's id must not get what is the other's.
    if document.id != *id {
        let what = format!("id: is {}, which is another package's", document.id);
        return Err(PortError::invalid(&format!("the base branch's packages/{id}/prim.yaml"), what));
    }
    let keeps_data = manifest.as_ref().and_then(|m| m.keeps_data.as_deref());
    let environment = environment::of(factory, object, &document, keeps_data, cx).await?;
    let file = |f: &PackageFile| SourceFile { path: f.path.clone(), content: f.content.clone(), mode: f.mode.clone() };
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
    let answered = naming.as_ref().is_some_and(|naming| matches!(naming.probed, Probed::Answered { right: true, .. }));
    let gates = if runs && answered { gates(seen, version, factory, cx).await? } else { Vec::new() };
    Ok(Deployment { version: version.clone(), manifests, missing: environment.missing, running, old, naming, runs: gates })
}

fn parse(sha: &str) -> Result<Sha, PortError> {
    sha.parse().map_err(|e| PortError::invalid("status", e))
}

fn host(seen: &Seen, factory: &Factory) -> Result<Fqdn, PortError> {
    let name = format!("{}.{}", seen.own.id, factory.spec.dns.zone);
    package::of_factory(factory, name.parse().map_err(|e| PortError::invalid("spec.dns.zone", e)))
}

fn route_id(seen: &Seen, factory: &Factory) -> String {
    format!("route-{}-{}", factory.name_any(), seen.own.id)
}

fn owner(seen: &Seen, factory: &Factory) -> Owner {
    Owner::primitive(&factory.name_any(), &seen.own.namespace, seen.own.id.as_str())
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
    let name = ask(factory, &reach.dns, cx, |dns| {
        let host = host.clone();
        async move { dns.look_up(&host).await }
    })
    .await;
    let leads = matches!((&routes, &record, &name), (Ok(routes), Ok(record), Ok(name)) if routed(routes, &route) && named(name, record));
    let probed = if leads { probe(&host, document, factory, cx).await } else { Probed::NotTried };
    Ok(Naming { route, record, routes, name, probed })
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

async fn probe(host: &Fqdn, document: &Document, factory: &Factory, cx: &Context) -> Probed {
    let answer = match cx.connect.probe(factory.spec.deploy.edge.ca_bundle.as_deref()) {
        Ok(probe) => probe.get(host).await,
        Err(error) => Err(error),
    };
    match answer {
        Err(error) => Probed::Failed(error),
        Ok(answer) => {
            let service = answer.body["service"].as_str().map(str::to_owned);
            let named = service.as_deref().is_some_and(|name| name == document.id.as_str() || name == document.name);
            Probed::Answered { status: answer.status, service, right: answer.status == 200 && named }
        }
    }
}

/// The runs of gate layer 2 over a version, unless its verdict is known.
async fn gates(seen: &Seen, version: &Version, factory: &Factory, cx: &Context) -> Result<Vec<Gate>, PortError> {
    if seen.previous.contract.as_ref().is_some_and(|known| known.tree == version.tree && is_final(known.verdict)) {
        return Ok(Vec::new());
    }
    let wanted = url(&host(seen, factory)?);
    let api: Api<GateRun> = Api::namespaced(cx.client.clone(), &seen.own.namespace);
    let mut gates = Vec::new();
    for run in 1..=MAX_RUNS {
        let Some(run) = objects::find(&api, &run_name(&seen.own.id, &version.tree, run)).await? else { break };
        let status = run.status.clone().unwrap_or_default();
        let ready = status.conditions.iter().find(|c| c.type_ == ConditionType::Ready.as_str());
        gates.push(Gate {
            name: run.name_any(),
            ours: run.owner_references().iter().any(|owner| owner.uid == seen.own.uid)
                && run.spec.target.url.as_deref() == Some(wanted.as_str())
                && run.spec.target.primitive.as_deref() == Some(seen.own.id.as_str()),
            verdict: status.verdict,
            message: ready.map_or_else(|| "nobody has looked at it yet".to_owned(), |c| c.message.clone()),
        });
    }
    Ok(gates)
}

/// What is left of what should not be there.
async fn remains(seen: &Seen, factory: &Factory, reach: &Reach, named: bool, cx: &Context) -> Result<Remains, PortError> {
    let objects = workload::leftovers(factory, &seen.own.id, None, cx).await?;
    if !named {
        return Ok(Remains { name: None, route: None, objects });
    }
    let host = host(seen, factory)?;
    let state = ask(factory, &reach.dns, cx, |dns| {
        let host = host.clone();
        async move { dns.look_up(&host).await }
    })
    .await;
    let id = route_id(seen, factory);
    let routes = ask(factory, &reach.edge, cx, |edge| async move { edge.routes().await }).await;
    let there = routes.map(|routes| routes.iter().any(|route| route.id == id && route.host == host));
    Ok(Remains { name: Some((owner(seen, factory), host, state)), route: Some((id, there)), objects })
}
