//! What was used: Redis' CPU, commands and memory, the processes' CPU and memory, and what waits meanwhile.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};

use super::{drive::Told, probe::PARTITIONS, tap::Start, truth::Truth};
use crate::fleet::Role;

/// From one sample to the next.
pub(crate) const SAMPLE_EVERY: Duration = Duration::from_millis(500);

/// How things stood at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When, from the beginning.
    pub at_ms: u64,
    /// Tellings so far.
    pub told: u64,
    /// Raw entries appended so far.
    pub appended: u64,
    /// Transactions that ended so far.
    pub ended: u64,
    /// Entries in streams.
    pub backlog: u64,
    /// Changes of numbers that Exist does not hold yet.
    pub unconfirmed: u64,
    /// What Redis' data take.
    pub redis_bytes: u64,
    /// Resident memory of the largest process of each service.
    pub rss_kb: BTreeMap<String, u64>,
}

/// Redis' counters of transactions, added up over all partitions and sources.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Raw entries ever appended.
    pub appended: u64,
    /// Transactions in each state.
    pub states: BTreeMap<String, u64>,
}

impl Counts {
    /// In one state.
    pub fn state(&self, name: &str) -> u64 {
        self.states.get(name).copied().unwrap_or(0)
    }

    /// In any state that is an end.
    pub fn ended(&self) -> u64 {
        self.states.iter().filter(|(state, _)| *state != "processing").map(|(_, count)| count).sum()
    }
}

/// What Redis had used at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RedisUse {
    pub(crate) cpu_us: u64,
    pub(crate) commands: u64,
    pub(crate) bytes: u64,
}

#[derive(Clone)]
pub(crate) struct Meter {
    link: MultiplexedConnection,
    /// Commands that were ours.
    pub(crate) asked: Arc<AtomicU64>,
    /// Hundredths of a second of CPU by process, the ended ones too.
    cpu: Arc<Mutex<HashMap<u32, (Role, u64)>>>,
    largest_kb: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Meter {
    pub(crate) fn new(link: MultiplexedConnection) -> Meter {
        Meter { link, asked: Arc::default(), cpu: Arc::default(), largest_kb: Arc::default() }
    }

    pub(crate) async fn sample(
        &self,
        processes: &[(u32, Role)],
        told: &Told,
        truth: &Truth,
        start: &Start,
    ) -> Result<Sample> {
        let counts = self.counts().await?;
        Ok(Sample {
            at_ms: start.now_us() / 1_000,
            told: Told::read(&told.told),
            appended: counts.appended,
            ended: counts.ended(),
            backlog: self.backlog().await?,
            unconfirmed: truth.waiting(),
            redis_bytes: self.redis().await?.bytes,
            rss_kb: self.processes(processes),
        })
    }

    /// Every partition's counters, added up.
    pub(crate) async fn counts(&self) -> Result<Counts> {
        let mut pipe = redis::pipe();
        for partition in 0..PARTITIONS {
            pipe.cmd("HGETALL").arg(format!("{{p{partition:02}}}:counts"));
        }
        self.asked.fetch_add(PARTITIONS, Ordering::Relaxed);
        let all: Vec<HashMap<String, i64>> =
            pipe.query_async(&mut self.link.clone()).await.context("reading the counters")?;
        let mut counts = Counts::default();
        for (field, count) in all.into_iter().flatten() {
            let count = u64::try_from(count).unwrap_or(0);
            match field.split(':').collect::<Vec<_>>()[..] {
                ["appended", _] => counts.appended += count,
                ["state", _, state] => *counts.states.entry(state.to_owned()).or_default() += count,
                _ => {}
            }
        }
        Ok(counts)
    }

    /// Entries in the streams of all partitions.
    pub(crate) async fn backlog(&self) -> Result<u64> {
        let mut pipe = redis::pipe();
        for partition in 0..PARTITIONS {
            pipe.cmd("XLEN").arg(format!("{{p{partition:02}}}:raw"));
            pipe.cmd("XLEN").arg(format!("{{p{partition:02}}}:normalised"));
        }
        self.asked.fetch_add(2 * PARTITIONS, Ordering::Relaxed);
        let lengths: Vec<u64> = pipe.query_async(&mut self.link.clone()).await.context("measuring the streams")?;
        Ok(lengths.into_iter().sum())
    }

    pub(crate) async fn redis(&self) -> Result<RedisUse> {
        let mut pipe = redis::pipe();
        for section in ["cpu", "commandstats", "memory"] {
            pipe.cmd("INFO").arg(section);
        }
        self.asked.fetch_add(3, Ordering::Relaxed);
        let info: Vec<String> = pipe.query_async(&mut self.link.clone()).await.context("asking Redis about itself")?;
        let info = info.concat();
        let field =
            |name: &str| info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim).unwrap_or_default();
        let cpu_us = ["used_cpu_user:", "used_cpu_sys:"].into_iter().filter_map(|name| micros(field(name))).sum();
        let calls =
            |line: &str| line.strip_prefix("cmdstat_")?.split_once("calls=")?.1.split(',').next()?.parse::<u64>().ok();
        let commands = info.lines().filter_map(calls).sum();
        Ok(RedisUse { cpu_us, commands, bytes: field("used_memory:").parse().unwrap_or(0) })
    }

    /// Looks at the processes; returns what the largest of each service holds in memory.
    fn processes(&self, processes: &[(u32, Role)]) -> BTreeMap<String, u64> {
        let mut now: BTreeMap<String, u64> = BTreeMap::new();
        let mut cpu = self.cpu.lock().unwrap_or_else(PoisonError::into_inner);
        let mut largest = self.largest_kb.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, role) in processes {
            if let Some(ticks) = ticks(*id) {
                cpu.insert(*id, (*role, ticks));
            }
            if let Some(kb) = resident_kb(*id) {
                for list in [&mut now, &mut *largest] {
                    let held = list.entry(role.command().to_owned()).or_default();
                    *held = kb.max(*held);
                }
            }
        }
        now
    }

    /// CPU of each service so far, in microseconds.
    pub(crate) fn cpu_us(&self) -> BTreeMap<String, u64> {
        let mut sums: BTreeMap<String, u64> = BTreeMap::new();
        for (role, ticks) in self.cpu.lock().unwrap_or_else(PoisonError::into_inner).values() {
            // Linux counts in hundredths of a second.
            *sums.entry(role.command().to_owned()).or_default() += ticks * 10_000;
        }
        sums
    }

    /// The most memory that a process of each service was seen to hold.
    pub(crate) fn largest_kb(&self) -> BTreeMap<String, u64> {
        self.largest_kb.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// `12.345678` seconds.
fn micros(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = format!("{part:0<6}");
    Some(whole.parse::<u64>().ok()? * 1_000_000 + part.get(..6)?.parse::<u64>().ok()?)
}

fn ticks(id: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name may hold anything but ends with the last bracket; user and system time are the 12th and 13th after it.
    let mut fields = stat.rsplit(')').next()?.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn resident_kb(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redis_tells_its_cpu_in_seconds_with_six_decimals() {
        assert_eq!(["12.345678", "0.5", "3"].map(|text| micros(text).unwrap()), [12_345_678, 500_000, 3_000_000]);
        assert_eq!(micros("much"), None);
    }

    #[test]
    fn a_process_has_memory_and_has_used_time() {
        let id = std::process::id();
        assert!(resident_kb(id).unwrap() > 100 && ticks(id).is_some());
    }
}
