//! After a request without an answer, and after Redis lost data: what stands in Exist, and what follows.

use std::collections::BTreeMap;

use event::{Reason, State};
use ledger::{Held, How, Mode, Planned};
use store::{Commit, Confirmed, Intent, StoreError, Totals, operate};
use telemetry::counter;
use tracing::warn;

use super::{
    close::Settled,
    turn::{SHORTLY, Turn},
};
use crate::{
    crash::crash_point,
    next::{RETOLD_WITHIN, millis},
};

impl Turn<'_> {
    /// The intent's outcome stays unknown for ever, so what Exist holds for its pairs is unknown: they
    /// are written again, whatever their totals are now.
    pub(super) async fn abandon(&self, intent: &Intent) -> Result<(), StoreError> {
        let mut commit = Commit::new();
        let mut totals = Totals::new(self.sender.settings.backfill_days);
        let mut lines = Vec::new();
        for planned in &intent.values {
            let held = Held { value: None, ours: None, ..planned.held() };
            let unknown = Confirmed { held, request: intent.request };
            totals.confirm(&mut commit, self.owned, self.user, &planned.pair, &unknown);
            let said = "no usable answer; it is written again";
            let (state, reason) = (State::Errored, Reason::UnknownOutcome);
            lines.push(self.value_line(intent.request, intent.how, planned, state, reason, said));
        }
        self.owned.forget_intent(&mut commit, self.user);
        self.owned.write_audit(&mut commit, self.now_ms, self.sender.settings.retention, lines, Vec::new());
        self.due_in(&mut commit, std::time::Duration::ZERO);
        self.owned.commit(commit).await.map(drop)
    }

    /// Reads an intent's values back: each was applied, was not, or nobody can tell.
    pub(super) async fn read_back(&self, intent: &Intent) -> Result<(), StoreError> {
        let pairs = intent.values.iter().map(|planned| planned.pair.clone()).collect();
        let Some(reading) = self.read(&pairs).await? else { return Ok(()) };
        crash_point!("writer::read_back");
        let mut commit = Commit::new();
        let mut totals = Totals::new(self.sender.settings.backfill_days);
        let mut settled = Settled::default();
        for planned in &intent.values {
            let found = reading.value(&planned.pair);
            let is = |value| found.is_some_and(|found| found.is_same(value));
            let (held, state, reason, said) = if is(planned.value) {
                settled.confirm(planned);
                let said = "no usable answer; read back, it is there".to_owned();
                (planned.held(), State::Completed, Reason::Confirmed, said)
            } else if planned.base.is_some_and(is) {
                let doubt = (intent.how == How::Increment).then(|| planned.delta());
                let said = "no usable answer; read back, it is not there, so it is sent again".to_owned();
                (Held { doubt, ..planned.not_held() }, State::Errored, Reason::UnknownOutcome, said)
            } else {
                let stands = found.or(planned.base).unwrap_or(planned.value);
                let shown = found.map_or_else(|| "nothing".to_owned(), |found| found.to_string());
                let said = format!("no usable answer; read back, Exist shows {shown}: nobody can tell whose it is");
                settled.fail(planned, Reason::UnknownOutcome, said.clone());
                warn!("{}: {said}", planned.pair);
                let undecided = Held { value: Some(stands), ours: None, ..planned.held() };
                (undecided, State::Errored, Reason::UnknownOutcome, said)
            };
            let confirmed = Confirmed { held, request: intent.request };
            totals.confirm(&mut commit, self.owned, self.user, &planned.pair, &confirmed);
            settled.lines.push(self.value_line(intent.request, intent.how, planned, state, reason, &said));
        }
        self.owned.forget_intent(&mut commit, self.user);
        self.close(&mut commit, settled).await?;
        self.owned.note_success(&mut commit, self.user);
        self.owned.rest(&mut commit, self.user, std::time::Duration::ZERO);
        self.owned.commit(commit).await?;
        crash_point!("writer::read_back_settled");
        Ok(())
    }

    /// Redis lost data, and the sources have told again what they know: whatever stands in Exist and is not
    /// what we remember was written by us in the time that is lost, or by somebody else.
    pub(super) async fn read_after_loss(&self) -> Result<(), StoreError> {
        let waiting = operate::entries_waiting(&self.owned.redis, &self.owned.keys, self.owned.partition()).await?;
        if waiting > 0 && self.now_ms < self.sending.unsure_since_ms + millis(RETOLD_WITHIN) {
            return self.come_again(SHORTLY).await;
        }
        let pairs = self.owned_pairs().await?;
        let Some(reading) = self.read(&pairs).await? else { return Ok(()) };
        let states = self.owned.pair_states(self.user, pairs.iter().cloned(), &BTreeMap::new()).await?;
        let request = self.sender.request_id(self.owned.partition(), self.now_ms);
        let mut commit = Commit::new();
        let mut totals = Totals::new(self.sender.settings.backfill_days);
        let mut lines = Vec::new();
        for state in states {
            let (Some(confirmed), Some(found)) = (&state.confirmed, reading.value(&state.pair)) else { continue };
            let held = confirmed.held;
            let is_there = held.value.is_some_and(|value| value.is_same(found));
            let Some(attribute) = self.documents.attributes.get(&state.pair.attribute).filter(|_| !is_there) else {
                continue;
            };
            let sum = attribute.unit.to_exist(state.totals.values().sum()).at_least_zero();
            let (now, is_known) = match (attribute.mode, held.value, held.ours) {
                (Mode::Total, ..) => (Held { value: Some(found), ..held }, true),
                (Mode::Increment, Some(value), Some(ours)) => {
                    let (extra, missing) = (found.minus(value), sum.minus(ours));
                    if extra.is_same(missing) {
                        (Held { value: Some(found), ours: Some(sum), ..held }, true)
                    } else if missing.is_zero() {
                        (held.found(found), true)
                    } else {
                        (Held { value: Some(found), ours: None, ..held }, false)
                    }
                }
                (Mode::Increment, ..) => (Held { value: Some(found), ..held }, held.ours.is_some()),
            };
            counter!(DRIFT, repair = if now.ours.is_some() { "repaired" } else { "shown" }).increment(1);
            totals.confirm(&mut commit, self.owned, self.user, &state.pair, &Confirmed { held: now, request });
            self.owned.note_unsure(&mut commit, self.user, &state.pair);
            let left = Planned::of(&state.pair, found);
            let (end, reason) =
                if is_known { (State::Completed, Reason::Drift) } else { (State::Errored, Reason::UnknownOutcome) };
            let said = "found after Redis had lost data";
            lines.push(self.value_line(request, How::Total, &left, end, reason, said));
        }
        self.owned.sure_again(&mut commit, self.user);
        self.owned.note_success(&mut commit, self.user);
        self.owned.write_audit(&mut commit, self.now_ms, self.sender.settings.retention, lines, Vec::new());
        self.owned.rest(&mut commit, self.user, std::time::Duration::ZERO);
        self.owned.commit(commit).await.map(drop)
    }
}
