//! Normalised entries into the ledger: new minus old, by record, in one commit for a batch.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use event::{Direction, NormalisedEvent, Reason, Recount, State, Trace, TransactionId, TransactionLine, UserId};
use ledger::{Before, Buckets, Pair, Telling, difference};
use settings::Settings;
use store::{
    Applied, ArchiveWriter, Commit, Counting, DeadLetter, Entry, Open, Owned, RecordKey, Shelf, Stage, StoreError,
    Totals, pause,
    user::{RecountAsked, Recounted},
};
use telemetry::trace::{self, Context};
use worker::stream::{Delivery, Handled, Moment, Park, StreamHandler};

use crate::{
    recount::{self, Recounts},
    redrive,
};

/// Told of each event as soon as it is in the ledger: for benchmarks.
pub type Observer = Arc<dyn Fn(&NormalisedEvent) + Send + Sync>;

/// Applies normalised entries.
pub(crate) struct Applier {
    retention: Duration,
    buckets: Buckets,
    back_fill_days: u32,
    flush_after: Duration,
    observer: Option<Observer>,
}

/// What is remembered of a partition while it is ours.
pub(crate) struct Memory {
    applied: Shelf<Applied>,
    totals: Totals,
    recounts: Recounts,
    archive: ArchiveWriter,
    /// Whether nothing is done for a user now.
    paused: HashMap<UserId, bool>,
    revision: u64,
}

/// Most users remembered of one partition; then all are asked for again.
const USERS_MAX: usize = 20_000;

impl Memory {
    /// Makes sure that it is known whether the users of a batch are paused.
    async fn learn_pauses(
        &mut self,
        owned: &Owned,
        batch: impl Iterator<Item = &NormalisedEvent>,
    ) -> Result<(), StoreError> {
        if self.paused.len() > USERS_MAX {
            self.paused.clear();
        }
        let new: HashSet<&UserId> =
            batch.map(|event| &event.user).filter(|user| !self.paused.contains_key(*user)).collect();
        let new: Vec<UserId> = new.into_iter().cloned().collect();
        let waiting = owned.waiting(&new).await?;
        self.paused.extend(new.into_iter().zip(waiting));
        Ok(())
    }
}

impl Applier {
    pub(crate) fn new(settings: &Settings, observer: Option<Observer>) -> Self {
        Self {
            observer,
            retention: settings.retention,
            buckets: Buckets::new(settings.retention),
            back_fill_days: settings.backfill_days,
            flush_after: settings.flush_after,
        }
    }
}

#[async_trait::async_trait]
impl StreamHandler for Applier {
    type Item = NormalisedEvent;
    type Memory = Memory;

    fn memory(&self) -> Memory {
        Memory {
            applied: Shelf::applied(self.buckets),
            totals: Totals::new(self.back_fill_days),
            recounts: Recounts::default(),
            archive: ArchiveWriter::new(self.buckets, self.back_fill_days),
            paused: HashMap::new(),
            revision: 0,
        }
    }

    fn open(&self, entry: &Entry) -> Result<(String, NormalisedEvent), String> {
        let event: NormalisedEvent = event::decode(&entry.payload).map_err(|error| telemetry::chain(&error))?;
        Ok((event.user.to_string(), event))
    }

    async fn handle(
        &self,
        owned: &Owned,
        memory: &mut Memory,
        moment: Moment,
        deliveries: &[Delivery<NormalisedEvent>],
    ) -> Result<Handled, StoreError> {
        if memory.revision != moment.revision {
            // Whoever was removed since left no keys behind, and those made anew need their expiry.
            *memory = Memory { revision: moment.revision, ..self.memory() };
        }
        memory.learn_pauses(owned, deliveries.iter().map(|delivery| &delivery.item)).await?;
        let (waiting, deliveries): (Vec<&Delivery<_>>, Vec<&Delivery<_>>) =
            deliveries.iter().partition(|delivery| memory.paused[&delivery.item.user]);
        let keys: Vec<RecordKey> = deliveries.iter().map(|delivery| record_key(&delivery.item)).collect();
        let held = memory.applied.find(owned, moment.now_ms, &keys).await?;
        memory.recounts.learn(owned, moment.now_ms, deliveries.iter().map(|delivery| &delivery.item)).await?;
        memory.archive.begin(owned, moment.now_ms, deliveries.iter().map(|delivery| &delivery.item.user)).await?;
        let events = keys.iter().zip(&deliveries).map(|(key, delivery)| (key, &delivery.item));
        let unheld = events.filter(|(key, event)| event.replay_of.is_some() && !held.contains_key(*key));
        let put_back = unheld.map(|(_, event)| event).filter(|event| !recount::is_marker(event));
        let forgotten = redrive::forgotten(owned, moment.now_ms, self.retention, put_back).await?;
        let mut batch = Batch::new(self, owned, moment.now_ms);
        let mut newest: HashMap<&RecordKey, Applied> = HashMap::new();
        for (key, delivery) in keys.iter().zip(deliveries) {
            if recount::is_marker(&delivery.item) {
                batch.mark(&mut memory.recounts, &mut memory.archive, delivery);
                continue;
            }
            if forgotten.contains(&delivery.item.transaction) && !newest.contains_key(key) {
                batch.ask_for_recount(&delivery.item);
                continue;
            }
            let was = newest.get(key).or_else(|| held.get(key).map(|held| &held.value));
            let before = match newest.contains_key(key) {
                true => Before::Archived,
                false => before(&delivery.item, was, memory.recounts.of(&delivery.item)),
            };
            archive(&mut memory.archive, &delivery.item, memory.recounts.of(&delivery.item), &before);
            if let Some(applied) = batch.apply(&mut memory.totals, &mut memory.recounts, delivery, was) {
                newest.insert(key, applied);
            }
        }
        for (key, applied) in newest {
            memory.applied.put(&mut batch.commit, owned, moment.now_ms, key, held.get(key), &applied);
        }
        memory.archive.write(&mut batch.commit, owned);
        let lanes: BTreeSet<String> = waiting.iter().map(|delivery| delivery.item.user.to_string()).collect();
        // Resuming calls the lanes at once.
        let park = Park { class: "limited", delay: pause::LOOK_AGAIN_AFTER };
        Ok(Handled { commit: batch.into_commit(), parked: lanes.into_iter().map(|lane| (lane, park)).collect() })
    }

