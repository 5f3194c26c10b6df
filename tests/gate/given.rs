//! What the Factory's policy gives to gates: wallet, model and limits of layers 2 and 3,
//! and the look ahead before a merge.

use flywheel::{canary::AgentPlan, gate::bundle, room::RoomPlan};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use super::object::{CONFIGS, Cluster, GROUP, base, file, head};

#[tokio::test]
async fn a_layer_that_can_not_be_run_is_refused_by_what_it_lacks() {
    for (layer, named) in [("Canary", "policy.gates.canary.model"), ("CleanRoom", "policy.gates.cleanRoom")] {
        let cluster = Cluster::new();
        let (commit, _) = cluster.commit(&head());
        cluster.apply("gate-1", 0, layer, &json!({ "url": "https://notes.prim.sh", "primitive": "notes", "commit": commit }));
        let _ = cluster.pass("gate-1").await;
        assert_eq!(cluster.says("gate-1").0, "Invalid");
        assert!(
            cluster.says("gate-1").1.starts_with("spec.layer: ") && cluster.says("gate-1").1.contains(named),
            "{:?}",
            cluster.says("gate-1")
        );
        assert!(cluster.jobs().is_empty());
    }
}

/// What layer 2 would say of a change is tried before its merge, and decides where
/// somebody uses what it changes.
#[tokio::test]
async fn a_change_is_tried_ahead_and_of_what_is_live_that_decides() {
    for (phase, required) in [(None, false), (Some("Testing"), false), (Some("Live"), true), (Some("Degraded"), true)] {
        let cluster = Cluster::new();
        if let Some(phase) = phase {
            cluster.api.put_object(
                &format!("{GROUP}/primitives/notes"),
                json!({
                    "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "Primitive", "metadata": { "name": "notes", "namespace": "flywheel" },
                    "spec": { "factoryRef": { "name": "prim" }, "document": { "id": "notes" } }, "status": { "phase": phase, "conditions": [] },
                }),
            );
        }
        cluster.over("gate-1", 0, &base(), &head());
        cluster.pass("gate-1").await.unwrap();
        let config = &cluster.api.objects(CONFIGS)[0];
        let plan: Value = serde_json::from_str(config["data"]["plan.json"].as_str().unwrap()).unwrap();
        let preview = &plan["preview"];
        assert_eq!(preview["required"], json!(required), "{phase:?}");
        assert_eq!(preview["suite"]["tests"].as_array().map(Vec::len), Some(2), "{preview}");
    }
    let cluster = Cluster::new();
    cluster.api.edit(&format!("{GROUP}/factories/prim"), |mut factory| {
        factory["spec"]["policy"]["gates"] = json!({ "preview": false });
        Some(factory)
    });
    cluster.over("gate-1", 0, &base(), &head());
    cluster.pass("gate-1").await.unwrap();
    assert!(!cluster.api.objects(CONFIGS)[0]["data"]["plan.json"].as_str().unwrap().contains("preview"));
}

