//! Observes an AgentPR: its files, the forge, its gates, its place among others.
//! What that comes to is `decide/agent_pr`.

use async_trait::async_trait;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{
    Api, ResourceExt,
    api::{ApiResource, DynamicObject, ListParams},
    core::{DeserializeGuard, Object},
};
use serde::Deserialize;

use super::{
    apply::Hands,
    catalogue,
    code::{Source, base_branch},
    connections::{self, Connection},
    context::Context,
    driver::{Kind, StatusFields},
    objects, proposal,
};
use crate::{
    api::{
        API_VERSION,
        agent_pr::{AgentPR, AgentPRStatus},
        conditions::{self, ConditionType, Reason},
        factory::Factory,
        gate_run::GateRun,
        names::{Branch, Sha},
        primitive::Primitive,
        references::{FactoryReference, reached},
    },
    decide::{
        self, Action, Decision, Now, ObjectName, Receipt,
        agent_pr::{CHANGE_LABEL, ForgeSeen, GateSeen, Me, Rules, Seen},
    },
    ports::{
        error::{Class, PortError},
        forge::{Forge, PullState},
    },
    telemetry::{EditedLabel, Metrics},
};

/// Merged changes of a primitive that are kept with their GateRuns.
const KEPT: usize = 3;

#[async_trait]
impl Kind for AgentPR {
    type Seen = Seen;
    type Status = AgentPRStatus;
    const NAME: &'static str = "AgentPR";
    const FINALIZER: Option<&'static str> = Some("flywheel.prim.sh/agentpr");

    async fn observe(&self, cx: &Context, _: Now) -> Result<(Seen, Hands), PortError> {
        let namespace = self.namespace().unwrap_or_default();
        let previous = self.status.clone().unwrap_or_default();
        let deleting = self.metadata.deletion_timestamp.is_some();
        let not_looked = || PortError::new(Class::Waiting, Reason::NotChecked, "not looked at");
        let factory_name = self.spec.factory_ref.name.clone();
        let mut hands = Hands { factory: Some((namespace.clone(), factory_name.clone())), ..Hands::default() };

        // Merged and tidied up: nothing is asked of anybody any more.
        let settled = previous.cleaned && !deleting;
        let all = if settled { Vec::new() } else { list(&namespace, cx).await? };
        let others: Vec<_> =
            all.iter().filter(|o| o.metadata.uid != self.metadata.uid && o.spec.factory_ref == self.spec.factory_ref).collect();
        let me = me(self, &namespace, deleting, &others);
        let mut seen = Seen {
            spec: self.spec.clone(),
            previous,
            orphaned: false,
            rules: Err(not_looked()),
            change: Err(not_looked()),
            forge: Err(not_looked()),
            gates: Vec::new(),
            unreadable: Vec::new(),
            paused: None,
            surplus: Vec::new(),
            ahead: ahead(self, &others),
            others: others.iter().any(|other| goes_on(other)),
            open: others.iter().filter(|o| is_open(o) || takes_place(o, self)).count(),
            me,
        };
        if settled {
            return Ok((seen, hands));
        }
        let factories: Api<Factory> = Api::namespaced(cx.client.clone(), &namespace);
        let factory = match objects::get(&factories, &factory_name, "spec.factoryRef.name: Factory").await {
            Ok(factory) => factory,
            // Only what is known to be gone is taken for gone.
            Err(error) if error.reason == Reason::Waiting => {
                (seen.rules, seen.orphaned) = (Err(error), true);
                return Ok((seen, hands));
            }
            Err(error) => return Err(error),
        };
        seen.rules = rules(&factory);
        let derived = catalogue::is(self);
        if seen.previous.number.is_none() && !deleting && !derived {
            seen.change = proposal::read(self, &namespace, cx).await;
        }
        let connection = connections::forge(&factory, cx).await.map_err(|error| connections::of_factory(&factory, &error));
        hands.forge = Hands::client(&connection);
        seen.forge = match &connection {
            Ok(connection) => look(self, &seen, &factory, connection, cx).await.map(Box::new),
            Err(error) => Err(PortError::new(error.class, error.reason, error.message.clone())),
        };
        if let (Ok(connection), Ok(forge), None) = (&connection, &seen.forge, seen.previous.number)
            && derived
            && !deleting
        {
            // What it is made on is what it follows from, in each pass.
            let onto = seen.previous.onto.as_ref().and_then(|sha| sha.parse().ok()).unwrap_or_else(|| forge.base.clone());
            seen.change =
                catalogue::change(&factory, &onto, connection, cx).await.map_err(|error| connections::of_factory(&factory, &error));
        }
        (seen.gates, seen.unreadable) = gates(self, &namespace, cx).await?;
        seen.paused = paused(self, &namespace, cx).await?;
        if seen.forge.as_ref().is_ok_and(|forge| forge.merged.is_some()) {
            seen.surplus = surplus(self, &others, &namespace, cx).await?;
        }
        Ok((seen, hands))
    }

