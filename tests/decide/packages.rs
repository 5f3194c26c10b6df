//! What becomes of each package of the base branch.

use std::collections::BTreeMap;

use flywheel::{
    api::conditions::{ConditionType, Reason, Truth},
    decide::{
        Action, Manifest,
        factory::{AT_ONCE, PackagesSeen, Part, decide},
    },
};
use serde_json::{Value, json};

use super::{at, factory, good, said};
use crate::world::forge::sha;

/// One package without a Primitive, and its document.
pub fn package(id: &str, document: Value) -> PackagesSeen {
    PackagesSeen {
        trees: BTreeMap::from([(id.into(), sha(1))]),
        documents: BTreeMap::from([(id.into(), Ok(document))]),
        ..PackagesSeen::default()
    }
}

fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Ids of the Primitives that are made.
fn made(actions: &[Action]) -> Vec<&str> {
    actions.iter().filter_map(|a| if let Action::Adopt(Manifest(m)) = a { m["metadata"]["name"].as_str() } else { None }).collect()
}

#[test]
fn a_primitive_is_made_of_the_document_as_it_is() {
    let mut seen = good();
    let document = json!({ "id": "search", "hero_badges": ["**Free**"], "deep": { "er": [1, { "x": null }] } });
    seen.packages = Part::Seen(package("search", document.clone()));
    let decision = decide(&seen, at(0));
    let object = json!({
        "apiVersion": "flywheel.prim.sh/v1alpha1",
        "kind": "Primitive",
        "metadata": { "name": "search", "namespace": "flywheel" },
        "spec": { "factoryRef": { "name": "prim" }, "document": document },
    });
    assert_eq!(decision.actions, [Action::Adopt(Manifest(object))]);
    assert_eq!(decision.status.packages, Some(1));
}

/// What was seen of one package, and what is made, dropped and said.
struct Row {
    what: &'static str,
    seen: PackagesSeen,
    made: &'static [&'static str],
    dropped: &'static [&'static str],
    retained: &'static [&'static str],
    says: (Truth, Reason, &'static str),
}

fn rows() -> Vec<Row> {
    use Truth::{False, True};
    let search = || package("search", json!({ "id": "search" }));
    let all = (True, Reason::Verified, "every package of main has its Primitive");
    let making = (False, Reason::Waiting, "Primitives are made for search");
    let row = |what, seen, made, says| Row { what, seen, made, dropped: &[], retained: &[], says };
    vec![
        row("none", PackagesSeen::default(), &[], all),
        row("it has one", PackagesSeen { primitives: texts(&[("search", "prim")]), ..search() }, &[], all),
        row("it has none", search(), &["search"], making),
        row(
            "its name is another Factory's",
            PackagesSeen { primitives: texts(&[("search", "other")]), ..search() },
            &[],
            (False, Reason::Invalid, "packages/search: the Primitive search of this namespace is Factory other's"),
        ),
        Row {
            retained: &["search"],
            ..row(
                "it was retained as it is",
                PackagesSeen { retained: texts(&[("search", sha(1).as_str())]), ..search() },
                &[],
                (True, Reason::Verified, "but those that were retained: search"),
            )
        },
        Row {
            dropped: &["search"],
            ..row(
                "it was retained and changed since",
                PackagesSeen { retained: texts(&[("search", sha(2).as_str())]), ..search() },
                &["search"],
                making,
            )
        },
        Row {
            dropped: &["gone"],
            ..row(
                "what was retained is gone",
                PackagesSeen { retained: texts(&[("gone", sha(2).as_str())]), ..PackagesSeen::default() },
                &[],
                all,
            )
        },
        Row {
            retained: &["search"],
            ..row(
                "it was retained, and somebody made it again",
                PackagesSeen { retained: texts(&[("search", sha(1).as_str())]), primitives: texts(&[("search", "prim")]), ..search() },
                &[],
                all,
            )
        },
        row(
            "its directory is no id",
            package("Search", json!({ "id": "Search" })),
            &[],
            (False, Reason::Invalid, "packages/Search: \"Search\" is not a primitive's id"),
        ),
        row(
            "its id is reserved",
            package("www", json!({ "id": "www" })),
            &[],
            (False, Reason::Invalid, "packages/www: \"www\" is not a primitive's id"),
        ),
        row(
            "its document has another id",
            package("search", json!({ "id": "find" })),
            &[],
            (False, Reason::Invalid, "packages/search: prim.yaml has the id \"find\": it must be the directory's name"),
        ),
        row("its document's id is no text", package("search", json!({ "id": 7 })), &[], (False, Reason::Invalid, "prim.yaml has the id 7")),
        row("its document has no id", package("search", json!({})), &[], (False, Reason::Invalid, "prim.yaml has no id")),
        row("its document is no mapping", package("search", json!(["id"])), &[], (False, Reason::Invalid, "prim.yaml has no id")),
        row(
            "its document is no YAML",
            PackagesSeen { documents: BTreeMap::from([("search".into(), Err("is not YAML: line 3".into()))]), ..search() },
            &[],
            (False, Reason::Invalid, "packages/search: prim.yaml is not YAML: line 3"),
        ),
        row(
            "one of two is wrong",
            PackagesSeen {
                trees: BTreeMap::from([("a".into(), sha(1)), ("b".into(), sha(2))]),
                documents: BTreeMap::from([("a".into(), Ok(json!({ "id": "b" }))), ("b".into(), Ok(json!({ "id": "b" })))]),
                ..PackagesSeen::default()
            },
            &["b"],
            (False, Reason::Invalid, "packages/a: "),
        ),
    ]
}

