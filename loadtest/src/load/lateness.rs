//! How late things are: from when they were to happen, not from when we came to it, so that nothing is left out
//! while everything stands still (no coordinated omission).

use std::sync::{Mutex, MutexGuard, PoisonError};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest lateness told apart, in microseconds: an hour.
const LONGEST_US: u64 = 3_600_000_000;
/// Two significant figures: a percentile is off by at most one in a hundred.
const FIGURES: u8 = 2;

/// Percentiles of a lateness, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// How many were measured.
    pub count: u64,
    /// Half of them are at most so late.
    pub p50_us: u64,
    /// Nine in ten.
    pub p90_us: u64,
    /// 99 in a hundred.
    pub p99_us: u64,
    /// 999 in a thousand.
    pub p999_us: u64,
    /// The latest.
    pub max_us: u64,
}

/// The lateness of what was due in one second of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LateInSecond {
    /// The second, from the beginning.
    pub second: u64,
    /// What was measured of it.
    #[serde(flatten)]
    pub late: Late,
}

/// Lateness of many things, by the second in which they were due.
#[derive(Debug, Default)]
pub(crate) struct Lateness(Mutex<Vec<(u64, u64)>>);

impl Lateness {
    /// Something that was due then came then; both in microseconds since the beginning.
    pub(crate) fn note(&self, due_us: u64, came_us: u64) {
        self.all().push((due_us, came_us.saturating_sub(due_us)));
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.all().len()
    }

    /// Of everything that was due in one of these spans, in microseconds.
    pub(crate) fn within(&self, spans: &[std::ops::Range<u64>]) -> Late {
        let is_in = |due: &u64| spans.iter().any(|span| span.contains(due));
        Late::of(self.all().iter().filter(|(due, _)| is_in(due)).map(|(_, late)| *late))
    }

    pub(crate) fn whole(&self) -> Late {
        Late::of(self.all().iter().map(|(_, late)| *late))
    }

    pub(crate) fn by_second(&self) -> Vec<LateInSecond> {
        let mut seconds: std::collections::BTreeMap<u64, Vec<u64>> = std::collections::BTreeMap::new();
        for (due, late) in self.all().iter() {
            seconds.entry(due / 1_000_000).or_default().push(*late);
        }
        seconds.into_iter().map(|(second, late)| LateInSecond { second, late: Late::of(late) }).collect()
    }

    fn all(&self) -> MutexGuard<'_, Vec<(u64, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Late {
    fn of(late: impl IntoIterator<Item = u64>) -> Late {
        let mut histogram: Histogram<u64> =
            Histogram::new_with_bounds(1, LONGEST_US, FIGURES).expect("these bounds are within the histogram's");
        for late in late {
            histogram.saturating_record(late.max(1));
        }
        if histogram.is_empty() {
            return Late::default();
        }
        Late {
            count: histogram.len(),
            p50_us: histogram.value_at_quantile(0.5),
            p90_us: histogram.value_at_quantile(0.9),
            p99_us: histogram.value_at_quantile(0.99),
            p999_us: histogram.value_at_quantile(0.999),
            max_us: histogram.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_late_counts_from_when_it_was_due() {
        let lateness = Lateness::default();
        for due in 0..1_000 {
            // Everything stood still until 1 s.
            lateness.note(due * 1_000, 1_000_000);
        }
        let late = lateness.whole();
        assert_eq!(late.count, 1_000);
        assert!((490_000..510_000).contains(&late.p50_us) && late.max_us >= 990_000, "{late:?}");
        assert_eq!(lateness.by_second().len(), 1);
        assert_eq!(lateness.within(&[500_000..600_000, 700_000..750_000]).count, 150);
    }
}
