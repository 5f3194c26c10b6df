//! A gate's Job as it is submitted, and what is read back of its pod. No Job runs
//! here: `e2e/scenarios/cluster/gates` runs them. `contract.rs` is layer 2's program,
//! `object.rs` the controller around both.

mod contract;
mod given;
mod object;
mod reports;
mod rooms;
mod suite;

use std::collections::BTreeMap;

use flywheel::{
    api::{gate_run::Verdict, http::Method},
    gate::{
        bundle::{Bundle, SourceFile},
        job::{API_SERVER, Frame, GateJob, LAYER_LABEL, RoomJob, ServiceJob, ServicePlan, build, build_room, build_service, verdict},
        plan::{Contract, Limits, Plan, Price, Route, Terms},
        report::{Report, ReportError, Step, Summary},
    },
};
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{Container, Pod, PodSpec},
};
use serde_json::{Value, json};

const CHANGE: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

/// A route without an example.
fn route(method: Method, path: &str, price: Price) -> Route {
    Route {
        method,
        path: path.into(),
        price,
        reads_json: method.has_body(),
        status: 200,
        errors: Vec::new(),
        example: None,
        sample: None,
        upstream: false,
        response: None,
        tests: Vec::new(),
    }
}

fn plan(routes: Vec<Route>) -> Plan {
    Plan {
        primitive: "echo".into(),
        names: vec!["echo".into(), "echo.sh".into()],
        terms: Terms { network: "eip155:84532".into(), pay_to: "0x01".into(), asset: None },
        env: BTreeMap::new(),
        routes,
        generated: Vec::new(),
        preview: None,
        limits: Limits::default(),
    }
}

fn paid() -> Route {
    route(Method::Post, "/v1/echo", Price::Exactly { micros: 1000 })
}

fn frame(name: &str) -> Frame {
    Frame {
        name: name.into(),
        namespace: "flywheel-gates".into(),
        image: "localhost/flywheel/runtime:1".into(),
        runtime_class: Some("gvisor".into()),
        timeout_seconds: 300,
        sealed_from: API_SERVER.into(),
        labels: BTreeMap::from([("flywheel.prim.sh/gate-run".to_owned(), "echo-1".to_owned())]),
    }
}

fn job(name: &str) -> GateJob {
    let bundle = Bundle::pack(vec![SourceFile::new("packages/echo/src/index.ts", "")]).unwrap();
    GateJob { frame: frame(name), bundle, plan: plan(vec![paid()]) }
}

fn contract() -> Contract {
    Contract {
        url: "https://echo.prim.sh".into(),
        commit: "0".repeat(40),
        ca_bundle: Some("PEM".into()),
        plan: plan(vec![paid()]),
        suite: None,
        payment: None,
    }
}

fn contract_job(name: &str) -> ServiceJob {
    let frame = Frame { timeout_seconds: 60, ..frame(name) };
    ServiceJob { frame, plan: ServicePlan::Contract(Box::new(contract())), wallet: None }
}

fn canary_job(name: &str) -> ServiceJob {
    let plan = json!({ "url": "https://echo.prim.sh", "model": { "url": "https://model.example/v1", "name": "small" } });
    let plan = ServicePlan::Canary { primitive: "echo".into(), plan, key: Some("model".into()) };
    ServiceJob { plan, wallet: Some("wallet".into()), ..contract_job(name) }
}

fn room(name: &str) -> RoomJob {
    RoomJob {
        frame: frame(name),
        primitive: "echo".into(),
        plan: json!({ "url": "https://echo.prim.sh" }),
        cli: Some("#!/usr/bin/env bun\n".into()),
        wallet: Some("wallet".into()),
        key: Some("model".into()),
        notes: BTreeMap::from([("network".to_owned(), "eip155:84532".to_owned())]),
    }
}

fn pod_spec(name: &str) -> PodSpec {
    build(&job(name)).1.spec.unwrap().template.spec.unwrap()
}

fn containers(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers.iter().flatten().chain(&spec.containers)
}

#[test]
fn the_job_is_as_it_was() {
    let (config, job) = build(&job("gate-echo-1"));
    insta::assert_yaml_snapshot!("config_map", config.data);
    insta::assert_yaml_snapshot!("job", job);
}

#[test]
fn the_job_of_layer_2_is_as_it_was() {
    let (config, job) = build_service(&contract_job("gate-echo-2"));
    insta::assert_yaml_snapshot!("contract_config_map", config.data);
    insta::assert_yaml_snapshot!("contract_job", job);
}

#[test]
fn the_job_of_layer_3_is_as_it_was() {
    let (config, job) = build_service(&canary_job("gate-echo-3"));
    insta::assert_yaml_snapshot!("canary_config_map", config.data);
    insta::assert_yaml_snapshot!("canary_job", job);
}

#[test]
fn the_job_of_layer_4_is_as_it_was() {
    let (config, job) = build_room(&room("gate-echo-4"));
    insta::assert_yaml_snapshot!("room_config_map", (config.data, config.binary_data));
    insta::assert_yaml_snapshot!("room_job", job);
}

