//! What operators look at: who owns what, how much waits and for how long, what a number is made of.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use event::{Day, EntryId, ExternalId, Partition, SourceName, UserId};
use ledger::{Buckets, Budget, Pair, Spent};
use redis::Value;
use serde::de::IgnoredAny;

use crate::{
    Applied, Confirmed, Counts, Keys, Lease, LeaseView, Redis, Stage, StoreError, clock, counts, entry,
    key::{DAYS_PER_PERIOD, period_of},
    pack::Packed,
    pause::{Wide, wide},
    period_keys,
};

/// The oldest day that can still have totals: the longest back-fill, a period, and a month to be sure.
const OLDEST_DAYS: i32 = 365 + DAYS_PER_PERIOD + 31;

/// How many partitions this Redis was first started with; `None` if it never was.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn stored_partitions(redis: &Redis, keys: &Keys) -> Result<Option<u16>, StoreError> {
    let mut get = redis::cmd("GET");
    get.arg(keys.partitions());
    redis.run("reading the number of partitions", &get).await
}

/// What waits for one stage in one partition.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    /// All entries that are not settled: of the stream, and of the lists of lanes that overflow.
    pub backlog: u64,
    /// Of them, those in lanes whose time is still to come. The others are runnable.
    pub parked: u64,
    /// How long ago the oldest of them all was appended.
    pub oldest: Option<Duration>,
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
    /// Polls whose time has come and gone by this long, the longest.
    pub poll_overdue: Option<Duration>,
    /// Users with something to send.
    pub users_due: u64,
    /// Of them, those whose budget is spent for now, or whom Exist told to wait.
    pub users_limited: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Counters.
    pub counts: Counts,
    /// What is paused for more than one user.
    pub paused: Wide,
}

/// Looks at one partition.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn partition_status(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    buckets: Buckets,
    budget: Budget,
) -> Result<PartitionStatus, StoreError> {
    const DOING: &str = "looking at a partition";
    let now_ms = clock::now_ms(redis).await?;
    let mut leases = Vec::with_capacity(Stage::ALL.len());
    for stage in Stage::ALL {
        leases.extend(Lease::look(redis, keys, stage, &[partition]).await?);
    }
    let mut pipeline = redis::pipe();
    pipeline.cmd("ZRANGEBYSCORE").arg(keys.schedule(partition)).arg("-inf").arg(now_ms).arg("WITHSCORES");
    pipeline.cmd("ZRANGE").arg(keys.due(partition)).arg(0).arg(-1);
    let (overdue, due): (Vec<(String, u64)>, Vec<String>) = redis.run_all(DOING, &pipeline).await?;
    let longest = overdue.iter().map(|(_, at)| *at).min();

    let mut letters = redis::pipe();
    for bucket in buckets.alive(now_ms) {
        letters.cmd("HLEN").arg(keys.dead(partition, bucket));
    }
    let letters: Vec<u64> = redis.run_all(DOING, &letters).await?;
    let users: Vec<UserId> = due.iter().filter_map(|user| UserId::try_new(user).ok()).collect();
    Ok(PartitionStatus {
        partition,
        leases,
        raw: waiting(redis, keys, partition, Stage::Normalise, now_ms).await?,
        normalised: waiting(redis, keys, partition, Stage::Write, now_ms).await?,
        poll_overdue: longest.map(|at| Duration::from_millis(now_ms.saturating_sub(at))),
        users_due: u64::try_from(users.len()).unwrap_or(0),
        users_limited: limited(redis, keys, partition, &users, budget, now_ms).await?,
        dead_letters: letters.iter().sum(),
        counts: counts(redis, keys, partition).await?,
        paused: wide(redis, keys, partition).await?,
    })
}

async fn waiting(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    stage: Stage,
    now_ms: u64,
) -> Result<Waiting, StoreError> {
    const DOING: &str = "looking at a stream";
    let stream = keys.stream(partition, stage);
    let mut pipeline = redis::pipe();
    pipeline.cmd("XLEN").arg(&stream);
    pipeline.cmd("XRANGE").arg(&stream).arg("-").arg("+").arg("COUNT").arg(1);
    pipeline.cmd("ZRANGEBYSCORE").arg(keys.parked(partition, stage)).arg(format!("({now_ms}")).arg("+inf");
    pipeline.cmd("SMEMBERS").arg(keys.overflowing(partition, stage));
    type Answer = (u64, Vec<(String, Value)>, Vec<String>, Vec<String>);
    let (mut backlog, first, parked_lanes, lanes): Answer = redis.run_all(DOING, &pipeline).await?;
    let mut oldest = first.into_iter().filter_map(entry::entry).map(|entry| entry.id).next();
    let mut parked = 0;
    for lane in lanes {
        let list = keys.overflow(partition, stage, &lane);
        let mut pipeline = redis::pipe();
        pipeline.cmd("LLEN").arg(&list).cmd("LINDEX").arg(&list).arg(0);
        let (kept, head): (u64, Option<Vec<u8>>) = redis.run_all(DOING, &pipeline).await?;
        backlog += kept;
        parked += if parked_lanes.contains(&lane) { kept } else { 0 };
        // What is kept begins with the id the entry had in the stream.
        let id = head.and_then(|bytes| event::decode::<(EntryId, IgnoredAny)>(&bytes).ok()).map(|(id, _)| id);
        oldest = oldest.into_iter().chain(id).min();
    }
    let oldest = oldest.map(|EntryId { ms, .. }| Duration::from_millis(now_ms.saturating_sub(ms)));
    Ok(Waiting { backlog, parked, oldest })
}

