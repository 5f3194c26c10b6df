//! When a gate layer that came to its verdict is run again: each primitive has its
//! own moment in the Factory's interval, so that thousands of them, judged in one
//! hour, are not judged again in one.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::api::{gate_run::Layer, names::PrimitiveId, policy::GatesSpec};

/// When a verdict of this time is due again; never where the policy has no interval.
/// At the primitive's first moment that is half an interval away at least, and so at
/// most one and a half; from then on once in each.
pub(super) fn due(policy: &GatesSpec, id: &PrimitiveId, layer: Layer, at: Timestamp) -> Option<Timestamp> {
    let interval = policy.regate_every_seconds;
    if interval <= 0 {
        return None;
    }
    let moment = moment(id, layer).checked_rem_euclid(interval)?;
    let earliest = at.as_second().checked_add(interval / 2)?;
    let wait = (moment - earliest).checked_rem_euclid(interval)?;
    at.checked_add(SignedDuration::from_secs(interval / 2 + wait)).ok()
}

/// A number that follows from the name, spread over all there are.
fn moment(id: &PrimitiveId, layer: Layer) -> i64 {
    let hash = Sha256::digest(format!("{id} {}", layer.as_str()));
    hash.iter().take(7).fold(0, |number, byte| number << 8 | i64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(seconds: i64) -> GatesSpec {
        GatesSpec { regate_every_seconds: seconds, ..GatesSpec::default() }
    }

    #[test]
    fn each_has_its_own_moment_and_no_two_intervals_pass_without_it() {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let interval = 3600;
        let mut minutes = [0; 60];
        for number in 0..1200 {
            let id: PrimitiveId = format!("p{number}").parse().unwrap();
            let first = due(&policy(interval), &id, Layer::Contract, at).unwrap();
            let wait = first.duration_since(at).as_secs();
            assert!((interval / 2..interval * 3 / 2).contains(&wait), "{wait}");
            minutes[usize::try_from((wait - interval / 2) / 60).unwrap()] += 1;
            // Judged a little later than due, it keeps its moment.
            let judged = first + SignedDuration::from_secs(90);
            let second = due(&policy(interval), &id, Layer::Contract, judged).unwrap();
            assert_eq!(second.duration_since(first).as_secs(), interval);
            assert_ne!(due(&policy(interval), &id, Layer::Canary, at), Some(first), "nor both layers at once");
        }
        assert!(minutes.iter().all(|count| (5..=45).contains(count)), "{minutes:?}");
        assert_eq!(due(&policy(0), &"notes".parse().unwrap(), Layer::Contract, at), None);
    }
}
