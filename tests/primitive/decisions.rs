//! Single decisions, without a pass: what is proposed of a document, and what is
//! waited for, row by row.

use std::time::Duration;

use flywheel::{
    api::{
        conditions::{ConditionType, Reason, Truth},
        names::Fqdn,
        policy::GatesSpec,
        primitive::{DeletionPolicy, Phase, PrimitiveStatus, Stage},
        references::Milestone,
    },
    decide::{
        Action, Decision, Manifest, Now, ObjectName, audit,
        primitive::{
            Base, Change, Content, FactorySeen, Naming, Outside, Own, Package, PackageFile, Probed, Remains, Rollout, Seen, Wanted,
            WantedFile, change_name, decide, removal_name,
        },
    },
    ports::{
        dns::{AddressRecord, Holder, NameState, Owner},
        edge::Route,
        error::{Class, PortError},
    },
    scaffold::Kept,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use crate::world::forge::sha;

pub const HASH: &str = "aaaaaaaaaaaaaaaaaaaa";
/// Hash of the files that the document becomes.
pub const MADE: &str = "cccccccccccccccccccc";
pub const NOW: i64 = 1_800_000_000;

pub fn now() -> Now {
    Now { at: Timestamp::from_second(NOW).unwrap(), resync: Duration::from_secs(600) }
}

/// A document that is wanted, a base branch without it, and nothing else.
pub fn seen() -> Seen {
    let file = |path: &str, generated| WantedFile { path: path.into(), content: format!("{path} is new\n"), generated };
    Seen {
        own: Own { namespace: "flywheel".into(), id: "notes".parse().unwrap(), uid: "uid".into() },
        spec: serde_json::from_value(json!({ "factoryRef": { "name": "prim" }, "document": { "id": "notes" } })).unwrap(),
        previous: PrimitiveStatus::default(),
        unchanged: true,
        deleting: false,
        document: Ok(Wanted {
            hash: HASH.into(),
            made: MADE.into(),
            name: "notes.sh".into(),
            description: "Keeps notes.".into(),
            files: vec![file("packages/notes/prim.yaml", true), file("packages/notes/src/service.ts", false)],
            assumptions: (0..30).map(|i| format!("routes_map[{i}]: assumed")).collect(),
            routes: 3,
            provider: 1,
            unwritten: vec!["GET /v1/x: nobody knows".into()],
            paid: [].into(),
            kept: [].into(),
        }),
        idea: None,
        factory: Some(FactorySeen {
            name: ObjectName {
                api_version: "flywheel.prim.sh/v1alpha1",
                kind: "Factory",
                namespace: "flywheel".into(),
                name: "prim".into(),
            },
            default_stage: Stage::Testing,
            gates: GatesSpec::default(),
            forge_hold: None,
        }),
        base: Ok(Base { commit: sha(1), package: None }),
        current: None,
        planned: None,
        claimed: None,
        outside: Outside::Unseen,
    }
}

/// The package on the base branch, with a document of this hash.
pub fn package(hash: &str) -> Package {
    let file = |path: &str| PackageFile { path: path.into(), content: format!("{path} is old\n"), mode: "100644".into() };
    let paths = ["packages/notes/prim.yaml", "packages/notes/src/service.ts", "packages/notes/src/gone.ts", "packages/notes/src/theirs.ts"];
    let generated = vec!["packages/notes/prim.yaml".into(), "packages/notes/src/gone.ts".into(), "packages/notes/src/never.ts".into()];
    Package {
        tree: sha(7),
        paths: paths.map(String::from).to_vec(),
        content: Ok(Content { hash: Some(hash.into()), files: paths.map(file).to_vec(), generated, ..Content::default() }),
    }
}

/// The AgentPR of the document, open.
pub fn open() -> Change {
    Change {
        name: change_name(&"notes".parse().unwrap(), MADE),
        foreign: None,
        going: false,
        merged: None,
        base: None,
        settled_at: None,
        green: None,
        branch: None,
        url: Some("https://forge.example/1".into()),
        ready: Some((false, Reason::Queued, "place 2".into())),
        stalled: false,
    }
}

fn proposed() -> PrimitiveStatus {
    PrimitiveStatus { proposed_hash: Some(HASH.into()), agent_pr: Some(open().name), ..PrimitiveStatus::default() }
}

fn decided(seen: &Seen) -> (Decision<PrimitiveStatus>, Truth, Reason, String) {
    let decision = decide(seen, now());
    audit::check(&decision).expect("sound");
    let ready = decision.statements.iter().find(|s| s.kind == ConditionType::Ready).expect("Ready").clone();
    (decision, ready.status, ready.reason, ready.message)
}

fn created(decision: &Decision<PrimitiveStatus>) -> &serde_json::Value {
    let made: Vec<_> =
        decision.actions.iter().filter_map(|a| if let Action::CreateObject(Manifest(m)) = a { Some(m) } else { None }).collect();
    assert_eq!(made.len(), 1, "{:?}", decision.actions);
    made[0]
}

fn names(decision: &Decision<PrimitiveStatus>) -> Vec<&'static str> {
    decision.actions.iter().map(Action::name).collect()
}

