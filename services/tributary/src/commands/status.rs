//! Who owns what, how much waits and for how long.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use event::{Partition, State};
use ledger::{Buckets, Budget};
use serde::Serialize;
use store::{
    HeldLock, KeyLock, PartitionStatus, Stage, Waiting, partition_status,
    pause::{Pause, Scope},
    user::{names, users},
};

use super::{Operator, pause, print_json, print_table, say};
use crate::cli::Output;

#[derive(Serialize, Default)]
struct Status {
    stages: Vec<StageStatus>,
    transactions: BTreeMap<String, BTreeMap<&'static str, i64>>,
    dead_letters: u64,
    users_due: u64,
    users_limited: u64,
    polls_overdue_ms: u64,
    connections: BTreeMap<String, BTreeMap<&'static str, u64>>,
    paused: Vec<pause::Shown>,
    key_locks: Vec<LockRow>,
    partitions: Vec<PartitionRow>,
}

/// A user whom somebody outside the owner works on.
#[derive(Serialize)]
struct LockRow {
    stage: &'static str,
    partition: u16,
    user: String,
    who: String,
    left_ms: u64,
}

#[derive(Serialize)]
struct StageStatus {
    stage: &'static str,
    owned: usize,
    unowned: usize,
    owners: BTreeMap<String, usize>,
    backlog: u64,
    runnable: u64,
    parked: u64,
    oldest_ms: u64,
}

#[derive(Serialize)]
struct PartitionRow {
    partition: u16,
    stage: &'static str,
    owner: Option<String>,
    epoch: u64,
    /// `null` where nobody ever owned it.
    unowned_ms: Option<u64>,
    backlog: u64,
    parked: u64,
    oldest_ms: u64,
}

/// Prints the status of everything.
pub(crate) async fn status(operator: &Operator, output: Output) -> anyhow::Result<()> {
    let buckets = Buckets::new(operator.settings.retention);
    let budget = operator.settings.exist_budget;
    let budget = Budget::try_new(budget.requests, budget.window).context("TRIBUTARY_EXIST_BUDGET")?;
    let looks = operator
        .partitions
        .all()
        .map(|partition| partition_status(&operator.redis, &operator.keys, partition, buckets, budget));
    let partitions: Vec<PartitionStatus> = futures::future::try_join_all(looks).await?;
    let mut status = Status::default();
    for (index, stage) in Stage::ALL.into_iter().enumerate() {
        status.stages.push(stage_status(index, stage, &partitions, &mut status.partitions));
    }
    for partition in &partitions {
        status.dead_letters += partition.dead_letters;
        status.users_due += partition.users_due;
        status.users_limited += partition.users_limited;
        status.polls_overdue_ms = status.polls_overdue_ms.max(millis(partition.poll_overdue));
        for (source, appended) in &partition.counts.appended {
            *status.transactions.entry(source.to_string()).or_default().entry("queued").or_default() += appended;
        }
        for ((source, state), count) in &partition.counts.states {
            let states = status.transactions.entry(source.to_string()).or_default();
            *states.entry(state.as_str()).or_default() += count;
            // What was appended and is in no other state waits in the raw stream.
            *states.entry("queued").or_default() -= count;
        }
    }
    let mut paused: BTreeMap<Scope, Pause> = BTreeMap::new();
    for partition in &partitions {
        paused.extend(partition.paused.list(partition.partition));
    }
    count_connections(operator, &mut status, &mut paused).await?;
    status.paused = paused.into_iter().map(pause::Shown::of).collect();
    let all: Vec<Partition> = operator.partitions.all().collect();
    for stage in Stage::ALL {
        for held in KeyLock::held(&operator.redis, &operator.keys, stage, &all).await? {
            let (partition, left_ms) = (held.partition.index(), millis(Some(held.left)));
            let HeldLock { user, who, .. } = held;
            status.key_locks.push(LockRow { stage: stage.as_str(), partition, user, who, left_ms });
        }
    }
    if output.json { print_json(&status) } else { print(&status) }
}

