//! The files that come out, before any tool looks at them.

use std::collections::BTreeMap;

use flywheel::scaffold::{Kind, Manifest};
use regex::Regex;

use super::{document, given, load, manifest, own, root};

/// What an AgentPR takes within itself.
const INLINE_BYTES: usize = 200 * 1024;

fn backends(made: &Manifest) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for route in &made.routes {
        *counts.entry(route.backend.clone()).or_default() += 1;
    }
    counts
}

#[test]
fn the_same_document_makes_the_same_bytes() {
    for path in given().into_iter().chain(own()) {
        let read = load(&path).unwrap();
        let made = manifest(&read);
        assert_eq!(made.hash(), manifest(&read).hash());
        // The package's own prim.yaml makes the same package: generated files stay fresh.
        let yaml = made.files.iter().find(|file| file.path.ends_with("/prim.yaml")).unwrap();
        let again = manifest(&document(&yaml.content));
        assert_eq!(again.files, made.files, "{}", path.display());
    }
}

#[test]
fn files_fit_into_a_change() {
    let fits = Regex::new("^[A-Za-z0-9_.@-]+(/[A-Za-z0-9_.@-]+)*$").unwrap();
    for path in given().into_iter().chain(own()) {
        let read = load(&path).unwrap();
        let made = manifest(&read);
        assert!(made.files.is_sorted_by(|a, b| a.path < b.path));
        assert!(made.files.iter().map(|file| file.content.len()).sum::<usize>() < INLINE_BYTES, "{}", path.display());
        for file in &made.files {
            assert!(file.path.starts_with(&format!("packages/{}/", read.id)) && fits.is_match(&file.path), "{}", file.path);
            assert!(file.content.ends_with('\n') && !file.content.ends_with("\n\n"), "{}", file.path);
            let ends = ["/src/service.ts", "/src/provider.ts", "/test/service.test.ts"].iter().any(|end| file.path.ends_with(end));
            let seeded = ends || file.path.contains("/src/providers/");
            assert_eq!(file.kind == Kind::Seeded, seeded, "{}", file.path);
        }
    }
}

#[test]
fn patterns_take_what_is_plain_and_leave_the_rest() {
    for (name, expected) in [
        ("tests/scaffold/documents/notes.yaml", vec![("native", 9)]),
        ("tests/scaffold/documents/board.yaml", vec![("missing", 2), ("native", 7)]),
        ("tests/scaffold/documents/hostile.yaml", vec![("provider", 6)]),
        ("manifests/examples/primitive-suggest.yaml", vec![("native", 2)]),
        ("manifests/examples/primitive-lookup.yaml", vec![("provider", 2)]),
    ] {
        let made = manifest(&load(&super::root().join(name)).unwrap());
        let expected: BTreeMap<_, _> = expected.into_iter().map(|(backend, count)| (backend.to_owned(), count)).collect();
        assert_eq!(backends(&made), expected, "{name}");
        assert_eq!(made.unimplemented.len(), expected.get("missing").copied().unwrap_or_default());
    }
}

#[test]
fn a_document_says_what_is_anybodys_and_what_may_be_repeated() {
    let made = |name: &str| manifest(&load(&root().join(format!("tests/scaffold/documents/{name}.yaml"))).unwrap());
    let answered = |made: &Manifest| made.routes.iter().map(|r| format!("{} {}", r.operation, r.backend)).collect::<Vec<_>>();
    let file = |made: &Manifest, end: &str| made.files.iter().find(|file| file.path.ends_with(end)).unwrap().content.clone();
    let shelf = made("shelf");
    // Nobody but its owner changes what somebody paid for.
    let native = ["create_thing native", "list_things native", "get_thing native", "delete_thing native", "flag_thing missing"];
    assert_eq!(answered(&shelf), native);
    assert_eq!(file(&shelf, "service.ts").matches("anyone: true").count(), 2);
    assert_eq!(file(&shelf, "index.ts").matches("  repeats,\n").count(), 2);
    assert!(file(&shelf, "api.ts").contains("z.string().refine(...characters({ min: 1, max: 12 }))"));
    let queues = made("queues");
    let backends: Vec<_> = queues.routes.iter().map(|route| route.backend.as_str()).collect();
    assert_eq!(backends, ["native", "native", "native", "native", "missing", "native", "native"]);
    assert!(!file(&queues, "service.ts").contains("anyone"), "they are nobody's");
    assert!(queues.routes[0].answers.contains(&409) && queues.routes[0].example.is_none());
    // What is not done is not remembered either.
    assert!(queues.routes.iter().all(|route| !route.repeats || route.backend != "missing"));
}

