//! Single calls that fail, and a count of all.

use std::collections::BTreeMap;

use flywheel::ports::error::PortError;

use super::Outage;

/// When a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Nothing has happened.
    Before,
    /// What was asked for has happened, and the answer is lost.
    After,
}

/// Which calls of a server fail, by the name of the port's method.
#[derive(Debug, Default)]
pub struct Faults {
    due: Vec<(&'static str, When, Outage)>,
    calls: BTreeMap<&'static str, u32>,
}

impl Faults {
    /// The next call of `operation` fails; said twice, the next two.
    pub fn fail(&mut self, operation: &'static str, when: When, outage: Outage) {
        self.due.push((operation, when, outage));
    }

    /// How often `operation` was called.
    pub fn calls(&self, operation: &str) -> u32 {
        self.calls.get(operation).copied().unwrap_or_default()
    }

    /// How often anything was called.
    pub fn all_calls(&self) -> u32 {
        self.calls.values().sum()
    }

    /// Counts a call, and says how it will fail.
    fn begin(&mut self, operation: &'static str) -> Option<(When, Outage)> {
        *self.calls.entry(operation).or_default() += 1;
        let at = self.due.iter().position(|(name, ..)| *name == operation)?;
        let (_, when, outage) = self.due.remove(at);
        Some((when, outage))
    }
}

/// One call of a server: `faults` finds its faults in the state.
pub fn call<S, T>(
    state: &mut S,
    faults: impl FnOnce(&mut S) -> &mut Faults,
    operation: &'static str,
    server: &str,
    effect: impl FnOnce(&mut S) -> Result<T, PortError>,
) -> Result<T, PortError> {
    match faults(state).begin(operation) {
        Some((When::Before, outage)) => Err(outage.error(server)),
        Some((When::After, outage)) => effect(state).and_then(|_| Err(outage.error(server))),
        None => effect(state),
    }
}
