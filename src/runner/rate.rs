//! How often a host is asked: requests to one are spread evenly, those to others
//! don't wait for it.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// A rate for each host.
#[derive(Debug)]
pub struct Rate {
    between: Option<Duration>,
    next: Mutex<HashMap<String, Instant>>,
}

impl Rate {
    /// At most so many requests a second to each host; all at once without.
    pub fn new(per_second: Option<f64>) -> Self {
        let between = per_second.filter(|rate| *rate > 0.0).and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok());
        Self { between, next: Mutex::default() }
    }

    /// Waits for this host's turn, and says how long.
    pub async fn turn(&self, host: &str) -> Duration {
        let Some(between) = self.between else { return Duration::ZERO };
        let now = Instant::now();
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let free = next.get(host).copied().filter(|free| *free > now).unwrap_or(now);
            next.insert(host.to_owned(), free + between);
            free
        };
        sleep_until(at).await;
        now.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_host_is_asked_evenly_and_others_at_once() {
        let rate = Rate::new(Some(10.0));
        let began = Instant::now();
        rate.turn("a").await;
        rate.turn("b").await;
        assert_eq!(began.elapsed(), Duration::ZERO);
        for _ in 0..5 {
            rate.turn("a").await;
        }
        assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
        let free = Rate::new(None);
        let began = Instant::now();
        for _ in 0..100 {
            free.turn("a").await;
        }
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}
