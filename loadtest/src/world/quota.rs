//! The two ways a source counts requests: so many in a window, and a leaking bucket.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// So many requests in a window that opens with the first of them.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    limit: u32,
    window: Duration,
    opened: Option<Timestamp>,
    used: u32,
}

/// Whether a request is let in, and what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) admitted: bool,
    pub(crate) remaining: u32,
    /// Whole seconds, rounded up, until the window closes.
    pub(crate) resets_in_s: u64,
}

impl Quota {
    pub(crate) fn new(limit: u32, window: Duration) -> Quota {
        Quota { limit, window, opened: None, used: 0 }
    }

    /// Counts one request.
    pub(crate) fn admit(&mut self, now: Timestamp) -> Admission {
        let before = self.look(now);
        if before.remaining == 0 {
            return Admission { admitted: false, ..before };
        }
        self.opened.get_or_insert(now);
        self.used += 1;
        Admission { admitted: true, ..self.look(now) }
    }

    /// What is left, counting nothing.
    pub(crate) fn look(&mut self, now: Timestamp) -> Admission {
        let left = self.left_of_window(now);
        if left.is_none() {
            (self.opened, self.used) = (None, 0);
        }
        let remaining = self.limit.saturating_sub(self.used);
        let left = left.unwrap_or(self.window);
        let resets_in_s = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        Admission { admitted: remaining > 0, remaining, resets_in_s }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit
    }

    fn left_of_window(&self, now: Timestamp) -> Option<Duration> {
        let passed = Duration::try_from(now.duration_since(self.opened?)).unwrap_or(Duration::ZERO);
        self.window.checked_sub(passed).filter(|left| !left.is_zero())
    }
}

/// A bucket that holds `capacity` requests and leaks one each second.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    capacity: u32,
    level_micros: i64,
    seen: Timestamp,
}

const REQUEST_MICROS: i64 = 1_000_000;

impl Bucket {
    pub(crate) fn new(capacity: u32, now: Timestamp) -> Bucket {
        Bucket { capacity, level_micros: 0, seen: now }
    }

    /// Pours one request in; false when it would overflow.
    pub(crate) fn admit(&mut self, now: Timestamp) -> bool {
        let passed = now.duration_since(self.seen).max(SignedDuration::ZERO);
        let leaked = i64::try_from(passed.as_micros()).unwrap_or(i64::MAX);
        self.level_micros = self.level_micros.saturating_sub(leaked).max(0);
        self.seen = now;
        let fits = self.level_micros + REQUEST_MICROS <= i64::from(self.capacity) * REQUEST_MICROS;
        if fits {
            self.level_micros += REQUEST_MICROS;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a small second")
    }

    #[test]
    fn a_quota_is_spent_and_full_again_when_its_window_closes() {
        let mut quota = Quota::new(2, Duration::from_secs(60));
        assert_eq!(quota.admit(second(0)), Admission { admitted: true, remaining: 1, resets_in_s: 60 });
        assert_eq!(quota.admit(second(10)), Admission { admitted: true, remaining: 0, resets_in_s: 50 });
        assert_eq!(quota.admit(second(59)), Admission { admitted: false, remaining: 0, resets_in_s: 1 });
        assert!(quota.admit(second(60)).admitted);
    }

    #[test]
    fn a_bucket_takes_a_burst_and_then_one_a_second() {
        let mut bucket = Bucket::new(3, second(0));
        assert!((0..3).all(|_| bucket.admit(second(0))));
        assert!(!bucket.admit(second(0)));
        assert!(bucket.admit(second(1)));
        assert!(!bucket.admit(second(1)));
    }
}
