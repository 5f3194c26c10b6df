//! Texts that want to cost time, memory or the reader's patience: each comes to
//! one short error, soon.

use std::{fmt::Write, time::Instant};

use flywheel::prim;

/// The one thing that is said of a text, by both ways in.
fn said(text: &str) -> String {
    let begun = Instant::now();
    let findings = prim::check_text(text).findings;
    let problems = prim::read(text).unwrap_err();
    // Generous: a build that isn't optimised on a machine that is busy.
    assert!(begun.elapsed().as_secs() < 20, "took {:?}", begun.elapsed());
    let all: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    assert!(all.len() < 300_000 && findings.iter().all(|finding| finding.to_string().len() < 1_000), "{} bytes are said", all.len());
    assert!(problems.iter().all(|problem| problem.to_string().len() < 1_000));
    all
}

fn one(text: &str, code: &str) {
    let all = said(text);
    assert!(all.lines().count() == 1 && all.contains(code), "{all}");
}

#[test]
fn bombs_do_not_go_off() {
    let mut laughs = String::from("a: &a [x, x, x, x, x, x, x, x, x]\n");
    for (outer, inner) in ('b'..='i').zip('a'..='h') {
        let _ = writeln!(laughs, "{outer}: &{outer} [{}]", vec![format!("*{inner}"); 9].join(", "));
    }
    one(&laughs, "not-yaml");
    let merges: String = (1..200).map(|i| format!("k{i}: &k{i} {{<<: *k{}, a{i}: 1}}\n", i - 1)).collect();
    one(&format!("k0: &k0 {{a: 1}}\n{merges}"), "not-yaml");
    one("a: &a [*a]\n", "not-yaml");
    one("a: *nothing\n", "not-yaml");
}

#[test]
fn depth_and_size_have_limits() {
    for deep in ["[".repeat(100_000), format!("{}1{}", "[".repeat(1000), "]".repeat(1000)), "{a: ".repeat(5000), "- ".repeat(5000)] {
        one(&deep, "not-yaml");
    }
    one(&format!("id: a\nnote: {}\n", "x".repeat(1024 * 1024)), "too-large");
    let just = format!("id: a\ndescription: A\nroutes_map: []\nnote: {}\n", "x".repeat(1024 * 1024 - 60));
    assert_eq!(super::findings(&just)[0].1, "out-of-range", "1 MiB is read");
    // As a value, which no YAML came before.
    let mut deep = serde_json::json!(1);
    for _ in 0..100 {
        deep = serde_json::json!([deep]);
    }
    let problems = prim::from_value(serde_json::json!({"id": "a", "x": deep})).unwrap_err();
    assert!(problems.len() == 1 && problems[0].text.contains("levels"), "{problems:?}");
}

#[test]
fn lists_without_end_are_refused_and_not_gone_through() {
    let routes = "- {route: GET /v1/x}\n".repeat(12_000);
    said(&format!("id: a\ndescription: A\nroutes_map:\n{routes}"));
    said(&format!("id: a\nenv: [{}]\n", vec!["A"; 40_000].join(",")));
    // Each entry is wrong in several ways.
    let all = said(&format!("id: a\nroutes_map: [{}]\n", vec!["{errors: [{}, {}], a: 1, b: 2}"; 480].join(",")));
    assert_eq!(all.lines().count(), 1000);
    assert!(all.contains("more problems than the 999"), "the list says that it is not all");
    let keys: String = (0..20_000).map(|i| format!("k{i}: 1\n")).collect();
    let findings = prim::check_text(&format!("id: a\n{keys}")).findings;
    assert!(findings.len() <= 1000);
}

#[test]
fn texts_that_are_no_documents_say_why() {
    one("id: a\nid: b\n", "not-yaml");
    one("id: a\nroutes_map:\n- {route: GET /a, route: GET /b}\n", "not-yaml");
    one("id: a\0b\n", "control-character");
    one("id: a\nnote: \"\\0\"\n", "control-character");
    one("id: a\n---\nid: b\n", "not-yaml");
    one("? [a, b]\n: c\n", "not-yaml");
    one("a: !!binary x\n b: [", "not-yaml");
    one("\u{1}: a", "not-yaml");
    one("", "wrong-type");
    one("just a text", "wrong-type");
    one("[]", "wrong-type");
    // Keys that are numbers are texts, and no keys of the format.
    let all = said("1: a\ntrue: b\nnull: c\n2.5: d\n");
    assert!(all.contains("unknown-key") || all.contains("not-yaml"), "{all}");
    // A name as long as a book is not repeated in full.
    assert!(said(&format!("id: {}\nstatus: {}\n{}: 1\n", "x".repeat(90_000), "y".repeat(90_000), "z".repeat(900))).len() < 3_000);
}

#[test]
fn the_place_of_a_nul_is_told() {
    assert_eq!(super::findings("id: a\nnote: é\0\n"), [(Some((2, 8)), "control-character", String::new())]);
}

#[test]
fn types_that_multiply_are_refused_at_once() {
    // Each holds the next twice: to tell that the first takes nothing, all would be tried.
    for (open, close) in [("{\"anyOf\": [", "]}"), ("{\"oneOf\": [", "]}"), ("{\"type\": \"array\", \"items\": {\"anyOf\": [", "]}}")] {
        let next = |i: usize| format!("{{\"$ref\": \"#/types/T{}\"}}", i + 1);
        let types: Vec<_> = (0..60).map(|i| format!("\"T{i}\": {open}{n},{n}{close}", n = next(i))).collect();
        let text = format!(
            "{{\"id\": \"a\", \"description\": \"b\", \"routes_map\": [], \"types\": {{{}, \"T60\": {{\"type\": \"string\"}}, \"Top\": {{\"$ref\": \"#/types/T0\", \"default\": 1}}}}}}",
            types.join(", ")
        );
        let problems = flywheel::prim::read(&text).unwrap_err();
        assert!(problems[0].text.contains("too big once its references are followed"), "{problems:?}");
    }
}

#[test]
fn values_of_types_are_looked_at_within_bounds() {
    let fields: Vec<_> = (0..400).map(|i| format!("\"f{i}\": {{\"type\": \"string\"}}")).collect();
    let types: Vec<_> = (0..400).map(|i| format!("\"T{i}\": {{\"$ref\": \"#/types/Big\", \"default\": {{}}}}")).collect();
    let big = format!("\"Big\": {{\"type\": \"object\", \"properties\": {{{}}}}}", fields.join(", "));
    let text = format!("{{\"id\": \"a\", \"description\": \"b\", \"routes_map\": [], \"types\": {{{big}, {}}}}}", types.join(", "));
    let problems = flywheel::prim::read(&text).unwrap_err();
    assert!(problems[0].text.contains("than are looked at"), "{problems:?}");
}
