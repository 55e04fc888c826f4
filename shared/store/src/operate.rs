//! What operators change: connections, schedules. Not fenced, because no worker owns these fields.

use std::{collections::BTreeSet, sync::LazyLock, time::Duration};

use event::{Partition, SourceName, UserId};
use ledger::Pair;
use redis::{FromRedisValue, Value};

use crate::{
    Keys, Redis, Stage, StoreError, pause,
    script::NamedScript,
    user::{Adopt, ExistConnection, RecountAsked, document, field},
};

static DECIDE: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("operate/decide", include_str!("../lua/operate/decide.lua")));

/// One field of a user's hash, as it shall be.
pub type Field = (String, String);

/// Writes a user's documents in one step, makes the connections due, and tells every process.
///
/// # Errors
/// [`StoreError::Redis`]: no answer; writing again is safe.
pub async fn connect(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    user: &UserId,
    documents: &[Field],
    removed: &[String],
    sources: &[SourceName],
) -> Result<(), StoreError> {
    let now_ms = crate::clock::now_ms(redis).await?;
    let hash = keys.user(partition, user);
    let mut pipeline = redis::pipe();
    pipeline.atomic();
    pipeline.cmd("SADD").arg(keys.users(partition)).arg(user.as_str()).ignore();
    pipeline.cmd("HSET").arg(&hash).arg(documents).ignore();
    if !removed.is_empty() {
        pipeline.cmd("HDEL").arg(&hash).arg(removed).ignore();
    }
    for source in sources {
        let member = format!("{user}/{source}");
        pipeline.cmd("ZADD").arg(keys.schedule(partition)).arg(now_ms).arg(member).ignore();
    }
    pipeline.cmd("ZADD").arg(keys.due(partition)).arg(now_ms).arg(user.as_str()).ignore();
    pipeline.cmd("HDEL").arg(keys.sending(partition, user)).arg(&["failures", "retry_at"]).ignore();
    changed(&mut pipeline, redis, keys, partition);
    redis.run_all::<()>("connecting a user", &pipeline).await?;
    // What waited for the connection's return goes back where it came from.
    for source in sources {
        pause::release(redis, keys, partition, user, source).await?;
    }
    Ok(())
}

/// Forgets a user at once: documents, tokens, cursors, totals, records, whatever waits.
///
/// # Errors
/// [`StoreError::Redis`]: no answer; some of it may be gone. Disconnecting again is safe.
pub async fn disconnect(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    user: &UserId,
    sources: &[SourceName],
    erase: &[String],
) -> Result<(), StoreError> {
    let mut pipeline = redis::pipe();
    pipeline.atomic();
    pipeline.cmd("SREM").arg(keys.users(partition)).arg(user.as_str()).ignore();
    for source in sources {
        let member = format!("{user}/{source}");
        pipeline.cmd("ZREM").arg(keys.schedule(partition)).arg(&member).ignore();
        pipeline.cmd("SREM").arg(keys.skipped(partition, Stage::Fetch)).arg(member).ignore();
        pipeline.cmd("DEL").arg(keys.held(partition, user, source)).ignore();
    }
    pipeline.cmd("ZREM").arg(keys.due(partition)).arg(user.as_str()).ignore();
    pipeline.cmd("SREM").arg(keys.skipped(partition, Stage::Write)).arg(user.as_str()).ignore();
    for key in [
        keys.user(partition, user),
        keys.sending(partition, user),
        keys.changed(partition, user),
        keys.open(partition, user),
        keys.checks(partition, user),
    ] {
        pipeline.cmd("DEL").arg(key).ignore();
    }
    for key in erase {
        pipeline.cmd("DEL").arg(key).ignore();
    }
    changed(&mut pipeline, redis, keys, partition);
    redis.run_all::<()>("disconnecting a user", &pipeline).await
}

