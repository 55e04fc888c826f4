//! Entries of the raw stream in, one commit out.

use std::{sync::Arc, time::Duration};

use event::{
    Direction, ExternalId, RawEvent, Reason, RecordKind, SourceName, State, TransactionId, TransactionLine, UserId,
    Version,
};
use ledger::{Buckets, Known};
use settings::Settings;
use source::Sources;
use store::{Commit, Counting, DeadLetter, Entry, Owned, RecordKey, Shelf, Stage, StoreError, pause};
use worker::stream::{Delivery, Handled, Moment, Park, StreamHandler};

use crate::{
    batch::{Batch, Rules},
    people::People,
};

/// How long a user's records wait before we look again whether Exist has told the zone.
const ZONE_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Normalises raw entries.
pub(crate) struct Normaliser {
    sources: Arc<Sources>,
    rules: Rules,
}

/// What is remembered of a partition while it is ours.
pub(crate) struct Memory {
    people: People,
    records: Shelf<Known>,
}

impl Normaliser {
    pub(crate) fn new(settings: &Settings, sources: Arc<Sources>) -> Self {
        let rules = Rules {
            retention: settings.retention,
            back_fill_days: settings.backfill_days,
            buckets: Buckets::new(settings.retention),
        };
        Self { sources, rules }
    }
}

#[async_trait::async_trait]
impl StreamHandler for Normaliser {
    type Item = RawEvent;
    type Memory = Memory;

    fn memory(&self) -> Memory {
        Memory { people: People::default(), records: Shelf::records(self.rules.buckets) }
    }

    /// Users take turns, so that one user's flood does not keep another's record waiting.
    fn open(&self, entry: &Entry) -> Result<(String, RawEvent), String> {
        let event: RawEvent = event::decode(&entry.payload).map_err(|error| telemetry::chain(&error))?;
        Ok((event.user.to_string(), event))
    }

    async fn handle(
        &self,
        owned: &Owned,
        memory: &mut Memory,
        moment: Moment,
        deliveries: &[Delivery<RawEvent>],
    ) -> Result<Handled, StoreError> {
        let Memory { people, records } = memory;
        let users = deliveries.iter().map(|delivery| &delivery.item.user);
        if people.meet(owned, &self.sources, moment.revision, users).await? {
            records.look_again();
        }

        let (waiting, ready): (Vec<_>, Vec<_>) = deliveries.iter().partition(|delivery| {
            let person = people.get(&delivery.item.user);
            person.exists && (person.is_paused || person.zones.is_none())
        });
        let mut parked: Vec<(String, Park)> = Vec::new();
        for delivery in waiting {
            let user = &delivery.item.user;
            if !parked.iter().any(|(already, _)| already == user.as_str()) {
                // Resuming calls the lane at once.
                let delay = if people.get(user).is_paused { pause::LOOK_AGAIN_AFTER } else { ZONE_AGAIN_AFTER };
                parked.push((user.to_string(), Park { class: "limited", delay }));
            }
        }

        let keys: Vec<RecordKey> = ready.iter().map(|delivery| record_key(&delivery.item)).collect();
        let held = records.find(owned, moment.now_ms, &keys).await?;
        let mut batch = Batch::new(owned, self.rules, moment);
        for (key, deliveries) in in_order_by_record(&keys, &ready) {
            let person = people.get(&key.user);
            batch.judge(&person, records, key, held.get(key), &deliveries);
        }
        Ok(Handled { commit: batch.into_commit(), parked })
    }

    fn bury(&self, owned: &Owned, moment: Moment, entry: &Entry, cause: Reason, why: &str, deliveries: u32) -> Commit {
        let transaction = TransactionId { partition: owned.partition(), entry: entry.id };
        let event = event::decode::<RawEvent>(&entry.payload).ok();
        let name = |pick: fn(&RawEvent) -> String| event.as_ref().map_or_else(|| "unknown".to_owned(), pick);
        let letter = DeadLetter {
            transaction,
            stage: Stage::Normalise.to_string(),
            user: name(|event| event.user.to_string()),
            source: name(|event| event.source.to_string()),
            external_id: name(|event| event.external_id.to_string()),
            cause,
            error: why.to_owned(),
            at_ms: moment.now_ms,
            deliveries,
            entry: entry.payload.clone(),
        };
        let mut commit = Commit::new();
        owned.bury(&mut commit, self.rules.buckets, &letter);
        let mut counting = Counting::new();
        counting.buried(&letter);
        counting.write(&mut commit, owned);
        let line = buried_line(&letter, event.as_ref());
        owned.write_audit(&mut commit, moment.now_ms, self.rules.retention, line.into_iter().collect(), Vec::new());
        commit
    }
}

/// The audit's line of an entry that was set aside before it could be judged.
fn buried_line(letter: &DeadLetter, event: Option<&RawEvent>) -> Option<TransactionLine> {
    Some(TransactionLine {
        id: letter.transaction,
        direction: Direction::Inbound,
        user: UserId::try_new(&letter.user).ok()?,
        source: SourceName::try_new(&letter.source).ok()?,
        external_id: ExternalId::try_new(&letter.external_id).ok()?,
        version: event.map_or(Version(0), |event| event.version),
        state: State::Errored,
        reason: letter.cause,
        cause: event.and_then(|event| event.replay_of),
        read_at_ms: event.map_or(0, |event| event.read_at_ms),
        at_ms: i64::try_from(letter.at_ms).unwrap_or(0),
        contributions: Vec::new(),
        detail: letter.error.clone(),
    })
}

/// What a version is compared with. A row that cannot be read has no version to compare, so it is known
/// by what it says: reading it again is a duplicate, and the record's good versions stay untouched.
fn record_key(event: &RawEvent) -> RecordKey {
    let external_id = match event.kind {
        RecordKind::Malformed => ExternalId::try_new(&format!("malformed:{:016x}", event.content.0))
            .expect("letters, a colon and hexadecimal digits"),
        _ => event.external_id.clone(),
    };
    RecordKey { user: event.user.clone(), source: event.source.clone(), external_id }
}

/// The deliveries of each record, in their order; records in the order of their first delivery.
fn in_order_by_record<'a>(
    keys: &'a [RecordKey],
    deliveries: &[&'a Delivery<RawEvent>],
) -> Vec<(&'a RecordKey, Vec<&'a Delivery<RawEvent>>)> {
    let mut places = std::collections::HashMap::new();
    let mut by_record: Vec<(&RecordKey, Vec<&Delivery<RawEvent>>)> = Vec::new();
    for (key, delivery) in keys.iter().zip(deliveries) {
        let place = *places.entry(key).or_insert_with(|| {
            by_record.push((key, Vec::new()));
            by_record.len() - 1
        });
        by_record[place].1.push(delivery);
    }
    by_record
}
