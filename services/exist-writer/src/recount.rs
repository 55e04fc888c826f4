//! A source counted anew: its totals are taken out, told again record by record, and written when all
//! of them are there.

use std::collections::{BTreeMap, HashMap};

use event::{Contribution, Day, NormalisedEvent, Recount, SourceName, UserId};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use ledger::Pair;
use store::{
    Applied, Commit, Owned, StoreError, Totals,
    user::{Generation, Recounted, document, field, recounted},
};
use tracing::info;

/// How far ahead of today totals are looked for, in days: sources know of planned records.
const AHEAD_DAYS: i32 = 400;
/// Most changed days that a recount names, so that a line stays readable.
const NAMED_MAX: usize = 20;

/// One source of one user.
type Whose = (UserId, SourceName);

/// The recounts of a partition's sources, and the totals of those that begin or end.
#[derive(Default)]
pub(crate) struct Recounts {
    known: HashMap<Whose, Recounted>,
    totals: HashMap<Whose, BTreeMap<Pair, i64>>,
}

impl Recounts {
    /// Makes sure that the recounts of everything in a batch are known, and the totals where one begins
    /// or ends in it.
    pub(crate) async fn learn<'a>(
        &mut self,
        owned: &Owned,
        now_ms: u64,
        batch: impl Iterator<Item = &'a NormalisedEvent> + Clone,
    ) -> Result<(), StoreError> {
        let mut new: Vec<Whose> = batch.clone().map(whose).filter(|whose| !self.known.contains_key(whose)).collect();
        new.sort();
        new.dedup();
        let found = recounted(&owned.redis, &owned.keys, owned.partition(), &new).await?;
        self.known.extend(new.into_iter().zip(found));
        self.totals.clear();
        for event in batch.filter(|event| is_marker(event)) {
            let whose = whose(event);
            let begun = match event.recount {
                Some(Recount::Begun { from }) => Some(from),
                _ => None,
            };
            let earliest = self.known[&whose].generations.iter().map(|generation| generation.from).chain(begun).min();
            let now = i64::try_from(now_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
            let to = Day::at(now.unwrap_or_default(), &TimeZone::UTC).plus(AHEAD_DAYS);
            let totals = owned.totals_of(&whose.0, &whose.1, earliest.unwrap_or(to), to).await?;
            self.totals.insert(whose, totals);
        }
        Ok(())
    }

    /// What the ledger knows of the recounts of an event's source.
    pub(crate) fn of(&self, event: &NormalisedEvent) -> &Recounted {
        self.known.get(&whose(event)).expect("everything in a batch was learnt first")
    }

    /// Follows a change of a total in this batch.
    pub(crate) fn follow(&mut self, event: &NormalisedEvent, change: &Contribution) {
        if let Some(totals) = self.totals.get_mut(&whose(event)) {
            let pair = Pair { attribute: change.attribute.clone(), day: change.day };
            *totals.entry(pair).or_default() += change.amount;
        }
    }

    /// Takes a source's totals out, from a day on. Returns what there is to say about it.
    pub(crate) fn begin(&mut self, commit: &mut Commit, owned: &Owned, event: &NormalisedEvent, from: Day) -> String {
        let number = generation(event);
        let whose = whose(event);
        let recounted = self.known.entry(whose.clone()).or_default();
        if recounted.latest() >= number {
            return "a later recount has begun since".to_owned();
        }
        recounted.begin(Generation { number, from });
        recounted.under_way = true;
        let totals = self.totals.entry(whose).or_default();
        for (pair, amount) in totals.iter().filter(|(pair, _)| pair.day >= from) {
            Totals::take_out(commit, owned, &event.user, &event.source, pair);
            owned.note_unsure(commit, &event.user, pair);
            // A recount that begins while another is under way replaces what was there before both.
            recounted.before.entry(pair.to_string()).or_insert(*amount);
        }
        totals.retain(|pair, _| pair.day < from);
        store(commit, owned, event, recounted);
        owned.poll_now(commit, &event.user, &event.source);
        format!("counted anew from {from} on")
    }

    /// Every record was told: the days may be written again. Returns what has changed.
    pub(crate) fn end(&mut self, commit: &mut Commit, owned: &Owned, event: &NormalisedEvent) -> String {
        let whose = whose(event);
        let recounted = self.known.entry(whose.clone()).or_default();
        if recounted.latest() != generation(event) || !recounted.under_way {
            return "a later recount has begun since".to_owned();
        }
        recounted.under_way = false;
        let from = recounted.generations.last().map_or(Day::from_number(i32::MAX), |generation| generation.from);
        let before: BTreeMap<Pair, i64> = std::mem::take(&mut recounted.before)
            .into_iter()
            .filter_map(|(pair, amount)| Some((pair.parse().ok()?, amount)))
            .collect();
        let now = self.totals.entry(whose).or_default();
        let now = now.iter().filter(|(pair, _)| pair.day >= from).map(|(pair, amount)| (pair.clone(), *amount));
        let said = differences(&before, &now.collect());
        info!("a recount of {} for {} is through: {said}", event.source, event.user);
        store(commit, owned, event, recounted);
        let due = owned.keys.due(owned.partition());
        commit.due_at_the_latest(&due, event.user.as_str(), std::time::Duration::ZERO);
        said
    }
}

