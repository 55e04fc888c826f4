//! A stage in this process: its membership, its leases, and one task per owned partition.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use event::{Partition, PartitionCount};
use rand::RngExt;
use store::{Commit, Keys, Lease, Owned, RENEW_EVERY, Redis, Stage, StoreError, announce, leave};
use tokio::{
    task::JoinHandle,
    time::{Instant, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::{Backoff, meter, moves};

/// How often ownership is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a partition's work may take to finish what is in hand.
const DRAIN_MAX: Duration = Duration::from_secs(20);
/// Before a partition's work is begun again after an error.
const BEGIN_AGAIN: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));

/// What a stage does with one partition.
#[async_trait::async_trait]
pub trait PartitionWork: Send + Sync + 'static {
    /// Works the partition until `drain`: then finishes what is in hand and returns.
    ///
    /// # Errors
    /// - [`StoreError::Fenced`]: the partition is somebody else's; it is dropped.
    /// - any other: everything in memory is dropped, and the work begins again from Redis.
    async fn work(&self, owned: Owned, drain: CancellationToken) -> Result<(), StoreError>;

    /// Redis was restarted or replaced since anybody last owned this partition: the last moments may be lost.
    /// Called before [`PartitionWork::work`], again after every error, until it succeeds.
    ///
    /// # Errors
    /// As [`PartitionWork::work`].
    async fn after_loss(&self, _owned: &Owned) -> Result<(), StoreError> {
        Ok(())
    }
}

/// What every stage of a process needs.
#[derive(Clone)]
pub struct StageContext {
    /// The connection.
    pub redis: Redis,
    /// The keys' names.
    pub keys: Arc<Keys>,
    /// How many partitions there are.
    pub partitions: PartitionCount,
    /// Who we are, uniquely: see [`member_name`].
    pub member: String,
    /// Called whenever the loop has come round, for `/livez`.
    pub tick: Arc<dyn Fn() + Send + Sync>,
}

/// A name for this process that no other has, nor this one after a restart.
#[must_use]
pub fn member_name() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "host".to_owned());
    format!("{host}-{}-{:08x}", std::process::id(), rand::rng().random::<u32>())
}

/// One partition that is ours, and the task that works it.
struct Working {
    owned: Owned,
    lease: Lease,
    drain: CancellationToken,
    task: JoinHandle<()>,
}

impl Working {
    fn start(context: &StageContext, work: &Arc<dyn PartitionWork>, runs: &Runs, lease: Lease) -> Self {
        let drain = CancellationToken::new();
        let owned = Owned { redis: context.redis.clone(), keys: Arc::clone(&context.keys), lease: lease.clone() };
        let task = tokio::spawn(work_until_drained(Arc::clone(work), owned.clone(), runs.clone(), drain.clone()));
        Self { owned, lease, drain, task }
    }

    /// Drops what is in hand and begins anew.
    fn begin_again(&mut self, work: &Arc<dyn PartitionWork>, runs: &Runs) {
        self.task.abort();
        let (owned, drain) = (self.owned.clone(), self.drain.clone());
        self.task = tokio::spawn(work_until_drained(Arc::clone(work), owned, runs.clone(), drain));
    }

    /// Finishes what is in hand, then gives the lease back.
    async fn hand_over(mut self, redis: Redis) {
        self.drain.cancel();
        if timeout(DRAIN_MAX, &mut self.task).await.is_err() {
            self.task.abort();
            warn!(partition = %self.lease.partition(), "gave up partition {} with work in hand", self.lease.partition());
        }
        if let Err(error) = self.lease.release(&redis).await {
            warn!(error = telemetry::chain(&error), "a lease was not given back; it expires");
        }
    }
}

