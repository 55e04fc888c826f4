//! One owner's work on one partition's stream.

use std::{collections::HashMap, panic::AssertUnwindSafe, time::Instant};

use event::{EntryId, Reason};
use futures::FutureExt;
use store::{Commit, Entry, Owned, StoreError};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{
    BATCH_MAX, DELIVERIES_MAX, Delivery, Handled, LANE_MAX, Moment, Pace, READ_MAX, StreamHandler, WINDOW_MAX,
    overflow::Overflow,
};
use crate::{
    Lanes,
    crash::crash_point,
    meter::{self, Meter},
};

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
    memory: H::Memory,
    lanes: Lanes<InMemory<H::Item>>,
    overflow: Overflow,
    moment: Moment,
    /// The stream had nothing more when it was last read.
    exhausted: bool,
    /// The entry whose delivery was counted, because an earlier one may have crashed its owner.
    counted: Option<EntryId>,
    meter: Meter,
}

impl<'a, H: StreamHandler> Session<'a, H> {
    pub(super) fn new(handler: &'a H, owned: Owned) -> Self {
        Self {
            memory: handler.memory(),
            handler,
            meter: Meter::new(owned.stage()),
            owned,
            lanes: Lanes::new(),
            overflow: Overflow::default(),
            moment: Moment { now_ms: 0, revision: 0 },
            exhausted: false,
            counted: None,
        }
    }

    /// What a past owner left first, oldest first; then what is new.
    pub(super) async fn run(mut self, pace: &Pace, drain: &CancellationToken) -> Result<(), StoreError> {
        self.owned.open_stream().await?;
        self.overflow = Overflow::load(&self.owned).await?;
        self.take_over(drain).await?;
        while !drain.is_cancelled() {
            self.fill().await?;
            if self.lanes.waiting() > 0 {
                self.handle_a_batch().await?;
            } else if self.exhausted {
                let wait = pace.bell.wait(self.owned.partition(), self.overflow.next_release());
                tokio::select! { () = drain.cancelled() => {}, () = wait => {} }
            }
        }
        Ok(())
    }

    /// Handles what was delivered to a past owner and not settled, one entry at a time: if one of them
    /// crashes us, it is known which.
    async fn take_over(&mut self, drain: &CancellationToken) -> Result<(), StoreError> {
        let mut after = EntryId { ms: 0, seq: 0 };
        loop {
            let reading = self.owned.read_pending(after, READ_MAX).await?;
            self.moment = Moment { now_ms: reading.now_ms, revision: reading.revision };
            let Some(last) = reading.entries.last() else { return Ok(()) };
            after = last.id;
            for entry in reading.entries {
                if drain.is_cancelled() {
                    return Ok(());
                }
                self.handle_with_care(entry).await?;
            }
        }
    }

    /// Counts the delivery before it is begun, so that a crash is counted although nobody is left to.
    async fn handle_with_care(&mut self, entry: Entry) -> Result<(), StoreError> {
        let crashes = self.owned.count_delivery(entry.id).await?;
        if crashes >= DELIVERIES_MAX {
            let why = format!("{DELIVERIES_MAX} deliveries ended in a crash");
            return self.bury(&entry, Reason::Poison, &why, DELIVERIES_MAX).await;
        }
        self.counted = Some(entry.id);
        self.place(vec![entry]).await?;
        self.handle_a_batch().await?;
        self.counted = None;
        Ok(())
    }

    /// Reads on, while there is room.
    async fn fill(&mut self) -> Result<(), StoreError> {
        if self.lanes.waiting() < WINDOW_MAX - READ_MAX {
            let reading = self.owned.read_new(READ_MAX).await?;
            self.moment = Moment { now_ms: reading.now_ms, revision: reading.revision };
            self.exhausted = reading.entries.is_empty();
            self.place(reading.entries).await?;
        }
        if self.overflow.is_empty() {
            return Ok(());
        }
        for lane in self.overflow.readable(|lane| self.lanes.waiting_in(lane) < LANE_MAX / 2) {
            for entry in self.overflow.read(&self.owned, &lane, LANE_MAX / 2).await? {
                match self.handler.open(&entry) {
                    Ok((lane, item)) => self.enter(&lane, entry, item, From::Overflow),
                    Err(why) => warn!("an entry in overflow cannot be read: {why}"),
                }
            }
        }
        Ok(())
    }

