//! Places where a test has the process die, as a power cut would: between any two
//! effects on the outside world. Set by `FLYWHEEL_FAILPOINT`, such as
//! `merge:after` or `commit_files:before:2` (the second time); empty in production.

/// Where to die.
#[derive(Debug, Default)]
pub struct Failpoints {
    place: Option<(String, String)>,
    left: std::sync::atomic::AtomicUsize,
}

impl Failpoints {
    /// The place that `setting` names, as `ACTION:before` or `ACTION:after` with an
    /// optional `:N`.
    pub fn parse(setting: &str) -> Result<Self, String> {
        if setting.is_empty() {
            return Ok(Self::default());
        }
        let parts: Vec<_> = setting.split(':').collect();
        let (action, side, times) = match parts[..] {
            [action, side] => (action, side, 1),
            [action, side, times] => (action, side, times.parse().map_err(|_| format!("{times:?} is no number of times"))?),
            _ => return Err(format!("{setting:?} is not ACTION:before or ACTION:after, with an optional :N")),
        };
        if !["before", "after"].contains(&side) || times == 0 {
            return Err(format!("{setting:?} is not ACTION:before or ACTION:after, with an optional :N from 1"));
        }
        Ok(Self { place: Some((action.into(), side.into())), left: times.into() })
    }

    /// Dies here, if this is the place and it was reached often enough.
    pub fn reach(&self, action: &str, side: &str) {
        let here = self.place.as_ref().is_some_and(|(a, s)| a == action && s == side);
        if here && self.left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 1 {
            tracing::error!(action, side, "failpoint reached: this process ends here");
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_or_refused() {
        for good in ["", "merge:before", "merge:after", "commit_files:after:2"] {
            assert!(Failpoints::parse(good).is_ok(), "{good}");
        }
        for bad in ["merge", "merge:during", "merge:after:0", "merge:after:x", "a:b:c:d"] {
            assert!(Failpoints::parse(bad).is_err(), "{bad}");
        }
        // Another place than its own costs nothing.
        Failpoints::parse("merge:after").unwrap().reach("merge", "before");
    }
}
