//! What a gate has to show of a package: made from its document alone, the way the
//! scaffolder reads it, never from the code under test. Pure.

use std::collections::BTreeMap;

use crate::{
    api::factory::Factory,
    gate::{
        bundle::{SourceFile, digest},
        plan::{Example, Generated, Limits, MAX_ROUTES, Method, Plan, Price, Route, Terms},
    },
    ports::error::PortError,
    prim::{self, Document, Problem},
    scaffold::{self, Kind, Manifest, Options, RouteSummary},
};

/// Where nobody is paid: gates make no real payment.
const NOBODY: &str = "0x0000000000000000000000000000000000000001";
/// What a route of a paid document costs where it has no price of its own.
const DEFAULT_PRICE: &str = "$0.01";

/// The plan for a package's files. `path` is the field that names them.
pub fn plan(path: &str, files: &[SourceFile], factory: &Factory) -> Result<Plan, PortError> {
    let (file, document) = document(path, files)?;
    let wrong = |problem: String| PortError::invalid(&format!("{path}: {file}"), problem);
    let manifest = files_of(&document).map_err(|problems| wrong(all(&problems)))?;
    if manifest.routes.len() > MAX_ROUTES {
        return Err(wrong(format!("has {} routes, and a gate tries {MAX_ROUTES} at most", manifest.routes.len())));
    }
    let routes = manifest.routes.iter().map(route).collect::<Option<_>>().ok_or_else(|| wrong("has a method that no gate knows".into()))?;
    Ok(Plan {
        primitive: document.id.to_string(),
        names: vec![document.id.to_string(), document.name.clone()],
        terms: terms(&factory.spec.deploy.env),
        env: manifest.env.clone(),
        routes,
        generated: generated(&manifest),
        limits: Limits::default(),
    })
}

/// The files of a document's package, as both proposals and gates expect them.
pub fn files_of(document: &Document) -> Result<Manifest, Vec<Problem>> {
    let default_price =
        DEFAULT_PRICE.parse().map_err(|e| vec![Problem { path: String::new(), text: format!("the default price: {e:?}") }])?;
    scaffold::manifest(document, &Options { default_price })
}

/// The one prim.yaml among the files, read.
fn document<'a>(path: &str, files: &'a [SourceFile]) -> Result<(&'a str, Document), PortError> {
    let mut documents = files.iter().filter(|file| matches!(file.path.split('/').collect::<Vec<_>>()[..], ["packages", _, "prim.yaml"]));
    let (Some(file), None) = (documents.next(), documents.next()) else {
        return Err(PortError::invalid(path, "needs exactly one packages/<id>/prim.yaml"));
    };
    let document = prim::read(&file.content).map_err(|problems| PortError::invalid(&format!("{path}: {}", file.path), all(&problems)))?;
    if file.path != format!("packages/{}/prim.yaml", document.id) {
        return Err(PortError::invalid(
            &format!("{path}: {}", file.path),
            format!("its id is {}, which is another package's", document.id),
        ));
    }
    Ok((&file.path, document))
}

fn all(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn terms(env: &BTreeMap<String, String>) -> Terms {
    let value = |name: &str, otherwise: &str| env.get(name).map_or(otherwise, String::as_str).to_owned();
    Terms { network: value("X402_NETWORK", "eip155:84532"), pay_to: value("X402_PAY_TO", NOBODY), asset: None }
}

fn route(summary: &RouteSummary) -> Option<Route> {
    let method = match summary.method.as_str() {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "PATCH" => Method::Patch,
        "DELETE" => Method::Delete,
        _ => return None,
    };
    let example = summary.example.as_ref().map(|e| Example {
        params: BTreeMap::new(),
        query: e.query.clone(),
        headers: e.headers.clone(),
        body: e.body.clone(),
    });
    Some(Route {
        method,
        path: summary.path.clone(),
        price: summary.micros.map_or(Price::Free, |micros| Price::Exactly { micros }),
        status: summary.status,
        errors: summary.answers.clone(),
        example,
        upstream: summary.backend == "provider",
        response: None,
    })
}

/// Files that are the document's and nobody else's: a change has them exactly so.
fn generated(manifest: &Manifest) -> Vec<Generated> {
    let ours = manifest.files.iter().filter(|file| file.kind == Kind::Generated);
    ours.map(|file| Generated { path: file.path.clone(), digest: digest(file.content.as_bytes()) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::conditions::Reason;

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
        let plan = plan("spec.target.manifestRef", &files, &factory()).expect("plan");
        assert_eq!((plan.primitive.as_str(), plan.terms.pay_to.as_str()), ("notes", "0x02"));
        assert_eq!(plan.routes.len(), 1);
        assert_eq!(plan.routes[0].price, Price::Free);
        assert!(plan.generated.iter().any(|g| g.path == "packages/notes/src/index.ts"), "the code must be the generated one");
        assert!(plan.generated.iter().all(|g| g.path != "packages/notes/src/service.ts"), "seeded code may change");
    }

    #[test]
    fn what_is_no_package_is_refused_with_its_path() {
        let refused = |files: &[SourceFile]| plan("spec.target.manifestRef", files, &factory()).expect_err("refused");
        for files in [
            vec![],
            vec![SourceFile::new("packages/notes/deep/prim.yaml", FREE)],
            vec![SourceFile::new("packages/notes/prim.yaml", FREE), SourceFile::new("packages/other/prim.yaml", FREE)],
            vec![SourceFile::new("packages/other/prim.yaml", FREE)],
            vec![SourceFile::new("packages/notes/prim.yaml", "id: [")],
        ] {
            let error = refused(&files);
            assert_eq!(error.reason, Reason::Invalid);
            assert!(error.message.starts_with("spec.target.manifestRef"), "{}", error.message);
        }
    }
}
