//! Documents at random that the strict checker accepts: whatever they hold, their
//! packages type-check, and pass the five checks and the linter. All of them in one workspace, so
//! that it is one run of the compiler. `SCAFFOLD_SEED` makes others, and
//! `SCAFFOLD_CASES` more.

use std::fmt::Write;

use flywheel::prim;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Map, Value, json};

use super::{CODE, manifest, workspace::Workspace};

/// A line that would like to be code.
fn line() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(
        [
            &CODE[..],
            &[
                "${x}",
                "{",
                "\\n",
                " (required)",
                " 1-100, default 20",
                " default",
                " max 10",
                "@ts-expect-error ",
                "@ts-ignore ",
                "@ts-nocheck ",
                "@jsxImportSource x",
                "biome-ignore lint/suspicious/noExplicitAny: x",
                "eslint-disable ",
                "/// <reference path='x' />",
                " missing name",
                " one of: a, b",
                " expired",
                "$0.01",
                "#",
            ][..],
        ]
        .concat(),
    );
    prop::collection::vec(prop_oneof![nasty.prop_map(str::to_owned), "[a-zA-Z][a-zA-Z0-9 ]{0,12}"], 1..6)
        .prop_map(|parts| parts.concat().split_whitespace().collect::<Vec<_>>().join(" "))
        .prop_filter("a line has something in it", |line| !line.is_empty())
}

fn words(of: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop::sample::select(of)
}

/// Nouns and verbs that patterns look for, and words of the language.
const VERBS: &[&str] =
    &["create", "list", "get", "update", "delete", "register", "renew", "count", "verify", "search", "delete_all", "constructor", "then"];
const NOUNS: &[&str] = &["items", "item", "buckets", "class", "default", "prototype", "names", "settings", "objects"];

fn path() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => words(NOUNS).prop_map(str::to_owned),
        2 => words(&[":id", ":name", ":class", ":constructor", ":Key"]).prop_map(str::to_owned),
        1 => words(&["search", "count", ".well-known", "a-b", "v2~x", "renew"]).prop_map(str::to_owned),
    ];
    (prop::collection::vec(part, 1..4), prop::bool::weighted(0.1)).prop_map(|(parts, rest)| {
        let mut path = String::from("/v1");
        let mut taken: Vec<String> = Vec::new();
        // A parameter stands in a path once.
        for part in parts.into_iter().filter(|part| !part.starts_with(':') || !path_has(part, &mut taken)) {
            let _ = write!(path, "/{part}");
        }
        if rest { format!("{path}/:rest*") } else { path }
    })
}

fn path_has(part: &str, taken: &mut Vec<String>) -> bool {
    let there = taken.iter().any(|one| one == part);
    taken.push(part.to_owned());
    there
}

/// A schema of a type: of those before it, by their names.
fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string"})),
        (0..5_u32, 5..9_u32).prop_map(|(least, most)| json!({"type": "string", "minLength": least, "maxLength": most})),
        words(&["^[a-z/]{2,}$", "^a|b$", r"^\d+\.\d$", "^[^\"'`]+$", "^é$", r"^\$\{x\}$"])
            .prop_map(|p| json!({"type": "string", "pattern": p})),
        words(&["date", "date-time", "email", "hostname", "ipv4", "ipv6", "uri", "uuid"])
            .prop_map(|f| json!({"type": "string", "format": f})),
        (-(1_i64 << 53)..1 << 53).prop_map(|n| json!({"type": "integer", "minimum": n})),
        Just(json!({"type": ["number", "null"], "exclusiveMinimum": 0})),
        (0..40_i32, 1..20_i32).prop_map(|(least, more)| {
            json!({"type": "number", "exclusiveMinimum": f64::from(least) / 8.0, "exclusiveMaximum": f64::from(least + more) / 8.0})
        }),
        (-9..9_i32, 1..4_i32).prop_map(|(least, more)| json!({"type": "integer", "exclusiveMinimum": least, "maximum": least + more})),
        (words(&["email", "hostname", "uri", "ipv6", "date-time"]), 0..60_u32, 0..60_u32).prop_map(|(format, least, more)| {
            json!({"type": "string", "format": format, "minLength": least, "maxLength": least + more})
        }),
        Just(json!({"type": "string", "enum": ["a", "abc", 1, "abcd"], "minLength": 2})),
        Just(json!({"type": "boolean"})),
        Just(json!({})),
        line().prop_map(|text| json!({"const": text})),
        Just(json!({"enum": ["a", 1, null, {"b": [2]}]})),
        line().prop_map(|text| json!({"type": "string", "description": text, "default": text})),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let fields = prop::collection::btree_map(
            words(&["name", "text", "id", "class", "a-b", "address", "signature", "default"]),
            inner.clone(),
            0..4,
        );
        let object = (fields, any::<bool>(), prop_oneof![Just(Value::Null), Just(json!(false)), inner.clone()]).prop_map(
            |(fields, required, more)| {
                let names: Vec<_> = fields.keys().copied().take(2).collect();
                let mut object = json!({"type": "object", "properties": fields});
                if required && !names.is_empty() {
                    object["required"] = json!(names);
                }
                if !more.is_null() {
                    object["additionalProperties"] = more;
                }
                object
            },
        );
        prop_oneof![
            3 => object,
            1 => inner.clone().prop_map(|items| json!({"type": "array", "items": items, "maxItems": 3})),
            2 => (inner.clone(), 0..4_u32, any::<bool>())
                .prop_map(|(items, least, differ)| json!({"type": "array", "items": items, "minItems": least, "uniqueItems": differ})),
            1 => prop::collection::vec(inner.clone(), 1..3).prop_map(|any| json!({"anyOf": any})),
            1 => prop::collection::vec(inner, 1..3).prop_map(|one| json!({"oneOf": one})),
        ]
    })
}

