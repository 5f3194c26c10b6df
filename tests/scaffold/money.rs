//! What a route costs. Whatever is not plainly free is paid.

use super::{document, given, load, manifest};

fn prices(yaml: &str) -> Vec<String> {
    manifest(&document(yaml)).routes.into_iter().map(|route| route.price).collect()
}

fn with(head: &str) -> String {
    format!(
        "id: a\n{head}routes_map:\n- {{route: GET /x, notes: Free., errors: []}}\n- {{route: GET /y, price: $0.5}}\n- {{route: GET /z, price: free}}\n"
    )
}

#[test]
fn a_route_has_its_own_price_or_the_document_is_free_or_it_costs_the_default() {
    for (head, first) in [
        ("", "$0.01"),
        ("factory: {free_service: true}\n", "free"),
        ("factory: {free_service: false}\n", "$0.01"),
        ("pricing: [{op: a, price: free}]\n", "free"),
        ("pricing: [{op: a, price: free}, {op: b, price: $1}]\n", "$0.01"),
        ("pricing: [{op: a}]\n", "$0.01"),
        // Where two statements differ, the one that charges holds.
        ("factory: {free_service: true}\npricing: [{op: a, price: $0.001}]\n", "$0.01"),
        ("factory: {free_service: false}\npricing: [{op: a, price: free}]\n", "$0.01"),
        // Rows name no route, so none is taken from them.
        ("pricing: [{op: a, price: $0.001}]\n", "$0.01"),
    ] {
        assert_eq!(prices(&with(head)), [first, "$0.5", "free"], "{head}");
    }
}

#[test]
fn the_default_is_named_among_the_assumptions() {
    let made = manifest(&document(&with("")));
    assert!(made.assumptions.iter().any(|a| a.text.contains("1 of 3 routes") && a.text.contains("$0.01")), "{:?}", made.assumptions);
    let free = manifest(&document(&with("factory: {free_service: true}\n")));
    assert!(!free.assumptions.iter().any(|a| a.text.contains("$0.01")));
}

#[test]
fn of_the_documents_in_use_the_free_are_free_and_all_else_is_paid() {
    for path in given() {
        let read = load(&path).unwrap();
        let free = ["create", "faucet", "feedback", "gate"].contains(&read.id.as_str());
        for route in manifest(&read).routes {
            assert_eq!(route.micros.is_none(), free, "{}: {} {}", read.id, route.method, route.path);
        }
    }
}
