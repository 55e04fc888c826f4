//! What the ledger and Exist hold beside what they must.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use event::{Amount, AttributeName, Day, Decimal, ExternalId, SourceName, Unit};

use super::{Archive, Archived, Before, Newest, Part, Rebuilt, RecordId, Sums, Telling};
use crate::{Bucket, Held, Pair};

/// What is found in the ledger, read at the same moment as the archive.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// The version of each record that is said to be in the totals.
    pub records: BTreeMap<RecordId, Telling>,
    /// The totals.
    pub sums: Sums,
    /// What Exist is known to hold.
    pub confirmed: BTreeMap<Pair, Held>,
    /// Pairs that wait to be sent or confirmed: nothing can be said about what Exist holds for them.
    pub waiting: BTreeSet<Pair>,
    /// The attributes of which Exist must hold our total, and what they are counted in.
    pub written: BTreeMap<AttributeName, Unit>,
}

/// One thing that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Another version of a record is said to be in the totals.
    Record {
        /// Which record.
        record: RecordId,
        /// The version found; `None` if none is.
        found: Option<Telling>,
        /// The version that must be there.
        expected: Telling,
        /// The bucket it belongs in; `None` if it was told before the archive begins.
        told_in: Option<Bucket>,
    },
    /// A source's part of a total.
    Total {
        /// Whose part.
        source: SourceName,
        /// Of which total.
        pair: Pair,
        /// What is found, in base units.
        found: Amount,
        /// What must be there.
        expected: Amount,
        /// The records of this source that add to it, in any version that the archive knows.
        records: Vec<ExternalId>,
    },
    /// What Exist is known to hold.
    Exist {
        /// For which pair.
        pair: Pair,
        /// What that is; `None` if nothing of ours.
        found: Option<Held>,
        /// What it must hold, in Exist's unit.
        expected: Decimal,
        /// The records that add to it, in any version that the archive knows.
        records: Vec<RecordId>,
    },
}

/// Everything that differs on these days, and every record that does: records first, then totals, then
/// what Exist holds.
#[must_use]
pub fn compare(archive: &Archive, rebuilt: &Rebuilt, found: &Found, days: &RangeInclusive<Day>) -> Vec<Difference> {
    let mut differences: Vec<Difference> =
        rebuilt.records.iter().filter_map(|(id, newest)| record(id, newest, found.records.get(id))).collect();
    let compared = |pair: &Pair| days.contains(&pair.day);

    let parts: BTreeSet<&Part> = rebuilt.sums.keys().chain(found.sums.keys()).collect();
    for part in parts.into_iter().filter(|(_, pair)| compared(pair)) {
        let amount = |sums: &Sums| sums.get(part).copied().unwrap_or(0);
        let (found, expected) = (amount(&found.sums), amount(&rebuilt.sums));
        if found != expected {
            let (source, pair) = part.clone();
            let records = touching(archive, &pair).filter(|id| id.0 == source).map(|id| id.1.clone()).collect();
            differences.push(Difference::Total { source, pair, found, expected, records });
        }
    }

    let mut sums: BTreeMap<&Pair, Amount> = found.confirmed.keys().map(|pair| (pair, 0)).collect();
    for ((_, pair), amount) in &rebuilt.sums {
        *sums.entry(pair).or_default() += amount;
    }
    for (pair, sum) in sums.into_iter().filter(|(pair, _)| compared(pair) && !found.waiting.contains(*pair)) {
        let Some(unit) = found.written.get(&pair.attribute) else { continue };
        let held = found.confirmed.get(pair).copied();
        // What was there before us and stays is not ours to rebuild.
        let expected = held.unwrap_or_default().adopted.plus(unit.to_exist(sum).at_least_zero());
        let is_right = match held {
            Some(held) => held.value.is_some_and(|value| value.is_same(expected)),
            None => expected.is_zero(),
        };
        if !is_right {
            let records = touching(archive, pair).cloned().collect();
            differences.push(Difference::Exist { pair: pair.clone(), found: held, expected, records });
        }
    }
    differences
}

fn record(id: &RecordId, newest: &Newest, found: Option<&Telling>) -> Option<Difference> {
    // What was told before the archive begins may be forgotten; what it tells may not.
    let is_forgotten = found.is_none() && newest.told.is_none();
    if is_forgotten || found == Some(&newest.telling) {
        return None;
    }
    Some(Difference::Record {
        record: id.clone(),
        found: found.cloned(),
        expected: newest.telling.clone(),
        told_in: newest.told.map(|(bucket, _)| bucket),
    })
}

/// The records of which any version that the archive knows adds to a pair, in order.
fn touching<'a>(archive: &'a Archive, pair: &Pair) -> impl Iterator<Item = &'a RecordId> {
    let adds = |telling: &Telling| {
        telling.contributions.iter().any(|adds| adds.attribute == pair.attribute && adds.day == pair.day)
    };
    let touches = |event: &&Archived| {
        let before = match &event.before {
            Before::Held { telling, .. } => adds(telling),
            _ => false,
        };
        before || adds(&event.telling)
    };
    let records: BTreeSet<&RecordId> = archive.events.iter().filter(touches).map(|event| &event.record).collect();
    records.into_iter()
}

impl Difference {
    /// Whether it is about a record, or about a day that one of its versions adds to.
    #[must_use]
    pub fn concerns(&self, wanted: &RecordId) -> bool {
        match self {
            Self::Record { record, .. } => record == wanted,
            Self::Total { source, records, .. } => *source == wanted.0 && records.contains(&wanted.1),
            Self::Exist { records, .. } => records.contains(wanted),
        }
    }

    /// The days it is about.
    #[must_use]
    pub fn days(&self) -> BTreeSet<Day> {
        let of = |telling: &Telling| telling.contributions.iter().map(|adds| adds.day).collect::<Vec<_>>();
        match self {
            Self::Record { found, expected, .. } => found.iter().flat_map(of).chain(of(expected)).collect(),
            Self::Total { pair, .. } | Self::Exist { pair, .. } => [pair.day].into(),
        }
    }
}
