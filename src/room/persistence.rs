//! Whoever is asked again where a failure passes by itself.

use std::time::Duration;

use tokio::time::sleep;

use crate::ports::error::{Class, PortError};

/// How often something is asked that fails by itself, and how long is waited in between.
#[derive(Clone, Copy, Debug)]
pub struct Persistence {
    /// How often it is asked at most.
    pub tries: u32,
    /// Between two tries.
    pub pause: Duration,
    /// Longest wait for a server that asks to wait.
    pub most: Duration,
}

impl Persistence {
    /// Asks until it is answered otherwise than by a failure that passes by itself.
    pub async fn ask<T, F: Future<Output = Result<T, PortError>>>(&self, call: impl Fn() -> F) -> Result<T, PortError> {
        let mut tries = 1;
        loop {
            match call().await {
                Err(error) if tries < self.tries && matches!(error.class, Class::Transient | Class::RateLimited(_)) => {
                    let wait = if let Class::RateLimited(wait) = error.class { wait.min(self.most) } else { self.pause };
                    sleep(wait).await;
                    tries += 1;
                }
                done => return done,
            }
        }
    }
}
