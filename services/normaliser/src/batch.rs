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
use telemetry::{counter, trace};
use worker::stream::{Delivery, Moment};

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
    /// The revision of the documents that decide.
    revision: u64,
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
    /// Its source could not read it when it was told, and is to look at it anew.
    ReadAgain,
    Malformed(String),
}

impl<'a> Batch<'a> {
    pub(crate) fn new(owned: &'a Owned, rules: Rules, moment: Moment) -> Self {
        let Moment { now_ms, revision } = moment;
        let (commit, counting) = (Commit::new(), Counting::new());
        Self { owned, rules, now_ms, revision, commit, counting, lines: Vec::new(), appended: 0 }
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
                return deliveries.iter().for_each(|delivery| self.hold(delivery, None));
            }
            (Some(Connection::Paused(why)), _) if person.exists => {
                return deliveries.iter().for_each(|delivery| self.hold(delivery, Some(why)));
            }
            _ => {
                let gone =
                    |delivery: &&Delivery<RawEvent>| self.end(delivery, State::Dropped, Reason::Disconnected, None);
                return deliveries.iter().for_each(gone);
            }
        };
        // What an operator put back has the place of what it repeats: it is no later edit of the same version.
        let mut deliveries = deliveries.to_vec();
        deliveries.sort_by_key(|delivery| self.place(delivery));
        if let Some(held) = held {
            let is_older = |delivery: &&Delivery<RawEvent>| self.is_older_edit(delivery, &held.value);
            let (older, news): (Vec<_>, Vec<_>) = deliveries.into_iter().partition(is_older);
            let cause = Some(held.value.transaction);
            older.iter().for_each(|delivery| self.end(delivery, State::Dropped, Reason::NewerKnown, cause));
            deliveries = news;
        }
        let arriving: Vec<Known> = deliveries.iter().map(|delivery| self.version(delivery)).collect();
        // It is judged anew, not called a duplicate of itself.
        let put_back = |known: &Known| {
            let repeats = |again: &&Delivery<RawEvent>| {
                let same = (again.item.version, again.item.content) == (known.version, known.content);
                again.item.replay_of.is_some_and(|old| old == known.transaction || same)
            };
            deliveries.iter().any(repeats)
        };
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
                        outcome @ (Outcome::Malformed(_) | Outcome::ReadAgain) => outcome,
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
        Known { version: event.version, content: event.content, transaction: self.place(delivery) }
    }

    /// Where a transaction stands in the order of delivery.
    fn place(&self, delivery: &Delivery<RawEvent>) -> TransactionId {
        delivery.item.replay_of.unwrap_or_else(|| self.transaction(delivery.id))
    }

    /// Whether what was put back was delivered before the edit that is held, in the same tick of the source's
    /// clock.
    fn is_older_edit(&self, delivery: &Delivery<RawEvent>, held: &Known) -> bool {
        let event = &delivery.item;
        let is_edit = event.version == held.version && event.content != held.content;
        is_edit && event.replay_of.is_some_and(|old| old < held.transaction)
    }

    fn transaction(&self, entry: EntryId) -> TransactionId {
        TransactionId { partition: self.owned.partition(), entry }
    }

    /// What an accepted version adds.
    fn outcome(&self, event: &RawEvent, mapping: &dyn Mapping, zones: &Zones, was_held: bool) -> Outcome {
        match event.kind {
            RecordKind::Malformed if event.origin == Origin::Redrive => return Outcome::ReadAgain,
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
        let seen_before = event.seen_before || self.may_be_forgotten_since(person, event);
        is_news && seen_before && !person.is_in_recount(&event.source, event.read_at_ms)
    }

    /// Whether nothing could be forgotten when the record was read, and something can be now: that it was put
    /// back so late does not make it new.
    fn may_be_forgotten_since(&self, person: &Person, event: &RawEvent) -> bool {
        let retention_ms = u64::try_from(self.rules.retention.as_millis()).unwrap_or(u64::MAX);
        let read_at_ms = u64::try_from(event.read_at_ms).unwrap_or(0);
        event.origin == Origin::Redrive
            && person.first_read_ms(&event.source).is_some_and(|first_ms| {
                let after = |ms: u64| ms.saturating_sub(first_ms) >= retention_ms;
                after(self.now_ms) && !after(read_at_ms)
            })
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
            Outcome::Forgotten => {
                let why = format!("{} changed after it was forgotten", delivery.item.external_id);
                let detail = "its former days are not known any more; the source is counted anew";
                self.ask_for_recount(delivery, why, detail);
            }
            Outcome::ReadAgain => {
                let why = format!("{} could not be read, and was put back", delivery.item.external_id);
                let detail = "the source is counted anew: it tells the record again, or what is wrong with it";
                self.ask_for_recount(delivery, why, detail);
            }
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
            replay_of: None,
        };
        let stream = self.owned.keys.normalised(self.owned.partition());
        let trace = self.owned.trace_on(&mut self.commit, &delivery.span, Stage::Write);
        self.commit.append(&stream, &event::encode_traced(&normalised, trace));
        self.appended += 1;
        let mut line = self.line(delivery, State::Processing, Reason::Accepted, event.replay_of);
        line.contributions = normalised.contributions;
        self.count(&event.source, State::Processing);
        self.lines.push(line);
        let appended = counter!(ENTRIES_APPENDED, stage = Stage::Normalise.as_str(), source = event.source.to_string());
        self.commit.tally(appended, 1);
    }

    /// The transaction ends here.
    fn end(&mut self, delivery: &Delivery<RawEvent>, state: State, reason: Reason, cause: Option<TransactionId>) {
        let replay_of = delivery.item.replay_of;
        if replay_of.is_some() && cause.is_some() {
            // Its last line names what it lost against: another one names what it repeats.
            self.lines.push(self.line(delivery, State::Queued, Reason::Replayed, replay_of));
        }
        let line = self.line(delivery, state, reason, cause.or(replay_of));
        self.count(&delivery.item.source, state);
        self.lines.push(line);
    }

    /// What the record comes to is not known: only its source can tell.
    fn ask_for_recount(&mut self, delivery: &Delivery<RawEvent>, why: String, detail: &str) {
        let event = &delivery.item;
        self.owned.ask_for_recount(&mut self.commit, &event.user, &event.source, &RecountAsked { from: None, why });
        let mut line = self.line(delivery, State::Dropped, Reason::Recounted, event.replay_of);
        line.detail = detail.to_owned();
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
        trace::failed(&delivery.span, Reason::Malformed.as_str());
        let mut line = self.line(delivery, State::Errored, Reason::Malformed, event.replay_of);
        line.detail = problem;
        self.count(&event.source, State::Errored);
        self.lines.push(line);
    }

    /// Keeps the entry until the connection returns: for the retention time where it is off, as long as it takes
    /// where it is paused.
    fn hold(&mut self, delivery: &Delivery<RawEvent>, paused: Option<&str>) {
        let event = &delivery.item;
        let retention_ms = u64::try_from(self.rules.retention.as_millis()).unwrap_or(u64::MAX / 4);
        let expires_at_ms = paused.is_none().then(|| self.now_ms + retention_ms);
        let reason = if paused.is_some() { Reason::Paused } else { Reason::ConnectionOff };
        self.end(delivery, State::Disabled, reason, None);
        if let (Some(why), Some(line)) = (paused, self.lines.last_mut()) {
            line.detail = why.to_owned();
        }
        let (user, source) = (&event.user, &event.source);
        self.owned.withhold(&mut self.commit, user, source, &delivery.payload, expires_at_ms, self.revision);
    }

    fn count(&mut self, source: &SourceName, state: State) {
        self.counting.entered(source, state);
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
