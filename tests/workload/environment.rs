//! What a primitive is given by Secrets.

use std::slice;

use axum::http::StatusCode;
use flywheel::{
    api::conditions::Reason,
    controller::environment::{self, Environment},
    decide::Manifest,
    ports::error::{Class, PortError},
    prim,
    telemetry::chain,
};
use serde_json::{Value, json};

use super::{Case, context, primitive};
use crate::apiserver::ApiServer;

/// A value that must be in the mirror and nowhere else.
const VALUE: &str = "key-3c1f0e";

fn granted(name: &str, keys: &[(&str, &str)]) -> Value {
    json!({
        "metadata": {
            "name": name, "namespace": "flywheel-keys", "uid": format!("uid-{name}"), "resourceVersion": "7",
            "labels": { "flywheel.prim.sh/primitive": "search" },
            "annotations": { "flywheel.prim.sh/allowed-factories": "other/one, flywheel/prim" }
        },
        "stringData": {},
        "data": keys.iter().map(|(key, value)| ((*key).to_owned(), json!(k8s_openapi::ByteString(value.as_bytes().to_vec())))).collect::<serde_json::Map<_, _>>()
    })
}

fn server(secrets: &[Value]) -> ApiServer {
    let api = ApiServer::default();
    for secret in secrets {
        let text = |field: &str| secret["metadata"][field].as_str().unwrap();
        api.put_object(&format!("/api/v1/namespaces/{}/secrets/{}", text("namespace"), text("name")), secret.clone());
    }
    api
}

fn document(env: &[&str]) -> prim::Document {
    let env = env.join(", ");
    prim::read(&format!(
        "id: search\nname: search.sh\nfactory: {{ free_service: true }}\nenv: [{env}]\nroutes_map:\n  - {{ route: GET /v1/search, status: 200, operation_id: search }}\n"
    ))
    .unwrap()
}

async fn of(api: &ApiServer, case: &Case, env: &[&str]) -> Result<Environment, PortError> {
    environment::of(&case.factory, &primitive("search"), &document(env), case.keeps_data, &context(api)).await
}

fn mirrored(environment: &Environment) -> Vec<String> {
    let Manifest(secret) = environment.secret.as_ref().unwrap();
    assert_eq!((&secret["metadata"]["name"], &secret["metadata"]["namespace"]), (&json!("prim-search-env"), &json!("flywheel-run")));
    assert_eq!(secret["metadata"]["annotations"]["flywheel.prim.sh/environment"], environment.versions);
    secret["data"].as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn what_an_operator_granted_and_the_document_names_is_mirrored() {
    let api = server(&[granted("a", &[("API_KEY", VALUE), ("NOT_NAMED", VALUE)]), granted("b", &[("OTHER_KEY", VALUE)])]);
    let case = Case { keeps_data: Some("SEARCH_DB_PATH"), ..Case::new() }.table(&[("REGION", "eu"), ("EMPTY", "")]);
    let env = ["API_KEY", "OTHER_KEY", "REGION", "SEARCH_DB_PATH", "X402_NETWORK", "PORT", "EMPTY", "WANTED"];
    let environment = of(&api, &case, &env).await.unwrap();
    assert_eq!(mirrored(&environment), ["API_KEY", "OTHER_KEY"]);
    assert_eq!(environment.missing, ["EMPTY", "WANTED"]);
    let Manifest(secret) = environment.secret.as_ref().unwrap();
    assert_eq!(secret["data"]["API_KEY"], json!(k8s_openapi::ByteString(VALUE.as_bytes().to_vec())));
    assert!(!format!("{environment:?}").contains(&secret["data"]["API_KEY"].as_str().unwrap().to_owned()), "Debug shows a value");
    let asked = api.take();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].path, "/api/v1/namespaces/flywheel-keys/secrets");
    assert!(asked[0].query.contains("labelSelector"), "every Secret was asked for");
}

#[tokio::test]
async fn a_secret_for_another_primitive_or_factory_is_none_of_ours() {
    let mut labelled = granted("labelled", &[("A", VALUE)]);
    labelled["metadata"]["labels"]["flywheel.prim.sh/primitive"] = "lookup".into();
    let mut allowed = granted("allowed", &[("B", VALUE)]);
    allowed["metadata"]["annotations"]["flywheel.prim.sh/allowed-factories"] = "flywheel/primer,team/prim".into();
    let mut silent = granted("silent", &[("C", VALUE)]);
    silent["metadata"]["annotations"] = json!({});
    let mut going = granted("going", &[("D", VALUE)]);
    going["metadata"]["deletionTimestamp"] = "2027-01-15T08:00:00Z".into();
    let mut elsewhere = granted("elsewhere", &[("E", VALUE)]);
    elsewhere["metadata"]["namespace"] = "flywheel".into();
    let environment = of(&server(&[labelled, allowed, silent, going, elsewhere]), &Case::new(), &["A", "B", "C", "D", "E"]).await.unwrap();
    assert!(mirrored(&environment).is_empty());
    assert_eq!(environment.missing, ["A", "B", "C", "D", "E"]);
    assert_eq!(environment.versions, "none");
}

