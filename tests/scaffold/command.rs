//! `flywheel scaffold`, as its users see it.

use std::process::Output;

use flywheel::scaffold::TEMPLATE;
use serde_json::Value;

use super::root;
use crate::{folder::Folder, tidy};

const DOCUMENT: &str = "id: jots
description: Keeps jots.
factory: {free_service: true}
env: [JOTS_DB_PATH]
routes_map:
- {route: POST /v1/jots, operation_id: create_jot, status: 201, request: Jot, response: Jot, description: Keep a jot}
- {route: GET /v1/jots, operation_id: list_jots, response: Jots, description: List jots}
";
/// The same with one route more.
const MORE: &str = "- {route: 'GET /v1/jots/:id', operation_id: get_jot, response: Jot, description: Read a jot}\n";
const SERVICE: &str = "repo/packages/jots/src/service.ts";

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_template_is_every_file_of_its_folder() {
    let mut there: Vec<_> = tidy::tracked("src/scaffold/factory");
    there.sort();
    let known: Vec<_> = TEMPLATE.iter().map(|file| format!("src/scaffold/factory/{}", file.path)).collect();
    assert_eq!(known, there, "the list in src/scaffold/workspace.rs is not the folder");
    assert!(TEMPLATE.iter().any(|file| file.is_program()));
}

#[test]
fn a_folder_becomes_a_workspace_and_what_people_wrote_in_it_stays() {
    let folder = Folder::new("workspace");
    let (first, more) = (folder.file("jots.yaml", DOCUMENT), folder.file("more.yaml", &format!("{DOCUMENT}{MORE}")));
    let output = folder.flywheel(&["scaffold", &first, "--out", "repo"]);
    assert!(output.status.success(), "{}", said(&output));
    for file in TEMPLATE {
        assert_eq!(folder.read(&format!("repo/{}", file.path)), file.content, "{}", file.path);
    }

    // A change of the document comes to what was changed by hand.
    let seeded = folder.read(SERVICE);
    folder.file(SERVICE, &format!("// Mended by hand.\n{seeded}"));
    folder.file("repo/biome.json", "{}\n");
    let output = folder.flywheel(&["scaffold", &more, "--out", "repo"]);
    assert!(output.status.success(), "{}", said(&output));
    let merged = folder.read(SERVICE);
    assert!(merged.starts_with("// Mended by hand.\n") && merged.contains("getJot"), "{merged}");
    assert!(folder.read("repo/packages/jots/src/schemas.ts").contains("/v1/jots/:id"));
    assert_eq!(folder.read("repo/biome.json"), "{}\n", "the workspace is somebody's by now");

    // And the same once more changes nothing.
    assert!(folder.flywheel(&["scaffold", &more, "--out", "repo"]).status.success());
    assert_eq!(folder.read(SERVICE), merged);
}

