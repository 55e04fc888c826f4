//! Everybody, a few at a time: connections, pauses, spent budgets, and values that nobody can decide.

use std::collections::BTreeMap;

use event::{Day, Partition, UserId};
use ledger::{Mode, Spent};

use super::Question;
use crate::{
    Confirmed, Keys, Redis, StoreError,
    key::{DAYS_PER_PERIOD, period_of},
    pause::{Pause, Scope},
    user::{User, names, users},
};

/// The peer that is no source.
const EXIST: &str = "exist";

/// What is told of users, added up.
#[derive(Debug, Clone, Default)]
pub struct People {
    /// Connections by peer (`exist`, or a source) and whether they work.
    pub connections: BTreeMap<(String, bool), u64>,
    /// What of theirs is paused.
    pub paused: BTreeMap<Scope, Pause>,
    /// Users with something to send whose budget is spent for now, or whom Exist told to wait.
    pub limited: u64,
    /// Values in Exist of which nobody can tell how much is ours.
    pub undecided: u64,
}

/// A walk through the users of a partition.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// Whom it has still to visit.
    left: Vec<UserId>,
    /// What it has found so far.
    going: People,
    /// What the last whole walk found.
    last: Option<People>,
}

impl Census {
    /// Visits some more users. Tells what the last whole walk found; during the first one, what it has so far.
    pub(super) async fn go_on(
        &mut self,
        redis: &Redis,
        keys: &Keys,
        partition: Partition,
        question: &Question,
        now_ms: u64,
    ) -> Result<People, StoreError> {
        if self.left.is_empty() {
            self.left = names(redis, keys, partition).await?;
            self.going = People::default();
        }
        let from = self.left.len().saturating_sub(question.bounds.users);
        self.going.add(redis, keys, partition, &self.left[from..], question, now_ms).await?;
        self.left.truncate(from);
        if self.left.is_empty() {
            self.last = Some(std::mem::take(&mut self.going));
        }
        Ok(self.last.as_ref().unwrap_or(&self.going).clone())
    }
}

impl People {
    async fn add(
        &mut self,
        redis: &Redis,
        keys: &Keys,
        partition: Partition,
        wanted: &[UserId],
        question: &Question,
        now_ms: u64,
    ) -> Result<(), StoreError> {
        if wanted.is_empty() {
            return Ok(());
        }
        let documents = users(redis, keys, partition, wanted).await?;
        let mut budgets = redis::pipe();
        let mut values = redis::pipe();
        let today = Day::from_number(i32::try_from(now_ms / 86_400_000).unwrap_or(i32::MAX / 2));
        let back = i32::try_from(question.backfill_days).unwrap_or(i32::MAX / 4) + DAYS_PER_PERIOD;
        let periods = period_of(today.plus(-back))..=period_of(today.plus(1));
        for (name, user) in wanted.iter().zip(&documents) {
            self.count(name, user);
            budgets.cmd("ZSCORE").arg(keys.due(partition)).arg(name.as_str());
            budgets.cmd("HMGET").arg(keys.sending(partition, name)).arg(&["not_before", "spent"]);
            // A total that is not known is written again; only increments must be decided.
            if user.attributes.values().any(|attribute| attribute.mode == Mode::Increment) {
                for period in periods.clone() {
                    values.cmd("HVALS").arg(keys.confirmed(partition, name, period));
                }
            }
        }
        type Budgets = Vec<(Option<f64>, (Option<u64>, Option<u64>))>;
        let budgets: Budgets = redis.run_all("looking at budgets", &budgets).await?;
        let waits = |(due, (not_before, spent)): &(Option<f64>, (Option<u64>, Option<u64>))| {
            due.is_some()
                && (not_before.is_some_and(|until| until > now_ms)
                    || question.budget.take(now_ms, spent.map(Spent)).is_err())
        };
        self.limited += count(budgets.iter().filter(|budget| waits(budget)).count());
        if !values.is_empty() {
            let values: Vec<Vec<Vec<u8>>> = redis.run_all("looking at what Exist holds", &values).await?;
            let confirmed = values.into_iter().flatten().filter_map(|bytes| event::decode::<Confirmed>(&bytes).ok());
            self.undecided += count(confirmed.filter(|confirmed| confirmed.held.is_undecided()).count());
        }
        Ok(())
    }

    fn count(&mut self, name: &UserId, user: &User) {
        self.paused.extend(user.pauses.list(name));
        let exist = user.exist.iter().map(|exist| (EXIST.to_owned(), exist.connected.is_on()));
        let sources = user.sources.iter().map(|(name, source)| (name.to_string(), source.connected.is_on()));
        for connection in exist.chain(sources) {
            *self.connections.entry(connection).or_default() += 1;
        }
    }
}

fn count(found: usize) -> u64 {
    u64::try_from(found).unwrap_or(u64::MAX)
}
