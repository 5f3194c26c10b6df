//! What a gate has to show of a package: made from its document alone, the way the
//! scaffolder reads it, never from the code under test. Pure.

mod room;
mod suite;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    api::{
        factory::{Factory, PricesSpec},
        gate_run::{Layer, Tested},
        policy::CanaryPolicy,
    },
    gate::{
        bundle::{SourceFile, digest},
        layout,
        plan::{Contract, Example, Generated, Limits, MAX_ROUTES, Payment, Plan, Preview, Price, Route, Terms},
    },
    outputs::Service,
    prim::{self, Body, Document, Problem},
    scaffold::{self, Kind, Manifest, Options, Prices, RouteSummary},
};

pub use room::{At, Room, confined_by, money, notes, room, room_at};
pub use suite::Written;

/// Base Sepolia, a test net.
const DEFAULT_NETWORK: &str = "eip155:84532";
/// Where nobody is paid: gates make no real payment, and a service that pays here
/// gets no facilitator.
const NOBODY: &str = "0x0000000000000000000000000000000000000001";

/// The plan for a package's files; or what is wrong with them, from the path on.
pub fn plan(files: &[SourceFile], factory: &Factory) -> Result<Plan, String> {
    planned(files, factory, |_| Prices::default()).map(|(plan, _)| plan)
}

/// The plan with what layer 2 would show of the same files, where the policy has it
/// tried before a merge; `required` where that decides.
pub fn with_preview(files: &[SourceFile], factory: &Factory, required: bool, written: &Written) -> Result<Plan, String> {
    let (plan, mut service) = planned(files, factory, |_| Prices::default())?;
    if !factory.spec.policy.gates.preview {
        return Ok(plan);
    }
    let (suite, tests) = suite::suite(&mut service, &factory.spec.dns.zone, true, written);
    Ok(Plan { preview: Some(Preview { suite, required }), routes: tested_by(plan.routes, tests), ..plan })
}

/// Routes with the tests of each.
fn tested_by(routes: Vec<Route>, tests: Vec<Vec<String>>) -> Vec<Route> {
    routes.into_iter().zip(tests).map(|(route, tests)| Route { tests, ..route }).collect()
}

/// What layer 2 shows of a package that runs, wherever that is.
pub fn contract(files: &[SourceFile], factory: &Factory, written: &Written) -> Result<Contract, String> {
    deployed(files, factory, written).map(|deployed| deployed.contract)
}

/// A package that runs: what layer 2 shows of it, which the layers after it start from.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// What layer 2 shows.
    pub contract: Contract,
    /// Its document, by the name that it has in the Factory's zone.
    service: Service,
}

/// The same with what else the layers after it need.
pub fn deployed(files: &[SourceFile], factory: &Factory, written: &Written) -> Result<Deployed, String> {
    // What runs charges what it was merged with, which a gate had held against the
    // Factory's prices then, whatever those are by now.
    let (plan, mut service) =
        planned(files, factory, |document| Prices::charged(document, files.iter().map(|file| (&*file.path, &*file.content))))?;
    let policy = &factory.spec.policy.gates.contract;
    let payment = match &policy.wallet {
        None => None,
        Some(_) => Some(Payment {
            request_micros: micros("contract.maxPayment", &policy.max_payment)?,
            run_micros: micros("contract.budget", &policy.budget)?,
        }),
    };
    let (suite, tests) = suite::suite(&mut service, &factory.spec.dns.zone, payment.is_some(), written);
    let contract = Contract {
        url: String::new(),
        commit: String::new(),
        ca_bundle: factory.spec.deploy.edge.ca_bundle.clone(),
        // What only its own code is run with stays away.
        plan: Plan { env: BTreeMap::new(), generated: Vec::new(), preview: None, routes: tested_by(plan.routes, tests), ..plan },
        suite: Some(suite),
        payment,
    };
    Ok(Deployed { contract, service })
}