    fn committed(&self, batch: &[Delivery<NormalisedEvent>]) {
        if let Some(observe) = &self.observer {
            batch.iter().for_each(|delivery| observe(&delivery.item));
        }
    }

    fn bury(&self, owned: &Owned, moment: Moment, entry: &Entry, cause: Reason, why: &str, deliveries: u32) -> Commit {
        let event = event::decode::<NormalisedEvent>(&entry.payload).ok();
        let name = |pick: fn(&NormalisedEvent) -> String| event.as_ref().map_or_else(|| "unknown".to_owned(), pick);
        let here = TransactionId { partition: owned.partition(), entry: entry.id };
        let letter = DeadLetter {
            transaction: event.as_ref().map_or(here, |event| event.transaction),
            stage: Stage::Write.to_string(),
            user: name(|event| event.user.to_string()),
            source: name(|event| event.source.to_string()),
            external_id: name(|event| event.external_id.to_string()),
            cause,
            error: why.to_owned(),
            at_ms: moment.now_ms,
            deliveries,
            entry: entry.payload.clone(),
        };
        let mut batch = Batch::new(self, owned, moment.now_ms);
        owned.bury(&mut batch.commit, self.buckets, &letter);
        if let Some(event) = event {
            batch.note_replay(&event);
            batch.end(&event, State::Errored, cause, event.replay_of);
            batch.lines.last_mut().into_iter().for_each(|line| why.clone_into(&mut line.detail));
        }
        batch.into_commit()
    }
}

/// Where an entry is handled, for the request that will carry what it changed.
fn traced(delivery: &Delivery<NormalisedEvent>) -> Option<Trace> {
    let Context(context) = Context::of(&delivery.span)?;
    trace::transaction(&delivery.span, &delivery.item.transaction);
    Some(Trace { context, again: false })
}

fn record_key(event: &NormalisedEvent) -> RecordKey {
    RecordKey { user: event.user.clone(), source: event.source.clone(), external_id: event.external_id.clone() }
}

/// What of a record stands in the totals before an event, for the archive.
fn before(event: &NormalisedEvent, was: Option<&Applied>, recounted: &Recounted) -> Before {
    match (was, recounted.generations.last()) {
        (Some(was), _) => Before::Held { void_from: recounted.void_from(was.generation), telling: was.clone().into() },
        (None, Some(latest)) if event.recount == Some(Recount::Row) => Before::CountedBefore(latest.from),
        (None, _) => Before::Nothing,
    }
}

/// Every event is archived, whether it will count or not: a rebuild must be able to disagree.
fn archive(archive: &mut ArchiveWriter, event: &NormalisedEvent, recounted: &Recounted, before: &Before) {
    let telling = Telling {
        version: event.version,
        transaction: event.transaction,
        contributions: event.contributions.clone(),
        generation: recounted.latest(),
    };
    archive.told(&event.user, &event.source, &event.external_id, &telling, before);
}

/// What follows from a batch.
struct Batch<'a> {
    applier: &'a Applier,
    owned: &'a Owned,
    now_ms: u64,
    commit: Commit,
    counting: Counting,
    lines: Vec<TransactionLine>,
}

impl<'a> Batch<'a> {
    fn new(applier: &'a Applier, owned: &'a Owned, now_ms: u64) -> Self {
        Self { applier, owned, now_ms, commit: Commit::new(), counting: Counting::new(), lines: Vec::new() }
    }