/// What answers a route, by its own words.
fn backend() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => Just(Value::Null),
        1 => Just(json!("native")),
        1 => Just(json!({"pattern": "rest-json", "operation": "GET /odd"})),
        1 => Just(json!({"pattern": "sdk", "provider": "Odd vendor.x", "operation": "look"})),
        1 => line().prop_map(|word| json!({"pattern": "cli", "command": ["run", word, "{body.text}"]})),
    ]
}

fn body() -> impl Strategy<Value = Value> {
    prop_oneof![words(&["json", "Item", "Items", "bytes", "RegExp", "Array"]).prop_map(Value::from), Just(Value::Null)]
}

fn query() -> impl Strategy<Value = Value> {
    let name = words(&["limit", "after", "q", "cursor", "with-dash", "a.b", "class", "__proto", "then"]);
    (name, words(&["string", "integer", "number", "boolean"]), line(), any::<bool>()).prop_map(
        |(name, kind, description, required)| json!({"name": name, "type": kind, "description": description, "required": required}),
    )
}

fn error() -> impl Strategy<Value = Value> {
    let status = prop::sample::select(vec![400, 402, 403, 404, 409, 410, 422, 429, 500]);
    let code = words(&["invalid_request", "not_found", "taken", "limit_exceeded", "forbidden", "constructor"]);
    (status, code, line()).prop_map(|(status, code, description)| json!({"status": status, "code": code, "description": description}))
}

fn route() -> impl Strategy<Value = Value> {
    let method = words(&["GET", "POST", "PUT", "PATCH", "DELETE"]);
    let status = prop::sample::select(vec![200, 201, 202, 204]);
    let price = prop_oneof![3 => Just(Value::Null), 1 => Just(json!("free")), 1 => Just(json!("$0.05"))];
    let auth = prop_oneof![4 => Just(Value::Null), 1 => words(&["none", "wallet", "internal"]).prop_map(Value::from)];
    let said = (backend(), auth, prop::bool::weighted(0.3));
    let lists = (prop::collection::vec(query(), 0..3), prop::collection::vec(error(), 0..4), said);
    ((method, path()), (words(VERBS), words(NOUNS)), line(), status, (body(), body()), price, lists).prop_map(
        |((method, path), (verb, noun), description, status, (request, response), price, (query, errors, (backend, auth, numbered)))| {
            let mut route = json!({
                "route": format!("{method} {path}"), "operation_id": if verb == "then" { verb.to_owned() } else { format!("{verb}_{noun}") }, "description": description, "status": status,
                "request": if ["POST", "PUT", "PATCH"].contains(&method) { request } else { Value::Null },
                "response": if status == 204 { Value::Null } else { response },
                "query_params": query, "errors": errors,
            });
            for (key, value) in [("price", price), ("backend", backend), ("auth", auth)] {
                if !value.is_null() {
                    route[key] = value;
                }
            }
            if numbered && path.contains("/:id") {
                route["params"] = json!([{"name": "id", "type": "integer", "minimum": 3}]);
            }
            route
        },
    )
}

/// Routes that make, list, read, change and remove things of one kind.
fn resource() -> impl Strategy<Value = Vec<Value>> {
    let of_all = (words(&["widgets", "tracks", "crates"]), any::<bool>());
    let price = prop_oneof![1 => Just(Value::Null), 1 => Just(json!("free")), 1 => Just(json!("$0.05"))];
    let auth = prop_oneof![3 => Just(Value::Null), 2 => Just(json!("internal")), 1 => Just(json!("none"))];
    let of_each = (
        prop::collection::vec(query(), 0..2),
        words(&["json", "Item", "Items"]),
        prop::sample::select(vec![200, 201]),
        prop::bool::weighted(0.8),
    );
    (of_all, price, auth, prop::collection::vec(of_each, 5)).prop_map(|((noun, typed), price, auth, each)| {
        let routes = [("POST", "create", ""), ("GET", "list", ""), ("GET", "get", "/:id"), ("PATCH", "update", "/:id"), ("DELETE", "delete", "/:id")];
        let there = routes.into_iter().zip(each).filter(|(_, (.., there))| *there);
        there
            .map(|((method, verb, end), (query, kind, status, _))| {
                let takes = ["POST", "PATCH"].contains(&method);
                let mut route = json!({
                    "route": format!("{method} /v1/{noun}{end}"), "operation_id": format!("{verb}_{noun}"), "description": format!("{verb} {noun}"),
                    "status": status, "request": if takes { json!(if typed { kind } else { "json" }) } else { Value::Null }, "response": "json",
                    "query_params": query, "errors": [],
                });
                for (key, value) in [("price", &price), ("auth", &auth)] {
                    if !value.is_null() {
                        route[key] = value.clone();
                    }
                }
                route
            })
            .collect()
    })
}

