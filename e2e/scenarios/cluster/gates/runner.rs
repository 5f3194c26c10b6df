//! Submits a gate's Job and reads back what the controller would read.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use flywheel::{
    api::{factory::Factory, gate_run::Verdict, http::Method},
    gate::{
        bundle::{Bundle, SourceFile, digest},
        job::{API_SERVER, Frame, GATE, GateJob, build, verdict},
        plan::{Example, Limits, Plan, Price, Route, Terms},
        report::{Report, ReportError, Summary},
    },
};
use futures::TryStreamExt;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ConfigMap, Pod},
    node::v1::RuntimeClass,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, LogParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::json;

/// Longest wait for a run: longer than the longest run's own limit.
const PATIENCE: Duration = Duration::from_secs(150);
/// The namespace without any traffic.
pub(super) const NAMESPACE: &str = "flywheel-gates";

/// What a run is made of, where it differs from others.
pub(super) struct Run {
    pub namespace: String,
    pub sealed_from: String,
    pub timeout_seconds: u32,
    pub runtime_class: Option<String>,
    /// Other bytes than the ones that the Job announces.
    pub smuggled: Option<Vec<u8>>,
    /// Deletes the pod as soon as it runs.
    pub evicted: bool,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            namespace: NAMESPACE.into(),
            sealed_from: API_SERVER.into(),
            timeout_seconds: 90,
            runtime_class: None,
            smuggled: None,
            evicted: false,
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub summary: Result<Summary, ReportError>,
    pub report: Option<Report>,
    pub took: Duration,
}

impl Outcome {
    pub(super) fn verdict(&self) -> Verdict {
        self.summary.as_ref().map_or(Verdict::Error, |s| s.verdict)
    }

    /// Names of the steps that came to this.
    pub(super) fn steps(&self, verdict: Verdict) -> Vec<&str> {
        let steps = self.report.iter().flat_map(|r| &r.steps);
        steps.filter(|s| s.verdict == verdict).map(|s| s.name.as_str()).collect()
    }

    /// Steps and times, one a line.
    pub(super) fn table(&self) -> String {
        let line = |s: &flywheel::gate::report::Step| {
            let output: String = if s.verdict == Verdict::Passed { String::new() } else { s.output.chars().take(2000).collect() };
            format!(
                "{:>6} ms {:<8} {} {}\n{output}",
                s.milliseconds,
                format!("{:?}", s.verdict),
                s.name,
                s.message.as_deref().unwrap_or_default()
            )
        };
        let steps: String = self.report.iter().flat_map(|r| &r.steps).map(line).collect();
        format!("{:?} in {:.1} s\n{steps}", self.verdict(), self.took.as_secs_f64())
    }
}

/// The RuntimeClasses to try: the cluster's default, and gVisor where it is.
pub(in crate::cluster) async fn classes(client: &Client) -> Vec<Option<String>> {
    let known: Api<RuntimeClass> = Api::all(client.clone());
    let gvisor = known.get_opt("gvisor").await.expect("RuntimeClasses").map(|c| c.name_any());
    if gvisor.is_none() {
        eprintln!("NOT TRIED: there is no RuntimeClass gvisor in this cluster");
    }
    [Some(None), gvisor.map(Some)].into_iter().flatten().collect()
}

/// The plan of the packages made by hand, with limits that fit a test.
pub(super) fn plan() -> Plan {
    let route = |method, path: &str, price, example: Option<Example>, response| Route {
        method,
        path: path.into(),
        price,
        reads_json: example.is_some(),
        status: 200,
        errors: Vec::new(),
        example,
        sample: None,
        upstream: false,
        response,
        tests: Vec::new(),
    };
    let echo = Example { body: Some(json!({ "text": "hi" })), ..Example::default() };
    let echoed = json!({ "type": "object", "required": ["text"], "properties": { "text": { "type": "string" } } });
    Plan {
        primitive: "echo".into(),
        names: vec!["echo".into(), "echo.sh".into()],
        terms: Terms { network: "eip155:84532".into(), pay_to: "0x0000000000000000000000000000000000000001".into(), asset: None },
        env: BTreeMap::from([("GREETING".to_owned(), "placeholder".to_owned())]),
        routes: vec![
            route(Method::Post, "/v1/echo", Price::Exactly { micros: 1000 }, Some(echo), Some(echoed)),
            route(Method::Get, "/v1/time", Price::Free, None, None),
        ],
        generated: Vec::new(),
        preview: None,
        limits: Limits { tool_seconds: 60, boot_seconds: 10, request_seconds: 5, test_seconds: 10, total_seconds: 80 },
    }
}

