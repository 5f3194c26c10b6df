//! What a reader finds plain is the store's, and what is more than that stays with people:
//! shapes that recur in documents of small services, and `http/works.test.ts`, which asks
//! one of them.

use super::{document, load, manifest, root, workspace::Workspace};

/// Operations of a paid service that answer 501.
fn missing(lines: &[(&str, &str)]) -> Vec<String> {
    let entry = |(route, operation): &(&str, &str)| {
        let (status, response) = if operation.starts_with("follow") { (302, "null") } else { (200, "json") };
        let request = if route.starts_with("GET") || route.starts_with("DELETE") { "" } else { ", request: json" };
        format!("- {{route: '{route}', operation_id: {operation}, status: {status}{request}, response: {response}}}\n")
    };
    let text = format!("id: a\nroutes_map:\n{}", lines.iter().map(entry).collect::<String>());
    manifest(&document(&text)).unimplemented.into_iter().map(|route| route.operation).collect()
}

#[test]
fn what_is_plain_is_kept_whatever_the_word_for_it() {
    for (create, path, list) in [
        ("queue_job", "jobs", "list_jobs"),
        ("shorten_url", "links", "list_links"),
        ("check_in", "checkins", "list_checkins"),
        ("sign_up_user", "users", "get_users"),
        ("place_order", "orders", "list_orders"),
        ("reply_to_ticket", "replies", "list_replies"),
        ("bid_on_lot", "bids", "get_bids"),
    ] {
        let routes = [(format!("POST /v1/{path}"), create), (format!("GET /v1/{path}"), list)];
        let routes = routes.each_ref().map(|(route, operation)| (route.as_str(), *operation));
        assert_eq!(missing(&routes), Vec::<String>::new(), "{create}");
    }
    // What is published to a topic leaves the topic as it is; a post is published itself.
    let made = |noun: &str| {
        let [post, get, publish] = [format!("POST /v1/{noun}"), format!("GET /v1/{noun}/:id"), format!("POST /v1/{noun}/:id/publish")];
        missing(&[(&post, "create"), (&get, "get_one"), (&publish, "publish")])
    };
    assert_eq!((made("topics"), made("posts")), (vec!["publish".to_owned()], vec![]));
    let boards = "id: a\nroutes_map:
- {route: POST /v1/boards, operation_id: create_board, status: 201, request: json, response: json}
- {route: 'GET /v1/boards/:id', operation_id: get_board, status: 200, response: json}
- {route: 'POST /v1/boards/:id/publish', operation_id: publish_board, status: 200, request: null, response: json}
";
    assert_eq!(manifest(&document(boards)).unimplemented, [], "nothing is sent with it: it is the board that is published");
    // A word that does something elsewhere makes nothing by standing in a path too.
    for operation in ["search", "chat", "run", "charge", "deploy"] {
        let (post, get) = (format!("POST /v1/{operation}"), format!("GET /v1/{operation}"));
        assert_eq!(missing(&[(&post, operation), (&get, &format!("get_{operation}"))]).len(), 2, "{operation}");
    }
}

#[test]
fn what_is_put_back_was_taken_and_what_is_claimed_waits() {
    let queue = [("POST /v1/tasks", "create_task"), ("GET /v1/tasks", "list_tasks"), ("POST /v1/tasks/:id/retry", "retry_task")];
    // Nobody takes one here, so that it is tried elsewhere.
    assert_eq!(missing(&queue), ["retry_task"]);
    assert!(missing(&[&queue[..], &[("POST /v1/tasks/claim", "claim_task")]].concat()).is_empty());
    let prizes = [("POST /v1/prizes", "create_prize"), ("GET /v1/prizes", "list_prizes"), ("POST /v1/prizes/claim", "claim_prize")];
    assert_eq!(missing(&prizes), ["claim_prize"]);
    let status = "types:\n  Task: {type: object, properties: {id: {type: string}, status: {type: string, enum: [open, shut]}}}\nroutes_map:\n- {route: POST /v1/tasks, operation_id: create_task, response: Task}\n- {route: GET /v1/tasks, operation_id: list_tasks}\n- {route: POST /v1/tasks/claim, operation_id: claim_task, request: null, response: Task}\n";
    let made = manifest(&document(&format!("id: a\n{status}")));
    assert!(made.unimplemented[0].reason.contains("no status of its type says"), "{:?}", made.unimplemented);
}

#[test]
fn only_what_leads_somewhere_is_followed() {
    let link = [("POST /v1/links", "create_link"), ("GET /:slug", "follow_link")];
    assert!(missing(&link).is_empty());
    assert!(
        missing(&[("POST /v1/shorten", "shorten"), ("GET /v1/links/:slug/go", "follow_link"), ("GET /v1/links/:slug", "get_link")])
            .is_empty()
    );
    // Of a note nobody knows where it leads.
    assert_eq!(
        missing(&[("POST /v1/notes", "create_note"), ("GET /v1/notes", "list_notes"), ("GET /n/:id", "follow_note")]),
        ["follow_note"]
    );
    let typed = "id: a\ntypes:\n  New: {type: object, properties: {name: {type: string}}}\nroutes_map:\n- {route: POST /v1/links, operation_id: create_link, request: New}\n- {route: 'GET /:slug', operation_id: follow, status: 302}\n";
    let made = manifest(&document(typed));
    assert!(made.unimplemented.iter().any(|route| route.reason.contains("where it leads")), "{:?}", made.unimplemented);
}

#[test]
fn a_change_says_what_it_takes() {
    let made = manifest(&load(&root().join("tests/scaffold/documents/works.yaml")).unwrap());
    let route = |operation: &str| made.routes.iter().find(|route| route.operation == operation).unwrap();
    let body = route("update_job").body.as_ref().unwrap();
    assert_eq!(body["properties"]["payload"]["minLength"], 1, "{body}");
    assert_eq!(body["properties"]["result"]["type"], "string", "{body}");
    assert_eq!((&body["additionalProperties"], &body["required"]), (&false.into(), &serde_json::Value::Null), "{body}");
    assert_eq!(route("raise_sign").body.as_ref().unwrap()["required"], serde_json::json!(["text"]));
    // What is there before it is asked for answers as declared, and no test takes a 404 for it.
    let tests = &made.files.iter().find(|file| file.path.ends_with("unit.test.ts")).unwrap().content;
    for path in ["/v1/jobs/{0}", "/v1/jobs/{0}/complete", "/v1/rooms/{0}/bookings", "/v1/bookings/{1}/notes", "/r/{0}"] {
        assert!(tests.contains(&format!("path: \"{path}\",")), "{path}: {tests}");
    }
}

#[test]
fn services_of_these_shapes_do_what_their_documents_say() {
    let Some(workspace) = Workspace::new("works") else { return };
    workspace.add(&manifest(&load(&root().join("tests/scaffold/documents/works.yaml")).unwrap()));
    let (passed, text) = workspace.bun(&["test", "packages", "http/works"]);
    assert!(passed, "{text}");
}
