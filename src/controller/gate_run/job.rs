//! A gate's Job in the cluster: how it is doing, and its making.

use std::collections::BTreeSet;

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobCondition},
        core::v1::{ConfigMap, Pod},
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{NAMESPACE_LABEL, job_name};
use crate::{
    api::{
        FIELD_MANAGER,
        conditions::Reason,
        gate_run::{GateRun, Verdict},
    },
    controller::{
        context::Context,
        objects::timely,
        status::{API_TIMEOUT, api_error},
    },
    decide::{
        GateObjects,
        gate_run::{Outcome, Run},
    },
    gate::{job, report::Summary},
    ports::error::{Class, PortError},
};

/// How the Job is doing, and whether it has a wallet; that is not known of one that is
/// not there.
pub(super) async fn observe(name: &str, cx: &Context) -> Result<(Run, Option<bool>), PortError> {
    let jobs: Api<Job> = Api::namespaced(cx.client.clone(), &cx.gates_namespace);
    let pods: Api<Pod> = Api::namespaced(cx.client.clone(), &cx.gates_namespace);
    let look = async {
        let Some(job) = jobs.get_opt(name).await? else { return Ok((None, None)) };
        let pods = pods.list(&ListParams::default().labels(&format!("batch.kubernetes.io/job-name={name}"))).await?;
        Ok((Some(job), pods.items.into_iter().next()))
    };
    let (job, pod) = match tokio::time::timeout(API_TIMEOUT, look).await {
        Ok(seen) => seen.map_err(api_error)?,
        Err(_) => return Err(PortError::unreachable("the API server")),
    };
    Ok(job.map_or((Run::Absent, None), |job| (judge(&job, pod.as_ref()), Some(job::pays(&job)))))
}

/// Why a Job fails whose `activeDeadlineSeconds` are over.
const DEADLINE: &str = "DeadlineExceeded";

/// Jobs that still run though none of these runs has them: of a GateRun that is
/// gone. They take their time all the same, however often somebody proposes anew.
pub(super) async fn orphans(namespace: &str, runs: &[&GateRun], cx: &Context) -> Result<usize, PortError> {
    let jobs: Api<Job> = Api::namespaced(cx.client.clone(), &cx.gates_namespace);
    let labelled = ListParams::default().labels(&format!("{NAMESPACE_LABEL}={namespace}"));
    let jobs = timely(jobs.list(&labelled)).await?.items;
    let known: BTreeSet<_> = runs.iter().map(|run| job_name(run)).collect();
    Ok(jobs.iter().filter(|job| ended(job).is_none() && !known.contains(&job.name_any())).count())
}

/// How the Job ended, if it did. Where its time is over, that it is to fail is enough:
/// `Failed` waits for its pod to be gone, which one on a lost node never is.
fn ended(job: &Job) -> Option<&JobCondition> {
    let conditions = job.status.iter().flat_map(|s| s.conditions.iter().flatten());
    let late = |c: &&JobCondition| c.type_ == "FailureTarget" && c.reason.as_deref() == Some(DEADLINE);
    conditions.into_iter().find(|c| c.status == "True" && (c.type_ == "Complete" || c.type_ == "Failed" || late(c)))
}

/// A Job and its pod, as a run.
pub(crate) fn judge(job: &Job, pod: Option<&Pod>) -> Run {
    let name = job.name_any();
    let change = job.spec.as_ref().and_then(|s| bundle_digest(s.template.spec.as_ref()?)).unwrap_or_default();
    let verdict = pod.map(|pod| job::verdict(pod, &name, &change));
    match (ended(job), verdict) {
        (Some(ended), _) if ended.reason.as_deref() == Some(DEADLINE) => {
            Run::Over(Outcome::broken("the run took longer than spec.timeoutSeconds"))
        }
        // Pod and Job take seconds to end once the gate has spoken.
        (_, Some(Ok(summary))) => Run::Over(said(summary)),
        (None, _) => Run::Going(pod.map_or_else(|| no_pod(job), doing)),
        (Some(_), None) => Run::Over(Outcome::broken("the run's pod was removed before it came to a verdict")),
        (Some(_), Some(Err(error))) => {
            let status = pod.and_then(|pod| pod.status.as_ref());
            let why = status.and_then(|s| s.reason.clone().or(s.message.clone())).unwrap_or_default();
            Run::Over(Outcome::broken(format!("the run left no verdict ({error}) {why}").trim_end().to_owned()))
        }
    }
}

/// What the gate's last words come to.
fn said(summary: Summary) -> Outcome {
    let not = summary.steps.iter().filter(|s| s.verdict != Verdict::Passed && !s.advisory).map(|s| match &s.message {
        Some(why) => format!("{}: {why}", s.name),
        None => s.name.clone(),
    });
    let untried = (summary.untried > 0).then(|| untried(&summary));
    let message = not.chain(untried).collect::<Vec<_>>().join("; ");
    Outcome { verdict: summary.verdict, message, untried: summary.untried, results: summary.steps }
}