    fn decide(seen: &Seen, now: Now) -> Decision<AgentPRStatus> {
        decide::agent_pr::decide(seen, now)
    }

    fn status(&self) -> Option<&AgentPRStatus> {
        self.status.as_ref()
    }

    fn shed(&mut self) {
        if self.status.as_ref().is_some_and(|status| status.cleaned) {
            self.spec.files = None;
        }
    }

    fn receive(status: &mut AgentPRStatus, done: &[(&Action, Receipt)]) {
        decide::agent_pr::receive(status, done);
    }

    fn measure(&self, before: Option<&AgentPRStatus>, after: &AgentPRStatus, metrics: &Metrics) {
        let first = |name: &str| {
            let was = before.and_then(|b| reached(&b.milestones, name));
            reached(&after.milestones, name).filter(|_| was.is_none())
        };
        let since = |from: &str, to: Timestamp| Some(to.duration_since(reached(&after.milestones, from)?).as_secs_f64());
        if let Some(seconds) = first("Green").and_then(|at| since("Seen", at)) {
            metrics.spec_to_green.observe(seconds);
        }
        if let Some(at) = first("Merged") {
            metrics.merged.get_or_create(&EditedLabel { edited: if after.edited { "true" } else { "false" } }).inc();
            if let Some(seconds) = since("Green", at) {
                metrics.green_to_merged.observe(seconds);
            }
        }
        let flips = |status: &AgentPRStatus| {
            status.attempts.windows(2).filter(|pair| pair[0].tree == pair[1].tree && flipped(pair[0].verdict, pair[1].verdict)).count()
        };
        let flipped = flips(after).saturating_sub(before.map_or(0, flips));
        metrics.verdict_flips.inc_by(flipped as u64);
    }
}

/// The same tree, judged twice, in two ways.
fn flipped(one: Option<crate::api::gate_run::Verdict>, other: Option<crate::api::gate_run::Verdict>) -> bool {
    matches!((one, other), (Some(one), Some(other)) if one != other)
}

impl StatusFields for AgentPRStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    fn set(&mut self, conditions: Vec<Condition>, generation: Option<i64>) {
        self.conditions = conditions;
        self.observed_generation = generation;
    }
}

fn me(object: &AgentPR, namespace: &str, deleting: bool, others: &[&Other]) -> Me {
    let created = object.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |t| t.0);
    let uid = object.uid().unwrap_or_default();
    let plain = format!("agent/{}-{}", object.spec.primitive, created.as_second());
    // Two changes of one primitive within a second.
    let taken = others.iter().any(|o| {
        o.spec.primitive == object.spec.primitive && o.creation_timestamp().is_some_and(|t| t.0.as_second() == created.as_second())
    });
    let name = if taken { format!("{plain}-{}", &uid.chars().take(8).collect::<String>()) } else { plain };
    let branch = name.parse::<Branch>().unwrap_or_else(|_| "agent/unnamed".parse().expect("a branch name"));
    Me { namespace: namespace.into(), name: object.name_any(), uid, created, deleting, branch }
}

fn rules(factory: &Factory) -> Result<Rules, PortError> {
    Ok(Rules {
        factory: factory.name_any(),
        base: base_branch(factory)?,
        required_check: factory.spec.policy.required_check.clone(),
        max_open: usize::try_from(factory.spec.policy.max_open_pull_requests).unwrap_or(1),
    })
}

/// What is read of other AgentPRs: their files are large.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub factory_ref: FactoryReference,
    pub primitive: String,
}

/// Another AgentPR.
pub(super) type Other = Object<Summary, AgentPRStatus>;

/// Every AgentPR that can be read; one that can't must not stop the others.
pub(super) async fn list(namespace: &str, cx: &Context) -> Result<Vec<Other>, PortError> {
    let api: Api<DeserializeGuard<Other>> = Api::namespaced_with(cx.client.clone(), namespace, &ApiResource::erase::<AgentPR>(&()));
    let list = objects::timely(api.list(&ListParams::default())).await?;
    Ok(list.items.into_iter().filter_map(|guard| guard.0.ok()).collect())
}

