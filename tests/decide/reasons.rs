//! One row for every reason that a decision about a Factory can give.

use std::{collections::BTreeSet, time::Duration};

use flywheel::{
    api::conditions::{ConditionType, Reason, Truth},
    decide::{
        Action,
        factory::{DELIVERY_GRACE, Part, Seen, decide},
    },
    ports::error::{Class, PortError},
};
use jiff::Timestamp;
use serde_json::json;

use super::{at, good, packages::package, said};

/// What is seen, and the one statement it must come to.
struct Row {
    what: &'static str,
    change: fn(&mut Seen),
    kind: ConditionType,
    status: Truth,
    reason: Reason,
    /// What the message must name.
    names: &'static str,
    /// Seconds until the next look.
    again: u64,
}

const NOW: i64 = 1_800_000_000;

fn forge_of(seen: &mut Seen) -> &mut flywheel::decide::factory::ForgeSeen {
    match &mut seen.forge {
        Part::Seen(forge) => forge,
        Part::Failed(_) | Part::NotChecked => panic!("the good forge was seen"),
    }
}

fn rows() -> Vec<Row> {
    use ConditionType::{BranchProtected, CredentialsReady, DnsReady, EdgeReady, ForgeReady, PackagesAdopted, Ready, WebhookReady};
    use Truth::{False, True, Unknown};
    let row = |what, kind, status, reason, names, again, change| Row { what, change, kind, status, reason, names, again };
    vec![
        row("all is good", Ready, True, Reason::Verified, "were checked", 600, |_| {}),
        row("a Secret is missing", CredentialsReady, False, Reason::SecretNotFound, "Secret a/b", 30, |s| {
            s.credentials = vec![PortError::new(Class::Waiting, Reason::SecretNotFound, "Secret a/b")];
        }),
        row(
            "of two Secrets one waits for its owner",
            CredentialsReady,
            False,
            Reason::SecretNotAllowed,
            "Secret c/d; Secret a/b",
            30,
            |s| {
                s.credentials = vec![
                    PortError::new(Class::Waiting, Reason::SecretNotFound, "Secret a/b"),
                    PortError::new(Class::Denied, Reason::SecretNotAllowed, "Secret c/d"),
                ];
            },
        ),
        row("the forge was not asked", ForgeReady, Unknown, Reason::NotChecked, "CredentialsReady", 600, |s| s.forge = Part::NotChecked),
        row("the zone was not asked", DnsReady, Unknown, Reason::NotChecked, "CredentialsReady", 600, |s| s.dns = Part::NotChecked),
        row("the edge was not asked", EdgeReady, Unknown, Reason::NotChecked, "CredentialsReady", 600, |s| s.edge = Part::NotChecked),
        row("the forge failed", BranchProtected, Unknown, Reason::NotChecked, "ForgeReady", 300, |s| {
            s.forge = Part::Failed(PortError::new(Class::Denied, Reason::TokenRejected, "no"));
        }),
        row("the repository is archived", ForgeReady, False, Reason::MergeUnavailable, "prim/factory is archived", 300, |s| {
            forge_of(s).repository.archived = true;
        }),
        row("the account may not push", ForgeReady, False, Reason::PermissionMissing, "flywheel-bot may not push", 300, |s| {
            forge_of(s).repository.may_push = false;
        }),
        row("the account may not merge", ForgeReady, False, Reason::PermissionMissing, "may not merge into main", 300, |s| {
            forge_of(s).base.may_merge = false;
        }),
        row("no squash merges", ForgeReady, False, Reason::MergeUnavailable, "squash", 300, |s| {
            forge_of(s).repository.squash_merge = false
        }),
        row("no protection", BranchProtected, False, Reason::Unprotected, "flywheel/gate", 300, |s| forge_of(s).base.protection = None),
        row("direct pushes", BranchProtected, False, Reason::ProtectionIncomplete, "may push to main", 300, |s| {
            forge_of(s).base.protection.as_mut().unwrap().may_push = true;
        }),
        row("no required check", BranchProtected, False, Reason::ProtectionIncomplete, "flywheel/gate", 300, |s| {
            forge_of(s).base.protection.as_mut().unwrap().required_checks = vec!["ci".into(), "flywheel/gate-2".into()];
        }),
        row("every check is required", BranchProtected, True, Reason::Verified, "requires flywheel/gate", 600, |s| {
            forge_of(s).base.protection.as_mut().unwrap().required_checks = vec!["*".into()];
        }),
        row("a silent move, just now", WebhookReady, Unknown, Reason::AwaitingDelivery, "nothing has happened", 30, |s| {
            s.webhook.silent_move = Some(Timestamp::from_second(NOW).unwrap());
        }),
        row("a silent move, a second before the grace ends", WebhookReady, Unknown, Reason::AwaitingDelivery, "nothing", 1, |s| {
            s.webhook.silent_move = Some(Timestamp::from_second(NOW).unwrap() - DELIVERY_GRACE + Duration::from_secs(1));
        }),
        row("a silent move, the grace is over", WebhookReady, False, Reason::DeliveryMissed, "main moved", 600, |s| {
            s.webhook.silent_move = Some(Timestamp::from_second(NOW).unwrap() - DELIVERY_GRACE);
        }),
        row("a silent move, by a clock that is ahead of ours", WebhookReady, Unknown, Reason::AwaitingDelivery, "nothing", 30, |s| {
            s.webhook.silent_move = Some(Timestamp::from_second(NOW + 5).unwrap());
        }),
        row("a delivery came", WebhookReady, True, Reason::Delivering, "arrive", 600, |s| {
            s.webhook.last_accepted = Some(Timestamp::from_second(NOW - 9).unwrap());
        }),
        row("no package lacks its Primitive", PackagesAdopted, True, Reason::Verified, "every package of main", 600, |_| {}),
        row("the packages were not looked at", PackagesAdopted, Unknown, Reason::NotChecked, "ForgeReady", 600, |s| {
            s.packages = Part::NotChecked;
        }),
        row("the packages can't be listed", PackagesAdopted, False, Reason::Unreachable, "the forge", 5, |s| {
            s.packages = Part::Failed(PortError::unreachable("the forge"));
        }),
        row("a package is adopted", PackagesAdopted, False, Reason::Waiting, "search", 1, |s| {
            s.packages = Part::Seen(package("search", json!({ "id": "search" })));
        }),
        row(
            "a package can't be adopted",
            PackagesAdopted,
            False,
            Reason::Invalid,
            "packages/search: prim.yaml has the id \"find\"",
            600,
            |s| {
                s.packages = Part::Seen(package("search", json!({ "id": "find" })));
            },
        ),
    ]
}

