//! The table of what both modes make of plans and answers. What prim.sh's runner does
//! was read from its source; a row says where ours differs.

use flywheel::suite::{Mode, from_value};
use serde_json::{Value, json};

use super::script::{plan_of, play, read};

const VECTORS: &str = include_str!("vectors.json");

fn rows(name: &str) -> Vec<Value> {
    let rows: Value = serde_json::from_str(VECTORS).unwrap();
    rows[name].as_array().unwrap().clone()
}

#[test]
fn shapes_are_matched_by_each_modes_rules() {
    let rows = rows("shapes");
    assert!(rows.len() > 150, "{}", rows.len());
    let mut wrong = Vec::new();
    for row in rows {
        let plan = plan_of(&json!([{ "expected": { "status": 200, "body": row["expected"] } }]), None);
        let answer = row.get("raw").map_or_else(|| json!({ "json": row["actual"] }), |raw| json!({ "raw": raw }));
        for (mode, key) in [(Mode::Primsh, "primsh"), (Mode::Ours, "ours")] {
            let played = play(&read(&plan, mode), None, &json!({ "T-1": answer }));
            let expected = if row[key] == true { "T-1 pass 200" } else { "T-1 fail 200" };
            if played.lines() != [expected] {
                wrong.push(format!("{key}: {:?} {:?}: {row}", played.lines(), played.results[0].note));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn runs_come_to_what_each_modes_rules_say() {
    let rows = rows("runs");
    assert!(rows.len() > 90, "{}", rows.len());
    let mut wrong = Vec::new();
    for row in rows {
        let name = row["name"].as_str().unwrap();
        let value = plan_of(&row["tests"], row.get("groups"));
        for (mode, key) in [(Mode::Primsh, "primsh"), (Mode::Ours, "ours")] {
            if let Some(code) = row[key].as_str() {
                let read = from_value(&value, mode);
                let found = match &read {
                    Ok(plan) => flywheel::suite::Run::new(plan, None, super::script::seeds(), flywheel::suite::Secrets::default()).err(),
                    Err(findings) => Some(findings.clone()),
                };
                let mut found: Vec<_> = found.unwrap_or_default().iter().map(|finding| finding.code.as_str()).collect();
                found.dedup();
                if found != [code] {
                    wrong.push(format!("{name}, {key}: {found:?}, not {code}"));
                }
                continue;
            }
            let played = play(&read(&value, mode), row["group"].as_str(), &row["answers"]);
            let (mut lines, mut expected) = (json!(played.lines()), row[key].clone());
            if row["unordered"] == true {
                lines.as_array_mut().unwrap().sort_by_key(Value::to_string);
                expected.as_array_mut().unwrap().sort_by_key(Value::to_string);
            }
            if lines != expected {
                let notes: Vec<_> = played.results.iter().map(|result| &result.note).collect();
                wrong.push(format!("{name}, {key}: {lines}, not {expected} ({notes:?})"));
            }
            if let Some(sent) = row["sent"].get(key)
                && *sent != json!(played.sent)
            {
                wrong.push(format!("{name}, {key}: sent {}, not {sent}", json!(played.sent)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
