//! A batch: handled, settled with its effects, and tried again when somebody took a key lock meanwhile.

use std::{
    collections::{BTreeSet, HashMap},
    panic::AssertUnwindSafe,
    time::Instant,
};

use event::Reason;
use futures::FutureExt;
use settings::LockMode;
use store::{Commit, Entry, Hand, Owned, StoreError, error_type};
use telemetry::trace::{self, Instrument};
use tracing::error;

use super::{From, InMemory, Session, traced};
use crate::{
    crash::crash_point,
    meter,
    stream::{
        BATCH_MAX, DELIVERIES_MAX, Delivery, Handled, Park, READ_MAX, StreamHandler, locks::LOCKED_AGAIN,
        overflow::Overflow,
    },
};

/// Entries, each with its lane.
type Entries<T> = Vec<(String, InMemory<T>)>;

/// What became of a batch.
enum Tried<T> {
    /// It is settled.
    Settled,
    /// Somebody took a key lock: nothing was done.
    Locked(Entries<T>),
    /// Handling it panicked: nothing was done.
    Panicked(Entries<T>),
}

/// Entries as the handler gets them.
struct Batch<T> {
    origins: Vec<(String, From)>,
    deliveries: Vec<Delivery<T>>,
}

impl<T> Batch<T> {
    fn new(entries: Entries<T>) -> Self {
        let origins = entries.iter().map(|(lane, entry)| (lane.clone(), entry.from)).collect();
        Self { origins, deliveries: entries.into_iter().map(|(_, entry)| entry.delivery).collect() }
    }

    fn into_entries(self) -> impl Iterator<Item = (String, InMemory<T>)> {
        let each = self.origins.into_iter().zip(self.deliveries);
        each.map(|((lane, from), delivery)| (lane, InMemory { delivery, from }))
    }

    fn each(&self) -> impl Iterator<Item = (&str, From, &Delivery<T>)> {
        self.origins.iter().zip(&self.deliveries).map(|((lane, from), delivery)| (lane.as_str(), *from, delivery))
    }
}

/// What a batch may change.
struct Leave {
    /// The partition, guarded against key locks.
    owned: Owned,
    /// What is held of it, if the owner takes locks itself.
    hand: Option<Hand>,
    /// Lanes that somebody else has the key lock of.
    locked: BTreeSet<String>,
}

