//! Lists over all services: for models, for those who pay, for those who look
//! around.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::{Value, json};

use super::{Service, json, line, openapi};
use crate::{prim::Route, scaffold::RouteSummary};

pub(super) fn files(services: &[&Service]) -> BTreeMap<String, String> {
    let pricing: Vec<_> = services.iter().map(|service| priced(service)).collect();
    let offers: Vec<_> = services.iter().flat_map(|service| offers(service)).collect();
    [
        ("llms.txt".to_owned(), llms(services)),
        ("pricing.json".to_owned(), json(&json!({ "services": pricing }))),
        (".well-known/x402.json".to_owned(), json(&json!({ "x402Version": 2, "resources": offers }))),
    ]
    .into()
}

fn routes(service: &Service) -> impl Iterator<Item = (&Route, &RouteSummary)> {
    service.document.routes.iter().zip(&service.manifest.routes)
}

/// For models, as llmstxt.org describes such a file.
fn llms(services: &[&Service]) -> String {
    let mut text = String::from(
        "# Services\n\n> HTTP services for software agents. A priced route answers 402 with its terms, and is paid by x402.\n",
    );
    for service in services {
        let document = &service.document;
        let _ = write!(text, "\n## {}\n\n{}\n\nhttps://{}\n\n", line(&document.name), line(&document.description), document.endpoint);
        for (route, summary) in routes(service) {
            let _ = writeln!(text, "- `{route}` ({}): {}", summary.price, line(&route.description));
        }
        for hint in document.quick_start.iter().chain(&document.limits).chain(&document.tips) {
            let _ = writeln!(text, "- {}", line(hint));
        }
    }
    text
}

fn priced(service: &Service) -> Value {
    let document = &service.document;
    let routes =
        routes(service).map(|(route, summary)| json!({ "route": route.to_string(), "price": summary.price, "micros": summary.micros }));
    json!({ "id": document.id, "name": document.name, "url": format!("https://{}", document.endpoint), "routes": routes.collect::<Vec<_>>() })
}

/// What is sold. The terms themselves, with network and payee, are the answer of
/// the route.
fn offers(service: &Service) -> Vec<Value> {
    let paid = routes(service).filter(|(_, summary)| summary.micros.is_some());
    let offer = |(route, summary): (&Route, &RouteSummary)| {
        json!({
            "resource": format!("https://{}{}", service.document.endpoint, openapi::template(route)),
            "method": route.method.as_str(),
            "description": line(&route.description),
            "price": summary.price,
        })
    };
    paid.map(offer).collect()
}
