//! How a journey must end, however often the controller died on the way.

use std::collections::BTreeMap;

use flywheel::api::{
    agent_pr::AgentPR,
    gate_run::{GateRun, Layer},
    primitive::{Phase, Primitive},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, PersistentVolumeClaim, Secret, Service},
};
use kube::{Api, ResourceExt, api::ListParams, runtime::wait::await_condition};
use reqwest::Method;
use serde_json::Value;

use super::{Bed, names, of};
use crate::{
    cluster::{
        bed::{NAMESPACE, forge},
        contract::edge::admin,
        journey::{changes, deployments, dig, listed, no_branches, pulls},
    },
    support::{PATIENCE, until, variable},
};

/// Namespace of what runs.
const RUN: &str = "flywheel-run";

/// What there was of each primitive before, on a bed that others used.
pub(super) struct Before {
    pulls: BTreeMap<String, usize>,
    commits: usize,
}

impl Before {
    pub(super) async fn look<const N: usize>(bed: &Bed, ids: [&String; N]) -> Self {
        let mut before = BTreeMap::new();
        for id in ids {
            nothing(bed, id).await;
            before.insert(id.clone(), pulls(id).await.len());
        }
        Self { pulls: before, commits: commits().await.len() }
    }

    /// Pull requests since then, the newest first.
    async fn new_pulls(&self, id: &str) -> Vec<Value> {
        let mut all = pulls(id).await;
        all.truncate(all.len() - self.pulls[id]);
        all
    }

    /// It answers, and was made once.
    pub(super) async fn made(&self, bed: &Bed, primitive: &Primitive) {
        let id = &primitive.name_any();
        let status = primitive.status.clone().expect("status");
        let found = self.new_pulls(id).await;
        assert_eq!(found.len(), 1, "{id}: one pull request: {found:?}");
        self.merged(&found[0], id).await;
        if let Some(name) = &status.agent_pr {
            let change = tidied_up(bed, name).await.status.expect("status");
            assert!(
                change.conditions.iter().any(|c| c.type_ == "Ready" && c.reason == "Merged"),
                "{id}: what was tested was merged: {change:?}"
            );
            assert_eq!(found[0]["merge_commit_sha"].as_str(), change.merge_sha.as_deref(), "{id}");
        }
        no_branches(id).await;
        assert_eq!(dig(&format!("{id}.prim.sh"), "A"), [variable("EDGE_ADDRESS")], "{id}: one address");
        assert_eq!(dig(&format!("a-{id}.prim.sh"), "TXT").len(), 1, "{id}: one mark");
        assert_eq!(routes(id).await, 1, "{id}: one route");
        let deployment = deployments(&bed.client).get(&format!("prim-{id}")).await.expect("Deployment");
        assert_eq!(deployment.metadata.generation, Some(1), "{id}: one generation for one commit");
        assert_eq!(deployment.annotations().get("flywheel.prim.sh/tree"), status.tree.as_ref(), "{id}: what is merged runs");
        if status.agent_pr.is_some() {
            // Whoever takes up what runs already has its tree from a later commit.
            assert_eq!(deployment.annotations().get("flywheel.prim.sh/commit"), status.commit.as_ref(), "{id}");
        }
        let runs = gate_runs(bed, id).await;
        let of = |layer| runs.iter().filter(|run| run.spec.layer == layer).count();
        assert_eq!(of(Layer::Contract), 1, "{id}: one run of layer 2");
        assert_eq!(of(Layer::Canary), usize::from(status.phase == Some(Phase::Live)), "{id}: one run of layer 3 where it is live");
        let mut gated: Vec<_> = runs.iter().filter_map(|run| Some(run.spec.target.agent_pr.as_ref()?.revision.head.as_str())).collect();
        let all = gated.len();
        gated.sort_unstable();
        gated.dedup();
        assert_eq!(gated.len(), all, "{id}: one run of layer 1 for each head: {gated:?}");
    }

    /// It was proposed, and never merged.
    pub(super) async fn taken_back(&self, bed: &Bed, id: &str) {
        let found = self.new_pulls(id).await;
        assert_eq!(found.len(), 1, "{id}: one pull request: {found:?}");
        assert_eq!((found[0]["state"].as_str(), found[0]["merged"].as_bool()), (Some("closed"), Some(false)), "{id}");
        nothing(bed, id).await;
    }

