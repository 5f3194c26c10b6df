//! The controller's own checks, from here, and what the controller last said.

use kube::{Client, Resource};

use super::{Finding, Level, remedies::remedy};
use crate::{
    api::{
        conditions::{self, ConditionType, Reason, Statement, Truth},
        factory::Factory,
    },
    controller::{context::Context, driver::Kind},
};

/// Looks at `object` as the controller does.
pub(super) async fn look(client: &Client, object: &Factory) -> Vec<Finding> {
    let mut findings = vec![controller(object)];
    let cx = Context::for_one_look(client.clone());
    let now = cx.now();
    match object.observe(&cx, now).await {
        Ok((seen, _)) => findings.extend(Factory::decide(&seen, now).statements.iter().filter_map(from_statement)),
        Err(error) => {
            findings.push(Finding::bad("factory", Level::Fail, error.reason.as_str(), error.message.clone(), remedy(error.reason)))
        }
    }
    findings
}

/// Whether the controller has looked at this generation, and what it said of the
/// webhook, which only its own process can judge.
fn controller(object: &Factory) -> Finding {
    let check = "controller";
    let status = object.status.clone().unwrap_or_default();
    if status.observed_generation != object.meta().generation {
        return Finding::bad(
            check,
            Level::Fail,
            "NotObserved",
            "the controller has not looked at this Factory's newest generation",
            "See that it runs: kubectl -n flywheel-system get pods; and what it says: kubectl -n flywheel-system logs deploy/flywheel-controller",
        );
    }
    let said = |kind: ConditionType| conditions::find(&status.conditions, kind);
    if let Some(webhook) = said(ConditionType::WebhookReady).filter(|c| c.status == "False") {
        return Finding::bad(check, Level::Warn, "DeliveryMissed", webhook.message.clone(), remedy(Reason::DeliveryMissed));
    }
    match said(ConditionType::Ready) {
        Some(ready) => Finding::ok(check, format!("looked at the newest generation and said Ready={} ({})", ready.status, ready.reason)),
        None => Finding::ok(check, "looked at the newest generation"),
    }
}

fn from_statement(statement: &Statement) -> Option<Finding> {
    let check = match statement.kind {
        ConditionType::CredentialsReady => "credentials",
        ConditionType::ForgeReady => "forge",
        ConditionType::BranchProtected => "protection",
        ConditionType::DnsReady => "dns",
        ConditionType::EdgeReady => "edge",
        // Summaries of the others; deliveries come to the controller, not here; and
        // what other kinds say.
        ConditionType::Ready
        | ConditionType::Reconciling
        | ConditionType::Stalled
        | ConditionType::Retrying
        | ConditionType::WebhookReady
        | ConditionType::PackagesAdopted
        | ConditionType::CatalogueCurrent
        | ConditionType::GatePassed
        | ConditionType::DocumentWritten
        | ConditionType::Merged
        | ConditionType::Deployed
        | ConditionType::Routed
        | ConditionType::NameReady
        | ConditionType::Serving
        | ConditionType::ContractPassed
        | ConditionType::CanaryPassed
        | ConditionType::CleanRoomPassed
        | ConditionType::EnvironmentComplete
        | ConditionType::SpecOutdated => return None,
    };
    Some(match statement.status {
        Truth::True => Finding::ok(check, statement.message.clone()),
        Truth::False => Finding::bad(check, Level::Fail, statement.reason.as_str(), statement.message.clone(), remedy(statement.reason)),
        Truth::Unknown => Finding::bad(check, Level::Warn, statement.reason.as_str(), statement.message.clone(), remedy(statement.reason)),
    })
}