#[test]
fn generated_files_are_overwritten_seeded_ones_kept_and_former_ones_removed() {
    let mut changed = seen();
    changed.base = Ok(Base { commit: sha(1), package: Some(package("other")) });
    let (decision, ..) = decided(&changed);
    let spec = &created(&decision)["spec"];
    assert_eq!(
        spec["files"],
        json!([
            { "path": "packages/notes/prim.yaml", "content": "packages/notes/prim.yaml is new\n" },
            { "path": "packages/notes/src/gone.ts" },
        ])
    );
    assert_eq!(spec["title"], "Change notes.sh");

    let (decision, ..) = decided(&seen());
    let spec = &created(&decision)["spec"];
    assert_eq!((spec["title"].as_str(), spec["files"].as_array().map(Vec::len)), (Some("Add notes.sh"), Some(2)));
    let body = spec["body"].as_str().unwrap();
    assert!(body.contains("Keeps notes.") && body.contains("and 10 more") && body.contains("GET /v1/x: nobody knows"), "{body}");
    let routes = decision.status.routes.expect("routes");
    assert_eq!((routes.declared, routes.provider, routes.unimplemented), (3, 1, 1));
    assert_eq!(routes.missing, ["GET /v1/x: nobody knows"]);
}

#[test]
fn what_a_change_finds_no_more_of_what_is_kept_stands_in_its_text() {
    let routes = ["GET /v1/notes", "POST /v1/notes"].map(|route| (route.to_owned(), route.to_owned()));
    let kept = |home: &str, unowned| {
        vec![Kept { home: home.into(), noun: "note".into(), routes: routes.clone().into(), unowned, ..Kept::default() }]
    };
    let body = |now: &str, unowned| {
        let mut changed = seen();
        let mut package = package("other");
        package.content.as_mut().unwrap().kept = kept("/v1/notes", true);
        changed.base = Ok(Base { commit: sha(1), package: Some(package) });
        changed.document.as_mut().unwrap().kept = kept(now, unowned);
        created(&decided(&changed).0)["spec"]["body"].as_str().unwrap().to_owned()
    };
    let moved = body("/v1/slips", true);
    assert!(moved.contains("nothing is kept below /v1/notes any more") && moved.contains("GET /v1/notes, POST /v1/notes"), "{moved}");
    let paid = body("/v1/notes", false);
    assert!(paid.contains("Found otherwise than before:\n- note: making what lies below /v1/notes was free"), "{paid}");
    let same = body("/v1/notes", true);
    assert!(!same.contains("No longer found") && !same.contains("Found otherwise"), "{same}");
}

#[test]
fn seeded_files_have_what_the_document_asks_for_beside_what_people_wrote() {
    let path = "packages/notes/src/service.ts";
    let proposed = |present: &str| {
        let mut changed = seen();
        let mut package = package("other");
        let content = package.content.as_mut().unwrap();
        content.seeded = [(path.to_owned(), "a\nb\nc\n".to_owned())].into();
        content.files.iter_mut().find(|file| file.path == path).unwrap().content = present.into();
        changed.base = Ok(Base { commit: sha(1), package: Some(package) });
        let wanted = changed.document.as_mut().unwrap();
        wanted.files.iter_mut().find(|file| file.path == path).unwrap().content = "a\nb\nc\nd\n".into();
        let (decision, ..) = decided(&changed);
        let spec = created(&decision)["spec"].clone();
        let file = spec["files"].as_array().unwrap().iter().find(|file| file["path"] == path).cloned();
        (file.map(|file| file["content"].as_str().unwrap().to_owned()), spec["body"].as_str().unwrap().contains(path))
    };
    assert_eq!(proposed("mine\nb\nc\n"), (Some("mine\nb\nc\nd\n".into()), false));
    assert_eq!(proposed("a\nb\nmine\n"), (None, true), "what contradicts it stays, and is named");
    assert_eq!(proposed("mine\nb\nc\nmine\n"), (None, true));
    assert_eq!(proposed("a\nb\nc\nd\n"), (None, false));
}

