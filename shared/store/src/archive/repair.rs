//! The ledger put right where it differs from its archive, in one commit.

use event::{EntryId, Partition, UserId};
use ledger::{Buckets, Difference, Held, Pair, Rebuilt};

use super::{Kept, pack};
use crate::{Applied, Commit, Confirmed, Keys, key::period_of, ledger_store::period_expires_at_ms, pack::Packed};

impl Kept {
    /// What puts these differences right: records and totals as they must be, their pairs to be looked at again,
    /// and the user due now. For a commit under the user's lock, taken before all this was read.
    ///
    /// The totals that later buckets of the archive begin with are put right as well, so that the mistake does
    /// not come back when the oldest bucket goes.
    #[must_use]
    pub fn repair(
        &self,
        keys: &Keys,
        partition: Partition,
        user: &UserId,
        rebuilt: &Rebuilt,
        differences: &[Difference],
        buckets: Buckets,
    ) -> Commit {
        let mut commit = Commit::new();
        for difference in differences {
            match difference {
                Difference::Record { record, found: _, expected, told_in } => {
                    let stands = self.shelves.get(record).map(Vec::as_slice).unwrap_or_default();
                    let Some(&bucket) = told_in.iter().chain(stands).next() else { continue };
                    let field = format!("{}/{}", record.0, record.1);
                    let key = keys.applied(partition, user, bucket);
                    commit.set(&key, &field, &Applied::from(expected.clone()).pack(buckets.begins_at_ms(bucket)));
                    commit.expire_at(&key, buckets.expires_at_ms(bucket));
                    for &other in stands.iter().filter(|stands| **stands != bucket) {
                        commit.unset(&keys.applied(partition, user, other), &field);
                    }
                }
                Difference::Total { source, pair, found, expected, records: _ } => {
                    let period = period_of(pair.day);
                    let key = keys.totals(partition, user, period);
                    commit.add(&key, &format!("{pair}|{source}"), expected - found);
                    commit.expire_at(&key, period_expires_at_ms(period, self.back_fill_days));
                    look_again(&mut commit, keys, partition, user, pair);
                }
                Difference::Exist { pair, .. } => {
                    if let Some(confirmed) = self.confirmed.get(pair) {
                        // Nobody knows what Exist holds: it is written again, whatever that is.
                        let held = Held { value: None, ours: None, ..confirmed.held };
                        let unknown = Confirmed { held, ..confirmed.clone() };
                        let key = keys.confirmed(partition, user, period_of(pair.day));
                        commit.set(&key, &pair.to_string(), &event::encode(&unknown));
                    }
                    look_again(&mut commit, keys, partition, user, pair);
                }
            }
        }
        for (bucket, opening) in self.archive.mended_openings(rebuilt, &self.days) {
            let earlier = self.earlier.get(&bucket).map(Vec::as_slice).unwrap_or_default();
            let key = keys.archive(partition, user, bucket);
            commit.command("LSET", &key).arg(0).arg(pack::opening(bucket, earlier, &opening));
        }
        commit.due_at_the_latest(&keys.due(partition), user.as_str(), std::time::Duration::ZERO);
        // Whoever remembers what stood on shelves looks again.
        commit.bump(&keys.revision(partition));
        commit
    }
}

/// A pair is to be looked at again, unless an entry changed it anyway.
fn look_again(commit: &mut Commit, keys: &Keys, partition: Partition, user: &UserId, pair: &Pair) {
    let nobody = EntryId { ms: 0, seq: 0 };
    commit.command("HSETNX", &keys.changed(partition, user)).arg(pair.to_string()).arg(nobody.to_string());
}