#[test]
fn what_no_pattern_fits_says_why() {
    let reasons = |yaml: &str| manifest(&document(yaml)).unimplemented.into_iter().map(|route| route.reason).collect::<Vec<_>>().join("\n");
    let pair = |create: &str, read: &str| {
        format!("id: a\nroutes_map:\n- {{route: POST /v1/x, operation_id: create_x{create}}}\n- {{route: 'GET /v1/x/:id'{read}}}\n")
    };
    assert_eq!(reasons(&pair("", "")), "");
    assert!(reasons(&pair(", description: By an EIP-191 signature", "")).contains("signature"));
    assert!(reasons(&pair(", price: free", "")).contains("paid and some free"));
    assert!(reasons("id: a\nroutes_map: [{route: POST /v1/x, operation_id: create_x}]").contains("nothing in the document"));
    let free = format!("{}- {{route: 'DELETE /v1/x/:id'}}\n", pair("", "")).replace("id: a\n", "id: a\nfactory: {free_service: true}\n");
    assert!(reasons(&free).contains("told apart"));
}

#[test]
fn what_the_document_refuses_and_no_store_can_tell_is_not_done() {
    let unwritten = |create: &str, more: &str| {
        let routes = format!(
            "- {{route: POST /v1/x, request: New, response: X, operation_id: create_x{create}}}\n- {{route: 'GET /v1/x/:id', response: X, operation_id: get_x}}\n{more}"
        );
        let types = "New: {type: object, properties: {name: {type: string}, level: {type: integer}}}\n  X: {type: object, properties: {id: {type: string}, name: {type: string}, level: {type: integer}}}\n  Sum: {type: object, properties: {amount: {type: number}}}\n  Odd: {oneOf: [{type: string}, {type: integer}]}\n";
        let made = manifest(&document(&format!("id: a\nroutes_map:\n{routes}types:\n  {types}")));
        made.unimplemented.into_iter().map(|route| format!("{}: {}", route.route, route.reason)).collect::<Vec<_>>()
    };
    let error = |status: u16, code: &str| format!(", errors: [{{status: {status}, code: {code}, description: No.}}]");
    assert_eq!(unwritten("", ""), Vec::<String>::new());
    // A name that is taken, and a service that is away, are no rules of its own.
    for (status, code) in [(409, "name_unavailable"), (409, "conflict"), (503, "stock_unavailable"), (403, "forbidden")] {
        assert_eq!(unwritten(&error(status, code), ""), Vec::<String>::new(), "{code}");
    }
    for (status, code) in [(409, "overlaps"), (409, "seat_unavailable"), (422, "illegal_move"), (403, "insufficient_funds")] {
        let left = unwritten(&error(status, code), "");
        // What is made by nobody is read by nobody.
        assert_eq!(left.len(), 2, "{code}: {left:?}");
        assert!(left[0].contains(code), "{left:?}");
    }
    let bumped = format!("- {{route: 'POST /v1/x/:id/decrement', response: X, operation_id: decrement_x{}}}\n", error(409, "out_of_stock"));
    assert!(unwritten("", &bumped)[0].starts_with("POST /v1/x/:id/decrement: it answers 409 out_of_stock"));
    let drawn =
        |request: &str| format!("- {{route: 'POST /v1/x/:id/withdraw', request: {request}, response: X, operation_id: withdraw_x}}\n");
    assert!(unwritten("", &drawn("Sum"))[0].contains("takes a sum"), "a withdrawal is no status");
    // Nobody can keep what is no object, and so nobody reads it.
    let made = manifest(&document(
        "id: a\nroutes_map:\n- {route: POST /v1/x, request: Odd, operation_id: create_x}\n- {route: 'GET /v1/x', operation_id: list_x}\ntypes:\n  Odd: {oneOf: [{type: string}, {type: integer}]}\n",
    ));
    assert_eq!(made.unimplemented.len(), 2, "{:?}", made.unimplemented);
}

