//! A gate's full report, from its container's log to the ConfigMap that keeps it.
//! Whatever becomes of it, the verdict stands.

use std::io::Read;

use axum::http::StatusCode;
use flate2::read::GzDecoder;
use flywheel::{
    api::gate_run::Verdict,
    gate::report::{MAX_REPORT, Report, Step},
};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use super::object::{Cluster, GROUP, PODS, argument, base, head};

const KEPT: &str = "/api/v1/namespaces/flywheel/configmaps/gate-1-report";

/// A run whose gate has ended with a verdict; its Job's name, and the log.
async fn ended() -> (Cluster, String, String) {
    let cluster = Cluster::new();
    cluster.over("gate-1", 0, &base(), &head());
    cluster.pass("gate-1").await.unwrap();
    let job = cluster.status("gate-1").job.expect("a Job");
    let digest = argument(&cluster.jobs()[0], "--digest");
    let step = Step { output: "src/index.ts:3 all of it".into(), ..Step::not("lint", Verdict::Failed, "noVar") };
    let report = Report::new(&job, digest, vec![step]);
    let log = report.to_log();
    cluster.end(&job, &report.summary(&log).to_termination());
    cluster.pass("gate-1").await.unwrap();
    assert_eq!(cluster.status("gate-1").verdict, Some(Verdict::Failed), "the verdict waits for no report");
    (cluster, job, log)
}

fn pod(job: &str) -> String {
    format!("{PODS}/{job}-x")
}

/// What the status says of the report, and that the verdict is as it was.
fn missing(cluster: &Cluster) -> String {
    let status = cluster.status("gate-1");
    assert_eq!((status.verdict, cluster.says("gate-1")), (Some(Verdict::Failed), ("Failed".into(), "lint: noVar".into())));
    let report = status.report.expect("it is told what became of the report");
    assert_eq!((report.config_map, report.key, report.bytes), (None, None, None));
    report.missing.expect("why")
}

#[tokio::test]
async fn the_whole_report_is_kept_and_goes_with_its_run() {
    let (cluster, job, log) = ended().await;
    cluster.api.log(&pod(&job), &format!("{log}\n"));
    cluster.pass("gate-1").await.unwrap();

    let report = cluster.status("gate-1").report.expect("a report");
    assert_eq!((report.config_map.as_deref(), report.missing), (Some("gate-1-report"), None));
    assert_eq!(report.bytes, Some(log.len() as i64));
    let object = cluster.api.object(KEPT).expect("the ConfigMap");
    let owner = &object["metadata"]["ownerReferences"][0];
    assert_eq!((&owner["kind"], &owner["uid"]), (&json!("GateRun"), &json!("gate-1-uid")));
    let config: ConfigMap = serde_json::from_value(object).unwrap();
    let mut text = String::new();
    GzDecoder::new(config.binary_data.unwrap()[&report.key.unwrap()].0.as_slice()).read_to_string(&mut text).unwrap();
    assert_eq!(text, log);
    assert_eq!(cluster.says("gate-1"), ("Failed".into(), "lint: noVar".into()));

    // At rest nobody is asked.
    cluster.api.take();
    cluster.pass("gate-1").await.unwrap();
    assert!(cluster.api.take().is_empty());
}

#[tokio::test]
async fn a_pass_that_died_before_it_wrote_where_the_report_is_finds_it() {
    let (cluster, job, log) = ended().await;
    cluster.api.log(&pod(&job), &log);
    let path = format!("{GROUP}/gateruns/gate-1");
    let before = cluster.api.object(&path).unwrap()["status"].clone();
    cluster.pass("gate-1").await.unwrap();
    let after = cluster.status("gate-1");
    cluster.api.edit(&path, |mut run| {
        run["status"] = before;
        Some(run)
    });
    // The Job's time is over meanwhile.
    cluster.api.delete(&pod(&job));
    cluster.pass("gate-1").await.unwrap();
    assert_eq!(cluster.status("gate-1"), after);
}

#[tokio::test]
async fn a_report_that_can_not_be_had_is_told_and_changes_no_verdict() {
    type Trouble = fn(&Cluster, &str, &str);
    let rows: [(&str, Trouble, &str); 6] = [
        ("the pod is gone", |c, job, _| c.api.delete(&pod(job)), "its pod was gone"),
        ("the log is gone", |_, _, _| {}, "its log can't be read"),
        ("another text", |c, job, _| c.api.log(&pod(job), "thread 'main' panicked"), "its log is not its report"),
        ("another report", |c, job, log| c.api.log(&pod(job), &log.replace("noVar", "none")), "another report"),
        ("too much of it", |c, job, log| c.api.log(&pod(job), &format!("{log}{}", " ".repeat(MAX_REPORT))), "more than a gate writes"),
        (
            "somebody's ConfigMap",
            |c, job, log| {
                c.api.log(&pod(job), log);
                c.api.put_object(KEPT, json!({ "metadata": { "name": "gate-1-report" }, "data": {} }));
            },
            "ConfigMap gate-1-report is there already and is not this run's",
        ),
    ];
    for (what, trouble, names) in rows {
        let (cluster, job, log) = ended().await;
        trouble(&cluster, &job, &log);
        cluster.pass("gate-1").await.unwrap_or_else(|e| panic!("{what}: {e}"));
        let said = missing(&cluster);
        assert!(said.contains(names), "{what}: {names:?} is not in {said:?}");
        cluster.api.take();
        cluster.pass("gate-1").await.unwrap();
        assert!(cluster.api.take().is_empty(), "{what}: it is looked for once");
    }
}

#[tokio::test]
async fn a_report_that_can_not_be_read_or_kept_at_the_moment_is_kept_later() {
    for (path, code) in [("/log", StatusCode::INTERNAL_SERVER_ERROR), ("flywheel/configmaps", StatusCode::INTERNAL_SERVER_ERROR)] {
        let (cluster, job, log) = ended().await;
        cluster.api.log(&pod(&job), &log);
        cluster.api.refuse(path, code);
        cluster.pass("gate-1").await.unwrap();
        assert_eq!((cluster.status("gate-1").report, cluster.says("gate-1").0), (None, "Failed".into()), "{path}");
        cluster.api.relent();
        cluster.pass("gate-1").await.unwrap();
        assert_eq!(cluster.status("gate-1").report.and_then(|r| r.config_map).as_deref(), Some("gate-1-report"), "{path}");
    }
    // A right that is missing does not come by itself while the Job is there.
    let (cluster, job, log) = ended().await;
    cluster.api.log(&pod(&job), &log);
    cluster.api.refuse("flywheel/configmaps", StatusCode::FORBIDDEN);
    cluster.pass("gate-1").await.unwrap();
    assert!(missing(&cluster).contains("refused the controller"));
}

#[tokio::test]
async fn a_log_whose_end_comes_late_is_read_again() {
    let (cluster, job, log) = ended().await;
    cluster.api.edit(&pod(&job), |mut pod| {
        pod["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] = json!("2027-01-15T08:00:00Z");
        Some(pod)
    });
    cluster.api.log(&pod(&job), &log[..log.len() / 2]);
    cluster.pass("gate-1").await.unwrap();
    assert_eq!(cluster.status("gate-1").report, None);
    cluster.world.wait(std::time::Duration::from_secs(30));
    cluster.pass("gate-1").await.unwrap();
    assert!(missing(&cluster).contains("its log is not its report"), "it does not come any more");
}
