//! The one next thing to do for a user, decided from what stands in Redis and nothing else.

use std::{collections::BTreeSet, time::Duration};

use event::{AttributeName, Day};
use jiff::{Timestamp, tz::TimeZone};
use ledger::{Cell, Holds, Pair, Plan, Planned, plan};
use store::{
    Intent, PairState, Sending,
    user::{Acquire, AttributeState, User},
};

/// A token is refreshed when it has less than this left. Source: two production clients of Exist.
const REFRESH_BEFORE: Duration = Duration::from_secs(7 * 86_400);

/// How long a user whose days are all being counted anew is left alone; the recount's end calls sooner.
const RECOUNT_AGAIN: Duration = Duration::from_secs(5);

/// What is known when the next thing is decided.
pub(crate) struct Facts<'a> {
    pub(crate) user: &'a User,
    pub(crate) sending: &'a Sending,
    /// The pairs that changed, with what is known of each.
    pub(crate) states: Vec<PairState>,
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
    /// Nothing before this moment of Redis' clock.
    Wait { until_ms: u64 },
    /// A past owner or an unknown outcome left this intent, and it can no longer take effect by surprise.
    Abandon { intent: Intent },
    /// The access token expires soon.
    Refresh,
    /// The zone is unknown or may have changed.
    ReadProfile,
    /// These are to be acquired, each by the name it has in Exist.
    Acquire { attributes: Vec<AttributeName> },
    /// These are to be created.
    Create { attributes: Vec<AttributeName> },
    /// These pairs can never be sent: their attribute is refused, or nothing feeds it any more.
    GiveUp { pairs: Vec<(Planned, String)> },
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
        return Next::Abandon { intent: intent.clone() };
    }
    if !exist.connected.is_on() {
        return Next::Disable;
    }
    if sending.not_before_ms > now_ms {
        return Next::Wait { until_ms: sending.not_before_ms };
    }
    let now_s = i64::try_from(now_ms / 1000).unwrap_or(i64::MAX);
    let refresh_before = i64::try_from(REFRESH_BEFORE.as_secs()).unwrap_or(0);
    let expires_soon = exist.expires_at.is_some_and(|at| at - refresh_before < now_s);
    if expires_soon && exist.refresh_token.is_some() && facts.can_refresh {
        return Next::Refresh;
    }
    let Some(zone) = zone(user, now_ms, facts.profile_refresh) else { return Next::ReadProfile };
    if facts.states.is_empty() {
        return Next::Rest;
    }
    let counted_anew = counted_anew(user);
    let mut states = facts.states;
    states.retain(|state| !counted_anew.contains(&state.pair.attribute));
    if states.is_empty() {
        return Next::Wait { until_ms: now_ms + millis(RECOUNT_AGAIN) };
    }
    if let Some(pairs) = hopeless(user, &states) {
        return Next::GiveUp { pairs };
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
    let tomorrow = today(now_ms, &zone).next();
    let cells = states.into_iter().filter_map(|state| cell(user, state)).collect();
    Next::Write(plan(cells, tomorrow))
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
            let planned =
                Planned { pair: state.pair.clone(), changed_by: state.changed_by?, value: event::Decimal::whole(0) };
            Some((planned, why(&state.pair)?))
        })
        .collect();
    if pairs.is_empty() { None } else { Some(pairs) }
}

fn cell(user: &User, state: PairState) -> Option<Cell> {
    let attribute = user.attributes.get(&state.pair.attribute)?;
    let holds = match state.confirmed {
        None => Holds::Nothing,
        Some(confirmed) => confirmed.value.map_or(Holds::Unknown, Holds::Value),
    };
    Some(Cell {
        changed_by: state.changed_by?,
        pair: state.pair,
        total: state.totals.values().sum(),
        unit: attribute.unit,
        holds,
    })
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests;