impl<H: StreamHandler> Session<'_, H> {
    pub(super) async fn handle_a_batch(&mut self) -> Result<(), StoreError> {
        loop {
            let entries = self.lanes.take(BATCH_MAX);
            if entries.is_empty() {
                return Ok(());
            }
            match self.attempt(entries).await? {
                Tried::Settled => return Ok(()),
                Tried::Locked(entries) => self.lanes.put_back(entries),
                Tried::Panicked(entries) => return self.after_a_panic(entries).await,
            }
        }
    }

    async fn attempt(&mut self, entries: Entries<H::Item>) -> Result<Tried<H::Item>, StoreError> {
        let begun = Instant::now();
        let leave = self.leave(&entries).await?;
        let (waiting, free): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(lane, _)| leave.locked.contains(lane));
        let (waiting, mut free) = (Batch::new(waiting), Batch::new(free));
        traced::begin(&self.owned, &mut free.deliveries, self.deliveries);
        let mut handled = Handled { commit: Commit::new(), parked: Vec::new() };
        if !free.deliveries.is_empty() {
            let handling = self.handler.handle(&self.owned, &mut self.memory, self.moment, &free.deliveries);
            match AssertUnwindSafe(handling).catch_unwind().instrument(traced::only(&free.deliveries)).await {
                Ok(Ok(done)) => handled = done,
                Ok(Err(failed)) => {
                    traced::failed(&mut free.deliveries, error_type(&failed));
                    return Err(failed);
                }
                Err(_panic) => {
                    traced::failed(&mut free.deliveries, "panic");
                    // What was remembered may be half changed.
                    self.memory = self.handler.memory();
                    self.let_go(leave.hand.as_ref()).await?;
                    return Ok(Tried::Panicked(free.into_entries().chain(waiting.into_entries()).collect()));
                }
            }
        }
        let locked = Park { class: "locked", delay: LOCKED_AGAIN };
        handled.parked.extend(leave.locked.iter().map(|lane| (lane.clone(), locked)));
        match self.settle(handled, &leave.owned, &free, &waiting).await {
            Ok(()) => {
                traced::done(&free.deliveries);
                self.handler.committed(&free.deliveries);
                self.meter.handled(begun.elapsed());
                Ok(Tried::Settled)
            }
            Err(StoreError::Locked { .. }) => {
                traced::failed(&mut free.deliveries, "locked");
                // What was remembered may rest on what is not so any more, and on what did not happen.
                self.memory = self.handler.memory();
                self.look_at_locks().await?;
                self.let_go(leave.hand.as_ref()).await?;
                Ok(Tried::Locked(free.into_entries().chain(waiting.into_entries()).collect()))
            }
            Err(failed) => {
                traced::failed(&mut free.deliveries, error_type(&failed));
                if matches!(failed, StoreError::Fenced { .. }) {
                    self.meter.lost(free.deliveries.len());
                }
                Err(failed)
            }
        }
    }

    /// Sees to it that nobody else changes the users of a batch, or that we learn of it when we commit.
    async fn leave(&mut self, entries: &Entries<H::Item>) -> Result<Leave, StoreError> {
        let lanes: BTreeSet<String> = entries.iter().map(|(lane, _)| lane.clone()).collect();
        match self.lock_mode {
            LockMode::Partition => {
                if lanes.iter().any(|lane| self.locks.hold(lane)) && self.locks.are_due() {
                    self.look_at_locks().await?;
                }
                let owned = self.owned.unless_locked_since(self.locks.taken());
                let locked = lanes.into_iter().filter(|lane| self.locks.hold(lane)).collect();
                Ok(Leave { owned, hand: None, locked })
            }
            LockMode::Key => {
                let holding = self.owned.hold(lanes.into_iter().collect()).await?;
                if holding.locks_taken != self.locks.taken() {
                    self.look_at_locks().await?;
                }
                self.locks.note(holding.locked.iter().cloned());
                let locked = holding.locked.into_iter().collect();
                Ok(Leave { owned: self.owned.for_batch(&holding.hand), hand: Some(holding.hand), locked })
            }
        }
    }

    async fn let_go(&self, hand: Option<&Hand>) -> Result<(), StoreError> {
        match hand {
            Some(hand) => self.owned.let_go(hand).await,
            None => Ok(()),
        }
    }

    /// Acknowledges a batch together with its effects. Refused, it leaves everything as it was.
    async fn settle(
        &mut self,
        handled: Handled,
        guarded: &Owned,
        free: &Batch<H::Item>,
        waiting: &Batch<H::Item>,
    ) -> Result<(), StoreError> {
        let Handled { mut commit, parked } = handled;
        let waits = |lane: &str| parked.iter().any(|(parked, _)| parked == lane);
        let mut from_overflow: HashMap<&str, usize> = HashMap::new();
        let mut ids = Vec::with_capacity(free.origins.len() + waiting.origins.len());
        for (lane, from, delivery) in free.each().chain(waiting.each()) {
            match from {
                From::Stream => ids.push(delivery.id),
                From::Overflow if waits(lane) => {}
                From::Overflow => *from_overflow.entry(lane).or_default() += 1,
            }
        }
        for (lane, entries) in &from_overflow {
            self.overflow.settle(&mut commit, &self.owned, lane, *entries);
        }
        let mut parks = Vec::with_capacity(parked.len());
        for (lane, park) in &parked {
            let in_batch =
                free.each().chain(waiting.each()).filter(|(its, from, _)| its == lane && *from == From::Stream);
            let mut kept: Vec<Entry> = in_batch.map(|(_, _, delivery)| entry_of(delivery)).collect();
            for behind in self.lanes.waiting_of(lane).filter(|entry| entry.from == From::Stream) {
                ids.push(behind.delivery.id);
                kept.push(entry_of(&behind.delivery));
            }
            Overflow::park(&mut commit, &self.owned, lane, &kept, park.delay);
            let put_off = free.each().filter(|(its, _, _)| its == lane);
            put_off.for_each(|(_, _, delivery)| trace::outcome(&delivery.span, "parked"));
            parks.push((lane, park, kept.len()));
        }
        self.settles(&mut commit, &ids);
        if let Some(counted) = self.counted {
            self.owned.forget_deliveries(&mut commit, counted);
        }
        crash_point!("stream::handled");
        let settling = traced::settle(&self.owned, &free.deliveries);
        let unsettled = |error: &StoreError| traced::unsettled(&settling, error);
        if self.ahead.is_none() && self.has_room() {
            let reading = guarded.commit_and_read(commit, self.read_to, READ_MAX).await.inspect_err(unsettled)?;
            self.ahead = Some(reading);
        } else {
            guarded.commit(commit).await.inspect_err(unsettled)?;
        }
        drop(settling);
        self.told.clear();
        crash_point!("stream::committed");
        for (lane, entries) in from_overflow {
            self.overflow.settled(lane, entries);
        }
        for (lane, park, kept) in parks {
            self.lanes.remove(lane);
            self.overflow.parked(lane, kept, park.delay);
            meter::retried(self.owned.stage(), park.class);
        }
        let now_ms = self.moment.now_ms;
        let deliveries = || free.each().chain(waiting.each());
        self.meter.waited(deliveries().map(|(_, _, delivery)| now_ms.saturating_sub(delivery.id.ms)));
        self.meter.settled(deliveries().count(), deliveries().filter(|(lane, _, _)| waits(lane)).count());
        Ok(())
    }

    /// Finds out which entry of a batch makes us panic, by handling as many each by itself.
    async fn after_a_panic(&mut self, entries: Entries<H::Item>) -> Result<(), StoreError> {
        let count = entries.len();
        error!("handling {count} entries of {} panicked; each is tried by itself", self.owned.stage());
        self.lanes.put_back(entries);
        for _ in 0..count {
            // A lane that is parked takes its other entries with it.
            let Some((lane, entry)) = self.lanes.take(1).pop() else { break };
            let entry = self.alone(lane, entry).await?;
            self.counted = None;
            self.deliveries = 1;
            if let Some((lane, entry)) = entry {
                self.bury_panicking(&lane, entry).await?;
            }
        }
        Ok(())
    }

    /// Handles an entry by itself, and gives it back once its deliveries ended in too many crashes.
    async fn alone(
        &mut self,
        lane: String,
        entry: InMemory<H::Item>,
    ) -> Result<Option<(String, InMemory<H::Item>)>, StoreError> {
        let id = entry.delivery.id;
        let mut entries = vec![(lane, entry)];
        let mut crashes = self.owned.count_delivery(id).await?;
        self.counted = Some(id);
        while crashes < DELIVERIES_MAX {
            self.deliveries = crashes + 1;
            entries = match self.attempt(entries).await? {
                Tried::Settled => return Ok(None),
                Tried::Locked(again) => again,
                Tried::Panicked(again) => {
                    crashes = self.owned.count_delivery(id).await?;
                    again
                }
            };
        }
        Ok(entries.pop())
    }

    async fn bury_panicking(&mut self, lane: &str, entry: InMemory<H::Item>) -> Result<(), StoreError> {
        let InMemory { delivery, from } = entry;
        let span = traced::process(&self.owned, delivery.id, &delivery.payload, DELIVERIES_MAX);
        trace::failed(&span, Reason::Poison.as_str());
        let why = format!("{DELIVERIES_MAX} deliveries ended in a panic");
        let buried = entry_of(&delivery);
        let mut commit = self.handler.bury(&self.owned, self.moment, &buried, Reason::Poison, &why, DELIVERIES_MAX);
        match from {
            From::Stream => self.settles(&mut commit, &[delivery.id]),
            From::Overflow => self.overflow.settle(&mut commit, &self.owned, lane, 1),
        }
        self.owned.forget_deliveries(&mut commit, delivery.id);
        self.owned.commit(commit).await?;
        self.told.clear();
        if from == From::Overflow {
            self.overflow.settled(lane, 1);
        }
        self.meter.dead_lettered();
        Ok(())
    }
}

fn entry_of<T>(delivery: &Delivery<T>) -> Entry {
    Entry { id: delivery.id, payload: delivery.payload.clone() }
}