#[test]
fn every_row_says_what_it_must() {
    for row in rows() {
        let mut seen = good();
        (row.change)(&mut seen);
        let decision = decide(&seen, at(NOW));
        let statement = said(&decision, row.kind).unwrap_or_else(|| panic!("{}: no {:?}", row.what, row.kind));
        assert_eq!((statement.status, statement.reason), (row.status, row.reason), "{}: {}", row.what, statement.message);
        assert!(statement.message.contains(row.names), "{}: {:?} is not in {:?}", row.what, row.names, statement.message);
        assert_eq!(decision.again.as_secs(), row.again, "{}: the next look", row.what);
        let advisory = [ConditionType::WebhookReady, ConditionType::PackagesAdopted];
        let bad = row.status != Truth::True && !advisory.contains(&row.kind);
        let ready = said(&decision, ConditionType::Ready).unwrap();
        assert_eq!(ready.status == Truth::True, !bad, "{}: Ready", row.what);
    }
}

/// Reasons that `decide` writes itself; all others it passes on from errors.
#[test]
fn no_reason_of_decide_is_without_a_row() {
    let source = concat!(
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/decide/factory.rs")),
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/decide/factory/webhook.rs")),
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/decide/factory/packages.rs")),
    );
    let written: BTreeSet<_> = source
        .split("Reason::")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default())
        .filter(|word| !word.is_empty())
        .collect();
    let covered: BTreeSet<_> = rows().iter().map(|row| row.reason.as_str()).collect();
    let missing: Vec<_> = written.difference(&covered).collect();
    assert!(!written.is_empty() && missing.is_empty(), "no row for {missing:?}: add one to tests/decide/reasons.rs");
}

/// What the ports report goes through unchanged, whatever it is.
#[test]
fn an_error_of_any_reason_shows_on_its_part_and_in_ready() {
    type Fail = fn(&mut Seen, PortError);
    let parts: [(ConditionType, Fail); 4] = [
        (ConditionType::CredentialsReady, |s, e| s.credentials.push(e)),
        (ConditionType::ForgeReady, |s, e| s.forge = Part::Failed(e)),
        (ConditionType::DnsReady, |s, e| s.dns = Part::Failed(e)),
        (ConditionType::EdgeReady, |s, e| s.edge = Part::Failed(e)),
    ];
    for (kind, fail) in parts {
        for &reason in Reason::ALL {
            for (class, stalled) in [
                (Class::Transient, false),
                (Class::RateLimited(Duration::from_secs(9)), false),
                (Class::Conflict, false),
                (Class::Waiting, false),
                (Class::Invalid, true),
                (Class::Denied, true),
                (Class::Bug, true),
            ] {
                let mut seen = good();
                fail(&mut seen, PortError::new(class, reason, "what happened"));
                let decision = decide(&seen, at(NOW));
                for kind in [kind, ConditionType::Ready] {
                    let statement = said(&decision, kind).unwrap();
                    assert_eq!((statement.status, statement.reason), (Truth::False, reason), "{kind:?}");
                    assert_eq!(statement.message, "what happened");
                }
                assert_eq!(said(&decision, ConditionType::Stalled).is_some(), stalled, "{class:?}");
                assert_eq!(said(&decision, ConditionType::Reconciling).is_some(), !stalled, "{class:?}");
            }
        }
    }
}

#[test]
fn the_label_is_asked_for_only_where_it_can_be_made() {
    let actions = |change: fn(&mut Seen)| {
        let mut seen = good();
        forge_of(&mut seen).labels = vec!["bug".into()];
        change(&mut seen);
        decide(&seen, at(NOW)).actions
    };
    let made = actions(|_| {});
    assert!(matches!(made.as_slice(), [Action::CreateLabel(label)] if label.name == "agent-pr" && label.color.len() == 6), "{made:?}");
    assert_eq!(actions(|s| forge_of(s).labels.push("agent-pr".into())), []);
    assert_eq!(actions(|s| forge_of(s).repository.archived = true), []);
    assert_eq!(actions(|s| forge_of(s).repository.may_push = false), []);
    assert_eq!(actions(|s| s.forge = Part::NotChecked), []);
}
