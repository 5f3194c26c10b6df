//! The objects, as they are sent.

use flywheel::{
    controller::workload::{Rollout, Seen, judge, name},
    decide::Manifest,
};
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

use super::{COMMIT, Case, TREE, id, labels};

#[test]
fn names_are_names_of_services_and_tell_primitives_apart() {
    assert_eq!(name("prim", &id("search")), "prim-search");
    let long = "f".repeat(63);
    for (factory, primitive) in [(long.as_str(), "search"), ("1st", "search"), ("a.b", "search"), (&long[..12], &"x".repeat(40))] {
        let name = name(factory, &id(primitive));
        assert!(name.len() <= 52 && name.starts_with(|c: char| c.is_ascii_lowercase()), "{name}");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
    }
    assert_ne!(name(&long, &id("search")), name(&long, &id("lookup")), "what tells them apart was cut");
    assert_ne!(name("a.b", &id("c")), name("a-b", &id("c")));
}

#[test]
fn what_a_pod_needs_comes_before_it() {
    let kinds = |case: &Case| case.manifests().iter().map(|Manifest(m)| m["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(kinds(&Case::new()), ["ConfigMap", "Deployment", "Service"]);
    let mut all = Case { keeps_data: Some("SEARCH_DB_PATH"), ..Case::new() };
    all.environment.secret = Some(secret(&[]));
    assert_eq!(kinds(&all), ["ConfigMap", "Secret", "PersistentVolumeClaim", "Deployment", "Service"]);
    for Manifest(m) in all.manifests() {
        assert_eq!(m["metadata"]["namespace"], "flywheel-run", "{m}");
        for (key, value) in labels().as_object().unwrap() {
            assert_eq!(&m["metadata"]["labels"][key], value, "{}", m["kind"]);
        }
    }
}

#[test]
fn the_code_has_no_right_that_it_does_not_need() {
    let mut case = Case::new();
    case.factory.spec.deploy.runtime_class = Some("gvisor".into());
    let pod = case.pod();
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["enableServiceLinks"], false);
    assert_eq!(pod["runtimeClassName"], "gvisor");
    assert_eq!(pod["securityContext"], json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } }));
    for shared in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "serviceAccountName"] {
        assert!(pod.get(shared).is_none(), "{shared}");
    }
    let containers = [&pod["initContainers"], &pod["containers"]].map(|list| list.as_array().unwrap().clone()).concat();
    assert_eq!(containers.len(), 3);
    for container in &containers {
        let security = &container["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["readOnlyRootFilesystem"], true);
        assert_eq!(security["runAsNonRoot"], true);
        assert_eq!(security["capabilities"], json!({ "drop": ["ALL"] }));
        assert!(container["resources"]["limits"]["memory"].is_string() && container["resources"]["requests"]["cpu"].is_string());
        assert_eq!(container["terminationMessagePolicy"].as_str().unwrap_or("File"), "File", "a log would go into the status");
    }
    let user = |c: &Value| c["securityContext"]["runAsUser"].as_i64().unwrap();
    assert_eq!(containers[0]["command"][2], "seal", "nothing of the package runs before the network policy holds");
    assert!(user(&containers[2]) >= 1_000_000 && user(&containers[1]) == 65532, "the code shares a user with the program that lays it out");
    // Its own files are not its to change, and what it writes to ends with it.
    let mounts = containers[2]["volumeMounts"].as_array().unwrap();
    assert!(mounts.iter().all(|m| m["name"] == "tmp" || m["readOnly"] == true), "{mounts:?}");
    for volume in pod["volumes"].as_array().unwrap() {
        let memory = volume["emptyDir"]["medium"] == "Memory" && volume["emptyDir"]["sizeLimit"].is_string();
        assert!(memory || volume["configMap"].is_object(), "{volume}");
    }
}

