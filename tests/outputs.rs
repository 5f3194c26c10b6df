//! What is derived from documents, and `flywheel generate` as its users see it.
//! `outputs/openapi-3.1.schema.json` is the OpenAPI Initiative's own (Apache-2.0).

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;
use flywheel::{
    outputs::{self, Output, Owner, Service, append_gate},
    prim,
    scaffold::{self, Options},
    suite::{self, Code, Known, Mode, Severity},
};
use serde_json::{Value, json};

use crate::{
    folder::Folder,
    scaffold::{given, load, own},
};

const SHOP: &str = r##"
id: shop
name: "Shop\n# not a heading"
description: "Sells \"things\" */ `${now}` </script>"
interfaces: {tools: false}
env: [SHOP_DB_PATH]
types:
  Parcel: {type: object, required: [size], properties: {size: {type: integer, minimum: 1}, of: {$ref: "#/types/Box"}, as: {enum: ["#/types/Box"]}}}
  Box: {type: string, enum: [small, large]}
routes_map:
- {route: POST /v1/parcels, operation_id: create_parcel, status: 201, request: Parcel, response: Parcel, price: $0.25, description: Send one, errors: [{status: 400, code: bad, description: Wrong size}, {status: 400, code: worse, description: Too large}]}
- {route: "GET /v1/parcels/:id/files/:name*", operation_id: get_file, response: bytes, price: free, description: Read, params: [{name: id, type: integer, minimum: 1}], query_params: [{name: limit, type: integer, minimum: 1, maximum: 9, default: 3, description: "At\nmost"}]}
- {route: "PUT /v1/parcels/:id", operation_id: set_parcel, request: bytes, response: json, description: Write}
"##;

fn service(text: &str) -> Service {
    let document = prim::read(text).unwrap();
    let manifest = scaffold::manifest(&document, &Options::at("$0.01".parse().unwrap())).unwrap();
    Service { document, manifest }
}

fn shop(output: Output) -> BTreeMap<String, String> {
    output.files(&[service(SHOP)], &Owner::default())
}

fn parsed(files: &BTreeMap<String, String>, path: &str) -> Value {
    serde_json::from_str(&files[path]).unwrap()
}

#[test]
fn a_description_says_what_the_document_does() {
    let made = parsed(&shop(Output::Openapi), "openapi/shop.json");
    assert_eq!(made["servers"], json!([{ "url": "https://shop.prim.sh" }]));
    let create = &made["paths"]["/v1/parcels"]["post"];
    assert_eq!((&create["operationId"], &create["x-price"]), (&json!("create_parcel"), &json!("$0.25")));
    assert_eq!(create["requestBody"]["content"]["application/json"]["schema"]["$ref"], "#/components/schemas/Parcel");
    assert_eq!(create["responses"]["400"]["description"], "bad: Wrong size; worse: Too large");
    assert!(create["responses"]["402"].is_object() && create["security"] == json!([{ "x402": [] }]));
    let parcel = &made["components"]["schemas"]["Parcel"]["properties"];
    assert_eq!(parcel["of"]["$ref"], "#/components/schemas/Box");
    assert_eq!(parcel["as"]["enum"], json!(["#/types/Box"]), "a value is no reference");
    let read = &made["paths"]["/v1/parcels/{id}/files/{name}"]["get"];
    assert_eq!(read["parameters"][0]["schema"], json!({ "type": "integer", "minimum": 1 }));
    assert!(read["parameters"][1]["description"].as_str().unwrap().contains("slashes"));
    assert_eq!(read["parameters"][2]["schema"], json!({ "type": "integer", "minimum": 1, "maximum": 9, "default": 3 }));
    assert!(read["security"].is_null() && read["responses"]["402"].is_null());
    assert!(read["responses"]["200"]["content"]["application/octet-stream"].is_object());
}

