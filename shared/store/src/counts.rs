//! Durable counters of a partition: what was appended, and how many transactions are in each state.

use std::collections::BTreeMap;

use event::{Partition, SourceName, State};
use telemetry::counter;

use crate::{Commit, Keys, Owned, Redis, StoreError};

/// Changes of a partition's counters, added up and written with what they count.
#[derive(Debug, Default)]
pub struct Counting {
    changes: BTreeMap<String, i64>,
    entered: BTreeMap<(SourceName, State), u64>,
}

impl Counting {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// So many raw entries were appended.
    pub fn appended(&mut self, source: &SourceName, entries: i64) {
        *self.changes.entry(format!("appended:{source}")).or_default() += entries;
    }

    /// A transaction entered a state.
    pub fn entered(&mut self, source: &SourceName, state: State) {
        *self.changes.entry(format!("state:{source}:{state}")).or_default() += 1;
        *self.entered.entry((source.clone(), state)).or_default() += 1;
    }

    /// A transaction left a state.
    pub fn left(&mut self, source: &SourceName, state: State) {
        *self.changes.entry(format!("state:{source}:{state}")).or_default() -= 1;
    }

    /// Writes the changes with the rest of a commit, and tells the metrics when it is done.
    pub fn write(self, commit: &mut Commit, owned: &Owned) {
        let key = owned.keys.counts(owned.partition());
        for (field, change) in self.changes.into_iter().filter(|(_, change)| *change != 0) {
            commit.add(&key, &field, change);
        }
        for ((source, state), entered) in self.entered {
            let counter = counter!(TRANSACTIONS_COUNTED, source = source.to_string(), state = state.as_str());
            commit.tally(counter, entered);
        }
    }
}

/// A partition's counters, read at one moment.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Raw entries ever appended, by source.
    pub appended: BTreeMap<SourceName, i64>,
    /// Transactions in each state, by source. Those still queued in the raw stream are
    /// appended − the sum of the others.
    pub states: BTreeMap<(SourceName, State), i64>,
}

impl Counts {
    /// From the fields as they stand in Redis.
    pub(crate) fn of(fields: BTreeMap<String, i64>) -> Self {
        let mut counts = Counts::default();
        for (field, count) in fields {
            let mut words = field.split(':');
            match (words.next(), words.next().and_then(|source| SourceName::try_new(source).ok()), words.next()) {
                (Some("appended"), Some(source), None) => {
                    counts.appended.insert(source, count);
                }
                (Some("state"), Some(source), Some(state)) => {
                    if let Some(&state) = State::ALL.iter().find(|known| known.as_str() == state) {
                        counts.states.insert((source, state), count);
                    }
                }
                _ => {}
            }
        }
        counts
    }
}

/// Reads a partition's counters.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn counts(redis: &Redis, keys: &Keys, partition: Partition) -> Result<Counts, StoreError> {
    let mut command = redis::cmd("HGETALL");
    command.arg(keys.counts(partition));
    let fields: BTreeMap<String, i64> = redis.run("reading counters", &command).await?;
    Ok(Counts::of(fields))
}
