//! What the probes of a process are told: whether it has started, is alive, is ready.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

/// How long the main loop may take from one tick to the next.
const TICK_WITHIN: Duration = Duration::from_secs(30);

/// The health of a process. Clones share it.
#[derive(Clone, Debug)]
pub struct Health {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Ticks are kept as milliseconds since this: one atomic number, so that a tick costs nothing.
    born: Instant,
    ticked_ms: AtomicU64,
    tick_within: Duration,
    started: AtomicBool,
    draining: AtomicBool,
    checks: Mutex<BTreeMap<String, Check>>,
}

/// One thing a process needs in order to be ready.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Check {
    ok: bool,
    detail: String,
}

/// The answer to "are you ready", as it is served.
#[derive(Debug, Serialize)]
pub(crate) struct Readiness {
    /// `ready`, `starting`, `draining` or `failing`.
    pub(crate) status: &'static str,
    pub(crate) checks: BTreeMap<String, Check>,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// A process that has not started yet.
    pub fn new() -> Self {
        Self::with_limit(TICK_WITHIN)
    }

    /// Like [`Health::new`], with another time within which the main loop must tick.
    pub fn with_limit(tick_within: Duration) -> Self {
        Self {
            inner: Arc::new(Inner {
                born: Instant::now(),
                ticked_ms: AtomicU64::new(0),
                tick_within,
                started: AtomicBool::new(false),
                draining: AtomicBool::new(false),
                checks: Mutex::default(),
            }),
        }
    }

    /// Start-up is over: settings read, Redis reached and found fit. From here the main loop ticks.
    pub fn started(&self) {
        self.tick();
        self.inner.started.store(true, Ordering::Release);
    }

    /// The main loop came round.
    pub fn tick(&self) {
        let since = u64::try_from(self.inner.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.inner.ticked_ms.store(since, Ordering::Release);
    }

    /// We are leaving: not ready any more, still alive. The main loop goes on ticking until it ends.
    pub fn set_draining(&self) {
        self.inner.draining.store(true, Ordering::Release);
    }

    /// Sets a named condition of readiness; `detail` says why, and is shown to whoever asks.
    ///
    /// No secret and no personal value belongs into it.
    pub fn set_check(&self, name: &str, ok: bool, detail: impl Into<String>) {
        let mut checks = self.inner.checks.lock().unwrap_or_else(PoisonError::into_inner);
        checks.insert(name.to_owned(), Check { ok, detail: detail.into() });
    }

    /// Whether start-up is over.
    pub fn is_started(&self) -> bool {
        self.inner.started.load(Ordering::Acquire)
    }

    /// Whether the main loop ticked in time. Before the start it need not; no peer is ever asked.
    pub fn is_live(&self) -> bool {
        self.is_live_at(Instant::now())
    }

    fn is_live_at(&self, now: Instant) -> bool {
        let ticked = Duration::from_millis(self.inner.ticked_ms.load(Ordering::Acquire));
        !self.is_started() || now.duration_since(self.inner.born).saturating_sub(ticked) <= self.inner.tick_within
    }

    /// Whether work may be given to this process: started, not draining, every condition met.
    pub fn is_ready(&self) -> bool {
        self.readiness().status == "ready"
    }

    pub(crate) fn readiness(&self) -> Readiness {
        let checks = self.inner.checks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let status = if self.inner.draining.load(Ordering::Acquire) {
            "draining"
        } else if !self.is_started() {
            "starting"
        } else if checks.values().all(|check| check.ok) {
            "ready"
        } else {
            "failing"
        };
        Readiness { status, checks }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_loop_that_stops_ticking_is_not_alive_after_30_seconds() {
        let health = Health::new();
        health.started();
        let now = Instant::now();
        assert!(health.is_live_at(now));
        assert!(health.is_live_at(now + 29 * SECOND));
        assert!(!health.is_live_at(now + 31 * SECOND));
    }

    #[test]
    fn a_process_that_waits_for_redis_at_start_is_alive() {
        let health = Health::new();
        assert!(health.is_live_at(Instant::now() + 3600 * SECOND));
        assert!(!health.is_ready());
    }

    #[test]
    fn a_drain_makes_unready_and_not_dead() {
        let health = Health::new();
        health.started();
        assert!(health.is_ready());
        health.set_draining();
        assert!(!health.is_ready() && health.is_live());
    }

    #[test]
    fn one_failing_check_makes_unready_until_it_passes() {
        let health = Health::new();
        health.started();
        health.set_check("redis", true, "PONG");
        health.set_check("partitions", false, "64 expected, 32 stored");
        assert_eq!(health.readiness().status, "failing");
        health.set_check("partitions", true, "64");
        assert!(health.is_ready());
    }
}
