//! Is what we left in Exist still there: read back a while after it was written, and when an operator asks.

use std::{collections::BTreeSet, time::Duration};

use event::{Day, Reason, State};
use jiff::tz::TimeZone;
use ledger::{Held, How, Mode, Pair, Planned};
use store::{
    Commit, Confirmed, PairState, StoreError, Totals,
    user::{AttributeState, AuditAsked, Audited, Difference, document, field},
};
use telemetry::counter;
use tracing::info;

use super::turn::Turn;
use crate::next::millis;

/// Most differences that an audit names.
const DIFFERENCES_MAX: usize = 1000;

impl Turn<'_> {
    /// Reads values back some time after they were written, and again when their day is over.
    pub(super) async fn check(&self, pairs: &BTreeSet<Pair>) -> Result<(), StoreError> {
        let readable = pairs.iter().filter(|pair| self.is_owned(pair)).cloned().collect();
        let Some(reading) = self.read(&readable).await? else { return Ok(()) };
        let mut waiting = self.owned.checks(self.user).await?;
        let mut commit = Commit::new();
        let mut found = Found::default();
        for state in self.states_of(pairs).await? {
            waiting.remove(&state.pair);
            let again = self.is_over_at_ms(state.pair.day).filter(|over_ms| self.now_ms < *over_ms);
            match again {
                Some(over_ms) => {
                    let at_ms = over_ms + millis(self.sender.settings.reconcile_after);
                    self.owned.check_at(&mut commit, self.user, self.sending, &state.pair, at_ms);
                    waiting.insert(state.pair.clone(), at_ms);
                }
                None => self.owned.checked(&mut commit, self.user, &state.pair),
            }
            let value = reading.value(&state.pair);
            let Some((confirmed, value)) = state.confirmed.as_ref().zip(value) else { continue };
            if let Some(difference) = self.difference(&state, &confirmed.held, value) {
                let is_total = difference.mode == Mode::Total;
                let held =
                    if is_total { Held { value: Some(value), ..confirmed.held } } else { confirmed.held.found(value) };
                found.put(self, &mut commit, &state.pair, held, Difference { repaired: is_total, ..difference });
            } else if confirmed.held.doubt.is_some() {
                // What was given up has not turned up in all this time.
                let held = Held { doubt: None, ..confirmed.held };
                let sure = Confirmed { held, request: confirmed.request };
                found.totals(self).confirm(&mut commit, self.owned, self.user, &state.pair, &sure);
            }
        }
        self.owned.next_check(&mut commit, self.user, waiting.values().min().copied());
        self.finish(commit, found).await
    }

    /// Reads back everything we have left in Exist on the days that can still change.
    pub(super) async fn audit(&self, asked: &AuditAsked) -> Result<(), StoreError> {
        let pairs = self.owned_pairs().await?;
        let Some(reading) = self.read(&pairs).await? else { return Ok(()) };
        let mut commit = Commit::new();
        let mut found = Found::default();
        let (mut compared, mut unreadable) = (0, BTreeSet::new());
        for state in self.states_of(&pairs).await? {
            let Some(confirmed) = &state.confirmed else { continue };
            let Some(value) = reading.value(&state.pair) else {
                unreadable.insert(state.pair.attribute.clone());
                continue;
            };
            compared += 1;
            let Some(difference) = self.difference(&state, &confirmed.held, value) else { continue };
            if asked.repair {
                let held = repaired(confirmed.held, value);
                found.put(self, &mut commit, &state.pair, held, Difference { repaired: true, ..difference });
            } else {
                found.differences.push(difference);
            }
        }
        let audited = Audited {
            asked_ms: asked.asked_ms,
            compared,
            differences: found.differences.iter().take(DIFFERENCES_MAX).cloned().collect(),
            unreadable: unreadable.into_iter().collect(),
        };
        let hash = self.owned.keys.user(self.owned.partition(), self.user);
        commit.set(&hash, field::AUDITED, document(&audited).as_bytes());
        commit.clear(&hash, field::AUDIT_ASKED, &document(asked));
        self.finish(commit, found).await
    }

    async fn finish(&self, mut commit: Commit, found: Found) -> Result<(), StoreError> {
        let request = found.request(self);
        let mut lines = Vec::new();
        for difference in &found.differences {
            counter!(DRIFT, repair = if difference.repaired { "repaired" } else { "shown" }).increment(1);
            let pair = Pair { attribute: difference.attribute.clone(), day: difference.day };
            let left = difference.left.map_or_else(|| "nobody knows what".to_owned(), |left| left.to_string());
            let said = format!("we had left {left}, Exist holds {}", difference.found);
            info!("{pair}: {said}");
            let planned = Planned::of(&pair, difference.found);
            lines.push(self.value_line(request, How::Total, &planned, State::Completed, Reason::Drift, &said));
        }
        self.owned.write_audit(&mut commit, self.now_ms, self.sender.settings.retention, lines, Vec::new());
        self.owned.note_success(&mut commit, self.user);
        self.owned.rest(&mut commit, self.user, Duration::ZERO);
        self.owned.commit(commit).await.map(drop)
    }

    /// What of a pair is not as we had left it; a value that is being written is nobody's drift.
    fn difference(&self, state: &PairState, held: &Held, value: event::Decimal) -> Option<Difference> {
        let is_there = held.value.is_some_and(|left| left.is_same(value));
        let is_on_its_way = held.value.is_none() || (state.changed_by.is_some() && !held.is_undecided());
        if is_on_its_way || (is_there && !held.is_undecided()) {
            return None;
        }
        Some(Difference {
            attribute: state.pair.attribute.clone(),
            day: state.pair.day,
            left: held.value.filter(|_| !held.is_undecided()),
            found: value,
            mode: self.mode(&state.pair.attribute),
            repaired: false,
        })
    }

    async fn states_of(&self, pairs: &BTreeSet<Pair>) -> Result<Vec<PairState>, StoreError> {
        let changed = self.owned.changed_pairs(self.user).await?;
        self.owned.pair_states(self.user, pairs.iter().cloned(), &changed).await
    }

    /// The pairs of attributes that are ours, on the days that can still change.
    pub(super) async fn owned_pairs(&self) -> Result<BTreeSet<Pair>, StoreError> {
        let today = crate::next::today(self.now_ms, &self.zone());
        let window = i32::try_from(self.sender.settings.backfill_days).unwrap_or(0);
        let mut pairs = self.owned.confirmed_pairs(self.user, today.plus(-window - 1), today.plus(2)).await?;
        pairs.retain(|pair| self.is_owned(pair));
        Ok(pairs)
    }

    fn is_owned(&self, pair: &Pair) -> bool {
        let state = self.documents.attribute_states.get(&pair.attribute);
        let is_fed = self.documents.attributes.contains_key(&pair.attribute);
        is_fed && matches!(state, Some(AttributeState::Owned { .. }))
    }

    /// When a day is over where the user lives, in Redis' milliseconds.
    fn is_over_at_ms(&self, day: Day) -> Option<u64> {
        u64::try_from(day.next().start(&self.zone()).as_millisecond()).ok()
    }

    /// The zone that decides the user's days now.
    pub(super) fn zone(&self) -> TimeZone {
        self.documents.zone_name().and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC)
    }
}

