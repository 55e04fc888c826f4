//! What a number is made of, and where a user's data lies.

use std::collections::{BTreeMap, HashMap};

use event::{Day, ExternalId, Partition, SourceName, UserId};
use ledger::{Buckets, Pair};
use redis::Value;

use crate::{
    Applied, Confirmed, Keys, Redis, Stage, StoreError, clock,
    key::{DAYS_PER_PERIOD, period_of},
    pack::Packed,
    period_keys,
};

/// The oldest day that can still have totals: the longest back-fill, a period, and a month to be sure.
const OLDEST_DAYS: i32 = 365 + DAYS_PER_PERIOD + 31;

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
