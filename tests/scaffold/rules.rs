//! Rules that hold on every way in: what one route declares of items holds for whatever
//! else makes or changes them.

use flywheel::scaffold::Manifest;

use super::{document, manifest};

/// A package of these routes, with books that have a number which no two have alike.
fn package(routes: &str) -> Manifest {
    manifest(&document(&format!(
        "id: a\ndescription: b\npricing: [{{op: All, price: $0.01}}]\ntypes:\n  \
         Book: {{type: object, properties: {{isbn: {{type: string}}, title: {{type: string}}}}, required: [isbn]}}\n  \
         Title: {{type: object, properties: {{title: {{type: string}}}}}}\n  \
         Rules: {{type: object, properties: {{most: {{type: integer}}}}, required: [most]}}\n  \
         Open: {{type: object, properties: {{most: {{type: integer, default: 3}}}}, required: [most]}}\n\
         routes_map:\n{routes}"
    )))
}

/// The handler of an operation, as it is written.
fn handler(made: &Manifest, name: &str) -> String {
    let service = &made.files.iter().find(|file| file.path.ends_with("/src/service.ts")).unwrap().content;
    let (_, from) = service.split_once(&format!("\n  {name}(")).unwrap_or_else(|| panic!("{name}: {service}"));
    from.split_once("\n  }").unwrap().0.to_owned()
}

const TAKEN: &str = "errors: [{status: 409, code: isbn_taken, description: d}]";

#[test]
fn a_field_that_one_route_says_to_be_taken_is_so_for_all_that_set_it() {
    let route = |route: &str, operation: &str, request: &str, more: &str| {
        format!("  - {{route: '{route}', operation_id: {operation}, request: {request}, response: json, description: d, {more}}}\n")
    };
    let read = "  - {route: 'GET /v1/books/:id', operation_id: get_book, response: json, description: d}\n";
    let made = package(
        &[
            &route("POST /v1/books", "create_book", "Book", TAKEN),
            read,
            &route("PATCH /v1/books/:id", "patch_book", "json", ""),
            &route("PUT /v1/books/:id", "replace_book", "Book", "errors: [{status: 409, code: isbn_in_use, description: d}]"),
            &route("POST /v1/books/batch", "create_books", "json", ""),
            &route("PATCH /v1/books/:id/title", "set_book_title", "Title", ""),
        ]
        .concat(),
    );
    for (name, code) in
        [("createBook", "isbn_taken"), ("patchBook", "isbn_taken"), ("replaceBook", "isbn_in_use"), ("createBooks", "isbn_taken")]
    {
        let handler = handler(&made, name);
        assert!(handler.contains(&format!("isbn: [409, \"{code}\"]")), "{name}: {handler}");
    }
    // What can't be set there can't be taken there.
    assert!(!handler(&made, "setBookTitle").contains("isbn"), "{}", handler(&made, "setBookTitle"));
    let fresh = |operation: &str| made.routes.iter().find(|route| route.operation == operation).unwrap().fresh.clone();
    assert_eq!((fresh("patch_book"), fresh("create_book")), (vec!["isbn".to_owned()], vec!["isbn".to_owned()]));
    // A PUT that makes them itself holds it as well.
    let put = [route("PUT /v1/books/:name", "put_book", "Book", TAKEN), read.replace(":id", ":name")].concat();
    assert!(handler(&package(&put), "putBook").contains("isbn: [409, \"isbn_taken\"]"));
}

#[test]
fn what_was_never_set_is_no_answer_that_lacks_what_its_type_requires() {
    let rules = |read: &str, more: &str| {
        package(&format!(
            "  - {{route: PUT /v1/policy, operation_id: set_policy, request: json, response: json, description: d}}\n  \
             - {{route: GET /v1/policy, operation_id: get_policy, response: {read}, description: d{more}}}\n"
        ))
    };
    let declared = rules("Rules", ", errors: [{status: 404, code: no_policy, description: d}]");
    let written = handler(&declared, "getPolicy");
    assert!(written.contains(".requirePart(") && written.contains("missing: [404, \"no_policy\"]"), "{written}");
    let route = |made: &Manifest| made.routes.iter().find(|route| route.operation == "get_policy").unwrap().clone();
    assert!(route(&declared).answers.contains(&404) && route(&declared).example.is_none(), "{:?}", route(&declared));
    assert!(handler(&rules("Rules", ""), "getPolicy").contains(".requirePart("));
    // What its type says by itself is an answer.
    for read in ["Open", "json"] {
        let made = rules(read, "");
        assert!(handler(&made, "getPolicy").contains(".part("), "{read}: {}", handler(&made, "getPolicy"));
        assert_eq!(route(&made).answers, [200], "{read}");
    }
}
