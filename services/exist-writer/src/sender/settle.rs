//! Settle each value of a request by its own answer.

use std::time::Duration;

use event::{AttributeName, Reason, State};
use exist::{ErrorCode, Fate, Refusal, Stored, same_value};
use ledger::{Held, How, Planned};
use store::{Commit, Confirmed, Intent, Totals, user::AttributeState};
use telemetry::counter;
use tracing::{info, warn};

use super::{close::Settled, read::decimal, turn::Turn, write::number};
use crate::next::millis;

/// What a request left behind.
#[derive(Default)]
pub(super) struct Left {
    /// Values that the answer does not mention, and that must be read back before they are sent again.
    pub(super) unmentioned: Vec<Planned>,
    /// How long to wait before the next request.
    pub(super) again: Duration,
}

impl Turn<'_> {
    /// Each value by its own answer.
    pub(super) fn settle(
        &self,
        commit: &mut Commit,
        intent: &Intent,
        fates: Vec<Fate<Stored>>,
        settled: &mut Settled,
    ) -> Left {
        let (request, how) = (intent.request, intent.how);
        let mut totals = Totals::new(self.sender.settings.backfill_days);
        let mut states = self.documents.attribute_states.clone();
        let mut left = Left::default();
        let mut zeroed = Vec::new();
        let check_at_ms = self.now_ms + millis(self.sender.settings.reconcile_after);
        for (planned, fate) in intent.values.iter().zip(fates) {
            let pair = &planned.pair;
            let mut know = |held| totals.confirm(commit, self.owned, self.user, pair, &Confirmed { held, request });
            let (state, reason, said) = match fate {
                Fate::Applied(stored) => {
                    self.count_values(how, "accepted", 1);
                    let held = self.stored(how, planned, &stored);
                    know(held);
                    self.owned.check_at(commit, self.user, self.sending, pair, check_at_ms);
                    if how == How::Zero {
                        self.zeroed_now(commit, planned);
                        zeroed.push(planned.clone());
                    } else if held.is_undecided() {
                        let said = "an increment that was given up has turned up, or somebody added just as much";
                        settled.fail(planned, Reason::UnknownOutcome, said.to_owned());
                    } else {
                        settled.confirm(planned);
                    }
                    (State::Completed, Reason::Confirmed, "stored".to_owned())
                }
                Fate::Refused(refusal) => {
                    self.count_values(how, "refused", 1);
                    let said = format!("{}: {}", refusal.code.as_str(), refusal.message);
                    match self.lost(&pair.attribute, &refusal) {
                        Some(lost) => drop(states.insert(pair.attribute.clone(), lost)),
                        None => {
                            settled.fail(planned, Reason::Refused, said.clone());
                            zeroed.push(planned.clone());
                        }
                    }
                    (State::Errored, Reason::Refused, said)
                }
                Fate::Unconfirmed => {
                    self.count_values(how, "unconfirmed", 1);
                    left.again = self.sender.settings.exist_settle;
                    if how.is_read_back() {
                        left.unmentioned.push(planned.clone());
                    } else {
                        know(Held { value: None, ours: None, ..planned.held() });
                    }
                    (State::Errored, Reason::UnknownOutcome, "not mentioned in the answer".to_owned())
                }
            };
            settled.lines.push(self.value_line(request, how, planned, state, reason, &said));
        }
        if how == How::Zero {
            self.zeroes_answered(commit, &zeroed);
        }
        if states != self.documents.attribute_states {
            self.put_states(commit, &states);
        }
        left
    }

    /// What is known of a value that Exist took.
    fn stored(&self, how: How, planned: &Planned, stored: &Stored) -> Held {
        let differs = stored.now.filter(|now| !same_value(number(planned.value), now));
        let Some(now) = differs else { return planned.held() };
        if how != How::Increment {
            warn!("Exist stored another value than it was sent for {}", planned.pair);
            return planned.held();
        }
        // Somebody else wrote between our last look and now: what they added is theirs.
        info!("somebody else wrote to {} as well", planned.pair);
        counter!(DRIFT, repair = "shown").increment(1);
        let unit = self.documents.attributes.get(&planned.pair.attribute).map(|attribute| attribute.unit);
        match unit.and_then(|unit| decimal(&now, unit)) {
            Some(now) => planned.held().found(now),
            None => Held { value: None, ..planned.held() },
        }
    }

    /// What a refusal means for the attribute; `None` if only this value is refused.
    ///
    /// Somebody else may have taken it, perhaps because the user wanted so: it is taken back once.
    fn lost(&self, attribute: &AttributeName, refusal: &Refusal) -> Option<AttributeState> {
        let (name, reacquired) = match self.documents.attribute_states.get(attribute) {
            Some(AttributeState::Owned { name, reacquired, .. }) => (name.clone(), *reacquired),
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
}