/// What layer 3 shows of it with the Factory's model: what `gate agent` is told, without
/// where and when.
pub fn canary(contract: &Contract, policy: &CanaryPolicy) -> Result<Value, String> {
    let paid = match &contract.payment {
        // Without a wallet nothing is paid, whatever is allowed.
        None => (0, 0),
        Some(payment) => (payment.request_micros, micros("canary.budget", &policy.budget)?),
    };
    Ok(json!({
        "url": contract.url,
        "commit": contract.commit,
        "caBundle": contract.ca_bundle,
        "plan": contract.suite.as_ref().map(without_command_lines),
        "terms": contract.plan.terms,
        "model": { "url": policy.model.url.trim_end_matches('/'), "name": policy.model.name },
        "limits": { "rounds": policy.max_rounds, "maxPaymentMicros": paid.0, "budgetMicros": paid.1 },
    }))
}

/// A plan without the groups that use a command line: they need a clean room.
fn without_command_lines(suite: &Value) -> Value {
    let mut suite = suite.clone();
    if let Some(groups) = suite["groups"].as_array_mut() {
        groups.retain(|group| group["interface"] != "cli");
    }
    suite
}

/// The same of a service that runs there, in so much time.
pub fn canary_at(mut plan: Value, url: &str, commit: &str, seconds: u64) -> Value {
    (plan["url"], plan["commit"]) = (url.into(), commit.into());
    plan["limits"]["groupSeconds"] = seconds.into();
    plan
}

/// What each layer would show of a package that runs, as the digest of its plan: two
/// runs with the same show the same. Layers that can't be run now are left out.
pub fn digests(files: &[SourceFile], factory: &Factory, written: &Written) -> Result<BTreeMap<Layer, String>, String> {
    let deployed = deployed(files, factory, written)?;
    let contract = &deployed.contract;
    let mut digests = BTreeMap::from([(Layer::Contract, plan_digest(contract))]);
    if let Some(policy) = &factory.spec.policy.gates.canary {
        digests.insert(Layer::Canary, plan_digest(&canary(contract, policy)?));
    }
    if let Some(Ok(room)) = factory.spec.policy.gates.clean_room.as_ref().map(|policy| room(&deployed, factory, policy)) {
        digests.insert(Layer::CleanRoom, plan_digest(&room.plan));
    }
    Ok(digests)
}

/// Digest of a plan without where and when: of [`contract`] and [`canary`].
pub fn plan_digest(plan: &impl Serialize) -> String {
    digest(serde_json::to_string(plan).unwrap_or_default().as_bytes())
}

/// What a run tests: this tree, by this plan and the Factory's image.
pub fn tested(tree: &str, plan: &impl Serialize, factory: &Factory) -> Tested {
    Tested { tree: tree.into(), plan: plan_digest(plan), tool: factory.spec.deploy.image.clone(), confined_by: None }
}

/// Dollars as the millionths that are paid in.
fn micros(field: &str, text: &str) -> Result<u64, String> {
    let price: prim::Price = text.parse().map_err(|e| format!("the Factory's spec.policy.gates.{field}: {e}"))?;
    Ok(price.micros())
}

fn planned(files: &[SourceFile], factory: &Factory, prices: impl FnOnce(&Document) -> Prices) -> Result<(Plan, Service), String> {
    let (file, document) = document(files)?;
    let wrong = |problem: String| format!("{file}: {problem}");
    let manifest = files_charging(&document, &factory.spec.prices, prices(&document)).map_err(|problems| wrong(all(&problems)))?;
    if manifest.routes.len() > MAX_ROUTES {
        return Err(wrong(format!("has {} routes, and a gate tries {MAX_ROUTES} at most", manifest.routes.len())));
    }
    let plan = Plan {
        primitive: document.id.to_string(),
        names: vec![document.id.to_string(), document.name.clone()],
        terms: terms(&factory.spec.deploy.env),
        env: manifest.env.clone(),
        // Both in the document's order.
        routes: document.routes.iter().zip(&manifest.routes).map(|(declared, summary)| route(declared, summary)).collect(),
        generated: generated(&manifest),
        preview: None,
        limits: Limits::default(),
    };
    Ok((plan, Service { document, manifest }))
}

/// The files of a document's package, as both proposals and gates expect them.
pub fn files_of(document: &Document, prices: &PricesSpec) -> Result<Manifest, Vec<Problem>> {
    files_charging(document, prices, Prices::default())
}