/// What is known of a pair so that the next plan brings it back to what others added plus our sum.
fn repaired(held: Held, value: event::Decimal) -> Held {
    let theirs = match (held.value, held.ours) {
        (Some(value), Some(ours)) => value.minus(ours),
        _ => held.adopted,
    };
    Held { value: Some(value), ours: Some(value.minus(theirs)), ..held }
}

/// What a read-back found.
#[derive(Default)]
struct Found {
    differences: Vec<Difference>,
    totals: Option<Totals>,
    request: std::cell::OnceCell<event::TransactionId>,
}

impl Found {
    fn totals(&mut self, turn: &Turn<'_>) -> &mut Totals {
        self.totals.get_or_insert_with(|| Totals::new(turn.sender.settings.backfill_days))
    }

    fn request(&self, turn: &Turn<'_>) -> event::TransactionId {
        *self.request.get_or_init(|| turn.sender.request_id(turn.owned.partition(), turn.now_ms))
    }

    fn put(&mut self, turn: &Turn<'_>, commit: &mut Commit, pair: &Pair, held: Held, difference: Difference) {
        let confirmed = Confirmed { held, request: self.request(turn) };
        self.totals(turn).confirm(commit, turn.owned, turn.user, pair, &confirmed);
        if difference.repaired {
            turn.owned.note_unsure(commit, turn.user, pair);
        }
        self.differences.push(difference);
    }
}