/// The room's sandbox sees the command line, and neither plan nor keys; without a command
/// line its pod starts all the same.
#[test]
fn a_rooms_sandbox_is_given_the_command_line_alone() {
    for (cli, optional) in [(Some("cli".to_owned()), false), (None, true)] {
        let (config, job) = build_room(&RoomJob { cli: cli.clone(), ..room("gate-echo-4") });
        let spec = job.spec.unwrap().template.spec.unwrap();
        restricted(&spec);
        let agent = containers(&spec).find(|c| c.name == "agent").unwrap();
        let gate = containers(&spec).find(|c| c.name == "gate").unwrap();
        let mounts = |c: &Container| c.volume_mounts.iter().flatten().map(|m| m.name.clone()).collect::<Vec<_>>();
        assert_eq!(
            (mounts(agent), mounts(gate)),
            (vec!["cli".into(), "agent-tmp".into()], ["inputs", "wallet", "model-key", "gate-tmp"].map(String::from).to_vec())
        );
        assert_ne!(agent.security_context.as_ref().unwrap().run_as_user, gate.security_context.as_ref().unwrap().run_as_user);
        let volume = spec.volumes.iter().flatten().find(|v| v.name == "cli").unwrap().config_map.clone().unwrap();
        assert_eq!(volume.optional, Some(optional));
        let items: Vec<_> = volume.items.into_iter().flatten().map(|item| item.key).collect();
        assert_eq!(items, ["cli.ts"]);
        assert_eq!(config.binary_data.is_some(), cli.is_some());
    }
}

/// Keys are files of the trusted container alone: in no variable, in no argument.
#[test]
fn keys_are_mounted_where_they_are_used_and_nowhere_else() {
    let spec = |job: &ServiceJob| build_service(job).1.spec.unwrap().template.spec.unwrap();
    let secrets =
        |spec: &PodSpec| -> Vec<String> { spec.volumes.iter().flatten().filter_map(|v| v.secret.as_ref()?.secret_name.clone()).collect() };
    let with_wallet = ServiceJob { wallet: Some("wallet".into()), ..contract_job("gate-echo-2") };
    for (job, expected) in
        [(contract_job("gate-echo-2"), vec![]), (with_wallet, vec!["wallet"]), (canary_job("gate-echo-3"), vec!["wallet", "model"])]
    {
        let spec = spec(&job);
        restricted(&spec);
        assert_eq!(secrets(&spec), expected);
        let [gate] = &spec.containers[..] else { panic!("one container") };
        let mounts = gate.volume_mounts.iter().flatten();
        assert!(mounts.clone().all(|m| m.read_only == Some(true)) && mounts.count() == expected.len() + 1);
    }
    assert!(secrets(&pod_spec("gate-echo-1")).is_empty(), "nothing of the kind is near a package's code");
}

/// What lets a pod out is its label: only what runs no agent's code may have it.
#[test]
fn a_way_out_goes_with_trusted_code_alone() {
    let label = |job: &Job| job.spec.as_ref().unwrap().template.metadata.as_ref().unwrap().labels.as_ref().unwrap()[LAYER_LABEL].clone();
    let (_, unit) = build(&GateJob {
        frame: Frame { labels: [(LAYER_LABEL.to_owned(), "contract".to_owned())].into(), ..frame("gate-echo-1") },
        ..job("gate-echo-1")
    });
    assert_eq!(label(&unit), "unit", "no label given replaces it");
    let (config, contract) = build_service(&contract_job("gate-echo-2"));
    assert_eq!(label(&contract), "contract");
    assert_eq!(label(&build_service(&canary_job("gate-echo-3")).1), "canary");
    assert!(config.binary_data.is_none(), "no code goes along");
    let spec = contract.spec.unwrap().template.spec.unwrap();
    let names: Vec<_> = containers(&spec).map(|c| (c.name.as_str(), c.security_context.as_ref().unwrap().run_as_user)).collect();
    assert_eq!(names, [("gate", Some(65532))]);
    assert_eq!(spec.automount_service_account_token, Some(false));
}

/// The verdict of layer 2 is about its plan, as that of layer 1 is about its files.
#[test]
fn the_digest_that_a_verdict_must_have_is_in_the_command() {
    let (config, job) = build_service(&contract_job("gate-echo-2"));
    let plan = &config.data.unwrap()["plan.json"];
    let command = job.spec.unwrap().template.spec.unwrap().containers.remove(0).command.unwrap();
    let announced = command.iter().skip_while(|word| *word != "--digest").nth(1).unwrap();
    assert_eq!(announced, &flywheel::gate::bundle::digest(plan.as_bytes()));
    assert!(plan.contains("\"totalSeconds\":30"), "its own limit ends before the Job's: {plan}");
}

