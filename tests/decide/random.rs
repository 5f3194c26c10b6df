//! Invariants over whatever may be seen: random worlds, random pasts.

use std::{collections::BTreeMap, time::Duration};

use flywheel::{
    api::{
        conditions::{ConditionType, Reason, Truth},
        factory::{FactorySpec, FactoryStatus},
    },
    controller::{driver::StatusFields, status},
    decide::{
        Action, audit,
        factory::{CatalogueChange, CatalogueSeen, PackagesSeen, Part, Seen, WebhookSeen, decide},
    },
    ports::{
        error::{Class, PortError},
        forge::{BranchState, Protection, Repository},
    },
};
use jiff::Timestamp;
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::select,
};
use serde_json::json;

use super::{at, factory, good_forge, said};
use crate::{fixtures, world};

const NOW: i64 = 1_800_000_000;

/// The conditions that `Ready` sums up.
const PARTS: [ConditionType; 5] = [
    ConditionType::CredentialsReady,
    ConditionType::ForgeReady,
    ConditionType::BranchProtected,
    ConditionType::DnsReady,
    ConditionType::EdgeReady,
];

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![
        Just(Class::Transient),
        (0..100_000u64).prop_map(|s| Class::RateLimited(Duration::from_secs(s))),
        Just(Class::Conflict),
        Just(Class::Waiting),
        Just(Class::Invalid),
        Just(Class::Denied),
        Just(Class::Bug),
    ]
}

prop_compose! {
    fn error()(class in class(), reason in select(Reason::ALL), message in "[a-zé]{1,9}( [a-zé]{1,400}){0,6}") -> (Class, Reason, String) {
        (class, reason, message)
    }
}

/// A part as plain data, which proptest can shrink and print.
#[derive(Clone, Debug)]
enum Look<T> {
    Seen(T),
    Failed((Class, Reason, String)),
    NotChecked,
}

impl<T> Look<T> {
    fn part<U>(self, seen: impl FnOnce(T) -> U) -> Part<U> {
        match self {
            Self::Seen(value) => Part::Seen(seen(value)),
            Self::Failed((class, reason, message)) => Part::Failed(PortError::new(class, reason, message)),
            Self::NotChecked => Part::NotChecked,
        }
    }
}

fn look<T: Clone + std::fmt::Debug + 'static>(seen: impl Strategy<Value = T> + 'static) -> impl Strategy<Value = Look<T>> {
    prop_oneof![3 => seen.prop_map(Look::Seen), 1 => error().prop_map(Look::Failed), 1 => Just(Look::NotChecked)]
}

fn moment() -> impl Strategy<Value = Option<Timestamp>> {
    option::of((NOW - 120..NOW + 60).prop_map(|s| Timestamp::from_second(s).unwrap()))
}

