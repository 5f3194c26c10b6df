//! A run's full report: kept in a ConfigMap that goes with the GateRun, since the
//! log it comes from goes with the Job. Whatever becomes of it, the verdict stands.

use k8s_openapi::ByteString;
use serde_json::json;

use super::{POLL, Seen};
use crate::{
    api::{
        API_VERSION,
        gate_run::{GateRunStatus, ReportReference},
    },
    decide::{Action, Decision, Manifest, Receipt},
};

/// Key of the report in its ConfigMap.
pub const KEY: &str = "report.json.gz";
/// Longest part of a GateRun's name in its report's.
const NAME: usize = 200;

/// The GateRun, as the owner of its report.
#[derive(Clone, Debug, Default)]
pub struct Owner {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
}

/// What is known of a run's full report.
#[derive(Clone, Debug, PartialEq)]
pub enum Log {
    /// Not looked for: there is no verdict yet, no Job, or it is known already.
    NotLooked,
    /// Its ConfigMap is there; bytes of the document.
    Kept(usize),
    /// The Job still has it.
    Read {
        /// The document, packed by gzip.
        packed: Vec<u8>,
        /// Bytes of the document.
        bytes: usize,
    },
    /// There is none, and there will be none; why.
    Lost(String),
    /// It can't be read at this moment.
    Later,
}

/// Name of the ConfigMap that keeps the report of a run of this name and uid.
pub fn name(own: &Owner) -> String {
    if own.name.len() <= NAME {
        return format!("{}-report", own.name);
    }
    // Names are ASCII.
    let (name, uid) = (own.name.get(..NAME).unwrap_or_default(), own.uid.get(..8).unwrap_or_default());
    format!("{}-{uid}-report", name.trim_end_matches(['-', '.']))
}

/// Has the report kept, or says why there is none.
pub(super) fn keep(seen: &Seen, mut decision: Decision<GateRunStatus>) -> Decision<GateRunStatus> {
    match &seen.log {
        Log::NotLooked => {}
        Log::Kept(bytes) => decision.status.report = Some(reference(&seen.own, *bytes)),
        Log::Lost(why) => decision.status.report = Some(missing(why)),
        Log::Later => decision.again = POLL,
        Log::Read { packed, bytes } => {
            decision.actions.push(Action::KeepReport(config_map(&seen.own, packed), reference(&seen.own, *bytes)));
            // Where it is refused for now, it is tried again while the Job is there.
            decision.again = POLL;
        }
    }
    decision
}

/// Takes over where the report is.
pub(super) fn receive(status: &mut GateRunStatus, done: &[(&Action, Receipt)]) {
    for (action, receipt) in done {
        match (action, receipt) {
            (Action::KeepReport(_, reference), Receipt::Done) => status.report = Some(reference.clone()),
            (Action::KeepReport(..), Receipt::Unkept(Some(why))) => status.report = Some(missing(why)),
            _ => {}
        }
    }
}

fn reference(own: &Owner, bytes: usize) -> ReportReference {
    ReportReference { config_map: Some(name(own)), key: Some(KEY.into()), bytes: i64::try_from(bytes).ok(), missing: None }
}

fn missing(why: &str) -> ReportReference {
    ReportReference { missing: Some(why.into()), ..ReportReference::default() }
}

fn config_map(own: &Owner, packed: &[u8]) -> Manifest {
    Manifest(json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name(own),
            "namespace": own.namespace,
            "labels": { "app.kubernetes.io/managed-by": "flywheel", "app.kubernetes.io/component": "gate-report" },
            "ownerReferences": [{ "apiVersion": API_VERSION, "kind": "GateRun", "name": own.name, "uid": own.uid, "controller": true, "blockOwnerDeletion": false }],
        },
        "immutable": true,
        "binaryData": { KEY: ByteString(packed.to_vec()) },
    }))
}
