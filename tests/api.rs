//! The resources' shapes and rules, as the API server checks them: no cluster,
//! but the very schemas and CEL rules of the CRDs. `e2e/scenarios` asks a real
//! API server the same of a few objects. Read `api/shapes.rs` next.

mod examples;
mod rules;
mod schema;
mod shapes;

use kube::{CustomResourceExt, core::cel};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// What is wrong with `object`, as a create or, given `old`, as an update.
fn problems<K>(object: &Value, old: Option<&Value>) -> Vec<String>
where
    K: CustomResourceExt + Serialize + DeserializeOwned,
{
    let mut found = Vec::new();
    schema::check(&schema_of::<K>(), object, "", &mut found);
    if !found.is_empty() {
        return found;
    }
    let read = |value: &Value| serde_json::from_value::<K>(value.clone()).expect("what the schema lets in can be read");
    let result = match old {
        None => cel::validate_cel(&read(object)),
        Some(old) => cel::validate_cel_update(&read(object), &read(old)),
    };
    result.err().into_iter().flat_map(|errors| errors.into_vec()).map(|e| format!("{}: {}", e.field_path, e.message)).collect()
}

/// The kind's schema, as its CRD has it.
fn schema_of<K: CustomResourceExt>() -> Value {
    let crd = K::crd();
    serde_json::to_value(crd.spec.versions[0].schema.as_ref().unwrap().open_api_v3_schema.as_ref().unwrap()).unwrap()
}

/// Sets the value at a JSON pointer; null removes it.
fn set(object: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("nothing at {parent}"));
    match parent {
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        Value::Object(fields) if value.is_null() => assert!(fields.remove(key).is_some(), "nothing at {pointer} to remove"),
        Value::Object(fields) => {
            fields.insert(key.into(), value);
        }
        _ => panic!("{pointer} is not in an object"),
    }
}

/// One change of a good object, and what must be said to it; nothing where it
/// must be let in.
type Row = (&'static str, Value, Option<&'static str>);

/// Tries every row on `good`.
#[track_caller]
fn try_rows<K>(good: &Value, rows: &[Row], update: bool)
where
    K: CustomResourceExt + Serialize + DeserializeOwned,
{
    assert_eq!(problems::<K>(good, None), Vec::<String>::new(), "the good object itself");
    assert_eq!(problems::<K>(good, Some(good)), Vec::<String>::new(), "no change");
    for (pointer, value, refused) in rows {
        let mut object = good.clone();
        set(&mut object, pointer, value.clone());
        let found = problems::<K>(&object, update.then_some(good));
        let what = format!("{} at {pointer}", value.to_string().chars().take(80).collect::<String>());
        match refused {
            None => assert_eq!(found, Vec::<String>::new(), "{what} should be let in"),
            Some(text) => {
                assert!(found.iter().any(|problem| problem.contains(text)), "{what} should be refused with {text:?}: {found:?}");
            }
        }
    }
}
