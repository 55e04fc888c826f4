//! What the ledger must hold, worked out anew from the archive, whatever order it was told in.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    ops::RangeInclusive,
};

use event::{Amount, Contribution, Day, ExternalId, SourceName, TransactionId, Version};

use crate::{Bucket, Pair};

mod compare; // what differs from it

pub use compare::{Difference, Found, compare};

/// A record of one user: its source and its id there.
pub type RecordId = (SourceName, ExternalId);

/// A source's part of a pair's total.
pub type Part = (SourceName, Pair);

/// What each part comes to, in base units; none is 0.
pub type Sums = BTreeMap<Part, Amount>;

/// One version of a record, as it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// The version.
    pub version: Version,
    /// The transaction that brought it.
    pub transaction: TransactionId,
    /// What it adds.
    pub contributions: Vec<Contribution>,
    /// The recount of its source that was the latest when it was counted; 0 for none.
    pub generation: u64,
}

impl Telling {
    /// Tellings of one record sort by this: the newest is the one that counts.
    const fn age(&self) -> (Version, TransactionId) {
        (self.version, self.transaction)
    }
}

/// What stood of a record before an event of it was handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// What the event before it says: one of the same commit.
    Archived,
    /// Nothing was held.
    Nothing,
    /// Nothing was held, but a recount brings it: before this day it had been counted as it stands.
    CountedBefore(Day),
    /// This was held.
    Held {
        /// What.
        telling: Telling,
        /// From this day on a later recount had begun anew, and it stood no more.
        void_from: Option<Day>,
    },
}

/// Where in an archive something stands: its bucket, and its place there.
pub type Place = (Bucket, usize);

/// An event that was handled, whether it counted or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// Where it stands.
    pub place: Place,
    /// The record.
    pub record: RecordId,
    /// What it says.
    pub telling: Telling,
    /// What stood before.
    pub before: Before,
}

/// A recount that began: from a day on its source's totals were taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Where it stands.
    pub place: Place,
    /// Of which source.
    pub source: SourceName,
    /// Its number.
    pub generation: u64,
    /// The first day that was counted anew.
    pub from: Day,
}

/// A user's archive: what stood when it begins, and everything since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Archive {
    /// Each bucket that is kept, without a gap, with the totals as it began; the oldest first.
    pub openings: BTreeMap<Bucket, Opening>,
    /// The events, in any order.
    pub events: Vec<Archived>,
    /// The recounts, in any order.
    pub recounts: Vec<Begun>,
}

/// The totals when a bucket began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// The days that were looked at.
    pub days: RangeInclusive<Day>,
    /// What stood on them.
    pub sums: Sums,
}

/// What the ledger must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// The newest version of each record that was told of.
    pub records: BTreeMap<RecordId, Newest>,
    /// The totals.
    pub sums: Sums,
}

/// A record's newest version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newest {
    /// What it says.
    pub telling: Telling,
    /// Where it was told first; `None` if that was before the archive begins.
    pub told: Option<Place>,
    /// It stands in the totals before this day only.
    void_from: Option<Day>,
}

impl Newest {
    /// What of it stands in the totals.
    pub fn standing(&self) -> impl Iterator<Item = &Contribution> {
        before(&self.telling.contributions, self.void_from)
    }
}

/// One record while its events are gone through.
struct Gathered {
    newest: Newest,
    /// What the first of its events met, and where that event stands.
    met: (Place, Vec<Contribution>),
}

impl Archive {
    /// Rebuilds from the oldest bucket; `None` if there is none.
    #[must_use]
    pub fn rebuild(&self) -> Option<Rebuilt> {
        self.rebuild_from(*self.openings.keys().next()?)
    }

