//! A batch judged and counted: everything that follows from it, collected into one commit.

use std::time::Duration;

use event::{
    Contribution, Day, Direction, EntryId, NormalisedEvent, Origin, RawEvent, Reason, RecordKind, Recount, SourceName,
    State, TransactionId, TransactionLine, merge,
};
use jiff::{Timestamp, tz::TimeZone};
use ledger::{Buckets, Known, Verdict, judge};
use source::{Counted, Mapping, Zones};
use store::{Commit, Counting, DeadLetter, Held, Owned, RecordKey, Shelf, Stage, user::RecountAsked};
use telemetry::counter;
use worker::stream::Delivery;

use crate::people::{Connection, Person};

/// Largest amount one record may add, in base units: beyond it a sum of many could leave 64 bits.
const AMOUNT_MAX: i64 = 1_000_000_000_000;

/// What decides how long things are kept.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    pub(crate) retention: Duration,
    pub(crate) back_fill_days: u32,
    pub(crate) buckets: Buckets,
}

/// What follows from a batch.
pub(crate) struct Batch<'a> {
    owned: &'a Owned,
    rules: Rules,
    now_ms: u64,
    commit: Commit,
    counting: Counting,
    lines: Vec<TransactionLine>,
    appended: usize,
}

/// What an accepted version comes to.
enum Outcome {
    Counts(Vec<Contribution>),
    CountsNothing,
    TooOld,
    /// The record was forgotten, and with it the days that it counted on.
    Forgotten,
    Malformed(String),
}

impl<'a> Batch<'a> {
    pub(crate) fn new(owned: &'a Owned, rules: Rules, now_ms: u64) -> Self {
        let (commit, counting) = (Commit::new(), Counting::new());
        Self { owned, rules, now_ms, commit, counting, lines: Vec::new(), appended: 0 }
    }

    /// Judges the waiting versions of one record, and writes down what follows for each.
    pub(crate) fn judge(
        &mut self,
        person: &Person,
        records: &mut Shelf<Known>,
        key: &RecordKey,
        held: Option<&Held<Known>>,
        deliveries: &[&Delivery<RawEvent>],
    ) {
        let (mapping, zones) = match (person.connection(&key.source), &person.zones) {
            (Some(Connection::On(mapping)), Some(zones)) if person.exists => (mapping, zones),
            (Some(Connection::Off), _) if person.exists => {
                return deliveries.iter().for_each(|delivery| self.hold(delivery));
            }
            _ => {
                let gone =
                    |delivery: &&Delivery<RawEvent>| self.end(delivery, State::Dropped, Reason::Disconnected, None);
                return deliveries.iter().for_each(gone);
            }
        };
        let arriving: Vec<Known> = deliveries.iter().map(|delivery| self.version(delivery)).collect();
        // What an operator put back is judged anew, not called a duplicate of itself.
        let put_back = |known: &Known| deliveries.iter().any(|again| again.item.replay_of == Some(known.transaction));
        // What a recount brings stands in no total any more, however well its version is known.
        let told_anew = |known: &Known| {
            let is_recount = |delivery: &&Delivery<RawEvent>| delivery.item.origin == Origin::Recount;
            deliveries.iter().any(|again| is_recount(again) && again.item.version >= known.version)
        };
        let known = held.map(|held| held.value).filter(|known| !put_back(known) && !told_anew(known));
        let verdicts = judge(known, &arriving);
        for ((delivery, version), verdict) in deliveries.iter().zip(arriving).zip(verdicts) {
            match verdict {
                Verdict::Duplicate { of } => self.end(delivery, State::Duplicate, Reason::SameVersion, Some(of)),
                Verdict::Dropped { newer } => self.end(delivery, State::Dropped, Reason::NewerKnown, Some(newer)),
                Verdict::Canceled { by } => self.end(delivery, State::Canceled, Reason::Superseded, Some(by)),
                Verdict::Accepted => {
                    records.put(&mut self.commit, self.owned, self.now_ms, key, held, &version);
                    let event = &delivery.item;
                    let may_be_forgotten = held.is_none() && self.may_be_forgotten(person, event);
                    let outcome = match self.outcome(event, mapping.as_ref(), zones, held.is_some()) {
                        Outcome::Malformed(problem) => Outcome::Malformed(problem),
                        _ if may_be_forgotten => Outcome::Forgotten,
                        outcome => outcome,
                    };
                    self.accept(delivery, outcome);
                }
            }
        }
    }

