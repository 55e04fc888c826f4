//! Send values in one request.

use std::time::Duration;

use event::{Decimal, Reason};
use exist::{Batch, Delta, ExistError, Fate, Number, Stored, Value, WHOLE_MAX};
use ledger::{Held, How, Plan, Planned};
use store::{Commit, Confirmed, Intent, StoreError, Totals, user::ExistConnection};
use telemetry::{counter, trace::Request};

use super::{
    close::Settled,
    traced::Sent,
    turn::{Turn, UNOPENED, outcome},
};
use crate::crash::crash_point;

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
        if plan.how == How::Correct {
            return self.correct(sendable, settled).await;
        }
        self.send(plan.how, sendable, settled).await
    }

    /// Takes back on top of what stands there at this moment: somebody else may have added to it.
    async fn correct(&self, planned: Vec<Planned>, settled: Settled) -> Result<(), StoreError> {
        let pairs = planned.iter().map(|planned| planned.pair.clone()).collect();
        let Some(reading) = self.read_before(&pairs, 1).await? else { return Ok(()) };
        let fresh = |planned: Planned| {
            let base = reading.value(&planned.pair)?;
            // An increment that was given up has turned up after all: the next plan decides.
            let is_doubtful = planned.not_held().found(base).is_undecided();
            (!is_doubtful).then(|| planned.on(base)).filter(|planned| !planned.delta().is_zero())
        };
        let known: Vec<Planned> = planned.iter().cloned().filter_map(fresh).collect();
        if known.len() == planned.len() {
            return self.send_after(How::Correct, known, settled, reading.spent).await;
        }
        // Something else than the plan knew stands there: it is written down, and planned anew.
        let request = self.sender.request_id(self.owned.partition(), self.now_ms);
        let (mut commit, mut totals) = (Commit::new(), Totals::new(self.sender.settings.backfill_days));
        for planned in &planned {
            let held = match reading.value(&planned.pair) {
                Some(base) => planned.not_held().found(base),
                None => Held { ours: None, ..planned.not_held() },
            };
            totals.confirm(&mut commit, self.owned, self.user, &planned.pair, &Confirmed { held, request });
        }
        self.due_in(&mut commit, Duration::ZERO);
        self.owned.commit(commit).await.map(drop)
    }

    /// Stores what is about to be sent, sends it, and settles it.
    pub(super) async fn send(&self, how: How, planned: Vec<Planned>, settled: Settled) -> Result<(), StoreError> {
        self.send_after(how, planned, settled, self.sending.spent).await
    }

    async fn send_after(
        &self,
        how: How,
        planned: Vec<Planned>,
        mut settled: Settled,
        spent: Option<ledger::Spent>,
    ) -> Result<(), StoreError> {
        let Some(token) = self.open_token(&self.exist().access_token) else {
            return self.come_again(UNOPENED).await;
        };
        let spent = match self.permission_after(spent) {
            Ok(spent) => spent,
            Err(wait) => return self.come_again(wait).await,
        };
        crash_point!("writer::before_intent");
        let request = self.sender.request_id(self.owned.partition(), self.now_ms);
        let intent = Intent { request, values: planned, at_ms: self.now_ms, how };
        let mut commit = Commit::new();
        self.owned.intend(&mut commit, self.user, &intent, spent);
        self.owned.commit(commit).await?;
        if how.is_read_back() {
            self.owned.is_same_redis().await?;
        }
        crash_point!("writer::intent_stored");

        let request = Request::begin();
        let answer = self.told(&token, &intent).await;
        let sent = Sent::of(request, &intent);
        let mut commit = Commit::new();
        match answer {
            Ok(fates) => {
                crash_point!("writer::answered");
                settled.sent = sent;
                let left = self.settle(&mut commit, &intent, fates, &mut settled);
                if left.unmentioned.is_empty() {
                    self.owned.forget_intent(&mut commit, self.user);
                } else {
                    let rest = Intent { values: left.unmentioned, ..intent };
                    self.owned.intend(&mut commit, self.user, &rest, spent);
                }
                self.close(&mut commit, settled).await?;
                self.owned.note_success(&mut commit, self.user);
                if self.exist().last_chance {
                    let proven = ExistConnection { last_chance: false, ..self.exist().clone() };
                    self.put_connection(&mut commit, &proven);
                }
                self.owned.rest(&mut commit, self.user, left.again);
                self.owned.commit(commit).await?;
                crash_point!("writer::settled");
                Ok(())
            }
            Err(failed) => {
                crash_point!("writer::unknown");
                self.tell_failed(sent, &intent, outcome(Some(&failed))).await;
                if failed.may_be_applied() {
                    self.count_values(how, "unknown", intent.values.len());
                }
                // The intent stays where it may have been applied, until it can no longer take effect by
                // surprise. A refusal as a whole means that nothing was; what is never safe to repeat is
                // read back all the same.
                let was_not_sent = matches!(failed, ExistError::NotSent { .. } | ExistError::Fenced { .. });
                if was_not_sent || !(failed.may_be_applied() || how.is_read_back()) {
                    self.owned.forget_intent(&mut commit, self.user);
                }
                self.failed(commit, &failed).await
            }
        }
    }

    /// Sends an intent's values. The answer has a fate for each, in their order.
    async fn told(&self, token: &settings::SecretString, intent: &Intent) -> Result<Vec<Fate<Stored>>, ExistError> {
        const FITS: &str = "a plan holds 1 to 35 values of different pairs that fit 32 bits";
        let place = |planned: &Planned| (self.name_in_exist(&planned.pair.attribute), planned.pair.day.date());
        if intent.how == How::Increment {
            let delta = |planned: &Planned| {
                let (name, date) = place(planned);
                Delta { name, date, value: number(planned.delta()) }
            };
            let batch = Batch::try_new(intent.values.iter().map(delta).collect()).expect(FITS);
            let answer = self.timed("increment", self.sender.client.increment(token, &batch, self.fence())).await?;
            return Ok(answer.settled.into_iter().map(|settled| settled.fate).collect());
        }
        let total = |planned: &Planned| {
            let (name, date) = place(planned);
            Value { name, date, value: number(planned.value) }
        };
        let batch = Batch::try_new(intent.values.iter().map(total).collect()).expect(FITS);
        let answer = self.timed("update", self.sender.client.update(token, &batch, self.fence())).await?;
        Ok(answer.settled.into_iter().map(|settled| settled.fate).collect())
    }

    /// How long until a day may be written, looked at again at least every hour.
    fn until(&self, later: Option<event::Day>) -> Duration {
        let starts_ms = later.map_or(0, |day| day.plus(-1).start(&self.zone()).as_millisecond());
        let left_ms = u64::try_from(starts_ms).unwrap_or(0).saturating_sub(self.now_ms);
        Duration::from_millis(left_ms).clamp(Duration::from_secs(1), LATER_MAX)
    }

    pub(super) fn count_values(&self, how: How, result: &'static str, values: usize) {
        let mode = if how.is_read_back() { "increment" } else { "total" };
        counter!(EXIST_VALUES, mode = mode, result = result).increment(u64::try_from(values).unwrap_or(0));
    }
}

pub(super) fn number(value: Decimal) -> Number {
    if value.scale() == 0 { Number::Whole(value.digits()) } else { Number::Hundredths(value.digits()) }
}

fn fits(value: Decimal) -> bool {
    value.scale() != 0 || value.digits() <= WHOLE_MAX
}