    /// Rebuilds from one of the buckets; `None` if it is not there.
    ///
    /// The newest telling of each record counts, by version and then by arrival. What stood of it when the bucket
    /// began is what the first of its events met. A recount takes out everything that is older than itself.
    #[must_use]
    pub fn rebuild_from(&self, first: Bucket) -> Option<Rebuilt> {
        let opening = self.openings.get(&first)?;
        let recounts: Vec<&Begun> = self.recounts.iter().filter(|begun| begun.place.0 >= first).collect();
        let void_from = |source: &SourceName, generation: u64| {
            let later = recounts.iter().filter(|begun| begun.source == *source && begun.generation > generation);
            later.map(|begun| begun.from).min()
        };
        let taken_out: HashMap<&SourceName, Day> =
            recounts.iter().filter_map(|begun| Some((&begun.source, void_from(&begun.source, 0)?))).collect();
        let stood = |source: &SourceName, day: Day| taken_out.get(source).is_none_or(|from| day < *from);

        let mut sums = opening.sums.clone();
        sums.retain(|(source, pair), _| stood(source, pair.day));
        let mut add = |source: &SourceName, adds: &Contribution, sign: i64| {
            let pair = Pair { attribute: adds.attribute.clone(), day: adds.day };
            *sums.entry((source.clone(), pair)).or_default() += sign * adds.amount;
        };
        let mut records = BTreeMap::new();
        for (record, gathered) in gather(self.events.iter().filter(|event| event.place.0 >= first)) {
            let (source, mut newest) = (&record.0, gathered.newest);
            gathered.met.1.iter().filter(|adds| stood(source, adds.day)).for_each(|adds| add(source, adds, -1));
            let void = void_from(source, newest.telling.generation);
            newest.void_from = newest.void_from.into_iter().chain(void).min();
            newest.standing().for_each(|adds| add(source, adds, 1));
            records.insert(record.clone(), newest);
        }
        sums.retain(|_, amount| *amount != 0);
        Some(Rebuilt { records, sums })
    }

    /// The later openings as they must be for a rebuild from any of them to say of these days what the rebuild
    /// from the oldest says. Those that are right already are left out: all of them, unless the ledger was wrong
    /// when one of them began.
    #[must_use]
    pub fn mended_openings(&self, rebuilt: &Rebuilt, days: &RangeInclusive<Day>) -> BTreeMap<Bucket, Opening> {
        let mended = self.openings.iter().filter_map(|(bucket, opening)| {
            let from_here = self.rebuild_from(*bucket)?.sums;
            let amount = |sums: &Sums, part| sums.get(part).copied().unwrap_or(0);
            let parts: BTreeSet<&Part> = rebuilt.sums.keys().chain(from_here.keys()).collect();
            let mut mended = opening.clone();
            for part in parts.into_iter().filter(|(_, pair)| days.contains(&pair.day)) {
                *mended.sums.entry(part.clone()).or_default() += amount(&rebuilt.sums, part) - amount(&from_here, part);
            }
            mended.sums.retain(|_, amount| *amount != 0);
            (mended != *opening).then_some((*bucket, mended))
        });
        mended.collect()
    }
}

/// Goes through events, record by record.
fn gather<'a>(events: impl Iterator<Item = &'a Archived>) -> HashMap<&'a RecordId, Gathered> {
    let mut records: HashMap<&RecordId, Gathered> = HashMap::new();
    for event in events {
        let told = Newest { telling: event.telling.clone(), told: Some(event.place), void_from: None };
        let met = (event.place, met(event));
        let gathered = match records.entry(&event.record) {
            Entry::Vacant(vacant) => vacant.insert(Gathered { newest: told, met }),
            Entry::Occupied(known) => {
                let known = known.into_mut();
                known.take(told);
                if met.0 < known.met.0 {
                    known.met = met;
                }
                known
            }
        };
        if let Before::Held { telling, void_from } = &event.before {
            gathered.take(Newest { telling: telling.clone(), told: None, void_from: *void_from });
        }
    }
    records
}

impl Gathered {
    /// The newer of two counts; of one told twice, the first that the archive tells.
    fn take(&mut self, other: Newest) {
        // What is held was told before: where the archive tells it as well, that is the better witness.
        let rank = |newest: &Newest| (newest.telling.age(), newest.told.map(Reverse));
        if rank(&other) > rank(&self.newest) {
            self.newest = other;
        }
    }
}

/// What stood in the totals when an event was handled.
fn met(event: &Archived) -> Vec<Contribution> {
    match &event.before {
        Before::Archived | Before::Nothing => Vec::new(),
        Before::CountedBefore(day) => before(&event.telling.contributions, Some(*day)).cloned().collect(),
        Before::Held { telling, void_from } => before(&telling.contributions, *void_from).cloned().collect(),
    }
}

fn before(contributions: &[Contribution], day: Option<Day>) -> impl Iterator<Item = &Contribution> {
    contributions.iter().filter(move |adds| day.is_none_or(|day| adds.day < day))
}

#[cfg(test)]
mod tests;