/// Asks the fetcher to count a source anew, as soon as it looks.
///
/// # Errors
/// [`StoreError::Redis`]: no answer; asking again is safe.
pub async fn recount(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    user: &UserId,
    source: &SourceName,
    asked: &RecountAsked,
) -> Result<(), StoreError> {
    let mut pipeline = redis::pipe();
    pipeline.atomic();
    let hash = keys.user(partition, user);
    pipeline.cmd("HSET").arg(hash).arg(field::recount(source)).arg(document(asked)).ignore();
    redis.run_all::<()>("asking for a recount", &pipeline).await?;
    sync_now(redis, keys, partition, user, std::slice::from_ref(source)).await
}

/// Asks the exist-writer for something that stands in a field of the user's documents, as soon as it looks.
///
/// # Errors
/// [`StoreError::Redis`]: no answer; asking again is safe.
pub async fn ask(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    user: &UserId,
    (name, document): &Field,
) -> Result<(), StoreError> {
    let mut pipeline = redis::pipe();
    pipeline.atomic();
    pipeline.cmd("HSET").arg(keys.user(partition, user)).arg(name).arg(document).ignore();
    redis.run_all::<()>("asking the exist-writer", &pipeline).await?;
    sync_now(redis, keys, partition, user, &[]).await
}

/// Decides what becomes of the values that stood in Exist before us. `false`: the connection was changed
/// meanwhile; read it and decide again.
///
/// # Errors
/// [`StoreError::Redis`]: no answer; deciding again is safe.
pub async fn decide(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    user: &UserId,
    before: &ExistConnection,
    adopt: Adopt,
) -> Result<bool, StoreError> {
    let after = ExistConnection { adopt, ..before.clone() };
    let mut call = DECIDE.key(keys.user(partition, user));
    call.key(keys.due(partition)).key(keys.revision(partition));
    call.arg(document(before)).arg(document(&after)).arg(user.as_str());
    let verdict: String = DECIDE
        .timed(call.invoke_async(&mut redis.clone()))
        .await
        .map_err(StoreError::redis("deciding what is adopted"))?;
    Ok(verdict == "decided")
}

/// The pairs of a user that changed and are not confirmed.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn changed_pairs(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    user: &UserId,
) -> Result<BTreeSet<Pair>, StoreError> {
    let mut command = redis::cmd("HKEYS");
    command.arg(keys.changed(partition, user));
    let fields: Vec<String> = redis.run("reading changed pairs", &command).await?;
    Ok(fields.iter().filter_map(|field| field.parse().ok()).collect())
}

/// How many entries of a partition wait in its streams.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn entries_waiting(redis: &Redis, keys: &Keys, partition: Partition) -> Result<u64, StoreError> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("XLEN").arg(keys.raw(partition)).cmd("XLEN").arg(keys.normalised(partition));
    let (raw, normalised): (u64, u64) = redis.run_all("counting what waits", &pipeline).await?;
    Ok(raw + normalised)
}

/// Makes a connection's poll due now.
///
/// # Errors
/// [`StoreError::Redis`]: no answer; asking again is safe.
pub async fn sync_now(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    user: &UserId,
    sources: &[SourceName],
) -> Result<(), StoreError> {
    let now_ms = crate::clock::now_ms(redis).await?;
    let mut pipeline = redis::pipe();
    pipeline.atomic();
    for source in sources {
        let member = format!("{user}/{source}");
        pipeline.cmd("ZADD").arg(keys.schedule(partition)).arg("XX").arg(now_ms).arg(member).ignore();
    }
    pipeline.cmd("ZADD").arg(keys.due(partition)).arg("LT").arg(now_ms).arg(user.as_str()).ignore();
    changed(&mut pipeline, redis, keys, partition);
    redis.run_all::<()>("asking for a sync", &pipeline).await
}

/// Documents changed: caches are stale, and every stage shall look.
fn changed(pipeline: &mut redis::Pipeline, redis: &Redis, keys: &Keys, partition: Partition) {
    pipeline.cmd("INCR").arg(keys.revision(partition)).ignore();
    if !redis.is_cluster() {
        for stage in Stage::ALL {
            pipeline.cmd("PUBLISH").arg(keys.ring(stage)).arg(partition.index()).ignore();
        }
    }
}

