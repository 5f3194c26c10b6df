//! Invariants over whatever may be seen of a Primitive.

use flywheel::{
    api::{
        conditions::{ConditionType, Reason, Truth},
        gate_run::{Layer, RoomLeft, Tested, Verdict},
        names::Fqdn,
        policy::{CleanRoomPolicy, GatesSpec},
        primitive::{DeletionPolicy, Document, IdeaStatus, LayerVerdict, Pause, Phase, PrimitiveStatus, Stage, Version},
    },
    decide::{
        Action, Manifest, ObjectName, audit,
        primitive::{
            Asked, Base, Change, Deployment, Gate, IdeaSeen, ModelSeen, Naming, Outside, Probed, Remains, Rollout, Running, Seen, Told,
            decide, run_name,
        },
    },
    ports::{
        dns::{AddressRecord, Holder, NameState, Owner},
        edge::Route,
        error::{Class, PortError},
    },
};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::json;

use super::decisions::{HASH, now, open, package, seen};
use crate::world::forge::sha;

fn host() -> Fqdn {
    "notes.prim.sh".parse().unwrap()
}

fn route() -> Route {
    Route { id: "route-prim-notes".into(), host: host(), upstream: "10.0.0.1:80".parse().unwrap() }
}

fn owner() -> Owner {
    Owner::primitive("prim", "flywheel", "notes")
}

fn record() -> AddressRecord {
    AddressRecord { name: host(), address: "192.0.2.80".parse().unwrap(), ttl: 60, owner: owner() }
}

fn failed(class: Class) -> PortError {
    PortError::new(class, Reason::Unreachable, "it does not answer")
}

/// A version that should run, with this rollout.
pub fn deployed(rollout: Rollout, differs: bool) -> Seen {
    let manifests =
        ["ConfigMap", "Deployment"].map(|kind| Manifest(json!({ "kind": kind, "metadata": { "name": "n", "namespace": "run" } })));
    Seen {
        outside: Outside::Wanted(Box::new(Deployment {
            version: Version { commit: sha(1).to_string(), tree: sha(7).to_string() },
            manifests: manifests.to_vec(),
            missing: Vec::new(),
            running: Running { tree: Some(sha(7).to_string()), rollout, differs },
            old: Vec::new(),
            naming: None,
            plans: [Layer::Contract, Layer::Canary, Layer::CleanRoom].map(|layer| (layer, "plan".into())).into(),
            tool: "image:1".into(),
            runs: Vec::new(),
        })),
        ..seen()
    }
}

fn class() -> impl Strategy<Value = Class> {
    select(vec![Class::Transient, Class::Conflict, Class::Waiting, Class::Invalid, Class::Denied, Class::Bug])
}

fn change() -> impl Strategy<Value = Change> {
    let ready = option::of((any::<bool>(), select(Reason::ALL)));
    (any::<[bool; 3]>(), option::of(1..4u64), option::of(1..4u64), ready).prop_map(|([foreign, going, stalled], merged, base, ready)| {
        Change {
            foreign: foreign.then(|| "belongs to another".into()),
            going,
            stalled,
            merged: merged.map(|n| sha(n).to_string()),
            base: base.map(|n| sha(n).to_string()),
            branch: going.then(|| "agent/notes".into()),
            ready: ready.map(|(ready, reason)| (ready, reason, "said".into())),
            ..open()
        }
    })
}

fn name_state() -> impl Strategy<Value = NameState> {
    let holder = select(vec![
        None,
        Some(Holder::Marked(owner())),
        Some(Holder::Marked(Owner::primitive("other", "x", "y"))),
        Some(Holder::Unmarked("A 198.51.100.7".into())),
    ]);
    (holder, any::<bool>(), select(vec![None, Some(60), Some(5)])).prop_map(|(holder, right, ttl)| {
        let address = if right { "192.0.2.80" } else { "198.51.100.7" };
        NameState { addresses: holder.iter().map(|_| address.parse().unwrap()).collect(), ttl, holder }
    })
}

/// The name leads here, and the service answers there.
pub fn answering() -> Naming {
    let name = NameState { addresses: vec!["192.0.2.80".parse().unwrap()], ttl: Some(60), holder: Some(Holder::Marked(owner())) };
    let probed = Probed::Answered { status: 200, service: Some("notes".into()), right: true };
    Naming { route: route(), record: Ok(record()), routes: Ok(vec![route()]), host_taken: false, name: Ok(name), probed }
}

