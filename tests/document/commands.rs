//! `flywheel validate`, `schema` and `new`, as their users see them.

use flywheel::{
    author::{Asker, NewConfig, draft, judge},
    prim,
};
use serde_json::{Value, json};

use super::COMPLETE;
use crate::folder::Folder;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn validate_names_every_problem_of_every_file() {
    let folder = Folder::new("validate");
    let good = folder.file("good.yaml", COMPLETE);
    let bad = folder.file("bad.yaml", "id: a\ndescription: A\nstatus: banana\nroutes_map: []\nextra: 1\n");
    let output = folder.flywheel(&["validate", &good]);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    let output = folder.flywheel(&["validate", "bad.yaml", &good, "gone.yaml"]);
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<String> = text(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("bad.yaml:3:1: status: \"banana\"") && lines[0].ends_with("[unknown-word]"), "{lines:?}");
    assert!(lines[1].starts_with("bad.yaml:5:1: extra: ") && lines[2].starts_with("gone.yaml: can't be read"), "{lines:?}");
    let output = folder.flywheel(&["validate", "--format", "json", &bad, &good]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [bad, good] = &report["documents"].as_array().unwrap()[..] else { panic!("{report}") };
    assert_eq!(
        (&bad["valid"], &bad["readable"], &good["valid"], &good["problems"]),
        (&json!(false), &json!(true), &json!(true), &json!([]))
    );
    let problem = &bad["problems"][0];
    assert_eq!((&problem["code"], &problem["path"], &problem["line"]), (&json!("unknown-word"), &json!("status"), &json!(3)));
    assert_eq!(good["hash"], json!(prim::read(COMPLETE).unwrap().hash()));
}

#[test]
fn validate_tells_what_reading_assumes() {
    let report = judge("x.yaml", "id: a\ndescription: A\nroutes_map: []\n");
    assert!(report.is_strict() && report.id.as_deref() == Some("a"));
    assert!(report.assumptions.iter().any(|assumption| assumption.path == "name"), "{:?}", report.assumptions);
    let report = judge("x.yaml", "id: [");
    assert!(!report.is_strict() && report.hash.is_none() && report.to_string().starts_with("x.yaml:1:"), "{report}");
}

#[test]
fn schema_prints_the_published_one() {
    let folder = Folder::new("schema");
    let output = folder.flywheel(&["schema"]);
    assert!(output.status.success());
    assert_eq!(text(&output.stdout), std::fs::read_to_string(crate::scaffold::root().join("docs/prim.schema.json")).unwrap());
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn new_makes_a_strict_document_of_flags() {
    let config = NewConfig {
        id: Some("shop".into()),
        description: Some("Sells: \"things\"".into()),
        kind: Some("trade".into()),
        port: Some(3100),
        env: texts(&["PRIM_NETWORK"]),
        route: texts(&[
            "POST /v1/orders",
            "{route: GET /v1/orders/:id, operation_id: get_order, price: $0.001, response: Order}",
            "{route: DELETE /v1/orders/:id, price: free, response: null}",
        ]),
        provider: texts(&["{name: bank, env: [BANK_KEY], url: 'https://bank.example'}"]),
        ..NewConfig::default()
    };
    let yaml = draft(&config, None).unwrap().unwrap();
    assert_eq!(super::findings(&yaml), []);
    let document = prim::read(&yaml).unwrap();
    assert_eq!(
        document.routes.iter().map(|route| route.operation.as_str()).collect::<Vec<_>>(),
        ["post_orders", "get_order", "delete_orders_id"]
    );
    assert_eq!((document.env, document.free), (texts(&["PRIM_NETWORK", "BANK_KEY"]), false));
    let free = NewConfig { free: true, provider: Vec::new(), ..config.clone() };
    let document = prim::read(&draft(&free, None).unwrap().unwrap()).unwrap();
    assert!(document.free && document.routes[0].error(402).is_none());
    // What is wrong with a flag is said with its path.
    for (wrong, path) in [
        (NewConfig { id: None, ..config.clone() }, "id: "),
        (NewConfig { id: Some("api".into()), ..config.clone() }, "id: "),
        (NewConfig { category: Some("access".into()), ..config.clone() }, "category: "),
        (NewConfig { route: texts(&["FETCH /x"]), ..config.clone() }, "routes_map[0].route: "),
        (NewConfig { route: texts(&["[1]"]), ..config.clone() }, "--route: "),
        (NewConfig { provider: texts(&["7"]), ..config.clone() }, "--provider: "),
        (NewConfig { provider: texts(&["a", "b"]), ..config }, "providers: "),
    ] {
        let error = draft(&wrong, None).unwrap_err().to_string();
        assert!(error.contains(path), "{path}: {error}");
    }
}

/// Goes through the questions with these answers.
fn answered(lines: &[&str]) -> (anyhow::Result<Option<String>>, String) {
    let text = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let (mut input, mut output) = (text.as_bytes(), Vec::new());
    let made = draft(&NewConfig::default(), Some(&mut Asker::new(&mut input, &mut output)));
    (made, String::from_utf8(output).unwrap())
}

#[test]
fn new_asks_until_the_answers_fit() {
    let lines = [
        // id, name, description, type, category, port, free
        "API",
        "shop",
        "",
        "",
        "Sells things",
        "trade",
        "access",
        "crypto",
        "80",
        "3100",
        "maybe",
        "n",
        // one route, whose path and price have to be put right
        "post /v1/orders",
        "POST /v1/orders",
        "Order things",
        "",
        "0.01",
        "$0.01",
        "",
        "Order",
        // the same again is refused
        "POST /v1/orders",
        "GET /v1/orders/:id",
        "Read one",
        "get_order",
        "",
        "",
        "",
        // a vendor
        "bank",
        "bank key",
        "BANK_KEY",
        "https://bank.example",
        "",
        "y",
    ];
    let (made, asked) = answered(&lines);
    let yaml = made.unwrap_or_else(|error| panic!("{error}\n{asked}")).unwrap();
    assert_eq!(super::findings(&yaml), [], "{yaml}");
    let document = prim::read(&yaml).unwrap();
    assert_eq!((document.name.as_str(), document.routes.len(), document.providers.len()), ("shop.sh", 2, 1));
    assert_eq!(document.routes[0].price.unwrap().to_string(), "$0.01");
    assert_eq!((document.routes[0].operation.as_str(), document.env.as_slice()), ("post_orders", texts(&["BANK_KEY"]).as_slice()));
    assert!(asked.contains("matches both") || asked.contains("match both"), "{asked}");
    assert!(asked.contains("answer y or n") && asked.contains("crypto, compute"), "{asked}");
}

#[test]
fn new_ends_with_its_input_and_writes_what_is_wanted_alone() {
    let (made, _) = answered(&["shop"]);
    assert!(made.unwrap_err().to_string().contains("the input ended"));
    let (made, _) = answered(&["shop", "", "Sells", "", "", "", "y", "", "", "n"]);
    assert!(made.unwrap().is_none());
    let folder = Folder::new("new");
    let arguments = ["new", "--id", "shop", "--description", "Sells", "--free", "--route", "GET /v1/x"];
    let output = folder.flywheel(&arguments);
    assert!(output.status.success(), "{output:?}");
    let made = folder.read("shop.prim.yaml");
    assert_eq!(super::findings(&made), []);
    let again = folder.flywheel(&arguments);
    assert!(!again.status.success() && text(&again.stderr).contains("--force"), "{again:?}");
    let printed = folder.flywheel(&[&arguments[..], &["--out", "-"]].concat());
    assert_eq!(text(&printed.stdout), made);
}