/// Begins the work again after every error but the fence.
async fn work_until_drained(work: Arc<dyn PartitionWork>, owned: Owned, runs: Runs, drain: CancellationToken) {
    let mut failures = 0;
    loop {
        let begun = Instant::now();
        match work_whole(work.as_ref(), &owned, &runs, &drain).await {
            Ok(()) | Err(StoreError::Fenced { .. }) => return,
            Err(error) => {
                if error.is_group_gone() {
                    meter::healed("group");
                }
                failures = if begun.elapsed() > DRAIN_MAX { 1 } else { failures + 1 };
                let partition = owned.partition();
                warn!(error = telemetry::chain(&error), %partition, "partition {partition} of {} begins again", owned.stage());
            }
        }
        if drain.run_until_cancelled(tokio::time::sleep(BEGIN_AGAIN.after(failures))).await.is_none() {
            return;
        }
    }
}

/// Makes sure that what may be lost is dealt with, then works.
async fn work_whole(
    work: &dyn PartitionWork,
    owned: &Owned,
    runs: &Runs,
    drain: &CancellationToken,
) -> Result<(), StoreError> {
    let generation = owned.look_at_redis().await?;
    if !generation.is_whole() {
        let (partition, stage) = (owned.partition(), owned.stage());
        let is_lost = generation.marked.is_none() && runs.of(partition).is_some();
        if is_lost {
            error!(%partition, "Redis has lost everything it held of partition {partition} of {stage}");
        } else if generation.marked.is_some() {
            warn!(%partition, "Redis was restarted or replaced: partition {partition} of {stage} is looked through");
        }
        if is_lost || generation.marked.is_some() {
            work.after_loss(owned).await?;
            meter::healed(if is_lost { "dataset" } else { "restart" });
        }
        let mut commit = Commit::new();
        owned.note_whole(&mut commit, &generation);
        owned.commit(commit).await?;
    }
    runs.note(owned.partition(), generation.run);
    work.work(owned.clone(), drain.clone()).await
}

/// Begins the work of partitions anew whose Redis is not the one they were begun with.
async fn look_at_redis(
    context: &StageContext,
    work: &Arc<dyn PartitionWork>,
    runs: &Runs,
    working: &mut BTreeMap<Partition, Working>,
) {
    // One server holds all partitions, of a cluster's nodes each holds some.
    let enough = if context.redis.is_cluster() { working.len() } else { 1 };
    let looks = working.values().take(enough).map(|partition| partition.owned.look_at_redis());
    let other = futures::future::join_all(looks).await.into_iter().filter_map(Result::ok).map(|look| look.run);
    let other: BTreeSet<String> = other.collect();
    for (partition, running) in working.iter_mut() {
        let is_other = |run: String| !other.is_empty() && !other.contains(&run);
        if runs.of(*partition).is_some_and(is_other) {
            running.begin_again(work, runs);
        }
    }
}

/// The run of Redis under which this process last began the work of each partition.
#[derive(Clone, Default)]
struct Runs(Arc<Mutex<BTreeMap<Partition, String>>>);

impl Runs {
    fn of(&self, partition: Partition) -> Option<String> {
        self.0.lock().expect("nobody panics with it in hand").get(&partition).cloned()
    }

    fn note(&self, partition: Partition, run: String) {
        self.0.lock().expect("nobody panics with it in hand").insert(partition, run);
    }
}