/// The same where a list says what routes without a price of their own cost.
pub fn files_charging(document: &Document, prices: &PricesSpec, list: Prices) -> Result<Manifest, Vec<Problem>> {
    let wrong = |e| vec![Problem { path: String::new(), text: format!("the Factory's spec.prices.default: {e}") }];
    scaffold::manifest(document, &Options { default_price: prices.default.parse().map_err(wrong)?, prices: list })
}

/// The one prim.yaml among the files, read.
fn document(files: &[SourceFile]) -> Result<(&str, Document), String> {
    let mut documents = files.iter().filter(|file| matches!(file.path.split('/').collect::<Vec<_>>()[..], ["packages", _, "prim.yaml"]));
    let (Some(file), None) = (documents.next(), documents.next()) else {
        return Err("needs exactly one packages/<id>/prim.yaml".into());
    };
    let document = prim::read(&file.content).map_err(|problems| format!("{}: {}", file.path, all(&problems)))?;
    if file.path != format!("packages/{}/prim.yaml", document.id) {
        return Err(format!("{}: its id is {}, which is another package's", file.path, document.id));
    }
    Ok((&file.path, document))
}

fn all(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// To whom and on what chain the primitives of a Factory with this environment
/// table are paid.
pub(crate) fn terms(env: &BTreeMap<String, String>) -> Terms {
    // Empty is how Kubernetes and shells spell "not set".
    let value = |name: &str, otherwise: &str| env.get(name).filter(|v| !v.is_empty()).map_or(otherwise, String::as_str).to_owned();
    Terms { network: value(layout::NETWORK, DEFAULT_NETWORK), pay_to: value(layout::PAY_TO, NOBODY), asset: None }
}

fn route(declared: &prim::Route, summary: &RouteSummary) -> Route {
    let example = summary.example.as_ref().map(|e| Example {
        params: e.params.clone(),
        query: e.query.clone(),
        headers: e.headers.clone(),
        body: e.body.clone(),
    });
    Route {
        method: declared.method,
        path: summary.path.clone(),
        price: summary.micros.map_or(Price::Free, |micros| Price::Exactly { micros }),
        reads_json: matches!(declared.request, Body::Json(_)),
        status: summary.status,
        errors: summary.answers.clone(),
        example,
        sample: Some(summary.sample.clone()),
        upstream: summary.backend == "provider",
        response: None,
        tests: Vec::new(),
    }
}

/// Files that are the document's and nobody else's: a change has them exactly so.
fn generated(manifest: &Manifest) -> Vec<Generated> {
    let ours = manifest.files.iter().filter(|file| file.kind == Kind::Generated);
    ours.map(|file| Generated { path: file.path.clone(), digest: digest(file.content.as_bytes()) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: &str = "id: notes\nname: notes.sh\nfactory: { free_service: true }\nroutes_map:\n  - { route: GET /v1/notes, status: 200, operation_id: list_notes }\n";

    fn factory() -> Factory {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "flywheel.prim.sh/v1alpha1", "kind": "Factory", "metadata": { "name": "prim" },
            "spec": {
                "repository": { "forge": "Gitea", "url": "http://forge", "owner": "prim", "name": "factory", "credentials": { "name": "x" } },
                "dns": { "zone": "prim.sh", "rfc2136": { "server": "127.0.0.1:53", "credentials": { "name": "x" } } },
                "deploy": {
                    "image": "runtime", "env": { "X402_PAY_TO": "0x02" },
                    "edge": { "adminUrl": "https://127.0.0.1", "adminCaBundle": "x", "credentials": { "name": "x" }, "address": "127.0.0.1" }
                }
            }
        }))
        .expect("a Factory")
    }

    #[test]
    fn the_document_decides_and_not_the_code() {
        let files = [SourceFile::new("packages/notes/prim.yaml", FREE), SourceFile::new("packages/notes/src/index.ts", "anything")];
        let plan = plan(&files, &factory()).expect("plan");
        assert_eq!((plan.primitive.as_str(), plan.terms.pay_to.as_str()), ("notes", "0x02"));
        assert_eq!(plan.routes.len(), 1);
        assert_eq!(plan.routes[0].price, Price::Free);
        assert!(plan.generated.iter().any(|g| g.path == "packages/notes/src/index.ts"), "the code must be the generated one");
        assert!(plan.generated.iter().all(|g| g.path != "packages/notes/src/service.ts"), "seeded code may change");
    }

    #[test]
    fn only_a_route_that_reads_json_is_asked_for_a_400() {
        let request = |request: &str| {
            let route = format!(
                "{{ route: PUT /v1/blobs, status: 200, operation_id: do_it, request: {request}, query_params: [{{ name: n, type: integer }}], errors: [{{ status: 400, code: bad, description: x }}] }}"
            );
            let document = format!("id: notes\nname: notes.sh\nfactory: {{ free_service: true }}\nroutes_map:\n  - {route}\n");
            plan(&[SourceFile::new("packages/notes/prim.yaml", document)], &factory()).expect("plan").routes.remove(0)
        };
        assert!(crate::gate::checks::bad_request(&request("Blob")).is_some());
        for none in ["\"raw bytes\"", "null"] {
            let route = request(none);
            assert!(route.errors.contains(&400) && crate::gate::checks::bad_request(&route).is_none(), "{none}: {route:?}");
        }
    }

    #[test]
    fn a_route_without_a_price_costs_what_the_factory_says() {
        let paid = FREE.replace("factory: { free_service: true }\n", "");
        let files = [SourceFile::new("packages/notes/prim.yaml", paid)];
        let cost = |factory: &Factory| plan(&files, factory).map(|plan| plan.routes[0].price.clone());
        let mut factory = factory();
        assert_eq!(cost(&factory), Ok(Price::Exactly { micros: 10_000 }));
        factory.spec.prices.default = "$0.25".into();
        assert_eq!(cost(&factory), Ok(Price::Exactly { micros: 250_000 }));
        factory.spec.prices.default = "much".into();
        assert!(cost(&factory).expect_err("no price").contains("spec.prices.default"));
    }

    #[test]
    fn what_runs_is_shown_by_the_prices_that_it_charges() {
        let paid = FREE.replace("factory: { free_service: true }\n", "");
        let mut factory = factory();
        factory.spec.policy.gates.canary = serde_json::from_value(
            json!({ "model": { "url": "https://model.example/v1", "name": "small" }, "maxRounds": 1, "budget": "$1" }),
        )
        .ok();
        let merged = files_of(&prim::read(&paid).expect("a document"), &factory.spec.prices).expect("a package").files;
        let merged: Vec<_> = merged.into_iter().map(|file| SourceFile::new(file.path, file.content)).collect();
        let seen = |factory: &Factory| {
            let cost = |plan: &Plan| plan.routes[0].price.clone();
            let proposed = plan(&merged, factory).map(|plan| cost(&plan)).expect("a plan");
            let runs = contract(&merged, factory, &Ok(None)).map(|contract| cost(&contract.plan)).expect("a contract");
            (proposed, runs, digests(&merged, factory, &Ok(None)).expect("digests"))
        };
        let before = seen(&factory);
        assert_eq!((&before.0, &before.1, before.2.len()), (&Price::Exactly { micros: 10_000 }, &Price::Exactly { micros: 10_000 }, 2));
        factory.spec.prices.default = "$0.25".into();
        assert_eq!(seen(&factory), (Price::Exactly { micros: 250_000 }, before.1, before.2));
    }

    #[test]
    fn what_is_no_package_is_refused_with_its_path() {
        let refused = |files: &[SourceFile]| plan(files, &factory()).expect_err("refused");
        for (files, expected) in [
            (vec![], "exactly one"),
            (vec![SourceFile::new("packages/notes/deep/prim.yaml", FREE)], "exactly one"),
            (vec![SourceFile::new("packages/notes/prim.yaml", FREE), SourceFile::new("packages/other/prim.yaml", FREE)], "exactly one"),
            (vec![SourceFile::new("packages/other/prim.yaml", FREE)], "packages/other/prim.yaml: its id is notes"),
            (vec![SourceFile::new("packages/notes/prim.yaml", "id: [")], "packages/notes/prim.yaml: "),
        ] {
            let problem = refused(&files);
            assert!(problem.contains(expected), "{expected:?} is not in {problem:?}");
        }
    }
}