#[test]
fn a_handler_goes_with_who_pays_for_its_route_or_nothing_is_proposed() {
    let path = "packages/notes/src/service.ts";
    let route = |paid| [("GET /v1/notes".to_owned(), paid)].into();
    // As it was seeded for who pays, as it is, and what the spec's document asks for.
    let judged = |hash: &str, present: &str| {
        let mut changed = seen();
        let mut package = package(hash);
        let content = package.content.as_mut().unwrap();
        content.seeded = [(path.to_owned(), "a\nb\nowner: payer\n".to_owned())].into();
        content.paid = route(true);
        content.files.iter_mut().find(|file| file.path == path).unwrap().content = present.into();
        changed.base = Ok(Base { commit: sha(1), package: Some(package) });
        changed.previous.milestones = vec![Milestone { name: "Proposed".into(), at: Time(now().at) }];
        changed.previous.proposed_hash = (hash == HASH).then(|| HASH.into());
        let wanted = changed.document.as_mut().unwrap();
        wanted.paid = route(false);
        wanted.files.iter_mut().find(|file| file.path == path).unwrap().content = "a\nb\nanyone: true\n".into();
        decided(&changed)
    };
    // Another document, and the same one whose price changed elsewhere.
    for hash in ["other", HASH] {
        let (decision, ..) = judged(hash, "mine\nb\nowner: payer\n");
        let spec = &created(&decision)["spec"];
        let file = spec["files"].as_array().unwrap().iter().find(|file| file["path"] == path).expect("the handler goes along");
        assert_eq!(file["content"], "mine\nb\nanyone: true\n", "{hash}");

        let (decision, _, reason, message) = judged(hash, "a\nb\nowner: payer // mine\n");
        assert_eq!((names(&decision), reason), (vec![], Reason::Invalid), "{hash}");
        assert!(message.contains("GET /v1/notes would be free or paid for") && message.contains("service.ts, line 3"), "{message}");
    }
}

#[test]
fn a_proposal_is_made_once_for_each_document() {
    let (decision, _, reason, _) = decided(&seen());
    assert_eq!((names(&decision), reason), (vec!["create_object"], Reason::Proposing));
    assert_eq!(decision.status.proposed_hash.as_deref(), Some(HASH));
    assert_eq!(decision.status.agent_pr, Some(open().name));

    // Made by a pass whose status was lost.
    let mut lost = seen();
    lost.planned = Some(open());
    let (decision, _, reason, message) = decided(&lost);
    assert_eq!((names(&decision), reason), (vec![], Reason::Queued));
    assert!(message.contains(&open().name) && message.contains("place 2"), "{message}");
    assert_eq!(decision.status.agent_pr, Some(open().name));

    // Another document replaces what is open, and leaves alone what is merged.
    for (settled, actions) in [(false, vec!["remove_object", "create_object"]), (true, vec!["create_object"])] {
        let mut newer = seen();
        newer.previous =
            PrimitiveStatus { proposed_hash: Some("older".into()), agent_pr: Some("notes-older".into()), ..Default::default() };
        newer.current = Some(Change { name: "notes-older".into(), merged: settled.then(|| sha(1).to_string()), ..open() });
        assert_eq!(names(&decided(&newer).0), actions);
    }
}

/// The wanted document on the base branch, proposed from the spec and merged, in files
/// that it does not become any more.
fn stale() -> Seen {
    let mut stale = seen();
    stale.base = Ok(Base { commit: sha(1), package: Some(package(HASH)) });
    let milestones = ["Proposed", "Merged"].map(|name| Milestone { name: name.into(), at: Time(now().at) });
    stale.previous = PrimitiveStatus { proposed_hash: Some(HASH.into()), milestones: milestones.into(), ..Default::default() };
    stale
}