fn naming() -> impl Strategy<Value = Naming> {
    let routes = select(vec![vec![], vec![route()], vec![Route { id: "theirs".into(), ..route() }]]);
    let parts = (option::weighted(0.8, routes), option::weighted(0.8, name_state()), probed(), class(), option::weighted(0.2, Just(())));
    parts.prop_map(|(routes, name, probed, class, taken)| Naming {
        route: route(),
        record: Ok(record()),
        routes: routes.ok_or_else(|| failed(class)),
        host_taken: taken.is_some(),
        name: name.ok_or_else(|| failed(class)),
        probed,
    })
}

fn probed() -> impl Strategy<Value = Probed> {
    (0..4u8, class()).prop_map(|(probed, class)| match probed {
        0 => Probed::NotTried,
        1 => Probed::Failed(failed(class)),
        other => Probed::Answered { status: 200, service: Some("notes".into()), right: other == 2 },
    })
}

fn verdict() -> impl Strategy<Value = Option<Verdict>> {
    select(vec![None, Some(Verdict::Passed), Some(Verdict::Failed), Some(Verdict::Blocked), Some(Verdict::Error)])
}

/// Some rooms are confined, and no other layer is.
fn confined(layer: Layer, ago: Option<i64>) -> Option<String> {
    ago.filter(|ago| layer == Layer::CleanRoom && ago % 2 == 0).map(|_| "RuntimeClass gvisor".into())
}

/// A run of either layer, of this version and others, by this plan and others.
fn gate() -> impl Strategy<Value = Gate> {
    let name = (1..4u64, select(vec![7u64, 8]), select(vec![Layer::Contract, Layer::Canary, Layer::CleanRoom]));
    let about = (option::of(select(vec!["plan", "older"])), option::of(0..4000i64), option::of(1..4i64));
    (name, option::weighted(0.9, Just(())), verdict(), about).prop_map(|((number, tree, layer), ours, verdict, (plan, ago, untried))| {
        Gate {
            name: run_name(&"notes".parse().unwrap(), sha(tree).as_str(), layer, number),
            layer,
            ours: ours.is_some(),
            created: Timestamp::UNIX_EPOCH,
            verdict,
            at: ago.map(|ago| now().at - SignedDuration::from_secs(ago)),
            message: "m".into(),
            untried,
            missed: layer == Layer::Canary && verdict == Some(Verdict::Blocked) && untried == Some(1),
            tested: plan.map(|plan| Tested {
                tree: String::new(),
                plan: plan.into(),
                tool: "image:1".into(),
                confined_by: confined(layer, ago),
            }),
            before: untried,
            room_left: untried.map(|untried| RoomLeft { name: format!("room-{untried}"), until: None }),
            rooms_emptied: ago.map(|ago| format!("room-{}", ago % 4)).into_iter().collect(),
        }
    })
}

/// Something that a layer said of this version, or of another.
fn told(layer: Layer) -> impl Strategy<Value = LayerVerdict> {
    let names = (1..4u64, option::of(1..4u64), select(vec![7u64, 8]), any::<bool>());
    (names, verdict(), option::of(select(vec!["plan", "older"])), option::of(0..4000i64), option::of(1..4i64)).prop_map(
        move |((gate, running, tree, retrying), verdict, plan, ago, untried)| {
            let name = |number| run_name(&"notes".parse().unwrap(), sha(tree).as_str(), layer, number);
            LayerVerdict {
                layer,
                tree: sha(tree).to_string(),
                gate: name(gate),
                verdict,
                message: None,
                untried,
                at: ago.map(|ago| Time(now().at - SignedDuration::from_secs(ago))),
                plan: plan.map(Into::into),
                tool: plan.map(|_| "image:1".into()),
                confined_by: confined(layer, ago),
                reused_from: None,
                running: running.map(name),
                retrying: retrying && running.is_some(),
            }
        },
    )
}

fn policy() -> impl Strategy<Value = GatesSpec> {
    let canary = json!({ "model": { "url": "https://model.example/v1", "name": "m" } });
    let live = vec![vec![Layer::Contract], vec![Layer::Contract, Layer::Canary], vec![Layer::Contract, Layer::Canary, Layer::CleanRoom]];
    (any::<[bool; 2]>(), select(live), select(vec![0, 3600]), 0..3i32).prop_map(move |([model, rooms], live, regate, budget)| GatesSpec {
        canary: model.then(|| serde_json::from_value(canary.clone()).unwrap()),
        clean_room: rooms.then(|| CleanRoomPolicy { unconfined: budget == 1, ..CleanRoomPolicy::default() }),
        live,
        regate_every_seconds: regate,
        flaky_budget: budget,
        ..GatesSpec::default()
    })
}

