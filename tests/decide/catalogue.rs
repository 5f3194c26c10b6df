//! What becomes of what is derived from all packages, row by row.

use flywheel::{
    api::{
        conditions::{ConditionType, Reason, Statement, Truth},
        factory::CatalogueStatus,
    },
    decide::{
        Action, audit,
        factory::{CatalogueChange, CatalogueSeen, Part, Seen, decide},
    },
    ports::error::{Class, PortError},
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{at, good, said};
use crate::world::forge::sha;

const NOW: i64 = 1_800_000_000;

fn seen(differs: usize) -> CatalogueSeen {
    CatalogueSeen {
        owner_uid: "uid".into(),
        commit: sha(1),
        hash: "h".into(),
        differs,
        name: "flywheel-now".into(),
        own: Vec::new(),
        others: Vec::new(),
    }
}

fn change(name: &str) -> CatalogueChange {
    CatalogueChange {
        name: name.into(),
        ours: true,
        going: false,
        merged: false,
        settled_at: None,
        stalled: false,
        said: Some((Reason::Running, "it is tested".into())),
    }
}

fn with(change: CatalogueChange) -> CatalogueSeen {
    CatalogueSeen { own: vec![change], ..seen(2) }
}

fn merged(name: &str, ago: i64) -> CatalogueChange {
    CatalogueChange { merged: true, settled_at: Some(Timestamp::from_second(NOW - ago).unwrap()), ..change(name) }
}

fn decided(catalogue: CatalogueSeen, more: impl FnOnce(&mut Seen)) -> (Vec<String>, Truth, Reason, String, Option<CatalogueStatus>) {
    let mut all = good();
    all.spec.policy.aggregates = true;
    all.catalogue = Part::Seen(catalogue);
    more(&mut all);
    let decision = decide(&all, at(NOW));
    audit::check(&decision).expect("sound");
    assert_eq!(said(&decision, ConditionType::Ready).unwrap().status == Truth::True, matches!(all.forge, Part::Seen(_)) && may_merge(&all));
    let statement = said(&decision, ConditionType::CatalogueCurrent).expect("it is spoken of").clone();
    let actions = decision
        .actions
        .iter()
        .map(|action| match action {
            Action::CreateObject(manifest) => format!("make {}", manifest.0["metadata"]["name"].as_str().unwrap()),
            Action::RemoveObject(object) => format!("remove {}", object.name),
            other => other.name().to_owned(),
        })
        .collect();
    (actions, statement.status, statement.reason, statement.message, decision.status.catalogue)
}

fn may_merge(seen: &Seen) -> bool {
    matches!(&seen.forge, Part::Seen(forge) if forge.base.may_merge)
}

#[test]
fn one_change_at_a_time_and_none_where_nothing_differs() {
    use Truth::{False, True};
    let foreign = CatalogueChange { ours: false, ..change("flywheel-now") };
    let going = |name| CatalogueChange { going: true, ..change(name) };
    let stalled = CatalogueChange { stalled: true, said: Some((Reason::Failed, "red".into())), ..change("flywheel-now") };
    let nothing = CatalogueChange { merged: false, ..merged("flywheel-now", 300) };
    let two = CatalogueSeen { own: vec![change("flywheel-old"), change("flywheel-now")], ..seen(2) };
    let rows: [(&str, CatalogueSeen, &[&str], Truth, Reason); 14] = [
        ("current", seen(0), &[], True, Reason::Verified),
        ("current, and one is open", CatalogueSeen { differs: 0, ..with(change("flywheel-now")) }, &[], True, Reason::Waiting),
        ("current, and one is going", CatalogueSeen { differs: 0, ..with(going("flywheel-now")) }, &[], True, Reason::Verified),
        ("behind", seen(2), &["make flywheel-now"], False, Reason::Proposing),
        ("behind, and it is open", with(change("flywheel-now")), &[], False, Reason::Running),
        ("behind, and it is stuck", with(stalled), &[], False, Reason::Failed),
        ("behind, and one for other packages is open", with(change("flywheel-old")), &["remove flywheel-old"], False, Reason::Proposing),
        ("behind, and that one is going", with(going("flywheel-old")), &[], False, Reason::Proposing),
        ("behind, and two are there", two, &["remove flywheel-old"], False, Reason::Proposing),
        ("behind, and one for other packages is merged", with(merged("flywheel-old", 5)), &["make flywheel-now"], False, Reason::Proposing),
        ("just merged", with(merged("flywheel-now", 5)), &[], False, Reason::Waiting),
        ("merged long ago, and put back", with(merged("flywheel-now", 300)), &["remove flywheel-now"], False, Reason::Proposing),
        ("it found nothing to change", with(nothing), &[], False, Reason::NothingToChange),
        ("its name is somebody else's", with(foreign), &[], False, Reason::Taken),
    ];
    for (what, catalogue, actions, status, reason) in rows {
        let (done, truth, why, message, kept) = decided(catalogue, |_| {});
        assert_eq!(
            (done.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), truth, why),
            (actions, status, reason),
            "{what}: {message}"
        );
        assert_eq!(kept.is_some(), truth == True, "{what}");
    }
}

