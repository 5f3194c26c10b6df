//! The five checks as requests and judgements, without a socket: the service
//! answers `GET /`, asks the declared price of whoever has not paid, takes a
//! payment, answers as declared, and refuses bad input. That it boots is shown
//! by there being an answer.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    payment::{self, Offer},
    plan::{Plan, Price, Route},
    shape,
};
use crate::api::http::Method;

/// Value of a path parameter that no example gives.
const PARAMETER: &str = "test-id-001";
/// Bytes that are no JSON.
const NO_JSON: &str = "{\"this is\": ";
/// Longest piece of an answer that a message repeats.
const EXCERPT: usize = 200;

/// A request to make.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Method.
    pub method: &'static str,
    /// Path and query, encoded.
    pub target: String,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// Body, sent as JSON.
    pub body: Option<String>,
}

impl Request {
    /// A request without headers and body.
    pub fn get(target: &str) -> Self {
        Self { method: "GET", target: target.into(), headers: BTreeMap::new(), body: None }
    }

    /// The same request, paid.
    pub fn paid(mut self, payment: String) -> Self {
        self.headers.insert(payment::SIGNATURE.into(), payment);
        self
    }
}

/// An answer, read up to a limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// The header with payment terms, if it is there and text.
    pub payment_required: Option<String>,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Status and the body's beginning, for a message.
    fn excerpt(&self) -> String {
        let text: String = String::from_utf8_lossy(&self.body).chars().take(EXCERPT).filter(|c| !c.is_control()).collect();
        format!("{} {text:?}", self.status)
    }

    /// Every error has one shape, whoever made it.
    fn envelope(&self) -> Result<(), String> {
        let error = self.json().map(|body| body["error"].clone()).unwrap_or_default();
        if error["code"].is_string() && error["message"].is_string() {
            return Ok(());
        }
        Err(format!("the error answer is {}, and its body must be {{\"error\": {{\"code\", \"message\"}}}}", self.excerpt()))
    }
}

/// What the stub facilitator was asked about one payment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// Requirements that the service wanted verified.
    pub verified: Vec<Value>,
    /// Requirements that the service wanted settled.
    pub settled: Vec<Value>,
}

/// The health answer.
pub fn health(plan: &Plan, answer: &Answer) -> Result<(), String> {
    let wanted = format!("200 {{\"service\": {:?}, \"status\": \"ok\"}}", plan.names.last().unwrap_or(&plan.primitive));
    let body = answer.json().unwrap_or_default();
    let named = body["service"].as_str().is_some_and(|name| plan.names.iter().any(|n| n == name));
    if answer.status == 200 && named && body["status"] == "ok" {
        Ok(())
    } else {
        Err(format!("GET / answers {}, not {wanted}", answer.excerpt()))
    }
}

/// The request of a route: its example, or the best guess.
pub fn request(route: &Route) -> Request {
    let example = route.example.clone().unwrap_or_default();
    let part = |part: &str| match part.strip_prefix(':') {
        // Hono's `:id{[0-9]+}` and `:id?` name `id`.
        Some(name) => {
            let name: String = name.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            encode(example.params.get(&name).map_or(PARAMETER, String::as_str))
        }
        None => part.to_owned(),
    };
    let path = route.path.split('/').map(part).collect::<Vec<_>>().join("/");
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&example.query).finish();
    let body = route.method.has_body().then(|| example.body.unwrap_or_else(|| json!({})).to_string());
    let target = match &route.sample {
        Some(sample) if route.example.is_none() => sample.clone(),
        _ if query.is_empty() => path,
        _ => format!("{path}?{query}"),
    };
    Request { method: route.method.as_str(), target, headers: example.headers, body }
}

/// A request of the route that can't be understood, where the document says that
/// there is such a thing.
pub fn bad_request(route: &Route) -> Option<Request> {
    let taken = route.errors.contains(&400) || route.example.as_ref().is_some_and(|e| e.body.is_some());
    (route.reads_json && route.method.has_body() && taken).then(|| Request { body: Some(NO_JSON.into()), ..request(route) })
}

/// The answer to a caller who has not paid.
pub fn unpaid(plan: &Plan, route: &Route, answer: &Answer) -> Result<Offer, String> {
    if answer.status != 402 {
        return Err(format!("an unpaid call is answered {}, not 402", answer.excerpt()));
    }
    answer.envelope()?;
    payment::offer(answer.payment_required.as_deref(), &route.price, &plan.terms)
}

