//! Observes the packages of a Factory's base branch, and which of them have a
//! Primitive. What is read of a commit is kept, so that at rest the forge is not
//! asked; what it comes to is `decide/factory/packages.rs`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, ListParams, NotUsed},
    core::Object,
};
use serde::Deserialize;

use super::{code::Source, connections::Connection, context::Context, objects};
use crate::{
    api::{
        factory::Factory,
        names::{PrimitiveId, Sha},
        primitive::Primitive,
        references::FactoryReference,
    },
    decide::factory::{AT_ONCE, PackagesSeen, REFUSED_AGAIN},
    ports::{error::PortError, forge::Forge},
    prim,
};

/// All that is read of a Primitive here: documents are large.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Belongs {
    factory_ref: FactoryReference,
}

/// Every Primitive of the Factory's namespace, with the Factory it belongs to. Ask
/// before the base branch is looked at: a Primitive that is gone by then was gone
/// from the branch, or retained, before.
pub async fn primitives(factory: &Factory, cx: &Context) -> Result<BTreeMap<String, String>, PortError> {
    let namespace = factory.namespace().unwrap_or_default();
    let api: Api<Object<Belongs, NotUsed>> = Api::namespaced_with(cx.client.clone(), &namespace, &ApiResource::erase::<Primitive>(&()));
    let list = objects::timely(api.list(&ListParams::default())).await?;
    Ok(list.into_iter().map(|object| (object.name_any(), object.spec.factory_ref.name)).collect())
}

/// The packages at `base`, and the documents of those that need a Primitive.
pub async fn see(
    factory: &Factory,
    base: &Sha,
    connection: &Connection<dyn Forge>,
    primitives: BTreeMap<String, String>,
    cx: &Context,
) -> Result<PackagesSeen, PortError> {
    let source = Source::new(factory, connection, cx);
    let packages = source.packages(base).await?;
    let retained = factory.status.as_ref().map(|status| status.retained.clone()).unwrap_or_default();
    let trees = packages.iter().filter(|(_, package)| package.document().is_some()).map(|(id, package)| (id.clone(), package.tree.clone()));
    let mut seen = PackagesSeen { trees: trees.collect(), primitives, retained, documents: BTreeMap::new() };
    if seen.lacking().next().is_none() {
        return Ok(seen);
    }
    // What was retained a moment ago may not have come to us yet.
    let api: Api<Factory> = Api::namespaced(cx.client.clone(), &factory.namespace().unwrap_or_default());
    if let Some(now) = objects::find(&api, &factory.name_any()).await? {
        seen.retained = now.status.unwrap_or_default().retained;
    }
    // Where the directory's name is no id, the document can't help.
    let mut lacking: Vec<_> = seen.lacking().filter(|id| id.parse::<PrimitiveId>().is_ok()).map(str::to_owned).collect();
    turn(&mut lacking, cx.clock.now());
    let mut good = 0;
    for id in lacking {
        if good == AT_ONCE {
            break;
        }
        let Some(package) = packages.get(&id) else { continue };
        let document = match source.document(package).await? {
            Ok(text) => prim::value(&text).map_err(|problem| problem.to_string()),
            Err(problem) => Err(problem),
        };
        good += usize::from(document.is_ok());
        seen.documents.insert(id, document);
    }
    Ok(seen)
}

/// Begins with others the next time: as many as are made at once may be refused, and
/// must not keep those behind them waiting.
fn turn(ids: &mut [String], now: Timestamp) {
    let rounds = usize::try_from(now.as_second()).unwrap_or(0) / REFUSED_AGAIN.as_secs() as usize;
    if let Some(start) = rounds.wrapping_mul(AT_ONCE).checked_rem(ids.len()) {
        ids.rotate_left(start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_comes_among_the_first_in_time() {
        let ids: Vec<_> = (0..AT_ONCE * 2 + 7).map(|n| n.to_string()).collect();
        let first = |round: i64| {
            let mut ids = ids.clone();
            turn(&mut ids, Timestamp::from_second(1_800_000_000 + round * 60).unwrap());
            ids.truncate(AT_ONCE);
            ids
        };
        let mut seen: Vec<_> = (0..4).flat_map(first).collect();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), ids.len());
        turn(&mut [], Timestamp::UNIX_EPOCH);
    }
}
