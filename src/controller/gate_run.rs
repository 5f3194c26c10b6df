//! Observes a GateRun: what it tests, its place among others, and how its Job is
//! doing. What that comes to is `decide/gate_run.rs`; what runs inside the Job is
//! `gate`. Read `gate_run/subject.rs` next, then `gate_run/job.rs` and `report.rs`.

mod job;
mod report;
mod subject;

use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

pub(crate) use self::job::{adopt, create, judge};
use super::{
    apply::Hands,
    context::Context,
    driver::{Kind, StatusFields},
};
use crate::{
    api::{
        API_VERSION,
        gate_run::{GateRun, GateRunStatus, Layer},
    },
    decide::{
        self, Action, Decision, Now, ObjectName, Receipt,
        gate_run::{Log, Owner, Queue, Run, Seen, Subject},
    },
    gate::job::pays,
    ports::error::PortError,
    telemetry::{GateLabels, Metrics},
};

/// Label on a gate's Job: the GateRun's namespace.
pub const NAMESPACE_LABEL: &str = "flywheel.prim.sh/gaterun-namespace";
/// Label on a gate's Job: the GateRun's name.
pub const NAME_LABEL: &str = "flywheel.prim.sh/gaterun";

#[async_trait]
impl Kind for GateRun {
    type Seen = Seen;
    type Status = GateRunStatus;
    const NAME: &'static str = "GateRun";

    async fn observe(&self, cx: &Context, _: Now) -> Result<(Seen, Hands), PortError> {
        let previous = self.status.clone().unwrap_or_default();
        let job = job_name(self);
        let own = Owner { namespace: self.namespace().unwrap_or_default(), name: self.name_any(), uid: self.uid().unwrap_or_default() };
        let (subject, queue) = (Ok(Subject::NotLooked), Queue::default());
        let layer = self.spec.layer;
        let factory = ObjectName {
            api_version: API_VERSION,
            kind: "Factory",
            namespace: own.namespace.clone(),
            name: self.spec.factory_ref.name.clone(),
        };
        let mut seen = Seen { previous, factory, layer, job, subject, queue, run: Run::Absent, pays: false, own, log: Log::NotLooked };
        if seen.previous.verdict.is_none() {
            let has_wallet;
            (seen.run, has_wallet) = job::observe(&seen.job, cx).await?;
            seen.pays = match has_wallet {
                Some(pays) => pays,
                // The Job is gone with all that it says.
                None if layer == Layer::CleanRoom && seen.previous.job.is_some() => subject::pays(self, cx).await,
                None => false,
            };
            // Whose Job is written down has its inputs.
            if seen.previous.job.is_none() {
                (seen.subject, seen.queue) = subject::look(self, &seen.job, cx).await;
                if let Ok(Subject::Job(objects, _)) = &seen.subject {
                    seen.pays = pays(&objects.job);
                }
            }
        } else if seen.previous.job.is_some() && seen.previous.report.is_none() {
            seen.log = report::look(&seen.own, &seen.job, cx).await;
        }
        Ok((seen, Hands::default()))
    }

    fn decide(seen: &Seen, now: Now) -> Decision<GateRunStatus> {
        decide::gate_run::decide(seen, now)
    }

    fn status(&self) -> Option<&GateRunStatus> {
        self.status.as_ref()
    }

    fn receive(status: &mut GateRunStatus, done: &[(&Action, Receipt)]) {
        decide::gate_run::receive(status, done);
    }

    fn measure(&self, before: Option<&GateRunStatus>, after: &GateRunStatus, metrics: &Metrics) {
        if let (None, Some(verdict)) = (before.and_then(|b| b.verdict), after.verdict) {
            let labels = GateLabels { layer: self.spec.layer.as_str(), verdict: verdict.as_str() };
            metrics.gate_verdicts.get_or_create(&labels).inc();
        }
    }
}

impl StatusFields for GateRunStatus {
    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    fn set(&mut self, conditions: Vec<Condition>, generation: Option<i64>) {
        self.conditions = conditions;
        self.observed_generation = generation;
    }
}

/// The Job's name: the run's own, made unique over namespaces and over runs that
/// had the same name before.
fn job_name(run: &GateRun) -> String {
    let name: String = run.name_any().chars().take(50).collect();
    let uid: String = run.uid().unwrap_or_default().chars().take(8).collect();
    format!("{}-{uid}", name.trim_end_matches(['-', '.']).replace('.', "-"))
}
