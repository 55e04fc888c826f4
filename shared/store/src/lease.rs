//! Ownership of a partition: who has it, until when, and the token that refuses a past owner.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use event::Partition;
use redis::{FromRedisValue, Value};
use telemetry::counter;
use tokio::time::Instant;

use crate::{Keys, Redis, Stage, StoreError, guard::Guard, script::NamedScript};

/// How long a lease lasts without being renewed.
pub const LEASE_TTL: Duration = Duration::from_secs(10);
/// How often leases are renewed.
pub const RENEW_EVERY: Duration = Duration::from_secs(3);

static ACQUIRE: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("lease/acquire", include_str!("../lua/lease/acquire.lua")));
static RENEW: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("lease/renew", include_str!("../lua/lease/renew.lua")));
static RELEASE: LazyLock<NamedScript> =
    LazyLock::new(|| NamedScript::new("lease/release", include_str!("../lua/lease/release.lua")));

/// Our lease of one partition for one stage. Cloning it shares it.
///
/// Safety rests on the epoch alone: every commit compares it. The time left is for things Redis cannot
/// refuse, such as a request to Exist.
#[derive(Clone, Debug)]
pub struct Lease {
    inner: Arc<Inner>,
    /// What a commit checks besides the epoch.
    guard: Option<Arc<Guard>>,
}

#[derive(Debug)]
struct Inner {
    partition: Partition,
    stage: Stage,
    key: String,
    epoch: u64,
    /// Its last owner had let it expire.
    expired: bool,
    since: Instant,
    /// When it expires, in milliseconds after `since`, by the monotonic clock read *before* the
    /// renewal was sent: never later than what Redis holds.
    until: AtomicU64,
}

/// How a partition's lease looks to others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseView {
    /// Who holds it; `None` if nobody does, or the holder let it expire.
    pub owner: Option<String>,
    /// The epoch in force; 0 if nobody ever held it.
    pub epoch: u64,
    /// For how long nobody has held it; zero while somebody does.
    pub free_for: Duration,
}

/// Owner, epoch and until, as they stand in Redis.
type Fields = (Option<String>, Option<u64>, Option<u64>);

impl LeaseView {
    /// Asks for what it is made of.
    pub(crate) fn command(key: &str) -> redis::Cmd {
        let mut command = redis::cmd("HMGET");
        command.arg(key).arg(&["owner", "epoch", "until"]);
        command
    }

    pub(crate) fn of((owner, epoch, until): Fields, now_ms: u64) -> Self {
        let until = until.unwrap_or(0);
        let owner = owner.filter(|owner| !owner.is_empty() && until > now_ms);
        let free_for = Duration::from_millis(if owner.is_some() { 0 } else { now_ms.saturating_sub(until) });
        Self { owner, epoch: epoch.unwrap_or(0), free_for }
    }
}

impl Lease {
    /// Takes a partition, if nobody holds it.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer. We may hold it now without knowing; it then expires.
    pub async fn acquire(
        redis: &Redis,
        keys: &Keys,
        stage: Stage,
        partition: Partition,
        owner: &str,
    ) -> Result<Option<Self>, StoreError> {
        const DOING: &str = "acquiring a lease";
        let key = keys.lease(partition, stage);
        let asked = Instant::now();
        let mut call = ACQUIRE.key(&key);
        call.arg(owner).arg(millis(LEASE_TTL));
        let (verdict, detail, before): (String, Value, String) =
            ACQUIRE.timed(call.invoke_async(&mut redis.clone())).await.map_err(StoreError::redis(DOING))?;
        if verdict != "acquired" {
            return Ok(None);
        }
        let epoch =
            u64::from_redis_value(detail).map_err(|error| StoreError::Redis { doing: DOING, source: error.into() })?;
        let until = AtomicU64::new(millis(LEASE_TTL));
        let expired = !before.is_empty() && before != owner;
        let inner = Arc::new(Inner { partition, stage, key, epoch, expired, since: asked, until });
        Ok(Some(Self { inner, guard: None }))
    }