#[test]
fn a_retry_makes_the_same_objects_and_another_run_another_user() {
    let text = |name: &str| serde_json::to_string(&build(&job(name))).unwrap();
    assert_eq!(text("gate-echo-1"), text("gate-echo-1"));
    let user = |name: &str| {
        let spec = pod_spec(name);
        containers(&spec).find(|c| c.name == "agent").and_then(|c| c.security_context.as_ref()?.run_as_user).unwrap()
    };
    assert_ne!(user("gate-echo-1"), user("gate-echo-2"));
    assert!(user("gate-echo-1") >= 1_000_000);
}

#[test]
fn no_container_has_more_than_it_needs() {
    let contract = build_service(&contract_job("gate-echo-2")).1.spec.unwrap().template.spec.unwrap();
    restricted(&contract);
    let spec = pod_spec("gate-echo-1");
    restricted(&spec);
    // What the untrusted container can write is its own alone.
    let agent = containers(&spec).find(|c| c.name == "agent").unwrap();
    let mounts = |c: &Container, writable: bool| -> Vec<String> {
        c.volume_mounts.iter().flatten().filter(|m| m.read_only.unwrap_or(false) != writable).map(|m| m.name.clone()).collect()
    };
    assert_eq!((mounts(agent, true), mounts(agent, false)), (vec!["agent-tmp".to_owned()], vec!["work".to_owned()]));
    let others = containers(&spec).filter(|c| c.name != "agent");
    assert!(others.flat_map(|c| c.volume_mounts.iter().flatten()).all(|m| m.name != "agent-tmp"));
}

fn restricted(spec: &PodSpec) {
    assert_eq!(
        (spec.automount_service_account_token, spec.enable_service_links, spec.share_process_namespace),
        (Some(false), Some(false), Some(false))
    );
    assert!(spec.host_network.is_none() && spec.host_pid.is_none() && spec.host_ipc.is_none());
    for container in containers(spec) {
        let name = &container.name;
        let context = container.security_context.as_ref().unwrap();
        assert_eq!((context.read_only_root_filesystem, context.allow_privilege_escalation), (Some(true), Some(false)), "{name}");
        assert_eq!(context.capabilities.as_ref().and_then(|c| c.drop.clone()), Some(vec!["ALL".to_owned()]), "{name}");
        let limits = container.resources.as_ref().and_then(|r| r.limits.as_ref()).unwrap();
        assert!(["cpu", "memory", "ephemeral-storage"].iter().all(|key| limits.contains_key(*key)), "{name}");
        assert!(container.env.is_none() && container.env_from.is_none(), "{name}");
    }
}

#[test]
fn the_gates_own_limit_ends_before_the_jobs() {
    for (timeout, expected) in [(300, 270), (60, 30), (1, 1)] {
        let (config, built) = build(&GateJob { frame: Frame { timeout_seconds: timeout, ..frame("gate-echo-1") }, ..job("gate-echo-1") });
        let plan: Value = serde_json::from_str(&config.data.unwrap()["plan.json"]).unwrap();
        assert_eq!(plan["limits"]["totalSeconds"], expected);
        assert_eq!(built.spec.unwrap().active_deadline_seconds, Some(i64::from(timeout)));
    }
}

/// A pod whose containers ended with these messages.
fn pod(inits: &[(&str, i32, &str)], containers: &[(&str, i32, &str)]) -> Pod {
    let status = |(name, code, message): &(&str, i32, &str)| json!({ "name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": { "terminated": { "exitCode": code, "message": message } } });
    let all = |statuses: &[_]| statuses.iter().map(status).collect::<Vec<_>>();
    serde_json::from_value(json!({ "status": { "initContainerStatuses": all(inits), "containerStatuses": all(containers) } })).unwrap()
}

#[test]
fn only_trusted_containers_are_asked() {
    let passed = Report::new("job", CHANGE, vec![Step::passed("lint")]).summary("").to_termination();
    let open = Summary::broken("job", "seal", "open".into()).to_termination();
    let read = |pod: &Pod| verdict(pod, "job", CHANGE).map(|s| s.verdict);

    assert_eq!(read(&pod(&[("seal", 0, "")], &[("gate", 0, &passed)])).unwrap(), Verdict::Passed);
    assert_eq!(read(&pod(&[("seal", 1, &open)], &[])).unwrap(), Verdict::Error);
    // The untrusted container's message is not even read.
    assert!(matches!(read(&pod(&[("agent", 0, &passed)], &[])), Err(ReportError::Empty)));
    assert!(matches!(read(&pod(&[("agent", 1, &passed)], &[("gate", 137, "")])), Err(ReportError::Empty)));
    assert!(matches!(read(&pod(&[], &[("agent", 0, &passed)])), Err(ReportError::Empty)));
    assert!(matches!(read(&Pod::default()), Err(ReportError::Empty)));
    assert!(matches!(verdict(&pod(&[], &[("gate", 0, &passed)]), "other", CHANGE), Err(ReportError::Other { .. })));
}