#[test]
fn what_a_changed_document_finds_no_more_is_told() {
    let folder = Folder::new("lost");
    let first = folder.file("jots.yaml", DOCUMENT);
    let renamed = folder.file("renamed.yaml", &DOCUMENT.replace("_jot", "_note"));
    let moved = folder.file("moved.yaml", &DOCUMENT.replace("/v1/jots", "/v1/slips"));
    let told = |file: &str| {
        let output = folder.flywheel(&["scaffold", file, "--out", "repo"]);
        assert!(output.status.success(), "{}", said(&output));
        said(&output).lines().filter(|line| line.contains("no longer found")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(told(&first), Vec::<String>::new());
    assert_eq!(told(&renamed), Vec::<String>::new(), "it lies where it lay");
    let lost = told(&moved).concat();
    assert!(lost.contains("nothing is kept below /v1/jots any more") && lost.contains("GET /v1/jots"), "{lost}");
    assert_eq!(told(&moved), Vec::<String>::new());
}

#[test]
fn what_contradicts_the_document_is_left_and_named() {
    let folder = Folder::new("contradicted");
    let (first, more) = (folder.file("jots.yaml", DOCUMENT), folder.file("more.yaml", &format!("{DOCUMENT}{MORE}")));
    assert!(folder.flywheel(&["scaffold", &first, "--out", "repo"]).status.success());
    let own: String = folder.read(SERVICE).lines().map(|line| format!("{line} //\n")).collect();
    folder.file(SERVICE, &own);
    let output = folder.flywheel(&["scaffold", &more, "--out", "repo"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("packages/jots/src/service.ts, lines 1 to "), "{}", said(&output));
    assert_eq!(folder.read(SERVICE), own);
    assert!(folder.read("repo/packages/jots/src/schemas.ts").contains("/v1/jots/:id"), "what is generated is the new document's");
}

#[test]
fn files_and_routes_come_as_json_and_nothing_is_written() {
    let folder = Folder::new("scaffold-json");
    let file = folder.file("jots.yaml", DOCUMENT);
    let output = folder.flywheel(&["scaffold", "--json", &file]);
    assert!(output.status.success(), "{}", said(&output));
    let made: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(made["files"][0]["path"], "packages/jots/README.md");
    assert_eq!(made["routes"][1]["backend"], "native");
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
    assert_eq!(folder.flywheel(&["scaffold", &file]).status.code(), Some(2), "somewhere it must go");
}

#[test]
fn a_file_of_prices_stands_between_a_routes_own_and_the_default() {
    let folder = Folder::new("prices");
    let document = root().join("tests/scaffold/documents/notes.yaml");
    let document = document.to_str().unwrap();
    let priced = |prices: &str| {
        let prices = folder.file("prices.yaml", prices);
        let output = folder.flywheel(&["scaffold", "--json", document, "--prices", &prices, "--default-price", "$0.5"]);
        let made: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code(), made, said(&output))
    };
    let (_, made, _) = priced(
        "notes:\n  POST /v1/handles: $0.25\n  get /v1/handles/[name]: free\n  POST /v1/notes: $9\n  GET /v1/nothing: $1\nother: {POST /v1/handles: x}\n",
    );
    let price = |route: &str| {
        let routes = made["routes"].as_array().unwrap().iter();
        let found = routes.clone().find(|r| route == format!("{} {}", r["method"].as_str().unwrap(), r["path"].as_str().unwrap()));
        found.unwrap_or_else(|| panic!("{route}: {made:#}"))["price"].as_str().unwrap().to_owned()
    };
    for (route, wanted) in [
        ("POST /v1/handles", "$0.25"),
        ("GET /v1/handles/:handle", "free"),
        ("POST /v1/notes", "$0.002"),
        ("DELETE /v1/handles/:handle", "$0.5"),
    ] {
        assert_eq!(price(route), wanted, "{route}");
    }
    assert!(made["assumptions"].to_string().contains("prices.notes.GET /v1/nothing"), "{}", made["assumptions"]);

    for (prices, says) in [
        ("notes: {POST /v1/handles: metered}\n", "prices.notes.POST /v1/handles: \"metered\" is not a price"),
        ("notes: {POST /v1/handles: 0.1}\n", "prices.notes.POST /v1/handles: 0.1 is no price"),
        ("notes: {register_handle: $1, POST /v1/handles: $2}\n", "prices.notes.register_handle: prices POST /v1/handles once more"),
        ("[notes]\n", "must map ids of documents to routes"),
    ] {
        let (code, _, said) = priced(prices);
        assert!(code == Some(1) && said.contains(says), "{prices}: {code:?} {said}");
    }
}

#[test]
fn a_provider_is_added_to_a_package_that_is_there() {
    let folder = Folder::new("provider");
    let file = folder.file("jots.yaml", DOCUMENT);
    assert!(folder.flywheel(&["scaffold", &file, "--out", "repo"]).status.success());
    let output = folder.flywheel(&["provider", "new", "jots", "acme", "--repo", "repo"]);
    assert!(output.status.success(), "{}", said(&output));
    let document = folder.read("repo/packages/jots/prim.yaml");
    assert!(document.contains("acme") && document.contains("ACME_API_KEY") && document.contains("default: true"), "{document}");
    assert!(folder.read("repo/packages/jots/src/providers/acme.ts").contains("export const acmeClient"));
    let again = folder.flywheel(&["provider", "new", "jots", "acme", "--repo", "repo"]);
    assert!(!again.status.success() && said(&again).contains("acme is among the providers already"), "{}", said(&again));

    let output = folder.flywheel(&["provider", "new", "jots", "other", "--repo", "repo", "--env", "OTHER_TOKEN", "--default"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(folder.read("repo/packages/jots/prim.yaml").matches("default: true").count(), 1);
    let before = folder.read("repo/packages/jots/prim.yaml");
    let wrong = folder.flywheel(&["provider", "new", "jots", "third", "--repo", "repo", "--env", "not a name"]);
    assert!(!wrong.status.success() && said(&wrong).contains("providers[2].env[0]"), "{}", said(&wrong));
    assert_eq!(folder.read("repo/packages/jots/prim.yaml"), before, "what is refused changes nothing");
}

#[test]
fn the_registry_has_packages_before_what_is_only_listed() {
    let folder = Folder::new("registry");
    let file = folder.file("jots.yaml", DOCUMENT);
    assert!(folder.flywheel(&["scaffold", &file, "--out", "repo"]).status.success());
    folder.file("repo/primitives.yaml", "primitives:\n- {id: jots, order: 2, description: Old}\n- {id: idea, order: 1}\n");
    let output = folder.flywheel(&["registry", "--repo", "repo"]);
    assert!(output.status.success(), "{}", said(&output));
    let printed = flywheel::prim::value(&String::from_utf8(output.stdout).unwrap()).unwrap();
    let entries = printed["primitives"].as_array().unwrap();
    assert_eq!((&entries[0]["id"], &entries[1]["id"]), (&"idea".into(), &"jots".into()));
    assert!(entries[1]["description"] != "Old" && entries[1]["order"] == 2);
    folder.file("repo/primitives.yaml", "primitives: [{name: nobody}]\n");
    let output = folder.flywheel(&["registry", "--repo", "repo"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("primitives[0].id"), "{}", said(&output));
}

#[test]
fn a_file_that_is_none_stops_no_other_and_leaves_no_workspace() {
    let folder = Folder::new("none");
    let jots = folder.file("jots.yaml", DOCUMENT);
    let output = folder.flywheel(&["scaffold", "nowhere.yaml", "--out", "repo"]);
    assert!(!output.status.success() && said(&output).contains("nowhere.yaml: can't be read: "), "{}", said(&output));
    assert!(!folder.0.join("repo").exists());
    let output = folder.flywheel(&["scaffold", "nowhere.yaml", &jots, "--out", "repo"]);
    assert!(!output.status.success());
    assert!(folder.read(SERVICE).contains("createJot"));
    let output = folder.flywheel(&["registry", "--repo", "nowhere"]);
    assert!(!output.status.success() && said(&output).contains("nowhere: has neither packages nor primitives.yaml"), "{}", said(&output));
}

const PAID: &str = "id: leak
description: Private notes of wallets.
factory: {free_service: false}
routes_map:
- {route: POST /v1/notes, operation_id: create_note, status: 201, description: Make, request: json, response: json}
- {route: GET /v1/notes, operation_id: list_notes, status: 200, description: List, response: json}
- {route: 'GET /v1/notes/:id', operation_id: get_note, status: 200, description: Get, response: json}
";

/// A price that changes alone comes to the handlers, which are for who pays or for anybody.
#[test]
fn a_handler_goes_with_the_price_of_its_route() {
    let folder = Folder::new("freed");
    let document = folder.file("leak.yaml", PAID);
    let (service, index) = ("repo/packages/leak/src/service.ts", "repo/packages/leak/src/index.ts");
    let output = folder.flywheel(&["scaffold", &document, "--out", "repo", "--default-price", "$0.02"]);
    assert!(output.status.success(), "{}", said(&output));
    let (paid, priced) = (folder.read(service), folder.read(index));
    assert!(paid.matches("owner: payer").count() == 3 && priced.matches("\"$0.02\"").count() == 3, "{paid}{priced}");

    // Where the handler was changed by hand just there, nothing is written.
    let prices = folder.file("prices.yaml", "leak: {GET /v1/notes: free}\n");
    folder.file(service, &paid.replace("owner: payer,", "owner: payer, // ours"));
    let refused = folder.flywheel(&["scaffold", &document, "--out", "repo", "--prices", &prices, "--default-price", "$0.02"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("GET /v1/notes would be free or paid other than before"), "{}", said(&refused));
    assert_eq!(folder.read(index), priced);

    // Else both change, and what else was written by hand stays.
    folder.file(service, &format!("// Mended by hand.\n{paid}"));
    let output = folder.flywheel(&["scaffold", &document, "--out", "repo", "--prices", &prices, "--default-price", "$0.02"]);
    assert!(output.status.success(), "{}", said(&output));
    let freed = folder.read(service);
    assert!(freed.starts_with("// Mended by hand.\n") && !freed.contains("store.open"), "who is nobody is given nobody's notes: {freed}");
    assert!(freed.contains("notImplemented"), "{freed}");
    assert_eq!(folder.read(index).matches("\"free\"").count(), 1);
}

#[test]
fn what_goes_together_is_merged_beside_what_does_not() {
    let folder = Folder::new("merged");
    let (first, more) =
        (folder.file("jots.yaml", DOCUMENT), folder.file("more.yaml", &format!("{DOCUMENT}{MORE}").replace("List jots", "List all jots")));
    assert!(folder.flywheel(&["scaffold", &first, "--out", "repo"]).status.success());
    let own = folder.read(SERVICE).replace("/** List jots */", "/** Ours */");
    folder.file(SERVICE, &own);
    let output = folder.flywheel(&["scaffold", &more, "--out", "repo"]);
    assert_eq!(output.status.code(), Some(1));
    let merged = folder.read(SERVICE);
    assert!(merged.contains("/** Ours */") && merged.contains("getJot") && !merged.contains("<<<"), "{merged}");
    let line = merged.lines().position(|line| line.contains("Ours")).unwrap() + 1;
    assert!(said(&output).contains(&format!("packages/jots/src/service.ts, line {line}: left as it is")), "{}", said(&output));
}

/// What is derived says what the package charges, and nobody has to say it again.
#[test]
fn what_is_derived_has_the_packages_own_prices() {
    let folder = Folder::new("priced");
    let document = folder.file("leak.yaml", PAID);
    let prices = folder.file("prices.yaml", "leak: {GET /v1/notes: $0.5}\n");
    let output = folder.flywheel(&["scaffold", &document, "--out", "repo", "--prices", &prices, "--default-price", "$0.02"]);
    assert!(output.status.success(), "{}", said(&output));
    let priced = || {
        let listed: Value = serde_json::from_str(&folder.read("repo/generated/pricing.json")).unwrap();
        let routes = listed["services"][0]["routes"].as_array().unwrap().iter();
        routes.map(|route| route["price"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let generate = |more: &[&str]| folder.flywheel(&[&["generate", "catalogue", "--repo", "repo"], more].concat());
    assert!(generate(&[]).status.success());
    assert_eq!(priced(), ["$0.02", "$0.5", "$0.02"]);
    assert!(generate(&["--check"]).status.success());

    // Whoever says other prices has those, and is told that they are not there.
    let other = folder.file("other.yaml", "leak: {GET /v1/notes: $0.7}\n");
    for flags in [&["--prices", &*other][..], &["--default-price", "$0.03"]] {
        let output = generate(&[flags, &["--check"]].concat());
        assert_eq!(output.status.code(), Some(1), "{flags:?}");
        assert!(said(&output).contains("pricing.json is stale"), "{}", said(&output));
    }
    assert!(generate(&["--prices", &other]).status.success());
    assert_eq!(priced(), ["$0.01", "$0.7", "$0.01"]);

    // A vendor more changes no price.
    let index = "repo/packages/leak/src/index.ts";
    let before = folder.read(index);
    let output = folder.flywheel(&["provider", "new", "leak", "acme", "--repo", "repo"]);
    assert!(output.status.success(), "{}", said(&output));
    let lines = |text: &str| text.lines().filter(|line| line.contains("price:")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&folder.read(index)), lines(&before));
}
