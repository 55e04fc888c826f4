//! The one next thing to do for a user, decided from what stands in Redis and nothing else.

use std::{collections::BTreeSet, time::Duration};

use event::{AttributeName, Day, Reason};
use jiff::{Timestamp, tz::TimeZone};
use ledger::{Cell, Mode, Pair, Plan, Planned, plan};
use store::{
    Intent, PairState, Sending,
    user::{Acquire, Adopt, AttributeState, AuditAsked, User},
};

/// A token is refreshed when it has less than this left. Source: two production clients of Exist.
const REFRESH_BEFORE: Duration = Duration::from_secs(7 * 86_400);

/// How long a user is left alone whose days all wait for their sources, or for an operator. What they wait for
/// mostly calls sooner.
const WAIT_AGAIN: Duration = Duration::from_secs(2);
/// How long the sources of a user are waited for after Redis lost data, before Exist is read back.
pub(crate) const RETOLD_WITHIN: Duration = Duration::from_secs(600);
/// What is known when the next thing is decided.
pub(crate) struct Facts<'a> {
    pub(crate) user: &'a User,
    pub(crate) sending: &'a Sending,
    /// The pairs that changed, with what is known of each.
    pub(crate) states: Vec<PairState>,
    /// The pairs that are to be read back now.
    pub(crate) checks: BTreeSet<Pair>,
    /// Redis' clock, in milliseconds since 1970.
    pub(crate) now_ms: u64,
    /// How long a request of unknown outcome may still take effect.
    pub(crate) settle: Duration,
    /// How old the profile's zone may be.
    pub(crate) profile_refresh: Duration,
    /// Whether a token can be refreshed: we are a registered app of Exist.
    pub(crate) can_refresh: bool,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// Nobody of that name is connected.
    Gone,
    /// Exist is not connected: what waits is disabled.
    Disable,
    /// An operator paused all that there is to send.
    Paused,
    /// Nothing before this moment of Redis' clock.
    Wait { until_ms: u64 },
    /// A past owner or an unknown outcome left this intent, and it can no longer take effect by surprise:
    /// what it wrote is written again.
    Abandon { intent: Intent },
    /// Likewise, and it must not be sent again before it is known whether it was applied.
    ReadBack { intent: Intent },
    /// The access token expires soon.
    Refresh,
    /// The zone is unknown or may have changed.
    ReadProfile,
    /// Which attributes are ours already is not known.
    LookUp,
    /// What an earlier life of ours left in these is not known, and their sources have told everything.
    TakeOver { attributes: Vec<AttributeName> },
    /// These are to be acquired, each by the name it has in Exist.
    Acquire { attributes: Vec<AttributeName> },
    /// These are to be created.
    Create { attributes: Vec<AttributeName> },
    /// Redis lost data: what stands in Exist is read before anything is written.
    ReadAfterLoss,
    /// An operator asks what stands in Exist.
    Audit { asked: AuditAsked },
    /// An operator wants these days of an attribute set to 0.
    Zero { attribute: AttributeName, days: Vec<Day> },
    /// These were written a while ago: is what stands there still that?
    Check { pairs: BTreeSet<Pair> },
    /// What stands there before us matters.
    ReadBases { pairs: BTreeSet<Pair> },
    /// These pairs can not be sent: their attribute is refused, nothing feeds it any more, or nobody can tell
    /// what of it is ours.
    GiveUp { pairs: Vec<(Planned, String)>, reason: Reason },
    /// To settle without a request, and to send.
    Write(Plan),
    /// Nothing is left.
    Rest,
}

/// Decides.
pub(crate) fn next(facts: Facts<'_>) -> Next {
    let Facts { user, sending, now_ms, .. } = facts;
    let Some(exist) = user.exist.as_ref().filter(|_| user.exists()) else { return Next::Gone };
    if let Some(intent) = &sending.intent {
        let settled_ms = intent.at_ms + millis(facts.settle);
        if settled_ms > now_ms {
            return Next::Wait { until_ms: settled_ms };
        }
        if !intent.how.is_read_back() {
            return Next::Abandon { intent: intent.clone() };
        }
    }
    if !exist.connected.is_on() {
        return Next::Disable;
    }
    if user.pauses.sending().is_some() {
        return Next::Paused;
    }
    let not_before_ms = sending.not_before_ms.max(sending.retry_at_ms);
    if not_before_ms > now_ms {
        return Next::Wait { until_ms: not_before_ms };
    }
    let now_s = i64::try_from(now_ms / 1000).unwrap_or(i64::MAX);
    let refresh_before = i64::try_from(REFRESH_BEFORE.as_secs()).unwrap_or(0);
    let expires_soon = exist.expires_at.is_some_and(|at| at - refresh_before < now_s);
    if expires_soon && exist.refresh_token.is_some() && facts.can_refresh {
        return Next::Refresh;
    }
    let Some(zone) = zone(user, now_ms, facts.profile_refresh) else { return Next::ReadProfile };
    if let Some(intent) = &sending.intent {
        return Next::ReadBack { intent: intent.clone() };
    }
    if sending.unsure_since_ms > 0 {
        let waits = !has_retold(user, sending.unsure_since_ms, now_ms);
        return if waits { Next::Wait { until_ms: now_ms + millis(WAIT_AGAIN) } } else { Next::ReadAfterLoss };
    }
    if !user.looked_up && !user.attributes.is_empty() {
        return Next::LookUp;
    }
    asked(user)
        .or_else(|| (!facts.checks.is_empty()).then_some(Next::Check { pairs: facts.checks }))
        .unwrap_or_else(|| next_write(user, facts.states, now_ms, &zone))
}