/// The answer to a payment that the facilitator refused.
pub fn refused(answer: &Answer, asked: &Asked) -> Result<(), String> {
    if answer.status != 402 {
        return Err(format!("a call whose payment the facilitator refused is answered {}, not 402", answer.excerpt()));
    }
    if asked.settled.is_empty() { Ok(()) } else { Err("a payment was settled that the facilitator had refused".into()) }
}

/// The answer to a call that was paid.
pub fn paid(plan: &Plan, route: &Route, answer: &Answer, asked: &Asked) -> Result<(), String> {
    answered(route, answer)?;
    let charged = answer.status < 400;
    if asked.verified.is_empty() {
        return Err("the facilitator was never asked whether the payment is valid".into());
    }
    for requirements in asked.verified.iter().chain(&asked.settled) {
        payment::check(requirements, &route.price, &plan.terms).map_err(|e| format!("the facilitator was asked about other terms: {e}"))?;
    }
    match (charged, asked.settled.len()) {
        (true, 0) => Err("a call was answered and its payment not settled".into()),
        (false, 1..) => Err(format!("a call was answered {} and its payment settled all the same", answer.status)),
        (_, 2..) => Err("one payment was settled more than once".into()),
        _ => Ok(()),
    }
}

/// The answer to a call of a free route, or to one that was paid.
pub fn answered(route: &Route, answer: &Answer) -> Result<(), String> {
    let expected = expected(route);
    if !expected.contains(&answer.status) {
        let list = expected.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        return Err(format!("it answers {}, and {list} is declared", answer.excerpt()));
    }
    if answer.status >= 400 {
        return answer.envelope();
    }
    match &route.response {
        None => Ok(()),
        Some(schema) => {
            let body = answer.json().ok_or_else(|| format!("it answers {}, and JSON is declared", answer.excerpt()))?;
            shape::mismatch(schema, &body).map_or(Ok(()), |problem| Err(format!("{problem}: {}", answer.excerpt())))
        }
    }
}

/// The statuses that answer [`request`] as declared. Only a request that is known
/// to be good must succeed; a guessed one may be refused.
fn expected(route: &Route) -> Vec<u16> {
    let mut statuses = vec![route.status];
    let parameters = route.path.contains("/:");
    let declared = |status: &u16| match status {
        402 => false,
        502..=504 => route.upstream,
        _ => route.example.is_none(),
    };
    statuses.extend(route.errors.iter().copied().filter(declared));
    if route.example.is_none() {
        statuses.extend(route.method.has_body().then_some(400));
        statuses.extend(parameters.then_some(404));
    }
    statuses.sort_unstable();
    statuses.dedup();
    statuses
}

/// The answer to bad input.
pub fn bad_input(answer: &Answer, asked: &Asked) -> Result<(), String> {
    if answer.status != 400 {
        return Err(format!("a body that is no JSON is answered {}, not 400", answer.excerpt()));
    }
    if !asked.settled.is_empty() {
        return Err("bad input was refused and its payment settled all the same".into());
    }
    answer.envelope()
}

/// Whether a route is paid.
pub fn is_paid(route: &Route) -> bool {
    route.price != Price::Free
}

/// A request that reads what a paid GET route answers, by the method that HTTP
/// derives from it: routers serve HEAD by themselves, and paywalls forget it.
pub fn head(route: &Route) -> Option<Request> {
    (route.method == Method::Get).then(|| Request { method: "HEAD", ..request(route) })
}

fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::plan::{Example, Limits, Terms};

    fn plan() -> Plan {
        Plan {
            primitive: "echo".into(),
            names: vec!["echo".into(), "echo.sh".into()],
            terms: Terms { network: "eip155:84532".into(), pay_to: "0x01".into(), asset: None },
            env: BTreeMap::new(),
            routes: Vec::new(),
            generated: Vec::new(),
            preview: None,
            limits: Limits::default(),
        }
    }

    fn route(method: Method, path: &str) -> Route {
        Route {
            method,
            path: path.into(),
            price: Price::Exactly { micros: 1000 },
            reads_json: true,
            status: 200,
            errors: vec![400, 402, 502],
            example: None,
            upstream: false,
            response: None,
            sample: None,
            tests: Vec::new(),
        }
    }

    fn answer(status: u16, body: &Value) -> Answer {
        Answer { status, payment_required: None, body: body.to_string().into_bytes() }
    }

    fn error(status: u16) -> Answer {
        answer(status, &json!({ "error": { "code": "c", "message": "m" } }))
    }

    fn way() -> Value {
        json!({ "scheme": "exact", "network": "eip155:84532", "amount": "1000", "payTo": "0x01" })
    }

    #[test]
    fn a_guess_asks_for_what_is_understood() {
        let mut nearby = route(Method::Get, "/v1/nearby/:n");
        assert_eq!(request(&nearby).target, "/v1/nearby/test-id-001");
        nearby.sample = Some("/v1/nearby/1?word=test".into());
        assert_eq!(request(&nearby).target, "/v1/nearby/1?word=test");
        nearby.example = Some(Example { params: [("n".into(), "7".into())].into(), ..Example::default() });
        assert_eq!(request(&nearby).target, "/v1/nearby/7", "an example is known to be good");
    }

    #[test]
    fn health_names_the_service() {
        assert_eq!(health(&plan(), &answer(200, &json!({ "service": "echo.sh", "status": "ok", "more": 1 }))), Ok(()));
        for wrong in [answer(200, &json!({ "service": "other", "status": "ok" })), answer(204, &json!(null)), Answer::default()] {
            assert!(health(&plan(), &wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_guess_may_be_refused_and_an_example_not() {
        let mut guessed = route(Method::Post, "/v1/items/:id");
        assert_eq!(expected(&guessed), [200, 400, 404]);
        guessed.upstream = true;
        assert_eq!(expected(&guessed), [200, 400, 404, 502]);
        guessed.example = Some(Example::default());
        assert_eq!(expected(&guessed), [200, 502]);
        assert!(answered(&guessed, &error(500)).is_err(), "500 is never declared");
    }

    #[test]
    fn requests_are_made_of_the_example() {
        let mut route = route(Method::Put, "/v1/items/:id/:part{[a-z]+}");
        assert_eq!(request(&route).target, "/v1/items/test-id-001/test-id-001");
        let of = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        route.example = Some(Example {
            params: of(&[("part", "a/b c")]),
            query: of(&[("q", "x&y")]),
            body: Some(json!({ "a": 1 })),
            ..Example::default()
        });
        let made = request(&route);
        assert_eq!((made.target.as_str(), made.body.as_deref()), ("/v1/items/test-id-001/a%2Fb%20c?q=x%26y", Some("{\"a\":1}")));
        assert!(bad_request(&route).is_some());
        let bytes = Route { reads_json: false, ..route.clone() };
        assert!(bad_request(&bytes).is_none(), "to a route of raw bytes nothing is bad");
        route.method = Method::Get;
        assert!(bad_request(&route).is_none() && head(&route).is_some());
    }

    #[test]
    fn money_moves_for_answers_alone_and_once() {
        let (plan, route) = (plan(), route(Method::Post, "/v1/echo"));
        let asked = |verified: usize, settled: usize| Asked { verified: vec![way(); verified], settled: vec![way(); settled] };
        let good = answer(200, &json!({}));
        assert_eq!(paid(&plan, &route, &good, &asked(1, 1)), Ok(()));
        assert_eq!(paid(&plan, &route, &error(400), &asked(1, 0)), Ok(()));
        for (answer, asked, expected) in [
            (&good, asked(0, 0), "never asked"),
            (&good, asked(1, 0), "not settled"),
            (&good, asked(1, 2), "more than once"),
            (&error(400), asked(1, 1), "all the same"),
        ] {
            assert!(paid(&plan, &route, answer, &asked).unwrap_err().contains(expected), "{expected}");
        }
        let mut cheaper = asked(1, 1);
        cheaper.settled[0]["amount"] = "1".into();
        assert!(paid(&plan, &route, &good, &cheaper).unwrap_err().contains("other terms"));
        assert!(refused(&good, &asked(1, 0)).is_err());
        assert!(refused(&error(402), &asked(1, 1)).is_err());
        assert_eq!(refused(&error(402), &asked(1, 0)), Ok(()));
    }

    #[test]
    fn bad_input_has_an_answer_of_its_own() {
        assert_eq!(bad_input(&error(400), &Asked::default()), Ok(()));
        assert!(bad_input(&answer(400, &json!("bad")), &Asked::default()).unwrap_err().contains("error"));
        assert!(bad_input(&error(422), &Asked::default()).is_err());
        assert!(bad_input(&error(400), &Asked { settled: vec![way()], ..Asked::default() }).is_err());
    }

    #[test]
    fn an_unpaid_call_gets_the_declared_terms() {
        let (plan, route) = (plan(), route(Method::Post, "/v1/echo"));
        assert!(unpaid(&plan, &route, &answer(200, &json!({}))).unwrap_err().contains("not 402"));
        assert!(unpaid(&plan, &route, &error(402)).unwrap_err().contains("PAYMENT-REQUIRED"));
    }
}
