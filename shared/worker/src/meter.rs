//! What a stage counts, with the handles looked up once.

use std::time::Duration;

use store::Stage;
use telemetry::{Counter, Histogram, counter, histogram};

/// The hot numbers of one stage.
pub(crate) struct Meter {
    acked: Counter,
    parked: Counter,
    dead_letters: Counter,
    lost: Counter,
    handled: Histogram,
    waited: Histogram,
}

impl Meter {
    pub(crate) fn new(stage: Stage) -> Self {
        let stage = stage.as_str();
        Self {
            acked: counter!(ENTRIES_SETTLED, stage = stage, outcome = "acked"),
            parked: counter!(ENTRIES_SETTLED, stage = stage, outcome = "parked"),
            dead_letters: counter!(ENTRIES_SETTLED, stage = stage, outcome = "dead_letter"),
            lost: counter!(ENTRIES_SETTLED, stage = stage, outcome = "lost"),
            handled: histogram!(HANDLE_SECONDS, stage = stage, outcome = "acked"),
            waited: histogram!(QUEUE_WAIT_SECONDS, stage = stage),
        }
    }

    /// Entries of a batch were settled, so many of them parked.
    pub(crate) fn settled(&self, entries: usize, parked: usize) {
        self.acked.increment(u64::try_from(entries - parked).unwrap_or(0));
        self.parked.increment(u64::try_from(parked).unwrap_or(0));
    }

    /// An entry became a dead letter.
    pub(crate) fn dead_lettered(&self) {
        self.dead_letters.increment(1);
    }

    /// A batch was handled in vain: the partition had passed to another, who handles it again.
    pub(crate) fn lost(&self, entries: usize) {
        self.lost.increment(u64::try_from(entries).unwrap_or(0));
    }

    /// A batch was handled.
    pub(crate) fn handled(&self, took: Duration) {
        self.handled.record(took.as_secs_f64());
    }

    /// How long entries lay in the stream, in milliseconds of Redis' clock.
    pub(crate) fn waited(&self, waits_ms: impl Iterator<Item = u64>) {
        for wait_ms in waits_ms {
            self.waited.record(Duration::from_millis(wait_ms).as_secs_f64());
        }
    }
}

/// An entry will be tried again.
pub(crate) fn retried(stage: Stage, class: &'static str) {
    counter!(RETRIES, stage = stage.as_str(), class = class).increment(1);
}

/// A partition changed hands.
pub(crate) fn lease_moved(stage: Stage, cause: &'static str) {
    counter!(LEASE_MOVES, stage = stage.as_str(), cause = cause).increment(1);
}

/// A round of renewals took so long.
pub(crate) fn renewed(stage: Stage, took: Duration) {
    histogram!(LEASE_RENEW_SECONDS, stage = stage.as_str()).record(took.as_secs_f64());
}

/// Somebody else's key lock that we knew of is gone.
pub(crate) fn key_lock_gone(stage: Stage, waited: Duration) {
    histogram!(KEY_LOCK_WAIT_SECONDS, stage = stage.as_str()).record(waited.as_secs_f64());
}

/// What Redis had lost was made again: `group`, `dataset`, or what a `restart` may have cost.
pub(crate) fn healed(what: &'static str) {
    counter!(HEALS, what = what).increment(1);
}

/// What a stage may count is there from its start.
pub(crate) fn touch(stage: Stage) {
    let scripts: (&str, &[&'static str]) = ("script", &store::FENCING_SCRIPTS);
    telemetry::touch_open(&telemetry::metric::FENCED, stage.as_str(), &[], &[scripts]);
}