/// What an operator asks for.
fn asked(user: &User) -> Option<Next> {
    if let Some(asked) = &user.audit_asked {
        return Some(Next::Audit { asked: asked.clone() });
    }
    let may_send = |name| user.attributes.contains_key(name) && !user.pauses.attributes.contains_key(name);
    let mut zeroing = user.zeroing.iter().filter(|(name, _)| may_send(*name));
    zeroing.find_map(|(name, zeroing)| {
        let one = || vec![name.clone()];
        Some(match user.attribute_states.get(name) {
            Some(AttributeState::Owned { .. }) => Next::Zero { attribute: name.clone(), days: zeroing.days.clone() },
            Some(AttributeState::Refused { .. }) => return None,
            _ if is_to_create(user, name) => Next::Create { attributes: one() },
            _ => Next::Acquire { attributes: one() },
        })
    })
}

/// What to do about the pairs that changed.
fn next_write(user: &User, mut states: Vec<PairState>, now_ms: u64, zone: &TimeZone) -> Next {
    if states.is_empty() {
        return Next::Rest;
    }
    let to_take_over = to_take_over(user);
    let told: Vec<AttributeName> =
        to_take_over.iter().copied().filter(|name| !is_back_filling(user, name)).cloned().collect();
    if !told.is_empty() {
        return Next::TakeOver { attributes: told };
    }
    let counted_anew = counted_anew(user);
    states.retain(|state| {
        !to_take_over.contains(&state.pair.attribute)
            && !counted_anew.contains(&state.pair.attribute)
            && !waits_for_sources(user, state)
            && !waits_for_operator(user, state)
    });
    if states.is_empty() {
        return Next::Wait { until_ms: now_ms + millis(WAIT_AGAIN) };
    }
    states.retain(|state| !user.pauses.attributes.contains_key(&state.pair.attribute));
    if states.is_empty() {
        return Next::Paused;
    }
    if let Some(pairs) = hopeless(user, &states) {
        return Next::GiveUp { pairs, reason: Reason::Refused };
    }
    let attributes = |wanted: fn(&User, &AttributeName) -> bool| -> Vec<AttributeName> {
        let mut names: Vec<_> = states.iter().map(|state| state.pair.attribute.clone()).collect();
        names.sort();
        names.dedup();
        names.into_iter().filter(|name| wanted(user, name)).take(exist::BATCH_MAX).collect()
    };
    let to_acquire = attributes(is_to_acquire);
    if !to_acquire.is_empty() {
        return Next::Acquire { attributes: to_acquire };
    }
    let to_create = attributes(is_to_create);
    if !to_create.is_empty() {
        return Next::Create { attributes: to_create };
    }
    let tomorrow = today(now_ms, zone).next();
    let cells = states.into_iter().filter_map(|state| cell(user, state)).collect();
    let plan = plan(cells, tomorrow);
    if !plan.undecided.is_empty() {
        let why = "nobody can tell how much of what stands in Exist is ours: see `tributary audit --repair` and \
                   `tributary zero`";
        let pairs = plan.undecided.into_iter().map(|planned| (planned, why.to_owned())).collect();
        return Next::GiveUp { pairs, reason: Reason::UnknownOutcome };
    }
    if !plan.unread.is_empty() {
        return Next::ReadBases { pairs: plan.unread.into_iter().collect() };
    }
    Next::Write(plan)
}

/// Whether every source has told anew what Redis may have lost, or is not heard of for long.
fn has_retold(user: &User, since_ms: u64, now_ms: u64) -> bool {
    let has_told = |name| {
        let polled = user.polled.get(name);
        let is_asked = user.hints.get(name).is_some_and(|hint| hint.starts_with("window/"));
        !is_asked && polled.is_some_and(|polled| !polled.back_filling && polled.ok_at_ms > since_ms)
    };
    let mut on = user.sources.iter().filter(|(_, source)| source.connected.is_on());
    since_ms + millis(RETOLD_WITHIN) < now_ms || on.all(|(name, _)| has_told(name))
}

/// The attributes in which an earlier life of ours left values that are not known yet.
fn to_take_over(user: &User) -> BTreeSet<&AttributeName> {
    let fed = user.attribute_states.iter().filter(|(name, _)| user.attributes.contains_key(*name));
    let takes_over = matches!(adopt(user), Adopt::Unset | Adopt::Ours);
    fed.filter(|(_, state)| takes_over && state.is_to_take_over()).map(|(name, _)| name).collect()
}