/// Both layers over what runs test the same tree, by the document of its commit, with
/// what the Factory's policy gives them.
#[tokio::test]
async fn a_running_service_is_tested_with_what_the_policy_gives() {
    for (layer, part, secrets) in [("Contract", "contract", vec!["purse"]), ("Canary", "agent", vec!["purse", "model-key"])] {
        let cluster = Cluster::new();
        cluster.api.edit(&format!("{GROUP}/factories/prim"), |mut factory| {
            factory["spec"]["policy"]["gates"] = json!({
                "contract": { "wallet": "purse", "maxPayment": "$0.05", "budget": "$2" },
                "canary": { "model": { "url": "https://model.example/v1/", "name": "small", "secret": "model-key" }, "maxRounds": 7, "budget": "$3" },
            });
            Some(factory)
        });
        let (commit, _) = cluster.commit(&head());
        cluster.apply("gate-1", 0, layer, &json!({ "url": "https://notes.prim.sh", "primitive": "notes", "commit": commit }));
        cluster.pass("gate-1").await.unwrap();
        let [job] = &cluster.jobs()[..] else { panic!("one Job") };
        let pod = &job["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["command"][2], part);
        let mounted: Vec<_> = pod["volumes"].as_array().unwrap().iter().filter_map(|v| v["secret"]["secretName"].as_str()).collect();
        assert_eq!(mounted, secrets);
        let config = &cluster.api.objects(CONFIGS)[0];
        let plan: Value = serde_json::from_str(config["data"]["plan.json"].as_str().unwrap()).unwrap();
        assert_eq!((&plan["url"], &plan["commit"]), (&json!("https://notes.prim.sh"), &json!(commit)));
        if layer == "Canary" {
            assert_eq!(plan["model"], json!({ "url": "https://model.example/v1", "name": "small" }));
            serde_json::from_value::<AgentPlan>(plan.clone()).expect("what the pod reads");
            let limits = json!({ "rounds": 7, "maxPaymentMicros": 50_000, "budgetMicros": 3_000_000, "groupSeconds": 30 });
            assert_eq!(plan["limits"], limits);
        } else {
            assert_eq!(plan["payment"], json!({ "requestMicros": 50_000, "runMicros": 2_000_000 }));
            assert!(plan["suite"]["tests"].as_array().is_some_and(|tests| tests.len() == 2), "{}", plan["suite"]);
        }
        assert!(!config.to_string().contains("model-key"), "no name of a Secret, and no value, is in what the pod reads");

        // The same tree at another commit is the same to test; another price is not.
        let tested = cluster.status("gate-1").tested.expect("what is tested");
        let more = [head(), vec![file("README.md", "other\n")]].concat();
        let (commit, _) = cluster.commit(&more);
        cluster.api.edit(&format!("{GROUP}/factories/prim"), |mut factory| {
            factory["spec"]["policy"]["maxRunningGates"] = json!(9);
            Some(factory)
        });
        cluster.apply("gate-2", 1, layer, &json!({ "url": "https://notes.prim.sh", "primitive": "notes", "commit": commit }));
        cluster.pass("gate-2").await.unwrap();
        assert_eq!(cluster.status("gate-2").tested.as_ref(), Some(&tested));
        cluster.api.edit(&format!("{GROUP}/factories/prim"), |mut factory| {
            factory["spec"]["prices"] = json!({ "default": "$0.02" });
            Some(factory)
        });
        cluster.apply("gate-3", 2, layer, &json!({ "url": "https://notes.prim.sh", "primitive": "notes", "commit": commit }));
        cluster.pass("gate-3").await.unwrap();
        let other = cluster.status("gate-3").tested.expect("what is tested");
        assert_eq!((&other.tree, &other.tool), (&tested.tree, &tested.tool));
        assert_ne!(other.plan, tested.plan);
    }
}

/// Layer 4 has the command line of the document at its commit, the wallet and the model
/// of the policy, and nothing of it in what the sandbox reads.
#[tokio::test]
async fn a_clean_room_is_furnished_by_the_policy() {
    let target = |commit: &flywheel::api::names::Sha| json!({ "url": "https://notes.prim.sh", "primitive": "notes", "commit": commit });
    let cluster = Cluster::new();
    let policy = |gates: Value, env: Value| {
        cluster.api.edit(&format!("{GROUP}/factories/prim"), |mut factory| {
            factory["spec"]["policy"]["gates"] = gates.clone();
            factory["spec"]["deploy"]["env"] = env.clone();
            factory["spec"]["deploy"]["runtimeClass"] = json!("gvisor");
            factory["spec"]["policy"]["maxRunningGates"] = json!(9);
            Some(factory)
        });
    };
    let (commit, _) = cluster.commit(&head());
    policy(json!({ "cleanRoom": {}, "contract": { "wallet": "purse" } }), json!({}));
    cluster.apply("gate-1", 0, "CleanRoom", &target(&commit));
    let _ = cluster.pass("gate-1").await;
    let (reason, message) = cluster.says("gate-1");
    assert!(reason == "Invalid" && message.contains("policy.gates.cleanRoom.facilitator"), "{reason}: {message}");
    assert!(cluster.jobs().is_empty());

    let money = json!({ "fund": "$0.25", "rpc": "http://chain.example" });
    let model = json!({ "model": { "url": "https://model.example/v1/", "name": "small", "secret": "model-key" }, "maxRounds": 7 });
    for (name, gates, env, funded) in [
        ("gate-2", json!({ "cleanRoom": money }), json!({}), None),
        (
            "gate-3",
            json!({ "cleanRoom": money, "contract": { "wallet": "purse", "maxPayment": "$0.05" }, "canary": model }),
            json!({ "X402_FACILITATOR_URL": "http://facilitator.example/" }),
            Some(json!({ "facilitator": "http://facilitator.example", "rpc": "http://chain.example", "micros": 250_000 })),
        ),
    ] {
        policy(gates, env);
        cluster.apply(name, 1, "CleanRoom", &target(&commit));
        cluster.pass(name).await.unwrap();
        let job = cluster.status(name).job.expect("a Job");
        let config: ConfigMap = serde_json::from_value(cluster.api.object(&format!("{CONFIGS}/{job}")).unwrap()).unwrap();
        let job = cluster.jobs().into_iter().find(|found| found["metadata"]["name"] == *job).unwrap();
        let pod = &job["spec"]["template"]["spec"];
        assert_eq!((&pod["containers"][0]["command"][2], &pod["runtimeClassName"]), (&json!("room"), &json!("gvisor")));
        let text = config.data.unwrap().remove("plan.json").unwrap();
        let plan: RoomPlan = serde_json::from_str(&text).expect("what the pod reads");
        assert_eq!(plan.money.map(|money| serde_json::to_value(money).unwrap()), funded, "{name}");
        let cli = &config.binary_data.unwrap()["cli.ts"].0;
        let told = plan.cli.expect("a command line");
        assert_eq!(told.digest, bundle::digest(cli));
        assert!(String::from_utf8_lossy(cli).contains(&told.commands[0].name) && plan.primitive == "notes");
        assert_eq!((plan.commit, plan.url, plan.limits.total_seconds), (commit.to_string(), "https://notes.prim.sh".into(), 30));
        let agent = plan.limits.agent;
        let mounted: Vec<_> = pod["volumes"].as_array().unwrap().iter().filter_map(|v| v["secret"]["secretName"].as_str()).collect();
        if funded.is_some() {
            assert_eq!(mounted, ["purse", "model-key"]);
            assert_eq!((agent.rounds, agent.max_payment_micros, agent.budget_micros), (7, 50_000, 250_000));
            assert_eq!(plan.model.map(|model| model.url).as_deref(), Some("https://model.example/v1"));
        } else {
            assert!(mounted.is_empty() && plan.model.is_none(), "{mounted:?}");
            assert_eq!((agent.max_payment_micros, agent.budget_micros), (0, 0), "nothing is paid without a wallet");
        }
        assert_eq!(plan.confined_by.as_deref(), Some("RuntimeClass gvisor"));
        let noted = |note: &str| job["metadata"]["annotations"][format!("room.flywheel.prim.sh/{note}")].clone();
        assert_eq!(["network", "factory"].map(noted), [json!("eip155:84532"), json!("flywheel/prim")]);
        assert!(!text.contains("purse") && !text.contains("model-key"), "no name of a Secret is in what the pod reads");
    }

    // A room that broke may have left money, which the next one looks after. It tests the same.
    let broken = cluster.status("gate-3");
    cluster.api.edit(&format!("{GROUP}/gateruns/gate-3"), |mut run| {
        run["status"]["verdict"] = json!("Error");
        Some(run)
    });
    // Of one that was removed since, its Primitive knows.
    let known = json!({
        "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "Primitive", "metadata": { "name": "notes", "namespace": "flywheel" },
        "spec": { "factoryRef": { "name": "prim" } }, "status": { "rooms": [{ "name": "gate-gone", "until": "2027-01-15T09:00:00Z" }, { "name": broken.job }] },
    });
    cluster.api.put_object(&format!("{GROUP}/primitives/notes"), known);
    cluster.apply("gate-4", 2, "CleanRoom", &target(&commit));
    cluster.pass("gate-4").await.unwrap();
    let next = cluster.status("gate-4");
    assert_eq!(next.tested, broken.tested);
    let config = cluster.api.object(&format!("{CONFIGS}/{}", next.job.unwrap())).unwrap();
    let plan: RoomPlan = serde_json::from_str(config["data"]["plan.json"].as_str().unwrap()).unwrap();
    let earlier = plan.money.unwrap().earlier;
    let names: Vec<_> = earlier.iter().map(|left| left.name.as_str()).collect();
    assert_eq!(names, [broken.job.as_deref().unwrap(), "gate-gone"]);
    // Money may come to it for a while after it ended, as its own run says.
    let ended = broken.since.clone().expect("when it ended").0;
    assert_eq!(earlier[0].until.clone().map(|until| until.0), Some(ended + SignedDuration::from_secs(360)));
    assert_eq!(earlier[1].until.clone().map(|until| until.0.to_string()).as_deref(), Some("2027-01-15T09:00:00Z"));

    // What another has emptied is looked after no more.
    let emptied = format!("return {}", broken.job.unwrap());
    cluster.api.edit(&format!("{GROUP}/gateruns/gate-4"), |mut run| {
        let step = |name: &str| json!({ "name": name, "verdict": "Passed", "milliseconds": 1 });
        (run["status"]["verdict"], run["status"]["results"]) = (json!("Passed"), json!([step("return"), step(&emptied)]));
        Some(run)
    });
    cluster.apply("gate-5", 3, "CleanRoom", &target(&commit));
    cluster.pass("gate-5").await.unwrap();
    let config = cluster.api.object(&format!("{CONFIGS}/{}", cluster.status("gate-5").job.unwrap())).unwrap();
    let plan: RoomPlan = serde_json::from_str(config["data"]["plan.json"].as_str().unwrap()).unwrap();
    assert!(plan.money.unwrap().earlier.iter().map(|left| left.name.as_str()).eq(["gate-gone"]));
}
