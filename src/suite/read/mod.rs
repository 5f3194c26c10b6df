//! From a text to a [`Plan`], within bounds: a plan may come from anybody. It says
//! everything that is wrong at once, and judges nothing that `lint.rs` does. `ours.rs`
//! has the strict form, which `schema.rs` publishes, `primsh.rs` the lenient one.

mod fields;
mod once;
mod ours;
mod patterns;
mod primsh;

use serde_json::Value;

use super::{
    finding::{Code, Finding},
    plan::{Mode, Plan},
};

pub(super) use once::check as once;
pub(super) use ours::{EXACT, LONGEST, METHODS, MOST_TRIES};
pub(super) use patterns::{SCHEMAS, word};

/// Bytes of the largest plan.
pub const LARGEST: usize = 32 * 1024 * 1024;
/// Tests of the largest plan.
pub const MOST_TESTS: usize = 20_000;
/// Levels of objects and arrays in the deepest plan.
const DEEPEST: usize = 64;
/// Values in the largest plan.
const MOST_VALUES: usize = 4_000_000;
/// Findings that are said; more are the same mistake over and over.
const MOST_FINDINGS: usize = 1_000;

/// Reads JSON, or YAML. All problems come at once. With [`Mode::Primsh`] whatever
/// prim.sh's runner stumbles over only while it runs is taken.
pub fn read(text: &str, mode: Mode) -> Result<Plan, Vec<Finding>> {
    let value = parse(text).map_err(|finding| vec![finding])?;
    if mode == Mode::Ours {
        once::check(text).map_err(|problem| vec![Finding::new(Code::NotRead, "", format!("the plan is no such JSON: {problem}"))])?;
    }
    from_value(&value, mode)
}

/// Reads a plan that is parsed already.
pub fn from_value(value: &Value, mode: Mode) -> Result<Plan, Vec<Finding>> {
    bounded(value).map_err(|finding| vec![finding])?;
    match mode {
        Mode::Ours => ours::plan(value),
        Mode::Primsh => primsh::plan(value),
    }
}

/// A text as a value.
pub fn parse(text: &str) -> Result<Value, Finding> {
    if text.len() > LARGEST {
        return Err(Finding::new(Code::TooLarge, "", format!("the plan has {} bytes, and {LARGEST} are read", text.len())));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let error = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let options = serde_saphyr::options! {
        with_snippet: false,
        strict_booleans: true,
        underscored_numbers_as_strings: true,
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 10_000 },
        budget: serde_saphyr::budget! { max_documents: 1, max_depth: DEEPEST, max_nodes: MOST_VALUES, max_events: MOST_VALUES, max_aliases: 1_000 },
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|yaml| {
        // Whoever begins like JSON means JSON.
        let said = if text.trim_start().starts_with(['{', '[']) { format!("JSON: {error}") } else { format!("YAML: {yaml}") };
        let said: String = said.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect();
        Finding::new(Code::NotRead, "", format!("the plan is not {said}"))
    })
}

/// Refuses what is too deep or has too much in it.
fn bounded(value: &Value) -> Result<(), Finding> {
    let mut level = vec![value];
    let mut count = 0;
    for _ in 0..=DEEPEST {
        count += level.len();
        if count > MOST_VALUES {
            return Err(Finding::new(Code::TooLarge, "", format!("the plan has more than {MOST_VALUES} values")));
        }
        let mut next = Vec::new();
        for value in level {
            match value {
                Value::Array(entries) => next.extend(entries),
                Value::Object(map) => next.extend(map.values()),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        if next.is_empty() {
            return Ok(());
        }
        level = next;
    }
    Err(Finding::new(Code::TooLarge, "", format!("the plan has more than {DEEPEST} levels")))
}
