//! What only the repository's administrator sees: the webhook, and the whole of
//! the base branch's protection rule.

use std::sync::Arc;

use kube::{Client, ResourceExt};
use secrecy::SecretString;

use super::{Finding, Level, remedies::remedy};
use crate::{
    adapters::connect::RealServers,
    api::{conditions::Reason, factory::Factory},
    controller::{connections::allowed_forge, context::Context},
    ports::{
        Connect,
        error::PortError,
        forge::{ForgeAdmin, Rule, Webhook},
    },
};

/// Events that the controller wants to be poked by.
const EVENTS: [&str; 2] = ["push", "pull_request"];

/// Looks with an administrator's token.
pub(super) async fn look(client: &Client, object: &Factory, token: &SecretString) -> Vec<Finding> {
    // Whoever may write Factories may name any server in them.
    match allowed_forge(object, &Context::for_one_look(client.clone())).await {
        // At once, not among the findings: who reads it may still press Ctrl-C.
        Ok(server) => eprintln!("the administrator's token goes to {server}"),
        Err(error) => {
            let message = format!("the administrator's token was not sent: {}", error.message);
            return vec![Finding::bad("webhook", Level::Fail, error.reason.as_str(), message, remedy(error.reason))];
        }
    }
    match RealServers::default().forge_admin(&object.spec.repository, token) {
        Ok(forge) => vec![webhook(object, &forge).await, rule(object, &forge).await],
        Err(error) => vec![failed("webhook", &error)],
    }
}

fn failed(check: &'static str, error: &PortError) -> Finding {
    let (level, remedy) = match error.reason {
        Reason::TokenRejected | Reason::PermissionMissing | Reason::RepositoryNotFound => {
            (Level::Fail, "Give --admin-token-file a token of an administrator of the repository.")
        }
        other => (Level::Warn, remedy(other)),
    };
    Finding::bad(check, level, error.reason.as_str(), error.message.clone(), remedy)
}

async fn webhook(object: &Factory, forge: &Arc<dyn ForgeAdmin>) -> Finding {
    match forge.webhooks().await {
        Ok(hooks) => judge_webhooks(&hooks, &format!("/webhook/{}/{}", object.namespace().unwrap_or_default(), object.name_any())),
        Err(error) => failed("webhook", &error),
    }
}

fn judge_webhooks(hooks: &[Webhook], path: &str) -> Finding {
    let check = "webhook";
    let ours: Vec<_> = hooks.iter().filter(|h| h.url.trim_end_matches('/').ends_with(path)).collect();
    let Some(hook) = ours.iter().find(|h| h.active).or(ours.first()) else {
        let others =
            if hooks.is_empty() { "no webhook at all".to_owned() } else { format!("{} webhooks, none of them to {path}", hooks.len()) };
        return Finding::bad(
            check,
            Level::Fail,
            "WebhookMissing",
            format!("the repository has {others}"),
            format!(
                "Add one to http://CONTROLLER:9443{path}, content type application/json, with the Factory's webhookSecret, for {}.",
                EVENTS.join(" and ")
            ),
        );
    };
    if !hook.active {
        return Finding::bad(
            check,
            Level::Fail,
            "WebhookInactive",
            format!("the webhook to {} is switched off", hook.url),
            "Switch it on in the repository's settings.",
        );
    }
    let missing: Vec<_> = EVENTS.into_iter().filter(|e| !hook.events.iter().any(|h| h == e)).collect();
    if !missing.is_empty() {
        return Finding::bad(
            check,
            Level::Warn,
            "WebhookEvents",
            format!("the webhook to {} does not deliver {}", hook.url, missing.join(" and ")),
            "Add these events to it; until then polling finds out, later.",
        );
    }
    Finding::ok(check, format!("the webhook to {} is active", hook.url))
}

async fn rule(object: &Factory, forge: &Arc<dyn ForgeAdmin>) -> Finding {
    let check = "rule";
    let repository = &object.spec.repository;
    let branch = match repository.base_branch.parse() {
        Ok(branch) => branch,
        Err(error) => return failed(check, &PortError::invalid("spec.repository.baseBranch", error)),
    };
    match forge.rule(&branch).await {
        Ok(rule) => judge_rule(
            rule.as_ref(),
            &repository.base_branch,
            &object.spec.policy.required_check,
            object.status.as_ref().and_then(|s| s.account.as_deref()),
        ),
        Err(error) => failed(check, &error),
    }
}