#[test]
fn generated_files_that_would_be_others_are_proposed_once_more() {
    let said = |decision: &Decision<PrimitiveStatus>, kind| {
        let found = decision.statements.iter().find(|s| s.kind == kind).map(|s| (s.status, s.reason, s.message.clone()));
        found.unwrap_or_else(|| panic!("says nothing of {kind:?}: {:?}", decision.statements))
    };
    let (decision, ..) = decided(&stale());
    let paths: Vec<_> = created(&decision)["spec"]["files"].as_array().unwrap().iter().map(|f| f["path"].clone()).collect();
    assert_eq!(paths, ["packages/notes/prim.yaml"], "neither what people wrote nor what the document removed");
    assert_eq!(decision.status.agent_pr, Some(open().name));

    let mut under_way = stale();
    under_way.planned = Some(open());
    let (decision, ..) = decided(&under_way);
    let (truth, reason, message) = said(&decision, ConditionType::Merged);
    assert_eq!((names(&decision), truth, reason), (vec![], Truth::True, Reason::Merged), "the package runs on");
    assert!(message.contains(&open().name), "{message}");

    let mut stuck = stale();
    stuck.planned = Some(Change { stalled: true, ready: Some((false, Reason::Failed, "tests".into())), ..open() });
    let (truth, reason, message) = said(&decided(&stuck).0, ConditionType::Merged);
    assert_eq!((truth, reason), (Truth::False, Reason::Failed));
    assert!(message.contains("tests"), "{message}");

    // Merged, and somebody put the older files back.
    let mut undone = stale();
    undone.planned = Some(Change { merged: Some(sha(1).to_string()), settled_at: Some(now().at), ..open() });
    let (decision, ..) = decided(&undone);
    let (truth, reason, _) = said(&decision, ConditionType::SpecOutdated);
    assert_eq!((names(&decision), truth, reason), (vec![], Truth::True, Reason::Superseded));

    let mut adopted = stale();
    adopted.previous = PrimitiveStatus::default();
    assert_eq!(names(&decided(&adopted).0), [""; 0], "what others merged is theirs");
}

#[test]
fn what_is_open_is_mirrored_and_what_is_merged_is_looked_for() {
    let base = |commit: u64| Base { commit: sha(commit), package: None };
    let merged = Change {
        merged: Some(sha(9).to_string()),
        base: Some(sha(1).to_string()),
        ready: Some((true, Reason::Merged, "merged".into())),
        ..open()
    };
    let stuck = Change { stalled: true, ready: Some((false, Reason::Closed, "somebody closed it".into())), ..open() };
    for (change, commit, actions, reason, stalled) in [
        (open(), 1, vec![], Reason::Queued, false),
        (stuck, 1, vec![], Reason::Closed, true),
        (Change { ready: None, ..open() }, 1, vec![], Reason::Proposing, false),
        (Change { foreign: Some("belongs to another".into()), ..open() }, 1, vec![], Reason::Taken, true),
        (merged.clone(), 1, vec!["poke_factory"], Reason::Waiting, false),
        // Two merges since the Factory looked.
        (Change { base: Some(sha(2).to_string()), ..merged.clone() }, 1, vec!["poke_factory"], Reason::Waiting, false),
        // The very merge has no package: somebody has to say what is wanted.
        (merged.clone(), 9, vec![], Reason::Waiting, true),
    ] {
        let what = format!("{change:?} {commit}");
        let mut followed = seen();
        followed.previous = proposed();
        followed.base = Ok(base(commit));
        followed.planned = Some(change.clone());
        followed.current = Some(change);
        let (decision, truth, found, _) = decided(&followed);
        assert_eq!((names(&decision), found, truth), (actions, reason, Truth::False), "{what}");
        assert_eq!(decision.statements.iter().any(|s| s.kind == ConditionType::Stalled), stalled, "{what}");
    }
}