fn wanted() -> impl Strategy<Value = Outside> {
    let rollout = select(vec![
        Rollout::Absent,
        Rollout::Going("x".into()),
        Rollout::Stuck("x".into()),
        Rollout::Down("x".into()),
        Rollout::Ready,
        Rollout::Ready,
    ]);
    (rollout, any::<[bool; 2]>(), option::weighted(0.8, naming()), vec(gate(), 0..6)).prop_map(
        |(rollout, [differs, right], naming, mut runs)| {
            let Outside::Wanted(mut deployment) = deployed(rollout, differs).outside else { unreachable!() };
            deployment.running.tree = right.then(|| sha(7).to_string());
            deployment.naming = naming;
            // As the API server has them: one of each name.
            runs.sort_by(|a, b| a.name.cmp(&b.name));
            runs.dedup_by(|a, b| a.name == b.name);
            deployment.runs = runs;
            Outside::Wanted(deployment)
        },
    )
}

fn unwanted() -> impl Strategy<Value = Outside> {
    let kinds = vec(select(vec!["Deployment", "Service", "Secret", "PersistentVolumeClaim"]), 0..4);
    (option::weighted(0.8, name_state()), option::weighted(0.8, any::<bool>()), kinds, class(), any::<bool>()).prop_map(
        |(name, route, kinds, class, looked)| {
            let object = |kind| ObjectName { api_version: "v1", kind, namespace: "run".into(), name: "n".into() };
            Outside::Unwanted(Remains {
                name: looked.then(|| (owner(), host(), name.ok_or_else(|| failed(class)))),
                route: looked.then(|| ("route-prim-notes".into(), route.ok_or_else(|| failed(class)))),
                objects: kinds.into_iter().map(object).collect(),
            })
        },
    )
}

fn outside() -> impl Strategy<Value = Outside> {
    prop_oneof![1 => Just(()).prop_map(|()| Outside::Unseen), 6 => wanted(), 3 => unwanted(), 1 => option::of(probed()).prop_map(Outside::Unread), 1 => class().prop_map(|class| Outside::Failed(failed(class)))]
}

/// A condition that was said to be good.
fn said(kind: &str) -> Condition {
    Condition {
        type_: kind.into(),
        status: "True".into(),
        reason: "Verified".into(),
        message: "good".into(),
        observed_generation: None,
        last_transition_time: Time(now().at),
    }
}

fn previous() -> impl Strategy<Value = PrimitiveStatus> {
    let gates = (option::of(told(Layer::Contract)), option::of(told(Layer::Canary)), option::of(told(Layer::CleanRoom)));
    let phase = select(vec![None, Some(Phase::Building), Some(Phase::Testing), Some(Phase::Live), Some(Phase::Degraded)]);
    (option::of(select(vec![HASH, "older"])), any::<[bool; 3]>(), gates, phase).prop_map(
        |(hash, [ran, merged, ready], (contract, canary, room), phase)| {
            let tree = sha(7).to_string();
            let mut status = PrimitiveStatus {
                proposed_hash: hash.map(Into::into),
                agent_pr: hash.map(|_| open().name),
                tree: ran.then_some(tree),
                gates: contract.into_iter().chain(canary).chain(room).collect(),
                phase,
                url: ran.then(|| "https://notes.prim.sh".into()),
                ..PrimitiveStatus::default()
            };
            if ready {
                status.conditions = ["Ready", "Deployed", "Serving"].map(said).to_vec();
            }
            if merged {
                flywheel::api::references::reach(&mut status.milestones, "Merged", Time(now().at));
            }
            status
        },
    )
}

fn written() -> Document {
    serde_json::from_value(json!({ "id": "notes" })).unwrap()
}

fn reply() -> impl Strategy<Value = Told> {
    (any::<bool>(), 0..4i64, option::of(class()), 0..400u64).prop_map(|(strict, rounds, class, age)| Told {
        document: strict.then(written),
        problems: vec!["id: must be notes".into(); usize::from(!strict)],
        rounds,
        input_tokens: rounds * 1000,
        output_tokens: rounds,
        at: now().at - std::time::Duration::from_secs(age),
        model: model("1"),
        failed: class.filter(|_| !strict).map(failed),
    })
}

