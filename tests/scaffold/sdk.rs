//! The clients that are derived from documents: all of them have sound types, and
//! those of two services call them over HTTP, and pay.

use std::fs;

use flywheel::{
    outputs::{Output, Owner, Service},
    prim,
};
use serde_json::{Value, json};

use super::{given, load, manifest, own, root, workspace::Workspace};

/// What the language, its comments and its strings could trip over.
const HOSTILE: &str = r##"
id: hostile
description: "Ends */ `${now}` \" ' \\ </script> \u2028 here"
types:
  Odd: {type: object, additionalProperties: false, required: [class], properties: {class: {enum: ["*/", "`${x}`", null, 1, [2]]}, a-b: {type: [string, "null"]}, __proto: {const: "\"; throw 1; \""}}}
  Both: {anyOf: [{type: object, properties: {a: {type: integer}}}, {type: array, items: {$ref: "#/types/Odd"}}]}
  Record: {type: boolean}
  Promise: {$ref: "#/types/Record"}
  Array: {type: array, items: {type: array, items: {$ref: "#/types/Odd"}}}
  Object: {type: object, properties: {list: {$ref: "#/types/Array"}}}
routes_map:
- {route: POST /v1/constructor, operation_id: constructor, request: Odd, response: Promise, price: free, description: "*/ } throw 1; /*"}
- {route: "GET /v1/delete/:in", operation_id: delete, response: Both, price: free, description: Words of the language, query_params: [{name: default, type: boolean, required: true, description: d}]}
- {route: GET /v1/then, operation_id: then, response: Array, price: free, description: What a promise has}
- {route: GET /v1/call, operation_id: call, response: Odd, price: free, description: "Also a name of ours"}
"##;

/// Parameters that share their names with each other and with the body.
const NAMES: &str = r#"
id: names
description: Names
routes_map:
- {route: "POST /v1/pages/:body", operation_id: set_page, request: json, response: json, price: free, description: Set, query_params: [{name: body, type: string, required: true, description: b}, {name: constructor, type: string, description: c}]}
- {route: "GET /v1/pages/:id/lines/:path_id/:rest*", operation_id: help, response: json, price: free, description: Read, query_params: [{name: id, type: integer, required: true, description: i}, {name: rest, type: string, description: r}]}
- {route: "GET /v1/bodies/:body", operation_id: Help, response: json, price: free, description: Read}
"#;

fn service(document: prim::Document) -> Service {
    Service { manifest: manifest(&document), document }
}

#[test]
fn clients_have_sound_types_and_call_their_services() {
    let Some(workspace) = Workspace::new("sdk") else { return };
    let ours = ["vault", "notes"].map(|name| service(load(&root().join(format!("tests/scaffold/documents/{name}.yaml"))).unwrap()));
    let served: Vec<_> = ours
        .iter()
        .map(|Service { document, manifest }| {
            workspace.add(manifest);
            json!({"id": document.id, "env": manifest.env, "keeps_data": manifest.keeps_data})
        })
        .collect();
    workspace.write("served.json", &Value::from(served).to_string());
    let mut services = vec![service(prim::read(HOSTILE).unwrap()), service(prim::read(NAMES).unwrap())];
    services.extend(ours);
    for document in given().iter().chain(&own()).filter_map(|path| prim::read(&fs::read_to_string(path).ok()?).ok()) {
        if services.iter().all(|there| there.document.id != document.id) {
            services.push(service(document));
        }
    }
    let clients = Output::Sdk.files(&services, &Owner::default());
    assert!(clients.len() > 5, "{:?}", clients.keys());
    for (path, module) in &clients {
        workspace.write(&format!("generated/{path}"), module);
    }
    for output in [Output::Cli, Output::Tests] {
        for (path, program) in &output.files(&services, &Owner::default()) {
            workspace.write(&format!("generated/{path}"), program);
        }
    }
    for (path, tools) in &Output::Mcp.files(&services, &Owner::default()) {
        workspace.write(&format!("generated/{path}"), tools);
    }
    workspace.install("mcp");
    workspace.write(
        "tsconfig.sdk.json",
        r#"{"extends": "./tsconfig.json", "include": ["generated/sdk", "generated/cli", "generated/tests", "http/sdk.test.ts"]}"#,
    );
    for arguments in [
        &["--bun", "run", "tsc", "--noEmit", "-p", "tsconfig.sdk.json"][..],
        &["test", "http/sdk"],
        &["test", "http/names"],
        &["test", "http/mcp"],
        &["test", "http/programs"],
    ] {
        let (passed, text) = workspace.bun(arguments);
        eprintln!("{text}");
        assert!(passed, "{text}");
    }
}