#[test]
fn a_merge_that_the_factory_has_not_seen_is_waited_for_and_not_called_outdated() {
    let ago = |seconds: i64| Timestamp::from_second(NOW - seconds).unwrap();
    let outdated = |d: &Decision<PrimitiveStatus>| d.statements.iter().any(|s| s.kind == ConditionType::SpecOutdated);
    // The base branch's commit that it was merged onto, how long ago, whether the
    // forge can be looked at, and what comes of it.
    for (onto, seconds, blind, wait) in [
        (1, 0, false, Some(1)),
        (1, 30, false, Some(3)),
        (1, 400, false, Some(50)),
        (1, 4000, false, Some(60)),
        // Others were merged before it, and the Factory has seen none of them.
        (2, 5, false, Some(1)),
        (2, 59, false, Some(7)),
        (2, 400, true, Some(50)),
        // It has seen a newer commit, which has another document.
        (2, 61, false, None),
    ] {
        let what = format!("onto {onto}, {seconds} s ago, {blind}");
        let mut merged = seen();
        merged.previous = proposed();
        merged.base = Ok(Base { commit: sha(1), package: Some(package("older")) });
        merged.factory.as_mut().unwrap().forge_hold = blind.then(|| "Factory prim: down".into());
        merged.planned = Some(Change {
            merged: Some(sha(9).to_string()),
            base: Some(sha(onto).to_string()),
            settled_at: Some(ago(seconds)),
            ready: Some((true, Reason::Merged, "merged".into())),
            ..open()
        });
        let (decision, _, reason, message) = decided(&merged);
        assert_eq!(outdated(&decision), wait.is_none(), "{what}");
        let Some(wait) = wait else { continue };
        assert_eq!((reason, names(&decision)), (Reason::Waiting, vec!["poke_factory"]), "{what}");
        assert!(message.contains("the Factory looks at the base branch"), "{message}");
        assert_eq!(decision.again.as_secs(), wait, "{what}");
    }
}

#[test]
fn main_is_never_proposed_against() {
    let mut moved = seen();
    moved.previous = PrimitiveStatus { milestones: vec![Milestone { name: "Merged".into(), at: Time(now().at) }], ..proposed() };
    moved.base = Ok(Base { commit: sha(3), package: Some(package("theirs")) });
    for planned in [None, Some(Change { merged: Some(sha(2).to_string()), base: Some(sha(1).to_string()), ..open() })] {
        moved.planned = planned;
        let (decision, ..) = decided(&moved);
        assert!(names(&decision).is_empty());
        assert!(decision.statements.iter().any(|s| s.kind == ConditionType::SpecOutdated && s.status == Truth::True));
        assert!(decision.statements.iter().any(|s| s.kind == ConditionType::Merged && s.status == Truth::True));
    }
}

#[test]
fn what_is_not_known_is_not_acted_on() {
    let mut blind = seen();
    blind.base = Err(PortError::new(Class::Waiting, Reason::Waiting, "Factory prim: down"));
    blind.previous.phase = Some(Phase::Testing);
    let (decision, truth, reason, _) = decided(&blind);
    assert_eq!((names(&decision), truth, reason), (vec![], Truth::False, Reason::Waiting));
    assert_eq!(decision.status.phase, Some(Phase::Testing), "what was known stays");

    let mut held = seen();
    held.factory.as_mut().unwrap().forge_hold = Some("Factory prim: no token".into());
    let (decision, _, reason, message) = decided(&held);
    assert_eq!((names(&decision), reason, message.as_str()), (vec![], Reason::Waiting, "Factory prim: no token"));

    // A package that runs is not Ready on the word of nobody.
    let mut unseen = seen();
    unseen.base = Ok(Base { commit: sha(1), package: Some(package(HASH)) });
    let (_, truth, reason, _) = decided(&unseen);
    assert_eq!((truth, reason), (Truth::False, Reason::NotChecked));
}

#[test]
fn a_removal_too_large_to_propose_is_said() {
    let mut going = seen();
    going.deleting = true;
    going.spec.deletion_policy = DeletionPolicy::Delete;
    let mut large = package(HASH);
    large.paths = (0..201).map(|i| format!("packages/notes/{i}.ts")).collect();
    going.base = Ok(Base { commit: sha(1), package: Some(large) });
    let (decision, _, reason, message) = decided(&going);
    assert_eq!((names(&decision), reason), (vec![], Reason::TooLarge));
    assert!(message.contains("201 files"), "{message}");
    assert_eq!(removal_name(&going.own.id, &sha(7)), "notes-remove-0000000000");
}