#[test]
fn the_files_are_verified_and_then_run_as_a_gate_runs_them() {
    let case = Case::new();
    let (config, pod) = (case.manifest("ConfigMap"), case.pod());
    assert_eq!(config["immutable"], true);
    let unpack: Vec<_> = pod["initContainers"][1]["command"].as_array().unwrap().iter().map(|w| w.as_str().unwrap()).collect();
    let digest = unpack.last().unwrap();
    assert_eq!(
        unpack[..8],
        ["/usr/local/bin/flywheel", "gate", "unpack", "--primitive", "search", "--bundle", "/inputs/bundle.json.gz", "--digest"]
    );
    assert_eq!(config["metadata"]["name"], format!("prim-search-{}", &digest["sha256:".len()..][..10]));
    assert!(config["binaryData"]["bundle.json.gz"].as_str().is_some_and(|data| data.starts_with("H4sI")), "gzip in base64");
    assert_eq!(pod["volumes"][0]["configMap"]["name"], config["metadata"]["name"]);
    let service = &pod["containers"][0];
    assert_eq!(service["command"], json!(["/usr/local/bin/bun", "--no-env-file", "packages/search/src/index.ts"]));
    assert_eq!(service["workingDir"], "/opt/factory/work");
    for probe in ["startupProbe", "readinessProbe"] {
        assert_eq!(service[probe]["httpGet"], json!({ "path": "/", "port": "http" }));
    }
    assert_eq!(service["livenessProbe"]["tcpSocket"]["port"], "http");
}

#[test]
fn the_old_version_serves_until_the_new_one_is_ready() {
    let spec = Case::new().manifest("Deployment")["spec"].clone();
    assert_eq!(spec["strategy"], json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } }));
    let mut sandboxed = Case { keeps_data: Some("SEARCH_DB_PATH"), ..Case::new() };
    assert_eq!(sandboxed.manifest("Deployment")["spec"]["strategy"]["type"], "RollingUpdate", "on one kernel SQLite's locks hold");
    sandboxed.factory.spec.deploy.runtime_class = Some("gvisor".into());
    assert_eq!(sandboxed.manifest("Deployment")["spec"]["strategy"]["type"], "Recreate", "two sandboxes would not see each other's locks");
    assert_eq!((&spec["progressDeadlineSeconds"], &spec["revisionHistoryLimit"]), (&json!(120), &json!(3)));
    assert_eq!(spec["selector"]["matchLabels"], labels());
    let service = Case::new().manifest("Service");
    assert_eq!(service["spec"]["selector"], labels());
    assert_eq!(service["spec"]["ports"][0], json!({ "name": "http", "protocol": "TCP", "port": 80, "targetPort": "http" }));
}

#[test]
fn data_is_kept_on_a_volume_of_its_own() {
    let without = Case::new().pod();
    assert!(without.get("affinity").is_none() && without["securityContext"].get("fsGroup").is_none());
    let case = Case { keeps_data: Some("SEARCH_DB_PATH"), ..Case::new() };
    let (claim, pod) = (case.manifest("PersistentVolumeClaim"), case.pod());
    assert_eq!(claim["metadata"]["name"], "prim-search-data");
    assert_eq!(claim["spec"], json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } } }));
    assert!(
        pod["volumes"]
            .as_array()
            .unwrap()
            .contains(&json!({ "name": "data", "persistentVolumeClaim": { "claimName": "prim-search-data" } }))
    );
    assert!(pod["containers"][0]["volumeMounts"].as_array().unwrap().contains(&json!({ "name": "data", "mountPath": "/data" })));
    assert_eq!(case.value("SEARCH_DB_PATH").as_deref(), Some("/data/search.db"));
    assert_eq!(pod["securityContext"]["fsGroup"], pod["containers"][0]["securityContext"]["runAsUser"]);
    // Two pods share a volume of ReadWriteOnce on one node alone.
    let beside = &pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0];
    assert_eq!(beside, &json!({ "topologyKey": "kubernetes.io/hostname", "labelSelector": { "matchLabels": labels() } }));
}