    /// Renews it. `false`: it is somebody else's now.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer; it may be renewed or not.
    pub async fn renew(&self, redis: &Redis) -> Result<bool, StoreError> {
        let asked = Instant::now();
        let mut call = RENEW.key(&self.inner.key);
        call.arg(self.inner.epoch).arg(millis(LEASE_TTL));
        let verdict: String =
            RENEW.timed(call.invoke_async(&mut redis.clone())).await.map_err(StoreError::redis("renewing a lease"))?;
        if verdict == "renewed" {
            let until = millis(asked.duration_since(self.inner.since) + LEASE_TTL);
            self.inner.until.fetch_max(until, Ordering::AcqRel);
        } else {
            self.refused("lease/renew");
        }
        Ok(verdict == "renewed")
    }

    /// Gives it back, so that the next owner need not wait until it expires.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer; it then expires.
    pub async fn release(&self, redis: &Redis) -> Result<(), StoreError> {
        self.forget();
        let mut call = RELEASE.key(&self.inner.key);
        call.arg(self.inner.epoch);
        let verdict: String = RELEASE
            .timed(call.invoke_async(&mut redis.clone()))
            .await
            .map_err(StoreError::redis("releasing a lease"))?;
        if verdict != "released" {
            self.refused("lease/release");
        }
        Ok(())
    }

    /// How the lease of each partition looks to everybody, in the order asked.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer.
    pub async fn look(
        redis: &Redis,
        keys: &Keys,
        stage: Stage,
        partitions: &[Partition],
    ) -> Result<Vec<LeaseView>, StoreError> {
        const DOING: &str = "looking at leases";
        let now_ms = crate::clock::now_ms(redis).await?;
        let fields: Vec<Fields> = if redis.is_cluster() {
            let mut fields = Vec::with_capacity(partitions.len());
            for &partition in partitions {
                fields.push(redis.run(DOING, &LeaseView::command(&keys.lease(partition, stage))).await?);
            }
            fields
        } else {
            let mut pipeline = redis::pipe();
            for &partition in partitions {
                pipeline.add_command(LeaseView::command(&keys.lease(partition, stage)));
            }
            redis.run_all(DOING, &pipeline).await?
        };
        Ok(fields.into_iter().map(|fields| LeaseView::of(fields, now_ms)).collect())
    }

    /// Which partition.
    #[must_use]
    pub fn partition(&self) -> Partition {
        self.inner.partition
    }

    /// For which stage.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.inner.stage
    }

    /// The fencing token.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.inner.epoch
    }

    /// How long it lasts at least, by our monotonic clock, unless renewed. Zero once it was lost.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        let until = Duration::from_millis(self.inner.until.load(Ordering::Acquire));
        until.saturating_sub(self.inner.since.elapsed())
    }

    /// No lease at all: what commits under it is fenced by the guard alone, and it lasts no time, so that no
    /// request starts on it.
    pub(crate) fn none(keys: &Keys, stage: Stage, partition: Partition, guard: Guard) -> Self {
        let key = keys.lease(partition, stage);
        let inner =
            Inner { partition, stage, key, epoch: 0, expired: false, since: Instant::now(), until: AtomicU64::new(0) };
        Self { inner: Arc::new(inner), guard: Some(Arc::new(guard)) }
    }

    /// The same lease, whose commits check this as well.
    pub(crate) fn guarded(&self, guard: Guard) -> Self {
        Self { inner: Arc::clone(&self.inner), guard: Some(Arc::new(guard)) }
    }

    pub(crate) fn guard(&self) -> Option<&Guard> {
        self.guard.as_deref()
    }

    pub(crate) fn key(&self) -> &str {
        &self.inner.key
    }

    /// Whether we took it from a member that had let it expire.
    #[must_use]
    pub fn was_expired(&self) -> bool {
        self.inner.expired
    }

    pub(crate) fn fenced(&self, script: &'static str) -> StoreError {
        self.refused(script);
        StoreError::Fenced { partition: self.inner.partition, stage: self.inner.stage }
    }

    /// A script found a younger epoch than ours.
    fn refused(&self, script: &'static str) {
        self.forget();
        counter!(FENCED, stage = self.inner.stage.as_str(), script = script).increment(1);
    }

    /// No request may start on it any more.
    fn forget(&self) {
        self.inner.until.store(0, Ordering::Release);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}