#[test]
fn tools_take_what_routes_take() {
    assert!(shop(Output::Functions).is_empty(), "the document does not want them");
    let made = parsed(&shop(Output::Mcp), "mcp/shop.json");
    let tools = made["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["shop_create_parcel", "shop_get_file", "shop_set_parcel"]);
    assert_eq!(tools[0]["description"], "Send one Costs $0.25.");
    assert_eq!(tools[1]["inputSchema"]["required"], json!(["id", "name"]));
    assert_eq!(tools[1]["_meta"]["request"]["url"], "https://shop.prim.sh/v1/parcels/{id}/files/{name}");
    assert_eq!(tools[2]["inputSchema"]["properties"]["body"]["contentEncoding"], "base64");
}

#[test]
fn lists_have_every_route_on_a_line_of_its_own() {
    let files = shop(Output::Catalogue);
    let llms = &files["llms.txt"];
    assert!(llms.contains("\n## Shop # not a heading\n"), "{llms}");
    assert_eq!(llms.lines().filter(|line| line.starts_with('#')).count(), 2, "{llms}");
    assert!(llms.contains("- `POST /v1/parcels` ($0.25): Send one\n"));
    let offers = parsed(&files, ".well-known/x402.json");
    let sold: Vec<_> =
        offers["resources"].as_array().unwrap().iter().map(|o| (o["method"].as_str().unwrap(), o["price"].as_str().unwrap())).collect();
    assert_eq!(sold, [("POST", "$0.25"), ("PUT", "$0.01")]);
    assert_eq!(parsed(&files, "pricing.json")["services"][0]["routes"][0]["micros"], 250_000);
}

#[test]
fn a_client_has_a_method_for_every_route() {
    let module = &shop(Output::Sdk)["sdk/shop.ts"];
    for part in [
        r#"const URL_OF_SERVICE = "https://shop.prim.sh";"#,
        r#"export type Box = ("small" | "large");"#,
        r##"export type Parcel = { "as"?: ("#/types/Box"); "of"?: Box; "size": number; [key: string]: unknown };"##,
        r#"async "createParcel"(input: { body: types.Parcel }): Promise<types.Parcel> {"#,
        r#"async "getFile"(input: { params: { "id": number; "name": string }; query?: { "limit"?: number } }): Promise<ArrayBuffer> {"#,
        r#"call("GET", "/v1/parcels/" + part(input.params["id"]) + "/files/" + rest(input.params["name"]), input.query ?? {}, undefined)"#,
        r#"async "setParcel"(input: { params: { "id": string }; body: Bytes }): Promise<unknown> {"#,
        "/** `POST /v1/parcels`, $0.25: Send one */",
        r#"/** Sells "things" * / `${now}` </script> */"#,
    ] {
        assert!(module.contains(part), "{part}\n{module}");
    }
}

#[test]
fn a_page_says_how_each_route_is_called() {
    let page = &shop(Output::Docs)["docs/shop.md"];
    for part in [
        "# Shop # not a heading\n\nSells \"things\" */ `${now}` &lt;/script>\n\nhttps://shop.prim.sh\n",
        "| `POST /v1/parcels` | $0.25 | Send one |\n",
        "## POST /v1/parcels\n",
        "| `limit` | query | integer, 1 to 9, 3 where absent | At most |\n",
        "| `id` | path | integer, 1 or more |  |\n",
        "Takes `application/json`, a `Parcel`. Answers 201 with `application/json`, a `Parcel`.\n",
        "Takes nothing. Answers 200 with bytes.\n",
        "| 400 | `worse` | Too large |\n",
        "## Types\n",
        "\"minimum\": 1",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    assert!(!page.contains("\n# not"), "{page}");
}

#[test]
fn every_document_has_outputs_that_others_take() {
    let schema: Value = serde_json::from_str(include_str!("outputs/openapi-3.1.schema.json")).unwrap();
    let openapi = jsonschema::validator_for(&schema).unwrap();
    let load = |path: &std::path::PathBuf| prim::read(&std::fs::read_to_string(path).unwrap()).ok();
    let mut services: Vec<Service> = Vec::new();
    for document in given().iter().chain(&own()).filter_map(load) {
        if services.iter().all(|service| service.document.id != document.id) {
            let manifest = scaffold::manifest(&document, &Options::at("$0.01".parse().unwrap())).unwrap();
            services.push(Service { document, manifest });
        }
    }
    services.push(service(SHOP));
    assert!(services.len() > 5);
    let mut names = BTreeSet::new();
    for output in Output::value_variants() {
        let files = output.files(&services, &Owner::default());
        services.reverse();
        assert_eq!(files, output.files(&services, &Owner::default()), "the order of documents does not matter");
        for (path, content) in &files {
            assert!(output.owns(path), "{path}");
            let Ok(value) = serde_json::from_str::<Value>(content) else {
                assert!(path == "llms.txt" || path.ends_with(".ts") || path.ends_with(".md"), "{path}");
                continue;
            };
            if *output == Output::Openapi {
                let wrong: Vec<_> = openapi.iter_errors(&value).map(|e| format!("{path} {}: {e}", e.instance_path())).collect();
                assert!(wrong.is_empty(), "{wrong:#?}");
                let operations: Vec<_> =
                    value["paths"].as_object().unwrap().values().flat_map(|p| p.as_object().unwrap().values()).collect();
                let ids: BTreeSet<_> = operations.iter().map(|operation| operation["operationId"].as_str().unwrap()).collect();
                assert_eq!(ids.len(), operations.len(), "{path}: operations have names of their own");
            }
            for tool in value["tools"].as_array().into_iter().flatten() {
                let tool = tool.get("function").unwrap_or(tool);
                let name = tool["name"].as_str().unwrap();
                assert!(name.len() <= 64 && names.insert((path.clone(), name.to_owned())), "{path}: {name}");
                let input = tool.get("inputSchema").unwrap_or(&tool["parameters"]);
                jsonschema::validator_for(input).unwrap_or_else(|e| panic!("{path} {name}: {e}"));
            }
        }
    }
}

#[test]
fn the_command_writes_checks_and_removes() {
    let folder = Folder::new("outputs");
    let package = folder.0.join("repo/packages/shop");
    std::fs::create_dir_all(&package).unwrap();
    folder.file("repo/packages/shop/prim.yaml", SHOP);
    let run = |arguments: &[&str]| {
        let output = folder.flywheel(&[&["generate"], arguments, &["--repo", "repo"]].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run(&["openapi", "--check"]).0, Some(1));
    assert_eq!(run(&["openapi"]).0, Some(0));
    assert_eq!(run(&["openapi", "--check"]), (Some(0), String::new(), String::new()));
    let path = "repo/generated/openapi/shop.json";
    let whole = folder.read(path);
    folder.file(path, &whole.replace("Send one", "Send two"));
    folder.file("repo/generated/openapi/gone.json", "{}");
    let (code, said, stale) = run(&["openapi", "--check"]);
    assert!(code == Some(1) && said.contains("-") && said.contains("+        \"summary\": \"Send one\""), "{said}");
    assert!(stale.contains("openapi/shop.json is stale") && stale.contains("openapi/gone.json is of no document"), "{stale}");
    assert_eq!(run(&["catalogue"]).0, Some(0), "another's files are left alone");
    assert_eq!(run(&["openapi"]).0, Some(0));
    assert_eq!(folder.read(path), whole);
    assert!(!folder.0.join("repo/generated/openapi/gone.json").exists() && folder.0.join("repo/generated/llms.txt").exists());

    folder.file("repo/packages/shop/prim.yaml", "id: [");
    let (code, _, said) = run(&["openapi"]);
    assert!(code == Some(1) && said.contains("packages/shop/prim.yaml: "), "{said}");
    assert_eq!(folder.flywheel(&["generate", "openapi"]).status.code(), Some(2), "a repository must be named");
}

#[test]
fn a_gates_plan_has_a_test_for_each_route_after_what_it_needs() {
    let plan = append_gate(None, &[service(SHOP)]).plan;
    let tests = plan["tests"].as_array().unwrap();
    let ids: Vec<_> = tests.iter().map(|test| test["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["SHOP-H1", "SHOP-1", "SHOP-3", "SHOP-2"]);
    assert_eq!(plan["groups"][0]["tests"], json!(ids));
    assert_eq!(tests[1]["captures"], json!({"parcel_id": "$.id"}));
    assert_eq!(tests[1]["input"], json!({"as": "#/types/Box", "of": "small", "size": 1}));
    assert_eq!(tests[1]["payment"], json!({"amount": "250000"}));
    assert_eq!(tests[2]["endpoint"], "https://shop.prim.sh/v1/parcels/{{parcel_id}}");
    assert_eq!(tests[3]["endpoint"], "https://shop.prim.sh/v1/parcels/{{parcel_id}}/files/{{name}}");
    assert_eq!(tests[3]["depends_on"], json!(["SHOP-H1", "SHOP-1"]));
    let one_of = |values: [&str; 2]| json!({"$oneOf": values.map(|value| json!({"$equals": value}))});
    let expected = json!({"as": {"$optional": {"$oneOf": [{"$equals": "#/types/Box"}]}}, "of": {"$optional": one_of(["small", "large"])}, "size": {"$number": {"min": 1, "integer": true}}});
    assert_eq!(tests[1]["expected"], json!({"status": 201, "body": expected}));

    let services: Vec<_> = services_in_use();
    for made in &services {
        let plan = append_gate(None, std::slice::from_ref(made)).plan;
        let tests = plan["tests"].as_array().unwrap();
        let id = &made.document.id;
        assert_eq!(tests.len(), made.document.routes.len() + 1, "{id}");
        let mut before = BTreeSet::new();
        for test in tests {
            for need in test["depends_on"].as_array().unwrap() {
                assert!(before.contains(need.as_str().unwrap()), "{id}: {} comes before {need}", test["id"]);
            }
            assert!(before.insert(test["id"].as_str().unwrap()), "{} is there twice", test["id"]);
        }
    }
    // All at once: one plan that can be run, in which nothing is wrong but that some
    // things can't be made.
    let whole = append_gate(None, &services).plan;
    let read = suite::from_value(&whole, Mode::Ours).unwrap_or_else(|findings| panic!("{findings:#?}"));
    let wrong: Vec<_> = suite::lint(&read, &Known::default())
        .into_iter()
        .filter(|f| f.code != Code::NeverFilled && f.severity == Severity::Error)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Of a number no run has one of its own, and the test's note says what that means.
    let noted = |test: &&Value| test["notes"].as_str().is_some_and(|notes| notes.contains("Of step no run has a value of its own"));
    assert_eq!(whole["tests"].as_array().unwrap().iter().filter(noted).count(), 1);
    assert_eq!(append_gate(Some(&whole), &services), outputs::Appended { plan: whole, added: Vec::new() });
}

/// The documents in use and our own, each id once.
fn services_in_use() -> Vec<Service> {
    let mut ids = BTreeSet::new();
    let documents = given().into_iter().chain(own()).filter_map(|path| load(&path).ok());
    documents.filter(|document| ids.insert(document.id.as_str().to_owned())).map(|document| service(&document.to_yaml())).collect()
}

#[test]
fn what_is_nullable_is_said_to_be() {
    let text = SHOP.replace(
        "properties: {size:",
        "properties: {note: {type: [string, 'null']}, tags: {type: array, items: {type: [integer, 'null']}, maxItems: 3}, size:",
    );
    let plan = append_gate(None, &[service(&text)]).plan;
    let body = &plan["tests"][1]["expected"]["body"];
    assert_eq!(body["note"], json!({"$optional": {"$nullable": "string"}}));
    assert_eq!(body["tags"], json!({"$optional": {"$each": {"$nullable": {"$number": {"integer": true}}}, "$length": {"max": 3}}}));
}

#[test]
fn a_plan_that_is_there_is_appended_to_and_never_changed() {
    let hand = json!({
        "plan": "By hand", "version": 1, "kept": {"as": [1.0, "it is"]},
        "groups": [{"id": "shop", "tests": ["S-7", "H-1"], "prompt": "p"}, {"id": "other", "tests": []}],
        "tests": [
            {"id": "H-1", "service": "Shop # not a heading", "method": "GET", "endpoint": "https://shop.prim.sh", "expected": {"status": 200}},
            {"id": "H-2", "service": "other.sh", "method": "GET", "endpoint": "https://other.prim.sh/", "expected": {"status": 200}},
            {"id": "S-7", "service": "Shop # not a heading", "method": "POST", "endpoint": "https://shop.prim.sh/v1/parcels?x={{test_prefix}}", "expected": {"status": 201}, "captures": {"made": "$.it.id"}},
        ],
    });
    let mut made = service(SHOP);
    made.document.name = "Shop # not a heading".into();
    let appended = append_gate(Some(&hand), std::slice::from_ref(&made));
    let asked: Vec<_> = appended.added.iter().map(|(asked, id)| format!("{id} {asked}")).collect();
    assert_eq!(
        asked,
        ["S-9 PUT https://shop.prim.sh/v1/parcels/{{made}}", "S-8 GET https://shop.prim.sh/v1/parcels/{{made}}/files/{{name}}"]
    );
    assert_eq!(appended.plan["tests"].as_array().unwrap()[..3], hand["tests"].as_array().unwrap()[..]);
    assert_eq!(appended.plan["groups"].as_array().unwrap()[..2], hand["groups"].as_array().unwrap()[..]);
    assert_eq!((&appended.plan["kept"], &appended.plan["plan"]), (&hand["kept"], &hand["plan"]));
    assert_eq!(appended.plan["tests"][3]["depends_on"], json!(["H-1", "S-7"]));
    let group = &appended.plan["groups"][2];
    assert_eq!((&group["id"], &group["tests"]), (&json!("shop-generated"), &json!(["S-9", "S-8"])));
    // Another route goes into the group that was appended.
    let more = SHOP.to_owned() + "- {route: DELETE /v1/parcels/:id, operation_id: drop_parcel, response: json, description: Drop}\n";
    let mut more = service(&more);
    more.document.name = made.document.name.clone();
    let again = append_gate(Some(&appended.plan), &[more]);
    assert_eq!(again.added, [("DELETE https://shop.prim.sh/v1/parcels/{{made}}".to_owned(), "S-10".to_owned())]);
    assert_eq!(again.plan["groups"][2]["tests"], json!(["S-9", "S-8", "S-10"]));
    assert_eq!(again.plan["groups"].as_array().unwrap().len(), 3);
}

#[test]
fn prim_shs_plan_gets_what_it_lacks() {
    let Some(text) = crate::suite::plan::text() else { return };
    let hand: Value = serde_json::from_str(&text).unwrap();
    let services = services_in_use();
    let appended = append_gate(Some(&hand), &services);
    assert!(!appended.added.is_empty());
    let (before, after) = (hand["tests"].as_array().unwrap(), appended.plan["tests"].as_array().unwrap());
    assert_eq!(after.len(), before.len() + appended.added.len());
    assert_eq!(after[..before.len()], before[..]);
    assert_eq!(appended.plan["groups"].as_array().unwrap()[..12], hand["groups"].as_array().unwrap()[..]);
    // Search has a test for each of its routes but the health check's already.
    assert!(!appended.added.iter().any(|(asked, _)| asked.starts_with("POST https://search.prim.sh")), "{:?}", appended.added);
    suite::from_value(&appended.plan, Mode::Ours).unwrap_or_else(|findings| panic!("{findings:#?}"));
    assert_eq!(append_gate(Some(&appended.plan), &services).added, []);
}

#[test]
fn the_command_appends_to_the_plan_and_names_what_it_lacks() {
    let folder = Folder::new("gate-plan");
    std::fs::create_dir_all(folder.0.join("repo/packages/shop")).unwrap();
    std::fs::create_dir_all(folder.0.join("repo/generated/gates")).unwrap();
    folder.file("repo/packages/shop/prim.yaml", SHOP);
    folder.file("repo/generated/gates/shop.json", "{}");
    let run = |arguments: &[&str]| {
        let output = folder.flywheel(&[&["generate"], arguments, &["--repo", "repo"]].concat());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = run(&["gate", "--check"]);
    assert!(code == Some(1) && said.contains("gates/plan.json has no test of POST https://shop.prim.sh/v1/parcels"), "{said}");
    assert!(!folder.0.join("repo/gates").exists());
    let (code, said) = run(&["gates"]);
    assert_eq!(code, Some(0), "the name that it had");
    assert!(said.contains("nothing fills {{name}}: SHOP-2 can only be blocked; fill it by") && !said.contains("SHOP-1 can"), "{said}");
    assert!(!folder.0.join("repo/generated/gates/shop.json").exists(), "what was written anew each time");
    assert_eq!(run(&["gate", "--check"]), (Some(0), String::new()));
    let whole = folder.read("repo/gates/plan.json");
    assert_eq!(run(&["gate"]), (Some(0), String::new()));
    assert_eq!(folder.read("repo/gates/plan.json"), whole);
    folder.file("repo/gates/plan.json", &whole.replace("\"status\": 201", "\"status\": \"201\""));
    let (code, said) = run(&["gate"]);
    assert!(code == Some(1) && said.contains("repo/gates/plan.json: tests[1].expected.status: must be a whole number"), "{said}");
}

#[test]
fn a_service_is_an_object_that_a_cluster_takes() {
    let owner = Owner { factory: "other".into(), namespace: "elsewhere".into() };
    let made = parsed(&Output::Deploy.files(&[service(SHOP)], &owner), "deploy/shop.json");
    let primitive: flywheel::api::primitive::Primitive = serde_json::from_value(made.clone()).unwrap();
    assert_eq!(primitive.spec.factory_ref.name, "other");
    assert_eq!((&made["metadata"]["namespace"], &made["spec"]["document"]["id"]), (&json!("elsewhere"), &json!("shop")));
}
