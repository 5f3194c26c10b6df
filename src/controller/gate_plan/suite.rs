//! Layer 2's tests of a service: what people wrote of it in the repository's plan on the
//! base branch, and one for each other route.

use serde_json::{Value, json};

use crate::outputs::{self, Service};

/// What the base branch has as the gates' plan: nothing, a plan, or why it is none.
pub type Written = Result<Option<Value>, String>;

/// The tests of a service by its own name, which it has from then on, and those of each of its routes, by id.
/// What can't be tried is left out with why.
pub(super) fn suite(service: &mut Service, zone: &str, pays: bool, written: &Written) -> (Value, Vec<Vec<String>>) {
    // A document may have been written for another zone.
    let declared = std::mem::replace(&mut service.document.endpoint, format!("{}.{zone}", service.document.id));
    let there = written.as_ref().ok().and_then(Option::as_ref);
    let mut suite = outputs::gate_plan(service, there, &declared);
    let mut tests_of = vec![Vec::new(); service.document.routes.len()];
    let Some(tests) = suite["tests"].as_array_mut() else { return (suite, tests_of) };
    for test in &mut *tests {
        let Some(at) = outputs::asks_for(service, test) else { continue };
        tests_of[at].extend(test["id"].as_str().map(str::to_owned));
        if service.manifest.routes[at].micros.is_some() && !pays && !is_refused(test) {
            let lacks = "it costs something, and the Factory's policy.gates.contract.wallet names no wallet";
            (test["skip"], test["notes"]) = (true.into(), lacks.into());
        }
    }
    if let Err(problem) = written {
        // Not tried, so that nothing is Live by tests that nobody could read.
        tests.push(json!({
            "id": outputs::PLAN, "service": service.document.name, "test": "what people wrote", "method": "GET",
            "endpoint": format!("https://{}/", service.document.endpoint), "input": null, "expected": { "status": 200 },
            "depends_on": [], "captures": {}, "notes": format!("the base branch's {}: {problem}", outputs::PLAN), "skip": true,
        }));
    }
    (suite, tests_of)
}