#[test]
fn a_factory_of_the_same_name_keeps_its_routes() {
    let theirs = Owner::primitive("prim", "elsewhere", "notes");
    let own = Owner::primitive("prim", "flywheel", "notes");
    let host: Fqdn = "notes.prim.sh".parse().unwrap();
    for (holder, actions) in [(own.clone(), vec!["remove_name", "remove_route"]), (theirs, vec!["release"])] {
        let mut going = seen();
        going.deleting = true;
        going.spec.deletion_policy = DeletionPolicy::Delete;
        let state = NameState { addresses: vec!["192.0.2.80".parse().unwrap()], ttl: Some(60), holder: Some(Holder::Marked(holder)) };
        going.outside = Outside::Unwanted(Remains {
            name: Some((own.clone(), host.clone(), Ok(state))),
            route: Some(("route-prim-notes".into(), Ok(true))),
            objects: Vec::new(),
        });
        assert_eq!(names(&decided(&going).0), actions);
    }

    let mut waits = super::random::deployed(Rollout::Ready, false);
    waits.base = Ok(Base { commit: sha(1), package: Some(package(HASH)) });
    let route = Route { id: "route-prim-notes".into(), host: host.clone(), upstream: "10.0.0.1:80".parse().unwrap() };
    let Outside::Wanted(deployment) = &mut waits.outside else { panic!("it should run") };
    deployment.naming = Some(Naming {
        route: route.clone(),
        record: Ok(AddressRecord { name: host, address: "192.0.2.80".parse().unwrap(), ttl: 60, owner: own }),
        routes: Ok(vec![Route { host: "notes.example.org".parse().unwrap(), ..route }]),
        host_taken: false,
        name: Ok(NameState { addresses: Vec::new(), ttl: None, holder: None }),
        probed: Probed::NotTried,
    });
    let (decision, _, reason, message) = decided(&waits);
    assert_eq!((names(&decision), reason), (vec![], Reason::Taken));
    assert!(message.contains("notes.example.org"), "{message}");
}

#[test]
fn what_goes_on_is_looked_at_soon_and_what_is_stuck_when_a_watch_tells() {
    for rollout in [Rollout::Absent, Rollout::Going("x".into()), Rollout::Stuck("x".into()), Rollout::Down("x".into()), Rollout::Ready] {
        let mut waits = super::random::deployed(rollout.clone(), false);
        waits.base = Ok(Base { commit: sha(1), package: Some(package(HASH)) });
        let (decision, ..) = decided(&waits);
        match rollout {
            Rollout::Stuck(_) => assert_eq!(decision.again, now().resync),
            _ => assert!(decision.again <= Duration::from_secs(5), "{rollout:?}: {:?}", decision.again),
        }
    }
    let red = Change { stalled: true, ready: Some((false, Reason::Failed, "red".into())), ..open() };
    let foreign = Change { foreign: Some("belongs to another".into()), ..open() };
    // Of what is another's nobody is told.
    for (change, again) in [(red, now().resync), (foreign, Duration::from_secs(60))] {
        let mut stuck = seen();
        stuck.previous = proposed();
        (stuck.planned, stuck.current) = (Some(change.clone()), Some(change));
        assert_eq!(decided(&stuck).0.again, again);
    }
}

#[test]
fn data_goes_alone_and_last_of_all() {
    let object = |kind| ObjectName { api_version: "v1", kind, namespace: "run".into(), name: "n".into() };
    for (kinds, gone) in [
        (
            vec!["Secret", "Service", "Deployment", "ConfigMap", "PersistentVolumeClaim"],
            vec!["Secret", "Service", "Deployment", "ConfigMap"],
        ),
        // Nobody can see whether the Secret is there.
        (vec!["Secret", "PersistentVolumeClaim", "PersistentVolumeClaim"], vec!["Secret", "PersistentVolumeClaim"]),
    ] {
        let mut going = seen();
        going.deleting = true;
        going.spec.deletion_policy = DeletionPolicy::Delete;
        going.outside = Outside::Unwanted(Remains { name: None, route: None, objects: kinds.into_iter().map(object).collect() });
        let (decision, ..) = decided(&going);
        let removed = decision.actions.iter().map(|a| if let Action::RemoveObject(o) = a { o.kind } else { a.name() });
        assert_eq!(removed.collect::<Vec<_>>(), gone);
        let alone: Vec<_> = decision.actions.iter().filter(|action| action.irreversible()).collect();
        assert_eq!(alone.len(), usize::from(gone.contains(&"PersistentVolumeClaim")));
    }
}
