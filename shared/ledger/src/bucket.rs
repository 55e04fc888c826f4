//! Which bucket a record is kept in: whole buckets expire, so nothing is ever scanned to be cleaned.

use std::time::Duration;

/// Buckets per retention time. A record lives in the bucket of its last use; each bucket expires one
/// retention time after it ends, so a record is kept for 1 to 1 + 1/6 retention times after that.
const PER_RETENTION: u64 = 6;

/// A number that grows by one every sixth of the retention time.
pub type Bucket = u64;

/// How a retention time is cut into buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buckets {
    retention_ms: u64,
    width_ms: u64,
}

impl Buckets {
    /// Cuts a retention time (at least 6 ms; shorter ones are taken as 6 ms).
    #[must_use]
    pub fn new(retention: Duration) -> Self {
        let retention_ms = u64::try_from(retention.as_millis()).unwrap_or(u64::MAX / 4).max(PER_RETENTION);
        Self { retention_ms, width_ms: retention_ms / PER_RETENTION }
    }

    /// The bucket of this moment, in Redis' milliseconds.
    #[must_use]
    pub const fn at(self, now_ms: u64) -> Bucket {
        now_ms / self.width_ms
    }

    /// When a bucket begins, in Redis' milliseconds.
    #[must_use]
    pub const fn begins_at_ms(self, bucket: Bucket) -> u64 {
        bucket.saturating_mul(self.width_ms)
    }

    /// When a bucket expires, in Redis' milliseconds.
    #[must_use]
    pub const fn expires_at_ms(self, bucket: Bucket) -> u64 {
        (bucket + 1) * self.width_ms + self.retention_ms
    }

    /// The buckets that can exist now, the newest first.
    pub fn alive(self, now_ms: u64) -> impl Iterator<Item = Bucket> {
        let newest = self.at(now_ms);
        (0..=PER_RETENTION + 1).map_while(move |age| newest.checked_sub(age))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_kept_for_the_retention_time_and_hardly_longer() {
        let buckets = Buckets::new(Duration::from_secs(3 * 24 * 3600));
        let day = 24 * 3600 * 1000;
        for used in [0, 1, 12 * 3600 * 1000, 5 * day + 17] {
            assert!((used..=used + day / 2).contains(&(buckets.begins_at_ms(buckets.at(used)) + day / 2)));
            let expires = buckets.expires_at_ms(buckets.at(used));
            assert!(expires >= used + 3 * day, "forgotten too early");
            assert!(expires <= used + 3 * day + day / 2, "kept too long");
        }
    }

    #[test]
    fn every_bucket_that_has_not_expired_is_looked_into() {
        let buckets = Buckets::new(Duration::from_secs(60));
        let now = 1_000_000_007;
        let alive: Vec<_> = buckets.alive(now).collect();
        let oldest = *alive.last().unwrap();
        assert!(buckets.expires_at_ms(oldest - 1) <= now);
        assert_eq!(alive[0], buckets.at(now));
    }
}
