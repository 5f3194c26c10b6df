//! Documents at random: whatever a text holds, reading ends, writing loses
//! nothing, and no text changes where code begins and ends.

use flywheel::prim;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{CODE, manifest};

/// Texts that would like to be something else.
fn text() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(
        [
            &CODE[..],
            &[
                "${",
                "\n",
                "\r\n",
                "\u{2028}",
                "\u{202e}",
                " ",
                "@ts-ignore",
                "@ts-expect-error",
                "@jsx x",
                "biome-ignore lint: x",
                "/// <reference />",
            ][..],
        ]
        .concat(),
    );
    prop::collection::vec(prop_oneof![nasty.prop_map(str::to_owned), "[a-zA-Z0-9 ]{1,20}"], 0..8).prop_map(|parts| parts.concat())
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        text().prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,12}", inner, 0..5)
                .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

fn with(texts: &[String]) -> Value {
    let t = |i: usize| texts[i].as_str();
    json!({
        "id": "random", "name": t(0), "description": t(1), "ownership": t(2), "unknown": t(3),
        "quick_start": [format!("- {}", t(4)), format!("POST /v1/x {{\"a\": {:?}}}", t(5))], "limits": [format!("- {}", t(6))],
        "routes_map": [
            {"route": "POST /v1/x", "operation_id": t(7), "description": t(0), "request": t(1), "response": "R", "errors": [{"status": 409, "code": "c", "description": t(2)}]},
            {"route": "GET /v1/x/:name", "operation_id": "create_x", "description": t(3), "notes": t(4),
             "query_params": [{"name": "q", "type": "string", "description": t(5)}]},
        ],
    })
}

/// What is left of code without what its strings and comments say.
fn skeleton(code: &str) -> String {
    let mut rest = code;
    let mut out = String::new();
    while let Some(c) = rest.chars().next() {
        let skip = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").expect("a comment ends") + 2,
            '"' | '\'' => {
                let mut escaped = false;
                let end = rest.char_indices().skip(1).find(|(_, x)| {
                    assert!(*x != '\n', "a string ends on its line: {code}");
                    let end = *x == c && !escaped;
                    escaped = *x == '\\' && !escaped;
                    end
                });
                // Its place stays, or a comma behind it would be any comma.
                out.push('_');
                end.expect("a string ends").0 + 1
            }
            _ => {
                if !c.is_whitespace() {
                    out.push(c);
                }
                c.len_utf8()
            }
        };
        rest = &rest[skip..];
    }
    // A list that is too wide for its line has a comma after its last item.
    out.replace(",]", "]")
}

proptest! {
    #[test]
    fn reading_ends_whatever_is_read(value in any_value(), yaml in text()) {
        let _ = prim::read(&yaml);
        let mut value = value;
        if let Value::Object(map) = &mut value {
            map.insert("id".into(), "random".into());
        }
        if let Ok(document) = prim::from_value(value) {
            let again = prim::read(&document.to_yaml()).unwrap();
            prop_assert_eq!(again.given(), document.given());
            prop_assert_eq!(again.hash(), document.hash());
        }
    }

    #[test]
    fn texts_stay_texts(texts in prop::collection::vec(text(), 8)) {
        let document = prim::from_value(with(&texts)).unwrap();
        let made = manifest(&document);
        prop_assert_eq!(prim::read(&document.to_yaml()).unwrap().hash(), document.hash());
        let mut plain = with(&vec!["x".to_owned(); 8]);
        // Names of handlers and the forms of bodies come from texts; these are held to the same.
        plain["routes_map"][0]["operation_id"] = texts[7].as_str().into();
        plain["routes_map"][0]["request"] = texts[1].as_str().into();
        let plain = manifest(&prim::from_value(plain).unwrap());
        for (file, same) in made.files.iter().zip(&plain.files).filter(|(file, _)| file.path.ends_with("/index.ts")) {
            prop_assert_eq!(skeleton(&file.content), skeleton(&same.content));
        }
        for file in made.files.iter().filter(|file| file.path.ends_with(".ts")) {
            let code = skeleton(&file.content);
            for (open, close) in [('{', '}'), ('(', ')'), ('[', ']')] {
                prop_assert_eq!(code.matches(open).count(), code.matches(close).count(), "{}: {}", &file.path, &file.content);
            }
        }
    }
}
