//! Sources that are counted anew.

use std::collections::BTreeMap;

use event::Day;
use serde::{Deserialize, Serialize};

/// A wish that a source be counted anew. Written by operators and the normaliser; taken by the fetcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecountAsked {
    /// The first day; `None` for the whole back-fill window.
    pub from: Option<Day>,
    /// Who asks, and why, for people.
    pub why: String,
}

/// A recount that the fetcher is about. Written by the fetcher.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recounting {
    /// Redis' clock when it began, in milliseconds since 1970.
    pub generation: u64,
    /// The first day.
    pub from: Day,
    /// The ledger has made room, and the window is being read.
    pub reading: bool,
}

/// A recount as far as the ledger knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// [`Recounting::generation`].
    pub number: u64,
    /// Totals from this day on were built anew.
    pub from: Day,
}

/// The recounts of one source. Written by the exist-writer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recounted {
    /// The latest last.
    pub generations: Vec<Generation>,
    /// The latest is not all here: its attributes are not written.
    pub under_way: bool,
    /// The totals that it replaces, `attribute|day` → base units; empty once it is over.
    pub before: BTreeMap<String, i64>,
}

/// Most recounts of one source that are remembered.
const GENERATIONS_MAX: usize = 16;

impl Recounted {
    /// The latest recount; 0 for none.
    #[must_use]
    pub fn latest(&self) -> u64 {
        self.generations.last().map_or(0, |generation| generation.number)
    }

    /// Remembers a recount; a long list loses its oldest, whose days the next one takes over.
    pub fn begin(&mut self, generation: Generation) {
        self.generations.push(generation);
        if self.generations.len() > GENERATIONS_MAX {
            let oldest = self.generations.remove(0);
            let next = &mut self.generations[0];
            next.from = next.from.min(oldest.from);
        }
    }

    /// The first day on which what a record of this generation added is void, because a later recount
    /// began anew there; `None` if it all stands.
    #[must_use]
    pub fn void_from(&self, generation: u64) -> Option<Day> {
        self.generations.iter().filter(|later| later.number > generation).map(|later| later.from).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(number: u64, from: i32) -> Generation {
        Generation { number, from: Day::from_number(from) }
    }

    #[test]
    fn what_a_record_added_is_void_from_the_earliest_day_that_was_counted_anew_since() {
        let mut recounted = Recounted::default();
        assert_eq!((recounted.latest(), recounted.void_from(0)), (0, None));
        recounted.begin(generation(10, 100));
        recounted.begin(generation(20, 120));
        let void = |number| recounted.void_from(number).map(Day::number);
        assert_eq!([void(0), void(10), void(20)], [Some(100), Some(120), None]);
    }

    #[test]
    fn a_forgotten_recount_leaves_its_days_to_the_next() {
        let mut recounted = Recounted::default();
        recounted.begin(generation(1, 50));
        for number in 2..=20 {
            recounted.begin(generation(number, 100));
        }
        assert_eq!(recounted.generations.len(), GENERATIONS_MAX);
        assert_eq!(recounted.void_from(0).map(Day::number), Some(50));
    }
}
