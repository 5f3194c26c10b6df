//! Observes a GateRun: what it tests, and how its Job is doing. What that comes to
//! is `decide/gate_run.rs`; what runs inside the Job is `gate`.

use async_trait::async_trait;
use k8s_openapi::{
    api::{
        batch::v1::Job,
        core::v1::{ConfigMap, Pod},
    },
    apimachinery::pkg::apis::meta::v1::{Condition, OwnerReference},
};
use kube::{
    Api, Resource, ResourceExt,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{
    apply::Hands,
    context::Context,
    driver::{Kind, StatusFields},
    gate_plan,
    objects::get,
    status::{API_TIMEOUT, api_error},
};
use crate::{
    api::{
        FIELD_MANAGER,
        agent_pr::ManifestReference,
        conditions::Reason,
        factory::Factory,
        gate_run::{GateRun, GateRunStatus, Layer, Verdict},
    },
    decide::{
        self, Decision, GateObjects,
        factory::Now,
        gate_run::{Outcome, Run, Seen},
    },
    gate::{
        bundle::{self, Bundle, SourceFile},
        job::{self, GateJob},
    },
    ports::error::{Class, PortError},
};

/// Label on a gate's Job: the GateRun's namespace.
pub const NAMESPACE_LABEL: &str = "flywheel.prim.sh/gaterun-namespace";
/// Label on a gate's Job: the GateRun's name.
pub const NAME_LABEL: &str = "flywheel.prim.sh/gaterun";
/// Key of a manifest's ConfigMap.
const BUNDLE_KEY: &str = "bundle.json.gz";

#[async_trait]
impl Kind for GateRun {
    type Seen = Seen;
    type Status = GateRunStatus;
    const NAME: &'static str = "GateRun";

    async fn observe(&self, cx: &Context, _: Now) -> Result<(Seen, Hands), PortError> {
        let previous = self.status.clone().unwrap_or_default();
        let job = job_name(self);
        if previous.verdict.is_some() {
            let settled = PortError::new(Class::Waiting, Reason::NotChecked, "the verdict is there");
            return Ok((Seen { previous, job, objects: Err(settled), run: Run::Absent }, Hands::default()));
        }
        let run = observe_run(&job, cx).await?;
        let objects = objects(self, &job, cx).await.map(Box::new);
        Ok((Seen { previous, job, objects, run }, Hands::default()))
    }

    fn decide(seen: &Seen, now: Now) -> Decision<GateRunStatus> {
        decide::gate_run::decide(seen, now)
    }

    fn status(&self) -> Option<&GateRunStatus> {
        self.status.as_ref()
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

/// What the Job is made of.
async fn objects(run: &GateRun, job: &str, cx: &Context) -> Result<GateObjects, PortError> {
    if run.spec.layer != Layer::Unit {
        return Err(PortError::invalid("spec.layer", "only Unit can be run yet"));
    }
    let namespace = run.namespace().unwrap_or_default();
    let factory: Factory =
        get(&Api::namespaced(cx.client.clone(), &namespace), &run.spec.factory_ref.name, "spec.factoryRef.name: Factory").await?;
    let reference = run
        .spec
        .target
        .manifest_ref
        .as_ref()
        .ok_or_else(|| PortError::invalid("spec.target", "only a manifestRef can be tested by layer Unit yet"))?;
    let files = files(&namespace, reference, cx).await?;
    let bundle = Bundle::pack(files.clone()).map_err(|e| PortError::invalid("spec.target.manifestRef", e))?;
    let plan = gate_plan::plan("spec.target.manifestRef", &files, &factory)?;
    let (config, job) = job::build(&GateJob {
        name: job.into(),
        namespace: cx.gates_namespace.clone(),
        image: factory.spec.deploy.image.clone(),
        runtime_class: factory.spec.deploy.runtime_class.clone(),
        timeout_seconds: u32::try_from(run.spec.timeout_seconds).unwrap_or(1),
        sealed_from: job::API_SERVER.into(),
        bundle,
        plan,
        labels: [(NAMESPACE_LABEL.to_owned(), namespace), (NAME_LABEL.to_owned(), label(&run.name_any()))].into(),
    });
    Ok(GateObjects { config, job })
}

/// A label's value is shorter than a name may be; a run of a longer name is
/// found by polling alone.
fn label(name: &str) -> String {
    if name.len() <= 63 { name.into() } else { String::new() }
}

async fn files(namespace: &str, reference: &ManifestReference, cx: &Context) -> Result<Vec<SourceFile>, PortError> {
    let path = "spec.target.manifestRef";
    let config: ConfigMap =
        get(&Api::namespaced(cx.client.clone(), namespace), &reference.name, &format!("{path}.name: ConfigMap")).await?;
    let packed = config
        .binary_data
        .as_ref()
        .and_then(|data| data.get(BUNDLE_KEY))
        .ok_or_else(|| PortError::invalid(path, format!("ConfigMap {} has no binaryData key {BUNDLE_KEY}", reference.name)))?;
    bundle::files(&packed.0, &reference.digest).map_err(|e| PortError::invalid(path, e))
}

/// How the Job is doing.
async fn observe_run(name: &str, cx: &Context) -> Result<Run, PortError> {
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
    Ok(job.map_or(Run::Absent, |job| judge(&job, pod.as_ref())))
}

/// A Job and its pod, as a run.
fn judge(job: &Job, pod: Option<&Pod>) -> Run {
    let name = job.name_any();
    let ended = job
        .status
        .iter()
        .flat_map(|s| s.conditions.iter().flatten())
        .find(|c| c.status == "True" && (c.type_ == "Complete" || c.type_ == "Failed"));
    let Some(ended) = ended else {
        return Run::Going(pod.map_or_else(|| "the Job has no pod yet".into(), doing));
    };
    if ended.reason.as_deref() == Some("DeadlineExceeded") {
        return Run::Over(Outcome::broken("the run took longer than spec.timeoutSeconds"));
    }
    let Some(pod) = pod else {
        return Run::Over(Outcome::broken("the run's pod was removed before it came to a verdict"));
    };
    let change = job.spec.as_ref().and_then(|s| bundle_digest(s.template.spec.as_ref()?)).unwrap_or_default();
    Run::Over(match job::verdict(pod, &name, &change) {
        Ok(summary) => {
            let message = summary.steps.iter().filter(|s| s.verdict != Verdict::Passed).map(|s| match &s.message {
                Some(why) => format!("{}: {why}", s.name),
                None => s.name.clone(),
            });
            Outcome { verdict: summary.verdict, message: message.collect::<Vec<_>>().join("; "), results: summary.steps }
        }
        Err(error) => {
            let why = pod.status.as_ref().and_then(|s| s.reason.clone().or(s.message.clone())).unwrap_or_default();
            Outcome::broken(format!("the run left no verdict ({error}) {why}").trim_end().to_owned())
        }
    })
}

/// The digest that the Job was made with: its verdict must be about that one.
fn bundle_digest(pod: &k8s_openapi::api::core::v1::PodSpec) -> Option<String> {
    let command = pod.containers.iter().find(|c| c.name == job::GATE)?.command.as_ref()?;
    command.iter().skip_while(|word| *word != "--digest").nth(1).cloned()
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
pub(super) async fn create(objects: &GateObjects, client: &kube::Client) -> Result<(), PortError> {
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
        Ok(made) => made.map_err(api_error),
        Err(_) => Err(PortError::unreachable("the API server")),
    }
}

/// An object that is there already was made by an earlier pass.
fn adopt<K>(created: Result<K, kube::Error>) -> Result<(), kube::Error> {
    match created {
        Err(kube::Error::Api(answer)) if answer.is_already_exists() => Ok(()),
        other => other.map(drop),
    }
}