/// push, archived, squash, merge; protection with its checks and its push; label.
type Forge = ([bool; 4], Option<(Vec<&'static str>, bool)>, bool);

#[derive(Clone, Debug)]
struct Sight {
    credentials: Vec<(Class, Reason, String)>,
    forge: Look<Forge>,
    dns: Look<u32>,
    edge: Look<Vec<String>>,
    packages: Look<Packages>,
    catalogue: Look<Catalogue>,
    webhook: WebhookSeen,
}

/// A package: tree, the Factory of its Primitive, the tree it was retained at, its
/// document's id, or that it was not read.
type Package = (u64, Option<&'static str>, Option<u64>, Option<Result<&'static str, String>>);
type Packages = BTreeMap<&'static str, Package>;

/// Files that differ; AgentPRs of what is derived, each with its name, what is true
/// of it and when it was settled; whether others are on their way.
type Catalogue = (usize, Vec<(&'static str, [bool; 4], Option<u64>)>, bool);

fn catalogue() -> impl Strategy<Value = Catalogue> {
    let change = (select(vec!["now", "old"]), any::<[bool; 4]>(), option::of(0..200u64));
    (0..3usize, vec(change, 0..3), any::<bool>())
}

fn catalogue_seen((differs, changes, others): Catalogue) -> CatalogueSeen {
    let change = |(name, [ours, going, merged, stalled], settled): (&str, [bool; 4], Option<u64>)| CatalogueChange {
        name: name.into(),
        ours,
        going,
        merged,
        settled_at: settled.map(|ago| at(NOW).at - Duration::from_secs(ago)),
        stalled,
        said: stalled.then(|| (Reason::Failed, "red".into())),
    };
    CatalogueSeen {
        owner_uid: "uid".into(),
        commit: world::forge::sha(1),
        hash: "h".into(),
        differs,
        name: "now".into(),
        own: changes.into_iter().map(change).collect(),
        others: others.then(|| "notes-1".into()).into_iter().collect(),
    }
}

fn packages() -> impl Strategy<Value = Packages> {
    let package = (
        1..3u64,
        option::of(select(vec!["prim", "other"])),
        option::of(1..3u64),
        option::of(prop_oneof![select(vec!["a", "b", "www", "Bad"]).prop_map(Ok), "[a-z]{1,9}".prop_map(Err)]),
    );
    btree_map(select(vec!["a", "b", "www", "Bad"]), package, 0..4)
}

fn packages_seen(packages: Packages, retained_before: &BTreeMap<String, String>) -> PackagesSeen {
    let mut seen = PackagesSeen { retained: retained_before.clone(), ..PackagesSeen::default() };
    for (id, (tree, owner, retained, document)) in packages {
        seen.trees.insert(id.into(), world::forge::sha(tree));
        seen.primitives.extend(owner.map(|owner| (id.to_owned(), owner.to_owned())));
        seen.retained.extend(retained.map(|tree| (id.to_owned(), world::forge::sha(tree).to_string())));
        seen.documents.extend(document.map(|read| (id.to_owned(), read.map(|id| json!({ "id": id })))));
    }
    seen
}

prop_compose! {
    fn sight()(
        credentials in prop_oneof![2 => Just(Vec::new()), 1 => vec(error(), 1..4)],
        forge in look((
            any::<[bool; 4]>(),
            option::weighted(0.8, (vec(select(vec![world::forge::REQUIRED_CHECK, "*", "ci"]), 0..3), any::<bool>())),
            any::<bool>(),
        )),
        dns in look(any::<u32>()),
        edge in look(vec("[a-z]{1,5}", 0..3)),
        packages in look(packages()),
        catalogue in look(catalogue()),
        last_accepted in moment(), silent_move in moment(), refused in any::<bool>(),
    ) -> Sight {
        Sight { credentials, forge, dns, edge, packages, catalogue, webhook: WebhookSeen { last_accepted, refused, silent_move } }
    }
}

fn with_aggregates() -> FactorySpec {
    let mut spec = fixtures::spec();
    spec.policy.aggregates = true;
    spec
}

fn seen(sight: Sight, previous: FactoryStatus) -> Seen {
    let retained = previous.retained.clone();
    Seen {
        factory: factory(),
        spec: with_aggregates(),
        previous,
        credentials: sight.credentials.into_iter().map(|(class, reason, message)| PortError::new(class, reason, message)).collect(),
        forge: sight.forge.part(|([may_push, archived, squash_merge, may_merge], protection, label)| {
            let mut forge = good_forge();
            forge.repository = Repository { may_push, archived, squash_merge };
            forge.base = BranchState {
                protection: protection
                    .map(|(checks, may_push)| Protection { required_checks: checks.into_iter().map(String::from).collect(), may_push }),
                may_merge,
                ..forge.base
            };
            if !label {
                forge.labels.clear();
            }
            forge
        }),
        dns: sight.dns.part(|serial| serial),
        edge: sight.edge.part(|hosts| hosts),
        packages: sight.packages.part(|packages| packages_seen(packages, &retained)),
        catalogue: sight.catalogue.part(catalogue_seen),
        webhook: sight.webhook,
    }
}

/// The status that a past decision left behind.
fn past(sight: Option<Sight>) -> FactoryStatus {
    sight.map_or_else(FactoryStatus::default, |sight| {
        let now = at(NOW - 200);
        let decision = decide(&seen(sight, FactoryStatus::default()), now);
        let mut status = decision.status;
        status.set(status::conditions(&decision.statements, &[], Some(1), now.at), Some(1));
        status
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_decision_keeps_the_invariants(before in option::of(sight()), sight in sight()) {
        let before = past(before);
        let decision = decide(&seen(sight.clone(), before.clone()), at(NOW));
        prop_assert_eq!(audit::check(&decision), Ok(()));

        let again = decide(&seen(sight.clone(), before.clone()), at(NOW));
        prop_assert_eq!(&decision, &again, "the same is decided again");

        let ready = said(&decision, ConditionType::Ready).unwrap().status;
        let parts_good = PARTS.iter().all(|kind| said(&decision, *kind).unwrap().status == Truth::True);
        prop_assert_eq!(ready == Truth::True, parts_good, "Ready says what the parts say");
        prop_assert!(decision.again <= Duration::from_secs(600), "the resync is never put off");
        prop_assert!(said(&decision, ConditionType::WebhookReady).is_some());
        prop_assert!(said(&decision, ConditionType::PackagesAdopted).is_some());
        prop_assert!(said(&decision, ConditionType::CatalogueCurrent).is_some());
        let made = decision.actions.iter().filter(|a| matches!(a, Action::CreateObject(_))).count();
        if let (Part::Seen(catalogue), true) = (&seen(sight, before).catalogue, made > 0) {
            let open = catalogue.own.iter().filter(|own| own.ours && !own.merged && own.settled_at.is_none()).count();
            prop_assert!(made == 1 && open == 0 && catalogue.differs > 0, "{:?}", catalogue);
        }
    }

    /// What a decision leaves behind must not by itself lead to another write.
    #[test]
    fn a_decision_is_stable_under_its_own_status(before in option::of(sight()), sight in sight()) {
        let now = at(NOW);
        let mut settled = past(before);
        for _ in 0..2 {
            let decision = decide(&seen(sight.clone(), settled.clone()), now);
            let mut next = decision.status;
            next.set(status::conditions(&decision.statements, &settled.conditions, Some(1), now.at), Some(1));
            settled = next;
        }
        let decision = decide(&seen(sight, settled.clone()), at(NOW));
        let mut next = decision.status;
        next.set(status::conditions(&decision.statements, &settled.conditions, Some(1), now.at), Some(1));
        prop_assert!(!status::changed(Some(&settled), &next), "{:?}\n{:?}", settled, next);
    }
}