/// What orders changes: age, then name.
fn place(object: &impl ResourceExt) -> (Option<Timestamp>, String) {
    (object.creation_timestamp().map(|t| t.0), object.name_any())
}

/// Changes that are merged before this one: older ones that are on their way.
fn ahead(object: &AgentPR, others: &[&Other]) -> Vec<String> {
    let mine = place(object);
    let mut ahead: Vec<_> = others.iter().filter(|o| goes_on(o)).map(|o| place(*o)).filter(|p| *p < mine).collect();
    ahead.sort();
    ahead.into_iter().map(|(_, name)| name).collect()
}

/// Proposed, and neither ended nor waiting for somebody, nor red so far: such a one is
/// tried again, and holds nobody up. Nor does one that has no pull request yet.
fn goes_on(object: &Other) -> bool {
    let proposed = object.status.as_ref().is_some_and(|status| status.number.is_some() && !decide::agent_pr::is_red(status));
    proposed && is_running(object)
}

/// Neither ended nor waiting for somebody.
pub(super) fn is_running(object: &Other) -> bool {
    let ended = object.status.as_ref().is_some_and(|status| {
        let says = |kind: ConditionType| conditions::find(&status.conditions, kind).is_some_and(|c| c.status == "True");
        status.merge_sha.is_some() || says(ConditionType::Ready) || says(ConditionType::Stalled)
    });
    !ended && object.metadata.deletion_timestamp.is_none()
}

/// It has a pull request that nobody has merged or closed, whether or not anything
/// comes of it: what is red is open too.
fn is_open(other: &Other) -> bool {
    other.status.as_ref().is_some_and(|status| {
        let ready = conditions::find(&status.conditions, ConditionType::Ready);
        let closed = ready.is_some_and(|c| c.status == "True" || c.reason == Reason::Closed.as_str());
        status.number.is_some() && status.merge_sha.is_none() && !closed && other.metadata.deletion_timestamp.is_none()
    })
}

/// It makes a pull request, or comes before `mine` in getting one: so that the
/// younger never wait for the older and these for a place.
fn takes_place(other: &Other, mine: &AgentPR) -> bool {
    let proposed = other.status.as_ref().is_some_and(|status| status.branch.is_some());
    is_running(other) && (proposed || place(other) < place(mine))
}

async fn look(
    object: &AgentPR,
    seen: &Seen,
    factory: &Factory,
    connection: &Connection<dyn Forge>,
    cx: &Context,
) -> Result<ForgeSeen, PortError> {
    let source = Source::new(factory, connection, cx);
    let base_name = base_branch(factory)?;
    let base = connection.ask(cx, |forge| async move { forge.branch(&base_name).await }).await?.head;
    if let Ok(change) = &seen.change {
        source.expect(&base, change.files.iter().filter_map(|file| file.content.as_deref()));
    }
    // What it is, is said when it is proposed.
    let in_base =
        catalogue::is(object) || seen.previous.number.is_none() && source.packages(&base).await?.contains_key(&object.spec.primitive);
    let mut looked = ForgeSeen { base, in_base, head: None, pull: None, merged: None };
    // Nothing was made before its name stood in the status.
    let Some(branch) = seen.previous.branch.as_ref().and_then(|b| b.parse::<Branch>().ok()) else { return Ok(looked) };
    let name = branch.clone();
    let head = match connection.ask(cx, |forge| async move { forge.branch(&name).await }).await {
        Ok(state) => Some(state.head),
        Err(error) if error.reason == Reason::BranchNotFound => None,
        Err(error) => return Err(error),
    };
    if let Some(head) = head {
        looked.head = Some(commit(&source, &head).await?);
    }
    let (number, wanted) = (seen.previous.number.and_then(|n| u64::try_from(n).ok()), branch.to_string());
    // It is opened after its commit was written down, and opening finds one that is
    // there all the same.
    if number.is_none() && seen.previous.made.is_none() {
        return Ok(looked);
    }
    let base_name = base_branch(factory)?;
    looked.pull = connection
        .ask(cx, |forge| async move {
            match number {
                Some(number) => forge.pull(number).await,
                None => forge.find_pull(&base_name, &branch).await,
            }
        })
        .await?
        // In another repository, which a Factory that was made anew may have, the number is
        // somebody else's.
        .filter(|pull| pull.head_branch == wanted);
    if let Some(PullState::Merged(sha)) = looked.pull.as_ref().map(|pull| pull.state.clone()) {
        looked.merged = Some(commit(&source, &sha).await?);
    }
    Ok(looked)
}