#[test]
fn what_is_counted_is_the_one_number_that_there_is() {
    let field = |properties: &str| {
        let text = format!(
            "id: a\nroutes_map:\n- {{route: 'PUT /v1/keys/:name', request: Key, response: Key, operation_id: put_key}}\n- {{route: 'GET /v1/keys/:name', response: Key, operation_id: get_key}}\n- {{route: 'POST /v1/keys/:name/increment', response: Key, operation_id: increment_key}}\ntypes:\n  Key: {{type: object, properties: {{name: {{type: string}}, {properties}}}}}\n"
        );
        let files = manifest(&document(&text)).files;
        let service = files.into_iter().find(|file| file.path.ends_with("/src/service.ts")).unwrap().content;
        service.split("step = { field: \"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default().to_owned()
    };
    assert_eq!(field("used: {type: integer}"), "used");
    assert_eq!(field("used: {type: integer}, count: {type: integer}"), "count");
    assert_eq!(field("used: {type: integer}, left: {type: integer}"), "value");
    assert_eq!(field("used: {type: integer}, ttl: {type: integer}"), "used");
}

#[test]
fn a_provider_is_called_where_it_is_active() {
    let with = |status: &str| {
        format!("id: a\nproviders: [{{name: some-vendor, env: [SOME_TOKEN], status: {status}}}]\nroutes_map: [{{route: GET /v1/x}}]")
    };
    let made = manifest(&document(&with("active")));
    assert_eq!(made.routes[0].backend, "provider");
    assert!(made.env.contains_key("SOME_TOKEN") && made.env.contains_key("SOME_VENDOR_BASE_URL"));
    assert!(made.routes[0].answers.contains(&502) && made.routes[0].answers.contains(&501));
    assert_eq!(manifest(&document(&with("planned"))).routes[0].backend, "missing");
}

#[test]
fn codes_are_taken_back_here_and_an_implied_vendor_is_told_from_a_declared_one() {
    let redeem = "id: a\nenv: [GATE_CODES, BANK_API_KEY]\nroutes_map:\n- {route: POST /v1/redeem, operation_id: redeem_code, price: free, errors: [{status: 502, code: failed}]}\n";
    let made = manifest(&document(redeem));
    assert_eq!((made.routes[0].backend.as_str(), made.routes[0].implied), ("native", false));
    assert!(!made.files.iter().any(|file| file.path.contains("provider")), "nobody else is asked");
    let send = "- {route: POST /v1/send, operation_id: send_money, errors: [{status: 502, code: failed}]}\n";
    let made = manifest(&document(&format!("{redeem}{send}")));
    let backends: Vec<_> = made.routes.iter().map(|route| (route.backend.as_str(), route.implied)).collect();
    assert_eq!(backends, [("native", false), ("provider", true)]);
    let declared = format!("{redeem}{send}providers: [{{name: bank, env: [BANK_API_KEY], status: active}}]\n");
    let made = manifest(&document(&declared));
    assert!(made.routes.iter().all(|route| route.backend == "provider" && !route.implied), "a document's own word counts");
}

#[test]
fn a_route_that_surely_succeeds_has_an_example() {
    let made = manifest(&load(&super::root().join("tests/scaffold/documents/notes.yaml")).unwrap());
    let create = made.routes.iter().find(|route| route.operation == "register_handle").unwrap();
    assert_eq!(create.answers, [201]);
    assert_eq!(create.example.as_ref().unwrap().body.as_ref().unwrap()["handle"], "test-handle");
    assert_eq!(made.keeps_data.as_deref(), Some("NOTES_DB_PATH"));
    assert_eq!(made.env["NOTES_DB_PATH"], ":memory:");
    let read = made.routes.iter().find(|route| route.operation == "get_note").unwrap();
    assert!(read.example.is_none() && read.answers.contains(&404));
}

#[test]
fn what_takes_no_body_hands_none_on_and_no_text_is_an_order() {
    let made = manifest(&load(&super::root().join("tests/scaffold/documents/leases.yaml")).unwrap());
    let file = |name: &str| &made.files.iter().find(|file| file.path.ends_with(name)).unwrap().content;
    let service = file("src/service.ts");
    assert!(service.contains(".renew(store.leaseItems, params[\"id\"], {}, scope)"), "{service}");
    assert!(service.contains("/** @ ts-expect-error */") && service.contains(" then_("), "{service}");
    for code in made.files.iter().filter(|file| file.path.ends_with(".ts")) {
        assert!(!code.content.contains(" then:") && !code.content.contains(" then("), "{}: {}", code.path, code.content);
        for comment in code.content.lines().filter(|line| line.trim_start().starts_with("/**")) {
            assert!(["@ts-", "@jsx", "biome-ignore"].iter().all(|order| !comment.contains(order)), "{}: {comment}", code.path);
        }
    }
}

/// Shapes that recur in documents of small services: all of them are the store's, but
/// for what would have to reach somebody outside.
#[test]
fn what_nothing_keeps_is_named_wherever_it_is_answered() {
    let text = std::fs::read_to_string(root().join("tests/scaffold/documents/links.yaml")).unwrap();
    let said = |text: &str, named: &str| -> Vec<String> {
        let made = manifest(&document(text));
        made.assumptions
            .iter()
            .filter(|a| a.text.contains(&format!("requires {named}, which nothing keeps")))
            .map(|a| a.path.clone())
            .collect()
    };
    let paths = |places: &[usize]| places.iter().map(|at| format!("routes_map[{at}].response")).collect::<Vec<_>>();
    // In what makes one, lists them and reads one.
    assert_eq!(said(&text, "clicks, short_url"), paths(&[0, 1, 2]));
    assert_eq!(said(&text, "visits"), paths(&[3, 4]));
    // What is counted begins at nothing, unless no route counts.
    assert_eq!(said(&text, "count"), Vec::<String>::new());
    assert!(said(&text.replace("/increment", "/rename"), "count").starts_with(&paths(&[5, 6])));
    // Whoever may send anything may leave it out.
    assert_eq!(said(&text.replace("request: NewLink", "request: json"), "url, clicks, short_url"), paths(&[0, 1, 2]));
}

#[test]
fn what_small_services_have_is_kept_here() {
    let routes = |lines: &[(&str, &str)]| {
        let entry = |(route, operation): &(&str, &str)| {
            let body = if route.starts_with("GET") || route.starts_with("DELETE") { "" } else { ", request: json" };
            format!("- {{route: '{route}', operation_id: {operation}{body}, response: json}}\n")
        };
        format!("id: a\nroutes_map:\n{}", lines.iter().map(entry).collect::<String>())
    };
    let missing = |lines: &[(&str, &str)]| {
        manifest(&document(&routes(lines))).unimplemented.into_iter().map(|route| route.operation).collect::<Vec<_>>()
    };
    assert!(manifest(&load(&root().join("tests/scaffold/documents/desk.yaml")).unwrap()).unimplemented.is_empty());
    let queue = [
        ("POST /v1/queues/:name/messages", "enqueue_message"),
        ("POST /v1/queues/:name/pop", "pop_message"),
        ("POST /v1/queues/:name/purge", "purge_queue"),
    ];
    assert!(missing(&queue).is_empty());
    let cache = [
        ("PUT /v1/cache/:space/:key", "put_entry"),
        ("GET /v1/cache/:space/:key", "get_entry"),
        ("GET /v1/cache/:space", "list_entries"),
        ("DELETE /v1/cache/:space", "flush_entries"),
    ];
    assert!(missing(&cache).is_empty());
    let locks = [("PUT /v1/locks/:name", "acquire_lock"), ("DELETE /v1/locks/:name", "release_lock")];
    assert!(missing(&locks).is_empty());
    let domains = [
        ("POST /v1/domains", "register_domain"),
        ("GET /v1/domains/:id", "get_domain"),
        ("PUT /v1/domains/:id/nameservers", "set_nameservers"),
        ("POST /v1/domains/:id/renew", "renew_domain"),
        ("POST /v1/domains/:id/verify", "verify_domain"),
    ];
    assert_eq!(missing(&domains), ["verify_domain"]);
    // A mail that nobody sends is not sent by being kept.
    let mail = [("POST /v1/mails", "send_mail"), ("GET /v1/mails", "list_mails")];
    assert_eq!(missing(&mail), ["send_mail", "list_mails"]);
    let vectors =
        "- {route: POST /v1/notes/search, operation_id: search_notes, request: json, response: json, description: Semantic search}\n";
    let notes = routes(&[("POST /v1/notes", "create_note"), ("GET /v1/notes", "list_notes")]);
    assert_eq!(manifest(&document(&format!("{notes}{vectors}"))).unimplemented[0].operation, "search_notes");
}

#[test]
fn what_every_service_answers_by_itself_is_no_documents_route() {
    let made = |paths: &[&str]| {
        let routes = paths.iter().map(|path| format!("- {{route: 'GET {path}'}}\n")).collect::<String>();
        manifest(&document(&format!("id: a\nroutes_map:\n{routes}")))
    };
    let rest = made(&["/:rest*"]).assumptions.into_iter().map(|a| a.text).collect::<String>();
    assert!(rest.contains("does not answer /pricing and /llms.txt and /v1/metrics"), "{rest}");
    let made = made(&["/v1/x", "/pricing", "/v1/metrics", "/:slug"]);
    let paths: Vec<_> = made.routes.iter().map(|route| route.path.as_str()).collect();
    assert_eq!(paths, ["/v1/x", "/:slug"]);
    let said =
        |path: &str| made.assumptions.iter().filter(|a| a.path.starts_with(path)).map(|a| a.text.as_str()).collect::<Vec<_>>().join("\n");
    assert!(said("routes_map[1].route").contains("/pricing is every service's own"), "{}", said("routes_map[1]"));
    assert!(said("routes_map[2].route").contains("/v1/metrics is every service's own"));
    assert!(said("routes_map[3]").contains("does not answer /pricing and /llms.txt"));
    let findings = flywheel::prim::check_text(
        "id: a\ndescription: b\nroutes_map:\n- {route: GET /llms.txt, operation_id: b, status: 200, description: c, response: json, price: free}\n",
    )
    .findings;
    assert!(findings.iter().any(|finding| finding.code.as_str() == "route-reserved"), "{findings:?}");
}

#[test]
fn a_text_whose_pattern_takes_the_square_of_its_length_is_bounded() {
    let made = |schema: &str| {
        let read = document(&format!(
            "id: contacts\nname: contacts.sh\ndescription: Keep contacts.\nroutes_map:\n  - {{route: POST /v1/contacts, request: Contact, response: Contact, operation_id: create_contact, description: Keep one.}}\ntypes:\n  Contact: {{type: object, properties: {{address: {schema}}}}}\n"
        ));
        let files = manifest(&read).files;
        files.into_iter().find(|file| file.path.ends_with("/src/api.ts")).expect("types have a file").content
    };
    for (schema, bound) in [
        (r"{type: string, pattern: '^[^@]+@[^@]+\.[^@]+$'}", Some("characters({ max: 4096 })")),
        (r"{type: string, minLength: 6, pattern: '^[^@]+@[^@]+\.[^@]+$'}", Some("characters({ min: 6, max: 4096 })")),
        (r"{type: string, maxLength: 320, pattern: '^[^@]+@[^@]+\.[^@]+$'}", Some("characters({ max: 320 })")),
        ("{type: string, pattern: '^[a-z]+$'}", None),
    ] {
        let code = made(schema);
        assert_eq!(bound.is_some(), code.contains("characters("), "{schema}: {code}");
        assert!(bound.is_none_or(|bound| code.find(bound) < code.find("RegExp") && code.contains(bound)), "{schema}: {code}");
    }
}
