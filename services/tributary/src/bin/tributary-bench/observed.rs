//! Both stages in a process of their own, which tells how long each record took from being told to the ledger.
//!
//! A record's version is the moment it was to be told, so that nothing needs to be remembered about it.

use std::{
    process::Stdio,
    sync::{Arc, Mutex},
};

use anyhow::Context;
use event::{NormalisedEvent, PartitionCount};
use hdrhistogram::Histogram;
use settings::Settings;
use tokio::process::{Child, Command};

use crate::{crowd::now_us, people::hot, services::Services, stand::Stand, steady::WARMING};

/// Longer latencies count as this long: a minute.
const LATENCY_MAX_US: u64 = 60_000_000;

/// Latencies in microseconds: of the people who live where the flood is, and of all others.
#[derive(Debug, Clone)]
pub(crate) struct Latencies {
    pub(crate) near: Histogram<u64>,
    pub(crate) far: Histogram<u64>,
}

/// An empty histogram of microseconds, with three digits.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_MAX_US, 3).expect("the bounds are in order")
}

impl Latencies {
    /// Everybody's but those of the one with the flood.
    pub(crate) fn all(&self) -> anyhow::Result<Histogram<u64>> {
        let mut all = self.near.clone();
        all.add(&self.far)?;
        Ok(all)
    }
}

/// The child, while it works.
pub(crate) struct Observed(Child);

impl Observed {
    /// Starts both stages; they own every partition when this returns.
    pub(crate) async fn start(stand: &Stand) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("finding this program")?;
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TRIBUTARY_") {
                command.env_remove(name);
            }
        }
        command.arg("observed").envs(stand.variables.iter().cloned());
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        stand.until_balanced(1).await?;
        Ok(Self(child))
    }

    /// Drains it, and returns what it saw.
    pub(crate) async fn stop(mut self) -> anyhow::Result<Latencies> {
        drop(self.0.stdin.take());
        let ended = self.0.wait_with_output().await?;
        anyhow::ensure!(ended.status.success(), "the observed services failed: {}", ended.status);
        let [near, far]: [Vec<(u64, u64)>; 2] = serde_json::from_slice(&ended.stdout)?;
        let whole = |recorded: Vec<(u64, u64)>| {
            let mut histogram = histogram();
            recorded.into_iter().for_each(|(value, count)| histogram.saturating_record_n(value, count));
            histogram
        };
        Ok(Latencies { near: whole(near), far: whole(far) })
    }
}

/// What the child does: works until its standard input ends, and prints what it saw.
pub(crate) async fn run() -> anyhow::Result<()> {
    let settings = Settings::load(std::env::vars(), &[], None)?;
    let partitions = PartitionCount::try_new(settings.partitions)?;
    let seen = Arc::new(Mutex::new(Latencies { near: histogram(), far: histogram() }));
    let services = Services::start(settings, Some(Arc::new(observer(partitions, Arc::clone(&seen))))).await?;
    // The bench closes it, or is gone.
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink())).await??;
    services.stop().await?;

    let seen = seen.lock().map_err(|_| anyhow::anyhow!("a recorder panicked"))?.clone();
    let pairs = |histogram: &Histogram<u64>| -> Vec<(u64, u64)> {
        histogram.iter_recorded().map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    };
    println!("{}", serde_json::to_string(&[pairs(&seen.near), pairs(&seen.far)])?);
    Ok(())
}

fn observer(partitions: PartitionCount, seen: Arc<Mutex<Latencies>>) -> impl Fn(&NormalisedEvent) + Send + Sync {
    let hot = hot();
    let crowded = partitions.of(&hot);
    move |event| {
        if event.user == hot || event.external_id.as_str().starts_with(WARMING) {
            return;
        }
        let told_us = u64::try_from(event.version.0).unwrap_or(0);
        let took = now_us().saturating_sub(told_us).max(1);
        if let Ok(mut seen) = seen.lock() {
            let Latencies { near, far } = &mut *seen;
            let histogram = if event.transaction.partition == crowded { near } else { far };
            histogram.saturating_record(took);
        }
    }
}
