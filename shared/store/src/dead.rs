//! Dead letters: entries set aside with their cause, for a person.

use std::sync::LazyLock;

use event::{EntryId, NormalisedEvent, Origin, Partition, RawEvent, Reason, Trace, TransactionId};
use ledger::Buckets;
use serde::{Deserialize, Serialize};
use telemetry::counter;

use crate::{Commit, Counting, Keys, Owned, Redis, Stage, StoreError, script::NamedScript};

static TAKE: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("dead/take", include_str!("../lua/dead/take.lua")));
static PUT_BACK: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("dead/put_back", include_str!("../lua/dead/put_back.lua")));

/// Most letters that go back in one step.
pub const PUT_BACK_MAX: usize = 500;

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

/// A dead letter's entry as it goes back: another transaction that names the one it repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Again {
    /// Into the raw stream.
    Raw(RawEvent),
    /// Into the normalised stream: what it adds was decided already.
    Normalised(NormalisedEvent),
}

impl DeadLetter {
    /// Its entry as it would go back; `None` if this release cannot read it, or if it went back 65,535 times.
    #[must_use]
    pub fn again(&self) -> Option<Again> {
        let replay_of = Some(self.transaction);
        if self.stage == Stage::Write.as_str() {
            let event: NormalisedEvent = event::decode(&self.entry).ok()?;
            let transaction = self.transaction.repeated()?;
            return Some(Again::Normalised(NormalisedEvent { transaction, replay_of, ..event }));
        }
        let event: RawEvent = event::decode(&self.entry).ok()?;
        Some(Again::Raw(RawEvent { origin: Origin::Redrive, replay_of, ..event }))
    }

    /// The trace it belonged to, for what goes back.
    fn trace(&self) -> Option<Trace> {
        Trace::of(&self.entry).map(Trace::put_off)
    }

    /// The class of its cause, as metrics name it.
    #[must_use]
    pub fn class(&self) -> &'static str {
        if self.cause == Reason::Poison { "poison" } else { "permanent" }
    }

    /// The transaction that this one repeated in its turn.
    #[must_use]
    pub fn replay_of(&self) -> Option<TransactionId> {
        if self.stage == Stage::Write.as_str() {
            return event::decode::<NormalisedEvent>(&self.entry).ok()?.replay_of;
        }
        event::decode::<RawEvent>(&self.entry).ok()?.replay_of
    }
}

impl Owned {
    /// Sets an entry aside. Kept for the retention time.
    pub fn bury(&self, commit: &mut Commit, buckets: Buckets, letter: &DeadLetter) {
        let bucket = buckets.at(letter.at_ms);
        let key = self.keys.dead(self.partition(), bucket);
        commit.set(&key, &letter.transaction.to_string(), &event::encode(letter));
        commit.expire_at(&key, buckets.expires_at_ms(bucket));
        commit.tally(counter!(DEAD_LETTERED, stage = letter.stage.clone(), cause = letter.class()), 1);
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

/// Takes a dead letter away for good: `false` if somebody else did.
///
/// # Errors
/// [`StoreError::Redis`]: no answer; look whether it is still there.
pub async fn take(redis: &Redis, keys: &Keys, buckets: Buckets, letter: &DeadLetter) -> Result<bool, StoreError> {
    let partition = letter.transaction.partition;
    let mut call = TAKE.key(keys.dead(partition, buckets.at(letter.at_ms)));
    call.arg(letter.transaction.to_string());
    let verdict: String =
        TAKE.timed(call.invoke_async(&mut redis.clone())).await.map_err(StoreError::redis("taking a dead letter"))?;
    Ok(verdict == "taken")
}

/// What became of a dead letter that was to go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// It is in its stream, as this transaction.
    Done(TransactionId),
    /// Somebody else took it.
    Gone,
    /// This release cannot read it.
    Unreadable,
}

/// Puts dead letters of one partition back into the streams they came from, in the order given: all in one
/// step, if they are not more than [`PUT_BACK_MAX`]. Says of each what became of it.
///
/// # Errors
/// [`StoreError::Redis`]: no answer; look which are still there.
pub async fn put_back(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    buckets: Buckets,
    letters: &[DeadLetter],
) -> Result<Vec<Back>, StoreError> {
    let mut all = Vec::with_capacity(letters.len());
    for letters in letters.chunks(PUT_BACK_MAX) {
        let again: Vec<Option<Again>> = letters.iter().map(DeadLetter::again).collect();
        let mut call = PUT_BACK.key(keys.raw(partition));
        call.key(keys.normalised(partition)).key(keys.counts(partition)).arg(partition.index());
        for stage in [Stage::Normalise, Stage::Write] {
            call.arg(if redis.is_cluster() { String::new() } else { keys.ring(stage) });
        }
        for (letter, again) in letters.iter().zip(&again) {
            let (stage, entry) = match again {
                None => continue,
                Some(Again::Raw(event)) => (Stage::Normalise, event::encode_traced(event, letter.trace())),
                Some(Again::Normalised(event)) => (Stage::Write, event::encode_traced(event, letter.trace())),
            };
            call.key(keys.dead(partition, buckets.at(letter.at_ms)));
            call.arg(letter.transaction.to_string()).arg(stage.as_str()).arg(entry).arg(&letter.source);
        }
        let ids: Vec<String> = PUT_BACK
            .timed(call.invoke_async(&mut redis.clone()))
            .await
            .map_err(StoreError::redis("putting dead letters back"))?;
        let mut ids = ids.into_iter();
        for again in again {
            let Some(again) = again else {
                all.push(Back::Unreadable);
                continue;
            };
            let entry = ids.next().and_then(|id| id.parse::<EntryId>().ok());
            all.push(match (again, entry) {
                (_, None) => Back::Gone,
                (Again::Raw(_), Some(entry)) => Back::Done(TransactionId { partition, entry }),
                (Again::Normalised(event), Some(_)) => Back::Done(event.transaction),
            });
        }
    }
    Ok(all)
}

impl Counting {
    /// A transaction was set aside.
    pub fn buried(&mut self, letter: &DeadLetter) {
        if let Ok(source) = event::SourceName::try_new(&letter.source) {
            self.entered(&source, event::State::Errored);
        }
    }
}
