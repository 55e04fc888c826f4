//! Lists of entries that do not fit in memory or must wait, and counts of deliveries.

use std::time::Duration;

use event::EntryId;

use crate::{Commit, Owned, StoreError, clock};

/// A lane with a list.
#[derive(Debug)]
pub struct OverflowingLane {
    /// Its name.
    pub name: String,
    /// How many entries its list holds.
    pub entries: usize,
    /// How long it must still wait; `None` if it need not.
    pub parked_for: Option<Duration>,
}

impl Owned {
    /// Removes entries of this stage's stream: they are settled.
    pub fn settle(&self, commit: &mut Commit, ids: &[EntryId]) {
        commit.settle(&self.keys.stream(self.partition(), self.stage()), ids);
    }

    /// Nothing of a commit is done unless this stage's stream holds these entries, and none between them. They are
    /// in order, and were told by a [`Bell`](crate::Bell), so that they may be settled since.
    pub fn only_if_there(&self, commit: &mut Commit, entries: &[EntryId]) {
        commit.only_if_there(&self.keys.stream(self.partition(), self.stage()), entries);
    }

    /// The lanes of this partition and stage that have a list.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer.
    pub async fn overflowing_lanes(&self) -> Result<Vec<OverflowingLane>, StoreError> {
        let (partition, stage) = (self.partition(), self.stage());
        let mut pipeline = redis::pipe();
        pipeline.cmd("SMEMBERS").arg(self.keys.overflowing(partition, stage));
        pipeline.cmd("ZRANGE").arg(self.keys.parked(partition, stage)).arg(0).arg(-1).arg("WITHSCORES");
        let (names, parked): (Vec<String>, Vec<(String, u64)>) = self.redis.run_all("reading lanes", &pipeline).await?;
        let now_ms = clock::now_ms(&self.redis).await?;
        let mut lanes = Vec::with_capacity(names.len());
        for name in names {
            let mut length = redis::cmd("LLEN");
            length.arg(self.keys.overflow(partition, stage, &name));
            let entries = self.redis.run("reading a lane's length", &length).await?;
            let until = parked.iter().find(|(lane, _)| *lane == name).map(|(_, until)| *until);
            let parked_for = until.map(|until| Duration::from_millis(until.saturating_sub(now_ms)));
            lanes.push(OverflowingLane { name, entries, parked_for });
        }
        Ok(lanes)
    }

    /// Puts an entry at the end of a lane's list.
    pub fn push_overflow(&self, commit: &mut Commit, lane: &str, kept: &[u8]) {
        commit.push(&self.keys.overflow(self.partition(), self.stage(), lane), kept);
    }

    /// A lane has a list from now on, until it is [drained](Self::trim_overflow).
    pub fn begin_overflow(&self, commit: &mut Commit, lane: &str) {
        commit.command("SADD", &self.keys.overflowing(self.partition(), self.stage())).arg(lane);
    }

    /// Puts an entry at the head of a lane's list.
    pub fn unshift_overflow(&self, commit: &mut Commit, lane: &str, kept: &[u8]) {
        commit.command("LPUSH", &self.keys.overflow(self.partition(), self.stage(), lane)).arg(kept);
    }

    /// Reads entries of a lane's list without taking them off.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer.
    pub async fn read_overflow(&self, lane: &str, from: usize, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut command = redis::cmd("LRANGE");
        command.arg(self.keys.overflow(self.partition(), self.stage(), lane)).arg(from).arg(from + limit - 1);
        self.redis.run("reading a lane", &command).await
    }

    /// Takes entries off the head of a lane's list; a drained lane has no list any more.
    pub fn trim_overflow(&self, commit: &mut Commit, lane: &str, entries: usize, drained: bool) {
        commit.command("LTRIM", &self.keys.overflow(self.partition(), self.stage(), lane)).arg(entries).arg(-1);
        if drained {
            commit.command("SREM", &self.keys.overflowing(self.partition(), self.stage())).arg(lane);
            commit.not_due(&self.keys.parked(self.partition(), self.stage()), lane);
        }
    }

    /// Lets a lane wait.
    pub fn park_lane(&self, commit: &mut Commit, lane: &str, delay: Duration) {
        let parked = self.keys.parked(self.partition(), self.stage());
        commit.not_due(&parked, lane);
        commit.due_unless_there(&parked, lane, delay);
    }

    /// A lane need not wait any more.
    pub fn unpark_lane(&self, commit: &mut Commit, lane: &str) {
        commit.not_due(&self.keys.parked(self.partition(), self.stage()), lane);
    }

    /// Counts a delivery of an entry that may have crashed its last owner, and says how many were
    /// counted before this one, the first one included.
    ///
    /// # Errors
    /// As [`Commit::run`].
    pub async fn count_delivery(&self, entry: EntryId) -> Result<u32, StoreError> {
        let mut commit = Commit::new();
        let key = self.keys.crashes(self.partition(), self.stage());
        commit.query("HINCRBY", &key).arg(entry.to_string()).arg(1);
        self.commit(commit).await?.reply("counting a delivery")
    }

    /// Whether deliveries of any entry are counted: one of them may have crashed its owner.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer.
    pub async fn counts_deliveries(&self) -> Result<bool, StoreError> {
        let mut command = redis::cmd("EXISTS");
        command.arg(self.keys.crashes(self.partition(), self.stage()));
        self.redis.run("looking for counted deliveries", &command).await
    }

    /// An entry is settled: its deliveries need not be counted any more.
    pub fn forget_deliveries(&self, commit: &mut Commit, entry: EntryId) {
        commit.unset(&self.keys.crashes(self.partition(), self.stage()), &entry.to_string());
    }
}
