//! What a Factory's checks come to. No clock, no client: a test makes what was
//! seen and looks at the decision. `reasons.rs` has one row per reason that a
//! decision can give, `packages.rs` what becomes of each package,
//! `catalogue.rs` of what is derived from all of them; `random.rs` holds the invariants over anything seen.

mod catalogue;
mod packages;
mod random;
mod reasons;

use std::time::Duration;

use flywheel::{
    api::{
        conditions::{ConditionType, Statement},
        factory::FactoryStatus,
    },
    decide::{
        Decision, Now, ObjectName,
        factory::{ForgeSeen, PackagesSeen, Part, Seen, WebhookSeen},
    },
    ports::forge::{BranchState, Protection, Repository},
};
use jiff::Timestamp;

use crate::{fixtures, world};

/// Everything is good.
fn good() -> Seen {
    Seen {
        factory: factory(),
        spec: fixtures::spec(),
        previous: FactoryStatus { base_sha: Some(world::forge::sha(1).to_string()), ..FactoryStatus::default() },
        credentials: Vec::new(),
        forge: Part::Seen(good_forge()),
        dns: Part::Seen(7),
        edge: Part::Seen(Vec::new()),
        packages: Part::Seen(PackagesSeen::default()),
        catalogue: Part::NotChecked,
        webhook: WebhookSeen::default(),
    }
}

fn factory() -> ObjectName {
    let (namespace, name) = fixtures::FACTORY;
    ObjectName { api_version: "flywheel.prim.sh/v1alpha1", kind: "Factory", namespace: namespace.into(), name: name.into() }
}

fn good_forge() -> ForgeSeen {
    ForgeSeen {
        account: world::forge::BOT.0.into(),
        repository: Repository { may_push: true, archived: false, squash_merge: true },
        base: BranchState {
            head: world::forge::sha(1),
            protection: Some(Protection { required_checks: vec![world::forge::REQUIRED_CHECK.into()], may_push: false }),
            may_merge: true,
        },
        labels: vec!["agent-pr".into()],
    }
}

fn at(second: i64) -> Now {
    Now { at: Timestamp::from_second(second).unwrap(), resync: Duration::from_secs(600) }
}

fn said<S>(decision: &Decision<S>, kind: ConditionType) -> Option<&Statement> {
    decision.statements.iter().find(|s| s.kind == kind)
}
