//! What gates have to say of a version that runs: what they would show of it now, and
//! the runs that there are.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Api, ResourceExt, api::ListParams, core::DeserializeGuard};

use super::super::{context::Context, objects};
use crate::{
    api::{
        PRIMITIVE_LABEL,
        conditions::{self, ConditionType},
        gate_run::{GateRun, Layer, Verdict},
    },
    decide::{
        gate_run::{room_left, rooms_emptied},
        primitive::{Gate, Seen},
    },
    gate::report::is_missed,
    ports::error::PortError,
};

/// The primitive's runs, of whatever version. Whoever else labelled one so does not
/// own it; one of a name that is ours is told all the same.
pub(super) async fn runs(seen: &Seen, url: &str, cx: &Context) -> Result<Vec<Gate>, PortError> {
    let api: Api<DeserializeGuard<GateRun>> = Api::namespaced(cx.client.clone(), &seen.own.namespace);
    let labelled = ListParams::default().labels(&format!("{PRIMITIVE_LABEL}={}", seen.own.id));
    let found = objects::timely(api.list(&labelled)).await?.items;
    Ok(found.into_iter().map(|run| run.0.map_or_else(|invalid| unreadable(&invalid.metadata), |run| read(&run, url, seen))).collect())
}

/// One that an older version wrote keeps its name from us: whoever removes it asks
/// anew.
fn unreadable(metadata: &ObjectMeta) -> Gate {
    Gate {
        name: metadata.name.clone().unwrap_or_default(),
        layer: Layer::Contract,
        ours: false,
        created: Timestamp::UNIX_EPOCH,
        verdict: None,
        at: None,
        message: String::new(),
        untried: None,
        missed: false,
        tested: None,
        before: None,
        room_left: None,
        rooms_emptied: Vec::new(),
    }
}

fn read(run: &GateRun, url: &str, seen: &Seen) -> Gate {
    let status = run.status.clone().unwrap_or_default();
    let ready = conditions::find(&status.conditions, ConditionType::Ready);
    let room_left = room_left(run.spec.layer, &status);
    let rooms_emptied = rooms_emptied(&status).map(str::to_owned).collect();
    Gate {
        name: run.name_any(),
        layer: run.spec.layer,
        ours: run.owner_references().iter().any(|owner| owner.uid == seen.own.uid)
            && run.spec.target.url.as_deref() == Some(url)
            && run.spec.target.primitive.as_deref() == Some(seen.own.id.as_str()),
        created: run.creation_timestamp().map_or(Timestamp::UNIX_EPOCH, |t| t.0),
        verdict: status.verdict,
        at: status.since.as_ref().map(|since| since.0).or_else(|| ready.map(|c| c.last_transition_time.0)),
        message: ready.map_or_else(|| "nobody has looked at it yet".to_owned(), |c| c.message.clone()),
        untried: status.untried,
        missed: status.verdict == Some(Verdict::Blocked) && is_missed(&status.results),
        tested: status.tested,
        before: status.before,
        room_left,
        rooms_emptied,
    }
}
