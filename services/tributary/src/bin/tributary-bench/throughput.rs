//! As many records as possible through three stages, and what each costs.

use std::time::Instant;

use crate::{
    as_f64,
    crowd::Crowd,
    meter::Meter,
    stand::Stand,
    workers::{Taken, Workers},
};

/// Records that wait while their bytes are counted.
const WAITING: usize = 20_000;

/// What a run came to.
#[derive(Debug, Clone)]
pub(crate) struct Throughput {
    /// Processes of each of the two stages behind the producers.
    pub(crate) processes: usize,
    pub(crate) per_second: f64,
    pub(crate) redis_cpu_us: f64,
    pub(crate) commands: f64,
    /// All services together, without the producers.
    pub(crate) worker_cpu_us: f64,
    pub(crate) settled_bytes: f64,
    /// Each process' share of the run; its memory is the most it ever had.
    pub(crate) taken: Vec<Taken>,
}

/// Bytes of Redis' memory for each raw entry that waits, with nobody to take it.
pub(crate) async fn waiting(stand: &Stand, crowd: &Crowd) -> anyhow::Result<f64> {
    let before = stand.memory().await?;
    let appended = crowd.append(stand, WAITING).await?;
    let bytes = stand.memory().await?.saturating_sub(before);
    // They are settled before anything else is measured.
    let workers = Workers::start(stand, 1).await?;
    stand.until_settled(crowd.total(appended)).await?;
    workers.stop().await?;
    Ok(as_f64(bytes) / as_f64(WAITING as u64))
}

/// From the first append until the last record is in the ledger.
pub(crate) async fn measure(
    stand: &Stand,
    crowd: &Crowd,
    items: usize,
    processes: usize,
) -> anyhow::Result<Throughput> {
    let memory = stand.memory().await?;
    let mut workers = Workers::start(stand, processes).await?;
    let (meter, idle) = (Meter::start(stand).await?, workers.taken());
    let begun = Instant::now();
    let appended = crowd.append(stand, items).await?;
    stand.until_applied(crowd.total(appended)).await?;
    let took = begun.elapsed().as_secs_f64();
    let (used, mut taken) = (meter.stop(stand).await?, workers.taken());
    for (one, idle) in taken.iter_mut().zip(idle) {
        one.cpu_us -= idle.cpu_us;
    }
    // Confirmed by Exist, so that nothing but what is kept for the retention time is left.
    stand.until_settled(crowd.total(appended)).await?;
    for (one, settled) in taken.iter_mut().zip(workers.taken()) {
        one.peak_mb = settled.peak_mb;
    }
    workers.stop().await?;
    let items = as_f64(items as u64);
    Ok(Throughput {
        processes,
        per_second: items / took,
        redis_cpu_us: used.cpu_us / items,
        commands: used.commands / items,
        worker_cpu_us: taken.iter().map(|one| one.cpu_us).sum::<f64>() / items,
        settled_bytes: as_f64(stand.memory().await?.saturating_sub(memory)) / items,
        taken,
    })
}
