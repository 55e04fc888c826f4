//! Leaving a peer alone that fails everybody.

use std::{sync::Mutex, time::Duration};

use telemetry::{Gauge, gauge};
use tokio::time::Instant;

use crate::Backoff;

/// Failures in a row, of whomever, that open it.
const FAILURES_MAX: u32 = 5;
/// How long it stays open: doubling while the peer goes on failing.
const OPEN_FOR: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(15));

/// One peer's breaker in this process. While it is open nothing is attempted and nobody's attempts are
/// used; then one request is let through to see.
pub struct Breaker {
    state: Mutex<State>,
    open: Gauge,
}

#[derive(Default)]
struct State {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    /// Closed.
    #[must_use]
    pub fn new(peer: &str) -> Self {
        let open = gauge!(BREAKER_OPEN, peer = peer.to_owned());
        open.set(0);
        Self { state: Mutex::default(), open }
    }

    /// Whether a request may start now; `Err` says after how long to ask again.
    ///
    /// # Errors
    /// The breaker is open for at least so long.
    pub fn allow(&self) -> Result<(), Duration> {
        let mut state = self.lock();
        let now = Instant::now();
        match state.open_until {
            Some(until) if until > now => Err(until - now),
            Some(_) => {
                // This one goes to see; the others wait for what it finds.
                state.open_until = Some(now + OPEN_FOR.most(1));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// The peer answered, whatever it said.
    pub fn answered(&self) {
        *self.lock() = State::default();
        self.open.set(0);
    }

    /// The peer did not answer, or only with an error of its own.
    pub fn failed(&self) {
        let mut state = self.lock();
        state.failures += 1;
        if state.failures >= FAILURES_MAX {
            state.open_until = Some(Instant::now() + OPEN_FOR.after(state.failures - FAILURES_MAX + 1));
            self.open.set(1);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_five_failures_and_closes_with_the_first_answer() {
        let breaker = Breaker::new("exist");
        for _ in 0..FAILURES_MAX {
            assert!(breaker.allow().is_ok());
            breaker.failed();
        }
        assert!(breaker.allow().is_err());
        breaker.answered();
        assert!(breaker.allow().is_ok());
    }
}