async fn commit(source: &Source<'_>, sha: &Sha) -> Result<crate::ports::forge::Commit, PortError> {
    source.commit(sha).await?.ok_or_else(|| PortError::new(Class::Conflict, Reason::Conflict, format!("commit {sha} is gone again")))
}

/// Its runs, and the names of those that can't be read. Whoever else labelled one so
/// does not own it.
async fn gates(object: &AgentPR, namespace: &str, cx: &Context) -> Result<(Vec<GateSeen>, Vec<String>), PortError> {
    let uid = object.uid().unwrap_or_default();
    let labelled = ListParams::default().labels(&format!("{CHANGE_LABEL}={uid}"));
    let runs: Api<DeserializeGuard<GateRun>> = Api::namespaced(cx.client.clone(), namespace);
    let runs = objects::timely(runs.list(&labelled)).await?;
    let (mut seen, mut unreadable) = (Vec::new(), Vec::new());
    for run in runs.items.into_iter().filter(|run| run.owner_references().iter().any(|owner| owner.uid == uid)) {
        let name = run.name_any();
        let Ok(run) = run.0 else {
            unreadable.push(name);
            continue;
        };
        let created = run.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |t| t.0);
        let status = run.status.unwrap_or_default();
        let ready = conditions::find(&status.conditions, ConditionType::Ready);
        let message = ready.map_or_else(|| "not looked at yet".to_owned(), |c| c.message.clone());
        let Some(target) = run.spec.target.agent_pr else { continue };
        seen.push(GateSeen { name, created, revision: target.revision, verdict: status.verdict, message, results: status.results });
    }
    Ok((seen, unreadable))
}

/// Why its Primitive is paused, where it is. Read without its types: one that can't
/// be read as a whole may be paused all the same.
async fn paused(object: &AgentPR, namespace: &str, cx: &Context) -> Result<Option<String>, PortError> {
    let primitives: Api<DynamicObject> = Api::namespaced_with(cx.client.clone(), namespace, &ApiResource::erase::<Primitive>(&()));
    let Some(primitive) = objects::find(&primitives, &object.spec.primitive).await? else { return Ok(None) };
    let spec = &primitive.data["spec"];
    if spec["factoryRef"]["name"] != object.spec.factory_ref.name || spec["paused"].is_null() {
        return Ok(None);
    }
    Ok(Some(spec["paused"]["reason"].as_str().unwrap_or_default().into()))
}

/// What nobody needs any more of the primitive's former changes but for the last
/// ones: those that its Primitive made, and the runs of all others. No more are
/// looked at than one merge can add, and some that a former merge may have missed.
async fn surplus(object: &AgentPR, others: &[&Other], namespace: &str, cx: &Context) -> Result<Vec<ObjectName>, PortError> {
    let over = |o: &&&Other| o.spec.primitive == object.spec.primitive && o.status.as_ref().is_some_and(|status| status.cleaned);
    let mut over: Vec<_> = others.iter().filter(over).collect();
    over.sort_by_key(|o| std::cmp::Reverse(place(**o)));
    let runs: Api<GateRun> = Api::namespaced(cx.client.clone(), namespace);
    let named = |kind, name| ObjectName { api_version: API_VERSION, kind, namespace: namespace.into(), name };
    let mut surplus = Vec::new();
    // This one is the last of those that stay.
    for former in over.into_iter().skip(KEPT - 1).take(KEPT) {
        // Its runs go with it. What a person or a GitOps tool declared is theirs, and
        // what no gate passed is to be seen until somebody has seen to it.
        if former.owner_references().iter().any(|owner| owner.kind == "Primitive" || owner.kind == "Factory")
            && former.status.as_ref().is_some_and(|s| s.tested)
        {
            surplus.push(named(AgentPR::NAME, former.name_any()));
            continue;
        }
        let uid = former.uid().unwrap_or_default();
        let found = objects::timely(runs.list_metadata(&ListParams::default().labels(&format!("{CHANGE_LABEL}={uid}")))).await?;
        let own = found.items.into_iter().filter(|run| run.owner_references().iter().any(|owner| owner.uid == uid));
        surplus.extend(own.map(|run| named(GateRun::NAME, run.name_any())));
    }
    Ok(surplus)
}
