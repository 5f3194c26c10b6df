//! The phase of each primitive, for `flywheel gate run --phases`: nothing else of them
//! is told, and no Secret is near it. Asked of the API server at most once in a few
//! seconds, whoever asks here how often.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use kube::{
    Api,
    api::{ApiResource, ListParams},
    core::Object,
};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::{context::Context, objects};
use crate::{
    api::primitive::{Phase, Primitive},
    ports::error::PortError,
};

/// How old what is told may be.
const FRESH: Duration = Duration::from_secs(5);

/// What was told last.
#[derive(Default)]
pub struct Phases(Mutex<Option<(Instant, BTreeMap<String, Phase>)>>);

/// What is read of a Primitive: no more of its document than its name.
#[derive(Clone, Debug, Deserialize)]
struct Spec {
    document: Value,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Status {
    phase: Option<Phase>,
}

impl Phases {
    /// By id and by the service's name.
    pub async fn of(&self, cx: &Context) -> Result<BTreeMap<String, Phase>, PortError> {
        // Who comes meanwhile waits for this answer instead of asking as well.
        let mut known = self.0.lock().await;
        if let Some((at, phases)) = known.as_ref()
            && at.elapsed() < FRESH
        {
            return Ok(phases.clone());
        }
        let phases = read(cx).await?;
        *known = Some((Instant::now(), phases.clone()));
        Ok(phases)
    }
}

async fn read(cx: &Context) -> Result<BTreeMap<String, Phase>, PortError> {
    let kind = ApiResource::erase::<Primitive>(&());
    let api: Api<Object<Spec, Status>> = Api::namespaced_with(cx.client.clone(), &cx.namespace, &kind);
    let mut phases = BTreeMap::new();
    // From the API server's own memory.
    for primitive in objects::timely(api.list(&ListParams::default().match_any())).await?.items {
        let phase = primitive.status.and_then(|status| status.phase).unwrap_or_default();
        if let Some(name) = primitive.spec.document["name"].as_str() {
            phases.insert(name.to_owned(), phase);
        }
        if let Some(id) = primitive.metadata.name {
            phases.insert(id, phase);
        }
    }
    Ok(phases)
}