/// How many users may not be sent to now.
async fn limited(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    users: &[UserId],
    budget: Budget,
    now_ms: u64,
) -> Result<u64, StoreError> {
    if users.is_empty() {
        return Ok(0);
    }
    let mut pipeline = redis::pipe();
    for user in users {
        pipeline.cmd("HMGET").arg(keys.sending(partition, user)).arg(&["not_before", "spent"]);
    }
    let sendings: Vec<(Option<u64>, Option<u64>)> = redis.run_all("looking at budgets", &pipeline).await?;
    let waits = |(not_before, spent): &(Option<u64>, Option<u64>)| {
        not_before.is_some_and(|until| until > now_ms) || budget.take(now_ms, spent.map(Spent)).is_err()
    };
    Ok(u64::try_from(sendings.iter().filter(|sending| waits(sending)).count()).unwrap_or(0))
}

/// What a pair's number is made of, all of it read at one moment.
#[derive(Debug, Clone)]
pub struct Composition {
    /// Each source's total, in base units.
    pub totals: BTreeMap<SourceName, i64>,
    /// What Exist is known to hold; `None` if we never wrote it.
    pub confirmed: Option<Confirmed>,
    /// Whether a change still waits to be confirmed.
    pub is_changed: bool,
    /// The records that are still kept and add to it, as they are in the totals, in order.
    pub records: BTreeMap<(SourceName, ExternalId), Applied>,
}

/// What a pair's number is made of.
///
/// # Errors
/// [`StoreError::Redis`]: no answer. [`StoreError::Decode`]: something of an incompatible release.
pub async fn composition(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    user: &UserId,
    pair: &Pair,
    buckets: Buckets,
) -> Result<Composition, StoreError> {
    let alive: Vec<_> = buckets.alive(clock::now_ms(redis).await?).collect();
    let (period, field) = (period_of(pair.day), pair.to_string());
    let confirmed_key = keys.confirmed(partition, user, period);
    // One transaction: a record that moved to another bucket meanwhile must not be missed.
    let mut pipeline = redis::pipe();
    pipeline.atomic();
    pipeline.cmd("HGETALL").arg(keys.totals(partition, user, period));
    pipeline.cmd("HMGET").arg(&confirmed_key).arg(&field);
    pipeline.cmd("HMGET").arg(keys.changed(partition, user)).arg(&field);
    for &bucket in &alive {
        pipeline.cmd("HGETALL").arg(keys.applied(partition, user, bucket));
    }
    let mut answers: Vec<Value> = redis.run_all("reading what a number is made of", &pipeline).await?;
    let unreadable = |error: redis::ParsingError| StoreError::redis("reading what a number is made of")(error.into());
    let applied = answers.split_off(3);
    type Field = [Option<Vec<u8>>; 1];
    let (totals, [confirmed], [changed]): (HashMap<String, i64>, Field, Field) =
        redis::from_redis_value(Value::Array(answers)).map_err(unreadable)?;
    let confirmed = confirmed.map(|bytes| event::decode(&bytes)).transpose();
    let mut records = BTreeMap::new();
    for (bucket, hash) in alive.into_iter().zip(applied) {
        for (name, bytes) in redis::from_redis_value::<HashMap<String, Vec<u8>>>(hash).map_err(unreadable)? {
            let Some(record) = record(&name) else { continue };
            let unreadable = || StoreError::Packed { key: keys.applied(partition, user, bucket) };
            let held = Applied::unpack(&bytes, partition, buckets.begins_at_ms(bucket)).ok_or_else(unreadable)?;
            // Buckets come from the newest on: the first that holds a record is the one that counts.
            records.entry(record).or_insert(held);
        }
    }
    records.retain(|_, held: &mut Applied| {
        held.contributions.iter().any(|adds| adds.attribute == pair.attribute && adds.day == pair.day)
    });
    let total = |(name, amount): (String, i64)| {
        Some((SourceName::try_new(name.strip_prefix(&field)?.strip_prefix('|')?).ok()?, amount))
    };
    Ok(Composition {
        totals: totals.into_iter().filter_map(total).collect(),
        confirmed: confirmed.map_err(|source| StoreError::Decode { key: confirmed_key, source })?,
        is_changed: changed.is_some(),
        records,
    })
}

/// `source/id`, as the shelf names records.
pub(crate) fn record(name: &str) -> Option<(SourceName, ExternalId)> {
    let (source, id) = name.split_once('/')?;
    Some((SourceName::try_new(source).ok()?, ExternalId::try_new(id).ok()?))
}

/// Every key that holds one user's records, totals and waiting entries, whether it exists or not.
///
/// Named and not searched for: a search would look at every key of every user, and at one node of a cluster.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn keys_of(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    user: &UserId,
    buckets: Buckets,
) -> Result<Vec<String>, StoreError> {
    let now_ms = clock::now_ms(redis).await?;
    let mut command = redis::cmd("HKEYS");
    command.arg(keys.changed(partition, user));
    let changed: Vec<String> = redis.run("looking for a user's days", &command).await?;
    let today = Day::from_number(i32::try_from(now_ms / 86_400_000).unwrap_or(i32::MAX / 2));
    let mut found = period_keys(keys, partition, user, today.plus(-OLDEST_DAYS), today.plus(DAYS_PER_PERIOD));
    // Days that are still to come stay changed until they do.
    for pair in changed.iter().filter_map(|pair| pair.parse::<Pair>().ok()) {
        found.extend(period_keys(keys, partition, user, pair.day, pair.day));
    }
    for bucket in buckets.alive(now_ms) {
        let names = [Keys::records, Keys::applied, Keys::archive];
        found.extend(names.map(|name| name(keys, partition, user, bucket)));
    }
    // Users are the lanes of both streams.
    found.extend([Stage::Normalise, Stage::Write].map(|stage| keys.overflow(partition, stage, user.as_str())));
    Ok(found)
}
