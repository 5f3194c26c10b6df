//! What a Factory's checks come to: its conditions, the label its pull requests
//! need, and when to look again. Observing is `controller/factory.rs`; the webhook
//! is judged in `factory/webhook.rs`.

mod catalogue;
mod packages;
mod webhook;

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{Action, Decision, ObjectName, Receipt, retry, waits};
use crate::{
    api::{
        conditions::{self, ConditionType, Reason, Statement, Truth},
        factory::{FactorySpec, FactoryStatus},
    },
    ports::{
        error::{Class, PortError},
        forge::{BranchState, Label, Protection, Repository},
    },
};

use super::Now;
pub use catalogue::{CatalogueChange, CatalogueSeen};
pub use packages::{AT_ONCE, PackagesSeen};
pub use webhook::DELIVERY_GRACE;

/// The label every pull request of Flywheel carries.
pub const PULL_REQUEST_LABEL: &str = "agent-pr";

/// Everything a decision about a Factory looks at.
#[derive(Debug)]
pub struct Seen {
    /// Which one.
    pub factory: ObjectName,
    /// What the user wants.
    pub spec: FactorySpec,
    /// What was said last time.
    pub previous: FactoryStatus,
    /// Credentials that can't be used, if any.
    pub credentials: Vec<PortError>,
    /// The forge.
    pub forge: Part<ForgeSeen>,
    /// The zone's serial number.
    pub dns: Part<u32>,
    /// Host names routed by the edge.
    pub edge: Part<Vec<String>>,
    /// The base branch's packages.
    pub packages: Part<PackagesSeen>,
    /// What is derived from them; not looked at where the policy does not ask for it.
    pub catalogue: Part<CatalogueSeen>,
    /// What came in from the forge by itself.
    pub webhook: WebhookSeen,
}

/// One part of the outside world.
#[derive(Debug)]
pub enum Part<T> {
    /// It answered.
    Seen(T),
    /// It did not, or not well.
    Failed(PortError),
    /// It was not asked, because its credentials can't be used.
    NotChecked,
}

/// What the forge said.
#[derive(Debug)]
pub struct ForgeSeen {
    /// The token's account.
    pub account: String,
    /// The repository.
    pub repository: Repository,
    /// The base branch.
    pub base: BranchState,
    /// Names of the repository's labels.
    pub labels: Vec<String>,
}

/// Webhook deliveries as this process knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebhookSeen {
    /// When the last one with a valid signature came in.
    pub last_accepted: Option<Timestamp>,
    /// Whether one with a wrong signature came in since.
    pub refused: bool,
    /// When the base branch was first seen at a commit that no delivery told of.
    pub silent_move: Option<Timestamp>,
}

/// When another look follows where the API server took none of the Primitives.
pub const REFUSED_AGAIN: Duration = waits::HELD;

/// Decides.
pub fn decide(seen: &Seen, now: Now) -> Decision<FactoryStatus> {
    let required = required(seen);
    let (webhook, webhook_again) = webhook::judge(seen, now);
    let packages = packages::judge(seen);
    let catalogue = catalogue::judge(seen, now);

    let mut statements = summary(&required);
    let classes = [packages.class, catalogue.class];
    let again = pace(seen, now, &required, classes, &[webhook_again, packages.again, catalogue.again]);
    statements.extend(required.into_iter().map(|finding| finding.statement));
    statements.extend([webhook, packages.statement]);
    statements.extend(catalogue.statement);

    let status = FactoryStatus { retained: packages.retained, packages: packages.count, catalogue: catalogue.status, ..status(seen) };
    let actions = actions(seen).into_iter().chain(packages.actions).chain(catalogue.actions).collect();
    Decision { actions, status, statements, again }
}

/// Says of which packages the API server refused the Primitive. Where it took none
/// of them, another look in a moment would come to the same.
pub fn refused(seen: &Seen, now: Now, decision: &mut Decision<FactoryStatus>, done: &[(&Action, Receipt)]) {
    if packages::refused(&mut decision.statements, done) {
        decision.again = pace(seen, now, &required(seen), [None; 2], &[webhook::judge(seen, now).1, Some(REFUSED_AGAIN)]);
    }
}