/// What was not tried, with the first of it and why.
fn untried(summary: &Summary) -> String {
    let first = summary.steps.iter().find(|s| s.advisory && s.verdict == Verdict::Blocked);
    let first = first.map(|s| format!(", such as {}: {}", s.name, s.message.as_deref().unwrap_or_default())).unwrap_or_default();
    format!("not tried: {}{first}", summary.untried)
}

/// The digest that the Job was made with: its verdict must be about that one.
fn bundle_digest(pod: &k8s_openapi::api::core::v1::PodSpec) -> Option<String> {
    let command = pod.containers.iter().find(|c| c.name == job::GATE)?.command.as_ref()?;
    command.iter().skip_while(|word| *word != "--digest").nth(1).cloned()
}

/// What keeps a pod from being made, a quota or an admission policy, is told in the
/// Job's Events alone.
fn no_pod(job: &Job) -> String {
    let (namespace, name) = (job.namespace().unwrap_or_default(), job.name_any());
    format!("the Job has no pod yet; if that lasts, kubectl -n {namespace} describe job {name} says why")
}

/// What a pod that runs does, in Kubernetes' words.
fn doing(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let waiting = status
        .init_container_statuses
        .iter()
        .flatten()
        .chain(status.container_statuses.iter().flatten())
        .find_map(|c| c.state.as_ref()?.waiting.as_ref()?.message.as_ref().map(|m| format!("container {} waits: {m}", c.name)));
    waiting.unwrap_or_else(|| format!("its pod is {}", status.phase.as_deref().unwrap_or("Pending")))
}

/// Makes the ConfigMap, then the Job; what is there already is ours, by its name.
/// At last the ConfigMap is given to the Job, so that both go together.
pub(crate) async fn create(objects: &GateObjects, client: &kube::Client) -> Result<(), PortError> {
    let namespace = objects.job.namespace().unwrap_or_default();
    let configs: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
    let make = async {
        adopt(configs.create(&PostParams::default(), &objects.config).await)?;
        adopt(jobs.create(&PostParams::default(), &objects.job).await)?;
        let job = jobs.get(&objects.job.name_any()).await?;
        let owner: Option<OwnerReference> = job.owner_ref(&());
        let owned =
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "ownerReferences": owner.into_iter().collect::<Vec<_>>() } });
        configs.patch(&objects.config.name_any(), &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(owned)).await?;
        Ok(())
    };
    match tokio::time::timeout(API_TIMEOUT, make).await {
        Ok(made) => made.map_err(|error| refused(&namespace, error)),
        Err(_) => Err(PortError::unreachable("the API server")),
    }
}

/// Why the Job could not be made. A quota is a matter of time; the API server tells
/// it from a missing right by its words alone.
fn refused(namespace: &str, error: kube::Error) -> PortError {
    match &error {
        kube::Error::Api(answer) if answer.is_forbidden() && answer.message.contains("exceeded quota") => {
            let message = format!(
                "the quota of namespace {namespace} has no room for the gate's Job: {}; raise it, or wait until other gates have ended (tried again by itself)",
                answer.message
            );
            PortError::new(Class::Waiting, Reason::Waiting, message).because(error)
        }
        kube::Error::Api(answer) if answer.is_forbidden() => {
            let message = format!("the API server refused the gate's Job in namespace {namespace}: {}", answer.message);
            PortError::new(Class::Denied, Reason::PermissionMissing, message).because(error)
        }
        _ => api_error(error),
    }
}