#[test]
fn each_package_gets_what_it_should() {
    for row in rows() {
        let mut seen = good();
        seen.packages = Part::Seen(row.seen);
        let decision = decide(&seen, at(0));
        assert_eq!(made(&decision.actions), row.made, "{}", row.what);
        let dropped = decision
            .actions
            .iter()
            .find_map(|action| if let Action::DropRetained { factory, ids } = action { Some((factory, ids)) } else { None });
        assert_eq!(dropped.map(|(_, ids)| ids.as_slice()).unwrap_or_default(), row.dropped, "{}", row.what);
        assert!(dropped.is_none_or(|(of, _)| *of == factory()), "{}", row.what);
        assert!(decision.status.retained.keys().eq(row.retained), "{}: {:?}", row.what, decision.status.retained);
        let statement = said(&decision, ConditionType::PackagesAdopted).unwrap();
        assert_eq!((statement.status, statement.reason), (row.says.0, row.says.1), "{}: {}", row.what, statement.message);
        assert!(statement.message.contains(row.says.2), "{}: {}", row.what, statement.message);
        assert_eq!(said(&decision, ConditionType::Ready).unwrap().status, Truth::True, "{}: it only advises", row.what);
    }
}

#[test]
fn what_is_known_stays_while_the_packages_cannot_be_seen() {
    let mut seen = good();
    seen.previous.retained = texts(&[("search", "x")]);
    seen.previous.packages = Some(7);
    seen.packages = Part::NotChecked;
    let decision = decide(&seen, at(0));
    assert_eq!((decision.status.packages, decision.status.retained, decision.actions), (Some(7), texts(&[("search", "x")]), Vec::new()));
}

#[test]
fn many_are_adopted_some_at_a_time() {
    let ids: Vec<_> = (0..AT_ONCE + 3).map(|n| format!("p-{n:03}")).collect();
    let mut seen = good();
    seen.packages = Part::Seen(PackagesSeen {
        trees: ids.iter().map(|id| (id.clone(), sha(1))).collect(),
        // Those beyond the first are not read either.
        documents: ids[..AT_ONCE].iter().map(|id| (id.clone(), Ok(json!({ "id": id })))).collect(),
        ..PackagesSeen::default()
    });
    let decision = decide(&seen, at(0));
    assert_eq!(made(&decision.actions), ids[..AT_ONCE]);
    assert!(decision.again.as_secs() <= 1);
    assert!(said(&decision, ConditionType::PackagesAdopted).unwrap().message.ends_with("and then for 3 more"));
}
