//! Whether an answer is as a test expects, and what it fills.

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::Value;

use super::{
    capture,
    exchange::Answer,
    hidden,
    pattern::Pattern,
    plan::{Capture, Mode, Plan, Test, Until},
    primsh,
    secrets::Secrets,
    shape::Matcher,
    template::Filler,
    verdict::Outcome,
};

/// Characters of an answer that a note repeats.
const EXCERPT: usize = 200;

/// What is said of one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Pass or fail; Error where the answer broke off.
    pub outcome: Outcome,
    /// Why.
    pub note: Option<String>,
    /// What it fills, by variable.
    pub captures: BTreeMap<String, String>,
    /// Variables that it should have filled and did not.
    pub unfilled: Vec<String>,
}

impl Judgement {
    /// What is said where there is no answer.
    pub(super) fn without(outcome: Outcome, why: &str) -> Self {
        Self { outcome, note: Some(why.to_owned()), captures: BTreeMap::new(), unfilled: Vec::new() }
    }
}

/// Judges an answer by the rules of the plan's mode. Its note may repeat what the
/// answer says: [`Secrets::redact`] is for whoever writes it down.
pub fn judge(plan: &Plan, test: &Test, variables: &BTreeMap<String, String>, answer: &Answer) -> Judgement {
    match plan.mode {
        Mode::Primsh => primsh::judge(test, variables, answer),
        Mode::Ours => ours(&Matcher { plan, variables }, test, answer),
    }
}

/// Whether an answer ends the tries of a test.
pub(super) fn ends(plan: &Plan, until: &Until, variables: &BTreeMap<String, String>, answer: &Answer) -> bool {
    let status = until.status.is_empty() || until.status.contains(&answer.status);
    let matcher = Matcher { plan, variables };
    status && answer.cut.is_none() && until.body.as_ref().is_none_or(|body| shape(&matcher, body, &Body::of(answer)).is_ok())
}

fn ours(matcher: &Matcher, test: &Test, answer: &Answer) -> Judgement {
    let says = |outcome, note: String| Judgement::without(outcome, &note);
    if !test.expected.status.contains(&answer.status) {
        return says(Outcome::Fail, wrong_status(test, answer));
    }
    for (name, wanted) in &test.expected.headers {
        if let Err(problem) = header(matcher, wanted, answer.header(name), &format!("header {name}")) {
            return says(Outcome::Fail, problem);
        }
    }
    if let Some(cut) = &answer.cut {
        return says(Outcome::Error, format!("it answers {}, and its body ends too early: {cut}", answer.status));
    }
    let body = Body::of(answer);
    if let Err(problem) = holds(matcher, test, answer, &body) {
        return says(Outcome::Fail, problem);
    }
    let mut judgement = Judgement { outcome: Outcome::Pass, note: None, captures: BTreeMap::new(), unfilled: Vec::new() };
    for (name, from) in &test.captures {
        let value = match from {
            Capture::Header(header) => answer.header(header),
            Capture::Path(path) => body.json().and_then(|body| capture::at(path, body)),
        };
        match value {
            Some(value) => drop(judgement.captures.insert(name.clone(), value)),
            None => judgement.unfilled.push(name.clone()),
        }
    }
    if !judgement.unfilled.is_empty() {
        judgement.note = Some(format!("its answer has nothing for {}", judgement.unfilled.join(", ")));
    }
    judgement
}

/// All that is expected of the body.
fn holds(matcher: &Matcher, test: &Test, answer: &Answer, body: &Body) -> Result<(), String> {
    if let Some(text) = &test.expected.body_equals {
        let none = Secrets::default();
        let wanted = Filler::of(matcher.variables, &none).fill(text).map_err(|_| format!("{text} is not known"))?.text;
        if answer.body != wanted.as_bytes() {
            return Err(format!("the body is {:?}, and {wanted:?} is expected", excerpt(answer)));
        }
    }
    test.expected.body.as_ref().map_or(Ok(()), |wanted| shape(matcher, wanted, body))
}

/// A header is a text, or where that does not fit the number that it writes.
fn header(matcher: &Matcher, wanted: &Pattern, actual: Option<String>, path: &str) -> Result<(), String> {
    let number = actual.as_deref().and_then(|text| serde_json::from_str::<Value>(text.trim()).ok()).filter(Value::is_number);
    let text = actual.map(Value::from);
    match (matcher.fits(text.as_ref(), wanted, path), number) {
        (Err(problem), Some(number)) => matcher.fits(Some(&number), wanted, path).map_err(|_| problem),
        (fits, _) => fits,
    }
}

fn shape(matcher: &Matcher, wanted: &Pattern, body: &Body) -> Result<(), String> {
    match body {
        Body::None => matcher.fits(None, wanted, "$").map_err(|problem| problem.replacen("$: is not there", "the body is empty", 1)),
        Body::Json(value) => matcher.fits(Some(value), wanted, "$"),
        Body::Text(text, kind) => {
            matcher.fits(Some(text), wanted, "$").map_err(|problem| format!("{problem} (the body is {kind}, not JSON)"))
        }
        Body::Broken(error) if *wanted != Pattern::Anything => {
            Err(format!("the body is said to be JSON, and can't be read as such: {error}"))
        }
        Body::Broken(_) => Ok(()),
    }
}

/// An answer's body as patterns see it.
enum Body {
    /// There is none.
    None,
    /// JSON, `application/problem+json` and its like included.
    Json(Value),
    /// Everything else, and what it is said to be.
    Text(Value, String),
    /// Said to be JSON.
    Broken(String),
}

impl Body {
    fn of(answer: &Answer) -> Self {
        if answer.body.is_empty() {
            return Self::None;
        }
        let kind = answer.header("content-type").unwrap_or_default();
        let media = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let bytes = answer.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&answer.body);
        if media == "application/json" || media.ends_with("+json") {
            match serde_json::from_slice(bytes) {
                Ok(value) => Self::Json(value),
                Err(error) => Self::Broken(error.to_string()),
            }
        } else {
            let media = if media.is_empty() { "of no type".into() } else { media };
            Self::Text(String::from_utf8_lossy(bytes).into(), media)
        }
    }

    fn json(&self) -> Option<&Value> {
        if let Self::Json(value) = self { Some(value) } else { None }
    }
}

/// What is said of another status, with what a problem says of itself (RFC 9457), or
/// this house's errors.
fn wrong_status(test: &Test, answer: &Answer) -> String {
    let wanted = test.expected.status.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ");
    let said = Body::of(answer).json().and_then(|body| {
        let problem: Vec<_> = ["title", "detail"].iter().filter_map(|key| body[key].as_str()).collect();
        let error: Vec<_> = ["code", "message"].iter().filter_map(|key| body["error"][key].as_str()).collect();
        [error, problem].into_iter().find(|said| !said.is_empty()).map(|said| said.join(": "))
    });
    let said = said.map_or_else(|| format!("{:?}", excerpt(answer)), |said| said.chars().take(EXCERPT).collect());
    let said = if answer.body.is_empty() { Cow::Borrowed("no body") } else { Cow::Owned(said) };
    format!("it answers {}, and {wanted} is expected: {said}", answer.status)
}

fn excerpt(answer: &Answer) -> String {
    let whole = String::from_utf8_lossy(&answer.body);
    hidden::body(&whole).chars().take(EXCERPT).filter(|c| !c.is_control()).collect()
}