    /// Adds what a version changes to the totals; `None` if a newer one is in them already.
    fn apply(
        &mut self,
        totals: &mut Totals,
        recounts: &mut Recounts,
        delivery: &Delivery<NormalisedEvent>,
        was: Option<&Applied>,
    ) -> Option<Applied> {
        let event = &delivery.item;
        self.note_replay(event);
        if let Some(newer) = was.filter(|was| (was.version, was.transaction) >= (event.version, event.transaction)) {
            self.end(event, State::Dropped, Reason::NewerKnown, Some(newer.transaction));
            return None;
        }
        let recounted = recounts.of(event);
        let generation = recounted.latest();
        let changes = difference(&recount::standing(was, recounted, event), &event.contributions);
        for change in &changes {
            recounts.follow(event, change);
            totals.add(&mut self.commit, self.owned, &event.user, &event.source, change);
        }
        if changes.is_empty() {
            let never_counted = was.is_none() && event.contributions.is_empty();
            let reason = if never_counted { Reason::NotCounted } else { Reason::NoChange };
            self.end(event, State::Completed, reason, None);
        } else {
            self.wait_for_exist(
                delivery,
                changes.into_iter().map(|change| Pair { attribute: change.attribute, day: change.day }).collect(),
            );
        }
        Some(Applied {
            version: event.version,
            transaction: event.transaction,
            contributions: event.contributions.clone(),
            generation,
        })
    }

    /// What an operator put back into this stream has no line yet that says what it is, and what it repeats.
    fn note_replay(&mut self, event: &NormalisedEvent) {
        if event.replay_of.is_some() {
            let mut line = self.line(event, State::Processing, Reason::Replayed, event.replay_of);
            line.contributions.clone_from(&event.contributions);
            self.lines.push(line);
        }
    }

    /// What the record added before is not known any more: only its source can tell.
    fn ask_for_recount(&mut self, event: &NormalisedEvent) {
        let why = format!("{} was put back after it was forgotten", event.external_id);
        self.owned.ask_for_recount(&mut self.commit, &event.user, &event.source, &RecountAsked { from: None, why });
        self.end(event, State::Dropped, Reason::Recounted, event.replay_of);
        if let Some(line) = self.lines.last_mut() {
            line.detail = "what it added before is not known any more; the source is counted anew".to_owned();
        }
    }

    /// A recount begins or ends.
    fn mark(&mut self, recounts: &mut Recounts, archive: &mut ArchiveWriter, delivery: &Delivery<NormalisedEvent>) {
        let event = &delivery.item;
        let detail = match event.recount {
            Some(Recount::Begun { from }) => {
                let latest = recounts.of(event).latest();
                let detail = recounts.begin(&mut self.commit, self.owned, event, from);
                let begun = recounts.of(event).latest();
                if begun > latest {
                    archive.recount_begun(&event.user, &event.source, begun, from);
                }
                detail
            }
            _ => recounts.end(&mut self.commit, self.owned, event),
        };
        self.note_replay(event);
        self.end(event, State::Completed, Reason::Recounted, None);
        if let Some(line) = self.lines.last_mut() {
            line.detail = detail;
        }
    }

    /// The transaction stays open until Exist holds every pair that it changed.
    fn wait_for_exist(&mut self, delivery: &Delivery<NormalisedEvent>, pairs: Vec<Pair>) {
        let event = &delivery.item;
        for pair in &pairs {
            self.owned.note_changed(&mut self.commit, &event.user, pair, delivery.id);
        }
        let open = Open {
            source: event.source.clone(),
            external_id: event.external_id.clone(),
            version: event.version,
            read_at_ms: event.read_at_ms,
            state: State::Processing,
            entry: delivery.id,
            pairs,
            trace: traced(delivery),
        };
        self.owned.keep_open(&mut self.commit, &event.user, event.transaction, &open);
        let due = self.owned.keys.due(self.owned.partition());
        self.commit.due_at_the_latest(&due, event.user.as_str(), self.applier.flush_after);
    }

    /// The transaction ends here.
    fn end(&mut self, event: &NormalisedEvent, state: State, reason: Reason, cause: Option<TransactionId>) {
        self.counting.left(&event.source, State::Processing);
        self.counting.entered(&event.source, state);
        self.lines.push(self.line(event, state, reason, cause));
    }

    fn line(
        &self,
        event: &NormalisedEvent,
        state: State,
        reason: Reason,
        cause: Option<TransactionId>,
    ) -> TransactionLine {
        TransactionLine {
            id: event.transaction,
            direction: Direction::Inbound,
            user: event.user.clone(),
            source: event.source.clone(),
            external_id: event.external_id.clone(),
            version: event.version,
            state,
            reason,
            cause,
            read_at_ms: event.read_at_ms,
            at_ms: i64::try_from(self.now_ms).unwrap_or(0),
            contributions: Vec::new(),
            detail: String::new(),
        }
    }

    fn into_commit(mut self) -> Commit {
        self.owned.write_audit(&mut self.commit, self.now_ms, self.applier.retention, self.lines, Vec::new());
        self.counting.write(&mut self.commit, self.owned);
        self.commit
    }
}
