//! Whether the forge's deliveries arrive.

use std::time::Duration;

use super::{Now, Seen, previous};
use crate::api::conditions::{ConditionType, Reason, Statement, Truth};

/// How long after a commit its delivery may still be on its way.
pub const DELIVERY_GRACE: Duration = Duration::from_secs(30);

/// The webhook is judged by its deliveries: the token may not see its settings.
/// It is no part of `Ready`, since polling does its work, later.
pub(super) fn judge(seen: &Seen, now: Now) -> (Statement, Option<Duration>) {
    let kind = ConditionType::WebhookReady;
    let delivering = || Statement::new(kind, Truth::True, Reason::Delivering, "the forge's deliveries arrive, signed with webhookSecret");
    if let Some(moved) = seen.webhook.silent_move {
        let left = DELIVERY_GRACE.saturating_sub(Duration::try_from(now.at.duration_since(moved)).unwrap_or_default());
        if left.is_zero() {
            // Without their number: each of them would have this object written.
            let wrong = if seen.webhook.refused {
                "; deliveries with a wrong signature were refused: the webhook's secret differs from webhookSecret"
            } else {
                ""
            };
            let message = format!(
                "{} moved and no delivery said so: check the repository's webhook (polling serves meanwhile){wrong}",
                seen.spec.repository.base_branch
            );
            return (Statement::new(kind, Truth::False, Reason::DeliveryMissed, message), None);
        }
        return (kept(seen).unwrap_or_else(awaiting), Some(left));
    }
    match seen.webhook.last_accepted {
        Some(_) => (delivering(), None),
        None => (kept(seen).unwrap_or_else(awaiting), None),
    }
}

/// A process that has just started knows nothing: what was said before stands
/// until there is evidence against it.
fn kept(seen: &Seen) -> Option<Statement> {
    let kind = ConditionType::WebhookReady;
    let before = previous(seen, kind)?;
    let (status, reason) = match before.status.as_str() {
        "True" => (Truth::True, Reason::Delivering),
        "False" => (Truth::False, Reason::DeliveryMissed),
        _ => return None,
    };
    Some(Statement::new(kind, status, reason, before.message.clone()))
}

fn awaiting() -> Statement {
    Statement::new(
        ConditionType::WebhookReady,
        Truth::Unknown,
        Reason::AwaitingDelivery,
        "nothing has happened in the repository that a delivery would tell of",
    )
}
