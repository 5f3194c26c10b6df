//! Observes a Primitive: its document, its Factory, its package on the base branch,
//! its AgentPRs, and what runs. What that comes to is `decide/primitive`. Read
//! `package.rs` next, then `outside.rs`.

mod gates;
mod idea;
mod outside;
mod package;

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Api, ResourceExt};

use super::{
    apply::Hands,
    connections::{self, Connection},
    context::Context,
    driver::{Kind, StatusFields},
    objects,
};
use crate::{
    api::{
        API_VERSION,
        agent_pr::AgentPR,
        conditions::{self, ConditionType, Reason},
        factory::Factory,
        names::PrimitiveId,
        primitive::{DeletionPolicy, Primitive, PrimitiveStatus},
        references::reached,
    },
    decide::{
        self, Decision, Now, ObjectName,
        primitive::{Base, Change, FactorySeen, Outside, Own, Seen, Wanted, change_name, removal_name},
    },
    ports::error::{Class, PortError},
    telemetry::{Metrics, PhaseLabel},
};

#[async_trait]
impl Kind for Primitive {
    type Seen = Seen;
    type Status = PrimitiveStatus;
    const NAME: &'static str = "Primitive";
    const FINALIZER: Option<&'static str> = Some("flywheel.prim.sh/primitive");

    async fn observe(&self, cx: &Context, now: Now) -> Result<(Seen, Hands), PortError> {
        let namespace = self.namespace().unwrap_or_default();
        let id: PrimitiveId = self.name_any().parse().map_err(|e| PortError::invalid("metadata.name", e))?;
        let not_looked = || PortError::new(Class::Waiting, Reason::NotChecked, "not looked at");
        let own = Own { namespace: namespace.clone(), id, uid: self.uid().unwrap_or_default() };
        let mut seen = Seen {
            spec: self.spec.clone(),
            previous: self.status.clone().unwrap_or_default(),
            unchanged: self.status.as_ref().is_some_and(|status| status.observed_generation == self.metadata.generation),
            deleting: self.metadata.deletion_timestamp.is_some(),
            document: Err(not_looked()),
            idea: idea::see(self, cx),
            factory: None,
            base: Err(not_looked()),
            current: None,
            planned: None,
            claimed: None,
            outside: Outside::Unseen,
            own,
        };
        let factory_name = &self.spec.factory_ref.name;
        let mut hands = Hands { factory: Some((namespace.clone(), factory_name.clone())), ..Hands::default() };
        if seen.spec.paused.is_some() {
            return Ok((seen, hands));
        }
        let factories: Api<Factory> = Api::namespaced(cx.client.clone(), &namespace);
        let factory = match objects::get(&factories, factory_name, "spec.factoryRef.name: Factory").await {
            Ok(factory) => factory,
            // Only what is known to be gone is taken for gone.
            Err(error) if error.reason == Reason::Waiting => {
                if let Some(idea) = &mut seen.idea {
                    idea.model = Err(again(&error));
                }
                (seen.document, seen.base) = (self.wanted(&seen, None), Err(error));
                return Ok((seen, hands));
            }
            Err(error) => return Err(error),
        };
        seen.document = self.wanted(&seen, Some(&factory));
        seen.factory = Some(factory_seen(&factory));
        let forge = connections::forge(&factory, cx).await.map_err(|error| connections::of_factory(&factory, &error));
        seen.base = match &forge {
            Ok(forge) if seen.deleting && seen.spec.deletion_policy == DeletionPolicy::Delete => {
                package::newest(&factory, &seen.own.id, forge, cx).await
            }
            Ok(forge) => package::base(&factory, &seen.own.id, forge, cx).await,
            Err(error) => Err(again(error)),
        };
        hands.author = idea::reach(self, &mut seen, &factory, cx).await;
        changes(&mut seen, cx).await?;
        let reach = Reach { forge, dns: connections::dns(&factory, cx).await, edge: connections::edge(&factory, cx).await };
        (hands.dns, hands.edge) = (Hands::client(&reach.dns), Hands::client(&reach.edge));
        seen.claimed = outside::claimed(&seen, &factory, &reach, cx).await;
        seen.outside = outside::see(self, &seen, &factory, &reach, now, cx).await;
        Ok((seen, hands))
    }

    fn decide(seen: &Seen, now: Now) -> Decision<PrimitiveStatus> {
        decide::primitive::decide(seen, now)
    }

    fn status(&self) -> Option<&PrimitiveStatus> {
        self.status.as_ref()
    }

    fn gone(namespace: &str, name: &str, cx: &Context) {
        cx.ideas.forget(namespace, name);
    }

    fn measure(&self, before: Option<&PrimitiveStatus>, after: &PrimitiveStatus, metrics: &Metrics) {
        let none = PrimitiveStatus::default();
        measure_gates(before.unwrap_or(&none), after, metrics);
        let at = |name: &str| reached(&after.milestones, name);
        let Some(serving) = at("Serving") else { return };
        if before.and_then(|before| reached(&before.milestones, "Serving")).is_some() {
            return;
        }
        let since = |name: &str| at(name).map(|from| serving.duration_since(from).as_secs_f64());
        if let Some(seconds) = since("Green") {
            metrics.green_to_serving.observe(seconds);
        }
        if let Some(seconds) = since("Merged") {
            metrics.merged_to_serving.observe(seconds);
        }
        if let Some(seconds) = since("Proposed") {
            metrics.spec_to_serving.observe(seconds);
        }
    }
}