/// Redis' clock, in milliseconds since 1970.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn now_ms(redis: &Redis) -> Result<u64, StoreError> {
    crate::clock::now_ms(redis).await
}

/// Checks what a deployment fixes at its first start, and that Redis will not throw anything away.
///
/// # Errors
/// [`StoreError::PartitionCount`], [`StoreError::Evicts`]: the settings or Redis must change.
/// [`StoreError::Redis`]: no answer.
pub async fn check(redis: &Redis, keys: &Keys, partitions: u16) -> Result<(), StoreError> {
    let key = keys.partitions();
    let mut set = redis::cmd("SET");
    set.arg(&key).arg(partitions).arg("NX");
    let _first: Option<String> = redis.run("fixing the number of partitions", &set).await?;
    let mut get = redis::cmd("GET");
    get.arg(&key);
    let stored: u16 = redis.run("reading the number of partitions", &get).await?;
    if stored != partitions {
        return Err(StoreError::PartitionCount { stored, asked: partitions });
    }
    match memory_policy(redis).await {
        Some(policy) if policy != "noeviction" => Err(StoreError::Evicts { policy }),
        _ => Ok(()),
    }
}

/// Checks as much for somebody who changes nothing: a Redis that was never started with has any number of partitions.
///
/// # Errors
/// [`StoreError::PartitionCount`]: the settings must change. [`StoreError::Redis`]: no answer.
pub async fn check_to_look(redis: &Redis, keys: &Keys, partitions: u16) -> Result<(), StoreError> {
    match crate::stored_partitions(redis, keys).await? {
        Some(stored) if stored != partitions => Err(StoreError::PartitionCount { stored, asked: partitions }),
        _ => Ok(()),
    }
}

/// The eviction policy, where Redis tells: a managed one may refuse `CONFIG`, and INFO tells as well. Of a
/// cluster's nodes, the first one that may throw something away.
async fn memory_policy(redis: &Redis) -> Option<String> {
    let texts = memory_info(redis).await.ok()?;
    let policy = |text: &String| {
        text.lines().find_map(|line| line.strip_prefix("maxmemory_policy:")).map(|policy| policy.trim().to_owned())
    };
    let policies: Vec<String> = texts.iter().filter_map(policy).collect();
    policies.iter().find(|policy| *policy != "noeviction").or(policies.first()).cloned()
}

/// What each node tells of its memory: one text for one server.
async fn memory_info(redis: &Redis) -> Result<Vec<String>, StoreError> {
    let mut info = redis::cmd("INFO");
    info.arg("memory");
    let answer: Value = redis.run("reading memory", &info).await?;
    let texts = match answer {
        Value::Map(nodes) => nodes.into_iter().map(|(_, text)| text).collect(),
        text => vec![text],
    };
    Ok(texts.into_iter().filter_map(|text| String::from_redis_value(text).ok()).collect())
}

/// How much memory Redis uses; of a cluster, its fullest node.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn memory_used(redis: &Redis) -> Result<MemoryUsed, StoreError> {
    let used = |text: &String| {
        let number = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)).and_then(|value| value.trim().parse::<u64>().ok())
        };
        MemoryUsed { bytes: number("used_memory:").unwrap_or(0), limit: number("maxmemory:").unwrap_or(0) }
    };
    let nodes = memory_info(redis).await?;
    Ok(nodes.iter().map(used).max_by_key(|node| node.per_cent()).unwrap_or(MemoryUsed { bytes: 0, limit: 0 }))
}

/// Redis' memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryUsed {
    /// In use, in bytes.
    pub bytes: u64,
    /// The limit, in bytes; 0 for none.
    pub limit: u64,
}

impl MemoryUsed {
    /// Used per cent of the limit; 0 where there is no limit.
    #[must_use]
    pub const fn per_cent(self) -> u64 {
        match self.bytes.saturating_mul(100).checked_div(self.limit) {
            Some(per_cent) => per_cent,
            None => 0,
        }
    }
}

/// How long an operator's question may take before it is given up.
pub const OPERATE_TIMEOUT: Duration = Duration::from_secs(10);