    fn version(&self, delivery: &Delivery<RawEvent>) -> Known {
        let event = &delivery.item;
        Known { version: event.version, content: event.content, transaction: self.transaction(delivery.id) }
    }

    fn transaction(&self, entry: EntryId) -> TransactionId {
        TransactionId { partition: self.owned.partition(), entry }
    }

    /// What an accepted version adds.
    fn outcome(&self, event: &RawEvent, mapping: &dyn Mapping, zones: &Zones, was_held: bool) -> Outcome {
        match event.kind {
            RecordKind::Malformed => return Outcome::Malformed(event.problem.clone()),
            RecordKind::Deleted if was_held => return Outcome::Counts(Vec::new()),
            RecordKind::Deleted => return Outcome::CountsNothing,
            RecordKind::RecountBegun | RecordKind::RecountEnded => return Outcome::Counts(Vec::new()),
            RecordKind::Present => {}
        }
        let is_window = matches!(event.origin, Origin::BackFill | Origin::Recount);
        let adds = match mapping.count(&event.payload, zones) {
            Ok(Counted::Adds(adds)) => merge(adds),
            Ok(Counted::NotYet) => Vec::new(),
            Err(malformed) => return Outcome::Malformed(malformed.0),
        };
        if let Some(huge) = adds.iter().find(|contribution| contribution.amount.abs() > AMOUNT_MAX) {
            return Outcome::Malformed(format!(
                "{}: record {} adds {} to {}, more than {AMOUNT_MAX}",
                event.source, event.external_id, huge.amount, huge.attribute
            ));
        }
        let counted = !adds.is_empty();
        let first_day = self.first_day(zones.latest());
        let adds: Vec<Contribution> = adds.into_iter().filter(|contribution| contribution.day >= first_day).collect();
        match (adds.is_empty(), was_held) {
            (true, false) if counted && !is_window => Outcome::TooOld,
            // A window that is read again takes back what a record added before.
            (true, false) if !is_window => Outcome::CountsNothing,
            _ => Outcome::Counts(adds),
        }
    }

    /// Whether we may have counted the record, and forgotten on which days. A recount that began after this
    /// was read knows better.
    fn may_be_forgotten(&self, person: &Person, event: &RawEvent) -> bool {
        let is_news = matches!(event.origin, Origin::Poll | Origin::Webhook | Origin::Redrive);
        is_news && event.seen_before && !person.is_in_recount(&event.source, event.read_at_ms)
    }

    /// The first day that was read whole. What is known of earlier ones is not all there is, so a total of
    /// theirs would be wrong. A day of grace is for records that waited over midnight.
    fn first_day(&self, zone: &TimeZone) -> Day {
        let window = i32::try_from(self.rules.back_fill_days).unwrap_or(0);
        Day::at(self.now(), zone).plus(-window - 1)
    }

