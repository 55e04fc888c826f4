//! What was used between two moments: Redis' CPU and commands, and our own CPU.

use crate::stand::Stand;

pub(crate) struct Meter {
    redis_cpu_us: f64,
    commands: f64,
    worker_cpu_us: f64,
}

pub(crate) struct Used {
    pub(crate) redis_cpu_us: f64,
    pub(crate) commands: f64,
    pub(crate) worker_cpu_us: f64,
}

impl Meter {
    pub(crate) async fn start(stand: &Stand) -> anyhow::Result<Self> {
        read(stand).await
    }

    pub(crate) async fn stop(self, stand: &Stand) -> anyhow::Result<Used> {
        let now = read(stand).await?;
        Ok(Used {
            redis_cpu_us: now.redis_cpu_us - self.redis_cpu_us,
            commands: now.commands - self.commands,
            worker_cpu_us: now.worker_cpu_us - self.worker_cpu_us,
        })
    }
}

/// Commands that scripts call are counted by Redis like any other; the calls of scripts as well.
async fn read(stand: &Stand) -> anyhow::Result<Meter> {
    let cpu = stand.info("cpu").await?;
    let seconds = |name: &str| -> f64 {
        cpu.lines().find_map(|line| line.strip_prefix(name)).and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
    };
    let redis_cpu_us = (seconds("used_cpu_user:") + seconds("used_cpu_sys:")) * 1e6;
    let stats = stand.info("commandstats").await?;
    let calls = |line: &str| -> Option<f64> { line.split_once("calls=")?.1.split(',').next()?.parse().ok() };
    Ok(Meter { redis_cpu_us, commands: stats.lines().filter_map(calls).sum(), worker_cpu_us: own_cpu_us() })
}

/// User and system time of this process. Linux counts it in hundredths of a second.
fn own_cpu_us() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |field: usize| -> f64 {
        after_name.split_whitespace().nth(field).and_then(|value| value.parse().ok()).unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) * 10_000.0
}

/// Resident memory of this process, in megabytes.
pub(crate) fn resident_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1024
}