/// Runs a gate to its end, and removes it.
pub(super) async fn gate(client: &Client, factory: &Factory, plan: Plan, files: Vec<SourceFile>, run: Run) -> Outcome {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("gate-{}-{}-{}", plan.primitive, std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let bundle = Bundle::pack(files).expect("a bundle");
    let change = bundle.digest().to_owned();
    let frame = Frame {
        name: name.clone(),
        namespace: run.namespace.clone(),
        image: factory.spec.deploy.image.clone(),
        runtime_class: run.runtime_class.clone(),
        timeout_seconds: run.timeout_seconds,
        sealed_from: run.sealed_from.clone(),
        labels: BTreeMap::from([("flywheel.prim.sh/run".to_owned(), name.clone())]),
    };
    let job = GateJob { frame, bundle, plan };
    let (mut config, job) = build(&job);
    if let Some(bytes) = run.smuggled {
        config.binary_data.as_mut().expect("data").values_mut().for_each(|v| v.0.clone_from(&bytes));
    }
    let configs: Api<ConfigMap> = Api::namespaced(client.clone(), &run.namespace);
    let jobs: Api<Job> = Api::namespaced(client.clone(), &run.namespace);
    let pods: Api<Pod> = Api::namespaced(client.clone(), &run.namespace);
    configs.create(&PostParams::default(), &config).await.expect("ConfigMap");
    let began = Instant::now();
    jobs.create(&PostParams::default(), &job).await.expect("Job");
    let of_job = format!("batch.kubernetes.io/job-name={name}");
    let of_run = format!("flywheel.prim.sh/run={name}");
    if run.evicted {
        let running = seen(&pods, &of_job, |pod: &Pod| agent_runs(pod)).await;
        pods.delete(&running.name_any(), &DeleteParams::default().grace_period(0)).await.expect("delete the pod");
    }
    seen(&jobs, &of_run, ended).await;
    let took = began.elapsed();

    let pod = pods.list(&ListParams::default().labels(&of_job)).await.expect("pods").items.pop();
    let summary = pod.as_ref().map_or(Err(ReportError::Empty), |pod| verdict(pod, &name, &change));
    let mut report = None;
    if let (Some(pod), Ok(Summary { report: Some(announced), .. })) = (&pod, &summary) {
        let log = LogParams { container: Some(GATE.into()), ..LogParams::default() };
        let log = pods.logs(&pod.name_any(), &log).await.expect("the gate's log");
        assert_eq!(&digest(log.trim_end().as_bytes()), announced, "the log is the report");
        report = Some(Report::parse_log(&log).expect("a report"));
    }
    jobs.delete(&name, &DeleteParams::background()).await.expect("delete the Job");
    configs.delete(&name, &DeleteParams::default()).await.expect("delete the ConfigMap");
    Outcome { summary, report, took }
}

fn agent_runs(pod: &Pod) -> bool {
    let inits = pod.status.as_ref().and_then(|s| s.init_container_statuses.as_ref()).into_iter().flatten();
    inits.filter(|c| c.name == "agent").any(|c| c.state.as_ref().is_some_and(|s| s.running.is_some()))
}

fn ended(job: &Job) -> bool {
    let conditions = job.status.as_ref().and_then(|s| s.conditions.as_ref()).into_iter().flatten();
    conditions.filter(|c| c.status == "True").any(|c| c.type_ == "Complete" || c.type_ == "Failed")
}

/// Waits until one of the labelled objects is as it should be, by watching.
async fn seen<K>(api: &Api<K>, labels: &str, good: impl Fn(&K) -> bool) -> K
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned + Send + 'static,
    K::DynamicType: Default,
{
    let mut last = None;
    let wait = async {
        let objects = watcher(api.clone(), watcher::Config::default().labels(labels)).default_backoff().applied_objects();
        let mut objects = std::pin::pin!(objects);
        while let Some(object) = objects.try_next().await.expect("watch") {
            if good(&object) {
                return object;
            }
            last = Some(object);
        }
        panic!("the watch of {labels} ended");
    };
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(object) => object,
        Err(_) => panic!("{labels}: not so within {} s; last seen: {last:#?}", PATIENCE.as_secs()),
    }
}
