//! Who owns what, how much waits and for how long: what `tributary status`, `tributary top` and the API tell.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use event::State;
use ledger::{Buckets, Budget};
use serde::Serialize;
use settings::Settings;
use store::{
    Bounds, HeldLock, Look, PartitionStatus, Question, Stage, Waiting,
    pause::{Pause, Scope},
};
use utoipa::ToSchema;

/// What a look asks for, by the settings.
///
/// # Errors
/// The budget of the settings cannot be.
pub fn question(settings: &Settings, bounds: Bounds) -> anyhow::Result<Question> {
    let budget = settings.exist_budget;
    let budget = Budget::try_new(budget.requests, budget.window).context("TRIBUTARY_EXIST_BUDGET")?;
    let buckets = Buckets::new(settings.retention);
    Ok(Question { buckets, budget, backfill_days: settings.backfill_days, bounds })
}

/// Everything, added up.
#[derive(Debug, Clone, Serialize, Default, ToSchema)]
pub struct Status {
    /// Each stage, in the order a value passes them.
    pub stages: Vec<StageStatus>,
    /// How many sync transactions are in each state, by source and state.
    pub transactions: BTreeMap<String, BTreeMap<String, i64>>,
    /// Entries set aside for a person.
    pub dead_letters: u64,
    /// Users with something to send or to read back.
    pub users_due: u64,
    /// Of them, those whose request budget is spent for now, or whom Exist told to wait.
    pub users_limited: u64,
    /// How long the most overdue poll has been due, in milliseconds.
    pub polls_overdue_ms: u64,
    /// How many connections are `on` and `off`, by peer: `exist`, or a source.
    pub connections: BTreeMap<String, BTreeMap<String, u64>>,
    /// What is paused.
    pub paused: Vec<Paused>,
    /// Users whom somebody outside the owner works on.
    pub key_locks: Vec<LockRow>,
    /// Each partition of each stage.
    pub partitions: Vec<PartitionRow>,
}

/// A user whom somebody outside the owner works on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LockRow {
    /// In which stage.
    #[schema(value_type = String)]
    pub stage: &'static str,
    /// In which partition.
    pub partition: u16,
    /// Whom.
    pub user: String,
    /// Who holds the lock.
    pub who: String,
    /// For how much longer, unless it is renewed, in milliseconds.
    pub left_ms: u64,
}

/// A pause.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Paused {
    /// What: `all`, `source toggl`, `user alice`, …
    pub scope: String,
    /// Why.
    pub reason: String,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
    /// Who says so.
    pub by: String,
}

impl From<(Scope, Pause)> for Paused {
    fn from((scope, pause): (Scope, Pause)) -> Self {
        Self { scope: scope.to_string(), reason: pause.reason, since_ms: pause.since_ms, by: pause.by }
    }
}

/// One stage, added up over its partitions.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct StageStatus {
    /// `fetch`, `normalise` or `write`.
    #[schema(value_type = String)]
    pub stage: &'static str,
    /// Partitions with an owner.
    pub owned: usize,
    /// Partitions without.
    pub unowned: usize,
    /// How many partitions each member owns.
    pub owners: BTreeMap<String, usize>,
    /// Entries that are not settled.
    pub backlog: u64,
    /// Of them, those that wait for a worker and for nothing else.
    pub runnable: u64,
    /// Of them, those whose time is still to come.
    pub parked: u64,
    /// How long ago the oldest of all was appended, in milliseconds.
    pub oldest_ms: u64,
}

/// One partition of one stage.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PartitionRow {
    /// Its number.
    pub partition: u16,
    /// `fetch`, `normalise` or `write`.
    #[schema(value_type = String)]
    pub stage: &'static str,
    /// Who owns it.
    pub owner: Option<String>,
    /// The epoch in force; 0 if nobody ever owned it.
    pub epoch: u64,
    /// For how long nobody has owned it, in milliseconds: 0 while it is owned, `null` where nobody ever did.
    pub unowned_ms: Option<u64>,
    /// Entries that are not settled.
    pub backlog: u64,
    /// Of them, those whose time is still to come.
    pub parked: u64,
    /// How long ago the oldest was appended, in milliseconds.
    pub oldest_ms: u64,
}

impl Status {
    /// Adds a look up.
    #[must_use]
    pub fn of(look: &Look) -> Self {
        let mut status = Self::default();
        for (index, stage) in Stage::ALL.into_iter().enumerate() {
            status.stages.push(stage_status(index, stage, &look.partitions, &mut status.partitions));
        }
        let mut paused: BTreeMap<Scope, Pause> = BTreeMap::new();
        for partition in &look.partitions {
            status.add(partition);
            paused.extend(partition.paused.list(partition.partition));
            paused.extend(partition.people.paused.clone());
        }
        status.paused = paused.into_iter().map(Paused::from).collect();
        status.key_locks = look.key_locks.iter().map(lock_row).collect();
        status
    }

    fn add(&mut self, partition: &PartitionStatus) {
        self.dead_letters += partition.dead_letters;
        self.users_due += partition.users_due;
        self.users_limited += partition.people.limited;
        self.polls_overdue_ms = self.polls_overdue_ms.max(millis(partition.polls_overdue.values().max().copied()));
        let queued = State::Queued.as_str();
        for (source, appended) in &partition.counts.appended {
            *self.transactions.entry(source.to_string()).or_default().entry(queued.to_owned()).or_default() += appended;
        }
        for ((source, state), count) in &partition.counts.states {
            let states = self.transactions.entry(source.to_string()).or_default();
            *states.entry(state.as_str().to_owned()).or_default() += count;
            // What was appended and is in no other state waits in the raw stream.
            *states.entry(queued.to_owned()).or_default() -= count;
        }
        for ((peer, is_on), count) in &partition.people.connections {
            let state = if *is_on { "on" } else { "off" };
            *self.connections.entry(peer.clone()).or_default().entry(state.to_owned()).or_default() += count;
        }
    }
}

fn lock_row((stage, lock): &(Stage, HeldLock)) -> LockRow {
    LockRow {
        stage: stage.as_str(),
        partition: lock.partition.index(),
        user: lock.user.clone(),
        who: lock.who.clone(),
        left_ms: millis(Some(lock.left)),
    }
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

fn millis(duration: Option<Duration>) -> u64 {
    duration.map_or(0, |duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
