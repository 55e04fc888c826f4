//! What operators look at: who owns what, how much waits and for how long.

use std::{collections::HashMap, time::Duration};

use event::{EntryId, Partition, UserId};
use ledger::Buckets;
use redis::Value;

use crate::{Counts, Keys, Lease, LeaseView, Redis, Stage, StoreError, clock, counts, entry};

/// What waits for one stage in one partition.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    /// Entries of the stream that are not settled, and of the lists of lanes that overflow.
    pub backlog: u64,
    /// Lanes that wait for a time to come.
    pub parked_lanes: u64,
    /// How long the oldest entry of the stream has been there.
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
    /// Of them, those whose request budget is spent or whom Exist told to wait.
    pub users_limited: u64,
    /// Dead letters.
    pub dead_letters: u64,
    /// Counters.
    pub counts: Counts,
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
        users_limited: limited(redis, keys, partition, &users, now_ms).await?,
        dead_letters: letters.iter().sum(),
        counts: counts(redis, keys, partition).await?,
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
    pipeline.cmd("ZCARD").arg(keys.parked(partition, stage));
    pipeline.cmd("SMEMBERS").arg(keys.overflowing(partition, stage));
    type Answer = (u64, Vec<(String, Value)>, u64, Vec<String>);
    let (length, oldest, parked_lanes, lanes): Answer = redis.run_all(DOING, &pipeline).await?;
    let mut backlog = length;
    for lane in lanes {
        let mut kept = redis::cmd("LLEN");
        kept.arg(keys.overflow(partition, stage, &lane));
        backlog += redis.run::<u64>(DOING, &kept).await?;
    }
    let oldest = oldest.into_iter().filter_map(entry::entry).map(|entry| entry.id).next();
    let oldest = oldest.map(|EntryId { ms, .. }| Duration::from_millis(now_ms.saturating_sub(ms)));
    Ok(Waiting { backlog, parked_lanes, oldest })
}

/// How many users may not be sent to now.
async fn limited(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    users: &[UserId],
    now_ms: u64,
) -> Result<u64, StoreError> {
    if users.is_empty() {
        return Ok(0);
    }
    let mut pipeline = redis::pipe();
    for user in users {
        pipeline.cmd("HGET").arg(keys.sending(partition, user)).arg("not_before");
    }
    let until: Vec<Option<u64>> = redis.run_all("looking at budgets", &pipeline).await?;
    let waits = until.into_iter().flatten().filter(|until| *until > now_ms).count();
    Ok(u64::try_from(waits).unwrap_or(0))
}

/// Every key that belongs to one user, found by name: for erasing, not for the hot path.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn keys_of(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    user: &UserId,
) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    let escaped: String =
        user.as_str().chars().flat_map(|c| if "*?[]\\^-".contains(c) { vec!['\\', c] } else { vec![c] }).collect();
    for kind in ["records", "applied", "totals", "confirmed", "overflow:normalise", "overflow:write"] {
        let pattern = keys.of_user(partition, kind, &escaped);
        for pattern in [pattern.clone(), format!("{pattern}:*")] {
            let mut cursor = 0u64;
            loop {
                let mut scan = redis::cmd("SCAN");
                scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(1000);
                let (next, names): (u64, Vec<String>) = redis.run("looking for a user's keys", &scan).await?;
                found.extend(names);
                if next == 0 {
                    break;
                }
                cursor = next;
            }
        }
    }
    let unique: HashMap<String, ()> = found.into_iter().map(|key| (key, ())).collect();
    Ok(unique.into_keys().collect())
}
