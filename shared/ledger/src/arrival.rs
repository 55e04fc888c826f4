//! Arrival rules: which version of a record counts, whatever order versions are delivered in.

use event::{ContentHash, TransactionId, Version};
use serde::{Deserialize, Serialize};

/// The version of a record that we hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its version at the source.
    pub version: Version,
    /// What it says.
    pub content: ContentHash,
    /// The transaction that brought it.
    pub transaction: TransactionId,
}

/// A version that arrives. The transaction's id is the delivery order.
pub type Arriving = Known;

/// What the rules say of one arriving version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the newest: process it.
    Accepted,
    /// We know this very version already.
    Duplicate {
        /// The transaction that brought it first.
        of: TransactionId,
    },
    /// We know a newer one.
    Dropped {
        /// The transaction of the newer one.
        newer: TransactionId,
    },
    /// It would have counted, but a newer one came while it waited.
    Canceled {
        /// The transaction of the newer one.
        by: TransactionId,
    },
}

/// Judges the versions of one record that wait, in delivery order. At most one is accepted.
///
/// A greater version is newer. Versions that are equal but differ in content are two edits within
/// one tick of the source's clock: the one delivered later is newer. Equal in both is a duplicate.
#[must_use]
pub fn judge(known: Option<Known>, arriving: &[Arriving]) -> Vec<Verdict> {
    let mut newest = known;
    let mut accepted: Option<usize> = None;
    let mut verdicts = Vec::with_capacity(arriving.len());
    for (index, version) in arriving.iter().enumerate() {
        let verdict = match newest {
            Some(held) if version.version < held.version => Verdict::Dropped { newer: held.transaction },
            Some(held) if version.version == held.version && version.content == held.content => {
                Verdict::Duplicate { of: held.transaction }
            }
            _ => {
                if let Some(overtaken) = accepted.replace(index) {
                    verdicts[overtaken] = Verdict::Canceled { by: version.transaction };
                }
                newest = Some(*version);
                Verdict::Accepted
            }
        };
        verdicts.push(verdict);
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use event::{EntryId, PartitionCount};
    use proptest::prelude::*;

    use super::*;

    fn arrives(order: u64, version: i64, content: u64) -> Arriving {
        let partition = PartitionCount::try_new(1).unwrap().get_partition(0).unwrap();
        let transaction = TransactionId { partition, entry: EntryId { ms: order, seq: 0 } };
        Known { version: Version(version), content: ContentHash(content), transaction }
    }

    #[test]
    fn an_older_version_is_dropped_for_the_newer_one_and_an_equal_one_is_its_duplicate() {
        let known = arrives(1, 10, 1);
        let verdicts = judge(Some(known), &[arrives(2, 9, 5), arrives(3, 10, 1), arrives(4, 11, 2)]);
        assert_eq!(
            verdicts,
            [
                Verdict::Dropped { newer: known.transaction },
                Verdict::Duplicate { of: known.transaction },
                Verdict::Accepted
            ]
        );
    }

    #[test]
    fn a_waiting_version_is_canceled_by_the_newer_one_behind_it() {
        let newer = arrives(2, 2, 2);
        assert_eq!(
            judge(None, &[arrives(1, 1, 1), newer]),
            [Verdict::Canceled { by: newer.transaction }, Verdict::Accepted]
        );
    }

    #[test]
    fn two_edits_in_one_tick_of_the_clock_are_not_duplicates() {
        assert_eq!(judge(Some(arrives(1, 7, 1)), &[arrives(2, 7, 2)]), [Verdict::Accepted]);
    }

    proptest! {
        /// Whatever the order and however often: the greatest version is what we hold in the end.
        #[test]
        fn the_newest_version_wins_in_any_order_and_any_batches(
            versions in prop::collection::vec((0i64..6, 0usize..3), 1..20),
        ) {
            let mut held: Option<Known> = None;
            let arriving: Vec<Arriving> = versions.iter().zip(1..)
                // Content follows the version, as it does at a source with a fine clock.
                .map(|(&(version, _), order)| arrives(order, version, u64::try_from(version).unwrap()))
                .collect();
            for batch in arriving.chunks(3) {
                let verdicts = judge(held, batch);
                let accepted: Vec<_> = batch.iter().zip(&verdicts)
                    .filter(|(_, verdict)| **verdict == Verdict::Accepted).collect();
                prop_assert!(accepted.len() <= 1);
                if let Some((version, _)) = accepted.first() {
                    held = Some(**version);
                }
            }
            let newest = versions.iter().map(|&(version, _)| version).max();
            prop_assert_eq!(held.map(|known| known.version.0), newest);
        }
    }
}