fn model(account: &str) -> ModelSeen {
    ModelSeen { name: "m".into(), account: account.into(), rounds: 3, input_price: Some(2_000_000), output_price: None }
}

/// An idea, and what the status says of it.
fn idea() -> impl Strategy<Value = (IdeaSeen, (Option<IdeaStatus>, Option<Document>))> {
    let asked = (0..4u8, reply()).prop_map(|(which, reply)| match which {
        0 => Asked::Nothing,
        1 => Asked::Queued,
        2 => Asked::Going,
        _ => Asked::Ended(Box::new(reply)),
    });
    let noted = option::weighted(0.8, (select(vec!["h", "older"]), 0..4i64, any::<bool>()));
    let account = option::weighted(0.9, select(vec!["1", "2"]));
    (asked, account, class(), noted, any::<bool>()).prop_map(|(asked, account, class, noted, there)| {
        let fresh = noted.is_none();
        let model = account.map(model).ok_or_else(|| failed(class));
        let idea = IdeaSeen { hash: "h".into(), model, asked, fresh, there: (there && fresh).then(written) };
        let status = noted.map(|(hash, rounds, _)| IdeaStatus {
            hash: hash.into(),
            since: Time(now().at),
            rounds,
            input_tokens: rounds * 1000,
            output_tokens: rounds,
            cost_usd: None,
            problems: Vec::new(),
        });
        (idea, (status, noted.filter(|(_, _, written)| *written).map(|_| written())))
    })
}

