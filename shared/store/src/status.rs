//! What operators look at: who owns what, how much waits and for how long, what a number is made of.

mod census; // everybody, a few at a time
mod composition; // what a number is made of
mod letters; // dead letters by stage and cause
mod partition; // one partition at one moment

use std::{collections::BTreeMap, time::Duration};

use event::{Partition, PartitionCount, SourceName};
use futures::{StreamExt, TryStreamExt, stream};
use ledger::{Buckets, Budget};

pub use census::People;
pub(crate) use composition::record;
pub use composition::{Composition, composition, keys_of};
pub use letters::letters_behind;

use crate::{
    Counts, HeldLock, KeyLock, Keys, LeaseView, Redis, Stage, StoreError, clock,
    operate::{MemoryUsed, memory_used},
    pause::Wide,
};

/// Partitions looked at side by side.
const AT_ONCE: usize = 8;

/// How many partitions this Redis was first started with; `None` if it never was.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn stored_partitions(redis: &Redis, keys: &Keys) -> Result<Option<u16>, StoreError> {
    let mut get = redis::cmd("GET");
    get.arg(keys.partitions());
    redis.run("reading the number of partitions", &get).await
}

/// How much one look reads of each partition where Redis holds any number of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Lanes with a list, in each stream; what the lists of others hold is not counted.
    pub lanes: usize,
    /// Overdue polls, the most overdue first.
    pub polls: usize,
    /// Users; the next look goes on behind them, and what is told of people is of the last whole walk.
    pub users: usize,
    /// Dead letters that no look has read before, in each bucket; the next look reads more.
    pub letters: usize,
}

impl Bounds {
    /// Everything in one look, however much it is; causes of dead letters are not read.
    pub const EVERYTHING: Self = Self { lanes: usize::MAX, polls: usize::MAX, users: usize::MAX, letters: 0 };
}

/// What a look asks for.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// How the retention time is cut.
    pub buckets: Buckets,
    /// What Exist allows for one token.
    pub budget: Budget,
    /// How many days before the first connection are read.
    pub backfill_days: u32,
    /// How much is read.
    pub bounds: Bounds,
}

/// What looks remember from one to the next: how far they came with everybody, and dead letters they have read.
#[derive(Debug, Default)]
pub struct Memory {
    partitions: Vec<partition::Memory>,
}

/// Everything at about one moment.
#[derive(Debug, Clone)]
pub struct Look {
    /// When it began, in milliseconds since 1970 by Redis' clock.
    pub at_ms: u64,
    /// Each partition, in order.
    pub partitions: Vec<PartitionStatus>,
    /// Key locks that are held, by stage, partition and user.
    pub key_locks: Vec<(Stage, HeldLock)>,
    /// Redis' memory, where it tells.
    pub memory: Option<MemoryUsed>,
}

/// What waits for one stage in one partition.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    /// All entries that are not settled: of the stream, and of the lists of lanes that overflow.
    pub backlog: u64,
    /// Of them, those in lanes whose time is still to come. The others are runnable.
    pub parked: u64,
    /// Of those parked, the ones of users whose key lock somebody holds.
    pub locked: u64,
    /// How long ago the oldest of them all was appended.
    pub oldest: Option<Duration>,
    /// How long ago the oldest runnable one was appended.
    pub oldest_runnable: Option<Duration>,
}

/// One partition at one moment.
#[derive(Debug, Clone)]
pub struct PartitionStatus {
    /// Which.
    pub partition: Partition,
    /// Its leases, as [`Stage::ALL`] orders them.
    pub leases: Vec<LeaseView>,
    /// What waits for the normaliser.
    pub raw: Waiting,
    /// What waits for the exist-writer.
    pub normalised: Waiting,
    /// Polls whose time has come and gone, by source: by how long, the longest.
    pub polls_overdue: BTreeMap<SourceName, Duration>,
    /// Users with something to send or to read back.
    pub users_due: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Dead letters by stage and class of cause, as far as they were read.
    pub dead_by_cause: BTreeMap<(String, &'static str), u64>,
    /// Counters.
    pub counts: Counts,
    /// What is paused for more than one user.
    pub paused: Wide,
    /// What is told of its users.
    pub people: People,
}

/// Looks at everything. Asks each partition for the same number of things, and for no more than the question's
/// bounds allow of what Redis may hold any number of.
///
/// # Errors
/// [`StoreError::Redis`]: no answer. [`StoreError::Document`], [`StoreError::Decode`]: something of an
/// incompatible release.
pub async fn look(
    redis: &Redis,
    keys: &Keys,
    partitions: PartitionCount,
    question: &Question,
    memory: &mut Memory,
) -> Result<Look, StoreError> {
    let now_ms = clock::now_ms(redis).await?;
    let all: Vec<Partition> = partitions.all().collect();
    let mut key_locks = Vec::new();
    for stage in Stage::ALL {
        let held = KeyLock::held(redis, keys, stage, &all).await?;
        key_locks.extend(held.into_iter().map(|lock| (stage, lock)));
    }
    memory.partitions.resize_with(all.len(), partition::Memory::default);
    let moment = partition::Moment { now_ms, question, locks: &key_locks };
    let each = all.iter().zip(&mut memory.partitions);
    let looks: Vec<_> = each.map(|(at, memory)| partition::look(redis, keys, *at, &moment, memory)).collect();
    let partitions = stream::iter(looks).buffered(AT_ONCE).try_collect().await?;
    Ok(Look { at_ms: now_ms, partitions, key_locks, memory: memory_used(redis).await.ok() })
}