    /// It was made, and removed, once each.
    pub(super) async fn removed(&self, bed: &Bed, id: &str) {
        for change in names(bed.api::<AgentPR>(NAMESPACE).list(&of(id)).await.expect("list")) {
            if change.starts_with(&format!("{id}-remove-")) {
                tidied_up(bed, &change).await;
            }
        }
        let found = self.new_pulls(id).await;
        assert_eq!(found.len(), 2, "{id}: one pull request there and one back: {found:?}");
        for pull in &found {
            self.merged(pull, id).await;
        }
        nothing(bed, id).await;
    }

    /// Merged by one commit, and told of in one comment.
    async fn merged(&self, pull: &Value, id: &str) {
        let number = &pull["number"];
        assert_eq!(pull["merged"].as_bool(), Some(true), "{id}: pull request {number}");
        let comments = forge(Method::GET, &format!("/repos/prim/factory/issues/{number}/comments"), None).await;
        assert_eq!(comments.as_array().map(Vec::len), Some(1), "{id}: pull request {number} has one comment");
        let mut new = commits().await;
        new.truncate(new.len() - self.commits);
        let message = |commit: &Value| commit["commit"]["message"].as_str().unwrap_or_default().to_owned();
        new.retain(|commit| message(commit).lines().next() == pull["title"].as_str());
        let merges: Vec<_> = new.iter().filter_map(|commit| commit["sha"].as_str()).collect();
        assert_eq!(merges, [pull["merge_commit_sha"].as_str().expect("a commit")], "{id}: one merge of pull request {number}");
    }
}

/// Waits until a merged change has taken its branch away, which nobody waits for else.
async fn tidied_up(bed: &Bed, change: &str) -> AgentPR {
    until(changes(&bed.client), change, "tidied up", |c| c.status.as_ref().is_some_and(|s| s.cleaned)).await
}

/// The base branch's commits, the newest first.
async fn commits() -> Vec<Value> {
    listed("/repos/prim/factory/commits?sha=main&stat=false&verification=false&files=false").await
}

/// Its runs of all gates, as long as they are kept.
async fn gate_runs(bed: &Bed, id: &str) -> Vec<GateRun> {
    let all = bed.api::<GateRun>(NAMESPACE).list(&ListParams::default()).await.expect("GateRuns").items;
    all.into_iter().filter(|run| run.metadata.deletion_timestamp.is_none() && run.name_any().starts_with(&format!("{id}-"))).collect()
}

async fn routes(id: &str) -> usize {
    let all = admin(Method::GET, None).await;
    let host = format!("{id}.prim.sh");
    let has = |route: &&Value| route.to_string().contains(&format!("\"{host}\""));
    all.as_array().expect("routes").iter().filter(has).count()
}

/// All of it still runs, and is led to.
pub(super) async fn runs(bed: &Bed, id: &str) {
    deployments(&bed.client).get(&format!("prim-{id}")).await.expect("Deployment");
    assert_eq!((dig(&format!("{id}.prim.sh"), "A").len(), routes(id).await), (1, 1), "{id}");
}

/// Nothing is there because of it.
async fn nothing(bed: &Bed, id: &str) {
    no_branches(id).await;
    for (name, kind) in [(format!("{id}.prim.sh"), "A"), (format!("a-{id}.prim.sh"), "TXT")] {
        assert_eq!(dig(&name, kind), [""; 0], "{id}: records");
    }
    assert_eq!(routes(id).await, 0, "{id}: routes");
    // The garbage collector and the claims' own controller come after.
    empty::<Service>(bed, RUN, id).await;
    empty::<Deployment>(bed, RUN, id).await;
    empty::<ConfigMap>(bed, RUN, id).await;
    empty::<Secret>(bed, RUN, id).await;
    empty::<PersistentVolumeClaim>(bed, RUN, id).await;
    let api: Api<AgentPR> = bed.api(NAMESPACE);
    for change in names(api.list(&of(id)).await.expect("list")).into_iter().filter(|name| !name.contains("-remove-")) {
        disappears(&api, &change).await;
    }
}

async fn empty<K>(bed: &Bed, namespace: &str, id: &str)
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned
        + Send
        + 'static,
{
    let api: Api<K> = bed.api(namespace);
    for name in names(api.list(&of(id)).await.expect("list")) {
        disappears(&api, &name).await;
    }
}

async fn disappears<K>(api: &Api<K>, name: &str)
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
{
    let gone = await_condition(api.clone(), name, |found: Option<&K>| found.is_none());
    if tokio::time::timeout(PATIENCE, gone).await.is_err() {
        panic!("{name} is still there: {:#?}", api.get(name).await);
    }
}