/// Whether a test wants to be asked for a payment: it makes none.
fn is_refused(test: &Value) -> bool {
    let status = &test["expected"]["status"];
    status == 402 || status.as_array().is_some_and(|all| all.iter().any(|one| one == 402)) || status["$oneOf"].to_string().contains("402")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        prim,
        scaffold::{self, Options},
    };

    const PAID: &str = "id: notes\nname: notes.sh\nroutes_map:\n  - { route: POST /v1/notes, status: 201, operation_id: make, response: Note }\n  - { route: GET /v1/notes, status: 200, operation_id: list }\n  - { route: GET /v1/notes/:id, status: 200, operation_id: get }\n";

    fn service() -> Service {
        let document = prim::read(PAID).unwrap();
        Service { manifest: scaffold::manifest(&document, &Options::at("$0.01".parse().unwrap())).unwrap(), document }
    }

    fn written(tests: &Value) -> Written {
        Ok(Some(
            json!({ "plan": "p", "version": 1, "network": "", "context": "", "tests": tests, "groups": [{ "id": "g", "name": "g", "prompt": "", "tests": ["LIST", "OTHER"] }] }),
        ))
    }

    fn test(id: &str, endpoint: &str, more: &Value) -> Value {
        let mut test = json!({ "id": id, "service": "notes.sh", "test": id, "method": "GET", "endpoint": endpoint, "input": null, "expected": { "status": 200 }, "depends_on": [], "captures": {}, "notes": null });
        for (key, value) in more.as_object().cloned().unwrap_or_default() {
            test[key] = value;
        }
        test
    }

    fn ids(suite: &Value) -> Vec<&str> {
        suite["tests"].as_array().unwrap().iter().filter_map(|test| test["id"].as_str()).collect()
    }

    #[test]
    fn what_people_wrote_of_it_is_tried_and_the_rest_is_derived() {
        let list = test("LIST", "https://NOTES.prim.sh/v1/notes?limit=1", &json!({ "depends_on": ["OTHER", "STALE"] }));
        let stale =
            test("STALE", "https://notes.prim.sh/v1/notes/{{note_id}}", &json!({ "generated": true, "expected": { "status": 418 } }));
        let gone = test("GONE", "https://notes.prim.sh/v1/gone", &json!({ "generated": true }));
        let tests = [
            list,
            stale,
            gone,
            test("OTHER", "https://other.prim.sh/", &json!({})),
            test("EVIL", "https://notes.prim.sh@evil.test/", &json!({})),
        ];
        let (suite, tests_of) = suite(&mut service(), "example.test", true, &written(&json!(tests)));
        assert_eq!(ids(&suite), ["LIST", "STALE", "NOTES-H1", "NOTES-1"], "of the written ones its own alone");
        assert_eq!(tests_of, [vec!["NOTES-1".to_owned()], vec!["LIST".to_owned()], vec!["STALE".to_owned()]]);
        assert_eq!(suite["tests"][0]["endpoint"], "https://notes.example.test/v1/notes?limit=1", "by the name that it has here");
        assert_eq!(suite["tests"][0]["depends_on"], json!(["STALE"]), "nobody waits for another service's tests");
        assert_eq!(suite["tests"][1]["expected"]["status"], 200, "what was derived from a former document is derived anew");
        assert_eq!(suite["groups"][0]["tests"], json!(["LIST"]));
        crate::suite::from_value(&suite, crate::suite::Mode::Ours).expect("a plan");
    }

    #[test]
    fn what_waits_for_a_test_that_nobody_wrote_is_blocked_by_it() {
        let list = test("LIST", "https://notes.prim.sh/v1/notes", &json!({ "depends_on": ["NOTES-1", "GONE"] }));
        let gone = test("GONE", "https://notes.prim.sh/v1/gone", &json!({ "generated": true }));
        let (suite, _) = suite(&mut service(), "prim.sh", true, &written(&json!([list, gone])));
        assert_eq!(suite["tests"][0]["depends_on"], json!(["NOTES-1", "GONE"]));
        assert_eq!(ids(&suite), ["LIST", "NOTES-H1", "NOTES-2", "NOTES-3"], "no derived test stands in for it");
        let plan = crate::suite::from_value(&suite, crate::suite::Mode::Ours).expect("a plan");
        let told = crate::suite::lint(&plan, &crate::suite::Known::default()).iter().map(ToString::to_string).collect::<String>();
        assert!(told.contains("LIST depends on GONE, which is not in the plan: it can only be blocked"), "{told}");
    }

    #[test]
    fn without_a_wallet_what_costs_is_left_out_unless_a_refusal_is_wanted() {
        let list = test("LIST", "https://notes.prim.sh/v1/notes", &json!({}));
        let refused = test("ASKED", "https://notes.prim.sh/v1/notes", &json!({ "expected": { "status": 402 } }));
        let (suite, _) = suite(&mut service(), "prim.sh", false, &written(&json!([list, refused])));
        let skipped: Vec<_> =
            suite["tests"].as_array().unwrap().iter().filter(|test| test["skip"] == true).filter_map(|test| test["id"].as_str()).collect();
        assert_eq!(skipped, ["LIST", "NOTES-1", "NOTES-2"]);
    }

    #[test]
    fn a_plan_that_is_none_counts_as_not_tried() {
        let (suite, _) = suite(&mut service(), "prim.sh", true, &Err("is no JSON".into()));
        let last = suite["tests"].as_array().unwrap().last().unwrap();
        assert_eq!((last["id"].as_str(), last["skip"].as_bool()), (Some("gates/plan.json"), Some(true)));
        assert!(last["notes"].as_str().unwrap().contains("is no JSON"));
        crate::suite::from_value(&suite, crate::suite::Mode::Ours).expect("a plan");
    }
}