/// What of a record's former version stands in the totals.
///
/// What it added on days that were counted anew since is void. A record that a recount brings, and that
/// nothing is held of, was counted on the days before the recount's as it stands.
pub(crate) fn standing(was: Option<&Applied>, recounted: &Recounted, event: &NormalisedEvent) -> Vec<Contribution> {
    let before = |contributions: &[Contribution], day: Day| {
        contributions.iter().filter(|contribution| contribution.day < day).cloned().collect()
    };
    match was {
        Some(was) => match recounted.void_from(was.generation) {
            Some(day) => before(&was.contributions, day),
            None => was.contributions.clone(),
        },
        None if event.recount == Some(Recount::Row) => {
            recounted.generations.last().map(|latest| before(&event.contributions, latest.from)).unwrap_or_default()
        }
        None => Vec::new(),
    }
}

/// Which days a recount changed, in base units.
fn differences(before: &BTreeMap<Pair, i64>, now: &BTreeMap<Pair, i64>) -> String {
    let pairs: std::collections::BTreeSet<&Pair> = before.keys().chain(now.keys()).collect();
    let amount = |totals: &BTreeMap<Pair, i64>, pair: &Pair| totals.get(pair).copied().unwrap_or(0);
    let changed: Vec<String> = pairs
        .into_iter()
        .filter(|pair| amount(before, pair) != amount(now, pair))
        .map(|pair| format!("{} {}: {} → {}", pair.attribute, pair.day, amount(before, pair), amount(now, pair)))
        .collect();
    match changed.len() {
        0 => "no day changed".to_owned(),
        1..=NAMED_MAX => format!("{} days changed: {}", changed.len(), changed.join(", ")),
        many => format!("{many} days changed, such as {}", changed[..NAMED_MAX].join(", ")),
    }
}

fn store(commit: &mut Commit, owned: &Owned, event: &NormalisedEvent, recounted: &Recounted) {
    let hash = owned.keys.user(owned.partition(), &event.user);
    commit.set(&hash, &field::recounted(&event.source), document(recounted).as_bytes());
}

fn whose(event: &NormalisedEvent) -> Whose {
    (event.user.clone(), event.source.clone())
}

pub(crate) fn is_marker(event: &NormalisedEvent) -> bool {
    matches!(event.recount, Some(Recount::Begun { .. } | Recount::Ended))
}

/// A marker's version is its recount's generation.
fn generation(event: &NormalisedEvent) -> u64 {
    u64::try_from(event.version.0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(text: &str) -> Pair {
        text.parse().unwrap()
    }

    #[test]
    fn a_recount_names_what_it_changed() {
        let before = BTreeMap::from([(pair("a|1"), 5), (pair("a|2"), 6), (pair("b|1"), 7)]);
        let now = BTreeMap::from([(pair("a|1"), 5), (pair("a|3"), 6), (pair("b|1"), 8)]);
        let said = differences(&before, &now);
        let expected = "3 days changed: a 1970-01-03: 6 → 0, a 1970-01-04: 0 → 6, b 1970-01-02: 7 → 8";
        assert_eq!(said, expected);
        assert_eq!(differences(&now, &now), "no day changed");
    }
}