fn required(seen: &Seen) -> [Finding; 5] {
    [credentials(seen), forge(seen), protection(seen), dns(seen), edge(seen)]
}

/// When to look again: as soon as the first of all asks for it.
fn pace(seen: &Seen, now: Now, required: &[Finding], more: [Option<Class>; 2], others: &[Option<Duration>]) -> Duration {
    let failing_since = previous(seen, ConditionType::Ready).filter(|c| c.status == "False").map(|c| c.last_transition_time.0);
    // Of several Secrets the finding has the worst class alone.
    let classes = required
        .iter()
        .filter_map(|finding| finding.class)
        .chain(seen.credentials.iter().map(|error| error.class))
        .chain(more.into_iter().flatten());
    let failures = classes.map(|class| retry::delay(class, failing_since, now.at));
    failures.chain(others.iter().copied().flatten()).fold(now.resync, Duration::min)
}

/// One part's statement, and the class of what is wrong with it.
struct Finding {
    statement: Statement,
    class: Option<Class>,
}

impl Finding {
    fn good(kind: ConditionType, message: impl Into<String>) -> Self {
        Self { statement: Statement::new(kind, Truth::True, Reason::Verified, message), class: None }
    }

    fn bad(kind: ConditionType, class: Class, reason: Reason, message: impl Into<String>) -> Self {
        Self { statement: Statement::new(kind, Truth::False, reason, message), class: Some(class) }
    }

    fn error(kind: ConditionType, error: &PortError) -> Self {
        Self::bad(kind, error.class, error.reason, &error.message)
    }

    fn not_checked(kind: ConditionType, why: &str) -> Self {
        Self { statement: Statement::new(kind, Truth::Unknown, Reason::NotChecked, why), class: None }
    }
}

/// The kstatus conditions: what somebody must act on comes before what passes by
/// itself, and within each the order of the parts decides.
fn summary(findings: &[Finding]) -> Vec<Statement> {
    let stuck = findings.iter().find(|f| f.class.is_some_and(retry::stalls));
    let failed = || findings.iter().find(|f| f.class.is_some());
    // What was not looked at is not known to be good.
    let unknown = || findings.iter().find(|f| f.statement.status != Truth::True);
    let Some(worst) = stuck.or_else(failed).or_else(unknown) else {
        return vec![Statement::new(
            ConditionType::Ready,
            Truth::True,
            Reason::Verified,
            "forge, branch protection, DNS zone and edge were checked and are good",
        )];
    };
    let more = findings.iter().filter(|f| f.class.is_some()).count().saturating_sub(1);
    let message = match more {
        0 => worst.statement.message.clone(),
        1 => format!("{} (and 1 more condition is False)", worst.statement.message),
        n => format!("{} (and {n} more conditions are False)", worst.statement.message),
    };
    retry::not_ready(stuck.is_some(), worst.statement.reason, &message).into()
}

fn credentials(seen: &Seen) -> Finding {
    let kind = ConditionType::CredentialsReady;
    let errors = &seen.credentials;
    // What somebody must act on comes first, as in the summary.
    let Some(worst) = errors.iter().find(|error| retry::stalls(error.class)).or(errors.first()) else {
        return Finding::good(kind, "every referenced Secret is there and may be used");
    };
    let others = errors.iter().filter(|error| !std::ptr::eq(*error, worst));
    let all: Vec<_> = std::iter::once(worst).chain(others).map(ToString::to_string).collect();
    Finding::bad(kind, worst.class, worst.reason, all.join("; "))
}

fn forge(seen: &Seen) -> Finding {
    let kind = ConditionType::ForgeReady;
    let forge = match &seen.forge {
        Part::Seen(forge) => forge,
        Part::Failed(error) => return Finding::error(kind, error),
        Part::NotChecked => return Finding::not_checked(kind, "the forge's credentials can't be used, see CredentialsReady"),
    };
    let repo = repository_name(seen);
    let denied = |message: String| Finding::bad(kind, Class::Denied, Reason::PermissionMissing, message);
    if forge.repository.archived {
        return Finding::bad(kind, Class::Invalid, Reason::MergeUnavailable, format!("repository {repo} is archived: unarchive it"));
    }
    if !forge.repository.may_push {
        return denied(format!("account {} may not push branches to {repo}: give it write access to the repository's code", forge.account));
    }
    if !forge.base.may_merge {
        return denied(format!(
            "account {} may not merge into {}: add it to the branch protection's merge whitelist",
            forge.account, seen.spec.repository.base_branch
        ));
    }
    if !forge.repository.squash_merge {
        return Finding::bad(
            kind,
            Class::Invalid,
            Reason::MergeUnavailable,
            format!("repository {repo} does not allow squash merges: allow them in its settings"),
        );
    }
    Finding::good(
        kind,
        format!("account {} may push branches to {repo} and merge into {}", forge.account, seen.spec.repository.base_branch),
    )
}

