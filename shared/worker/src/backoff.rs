//! How long before the next attempt: exponential, with full jitter.

use std::time::Duration;

use rand::RngExt;

/// An exponential backoff. The whole wait is jittered, so that those who failed together do not come
/// back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    cap: Duration,
}

impl Backoff {
    /// Doubles from `first` up to `cap`.
    #[must_use]
    pub const fn new(first: Duration, cap: Duration) -> Self {
        Self { first, cap }
    }

    /// The longest the wait after so many failures can be; a first failure counts 1.
    #[must_use]
    pub fn most(&self, failures: u32) -> Duration {
        let factor = 1u32.checked_shl(failures.saturating_sub(1).min(20)).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.cap)
    }

    /// A wait between a tenth of the longest and the longest.
    #[must_use]
    pub fn after(&self, failures: u32) -> Duration {
        let most = u64::try_from(self.most(failures).as_millis()).unwrap_or(u64::MAX / 2).max(10);
        Duration::from_millis(rand::rng().random_range(most / 10..=most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_wait_never_exceeds_the_cap_nor_vanishes(failures in 1u32..200) {
            let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(900));
            let wait = backoff.after(failures);
            proptest::prop_assert!(wait <= Duration::from_secs(900));
            proptest::prop_assert!(wait >= Duration::from_millis(100));
            proptest::prop_assert!(wait <= backoff.most(failures));
        }
    }

    #[test]
    fn the_longest_wait_doubles() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(900));
        let most: Vec<u64> = (1..=12).map(|failures| backoff.most(failures).as_secs()).collect();
        assert_eq!(most, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
    }
}
