//! How long Primitives and Factories wait where nothing has failed. What failed
//! waits by its class, in `retry.rs`; who waits for a watch alone, until the resync.

use std::time::Duration;

use jiff::Timestamp;

/// What moves, and nobody tells about: the next step is ours, or somebody's in a
/// moment.
pub const SOON: Duration = Duration::from_secs(1);
/// What a watch usually tells about, while it goes on.
pub const POLL: Duration = Duration::from_secs(5);
/// What somebody else holds or must mend, where no watch tells that they did.
pub const HELD: Duration = Duration::from_secs(60);
/// A name that does not answer: the first and the longest wait.
pub const PROBES: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// How long a Factory may take to notice a merge. After that the base branch that
/// it sees is taken to be newer than the merge.
pub const NOTICED: Duration = Duration::from_secs(60);

/// Longer waits the longer it has lasted, so that none is counted.
pub fn growing(since: Option<Timestamp>, now: Timestamp, (first, longest): (Duration, Duration)) -> Duration {
    (age(since, now) / 8).clamp(first, longest)
}

/// How long it has lasted; nothing where it begins now, or by a clock ahead of ours.
pub fn age(since: Option<Timestamp>, now: Timestamp) -> Duration {
    since.and_then(|since| Duration::try_from(now.duration_since(since)).ok()).unwrap_or_default()
}
