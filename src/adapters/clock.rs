//! The machine's clock.

use jiff::Timestamp;

use crate::ports::clock::Clock;

/// Reads the machine's clock; the only place that does.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