    /// Puts entries of the stream into their lanes, or into the overflow of lanes that are full.
    async fn place(&mut self, entries: Vec<Entry>) -> Result<(), StoreError> {
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
            self.owned.settle(&mut moved, &moved_ids);
            self.owned.commit(moved).await?;
        }
        Ok(())
    }

    fn enter(&mut self, lane: &str, entry: Entry, item: H::Item, from: From) {
        let delivery = Delivery { id: entry.id, item, payload: entry.payload };
        self.lanes.push(lane, InMemory { delivery, from });
    }

    async fn handle_a_batch(&mut self) -> Result<(), StoreError> {
        let batch = self.lanes.take(BATCH_MAX);
        if batch.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        let origins: Vec<(String, From)> = batch.iter().map(|(lane, entry)| (lane.clone(), entry.from)).collect();
        let deliveries: Vec<Delivery<H::Item>> = batch.into_iter().map(|(_, entry)| entry.delivery).collect();
        let now_ms = self.moment.now_ms;
        self.meter.waited(deliveries.iter().map(|delivery| now_ms.saturating_sub(delivery.id.ms)));
        let handling = self.handler.handle(&self.owned, &mut self.memory, self.moment, &deliveries);
        match AssertUnwindSafe(handling).catch_unwind().await {
            Ok(handled) => self.settle(handled?, &origins, &deliveries).await?,
            Err(_panic) => {
                // What was remembered may be half changed.
                self.memory = self.handler.memory();
                self.after_a_panic(&origins, deliveries).await?;
            }
        }
        self.meter.handled(begun.elapsed());
        Ok(())
    }

    /// Acknowledges a batch together with its effects.
    async fn settle(
        &mut self,
        handled: Handled,
        origins: &[(String, From)],
        deliveries: &[Delivery<H::Item>],
    ) -> Result<(), StoreError> {
        let Handled { mut commit, parked } = handled;
        let mut from_overflow: HashMap<&str, usize> = HashMap::new();
        let mut ids = Vec::with_capacity(deliveries.len());
        for ((lane, from), delivery) in origins.iter().zip(deliveries) {
            match from {
                From::Stream => ids.push(delivery.id),
                From::Overflow if parked.iter().any(|(waits, _)| waits == lane) => {}
                From::Overflow => *from_overflow.entry(lane).or_default() += 1,
            }
        }
        for (lane, entries) in from_overflow {
            self.overflow.settle(&mut commit, &self.owned, lane, entries);
        }
        for (lane, park) in &parked {
            let mut waiting: Vec<Entry> = Vec::new();
            let in_batch =
                origins.iter().zip(deliveries).filter(|((its, from), _)| its == lane && *from == From::Stream);
            waiting.extend(in_batch.map(|(_, delivery)| Entry { id: delivery.id, payload: delivery.payload.clone() }));
            for entry in self.lanes.remove(lane).into_iter().filter(|entry| entry.from == From::Stream) {
                ids.push(entry.delivery.id);
                waiting.push(Entry { id: entry.delivery.id, payload: entry.delivery.payload });
            }
            self.overflow.park(&mut commit, &self.owned, lane, &waiting, park.delay);
            meter::retried(self.owned.stage(), park.class);
        }
        self.owned.settle(&mut commit, &ids);
        if let Some(counted) = self.counted {
            self.owned.forget_deliveries(&mut commit, counted);
        }
        crash_point!("stream::handled");
        self.owned.commit(commit).await?;
        crash_point!("stream::committed");
        self.handler.committed(deliveries);
        let waits = |lane: &str| parked.iter().any(|(parked, _)| parked == lane);
        self.meter.settled(deliveries.len(), origins.iter().filter(|(lane, _)| waits(lane)).count());
        Ok(())
    }

    /// Finds out which entry of a batch makes us panic, by handling each by itself.
    async fn after_a_panic(
        &mut self,
        origins: &[(String, From)],
        deliveries: Vec<Delivery<H::Item>>,
    ) -> Result<(), StoreError> {
        error!("handling {} entries of {} panicked; each is tried by itself", deliveries.len(), self.owned.stage());
        for (origin, delivery) in origins.iter().zip(deliveries) {
            let entry = Entry { id: delivery.id, payload: delivery.payload.clone() };
            let alone = [delivery];
            loop {
                let crashes = self.owned.count_delivery(entry.id).await?;
                if crashes >= DELIVERIES_MAX {
                    let why = format!("{DELIVERIES_MAX} deliveries ended in a panic");
                    let mut commit =
                        self.handler.bury(&self.owned, self.moment, &entry, Reason::Poison, &why, DELIVERIES_MAX);
                    match origin.1 {
                        From::Stream => self.owned.settle(&mut commit, &[entry.id]),
                        From::Overflow => self.overflow.settle(&mut commit, &self.owned, &origin.0, 1),
                    }
                    self.owned.forget_deliveries(&mut commit, entry.id);
                    self.owned.commit(commit).await?;
                    self.meter.dead_lettered();
                    break;
                }
                let handling = self.handler.handle(&self.owned, &mut self.memory, self.moment, &alone);
                if let Ok(handled) = AssertUnwindSafe(handling).catch_unwind().await {
                    let mut handled = handled?;
                    self.owned.forget_deliveries(&mut handled.commit, entry.id);
                    self.settle(handled, std::slice::from_ref(origin), &alone).await?;
                    break;
                }
                self.memory = self.handler.memory();
            }
        }
        Ok(())
    }

    /// Sets an entry of the stream aside.
    async fn bury(&mut self, entry: &Entry, cause: Reason, why: &str, deliveries: u32) -> Result<(), StoreError> {
        let mut commit = self.handler.bury(&self.owned, self.moment, entry, cause, why, deliveries);
        self.owned.settle(&mut commit, &[entry.id]);
        self.owned.forget_deliveries(&mut commit, entry.id);
        self.owned.commit(commit).await?;
        warn!(entry.id = %entry.id, cause = %cause, "dead-lettered {}: {why}", entry.id);
        self.meter.dead_lettered();
        Ok(())
    }
}
