//! Send a day's totals, and settle each value by Exist's answer.

use std::time::Duration;

use event::{AttributeName, Decimal, Reason, State, TransactionId};
use exist::{Batch, ErrorCode, Fate, Number, Refusal, Value, WHOLE_MAX, Written, same_value};
use jiff::tz::TimeZone;
use ledger::{Plan, Planned};
use store::{
    Commit, Confirmed, Intent, StoreError, Totals,
    user::{AttributeState, ExistConnection},
};
use telemetry::counter;
use tracing::warn;

use super::{
    close::Settled,
    turn::{Turn, UNOPENED},
};

/// How long a day that is still to come is waited for at a time.
const LATER_MAX: Duration = Duration::from_secs(3600);

impl Turn<'_> {
    /// Settles what needs no request, and sends the rest in one.
    pub(super) async fn write(&self, plan: Plan) -> Result<(), StoreError> {
        let (sendable, too_large): (Vec<_>, Vec<_>) = plan.send.into_iter().partition(|planned| fits(planned.value));
        let mut settled = Settled::default();
        plan.settled.iter().for_each(|planned| settled.confirm(planned));
        for planned in &too_large {
            settled.fail(planned, Reason::Refused, format!("{} is more than Exist takes", planned.value));
        }
        if sendable.is_empty() {
            let mut commit = Commit::new();
            self.close(&mut commit, settled).await?;
            let rest = if plan.later.is_some() { self.until(plan.later) } else { Duration::ZERO };
            self.owned.rest(&mut commit, self.user, rest);
            return self.owned.commit(commit).await.map(drop);
        }
        self.send(&sendable, settled).await
    }

    async fn send(&self, planned: &[Planned], mut settled: Settled) -> Result<(), StoreError> {
        let items = planned.iter().map(|planned| self.value(planned)).collect();
        let batch = Batch::try_new(items).expect("a plan holds 1 to 35 values of different pairs that fit 32 bits");
        let Some(token) = self.open_token(&self.exist().access_token) else {
            return self.come_again(UNOPENED).await;
        };
        let spent = match self.permission() {
            Ok(spent) => spent,
            Err(wait) => return self.come_again(wait).await,
        };
        let request = self.sender.request_id(self.owned.partition(), self.now_ms);
        let intent = Intent { request, values: planned.to_vec(), at_ms: self.now_ms };
        let mut commit = Commit::new();
        self.owned.intend(&mut commit, self.user, &intent, spent);
        self.owned.commit(commit).await?;

        let call = self.sender.client.update(&token, &batch, self.fence());
        let mut commit = Commit::new();
        match self.timed("update", call).await {
            Ok(written) => {
                self.owned.forget_intent(&mut commit, self.user);
                let again = self.settle(&mut commit, request, planned, written, &mut settled);
                self.close(&mut commit, settled).await?;
                self.owned.note_failures(&mut commit, self.user, 0);
                if self.exist().last_chance {
                    let proven = ExistConnection { last_chance: false, ..self.exist().clone() };
                    self.put_connection(&mut commit, &proven);
                }
                self.owned.rest(&mut commit, self.user, again);
                self.owned.commit(commit).await.map(drop)
            }
            Err(failed) if failed.may_be_applied() => {
                // The intent stays: it is abandoned when it can no longer take effect by surprise.
                self.count_values("unknown", planned.len());
                self.failed(commit, &failed).await
            }
            Err(failed) => {
                self.owned.forget_intent(&mut commit, self.user);
                self.failed(commit, &failed).await
            }
        }
    }

    /// Each value by its own answer. Returns how long to wait before the next request.
    fn settle(
        &self,
        commit: &mut Commit,
        request: TransactionId,
        planned: &[Planned],
        written: Written,
        settled: &mut Settled,
    ) -> Duration {
        let mut totals = Totals::new(self.sender.settings.backfill_days);
        let mut states = self.documents.attribute_states.clone();
        let mut again = Duration::ZERO;
        for (planned, answer) in planned.iter().zip(written.settled) {
            let mut know = |value: Option<Decimal>| {
                totals.confirm(commit, self.owned, self.user, &planned.pair, &Confirmed { value, request });
            };
            let (state, reason, said) = match answer.fate {
                Fate::Applied(stored) => {
                    know(Some(planned.value));
                    settled.confirm(planned);
                    self.count_values("accepted", 1);
                    let differs = stored.now.filter(|now| !same_value(number(planned.value), now));
                    if differs.is_some() {
                        warn!("Exist stored another value than it was sent for {}", planned.pair);
                    }
                    (State::Completed, Reason::Confirmed, "stored".to_owned())
                }
                Fate::Refused(refusal) => {
                    self.count_values("refused", 1);
                    let said = format!("{}: {}", refusal.code.as_str(), refusal.message);
                    match self.lost(&planned.pair.attribute, &refusal) {
                        Some(lost) => drop(states.insert(planned.pair.attribute.clone(), lost)),
                        None => settled.fail(planned, Reason::Refused, said.clone()),
                    }
                    (State::Errored, Reason::Refused, said)
                }
                Fate::Unconfirmed => {
                    know(None);
                    self.count_values("unconfirmed", 1);
                    again = self.sender.settings.exist_settle;
                    (State::Errored, Reason::UnknownOutcome, "not mentioned in the answer".to_owned())
                }
            };
            settled.lines.push(self.value_line(request, planned, state, reason, &said));
        }
        if states != self.documents.attribute_states {
            self.put_states(commit, &states);
        }
        again
    }

    /// What a refusal means for the attribute; `None` if only this value is refused.
    ///
    /// Somebody else may have taken it, perhaps because the user wanted so: it is taken back once.
    fn lost(&self, attribute: &AttributeName, refusal: &Refusal) -> Option<AttributeState> {
        let (name, reacquired) = match self.documents.attribute_states.get(attribute) {
            Some(AttributeState::Owned { name, reacquired }) => (name.clone(), *reacquired),
            _ => (attribute.to_string(), false),
        };
        match (&refusal.code, reacquired) {
            (ErrorCode::Unauthorised | ErrorCode::NotFound, false) => {
                Some(AttributeState::ToAcquire { name, reacquired: true })
            }
            (ErrorCode::Unauthorised | ErrorCode::NotFound, true) => {
                Some(AttributeState::Refused { detail: format!("another service owns it: {}", refusal.message) })
            }
            _ => None,
        }
    }

    /// The intent's outcome stays unknown for ever, so what Exist holds for its pairs is unknown: they
    /// are written again, whatever their totals are now.
    pub(super) async fn abandon(&self, intent: &Intent) -> Result<(), StoreError> {
        let mut commit = Commit::new();
        let mut totals = Totals::new(self.sender.settings.backfill_days);
        let mut lines = Vec::new();
        for planned in &intent.values {
            let unknown = Confirmed { value: None, request: intent.request };
            totals.confirm(&mut commit, self.owned, self.user, &planned.pair, &unknown);
            let said = "no usable answer; it is written again";
            lines.push(self.value_line(intent.request, planned, State::Errored, Reason::UnknownOutcome, said));
        }
        self.owned.forget_intent(&mut commit, self.user);
        self.owned.write_audit(&mut commit, self.now_ms, self.sender.settings.retention, lines, Vec::new());
        self.due_in(&mut commit, Duration::ZERO);
        self.owned.commit(commit).await.map(drop)
    }

    fn value(&self, planned: &Planned) -> Value {
        let attribute = &planned.pair.attribute;
        let name = match self.documents.attribute_states.get(attribute) {
            Some(AttributeState::Owned { name, .. }) => name.clone(),
            _ => attribute.to_string(),
        };
        Value { name, date: planned.pair.day.date(), value: number(planned.value) }
    }

    /// How long until a day may be written, looked at again at least every hour.
    fn until(&self, later: Option<event::Day>) -> Duration {
        let zone = self.documents.zone_name().and_then(|name| TimeZone::get(name).ok()).unwrap_or(TimeZone::UTC);
        let starts_ms = later.map_or(0, |day| day.plus(-1).start(&zone).as_millisecond());
        let left_ms = u64::try_from(starts_ms).unwrap_or(0).saturating_sub(self.now_ms);
        Duration::from_millis(left_ms).clamp(Duration::from_secs(1), LATER_MAX)
    }

    fn count_values(&self, result: &'static str, values: usize) {
        counter!(EXIST_VALUES, mode = "total", result = result).increment(u64::try_from(values).unwrap_or(0));
    }
}

fn number(value: Decimal) -> Number {
    if value.scale() == 0 { Number::Whole(value.digits()) } else { Number::Hundredths(value.digits()) }
}

fn fits(value: Decimal) -> bool {
    value.scale() != 0 || value.digits() <= WHOLE_MAX
}
