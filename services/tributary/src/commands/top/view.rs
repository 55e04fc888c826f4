//! What is shown: the last status, and how fast things moved since the one before.

use std::{collections::BTreeMap, time::Duration};

use console::{PartitionRow, Status};
use event::State;

/// States in which a transaction still waits for something.
const OPEN: [State; 3] = [State::Queued, State::Processing, State::Disabled];

/// What stands on the screen.
pub(super) struct View {
    /// Where Redis is, without a password.
    pub(super) redis: String,
    /// How often it is read.
    pub(super) every: Duration,
    /// What was read last, and when by Redis' clock.
    pub(super) read: Option<(u64, Status)>,
    /// How fast each source's transactions moved between the last two readings.
    pub(super) rates: BTreeMap<String, Rates>,
    /// Why nothing newer is there.
    pub(super) failed: Option<String>,
    /// How many partitions are above the first that is shown.
    pub(super) above: usize,
}

/// How fast transactions moved, in tenths a second; nothing before there are two readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rates {
    /// New ones.
    pub(super) arrived: i64,
    /// Those that came to an end.
    pub(super) ended: i64,
}

/// One partition in all stages.
pub(super) struct Place<'a> {
    pub(super) number: u16,
    /// In the order a value passes them.
    pub(super) stages: Vec<&'a PartitionRow>,
}

impl Place<'_> {
    /// How many stages of it nobody owns.
    pub(super) fn unowned(&self) -> usize {
        self.stages.iter().filter(|row| row.owner.is_none()).count()
    }

    pub(super) fn oldest_ms(&self) -> u64 {
        self.stages.iter().map(|row| row.oldest_ms).max().unwrap_or(0)
    }
}

impl View {
    pub(super) fn new(redis: String, every: Duration) -> Self {
        Self { redis, every, read: None, rates: BTreeMap::new(), failed: None, above: 0 }
    }

    /// A status was read.
    pub(super) fn show(&mut self, at_ms: u64, status: Status) {
        if let Some((before_ms, before)) = &self.read {
            let passed_ms = i64::try_from(at_ms.saturating_sub(*before_ms)).unwrap_or(i64::MAX).max(1);
            let rate = |(source, states): (&String, &BTreeMap<String, i64>)| {
                let was = before.transactions.get(source);
                let moved = |count: fn(&BTreeMap<String, i64>) -> i64| {
                    (count(states) - was.map_or(0, count)).max(0).saturating_mul(10_000) / passed_ms
                };
                (source.clone(), Rates { arrived: moved(all), ended: moved(ended) })
            };
            self.rates = status.transactions.iter().map(rate).collect();
        }
        self.failed = None;
        self.read = Some((at_ms, status));
    }

    /// It could not be read.
    pub(super) fn fail(&mut self, why: String) {
        self.failed = Some(why);
    }

    /// Moves the partitions by so many rows.
    pub(super) fn scroll(&mut self, rows: isize) {
        self.above = self.above.saturating_add_signed(rows);
    }

    /// Every partition, those that need a look first: without an owner, then with old entries.
    pub(super) fn places(&self) -> Vec<Place<'_>> {
        let Some((_, status)) = &self.read else { return Vec::new() };
        let mut by_number: BTreeMap<u16, Vec<&PartitionRow>> = BTreeMap::new();
        for row in &status.partitions {
            by_number.entry(row.partition).or_default().push(row);
        }
        let mut places: Vec<Place<'_>> =
            by_number.into_iter().map(|(number, stages)| Place { number, stages }).collect();
        places.sort_by_key(|place| std::cmp::Reverse((place.unowned(), place.oldest_ms())));
        places
    }
}

fn all(states: &BTreeMap<String, i64>) -> i64 {
    states.values().sum()
}

fn ended(states: &BTreeMap<String, i64>) -> i64 {
    let is_open = |state: &str| OPEN.iter().any(|open| open.as_str() == state);
    states.iter().filter(|(state, _)| !is_open(state)).map(|(_, count)| count).sum()
}