fn secret(keys: &[&str]) -> Manifest {
    let data: serde_json::Map<_, _> = keys.iter().map(|key| ((*key).to_owned(), json!("dmFsdWU="))).collect();
    Manifest(
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "prim-search-env", "namespace": "flywheel-run", "labels": labels() }, "data": data }),
    )
}

#[test]
fn nothing_replaces_a_variable_of_ours_and_a_grant_replaces_the_table() {
    let table = [("PATH", "/tmp"), ("PORT", "1"), ("NODE_ENV", "test"), ("API_KEY", "table"), ("REGION", "eu"), ("PRICE", "$(HOME) $5")];
    let mut case = Case::new().table(&table);
    case.environment.secret = Some(secret(&["API_KEY"]));
    for (name, value) in [("PATH", "/usr/local/bin"), ("HOME", "/tmp"), ("PORT", "3000"), ("NODE_ENV", "production"), ("REGION", "eu")] {
        assert_eq!(case.value(name).as_deref(), Some(value), "{name}");
    }
    // Kubernetes reads $$ as $, and expands nothing.
    assert_eq!(case.value("PRICE").as_deref(), Some("$$(HOME) $$5"));
    assert_eq!(case.value("API_KEY"), None, "the table's value would win over the Secret's");
    let container = case.pod()["containers"][0].clone();
    let env = container["env"].as_array().unwrap();
    let granted: Vec<_> = env.iter().filter(|v| v["value"].is_null()).collect();
    let reference = json!({ "name": "API_KEY", "valueFrom": { "secretKeyRef": { "name": "prim-search-env", "key": "API_KEY" } } });
    assert_eq!(granted, [&reference]);
    assert!(container.get("envFrom").is_none(), "whoever adds a key to the mirror adds no variable");
    let names: std::collections::BTreeSet<_> = env.iter().map(|v| v["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), env.len(), "server-side apply takes each name once");
    // Were there a key of ours in it, ours would stand.
    case.environment.secret = Some(secret(&["PATH"]));
    assert_eq!(case.value("PATH").as_deref(), Some("/usr/local/bin"));
    assert!(!case.pod()["containers"][0]["env"].to_string().contains("secretKeyRef"));
    for name in ["PATH", "X402_PAY_TO", "PORT"] {
        let wanted = Case { keeps_data: Some(name), ..Case::new() };
        assert_ne!(wanted.value(name).as_deref(), Some("/data/search.db"), "{name}");
    }
}

#[test]
fn a_service_boots_without_any_setting_and_takes_no_payment_for_nobody() {
    let nobody = "0x0000000000000000000000000000000000000001";
    let value = |table: &[(&str, &str)], name: &str| Case::new().table(table).value(name).unwrap_or_default();
    assert_eq!(value(&[], "X402_NETWORK"), "eip155:84532");
    assert_eq!(value(&[], "X402_PAY_TO"), nobody);
    assert_eq!(value(&[("X402_PAY_TO", "")], "X402_PAY_TO"), nobody);
    let facilitator = ("X402_FACILITATOR_URL", "https://pay.example");
    assert_eq!(value(&[facilitator], "X402_FACILITATOR_URL"), "");
    assert_eq!(value(&[facilitator, ("X402_PAY_TO", "0x02")], "X402_FACILITATOR_URL"), "https://pay.example");
    assert_eq!(value(&[("X402_PAY_TO", "0x02"), ("X402_NETWORK", "eip155:8453")], "X402_NETWORK"), "eip155:8453");
}

/// The objects as if they had been applied, with what the API server adds.
fn applied(case: &Case) -> Seen {
    let mut deployment = case.manifest("Deployment");
    deployment["metadata"]["uid"] = "x".into();
    deployment["spec"]["template"]["spec"]["restartPolicy"] = "Always".into();
    deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .filter(|v| v["value"] == "")
        .for_each(|v| {
            v.as_object_mut().unwrap().remove("value");
        });
    let mut service = case.manifest("Service");
    service["spec"]["clusterIP"] = "10.96.0.77".into();
    let made =
        case.manifests().into_iter().map(|Manifest(m)| m).filter(|m| m["kind"] == "ConfigMap" || m["kind"] == "PersistentVolumeClaim");
    Seen {
        deployment: Some(serde_json::from_value(deployment).unwrap()),
        service: Some(serde_json::from_value(service).unwrap()),
        pods: Vec::new(),
        made: made.map(|m| (m["kind"].as_str().unwrap().into(), m["metadata"]["name"].as_str().unwrap().into())).collect(),
    }
}

#[test]
fn only_what_is_wanted_otherwise_differs() {
    let case = || Case { keeps_data: Some("SEARCH_DB_PATH"), ..Case::new() }.table(&[("REGION", "eu"), ("EMPTY", "")]);
    let seen = applied(&case());
    let differs = |wanted: &Case| judge(Some(&wanted.manifests()), &seen).differs;
    assert!(!differs(&case()), "what was applied differs from itself");
    assert!(!differs(&Case { commit: TREE.into(), ..case() }), "another package's merge moves the commit");

    let mut image = case();
    image.factory.spec.deploy.image = "registry.example/factory:2".into();
    let mut granted = case();
    granted.environment.versions = "sha256:1".into();
    for (what, wanted) in [
        ("a tree", Case { tree: COMMIT.into(), ..case() }),
        ("the files", Case { code: "2", ..case() }),
        ("an image", image),
        ("a Secret's version", granted),
        ("a variable", case().table(&[("REGION", "us"), ("EMPTY", "")])),
        ("a variable that is gone", case().table(&[("EMPTY", "")])),
        ("data that is no longer kept", Case { keeps_data: None, ..case() }),
    ] {
        assert!(differs(&wanted), "{what}");
    }
}

#[test]
fn what_somebody_changed_or_removed_differs() {
    let case = Case { keeps_data: Some("SEARCH_DB_PATH"), ..Case::new() };
    let differs = |change: fn(&mut Seen)| {
        let mut seen = applied(&case);
        change(&mut seen);
        judge(Some(&case.manifests()), &seen).differs
    };
    let spec = |deployment: &mut Option<Deployment>| deployment.as_mut().unwrap().spec.clone().unwrap();
    assert!(!differs(|_| ()));
    assert!(differs(|seen| seen.deployment = None));
    assert!(differs(|seen| seen.service = None));
    assert!(differs(|seen| seen.made.retain(|(kind, _)| kind != "ConfigMap")));
    assert!(differs(|seen| seen.made.retain(|(kind, _)| kind != "PersistentVolumeClaim")));
    let mut scaled = applied(&case);
    let mut changed = spec(&mut scaled.deployment);
    changed.replicas = Some(0);
    scaled.deployment.as_mut().unwrap().spec = Some(changed);
    assert!(judge(Some(&case.manifests()), &scaled).differs);
    // Nothing is wanted, so nothing differs.
    let running = judge(None, &Seen::default());
    assert_eq!((running.differs, running.rollout, running.address, running.tree), (false, Rollout::Absent, None, None));
}

#[test]
fn a_merge_elsewhere_changes_nothing_and_another_tree_rolls() {
    let template = |case: &Case| case.manifest("Deployment")["spec"]["template"].clone();
    let moved = Case { commit: TREE.into(), ..Case::new() };
    assert_eq!(template(&moved), template(&Case::new()));
    assert_eq!(moved.manifest("Deployment")["metadata"]["annotations"]["flywheel.prim.sh/commit"], TREE);
    let annotations = template(&Case::new())["metadata"]["annotations"].clone();
    assert_eq!((&annotations["flywheel.prim.sh/tree"], &annotations["flywheel.prim.sh/environment"]), (&json!(TREE), &json!("none")));
    assert!(annotations["flywheel.prim.sh/bundle"].as_str().is_some_and(|digest| digest.starts_with("sha256:")));
}

#[test]
fn a_secret_is_not_printed() {
    let text = format!("{:?}", secret(&["API_KEY"]));
    assert_eq!(text, "Manifest(Secret flywheel-run/prim-search-env)");
}
