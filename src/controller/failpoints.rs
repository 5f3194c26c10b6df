//! Places where a test has the process die, as a power cut would: between any two
//! effects on the outside world. Set by `FLYWHEEL_FAILPOINT`, such as
//! `merge:after` or `commit_files:before:2` (the second time); of several, with
//! commas between, whichever is reached first. Empty in production.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::decide::Action;

/// Where to die.
#[derive(Debug, Default)]
pub struct Failpoints(Vec<Place>);

/// One side of an action, the nth time.
#[derive(Debug)]
struct Place {
    action: &'static str,
    side: &'static str,
    left: AtomicUsize,
}

/// The sides of an action.
pub const SIDES: [&str; 2] = ["before", "after"];

impl Failpoints {
    /// The places that `setting` names, each as `ACTION:before` or `ACTION:after`
    /// with an optional `:N`.
    pub fn parse(setting: &str) -> Result<Self, String> {
        setting.split(',').filter(|place| !place.is_empty()).map(Place::parse).collect::<Result<_, _>>().map(Self)
    }

    /// Dies here, if this is one of the places and it was reached often enough.
    pub fn reach(&self, action: &str, side: &str) {
        for place in self.0.iter().filter(|place| place.action == action && place.side == side) {
            if place.left.fetch_sub(1, Ordering::SeqCst) == 1 {
                tracing::error!(action, side, "failpoint reached: this process ends here");
                std::process::abort();
            }
        }
    }
}

impl Place {
    fn parse(setting: &str) -> Result<Self, String> {
        let parts: Vec<_> = setting.split(':').collect();
        let (action, side, times) = match parts[..] {
            [action, side] => (action, side, 1),
            [action, side, times] => (action, side, times.parse().map_err(|_| format!("{times:?} is no number of times"))?),
            _ => return Err(format!("{setting:?} is not ACTION:before or ACTION:after, with an optional :N")),
        };
        let known = |all: &[&'static str], name: &str| all.iter().copied().find(|known| *known == name);
        let action = known(Action::NAMES, action).ok_or_else(|| format!("{action:?} is no action: one of {}", Action::NAMES.join(", ")))?;
        match (known(&SIDES, side), times) {
            (Some(side), 1..) => Ok(Self { action, side, left: times.into() }),
            _ => Err(format!("{setting:?} is not ACTION:before or ACTION:after, with an optional :N from 1")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_or_refused() {
        for good in ["", "merge:before", "merge:after", "commit_files:after:2", "merge:before,merge:after,release:before:3"] {
            assert!(Failpoints::parse(good).is_ok(), "{good}");
        }
        for bad in ["merge", "merge:during", "merge:after:0", "merge:after:x", "a:b:c:d", "marge:after", "merge:after,merge"] {
            assert!(Failpoints::parse(bad).is_err(), "{bad}");
        }
        // Another place than its own costs nothing.
        Failpoints::parse("merge:after,release:before").unwrap().reach("merge", "before");
    }

    #[test]
    fn every_action_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = Action::NAMES.iter().collect();
        assert_eq!(names.len(), Action::NAMES.len());
    }
}
