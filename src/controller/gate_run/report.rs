//! A gate's full report: from the log of its container, while the Job is there, or
//! from the ConfigMap that a former pass made of it.

use std::io::{Read, Write};

use flate2::{Compression, GzBuilder, read::GzDecoder};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, ResourceExt,
    api::{ListParams, LogParams},
};

use crate::{
    controller::{
        context::Context,
        objects::{find, timely},
        status::{API_TIMEOUT, api_error},
    },
    decide::{
        gate_run::{Log, Owner, REPORT_KEY, report_name},
        retry,
    },
    gate::{
        bundle::digest,
        job,
        report::{MAX_REPORT, Report},
    },
    ports::error::PortError,
};

/// Seconds after which a log has no more to come.
const SETTLED: i64 = 20;

/// Looks for the report of a run that has its verdict.
pub(super) async fn look(own: &Owner, job: &str, cx: &Context) -> Log {
    match read(own, job, cx).await {
        Ok(log) => log,
        Err(error) if retry::stalls(error.class) => Log::Lost(error.message),
        Err(error) => {
            tracing::debug!(job, error = crate::telemetry::chain(&error), "a gate's report can't be read now");
            Log::Later
        }
    }
}

async fn read(own: &Owner, job: &str, cx: &Context) -> Result<Log, PortError> {
    let configs: Api<ConfigMap> = Api::namespaced(cx.client.clone(), &own.namespace);
    let name = report_name(own);
    if let Some(config) = find(&configs, &name).await? {
        return Ok(there(&config, own));
    }
    let pods: Api<Pod> = Api::namespaced(cx.client.clone(), &cx.gates_namespace);
    let of_job = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
    let Some(pod) = timely(pods.list(&of_job)).await?.items.into_iter().next() else {
        return Ok(Log::Lost("its pod was gone before it was read".into()));
    };
    // Whoever was killed or broke early printed no report.
    let Some(expected) = job::summary(&pod).ok().and_then(|summary| summary.report) else {
        return Ok(Log::Lost("the gate ended before it printed one".into()));
    };
    // One byte more than a report and the end of its line have, to tell a longer one.
    let limit = i64::try_from(MAX_REPORT).unwrap_or(i64::MAX).saturating_add(2);
    let ask = LogParams { container: Some(job::GATE.into()), limit_bytes: Some(limit), ..LogParams::default() };
    match tokio::time::timeout(API_TIMEOUT, pods.logs(&pod.name_any(), &ask)).await {
        Ok(Ok(log)) => Ok(match judge(&log, &expected) {
            // Its last lines may come after the end of the container.
            Log::Lost(_) if just_ended(&pod, cx) => Log::Later,
            log => log,
        }),
        Ok(Err(kube::Error::Api(answer))) if answer.code < 500 => Ok(Log::Lost(format!("its log can't be read: {}", answer.message))),
        Ok(Err(kube::Error::FromUtf8(_))) => Ok(Log::Lost("its log is no text".into())),
        Ok(Err(error)) => Err(api_error(error)),
        Err(_) => Err(PortError::unreachable("the API server")),
    }
}

fn just_ended(pod: &Pod, cx: &Context) -> bool {
    let gate = pod.status.iter().flat_map(|s| s.container_statuses.iter().flatten()).find(|c| c.name == job::GATE);
    let ended = gate.and_then(|c| c.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref());
    ended.is_some_and(|at| cx.now().at.duration_since(at.0).as_secs() < SETTLED)
}

/// What a former pass left that was cut off before it could say so.
fn there(config: &ConfigMap, own: &Owner) -> Log {
    let owners = config.owner_references();
    if owners.iter().any(|owner| owner.uid == own.uid) {
        let mut text = Vec::new();
        let packed = config.binary_data.as_ref().and_then(|data| data.get(REPORT_KEY)).map(|data| data.0.as_slice()).unwrap_or_default();
        return match GzDecoder::new(packed).take(MAX_REPORT as u64 + 1).read_to_end(&mut text) {
            Ok(bytes) if bytes <= MAX_REPORT => Log::Kept(bytes),
            _ => Log::Lost(format!("ConfigMap {} holds something else", config.name_any())),
        };
    }
    // A former run's of the same name goes after that.
    if config.metadata.deletion_timestamp.is_some() || owners.iter().any(|owner| owner.kind == "GateRun" && owner.name == own.name) {
        return Log::Later;
    }
    Log::Lost(format!("ConfigMap {} is there already and is not this run's", config.name_any()))
}

/// A log, if it is the one document that the verdict names.
fn judge(log: &str, expected: &str) -> Log {
    let text = log.trim_end_matches('\n');
    if let Err(error) = Report::parse_log(text) {
        return Log::Lost(format!("its log is not its report: {error}"));
    }
    if digest(text.as_bytes()) != expected {
        return Log::Lost("its log is another report than its verdict names".into());
    }
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    match gzip.write_all(text.as_bytes()).and_then(|()| gzip.finish()) {
        Ok(packed) => Log::Read { packed, bytes: text.len() },
        Err(error) => Log::Lost(format!("it can't be packed: {error}")),
    }
}
