//! Carries out a decision's actions through the ports: one match, in order, up to
//! the first failure. It chooses nothing.

use std::sync::Arc;

use super::{context::Context, gate_run};
use crate::{
    api::conditions::Reason,
    decide::Action,
    ports::{
        error::{Class, PortError},
        forge::Forge,
    },
    telemetry::ActionLabels,
};

/// The connections that observing an object made, for acting on it.
#[derive(Default)]
pub struct Hands {
    /// The factory's forge, where it could be connected to.
    pub forge: Option<Arc<dyn Forge>>,
}

/// Does `actions` in order, up to the first that fails.
pub async fn all(actions: &[Action], hands: &Hands, cx: &Context) -> Result<(), PortError> {
    for action in actions {
        let result = one(action, hands, cx).await;
        let label = result.as_ref().map_or_else(|error| error.class.as_str(), |()| "ok");
        cx.metrics.actions.get_or_create(&ActionLabels { action: action.name(), result: label }).inc();
        result?;
        tracing::info!(action = action.name(), "done");
    }
    Ok(())
}

async fn one(action: &Action, hands: &Hands, cx: &Context) -> Result<(), PortError> {
    match action {
        Action::CreateLabel(label) => forge(hands)?.create_label(label).await,
        Action::CreateGate(objects) => gate_run::create(objects, &cx.client).await,
    }
}

fn forge(hands: &Hands) -> Result<&Arc<dyn Forge>, PortError> {
    hands
        .forge
        .as_ref()
        .ok_or_else(|| PortError::new(Class::Bug, Reason::InternalError, "an action needs the forge, and observing did not connect to it"))
}
