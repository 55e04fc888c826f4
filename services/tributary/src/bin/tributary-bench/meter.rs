//! What was used between two moments: Redis' CPU and commands, and the CPU and memory of processes.

use crate::{as_f64, stand::Stand};

pub(crate) struct Meter {
    cpu_us: f64,
    commands: u64,
}

pub(crate) struct Used {
    pub(crate) cpu_us: f64,
    pub(crate) commands: f64,
}

impl Meter {
    pub(crate) async fn start(stand: &Stand) -> anyhow::Result<Self> {
        let (cpu, stats) = (stand.info("cpu").await?, stand.info("commandstats").await?);
        let seconds = |name: &str| -> f64 {
            let value = cpu.lines().find_map(|line| line.strip_prefix(name));
            value.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
        };
        let cpu_us = (seconds("used_cpu_user:") + seconds("used_cpu_sys:")) * 1e6;
        // Commands that scripts call are counted by Redis like any other; the calls of scripts as well.
        let calls = |line: &str| -> Option<u64> { line.split_once("calls=")?.1.split(',').next()?.parse().ok() };
        let commands: u64 = stats.lines().filter_map(calls).sum();
        Ok(Self { cpu_us, commands: commands.saturating_sub(stand.asked()) })
    }

    pub(crate) async fn stop(self, stand: &Stand) -> anyhow::Result<Used> {
        let now = Self::start(stand).await?;
        let commands = as_f64(now.commands.saturating_sub(self.commands));
        Ok(Used { cpu_us: now.cpu_us - self.cpu_us, commands })
    }
}

/// User and system time of a process, all its threads, the ended ones too. The kernel tells hundredths of a
/// second of what it knows exactly.
pub(crate) fn cpu_us(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |field: usize| -> f64 {
        after_name.split_whitespace().nth(field).and_then(|value| value.parse().ok()).unwrap_or(0.0)
    };
    (ticks(11) + ticks(12)) * 10_000.0
}

/// The most resident memory that a process ever had, in megabytes of 2²⁰ bytes.
pub(crate) fn peak_mb(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    as_f64(kilobytes.unwrap_or(0)) / 1024.0
}