fn stage_status(
    index: usize,
    stage: Stage,
    partitions: &[PartitionStatus],
    rows: &mut Vec<PartitionRow>,
) -> StageStatus {
    let nothing = Waiting::default();
    let mut owners: BTreeMap<String, usize> = BTreeMap::new();
    let (mut backlog, mut parked, mut oldest_ms) = (0, 0, 0);
    for partition in partitions {
        let waiting = match stage {
            Stage::Fetch => &nothing,
            Stage::Normalise => &partition.raw,
            Stage::Write => &partition.normalised,
        };
        let lease = &partition.leases[index];
        if let Some(owner) = &lease.owner {
            *owners.entry(owner.clone()).or_default() += 1;
        }
        backlog += waiting.backlog;
        parked += waiting.parked;
        oldest_ms = oldest_ms.max(millis(waiting.oldest));
        rows.push(PartitionRow {
            partition: partition.partition.index(),
            stage: stage.as_str(),
            owner: lease.owner.clone(),
            epoch: lease.epoch,
            unowned_ms: (lease.epoch > 0).then(|| millis(Some(lease.free_for))),
            backlog: waiting.backlog,
            parked: waiting.parked,
            oldest_ms: millis(waiting.oldest),
        });
    }
    let owned = owners.values().sum();
    StageStatus {
        stage: stage.as_str(),
        owned,
        unowned: partitions.len() - owned,
        owners,
        backlog,
        runnable: backlog - parked,
        parked,
        oldest_ms,
    }
}

/// Counts the connections of everybody, and finds what of theirs is paused.
async fn count_connections(
    operator: &Operator,
    status: &mut Status,
    paused: &mut BTreeMap<Scope, Pause>,
) -> anyhow::Result<()> {
    for partition in operator.partitions.all() {
        let names = names(&operator.redis, &operator.keys, partition).await?;
        let documents = users(&operator.redis, &operator.keys, partition, &names).await?;
        for (name, user) in names.iter().zip(documents) {
            paused.extend(user.pauses.list(name));
            let exist = user.exist.iter().map(|exist| ("exist".to_owned(), exist.connected.is_on()));
            let sources = user.sources.iter().map(|(name, source)| (name.to_string(), source.connected.is_on()));
            for (peer, on) in exist.chain(sources) {
                *status.connections.entry(peer).or_default().entry(if on { "on" } else { "off" }).or_default() += 1;
            }
        }
    }
    Ok(())
}

fn print(status: &Status) -> anyhow::Result<()> {
    let stages: Vec<Vec<String>> = status
        .stages
        .iter()
        .map(|stage| {
            vec![
                stage.stage.to_owned(),
                format!("{} by {}", stage.owned, stage.owners.len()),
                stage.unowned.to_string(),
                stage.backlog.to_string(),
                stage.runnable.to_string(),
                stage.parked.to_string(),
                seconds(stage.oldest_ms),
            ]
        })
        .collect();
    print_table(&["stage", "owned", "unowned", "backlog", "runnable", "parked", "oldest"], &stages)?;
    say("")?;
    let head: Vec<&str> =
        std::iter::once("transactions").chain(State::ALL.iter().map(|state| state.as_str())).collect();
    let rows: Vec<Vec<String>> = status
        .transactions
        .iter()
        .map(|(source, states)| {
            let count = |state: &State| states.get(state.as_str()).copied().unwrap_or(0).to_string();
            std::iter::once(source.clone()).chain(State::ALL.iter().map(count)).collect()
        })
        .collect();
    print_table(&head, &rows)?;
    say("")?;
    let connections: Vec<Vec<String>> = status
        .connections
        .iter()
        .map(|(peer, states)| {
            let count = |state| states.get(state).copied().unwrap_or(0).to_string();
            vec![peer.clone(), count("on"), count("off")]
        })
        .collect();
    print_table(&["connections", "on", "off"], &connections)?;
    say("")?;
    if !status.paused.is_empty() {
        status.paused.iter().try_for_each(|paused| say(&paused.line()))?;
        say("")?;
    }
    say(&format!("dead letters                 {}", status.dead_letters))?;
    say(&format!("users with something to send {}", status.users_due))?;
    say(&format!("of them without budget now   {}", status.users_limited))?;
    for lock in &status.key_locks {
        say(&format!("{} of {} is locked by {} for {}", lock.user, lock.stage, lock.who, seconds(lock.left_ms)))?;
    }
    say(&format!("longest overdue poll         {}", seconds(status.polls_overdue_ms)))
}

fn millis(duration: Option<Duration>) -> u64 {
    duration.map_or(0, |duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}
