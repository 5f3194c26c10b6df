//! The catalogue of all primitives: the root `primitives.yaml` under what each
//! package's own `prim.yaml` says, as catalogues and indices list them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::notes::Problem;

/// A primitive as the catalogue knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its id.
    pub id: String,
    /// Its keys: the package's, and below them the root's.
    pub keys: Map<String, Value>,
    /// Whether it has a package.
    pub built: bool,
}

/// All primitives in the catalogue's order, and what could not be taken in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    /// By `order`, 999 where absent, and then by id.
    pub entries: Vec<Entry>,
    /// Entries and packages that were left out, each with its place.
    pub problems: Vec<Problem>,
}

/// Merges the root (`{primitives: […]}`) under the packages, which come as pairs
/// of a directory's name and its document. Key by key the package wins, and
/// nothing is merged deeper.
pub fn merge(root: &Value, packages: &[(String, Value)]) -> Registry {
    let mut registry = Registry::default();
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    let mut wrong = |path: String, text: &str| registry.problems.push(Problem { path, text: text.into() });
    let listed = root.get("primitives").unwrap_or(root);
    if !listed.is_array() && !listed.is_null() {
        wrong("primitives".into(), "must be a list of entries with an id each");
    }
    for (i, value) in listed.as_array().into_iter().flatten().enumerate() {
        let Some((id, keys)) = identified(value) else {
            wrong(format!("primitives[{i}].id"), "an entry needs an id, and is left out without one");
            continue;
        };
        if entries.contains_key(id) {
            wrong(format!("primitives[{i}].id"), "stands there twice; the first holds");
            continue;
        }
        entries.insert(id.into(), Entry { id: id.into(), keys: keys.clone(), built: false });
    }
    let mut sorted: Vec<_> = packages.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (directory, value) in sorted {
        let path = format!("packages/{directory}/prim.yaml");
        let Some((id, keys)) = identified(value) else {
            wrong(path, "a document needs an id, and is left out without one");
            continue;
        };
        if id != directory {
            wrong(path.clone(), "its id is not its directory's name");
        }
        let entry = entries.entry(id.into()).or_insert_with(|| Entry { id: id.into(), keys: Map::new(), built: false });
        if entry.built {
            wrong(path, "its id is another package's, which holds");
            continue;
        }
        entry.built = true;
        entry.keys.extend(keys.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    registry.entries = entries.into_values().collect();
    for entry in &mut registry.entries {
        entry.keys.entry("show_on_index").or_insert(json!(true));
    }
    registry.entries.sort_by_key(|entry| (entry.keys.get("order").and_then(Value::as_i64).unwrap_or(999), entry.id.clone()));
    registry
}

fn identified(value: &Value) -> Option<(&str, &Map<String, Value>)> {
    let keys = value.as_object()?;
    let id = keys.get("id")?.as_str().filter(|id| !id.is_empty())?;
    Some((id, keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_win_key_by_key_and_everything_has_its_place() {
        let root = json!({"primitives": [
            {"id": "ring", "order": 11, "name": "ring.sh", "pricing": [{"op": "a", "price": "$1"}]},
            {"id": "wallet", "order": 1, "cta": {"headline": "root", "sub": "kept nowhere"}},
            {"name": "nobody"}, {"id": "ring"}, 7,
        ]});
        let package = |id: &str, keys: Value| (id.to_owned(), keys);
        let packages = [
            package("wallet", json!({"id": "wallet", "cta": {"headline": "own"}, "show_on_index": false})),
            package("new", json!({"id": "new"})),
            package("odd", json!({"id": "even"})),
            package("none", json!({})),
            package("zz", json!({"id": "new"})),
        ];
        let registry = merge(&root, &packages);
        let ids: Vec<_> = registry.entries.iter().map(|entry| (entry.id.as_str(), entry.built)).collect();
        assert_eq!(ids, [("wallet", true), ("ring", false), ("even", true), ("new", true)]);
        let wallet = &registry.entries[0].keys;
        assert_eq!((&wallet["cta"], &wallet["order"], &wallet["show_on_index"]), (&json!({"headline": "own"}), &json!(1), &json!(false)));
        assert_eq!(registry.entries[1].keys["show_on_index"], json!(true));
        let places: Vec<_> = registry.problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(
            places,
            [
                "primitives[2].id",
                "primitives[3].id",
                "primitives[4].id",
                "packages/none/prim.yaml",
                "packages/odd/prim.yaml",
                "packages/zz/prim.yaml",
                "packages/zz/prim.yaml",
            ]
        );
        assert_eq!(merge(&Value::Null, &[]), Registry::default());
        assert!(!merge(&json!({"primitives": "x"}), &[]).problems.is_empty());
    }
}
