//! One owner's work on one partition's stream.

mod handle; // a batch: handled, settled, tried again
mod traced; // spans of entries that are traced

use std::time::{Duration, Instant};

use event::{EntryId, Reason};
use settings::LockMode;
use store::{Commit, Entry, Owned, Reading, StoreError};
use telemetry::trace::{self, Span};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    DELIVERIES_MAX, Delivery, LANE_MAX, Moment, Pace, READ_MAX, StreamHandler, WINDOW_MAX,
    locks::{LOCKED_AGAIN, Locks},
    overflow::Overflow,
};
use crate::{Lanes, meter::Meter};

/// How long a lane that is alone rests at most between two batches.
const REST_MAX: Duration = Duration::from_millis(5);
/// From so many waiting entries on a lane is a flood.
const FLOOD_MIN: usize = LANE_MAX / 4;

/// Where an entry in memory came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// The stream: acknowledged when settled.
    Stream,
    /// Its lane's overflow: taken off the list when settled.
    Overflow,
}

struct InMemory<T> {
    delivery: Delivery<T>,
    from: From,
}

pub(super) struct Session<'a, H: StreamHandler> {
    handler: &'a H,
    owned: Owned,
    lock_mode: LockMode,
    locks: Locks,
    memory: H::Memory,
    lanes: Lanes<InMemory<H::Item>>,
    overflow: Overflow,
    moment: Moment,
    /// The last entry that was read.
    read_to: EntryId,
    /// What comes behind it, if that was read while a batch was committed.
    ahead: Option<Reading>,
    /// What a ring told and no commit has found there yet.
    told: Vec<EntryId>,
    /// The stream had nothing more when it was last read.
    exhausted: bool,
    /// The entry whose delivery was counted, because an earlier one may have crashed its owner.
    counted: Option<EntryId>,
    /// How often what is in hand may have been handed over, this time included.
    deliveries: u32,
    meter: Meter,
}

impl<'a, H: StreamHandler> Session<'a, H> {
    pub(super) fn new(handler: &'a H, owned: Owned, lock_mode: LockMode) -> Self {
        Self {
            lock_mode,
            locks: Locks::unknown(),
            memory: handler.memory(),
            handler,
            meter: Meter::new(owned.stage()),
            owned,
            lanes: Lanes::new(),
            overflow: Overflow::default(),
            moment: Moment { now_ms: 0, revision: 0 },
            read_to: EntryId { ms: 0, seq: 0 },
            ahead: None,
            told: Vec::new(),
            exhausted: false,
            counted: None,
            deliveries: 1,
        }
    }

    /// What a past owner left first, oldest first; then what is new.
    pub(super) async fn run(mut self, pace: &Pace, drain: &CancellationToken) -> Result<(), StoreError> {
        self.owned.open_stream().await?;
        let mut begin = Commit::new();
        self.owned.drop_batches(&mut begin);
        self.owned.commit(begin).await?;
        self.look_at_locks().await?;
        self.overflow = Overflow::load(&self.owned).await?;
        self.take_over(drain).await?;
        while !drain.is_cancelled() {
            self.fill().await?;
            if self.lanes.waiting() > 0 {
                let begun = Instant::now();
                self.handle_a_batch().await?;
                if self.is_one_lane_alone() {
                    // It rests as long as it worked, so that whoever comes meanwhile need not wait for it.
                    let rest = pace.bell.wait(self.owned.partition(), Some(begun.elapsed().min(REST_MAX)));
                    tokio::select! { () = drain.cancelled() => {}, told = rest => self.hear(told) }
                }
            } else if self.exhausted {
                let wait = pace.bell.wait(self.owned.partition(), self.overflow.next_release());
                tokio::select! { () = drain.cancelled() => {}, told = wait => self.hear(told) }
            }
        }
        Ok(())
    }

    /// Whether all that is in hand is one lane's, and more than a batch of it: a flood.
    fn is_one_lane_alone(&self) -> bool {
        let nothing_new = self.ahead.as_ref().is_some_and(|reading| reading.entries.is_empty());
        let lanes = self.lanes.lanes();
        nothing_new && lanes.len() == 1 && lanes.into_iter().all(|lane| self.lanes.waiting_in(lane) >= FLOOD_MIN)
    }

    /// What a ring tells need not be read, if nothing of it was.
    fn hear(&mut self, told: Option<Reading>) {
        self.ahead = told.and_then(|told| told.behind(self.read_to));
        self.told = self.ahead.iter().flat_map(|told| &told.entries).map(|entry| entry.id).collect();
    }

    /// Entries of the stream are settled with a commit, which does nothing if they were settled before.
    fn settles(&self, commit: &mut Commit, entries: &[EntryId]) {
        self.owned.settle(commit, entries);
        self.owned.only_if_there(commit, &self.told);
    }

    /// Where the past owner left without a word, what it may have had in hand is handled one entry at a time: if
    /// one of them crashes us, it is known which.
    async fn take_over(&mut self, drain: &CancellationToken) -> Result<(), StoreError> {
        let may_have_crashed = self.owned.lease.was_expired() || self.owned.counts_deliveries().await?;
        let mut left = if may_have_crashed { WINDOW_MAX } else { 0 };
        while left > 0 {
            let reading = self.read(READ_MAX.min(left)).await?;
            if reading.is_empty() {
                return Ok(());
            }
            left = left.saturating_sub(reading.len());
            for entry in reading {
                if drain.is_cancelled() {
                    return Ok(());
                }
                self.handle_with_care(entry).await?;
            }
        }
        Ok(())
    }