fn anything() -> impl Strategy<Value = Seen> {
    let spec = (
        option::weighted(0.1, Just(())),
        select(vec![None, Some(Stage::Building), Some(Stage::Testing), Some(Stage::Live)]),
        any::<[bool; 2]>(),
    );
    let base = (option::weighted(0.9, option::of(select(vec![HASH, "other"]))), 1..4u64, class());
    let changes = (option::of(change()), option::of(change()));
    let thought = option::weighted(0.3, idea());
    let whole = (option::weighted(0.9, Just(())), option::weighted(0.9, policy()), option::weighted(0.2, Just(())));
    (spec, base, changes, whole, outside(), previous(), thought).prop_map(
        |(spec, base, (current, planned), (document, factory, hold), outside, previous, thought)| {
            let mut seen = Seen { current, planned, outside, previous, ..seen() };
            if let Some((idea, noted)) = thought {
                (seen.previous.idea, seen.previous.document) = noted;
                seen.spec.document = None;
                seen.idea = Some(idea);
            }
            let (paused, stage, [deleting, delete]) = spec;
            seen.spec.paused = paused.map(|()| Pause { reason: "held".into() });
            seen.spec.stage = stage;
            seen.deleting = deleting;
            seen.spec.deletion_policy = if delete { DeletionPolicy::Delete } else { DeletionPolicy::Retain };
            let (package_hash, commit, class) = base;
            seen.base = match package_hash {
                Some(hash) => Ok(Base { commit: sha(commit), package: hash.map(package) }),
                None => Err(failed(class)),
            };
            if document.is_none() {
                seen.document = Err(PortError::invalid("spec.document", "is wrong"));
            }
            match (factory, &mut seen.factory) {
                (Some(policy), Some(factory)) => {
                    factory.gates = policy;
                    factory.forge_hold = hold.map(|()| "Factory prim: down".into());
                }
                _ => {
                    seen.factory = None;
                    seen.base = Err(failed(Class::Waiting));
                }
            }
            seen
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_seen_the_decision_is_sound(seen in anything()) {
        let decision = decide(&seen, now());
        prop_assert_eq!(audit::check(&decision), Ok(()));
        let said = |kind| decision.statements.iter().find(|s| s.kind == kind).map(|s| s.status);
        let ready = said(ConditionType::Ready) == Some(Truth::True);

        if seen.spec.paused.is_some() {
            prop_assert!(decision.actions.is_empty(), "held, and {:?}", decision.actions);
        }
        let asks = decision.actions.iter().find_map(|a| if let Action::AskModel(question) = a { Some(question) } else { None });
        if let Some(question) = asks {
            let idea = seen.idea.as_ref().expect("an idea");
            let status = decision.status.idea.as_ref().expect("what was used is noted");
            prop_assert!(seen.previous.idea.as_ref() == Some(status), "asked before what was used was noted");
            prop_assert!(idea.model.is_ok() && !matches!(idea.asked, Asked::Queued | Asked::Going) && !seen.deleting);
            prop_assert!(i64::from(question.rounds) + status.rounds <= 3 && question.rounds > 0 && decision.status.document.is_none());
        }
        if seen.document.is_err() {
            prop_assert!(!seen.deleting || !ready);
            let proposes = |a: &Action| matches!(a, Action::CreateObject(Manifest(m)) if m["kind"] == "AgentPR");
            prop_assert!(seen.deleting || !decision.actions.iter().any(proposes));
        }
        if let (Outside::Unread(probed), true) = (&seen.outside, ready) {
            let answers = probed.as_ref().is_none_or(|probed| matches!(probed, Probed::Answered { right: true, .. }));
            prop_assert!(seen.base.is_err() && answers && decision.actions.is_empty(), "Ready on nobody's word: {:?}", decision);
        }
        // What is Live was shown to be so by every layer, of this very version.
        let phase = decision.status.phase;
        let Outside::Wanted(deployment) = &seen.outside else { return Ok(()) };
        let factory = seen.factory.as_ref();
        let newly = phase == Some(Phase::Live) && seen.previous.phase != Some(Phase::Live);
        if seen.spec.paused.is_none() && !seen.deleting && (newly || (ready && phase == Some(Phase::Live))) {
            prop_assert_eq!(said(ConditionType::Serving), Some(Truth::True));
            for layer in &factory.expect("a Factory").gates.live {
                let known = decision.status.gates.iter().find(|known| known.layer == *layer).expect("a verdict");
                prop_assert_eq!((known.verdict, known.untried, &known.tree), (Some(Verdict::Passed), None, &deployment.version.tree));
                let counts = factory.expect("a Factory").gates.clean_room.as_ref().is_some_and(|room| room.unconfined);
                prop_assert!(*layer != Layer::CleanRoom || counts || known.confined_by.is_some(), "nothing confined it: {:?}", known);
            }
        }
        if phase == Some(Phase::Degraded) {
            prop_assert!(!ready, "Degraded, and Ready: {:?}", decision.statements);
        }
        // Of one layer one run at a time, and none that the status does not name.
        for action in &decision.actions {
            let Action::CreateObject(Manifest(made)) = action else { continue };
            if made["kind"] == "GateRun" {
                let running = decision.status.gates.iter().filter(|known| known.running.as_deref() == made["metadata"]["name"].as_str());
                prop_assert_eq!(running.count(), 1, "{:?}", decision.status.gates);
                let verdict = |name: &str| deployment.runs.iter().find(|run| run.name == name).and_then(|run| run.verdict);
                prop_assert_eq!(verdict(made["metadata"]["name"].as_str().unwrap()), None, "made over one that ended");
            }
        }
        if let Some(naming) = &deployment.naming {
            let anothers = |state: &NameState| state.holder.as_ref().is_some_and(|h| *h != Holder::Marked(owner()));
            let taken = naming.name.as_ref().is_ok_and(anothers) || naming.routes.as_ref().is_ok_and(|r| r.iter().any(|r| r.id == "theirs"));
            let names = |a: &Action| matches!(a, Action::SetAddress(_) | Action::SetRoute(_));
            prop_assert!(!(taken && decision.actions.iter().any(names)), "another's is overwritten: {:?}", decision.actions);
            prop_assert!(!(taken && ready), "Ready under a name that is another's");
        }
    }

    #[test]
    fn who_goes_takes_nothing_along_that_is_another_s_and_says_so(seen in anything().prop_map(|seen| Seen { deleting: true, ..seen })) {
        let decision = decide(&seen, now());
        prop_assert_eq!(audit::check(&decision), Ok(()));
        let released = decision.actions.contains(&Action::Release);
        let delete = seen.spec.deletion_policy == DeletionPolicy::Delete;
        if released && delete && seen.factory.is_some() {
            prop_assert!(matches!(&seen.base, Ok(Base { package: None, .. })), "released with its package on the base branch");
            prop_assert_eq!(decision.actions.len(), 1, "released before the rest was seen to be gone");
        }
        let retained = decision.actions.iter().any(|a| matches!(a, Action::Retain { .. }));
        prop_assert!(!(retained && delete));
        if let Outside::Unwanted(Remains { name: Some((_, _, Ok(state))), .. }) = &seen.outside {
            let ours = state.holder == Some(Holder::Marked(owner()));
            prop_assert!(ours || !decision.actions.iter().any(|a| matches!(a, Action::RemoveName(..))), "another's name is removed");
        }
    }
}