fn protection(seen: &Seen) -> Finding {
    let kind = ConditionType::BranchProtected;
    let Part::Seen(forge) = &seen.forge else {
        return Finding::not_checked(kind, "the forge could not be asked, see ForgeReady");
    };
    let branch = &seen.spec.repository.base_branch;
    let check = &seen.spec.policy.required_check;
    let bad = |reason, message| Finding::bad(kind, Class::Invalid, reason, message);
    match &forge.base.protection {
        None => bad(
            Reason::Unprotected,
            format!("branch {branch} has no protection: add a rule that declines direct pushes and requires the status check {check}"),
        ),
        Some(Protection { may_push: true, .. }) => bad(
            Reason::ProtectionIncomplete,
            format!("account {} may push to {branch} past every gate: decline direct pushes in its protection rule", forge.account),
        ),
        // A rule's contexts may be patterns; `*` alone asks for every check.
        Some(Protection { required_checks, .. }) if !required_checks.iter().any(|c| c == check || c == "*") => bad(
            Reason::ProtectionIncomplete,
            format!("branch {branch} does not require the status check {check}: add it to its protection rule"),
        ),
        Some(_) => Finding::good(kind, format!("branch {branch} declines direct pushes and requires {check}")),
    }
}

fn dns(seen: &Seen) -> Finding {
    let kind = ConditionType::DnsReady;
    match &seen.dns {
        // Without the serial: it changes with every record, and would have each
        // change written into this object.
        Part::Seen(_) => Finding::good(kind, format!("the zone {} takes the key's updates", seen.spec.dns.zone)),
        Part::Failed(error) => Finding::error(kind, error),
        Part::NotChecked => Finding::not_checked(kind, "the DNS key can't be used, see CredentialsReady"),
    }
}

fn edge(seen: &Seen) -> Finding {
    let kind = ConditionType::EdgeReady;
    match &seen.edge {
        Part::Seen(_) => Finding::good(kind, format!("the edge at {} takes routes", seen.spec.deploy.edge.address)),
        Part::Failed(error) => Finding::error(kind, error),
        Part::NotChecked => Finding::not_checked(kind, "the edge's client certificate can't be used, see CredentialsReady"),
    }
}

fn actions(seen: &Seen) -> Vec<Action> {
    match &seen.forge {
        Part::Seen(forge)
            if forge.repository.may_push && !forge.repository.archived && !forge.labels.iter().any(|l| l == PULL_REQUEST_LABEL) =>
        {
            vec![Action::CreateLabel(Label {
                name: PULL_REQUEST_LABEL.into(),
                color: "1d76db".into(),
                description: "Opened, gated and merged by Flywheel".into(),
            })]
        }
        _ => Vec::new(),
    }
}

fn status(seen: &Seen) -> FactoryStatus {
    let previous = &seen.previous;
    let (account, base_sha) = match &seen.forge {
        Part::Seen(forge) => (Some(forge.account.clone()), Some(forge.base.head.to_string())),
        Part::Failed(_) | Part::NotChecked => (previous.account.clone(), previous.base_sha.clone()),
    };
    // What GateRuns note is theirs to take away.
    let rooms = previous.rooms.clone();
    FactoryStatus { repository: Some(repository_name(seen)), account, base_sha, rooms, ..FactoryStatus::default() }
}

fn repository_name(seen: &Seen) -> String {
    format!("{}/{}", seen.spec.repository.owner, seen.spec.repository.name)
}

fn previous(seen: &Seen, kind: ConditionType) -> Option<&Condition> {
    conditions::find(&seen.previous.conditions, kind)
}