/// Whether a source that feeds an attribute has not told its whole window yet.
fn is_back_filling(user: &User, attribute: &AttributeName) -> bool {
    let mut feeding = user.sources.iter().filter(|(_, source)| source.rules.contains_key(attribute));
    feeding.any(|(name, source)| {
        source.connected.is_on()
            && user.polled.get(name).is_none_or(|polled| polled.back_filling || polled.first_ok_at_ms == 0)
    })
}

/// Whether what a predecessor left is to be taken for ours, and our sum is not complete yet: it would be
/// written down first and up again later.
fn waits_for_sources(user: &User, state: &PairState) -> bool {
    let takes_over = adopt(user) == Adopt::Ours && before_us(user, &state.pair).is_some();
    takes_over && is_back_filling(user, &state.pair.attribute)
}

/// Whether what stood in Exist before us was read, and nobody has said yet what becomes of it.
fn waits_for_operator(user: &User, state: &PairState) -> bool {
    let is_found = || user.found.get(&state.pair.attribute).is_some_and(|days| days.contains_key(&state.pair.day));
    adopt(user) == Adopt::Ask && state.confirmed.is_none() && is_found()
}

/// [`AttributeState::before_us`].
fn before_us(user: &User, pair: &Pair) -> Option<bool> {
    user.attribute_states.get(&pair.attribute).and_then(|state| state.before_us(pair.day))
}

fn adopt(user: &User) -> Adopt {
    user.exist.as_ref().map_or(Adopt::Unset, |exist| exist.adopt)
}

/// The zone in force, if it is known and fresh enough.
fn zone(user: &User, now_ms: u64, refresh: Duration) -> Option<TimeZone> {
    if user.about.as_ref().is_some_and(|about| about.timezone.is_none()) {
        let profile = user.profile_zone.as_ref()?;
        if profile.read_at_ms + millis(refresh) < now_ms {
            return None;
        }
    }
    user.zone_name().and_then(|name| TimeZone::get(name).ok()).or(Some(TimeZone::UTC))
}

/// The user's local day at this moment.
pub(crate) fn today(now_ms: u64, zone: &TimeZone) -> Day {
    let now = i64::try_from(now_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    Day::at(now.unwrap_or(Timestamp::UNIX_EPOCH), zone)
}

/// The attributes whose totals lack what a recount has not told yet.
fn counted_anew(user: &User) -> BTreeSet<&AttributeName> {
    let under_way = user.recounted.iter().filter(|(_, recounted)| recounted.under_way);
    let fed = under_way.filter_map(|(source, _)| user.sources.get(source)).flat_map(|source| source.rules.keys());
    // By rules that are gone, too: their days must not become 0 before those of the new rules are there.
    let before = user.recounted.values().filter(|recounted| recounted.under_way).flat_map(|recounted| {
        let named = |name: &AttributeName| recounted.before.keys().any(|pair| pair.starts_with(&format!("{name}|")));
        user.attributes.keys().filter(move |name| named(name))
    });
    fed.chain(before).collect()
}

fn is_to_acquire(user: &User, name: &AttributeName) -> bool {
    matches!(user.attribute_states.get(name), None | Some(AttributeState::ToAcquire { .. }))
}

fn is_to_create(user: &User, name: &AttributeName) -> bool {
    let custom = matches!(user.attributes.get(name).map(|attribute| &attribute.acquire), Some(Acquire::Custom { .. }));
    custom && matches!(user.attribute_states.get(name), Some(AttributeState::ToCreate))
}

/// Pairs that can never be sent, with the reason; `None` if there are none.
fn hopeless(user: &User, states: &[PairState]) -> Option<Vec<(Planned, String)>> {
    let why = |pair: &Pair| {
        if !user.attributes.contains_key(&pair.attribute) {
            return Some("nothing is mapped to this attribute any more".to_owned());
        }
        match user.attribute_states.get(&pair.attribute) {
            Some(AttributeState::Refused { detail }) => Some(detail.clone()),
            _ => None,
        }
    };
    let pairs: Vec<_> = states
        .iter()
        .filter_map(|state| {
            let why = why(&state.pair)?;
            let nothing = event::Decimal::default();
            let (pair, changed_by) = (state.pair.clone(), state.changed_by?);
            let planned =
                Planned { pair, changed_by, value: nothing, ours: nothing, adopted: nothing, base: None, doubt: None };
            Some((planned, why))
        })
        .collect();
    if pairs.is_empty() { None } else { Some(pairs) }
}

fn cell(user: &User, state: PairState) -> Option<Cell> {
    let attribute = user.attributes.get(&state.pair.attribute)?;
    Some(Cell {
        changed_by: state.changed_by?,
        total: state.totals.values().sum(),
        unit: attribute.unit,
        mode: attribute.mode,
        needs_base: attribute.mode == Mode::Increment
            || (adopt(user) != Adopt::Unset && before_us(user, &state.pair).is_some()),
        held: state.confirmed.map(|confirmed| confirmed.held),
        pair: state.pair,
    })
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests;