/// Owns this process' share of a stage's partitions until `drain`, then hands them over.
///
/// Kept by `two_processes_share_all_partitions` and `a_dead_owner_is_replaced_within_twelve_seconds`.
pub async fn run(context: StageContext, stage: Stage, work: Arc<dyn PartitionWork>, drain: CancellationToken) {
    meter::touch(stage);
    let all: Vec<Partition> = context.partitions.all().collect();
    let mut working: BTreeMap<Partition, Working> = BTreeMap::new();
    let runs = Runs::default();
    let mut handing_over = tokio::task::JoinSet::new();
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut renewed = Instant::now();
    loop {
        tokio::select! { () = drain.cancelled() => break, _ = look.tick() => {} }
        working.retain(|_, partition| !partition.task.is_finished());
        if renewed.elapsed() >= RENEW_EVERY {
            renewed = Instant::now();
            renew(&context, stage, &mut working).await;
            look_at_redis(&context, &work, &runs, &mut working).await;
        }
        if let Err(error) = balance(&context, stage, &work, &runs, &all, &mut working, &mut handing_over).await {
            warn!(error = telemetry::chain(&error), "ownership of {stage} was not looked at; the next tick does");
        }
        while handing_over.try_join_next().is_some() {}
        (context.tick)();
    }
    if let Err(error) = leave(&context.redis, &context.keys, stage, &context.member).await {
        warn!(error = telemetry::chain(&error), "did not say that we leave");
    }
    info!(partitions = working.len(), "draining {} partitions of {stage}", working.len());
    // What is still in hand may take as long as a call: the leases must last.
    let renewing =
        tokio::spawn(keep(context.clone(), working.values().map(|partition| partition.lease.clone()).collect()));
    for (_, partition) in working {
        meter::lease_moved(stage, "drained");
        handing_over.spawn(partition.hand_over(context.redis.clone()));
    }
    while handing_over.join_next().await.is_some() {}
    renewing.abort();
}

/// Renews all leases at once; a lost one's work is dropped where it stands.
async fn renew(context: &StageContext, stage: Stage, working: &mut BTreeMap<Partition, Working>) {
    let begun = Instant::now();
    let renewals = working
        .iter()
        .map(|(&partition, working)| async move { (partition, working.lease.renew(&context.redis).await) });
    for (partition, renewed) in futures::future::join_all(renewals).await {
        match renewed {
            Ok(true) => {}
            Ok(false) => {
                if let Some(lost) = working.remove(&partition) {
                    lost.task.abort();
                    warn!(%partition, "lost partition {partition} of {}", lost.lease.stage());
                }
            }
            Err(error) => {
                warn!(error = telemetry::chain(&error), %partition, "a lease was not renewed; the next tick tries again")
            }
        }
    }
    meter::renewed(stage, begun.elapsed());
}

/// Keeps leases that are being handed over.
async fn keep(context: StageContext, leases: Vec<Lease>) {
    let mut tick = interval(RENEW_EVERY);
    loop {
        tick.tick().await;
        futures::future::join_all(
            leases.iter().filter(|lease| !lease.time_left().is_zero()).map(|lease| lease.renew(&context.redis)),
        )
        .await;
    }
}

/// Says that we are there, takes what is ours to take and gives up what others prefer.
async fn balance(
    context: &StageContext,
    stage: Stage,
    work: &Arc<dyn PartitionWork>,
    runs: &Runs,
    all: &[Partition],
    working: &mut BTreeMap<Partition, Working>,
    handing_over: &mut tokio::task::JoinSet<()>,
) -> Result<(), StoreError> {
    let members = announce(&context.redis, &context.keys, stage, &context.member).await?;
    let leases = Lease::look(&context.redis, &context.keys, stage, all).await?;
    let leases: Vec<_> = all.iter().copied().zip(leases).collect();
    let owned: BTreeSet<Partition> = working.keys().copied().collect();
    let moves = moves(&context.member, &members, &leases, &owned);
    for partition in moves.give_up {
        if let Some(given_up) = working.remove(&partition) {
            meter::lease_moved(stage, "balanced");
            handing_over.spawn(given_up.hand_over(context.redis.clone()));
        }
    }
    let before = working.len();
    for partition in moves.acquire {
        let lease = Lease::acquire(&context.redis, &context.keys, stage, partition, &context.member).await?;
        if let Some(lease) = lease {
            if lease.was_expired() {
                meter::lease_moved(stage, "expired");
            }
            debug!(%partition, epoch = lease.epoch(), "took partition {partition} of {stage}");
            working.insert(partition, Working::start(context, work, runs, lease));
        }
    }
    if working.len() > before {
        info!(
            partitions = working.len(),
            "took {} partitions of {stage}: {} in all",
            working.len() - before,
            working.len()
        );
    }
    Ok(())
}
