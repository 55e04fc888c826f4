//! One user's flood: what others notice of 100,000 records that wait, beside a quiet time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::Context;
use event::{State, UserId};
use hdrhistogram::Histogram;
use tokio::sync::Notify;

use crate::{
    as_f64,
    crowd::Crowd,
    observed::{Latencies, Observed},
    people::hot,
    stand::Stand,
    steady,
};

/// How many of the one user's records wait all the time.
const FLOOD: u64 = 100_000;
/// Records a second of the others.
const RATE: u32 = 1_000;
/// How long each of the two times lasts.
const LASTING: Duration = Duration::from_secs(10);
/// How often the flood is filled up again.
const FILL_EVERY: Duration = Duration::from_millis(20);
/// How long others' last records may take; those that are not in the ledger by then count as this long.
const LAST_MAX: Duration = Duration::from_secs(2);

/// The two times.
pub(crate) struct Hot {
    pub(crate) quiet: Others,
    pub(crate) flooded: Others,
    /// The fewest that waited at any look.
    pub(crate) waiting_min: u64,
}

/// How long the records of everybody but the one with the flood took, in microseconds.
pub(crate) struct Others {
    /// Of those who live in its partition: every second record is one of theirs.
    pub(crate) near: Histogram<u64>,
    pub(crate) far: Histogram<u64>,
    /// Records that were not in the ledger in time; they count among those of its partition.
    pub(crate) missing: u64,
}

/// A ratio of the 99th percentiles.
pub(crate) fn over(flooded: &Histogram<u64>, quiet: &Histogram<u64>) -> f64 {
    as_f64(flooded.value_at_quantile(0.99)) / as_f64(quiet.value_at_quantile(0.99).max(1))
}

/// Who tells records, in turns: a neighbour of the one with the flood, then anybody else.
struct Turns {
    near: Vec<UserId>,
    far: Vec<UserId>,
    told_near: AtomicU64,
}

impl Turns {
    fn new(stand: &Stand, crowd: &Crowd) -> anyhow::Result<Self> {
        let crowded = stand.partitions.of(&hot());
        let (near, far): (Vec<_>, Vec<_>) =
            crowd.people().iter().cloned().partition(|user| stand.partitions.of(user) == crowded);
        anyhow::ensure!(!near.is_empty() && !far.is_empty(), "too few people: nobody lives where the flood is");
        Ok(Self { near, far, told_near: AtomicU64::new(0) })
    }

    fn whose(&self, number: u64) -> UserId {
        let turn = usize::try_from(number / 2).unwrap_or(0);
        if number.is_multiple_of(2) {
            self.told_near.fetch_add(1, Ordering::Relaxed);
            self.near[turn % self.near.len()].clone()
        } else {
            self.far[turn % self.far.len()].clone()
        }
    }
}

pub(crate) async fn measure(stand: &Stand, people: usize) -> anyhow::Result<Hot> {
    let crowd = Arc::new(Crowd::connect(stand, people).await?);
    let turns = Turns::new(stand, &crowd)?;
    let quiet = others(stand, &crowd, &turns, Observed::start(stand).await?).await?;

    let observed = Observed::start(stand).await?;
    let (filled, waiting_min) = (Notify::new(), AtomicU64::new(u64::MAX));
    let measured = async {
        filled.notified().await;
        others(stand, &crowd, &turns, observed).await
    };
    tokio::select! {
        ended = fill(stand, &crowd, &turns, &filled, &waiting_min) => {
            ended.context("filling the flood")?;
            anyhow::bail!("the flood ended");
        }
        flooded = measured => Ok(Hot { quiet, flooded: flooded?, waiting_min: waiting_min.into_inner() }),
    }
}

/// Tells the others' records, and looks how long they took.
async fn others(stand: &Stand, crowd: &Arc<Crowd>, turns: &Turns, observed: Observed) -> anyhow::Result<Others> {
    let steady = steady::append(stand, crowd, RATE, LASTING, |number| turns.whose(number)).await?;
    tokio::time::sleep(LAST_MAX).await;
    let Latencies { mut near, far } = observed.stop().await?;
    let missing = steady.late.len().saturating_sub(near.len() + far.len());
    near.saturating_record_n(u64::try_from(LAST_MAX.as_micros()).unwrap_or(u64::MAX), missing);
    Ok(Others { near, far, missing })
}

/// Keeps the flood as high as it is to be, until dropped.
async fn fill(
    stand: &Stand,
    crowd: &Crowd,
    turns: &Turns,
    filled: &Notify,
    waiting_min: &AtomicU64,
) -> anyhow::Result<()> {
    let hot = hot();
    let partition = stand.partitions.of(&hot);
    let handled = || stand.of_partition(partition, &State::ALL);
    let (before, near_before) = (handled().await?, turns.told_near.load(Ordering::Relaxed));
    let mut flood = 0;
    loop {
        // Neighbours' records are handled among them.
        let near = turns.told_near.load(Ordering::Relaxed) - near_before;
        let waiting = (flood + near).saturating_sub(handled().await? - before);
        if flood > 0 {
            waiting_min.fetch_min(waiting, Ordering::Relaxed);
        }
        let missing = FLOOD.saturating_sub(waiting);
        crowd.append_for(stand, &[&hot], usize::try_from(missing)?).await?;
        if flood == 0 {
            filled.notify_one();
        }
        flood += missing;
        tokio::time::sleep(FILL_EVERY).await;
    }
}