/// An object that is there already was made by an earlier pass.
pub(crate) fn adopt<K>(created: Result<K, kube::Error>) -> Result<(), kube::Error> {
    match created {
        Err(kube::Error::Api(answer)) if answer.is_already_exists() => Ok(()),
        other => other.map(drop),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_value};

    use super::*;
    use crate::gate::report::{Report, Step};

    fn job(status: &Value) -> Job {
        let gate = json!({ "name": "gate", "command": ["flywheel", "gate", "unit", "--digest", "sha256:0"] });
        let template = json!({ "spec": { "containers": [gate] } });
        from_value(json!({ "metadata": { "name": "gate-x", "namespace": "gates" }, "spec": { "template": template }, "status": status }))
            .expect("a Job")
    }

    fn ended(kind: &str, reason: &str) -> Job {
        job(&json!({ "conditions": [{ "type": kind, "status": "True", "reason": reason }] }))
    }

    fn pod(status: &Value) -> Pod {
        from_value(json!({ "metadata": { "name": "gate-x-1" }, "status": status })).expect("a Pod")
    }

    fn said(container: &str, code: i32, message: &str) -> Pod {
        let state = json!({ "terminated": { "exitCode": code, "message": message } });
        pod(
            &json!({ "containerStatuses": [{ "name": container, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state }] }),
        )
    }

    fn summary(job: &str, change: &str, steps: Vec<Step>) -> String {
        Report::new(job, change, steps).summary("").to_termination()
    }

    #[test]
    fn whatever_ends_a_run_without_its_own_verdict_is_an_error() {
        let passed = summary("gate-x", "sha256:0", vec![Step::passed("lint")]);
        let evicted = pod(&json!({ "phase": "Failed", "reason": "Evicted" }));
        for (what, job, pod, named) in [
            (
                "it took too long, whatever it said",
                ended("Failed", "DeadlineExceeded"),
                Some(said("gate", 0, &passed)),
                "spec.timeoutSeconds",
            ),
            (
                "it took too long, on a node that is lost",
                ended("FailureTarget", "DeadlineExceeded"),
                Some(pod(&json!({ "phase": "Running" }))),
                "spec.timeoutSeconds",
            ),
            ("its pod was deleted", ended("Failed", "BackoffLimitExceeded"), None, "was removed"),
            ("its pod was evicted", ended("Failed", "BackoffLimitExceeded"), Some(evicted), "Evicted"),
            ("it was killed", ended("Failed", "BackoffLimitExceeded"), Some(said("gate", 137, "")), "no verdict"),
            ("it crashed with a message", ended("Failed", "BackoffLimitExceeded"), Some(said("gate", 1, "panicked")), "no verdict"),
            ("another container spoke", ended("Complete", ""), Some(said("agent", 0, &passed)), "no verdict"),
            (
                "about another Job",
                ended("Complete", ""),
                Some(said("gate", 0, &summary("gate-y", "sha256:0", vec![Step::passed("a")]))),
                "gate-y",
            ),
            (
                "about other files",
                ended("Complete", ""),
                Some(said("gate", 0, &summary("gate-x", "sha256:1", vec![Step::passed("a")]))),
                "sha256:1",
            ),
        ] {
            let Run::Over(outcome) = judge(&job, pod.as_ref()) else { panic!("{what}: not over") };
            assert_eq!(outcome.verdict, Verdict::Error, "{what}");
            assert!(outcome.message.contains(named), "{what}: {named:?} is not in {:?}", outcome.message);
        }
    }

    #[test]
    fn a_verdict_is_the_gates_own() {
        let steps = vec![Step::passed("lint"), Step::not("types", Verdict::Failed, "TS2322")];
        let pod = said("gate", 0, &summary("gate-x", "sha256:0", steps));
        let Run::Over(outcome) = judge(&ended("Complete", ""), Some(&pod)) else { panic!("not over") };
        assert_eq!((outcome.verdict, outcome.message.as_str(), outcome.results.len()), (Verdict::Failed, "types: TS2322", 2));
    }

    #[test]
    fn a_verdict_counts_before_the_pod_and_the_job_have_ended() {
        let running = job(&json!({ "active": 1, "ready": 0 }));
        let spoken = |container, change| said(container, 0, &summary("gate-x", change, vec![Step::passed("lint")]));
        let Run::Over(outcome) = judge(&running, Some(&spoken("gate", "sha256:0"))) else { panic!("not over") };
        assert_eq!(outcome.verdict, Verdict::Passed);
        for pod in [spoken("gate", "sha256:1"), spoken("agent", "sha256:0"), said("gate", 137, "")] {
            assert!(matches!(judge(&running, Some(&pod)), Run::Going(_)), "how the Job ends is waited for");
        }
    }

    #[test]
    fn a_run_that_goes_on_says_what_it_does() {
        let waiting = json!({ "waiting": { "message": "no such image" } });
        let waiting = pod(
            &json!({ "containerStatuses": [{ "name": "gate", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": waiting }] }),
        );
        for (pod, named) in [
            (None, "kubectl -n gates describe job gate-x"),
            (Some(pod(&json!({ "phase": "Running" }))), "Running"),
            (Some(waiting), "gate waits: no such image"),
        ] {
            let Run::Going(doing) = judge(&job(&json!({})), pod.as_ref()) else { panic!("over") };
            assert!(doing.contains(named), "{named:?} is not in {doing:?}");
        }
        // Its pod may speak until it is gone.
        let failing = ended("FailureTarget", "BackoffLimitExceeded");
        assert!(matches!(judge(&failing, Some(&pod(&json!({ "phase": "Running" })))), Run::Going(_)));
    }

    #[test]
    fn a_quota_passes_and_a_missing_right_does_not() {
        let forbidden = |message: &str| {
            let status = json!({ "status": "Failure", "message": message, "reason": "Forbidden", "code": 403 });
            refused("gates", kube::Error::Api(Box::new(from_value(status).expect("a Status"))))
        };
        let quota =
            forbidden("jobs.batch \"gate-x\" is forbidden: exceeded quota: gates, requested: count/jobs.batch=1, used: 5, limited: 5");
        assert_eq!((quota.class, quota.reason), (Class::Waiting, Reason::Waiting));
        assert!(quota.message.starts_with("the quota of namespace gates") && quota.message.contains("limited: 5"), "{}", quota.message);
        let right = forbidden("User \"x\" cannot create resource \"jobs\"");
        assert_eq!((right.class, right.reason), (Class::Denied, Reason::PermissionMissing));
        assert!(right.message.contains("cannot create"), "{}", right.message);
    }
}
