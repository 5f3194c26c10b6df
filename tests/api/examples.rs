//! The examples in `manifests/examples` are let in, and lose nothing on their way
//! through the types.

use flywheel::api::{agent_pr::AgentPR, factory::Factory, gate_run::GateRun, primitive::Primitive};
use kube::CustomResourceExt;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::problems;

#[test]
fn examples_are_let_in_and_keep_every_field() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests/examples");
    let mut kinds = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(&folder).expect("manifests/examples: write one example of every kind there") {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert!(!documents.is_empty(), "{} is empty", path.display());
        for document in documents {
            let name = format!("{} in {}", document["kind"], path.display());
            match document["kind"].as_str().unwrap_or_default() {
                "Factory" => keeps::<Factory>(&document, &name),
                "Primitive" => keeps::<Primitive>(&document, &name),
                "AgentPR" => keeps::<AgentPR>(&document, &name),
                "GateRun" => keeps::<GateRun>(&document, &name),
                // What an example needs beside it.
                "Secret" | "Namespace" | "ConfigMap" => continue,
                _ => panic!("{name}: no test knows this kind"),
            }
            kinds.insert(document["kind"].as_str().unwrap_or_default().to_owned());
        }
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["AgentPR", "Factory", "GateRun", "Primitive"], "one example of every kind at least");
}

fn keeps<K>(document: &Value, name: &str)
where
    K: CustomResourceExt + Serialize + DeserializeOwned,
{
    assert_eq!(problems::<K>(document, None), Vec::<String>::new(), "{name}");
    let read: K = serde_json::from_value(document.clone()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let written = serde_json::to_value(read).unwrap();
    let mut lost = Vec::new();
    compare(document, &written, "", &mut lost);
    assert!(lost.is_empty(), "{name} loses {lost:?}");
}

/// Paths of `before` that `after` has not, or has otherwise.
fn compare(before: &Value, after: &Value, path: &str, lost: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(b), Value::Object(a)) => {
            for (name, value) in b {
                compare(value, a.get(name).unwrap_or(&Value::Null), &format!("{path}.{name}"), lost);
            }
        }
        (Value::Array(b), Value::Array(a)) if b.len() == a.len() => {
            for (i, (b, a)) in b.iter().zip(a).enumerate() {
                compare(b, a, &format!("{path}[{i}]"), lost);
            }
        }
        _ if before == after => {}
        _ => lost.push(path.to_owned()),
    }
}