#[test]
fn who_has_just_merged_it_may_say_so_before_it_is_removed() {
    for (status, ago, actions, reason) in [
        ("False", 300, &[][..], Reason::Waiting),
        ("True", 59, &[], Reason::Waiting),
        ("True", 61, &["remove flywheel-now".to_owned()], Reason::Verified),
    ] {
        let open = CatalogueSeen { differs: 0, ..with(change("flywheel-now")) };
        let (done, truth, why, message, kept) = decided(open, |seen| {
            let truth = if status == "True" { Truth::True } else { Truth::False };
            let before = Statement::new(ConditionType::CatalogueCurrent, truth, Reason::Waiting, "before");
            seen.previous.conditions = vec![before.to_condition(None, None, &Time(Timestamp::from_second(NOW - ago).unwrap()))];
        });
        assert_eq!((done.as_slice(), truth, why), (actions, Truth::True, reason), "{status} for {ago} s: {message}");
        assert!(kept.is_some());
    }
}

#[test]
fn others_come_first_for_a_while_and_a_forge_that_takes_nothing_is_not_asked() {
    let waiting = || CatalogueSeen { others: ["a", "b", "c", "d"].map(String::from).to_vec(), ..seen(1) };
    let (actions, _, reason, message, _) = decided(waiting(), |_| {});
    assert_eq!((actions.len(), reason), (0, Reason::Queued), "{message}");
    assert!(message.contains("a, b, c and 1 more"), "{message}");
    for (ago, made) in [(599, 0), (601, 1)] {
        let (actions, ..) = decided(waiting(), |seen| {
            let behind = Statement::new(ConditionType::CatalogueCurrent, Truth::False, Reason::Queued, "behind");
            seen.previous.conditions = vec![behind.to_condition(None, None, &Time(Timestamp::from_second(NOW - ago).unwrap()))];
        });
        assert_eq!(actions.len(), made, "after {ago} s");
    }
    let (actions, _, reason, message, _) = decided(seen(1), |seen| {
        let Part::Seen(forge) = &mut seen.forge else { unreachable!() };
        forge.base.may_merge = false;
    });
    assert_eq!((actions.len(), reason), (0, Reason::Waiting), "{message}");
}

#[test]
fn what_can_not_be_looked_at_keeps_what_was_known_and_off_is_silent() {
    let known = CatalogueStatus { commit: sha(3).to_string(), hash: "h".into() };
    let mut all = good();
    all.previous.catalogue = Some(known.clone());
    all.catalogue = Part::Failed(PortError::new(Class::Invalid, Reason::Invalid, "packages/x/prim.yaml: is none"));
    all.spec.policy.aggregates = true;
    let failed = decide(&all, at(NOW));
    let statement = said(&failed, ConditionType::CatalogueCurrent).unwrap();
    assert_eq!((statement.status, statement.reason), (Truth::False, Reason::Invalid));
    assert_eq!((failed.status.catalogue.as_ref(), failed.again.as_secs()), (Some(&known), 300));
    assert_eq!(said(&failed, ConditionType::Ready).unwrap().status, Truth::True, "advisory");
    all.catalogue = Part::NotChecked;
    let unknown = decide(&all, at(NOW));
    assert_eq!(said(&unknown, ConditionType::CatalogueCurrent).unwrap().status, Truth::Unknown);
    assert_eq!(unknown.status.catalogue, Some(known));
    all.spec.policy.aggregates = false;
    let off = decide(&all, at(NOW));
    assert!(said(&off, ConditionType::CatalogueCurrent).is_none() && off.status.catalogue.is_none());
}