impl Primitive {
    /// The document that is proposed, read.
    fn wanted(&self, seen: &Seen, factory: Option<&Factory>) -> Result<Wanted, PortError> {
        let (path, document) = idea::document(self, seen.idea.as_ref())?;
        package::wanted(path, document, factory)
    }
}

impl StatusFields for PrimitiveStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    fn set(&mut self, conditions: Vec<Condition>, generation: Option<i64>) {
        self.conditions = conditions;
        self.observed_generation = generation;
    }
}

/// Counts what gates said otherwise than before of the same tree, what passed only on
/// a second try, and phases that were reached.
fn measure_gates(before: &PrimitiveStatus, after: &PrimitiveStatus, metrics: &Metrics) {
    for now in &after.gates {
        let was = before.gates.iter().find(|was| was.layer == now.layer && was.tree == now.tree).and_then(|was| was.verdict);
        if was.is_some() && now.verdict.is_some() && was != now.verdict {
            metrics.verdict_flips.inc();
        }
    }
    let flaky = after.flaky.iter().filter(|flaky| !before.flaky.iter().any(|was| was.gate == flaky.gate)).count();
    metrics.gate_flakes.inc_by(flaky as u64);
    if let Some(phase) = after.phase.filter(|phase| before.phase != Some(*phase)) {
        metrics.phases.get_or_create(&PhaseLabel { phase: phase.as_str() }).inc();
    }
}

/// Ways to what leads to a primitive.
struct Reach {
    forge: Result<Connection<dyn crate::ports::forge::Forge>, PortError>,
    dns: Result<Connection<dyn crate::ports::dns::Dns>, PortError>,
    edge: Result<Connection<dyn crate::ports::edge::Edge>, PortError>,
}

/// The same error once more: errors carry what they came from, which can't be copied.
fn again(error: &PortError) -> PortError {
    PortError::new(error.class, error.reason, error.message.clone())
}

fn factory_seen(factory: &Factory) -> FactorySeen {
    let forge = factory
        .status
        .iter()
        .flat_map(|status| &status.conditions)
        .find(|condition| condition.type_ == ConditionType::ForgeReady.as_str() && condition.status != "True");
    FactorySeen {
        name: ObjectName {
            api_version: API_VERSION,
            kind: "Factory",
            namespace: factory.namespace().unwrap_or_default(),
            name: factory.name_any(),
        },
        default_stage: factory.spec.policy.default_stage,
        gates: factory.spec.policy.gates.clone(),
        forge_hold: forge.map(|condition| format!("Factory {}: {}", factory.name_any(), condition.message)),
    }
}

/// The AgentPR of the last proposal, and the one that would be made now.
async fn changes(seen: &mut Seen, cx: &Context) -> Result<(), PortError> {
    let own = &seen.own;
    let removal = || match &seen.base {
        Ok(Base { package: Some(package), .. }) => Some(removal_name(&own.id, &package.tree)),
        _ => None,
    };
    // With Retain there is one too, where the policy was Delete a moment ago.
    let planned = if seen.deleting { removal() } else { seen.document.as_ref().ok().map(|wanted| change_name(&own.id, &wanted.made)) };
    let owned = !seen.deleting;
    let current = seen.previous.agent_pr.clone();
    let same = planned == current;
    let planned = change(planned, owned, seen, cx).await?;
    let current = if same { planned.clone() } else { change(current, true, seen, cx).await? };
    (seen.current, seen.planned) = (current, planned);
    Ok(())
}

async fn change(name: Option<String>, owned: bool, seen: &Seen, cx: &Context) -> Result<Option<Change>, PortError> {
    let Some(name) = name else { return Ok(None) };
    let api: Api<AgentPR> = Api::namespaced(cx.client.clone(), &seen.own.namespace);
    Ok(objects::find(&api, &name).await?.map(|object| read_change(&object, owned, seen)))
}

fn read_change(object: &AgentPR, owned: bool, seen: &Seen) -> Change {
    let status = object.status.clone().unwrap_or_default();
    let condition = |kind: ConditionType| conditions::find(&status.conditions, kind);
    let ready = condition(ConditionType::Ready).map(|c| {
        let reason = Reason::ALL.iter().copied().find(|reason| reason.as_str() == c.reason).unwrap_or(Reason::Waiting);
        (c.status == "True", reason, c.message.clone())
    });
    let foreign = if object.spec.primitive != seen.own.id.as_str() {
        Some(format!("changes primitive {}", object.spec.primitive))
    } else if object.spec.factory_ref != seen.spec.factory_ref {
        Some(format!("belongs to Factory {}", object.spec.factory_ref.name))
    } else if owned && !object.owner_references().iter().any(|owner| owner.uid == seen.own.uid) {
        Some("was made by somebody else".to_owned())
    } else {
        None
    };
    Change {
        name: object.name_any(),
        foreign,
        going: object.metadata.deletion_timestamp.is_some(),
        settled_at: condition(ConditionType::Ready)
            .filter(|c| c.status == "True")
            .map(|c| c.last_transition_time.0)
            .or_else(|| reached(&status.milestones, "Merged")),
        green: reached(&status.milestones, "Green"),
        branch: status.branch.clone().filter(|_| status.made.is_some() && !status.cleaned),
        merged: status.merge_sha.clone(),
        base: status.base.clone(),
        url: status.url.clone(),
        stalled: condition(ConditionType::Stalled).is_some_and(|c| c.status == "True"),
        ready,
    }
}
