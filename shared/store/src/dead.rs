//! Dead letters: entries set aside with their cause, for a person.

use std::sync::LazyLock;

use event::{Partition, Reason, TransactionId};
use ledger::Buckets;
use redis::Script;
use serde::{Deserialize, Serialize};

use crate::{Commit, Counting, Keys, Owned, Redis, Stage, StoreError};

static TAKE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("../lua/dead/take.lua")));

/// An entry that cannot go on by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its transaction.
    pub transaction: TransactionId,
    /// The stage that set it aside: `normalise` or `write`.
    pub stage: String,
    /// Whose record.
    pub user: String,
    /// At which source.
    pub source: String,
    /// Its id there.
    pub external_id: String,
    /// The class of the cause.
    pub cause: Reason,
    /// What was wrong, naming field and source.
    pub error: String,
    /// When, in milliseconds since 1970 by Redis' clock.
    pub at_ms: u64,
    /// How many deliveries it had.
    pub deliveries: u32,
    /// The entry as it was, encoded.
    pub entry: Vec<u8>,
}

impl Owned {
    /// Sets an entry aside. Kept for the retention time.
    pub fn bury(&self, commit: &mut Commit, buckets: Buckets, letter: &DeadLetter) {
        let bucket = buckets.at(letter.at_ms);
        let key = self.keys.dead(self.partition(), bucket);
        commit.set(&key, &letter.transaction.to_string(), &event::encode(letter));
        commit.expire_at(&key, buckets.expires_at_ms(bucket));
    }
}

/// A partition's dead letters, oldest first.
///
/// # Errors
/// [`StoreError::Redis`]: no answer. [`StoreError::Decode`]: one of an incompatible release.
pub async fn letters(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    buckets: Buckets,
) -> Result<Vec<DeadLetter>, StoreError> {
    let now_ms = crate::clock::now_ms(redis).await?;
    let mut found = Vec::new();
    for bucket in buckets.alive(now_ms) {
        let key = keys.dead(partition, bucket);
        let mut command = redis::cmd("HVALS");
        command.arg(&key);
        let values: Vec<Vec<u8>> = redis.run("reading dead letters", &command).await?;
        for bytes in values {
            let letter = event::decode(&bytes).map_err(|source| StoreError::Decode { key: key.clone(), source })?;
            found.push(letter);
        }
    }
    found.sort_by_key(|letter: &DeadLetter| letter.transaction);
    Ok(found)
}

/// Takes a dead letter away: `false` if somebody else did. With `again`, its entry goes back to the raw
/// stream in the same step, as a new transaction.
///
/// # Errors
/// [`StoreError::Redis`]: no answer; look whether it is still there.
pub async fn take(
    redis: &Redis,
    keys: &Keys,
    buckets: Buckets,
    letter: &DeadLetter,
    again: Option<&event::RawEvent>,
) -> Result<bool, StoreError> {
    let partition = letter.transaction.partition;
    let mut call = TAKE.key(keys.dead(partition, buckets.at(letter.at_ms)));
    call.key(keys.raw(partition)).key(keys.counts(partition)).arg(letter.transaction.to_string());
    call.arg(again.map(event::encode).unwrap_or_default());
    call.arg(again.map(|event| format!("appended:{}", event.source)).unwrap_or_default());
    call.arg(if redis.is_cluster() { String::new() } else { keys.ring(Stage::Normalise) });
    call.arg(partition.index());
    let verdict: String =
        call.invoke_async(&mut redis.clone()).await.map_err(StoreError::redis("taking a dead letter"))?;
    Ok(verdict == "taken")
}

impl Counting {
    /// A transaction was set aside.
    pub fn buried(&mut self, letter: &DeadLetter) {
        if let Ok(source) = event::SourceName::try_new(&letter.source) {
            self.entered(&source, event::State::Errored);
        }
    }
}