/// A route that a program answers, with whatever it takes and says.
fn program() -> impl Strategy<Value = Value> {
    let status = prop::sample::select(vec![200, 201, 202, 204]);
    (words(&["print", "convert", "draw"]), words(&["GET", "POST", "PUT"]), status, body(), body()).prop_map(
        |(name, method, status, request, response)| {
            json!({
                "route": format!("{method} /v1/programs/{name}"), "operation_id": format!("{name}_it"), "description": name, "status": status,
                "request": if method == "GET" { Value::Null } else { request },
                "response": if status == 204 { Value::Null } else { response },
                "price": "free", "backend": {"pattern": "cli", "command": [name]},
            })
        },
    )
}

/// An example that names fields as objects have anyhow.
fn example(path: &str) -> impl Strategy<Value = String> + use<> {
    let path = path.to_owned();
    let field = words(&["name", "text", "id", "constructor", "toString", "class", "address", "ttl", "a-b"]);
    let value = prop_oneof![
        line().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(json!([1]))
    ];
    prop::collection::btree_map(field, value, 0..4).prop_map(move |fields| {
        let fields: Map<String, Value> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        format!("{path} {} → it", Value::Object(fields))
    })
}

fn document() -> impl Strategy<Value = Value> {
    let head = (line(), line(), any::<bool>(), prop::bool::weighted(0.5), prop::bool::weighted(0.2));
    let lines = (prop::collection::vec(line(), 0..3), prop::collection::vec(line(), 0..3), line());
    let types = prop::collection::vec(schema(), 0..4);
    let more = (prop::option::weighted(0.5, resource()), prop::option::weighted(0.3, program()));
    (head, lines, (prop::collection::vec(route(), 0..6), more), types).prop_flat_map(
        |((name, description, free, data, provider), (tips, limits, ownership), (mut routes, (resource, program)), types)| {
            routes.extend(resource.into_iter().flatten().chain(program));
            let named = routes.iter().map(|route| example(route["route"].as_str().unwrap_or_default())).collect::<Vec<_>>();
            named.prop_map(move |examples| {
                let mut document = json!({
                    "name": name, "description": description, "tips": tips, "limits": limits, "ownership": ownership,
                    "quick_start": examples, "factory": {"free_service": free},
                    "routes_map": routes, "env": if data { vec!["RANDOM_DB_PATH"] } else { vec![] },
                });
                for (name, schema) in ["Item", "Items", "RegExp", "Array"].iter().zip(&types) {
                    document["types"][name] = schema.clone();
                }
                if provider {
                    document["providers"] = json!([{"name": "Odd vendor.x", "env": ["ODD_API_KEY"], "status": "active"}]);
                }
                document
            })
        },
    )
}

/// A number from the environment.
fn setting(name: &str, otherwise: u64) -> u64 {
    let read = |text: std::ffi::OsString| text.to_str().and_then(|text| text.parse().ok());
    std::env::var_os(name).map_or(otherwise, |text| read(text).unwrap_or_else(|| panic!("{name} is no number")))
}

#[test]
fn whatever_is_accepted_type_checks_and_passes_its_checks() {
    let Some(workspace) = Workspace::new("accepted") else { return };
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&setting("SCAFFOLD_SEED", 1).to_le_bytes());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &seed));
    let wanted = setting("SCAFFOLD_CASES", 40);
    let (mut documents, mut refused) = (Vec::new(), 0);
    while (documents.len() as u64) < wanted {
        let mut value = document().new_tree(&mut runner).unwrap().current();
        value["id"] = format!("random-{}", documents.len()).into();
        let text = value.to_string();
        if !prim::check_text(&text).findings.is_empty() {
            refused += 1;
            assert!(refused < 50 * wanted, "hardly any is accepted: {:?}", prim::check_text(&text).findings);
            continue;
        }
        workspace.add(&manifest(&prim::read(&text).unwrap()));
        documents.push(text);
    }
    eprintln!("{} documents, and {refused} that the checker refused", documents.len());
    let lint = ["--bun", "run", "biome", "ci", "--colors=off", "--error-on-warnings", "--max-diagnostics=20", "."];
    for arguments in [&["--bun", "run", "tsc", "--noEmit"][..], &["test", "packages"], &lint] {
        let (passed, text) = workspace.bun(arguments);
        // Of tests, what failed stands after the package's name.
        let failed = text.split("\npackages/").filter(|part| part.contains("(fail)") || !text.contains("(fail)")).collect::<String>();
        let red = documents.iter().enumerate().filter(|(i, _)| failed.contains(&format!("random-{i}/")));
        let red: Vec<_> = red.map(|(_, document)| document.as_str()).take(3).collect();
        assert!(passed, "{text}\n\nseed {}, among others:\n{}", seed[0], red.join("\n"));
    }
}