fn judge_rule(rule: Option<&Rule>, branch: &str, required: &str, bot: Option<&str>) -> Finding {
    let check = "rule";
    let Some(rule) = rule else {
        return Finding::bad(
            check,
            Level::Fail,
            Reason::Unprotected.as_str(),
            format!("branch {branch} has no protection rule"),
            remedy(Reason::Unprotected),
        );
    };
    let mut gaps = Vec::new();
    if rule.direct_push {
        gaps.push("lets somebody push directly".to_owned());
    }
    if !rule.required_checks.iter().any(|c| c == required || c == "*") {
        gaps.push(format!("does not require {required}"));
    }
    if !rule.blocks_outdated {
        gaps.push("lets outdated branches in".to_owned());
    }
    match (&rule.merge_whitelist, bot) {
        (None, _) => gaps.push("lets everybody with write access merge".to_owned()),
        (Some(list), Some(bot)) if !list.iter().any(|name| name == bot) => gaps.push(format!("does not let {bot} merge")),
        (Some(_), _) => {}
    }
    if gaps.is_empty() {
        return Finding::ok(check, format!("rule {} of branch {branch} lets only gated, current pull requests in", rule.name));
    }
    Finding::bad(
        check,
        Level::Fail,
        Reason::ProtectionIncomplete.as_str(),
        format!("rule {} of branch {branch} {}", rule.name, gaps.join(", ")),
        remedy(Reason::Unprotected),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::error::Class;

    fn hook(url: &str, active: bool, events: &[&str]) -> Webhook {
        Webhook { url: url.into(), active, events: events.iter().map(|&e| e.into()).collect() }
    }

    #[test]
    fn a_webhook_is_judged_by_path_activity_and_events() {
        let reason = |hooks: &[Webhook]| judge_webhooks(hooks, "/webhook/flywheel/prim").reason;
        let here = "http://10.0.0.1:9443/webhook/flywheel/prim";
        assert_eq!(reason(&[]), "WebhookMissing");
        assert_eq!(reason(&[hook("http://x/webhook/flywheel/primer", true, &EVENTS)]), "WebhookMissing");
        assert_eq!(reason(&[hook(here, false, &EVENTS)]), "WebhookInactive");
        assert_eq!(reason(&[hook(here, true, &["push"])]), "WebhookEvents");
        assert_eq!(reason(&[hook(here, false, &EVENTS), hook(here, true, &EVENTS)]), "Verified");
    }

    #[test]
    fn a_refused_token_fails_and_a_silent_forge_is_told_elsewhere() {
        let level = |reason| failed("webhook", &PortError::new(Class::Denied, reason, "x")).level;
        assert_eq!(
            [level(Reason::TokenRejected), level(Reason::PermissionMissing), level(Reason::Unreachable)],
            [Level::Fail, Level::Fail, Level::Warn]
        );
    }

    #[test]
    fn every_gap_of_a_rule_is_named() {
        let open = Rule { name: "main".into(), direct_push: true, required_checks: vec![], blocks_outdated: false, merge_whitelist: None };
        let message = judge_rule(Some(&open), "main", "flywheel/gate", Some("bot")).message;
        for gap in ["push directly", "require flywheel/gate", "outdated", "everybody"] {
            assert!(message.contains(gap), "{message}");
        }
        let good = Rule {
            direct_push: false,
            required_checks: vec!["flywheel/gate".into()],
            blocks_outdated: true,
            merge_whitelist: Some(vec!["bot".into()]),
            ..open
        };
        assert_eq!(judge_rule(Some(&good), "main", "flywheel/gate", Some("bot")).level, Level::Ok);
        assert_eq!(judge_rule(Some(&good), "main", "flywheel/gate", Some("other")).level, Level::Fail);
        assert_eq!(judge_rule(None, "main", "flywheel/gate", None).reason, "Unprotected");
    }
}
