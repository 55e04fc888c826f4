//! Lanes with more than fits in memory, and lanes that wait: their entries stand in a list each.

use std::{collections::HashMap, time::Duration};

use event::EntryId;
use serde::{Deserialize, Serialize};
use store::{Commit, Entry, Owned, StoreError};
use tokio::time::Instant;

/// An entry in a list, as it was in the stream.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: EntryId,
    payload: Vec<u8>,
}

/// One lane's list.
#[derive(Debug, Default)]
struct Lane {
    /// How many entries the list holds.
    kept: usize,
    /// How many from its head are in memory now.
    in_memory: usize,
    /// Not to be read before then.
    parked_until: Option<Instant>,
}

/// Between two times that all lanes that wait are called: each is read again then, and there may be many.
const CALL_EVERY: Duration = Duration::from_secs(1);

/// All lanes of a partition that have a list.
#[derive(Debug, Default)]
pub(super) struct Overflow {
    lanes: HashMap<String, Lane>,
    /// When lanes that wait may be called again.
    call_after: Option<Instant>,
}

impl Overflow {
    /// What past owners left.
    pub(super) async fn load(owned: &Owned) -> Result<Self, StoreError> {
        let mut lanes = HashMap::new();
        for lane in owned.overflowing_lanes().await? {
            let parked_until = lane.parked_for.map(|left| Instant::now() + left);
            lanes.insert(lane.name, Lane { kept: lane.entries, in_memory: 0, parked_until });
        }
        Ok(Self { lanes, call_after: None })
    }

    /// Whether new entries of a lane must queue up behind its list.
    pub(super) fn holds(&self, lane: &str) -> bool {
        self.lanes.contains_key(lane)
    }

    /// Whether anything is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.is_empty()
    }

    /// Puts an entry at the end of its lane's list.
    pub(super) fn push(&mut self, commit: &mut Commit, owned: &Owned, lane: &str, entry: &Entry) {
        if !self.holds(lane) {
            owned.begin_overflow(commit, lane);
        }
        let list = self.lanes.entry(lane.to_owned()).or_default();
        owned.push_overflow(commit, lane, &encode(entry));
        list.kept += 1;
    }

    /// Lanes with entries to read now, given how many each has in memory.
    pub(super) fn readable(&self, low: impl Fn(&str) -> bool) -> Vec<String> {
        let now = Instant::now();
        let ready = |(name, lane): &(&String, &Lane)| {
            lane.in_memory < lane.kept && lane.parked_until.is_none_or(|until| until <= now) && low(name)
        };
        self.lanes.iter().filter(ready).map(|(name, _)| name.clone()).collect()
    }

    /// Reads the next entries of a lane into memory; they stay in the list until settled.
    pub(super) async fn read(&mut self, owned: &Owned, lane: &str, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let Some(list) = self.lanes.get_mut(lane) else { return Ok(Vec::new()) };
        let kept = owned.read_overflow(lane, list.in_memory, limit).await?;
        list.in_memory += kept.len();
        if kept.is_empty() {
            // The list is shorter than we thought, which only a person's hand can do.
            list.kept = list.in_memory;
        }
        Ok(kept.iter().filter_map(|bytes| decode(bytes)).collect())
    }

    /// Takes settled entries off the head of a lane's list, in a commit that may be refused.
    pub(super) fn settle(&self, commit: &mut Commit, owned: &Owned, lane: &str, entries: usize) {
        if let Some(list) = self.lanes.get(lane) {
            owned.trim_overflow(commit, lane, entries, list.kept <= entries);
        }
    }

    /// That commit was carried out.
    pub(super) fn settled(&mut self, lane: &str, entries: usize) {
        let Some(list) = self.lanes.get_mut(lane) else { return };
        list.kept -= entries.min(list.kept);
        list.in_memory -= entries.min(list.in_memory);
        if list.kept == 0 {
            self.lanes.remove(lane);
        }
    }

    /// Lets a lane wait, in a commit that may be refused: what it has in memory from the stream goes before
    /// its list, in order.
    pub(super) fn park(commit: &mut Commit, owned: &Owned, lane: &str, from_stream: &[Entry], delay: Duration) {
        owned.begin_overflow(commit, lane);
        for entry in from_stream.iter().rev() {
            owned.unshift_overflow(commit, lane, &kept(entry.id, &event::put_off(&entry.payload)));
        }
        owned.park_lane(commit, lane, delay);
    }

    /// That commit was carried out.
    pub(super) fn parked(&mut self, lane: &str, from_stream: usize, delay: Duration) {
        let list = self.lanes.entry(lane.to_owned()).or_default();
        list.kept += from_stream;
        list.in_memory = 0;
        list.parked_until = Some(Instant::now() + delay);
    }

    /// A lane is not read for so long; nobody else needs to know.
    pub(super) fn wait(&mut self, lane: &str, delay: Duration) {
        if let Some(list) = self.lanes.get_mut(lane) {
            list.parked_until = Some(Instant::now() + delay);
        }
    }

    /// Calls all lanes that wait: documents changed, and what they wait for may be among it. At once, or as soon
    /// as the last call is long enough ago.
    pub(super) fn call(&mut self, commit: &mut Commit, owned: &Owned) {
        let now = Instant::now();
        let at = match self.call_after {
            Some(after) if after > now => after,
            _ => {
                self.call_after = Some(now + CALL_EVERY);
                now
            }
        };
        for (name, lane) in &mut self.lanes {
            if lane.parked_until.is_some_and(|until| until > at) {
                lane.parked_until = Some(at);
                owned.unpark_lane(commit, name);
            }
        }
    }

    /// When the next parked lane may go on.
    pub(super) fn next_release(&self) -> Option<Duration> {
        let soonest = self.lanes.values().filter_map(|lane| lane.parked_until).min()?;
        Some(soonest.saturating_duration_since(Instant::now()))
    }
}

fn encode(entry: &Entry) -> Vec<u8> {
    kept(entry.id, &entry.payload)
}

fn kept(id: EntryId, payload: &[u8]) -> Vec<u8> {
    event::encode(&Kept { id, payload: payload.to_vec() })
}

fn decode(bytes: &[u8]) -> Option<Entry> {
    let kept: Kept = event::decode(bytes).ok()?;
    Some(Entry { id: kept.id, payload: kept.payload })
}
