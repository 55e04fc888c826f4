//! How often one process asks Exist at most, whoever it asks for, and how much of that is used.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use governor::{Quota, RateLimiter};
use telemetry::{Histogram, gauge, histogram, metric::PEER_REQUESTS};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use worker::{Ticket, Tickets};

/// Requests to Exist a second from one process: politeness, not a rule of Exist.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(50).expect("50 is not 0");
/// Tickets that are made up for when this process was late to issue them.
const LATE_MAX: NonZeroU32 = NonZeroU32::new(10).expect("10 is not 0");
/// How often the share in use is told.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// What Exist is asked for, as the metrics name it.
const OPERATIONS: [&str; 8] = ["acquire", "create", "increment", "owned", "profile", "refresh", "update", "values"];

/// No request may start yet.
#[derive(Debug)]
pub(crate) struct TooSoon;

/// One process' limit. Clones share it.
#[derive(Clone)]
pub(crate) struct Politeness {
    tickets: Tickets,
    used: Arc<AtomicU32>,
    waits: Histogram,
    put_off: Duration,
}

impl Politeness {
    /// Whoever is refused comes again after `put_off`.
    pub(crate) fn new(put_off: Duration) -> Self {
        telemetry::touch_open(&PEER_REQUESTS, "write", &["none"], &[("peer", &["exist"]), ("operation", &OPERATIONS)]);
        Self {
            tickets: Tickets::new(PER_SECOND.get()),
            used: Arc::default(),
            waits: histogram!(RATE_LIMIT_WAIT_SECONDS, budget = "exist_global"),
            put_off,
        }
    }

    /// A second's requests at most, that turns begin with.
    pub(crate) fn tickets(&self) -> Tickets {
        self.tickets.clone()
    }

    /// Takes one request: the turn's own ticket pays for its first.
    ///
    /// # Errors
    /// [`TooSoon`]: nothing was taken.
    pub(crate) fn check(&self, own: Option<&Ticket>) -> Result<(), TooSoon> {
        let has_one = own.is_some_and(Ticket::spend) || self.tickets.take().is_some_and(|another| another.spend());
        let allowed = if has_one { Ok(()) } else { Err(TooSoon) };
        let wait = if allowed.is_ok() { Duration::ZERO } else { self.put_off };
        self.waits.record(wait.as_secs_f64());
        if allowed.is_ok() {
            self.used.fetch_add(1, Ordering::Relaxed);
        }
        allowed
    }

    /// Issues tickets at their pace, until `stop`.
    pub(crate) async fn issue(self, stop: CancellationToken) {
        let limiter = RateLimiter::direct(Quota::per_second(PER_SECOND).allow_burst(LATE_MAX));
        while stop.run_until_cancelled(limiter.until_ready()).await.is_some() {
            self.tickets.issue();
        }
    }

    /// Tells the share in use until `stop`: a gauge that only requests moved would stand still with them.
    pub(crate) async fn tell(self, stop: CancellationToken) {
        let used = gauge!(RATE_LIMIT_USED_RATIO, budget = "exist_global");
        let mut tick = interval(TELL_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            used.set(share(self.used.swap(0, Ordering::Relaxed)));
        }
    }
}

/// The share of a second's requests, from 0 to 1: a burst after a pause may take more.
#[expect(clippy::float_arithmetic, reason = "a gauge's unit is a ratio; no amount is made of it")]
fn share(requests: u32) -> f64 {
    (f64::from(requests) / f64::from(PER_SECOND.get())).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_told_as_a_share_of_a_second() {
        let polite = Politeness::new(Duration::from_millis(300));
        let own = polite.tickets().take().unwrap();
        let allowed = (0..200).filter(|_| polite.check(Some(&own)).is_ok()).count();
        assert_eq!(allowed, 50);
        assert_eq!(usize::try_from(polite.used.load(Ordering::Relaxed)), Ok(allowed));
        assert!((share(25) - 0.5).abs() < f64::EPSILON && share(70) <= 1.0);
    }
}
