//! What Prometheus is told: gauges of one look.

use std::{collections::BTreeMap, time::Duration};

use event::State;
use store::{Look, Stage, operate::MemoryUsed};
use telemetry::metric::{
    BACKLOG_ENTRIES, CONNECTIONS, DEAD_LETTERS, KEY_LOCKS_HELD, OLDEST_PENDING_AGE_SECONDS,
    OLDEST_RUNNABLE_AGE_SECONDS, PARKED_ENTRIES, PARTITION_UNOWNED_SECONDS, POLL_OVERDUE_SECONDS, Page,
    RATE_LIMITED_USERS, REDIS_MEMORY_RATIO, RUNNABLE_ENTRIES, TRANSACTIONS, UNKNOWN_OUTCOME_VALUES,
};

use crate::Status;

/// The stages that read a stream.
const READERS: [Stage; 2] = [Stage::Normalise, Stage::Write];
/// The classes that end as dead letters.
const CAUSES: [&str; 2] = ["permanent", "poison"];

/// Writes a look down. `first_at_ms` is when the first look began: a partition that nobody ever owned counts as
/// unowned since then. Everything of `sources` is there, at zero if nothing is known.
pub(crate) fn page(look: &Look, status: &Status, first_at_ms: u64, sources: &[String]) -> Page {
    let mut page = Page::new();
    partitions(&mut page, look, first_at_ms);
    parked(&mut page, look);
    dead_letters(&mut page, look);
    for source in names(sources, status.transactions.keys()) {
        let states = status.transactions.get(source);
        for state in State::ALL.map(State::as_str) {
            let count = states.and_then(|states| states.get(state)).copied().unwrap_or(0);
            page.put(&TRANSACTIONS, [source.clone().into(), state.into()], count);
        }
    }
    let exist = ["exist".to_owned()];
    for peer in names(sources, status.connections.keys()).into_iter().chain(&exist).collect::<Sorted<'_>>() {
        for state in ["on", "off"] {
            let count = status.connections.get(peer).and_then(|states| states.get(state)).copied().unwrap_or(0);
            page.put(&CONNECTIONS, [peer.clone().into(), state.into()], count);
        }
    }
    let mut overdue: BTreeMap<String, Duration> =
        sources.iter().map(|source| (source.clone(), Duration::ZERO)).collect();
    for (source, by) in look.partitions.iter().flat_map(|partition| &partition.polls_overdue) {
        let longest = overdue.entry(source.to_string()).or_default();
        *longest = (*longest).max(*by);
    }
    for (source, by) in overdue {
        page.put(&POLL_OVERDUE_SECONDS, [source.into()], seconds(by));
    }
    page.put(&RATE_LIMITED_USERS, [], status.users_limited);
    let undecided: u64 = look.partitions.iter().map(|partition| partition.people.undecided).sum();
    page.put(&UNKNOWN_OUTCOME_VALUES, [], undecided);
    for stage in Stage::ALL {
        let held = look.key_locks.iter().filter(|(at, _)| *at == stage).count();
        page.put(&KEY_LOCKS_HELD, [stage.as_str().into()], held);
    }
    if let Some(memory) = look.memory {
        page.put(&REDIS_MEMORY_RATIO, [], ratio(memory));
    }
    page
}

type Sorted<'a> = std::collections::BTreeSet<&'a String>;

fn names<'a>(sources: &'a [String], seen: impl Iterator<Item = &'a String>) -> Sorted<'a> {
    sources.iter().chain(seen).collect()
}

fn partitions(page: &mut Page, look: &Look, first_at_ms: u64) {
    for partition in &look.partitions {
        let number = format!("{:02}", partition.partition.index());
        for (stage, lease) in Stage::ALL.into_iter().zip(&partition.leases) {
            let never = Duration::from_millis(look.at_ms.saturating_sub(first_at_ms));
            let unowned = if lease.epoch == 0 { never } else { lease.free_for };
            page.put(&PARTITION_UNOWNED_SECONDS, [stage.as_str().into(), number.clone().into()], seconds(unowned));
        }
        for (stage, waiting) in READERS.into_iter().zip([&partition.raw, &partition.normalised]) {
            let labels = || [stage.as_str().into(), number.clone().into()];
            let age = |age: Option<Duration>| seconds(age.unwrap_or_default());
            page.put(&RUNNABLE_ENTRIES, labels(), waiting.backlog - waiting.parked);
            page.put(&BACKLOG_ENTRIES, labels(), waiting.backlog);
            page.put(&OLDEST_RUNNABLE_AGE_SECONDS, labels(), age(waiting.oldest_runnable));
            page.put(&OLDEST_PENDING_AGE_SECONDS, labels(), age(waiting.oldest));
        }
    }
}

fn parked(page: &mut Page, look: &Look) {
    for (index, stage) in READERS.into_iter().enumerate() {
        let of = |partition: &store::PartitionStatus| {
            let waiting = [&partition.raw, &partition.normalised][index];
            (waiting.parked - waiting.locked, waiting.locked)
        };
        let (limited, locked) = look.partitions.iter().map(of).fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
        for (class, count) in [("limited", limited), ("locked", locked)] {
            page.put(&PARKED_ENTRIES, [stage.as_str().into(), class.into()], count);
        }
    }
}

fn dead_letters(page: &mut Page, look: &Look) {
    let mut letters: BTreeMap<(String, &'static str), u64> = BTreeMap::new();
    for stage in READERS {
        letters.extend(CAUSES.map(|cause| ((stage.to_string(), cause), 0)));
    }
    for (kind, count) in look.partitions.iter().flat_map(|partition| &partition.dead_by_cause) {
        *letters.entry(kind.clone()).or_default() += count;
    }
    for ((stage, cause), count) in letters {
        page.put(&DEAD_LETTERS, [stage.into(), cause.into()], count);
    }
}

/// With three digits behind the point.
fn seconds(duration: Duration) -> String {
    format!("{}.{:03}", duration.as_secs(), duration.subsec_millis())
}

/// With four digits behind the point; 0 where there is no limit.
fn ratio(memory: MemoryUsed) -> String {
    let parts = memory.bytes.saturating_mul(10_000).checked_div(memory.limit).unwrap_or(0);
    format!("{}.{:04}", parts / 10_000, parts % 10_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_shares_are_written_as_decimals() {
        assert_eq!(seconds(Duration::from_millis(61_007)), "61.007");
        assert_eq!(ratio(MemoryUsed { bytes: 3, limit: 4 }), "0.7500");
        assert_eq!(ratio(MemoryUsed { bytes: 9, limit: 4 }), "2.2500");
        assert_eq!(ratio(MemoryUsed { bytes: 3, limit: 0 }), "0.0000");
    }
}
