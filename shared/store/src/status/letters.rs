//! Dead letters by stage and cause: a letter never changes, so each is read once.

use std::collections::{BTreeMap, BTreeSet};

use event::{Partition, TransactionId};
use ledger::{Bucket, Buckets};

use crate::{DeadLetter, Keys, Redis, StoreError, clock};

/// A letter's stage and the class of its cause.
type Kind = (String, &'static str);

/// What was read of a partition's letters, by bucket and transaction.
#[derive(Debug, Default)]
pub(super) struct Letters {
    known: BTreeMap<Bucket, BTreeMap<String, Kind>>,
}

impl Letters {
    /// Counts those that are there, given how many each bucket holds; reads at most `limit` new ones of each bucket.
    pub(super) async fn tally(
        &mut self,
        redis: &Redis,
        keys: &Keys,
        partition: Partition,
        lengths: &[(Bucket, u64)],
        limit: usize,
    ) -> Result<BTreeMap<Kind, u64>, StoreError> {
        const DOING: &str = "reading dead letters";
        if limit == 0 {
            return Ok(BTreeMap::new());
        }
        let there: BTreeSet<Bucket> = lengths.iter().filter(|(_, length)| *length > 0).map(|(at, _)| *at).collect();
        self.known.retain(|bucket, _| there.contains(bucket));
        for bucket in there {
            let key = keys.dead(partition, bucket);
            let mut command = redis::cmd("HKEYS");
            command.arg(&key);
            let ids: BTreeSet<String> = redis.run(DOING, &command).await?;
            let known = self.known.entry(bucket).or_default();
            known.retain(|id, _| ids.contains(id));
            let new: Vec<&String> = ids.iter().filter(|id| !known.contains_key(*id)).take(limit).collect();
            if new.is_empty() {
                continue;
            }
            let mut command = redis::cmd("HMGET");
            command.arg(&key).arg(&new);
            let found: Vec<Option<Vec<u8>>> = redis.run(DOING, &command).await?;
            for (id, bytes) in new.into_iter().zip(found) {
                let Some(bytes) = bytes else { continue };
                let letter: DeadLetter =
                    event::decode(&bytes).map_err(|source| StoreError::Decode { key: key.clone(), source })?;
                let class = letter.class();
                known.insert(id.clone(), (letter.stage, class));
            }
        }
        let mut tally = BTreeMap::new();
        for kind in self.known.values().flat_map(BTreeMap::values) {
            *tally.entry(kind.clone()).or_default() += 1;
        }
        Ok(tally)
    }
}

/// At most `limit` of a partition's dead letters, in the order of their transactions, behind one of them if it is
/// said, and the last that was looked at where more follow. Reads the names of all, and no more than it gives.
///
/// # Errors
/// [`StoreError::Redis`]: no answer. [`StoreError::Decode`]: one of an incompatible release.
pub async fn letters_behind(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    buckets: Buckets,
    after: Option<TransactionId>,
    limit: usize,
) -> Result<(Vec<DeadLetter>, Option<TransactionId>), StoreError> {
    let alive: Vec<Bucket> = buckets.alive(clock::now_ms(redis).await?).collect();
    let mut names = redis::pipe();
    for &bucket in &alive {
        names.cmd("HKEYS").arg(keys.dead(partition, bucket));
    }
    let names: Vec<Vec<String>> = redis.run_all("listing dead letters", &names).await?;
    let in_buckets = alive.into_iter().zip(names);
    let all = in_buckets.flat_map(|(bucket, names)| names.into_iter().map(move |name| (bucket, name)));
    let known = all.filter_map(|(bucket, name)| Some((name.parse::<TransactionId>().ok()?, bucket)));
    let wanted: BTreeMap<TransactionId, Bucket> =
        known.filter(|(id, _)| after.is_none_or(|after| *id > after)).collect();
    if wanted.is_empty() {
        return Ok((Vec::new(), None));
    }
    let more = wanted.keys().nth(limit.saturating_sub(1)).copied().filter(|_| wanted.len() > limit);
    let mut letters = redis::pipe();
    for (id, bucket) in wanted.iter().take(limit) {
        letters.cmd("HGET").arg(keys.dead(partition, *bucket)).arg(id.to_string());
    }
    let letters: Vec<Option<Vec<u8>>> = redis.run_all("reading dead letters", &letters).await?;
    let read = |((_, bucket), bytes): ((&TransactionId, &Bucket), Option<Vec<u8>>)| {
        let read = |bytes: Vec<u8>| {
            event::decode(&bytes).map_err(|source| StoreError::Decode { key: keys.dead(partition, *bucket), source })
        };
        bytes.map(read)
    };
    // One that somebody took since its name was read is not there any more.
    let letters = wanted.iter().take(limit).zip(letters).filter_map(read).collect::<Result<_, _>>()?;
    Ok((letters, more))
}