#[tokio::test]
async fn no_document_may_have_a_name_that_is_ours() {
    let names = [
        "PATH",
        "path",
        "HOME",
        "TMPDIR",
        "PORT",
        "NODE_OPTIONS",
        "NODE_ENV",
        "BUN_OPTIONS",
        "LD_PRELOAD",
        "X402_PAY_TO",
        "X402_FACILITATOR_URL",
        "KUBERNETES_SERVICE_HOST",
        "SEARCH_DB_PATH",
        "A-B",
        "1A",
        "GOOD_ONE",
    ];
    let keys: Vec<_> = names.iter().map(|name| (*name, VALUE)).collect();
    let mut declared = document(&["GOOD_ONE"]);
    declared.env = names.map(Into::into).to_vec();
    let case = Case { keeps_data: Some("SEARCH_DB_PATH"), ..Case::new() };
    let api = server(&[granted("a", &keys)]);
    let environment = environment::of(&case.factory, &primitive("search"), &declared, case.keeps_data, &context(&api)).await.unwrap();
    assert_eq!(mirrored(&environment), ["GOOD_ONE"]);
}

#[tokio::test]
async fn a_change_of_a_grant_is_another_version_and_its_value_is_in_none() {
    let versions = async |secrets: &[Value], env: &[&str]| of(&server(secrets), &Case::new(), env).await.unwrap().versions;
    let one = granted("a", &[("A", VALUE), ("B", VALUE)]);
    let first = versions(slice::from_ref(&one), &["A"]).await;
    assert_eq!(versions(slice::from_ref(&one), &["A"]).await, first);
    let mut changed = one.clone();
    changed["metadata"]["resourceVersion"] = "8".into();
    let mut remade = one.clone();
    remade["metadata"]["uid"] = "another".into();
    let mut all = vec![first.clone(), versions(&[changed], &["A"]).await, versions(&[remade], &["A"]).await];
    all.push(versions(slice::from_ref(&one), &["A", "B"]).await);
    all.push(versions(&[], &["A"]).await);
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 5, "{all:?}");
    let mut other = one;
    other["data"] = granted("a", &[("A", "other"), ("B", "other")])["data"].clone();
    assert_eq!(versions(&[other], &["A"]).await, first, "the version follows from the value");
}

#[tokio::test]
async fn what_cant_be_given_is_told_without_its_value() {
    let api = server(&[granted("a", &[("API_KEY", VALUE)]), granted("b", &[("API_KEY", VALUE)])]);
    let error = of(&api, &Case::new(), &["API_KEY"]).await.unwrap_err();
    assert_eq!((error.class, error.reason), (Class::Waiting, Reason::SecretInvalid));
    for part in ["flywheel-keys/a", "flywheel-keys/b", "API_KEY"] {
        assert!(error.message.contains(part), "{part} is not in {}", error.message);
    }
    assert!(!chain(&error).contains(VALUE));
    // One that the document does not name is nobody's trouble.
    assert!(of(&api, &Case::new(), &["OTHER"]).await.is_ok());

    let binary = server(&[granted("a", &[("API_KEY", "key-3c1f0e\0x")])]);
    let error = of(&binary, &Case::new(), &["API_KEY"]).await.unwrap_err();
    assert!(error.message.contains("no text") && !chain(&error).contains(VALUE), "{}", chain(&error));

    let table = Case::new().table(&[("NOT-A-NAME", "x")]);
    let error = of(&server(&[]), &table, &["A"]).await.unwrap_err();
    assert_eq!(error.class, Class::Waiting, "the Factory is not the Primitive's to mend");
    assert!(error.message.contains("spec.deploy.env") && error.message.contains("NOT-A-NAME"), "{}", error.message);
}

#[tokio::test]
async fn nobody_is_asked_where_nothing_is_named_and_a_refusal_is_told() {
    let api = server(&[granted("a", &[("API_KEY", VALUE)])]);
    let environment = of(&api, &Case::new(), &[]).await.unwrap();
    assert!(mirrored(&environment).is_empty(), "a grant that was withdrawn is emptied out of the mirror");
    assert!(api.take().is_empty());
    api.refuse("/secrets", StatusCode::FORBIDDEN);
    let error = of(&api, &Case::new(), &["API_KEY"]).await.unwrap_err();
    assert_eq!((error.class, error.reason), (Class::Denied, Reason::PermissionMissing));
}

#[tokio::test]
async fn a_facilitator_without_anybody_to_pay_lacks_something() {
    let url = ("X402_FACILITATOR_URL", "https://pay.example");
    let missing = async |table: &[(&str, &str)]| of(&server(&[]), &Case::new().table(table), &[]).await.unwrap().missing;
    assert_eq!(missing(&[url]).await, ["X402_PAY_TO"]);
    assert!(missing(&[url, ("X402_PAY_TO", "0x02")]).await.is_empty());
}