    fn now(&self) -> Timestamp {
        let now = i64::try_from(self.now_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        now.unwrap_or(Timestamp::UNIX_EPOCH)
    }

    fn accept(&mut self, delivery: &Delivery<RawEvent>, outcome: Outcome) {
        match outcome {
            Outcome::Counts(contributions) => self.pass_on(delivery, contributions),
            Outcome::CountsNothing => self.end(delivery, State::Completed, Reason::NotCounted, None),
            Outcome::TooOld => self.end(delivery, State::Dropped, Reason::TooOld, None),
            Outcome::Forgotten => self.ask_for_recount(delivery),
            Outcome::Malformed(problem) => self.bury(delivery, problem),
        }
    }

    /// Appends what the version adds to the normalised stream.
    fn pass_on(&mut self, delivery: &Delivery<RawEvent>, contributions: Vec<Contribution>) {
        let event = &delivery.item;
        let normalised = NormalisedEvent {
            transaction: self.transaction(delivery.id),
            user: event.user.clone(),
            source: event.source.clone(),
            external_id: event.external_id.clone(),
            version: event.version,
            content: event.content,
            read_at_ms: event.read_at_ms,
            contributions,
            recount: recount(event),
        };
        let stream = self.owned.keys.normalised(self.owned.partition());
        self.commit.append(&stream, &event::encode(&normalised));
        self.appended += 1;
        let mut line = self.line(delivery, State::Processing, Reason::Accepted, event.replay_of);
        line.contributions = normalised.contributions;
        self.count(&event.source, State::Processing);
        self.lines.push(line);
        counter!(ENTRIES_APPENDED, stage = Stage::Normalise.as_str(), source = event.source.to_string()).increment(1);
    }

    /// The transaction ends here.
    fn end(&mut self, delivery: &Delivery<RawEvent>, state: State, reason: Reason, cause: Option<TransactionId>) {
        let line = self.line(delivery, state, reason, cause);
        self.count(&delivery.item.source, state);
        self.lines.push(line);
    }

    /// The record's former days are not known: only its source can tell them all.
    fn ask_for_recount(&mut self, delivery: &Delivery<RawEvent>) {
        let event = &delivery.item;
        let why = format!("{} changed after it was forgotten", event.external_id);
        self.owned.ask_for_recount(&mut self.commit, &event.user, &event.source, &RecountAsked { from: None, why });
        let mut line = self.line(delivery, State::Dropped, Reason::Recounted, None);
        line.detail = "its former days are not known any more; the source is counted anew".to_owned();
        self.count(&event.source, State::Dropped);
        self.lines.push(line);
    }

    /// Sets a record aside that its source cannot read.
    fn bury(&mut self, delivery: &Delivery<RawEvent>, problem: String) {
        let event = &delivery.item;
        let letter = DeadLetter {
            transaction: self.transaction(delivery.id),
            stage: Stage::Normalise.to_string(),
            user: event.user.to_string(),
            source: event.source.to_string(),
            external_id: event.external_id.to_string(),
            cause: Reason::Malformed,
            error: problem.clone(),
            at_ms: self.now_ms,
            deliveries: 1,
            entry: delivery.payload.clone(),
        };
        self.owned.bury(&mut self.commit, self.rules.buckets, &letter);
        let mut line = self.line(delivery, State::Errored, Reason::Malformed, event.replay_of);
        line.detail = problem;
        self.count(&event.source, State::Errored);
        self.lines.push(line);
        count_dead_letter(Reason::Malformed);
    }

    /// Keeps the entry until the connection returns, or the retention time is over.
    fn hold(&mut self, delivery: &Delivery<RawEvent>) {
        let event = &delivery.item;
        let list = self.owned.keys.held(self.owned.partition(), &event.user, &event.source);
        self.commit.push(&list, &delivery.payload);
        let retention_ms = u64::try_from(self.rules.retention.as_millis()).unwrap_or(u64::MAX / 4);
        self.commit.expire_at(&list, self.now_ms + retention_ms);
        self.end(delivery, State::Disabled, Reason::ConnectionOff, None);
    }

    fn count(&mut self, source: &SourceName, state: State) {
        self.counting.entered(source, state);
        counter!(TRANSACTIONS_COUNTED, source = source.to_string(), state = state.as_str()).increment(1);
    }

    fn line(
        &self,
        delivery: &Delivery<RawEvent>,
        state: State,
        reason: Reason,
        cause: Option<TransactionId>,
    ) -> TransactionLine {
        let event = &delivery.item;
        TransactionLine {
            id: self.transaction(delivery.id),
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

    pub(crate) fn into_commit(mut self) -> Commit {
        if self.appended > 0 {
            self.owned.ring(&mut self.commit, Stage::Write, self.appended);
        }
        self.owned.write_audit(&mut self.commit, self.now_ms, self.rules.retention, self.lines, Vec::new());
        self.counting.write(&mut self.commit, self.owned);
        self.commit
    }
}

/// What an event means to a recount of its source.
fn recount(event: &RawEvent) -> Option<Recount> {
    match (event.kind, event.origin) {
        (RecordKind::RecountBegun, _) => {
            Some(Recount::Begun { from: Day::from_number(event.payload.parse().unwrap_or(i32::MAX)) })
        }
        (RecordKind::RecountEnded, _) => Some(Recount::Ended),
        (_, Origin::Recount) => Some(Recount::Row),
        _ => None,
    }
}

/// Counts a dead letter under its class.
pub(crate) fn count_dead_letter(cause: Reason) {
    let class = if cause == Reason::Poison { "poison" } else { "permanent" };
    counter!(DEAD_LETTERED, stage = Stage::Normalise.as_str(), cause = class).increment(1);
}