    /// Reads on in the stream.
    async fn read(&mut self, limit: usize) -> Result<Vec<Entry>, StoreError> {
        let reading = match self.ahead.take() {
            Some(reading) => reading,
            None => self.owned.read_after(self.read_to, limit).await?,
        };
        self.look_at(&reading).await?;
        self.read_to = reading.entries.last().map_or(self.read_to, |last| last.id);
        Ok(reading.entries)
    }

    /// Whom others hold a key lock of. What is remembered from before the latest was taken is stale.
    async fn look_at_locks(&mut self) -> Result<(), StoreError> {
        if self.locks.look(&self.owned).await? {
            self.memory = self.handler.memory();
        }
        Ok(())
    }

    /// Whether a lane that was locked still is; looks again when it is time.
    async fn is_locked_still(&mut self, lane: &str) -> Result<bool, StoreError> {
        if self.locks.are_due() {
            self.look_at_locks().await?;
        }
        Ok(self.locks.hold(lane))
    }

    /// Counts the delivery before it is begun, so that a crash is counted although nobody is left to.
    async fn handle_with_care(&mut self, entry: Entry) -> Result<(), StoreError> {
        let crashes = self.owned.count_delivery(entry.id).await? - 1;
        // A dead owner may have had it in hand before anybody counted.
        self.deliveries = crashes + 2;
        if crashes >= DELIVERIES_MAX {
            let why = format!("{DELIVERIES_MAX} deliveries ended in a crash");
            return self.bury(&entry, Reason::Poison, &why, DELIVERIES_MAX).await;
        }
        self.counted = Some(entry.id);
        self.place(vec![entry]).await?;
        self.handle_a_batch().await?;
        self.counted = None;
        self.deliveries = 1;
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.lanes.waiting() < WINDOW_MAX - READ_MAX
    }

    /// Reads on, while there is room.
    async fn fill(&mut self) -> Result<(), StoreError> {
        let mut is_flooded = true;
        while is_flooded && self.has_room() {
            let entries = self.read(READ_MAX).await?;
            self.exhausted = entries.is_empty();
            let is_whole = entries.len() < READ_MAX;
            // Behind what one lane has too much of, others may wait.
            is_flooded = self.place(entries).await? > 0 && !is_whole;
        }
        if self.overflow.is_empty() {
            return Ok(());
        }
        for lane in self.overflow.readable(|lane| self.lanes.waiting_in(lane) < LANE_MAX / 2) {
            if self.locks.hold(&lane) && self.is_locked_still(&lane).await? {
                self.overflow.wait(&lane, LOCKED_AGAIN);
                continue;
            }
            for entry in self.overflow.read(&self.owned, &lane, LANE_MAX / 2).await? {
                match self.handler.open(&entry) {
                    Ok((lane, item)) => self.enter(&lane, entry, item, From::Overflow),
                    Err(why) => warn!("an entry in overflow cannot be read: {why}"),
                }
            }
        }
        Ok(())
    }

    /// Notes the moment of a reading. Lanes wait for what documents say, so they are called when those changed.
    async fn look_at(&mut self, reading: &Reading) -> Result<(), StoreError> {
        let changed = reading.revision != self.moment.revision;
        self.moment = Moment { now_ms: reading.now_ms, revision: reading.revision };
        let mut called = Commit::new();
        if changed {
            self.overflow.call(&mut called, &self.owned);
        }
        if called.is_empty() { Ok(()) } else { self.owned.commit(called).await.map(drop) }
    }

    /// Puts entries of the stream into their lanes, or into the overflow of lanes that are full. Returns how many
    /// went there.
    async fn place(&mut self, entries: Vec<Entry>) -> Result<usize, StoreError> {
        let mut moved = Commit::new();
        let mut moved_ids = Vec::new();
        for entry in entries {
            match self.handler.open(&entry) {
                Ok((lane, item)) => {
                    if self.overflow.holds(&lane) || self.lanes.waiting_in(&lane) >= LANE_MAX {
                        self.overflow.push(&mut moved, &self.owned, &lane, &entry);
                        moved_ids.push(entry.id);
                    } else {
                        self.enter(&lane, entry, item, From::Stream);
                    }
                }
                Err(why) => self.bury(&entry, Reason::Malformed, &why, 1).await?,
            }
        }
        if !moved.is_empty() {
            self.settles(&mut moved, &moved_ids);
            if let Some(counted) = self.counted {
                self.owned.forget_deliveries(&mut moved, counted);
            }
            self.owned.commit(moved).await?;
            self.told.clear();
        }
        Ok(moved_ids.len())
    }

    fn enter(&mut self, lane: &str, entry: Entry, item: H::Item, from: From) {
        let delivery = Delivery { id: entry.id, item, payload: entry.payload, span: Span::none() };
        self.lanes.push(lane, InMemory { delivery, from });
    }

    /// Sets an entry of the stream aside.
    async fn bury(&mut self, entry: &Entry, cause: Reason, why: &str, deliveries: u32) -> Result<(), StoreError> {
        let span = traced::process(&self.owned, entry.id, &entry.payload, deliveries);
        trace::failed(&span, cause.as_str());
        let mut commit = self.handler.bury(&self.owned, self.moment, entry, cause, why, deliveries);
        self.settles(&mut commit, &[entry.id]);
        self.owned.forget_deliveries(&mut commit, entry.id);
        self.owned.commit(commit).await?;
        self.told.clear();
        span.in_scope(|| warn!(entry.id = %entry.id, cause = %cause, "dead-lettered {}: {why}", entry.id));
        self.meter.dead_lettered();
        Ok(())
    }
}
