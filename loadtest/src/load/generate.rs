//! A scenario's stream: the same seed makes the same one.

use super::{
    arrivals::{Zipf, moments},
    scenario::{Scenario, Shares},
    source::Source,
    stream::{ATTRIBUTES, Attribute, Header, Someone, State, Stream, Telling},
};
use crate::world::{PEOPLE_ZONES, random::Random};

/// Records of one person that may still be edited, moved or deleted.
const LIVE_MAX: usize = 64;

const DAY_S: i64 = 86_400;
/// The earliest start: within the days that are read back when somebody connects.
const EARLIEST_S: i64 = -5 * DAY_S;
/// The earliest start that a record is moved to or told late with: a version of a record that is not held, on a day
/// of longer ago than the retention, makes the services read its source again.
const EARLIEST_CHANGE_S: i64 = -2 * DAY_S - DAY_S / 2;
/// The latest stop before the moment of telling.
const MARGIN_S: i64 = 60;
const SECOND_US: i64 = 1_000_000;
/// The place of the first person.
pub(crate) const FIRST: u32 = 0;

/// Makes a scenario's stream from a seed.
pub fn generate(scenario: &Scenario, seed: u64) -> Stream {
    let mut maker = Maker::new(scenario, seed);
    for _ in 0..scenario.stream.first_joins_with {
        maker.before(FIRST);
    }
    for _ in 0..scenario.stream.before {
        let person = maker.whom();
        maker.before(person);
    }
    let mut arrivals: Vec<u64> =
        scenario.stream.load.iter().flat_map(|load| moments(load, &mut maker.random)).collect();
    arrivals.sort_unstable();
    for at in arrivals {
        let person = maker.whom();
        maker.event(at, person);
    }
    maker.stream(scenario, seed)
}

struct Maker {
    random: Random,
    sources: Vec<Source>,
    shares: Shares,
    zipf: Zipf,
    /// The first person joins later and takes no part before.
    first_joins: bool,
    attributes: u8,
    live: Vec<Vec<Telling>>,
    records: u32,
    tellings: Vec<Telling>,
}

impl Maker {
    fn new(scenario: &Scenario, seed: u64) -> Maker {
        let first_joins = scenario.stream.first_joins_with > 0;
        let people = scenario.people.count;
        let others = people - u32::from(first_joins);
        Maker {
            random: Random::new(seed),
            sources: scenario.stream.sources.iter().copied().collect(),
            shares: scenario.stream.shares,
            zipf: Zipf::new(others, scenario.people.zipf_hundredths),
            first_joins,
            attributes: scenario.people.attributes,
            live: vec![Vec::new(); usize::try_from(people).expect("at most 100,000")],
            records: 0,
            tellings: Vec::new(),
        }
    }

    fn whom(&mut self) -> u32 {
        let place = self.zipf.pick(&mut self.random) + usize::from(self.first_joins);
        u32::try_from(place).expect("at most 100,000 people")
    }

    fn before(&mut self, person: u32) {
        let start_s = self.random.between(EARLIEST_S, -DAY_S / 4);
        let version_us = -self.random_us(3_600);
        let record = self.create(Source::Toggl, None, person, start_s, version_us);
        self.tellings.push(record);
    }

    /// One arrival; out-of-order ones tell twice.
    fn event(&mut self, at: u64, person: u32) {
        let share = u32::try_from(self.random.between(0, 999)).expect("below a thousand");
        let Shares { duplicates, out_of_order, edits, deletions, moved, late, poison, .. } = self.shares;
        let kinds = [duplicates, out_of_order, edits, deletions, moved, late, poison];
        let mut upto = 0;
        let kind = kinds.iter().position(|count| {
            upto += count;
            share < upto
        });
        let told = match kind {
            Some(0) => self.pick(at, person).filter(is_told).map(|old| Telling { at_us: Some(at), ..old }),
            Some(1) => Some(self.out_of_order(at, person)),
            Some(2) => self.edit(at, person),
            Some(3) => self.delete(at, person),
            Some(4) => self.shift(at, person),
            Some(5) => Some(self.fresh(at, person, DAY_S, -EARLIEST_CHANGE_S)),
            Some(6) => Some(self.broken(at, person)),
            _ => None,
        };
        let told = told.unwrap_or_else(|| self.fresh(at, person, 3_600, DAY_S));
        self.tellings.push(told);
    }

    /// A new record that began some time ago.
    fn fresh(&mut self, at: u64, person: u32, from_s: i64, until_s: i64) -> Telling {
        let now_s = seconds(at);
        let start_s = now_s - self.random.between(from_s, until_s);
        let source = self.source();
        self.create(source, Some(at), person, start_s, micros(at))
    }

    /// Any of them: what is new is as likely at one as at another.
    fn source(&mut self) -> Source {
        if self.sources.len() == 1 { Source::Toggl } else { *self.random.pick(&self.sources).expect("there is one") }
    }

    fn create(&mut self, source: Source, at_us: Option<u64>, person: u32, start_s: i64, version_us: i64) -> Telling {
        self.records += 1;
        if let Some(other) = self.sources.iter().filter(|source| !source.is_toggl()).position(|other| *other == source)
        {
            let (record, feeds) = (self.records, 1 << (usize::from(self.attributes) + other));
            let (seconds, state) = (Some(0), State::There);
            let telling = Telling { at_us, person, record, version_us, start_s, seconds, feeds, state, source };
            self.keep(telling);
            return telling;
        }
        // One in eight feeds two attributes, one in sixteen none.
        let one = self.random.between(0, i64::from(self.attributes) - 1);
        let feeds = if self.random.one_in(16) {
            0
        } else if self.random.one_in(8) {
            (1 << one) | 1
        } else {
            1 << one
        };
        let seconds = Some(self.length());
        let telling = Telling {
            at_us,
            person,
            record: self.records,
            version_us,
            start_s,
            seconds,
            feeds,
            state: State::There,
            source,
        };
        self.keep(telling);
        telling
    }

    /// Seldom a whole number of minutes: sums must be rounded, not records.
    fn length(&mut self) -> u32 {
        u32::try_from(self.random.between(20, 3_000)).expect("below an hour")
    }

    fn edit(&mut self, at: u64, person: u32) -> Option<Telling> {
        // What was watched does not change: a play is there or not.
        let old = self.pick(at, person).filter(is_told)?;
        let seconds = if old.source.is_toggl() { Some(self.length()) } else { old.seconds };
        let told = Telling { seconds, ..newer(old, at) };
        self.keep(told);
        Some(told)
    }

    fn shift(&mut self, at: u64, person: u32) -> Option<Telling> {
        // Only spans are moved: an issue stays opened when it was.
        let old = self.pick(at, person).filter(|old| old.source.is_toggl())?;
        let back = old.start_s - DAY_S;
        let start_s = if back > EARLIEST_CHANGE_S { back } else { old.start_s + DAY_S };
        let told = Telling { start_s, ..newer(old, at) };
        self.keep(told);
        Some(told)
    }

    fn delete(&mut self, at: u64, person: u32) -> Option<Telling> {
        let old = self.pick(at, person)?;
        self.of(person).retain(|live| live.record != old.record);
        Some(Telling { state: State::Gone, ..newer(old, at) })
    }

    /// The newer version is told now, the older one later.
    fn out_of_order(&mut self, at: u64, person: u32) -> Telling {
        let older = self.fresh(at, person, 3_600, DAY_S);
        if !older.source.has_webhooks() {
            return older;
        }
        let seconds = if older.source.is_toggl() { Some(self.length()) } else { older.seconds };
        let newer = Telling { seconds, version_us: older.version_us + older.source.tick_us(), ..older };
        self.keep(newer);
        let most = i64::try_from(self.shares.out_of_order_by.as_micros()).unwrap_or(i64::MAX).max(1);
        let by = u64::try_from(self.random.between(1, most)).expect("above 0");
        self.tellings.push(Telling { at_us: Some(at + by), ..older });
        newer
    }

    /// Never told as anything else: what cannot be read stands nowhere.
    fn broken(&mut self, at: u64, person: u32) -> Telling {
        let start_s = seconds(at) - self.random.between(3_600, DAY_S);
        let told = self.create(Source::Toggl, Some(at), person, start_s, micros(at));
        self.of(person).retain(|live| live.record != told.record);
        Telling { state: State::Broken, ..told }
    }

    /// A record that may still change; its last telling is not from before this stream.
    fn pick(&mut self, at: u64, person: u32) -> Option<Telling> {
        let within = u64::try_from(self.shares.changes_within.as_micros()).unwrap_or(u64::MAX);
        let live = &self.live[usize::try_from(person).expect("a place")];
        self.random.pick(live).copied().filter(|old| at - old.at_us.unwrap_or(0) <= within)
    }

    fn of(&mut self, person: u32) -> &mut Vec<Telling> {
        &mut self.live[usize::try_from(person).expect("a place")]
    }

    fn keep(&mut self, telling: Telling) {
        let live = self.of(telling.person);
        match live.iter().position(|held| held.record == telling.record) {
            Some(place) => live[place] = telling,
            None if live.len() < LIVE_MAX => live.push(telling),
            // The one that was told first, more or less.
            None => live[usize::try_from(telling.record).expect("32 bits") % LIVE_MAX] = telling,
        }
    }

    fn random_us(&mut self, most_s: i64) -> i64 {
        self.random.between(SECOND_US, most_s * SECOND_US)
    }

    fn stream(mut self, scenario: &Scenario, seed: u64) -> Stream {
        // Stable: what was told first of one moment stays first.
        self.tellings.sort_by_key(|telling| telling.at_us);
        let attributes: Vec<Attribute> = ATTRIBUTES[..usize::from(self.attributes)]
            .iter()
            .zip((1..=self.attributes).rev())
            .map(|(name, left)| Attribute {
                name: (*name).to_owned(),
                template: true,
                increment: left <= scenario.people.increments,
                source: Source::Toggl,
            })
            .chain(self.sources.iter().filter_map(|source| source.attribute()))
            .collect();
        let zones = PEOPLE_ZONES.into_iter().cycle().take(self.live.len());
        let people = zones.map(|zone| Someone { timezone: zone.to_owned(), attributes: attributes.clone() }).collect();
        let mut header = Header::new(scenario.about.clone(), scenario.stream.via, people);
        header.seed = Some(seed);
        header.filler_bytes = scenario.stream.filler_bytes;
        Stream { header, tellings: self.tellings }
    }
}

/// The next version of a record, as it would be if nothing had changed.
fn newer(old: Telling, at: u64) -> Telling {
    let least_us = if old.source.is_toggl() { 1 } else { old.source.tick_us() };
    Telling { at_us: Some(at), version_us: micros(at).max(old.version_us + least_us), ..old }
}

/// Whether its source tells of it as often as anything happens to it.
fn is_told(telling: &Telling) -> bool {
    telling.source.has_webhooks()
}

fn micros(at: u64) -> i64 {
    i64::try_from(at).expect("a moment of a run")
}

fn seconds(at: u64) -> i64 {
    micros(at) / SECOND_US - MARGIN_S
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const TOML: &str = r#"
        about = "everything"
        [people]
        count = 40
        zipf-hundredths = 100
        [stream]
        via = "webhooks"
        before = 50
        [[stream.load]]
        arrivals = "poisson"
        rate = 200
        lasts = "20s"
        [stream.shares]
        duplicates = 50
        out-of-order = 50
        out-of-order-by = "5s"
        edits = 100
        deletions = 50
        moved = 50
        late = 50
        poison = 10
        [bounds]
        converged-within = "30s"
    "#;

    fn made(seed: u64) -> Stream {
        generate(&TOML.parse().unwrap(), seed)
    }

    #[test]
    fn the_same_seed_makes_the_same_stream_and_another_one_another() {
        assert_eq!(made(3), made(3));
        assert_ne!(made(3), made(4));
    }

    #[test]
    fn tellings_are_in_order_and_each_kind_comes_as_often_as_asked() {
        let stream = made(3);
        assert!(stream.tellings.is_sorted_by_key(|telling| telling.at_us));
        let mut newest: BTreeMap<u32, i64> = BTreeMap::new();
        let (mut again, mut stale, mut edited) = (0, 0, 0);
        for telling in stream.tellings.iter().filter(|telling| telling.state != State::Broken) {
            match newest.get(&telling.record).map(|held| telling.version_us.cmp(held)) {
                Some(std::cmp::Ordering::Equal) => again += 1,
                Some(std::cmp::Ordering::Less) => stale += 1,
                Some(std::cmp::Ordering::Greater) => edited += 1,
                None => {}
            }
            let held = newest.entry(telling.record).or_insert(i64::MIN);
            *held = telling.version_us.max(*held);
        }
        let count = |state: State| stream.tellings.iter().filter(|telling| telling.state == state).count();
        let about = |count: usize, per_mille: usize| (3 * per_mille..5 * per_mille).contains(&count);
        assert!(about(again, 50) && about(stale, 50), "{again} again, {stale} out of order");
        assert!(about(edited, 200), "{edited} edited, moved or deleted");
        assert!(count(State::Broken) > 20 && count(State::Gone) > 120);
        assert_eq!(stream.tellings.iter().filter(|telling| telling.at_us.is_none()).count(), 50);
    }

    #[test]
    fn nothing_lies_outside_the_days_that_are_read_back_nor_ends_in_the_future() {
        for telling in made(3).tellings {
            let stop = telling.start_s + i64::from(telling.seconds.unwrap());
            let now = telling.at_us.map_or(0, micros) / SECOND_US;
            assert!(telling.start_s >= EARLIEST_S && stop < now, "{telling:?}");
        }
    }

    #[test]
    fn people_do_things_at_every_source_and_each_version_is_told_by_its_clock() {
        let toml = TOML.replace("before = 50", "before = 50\nsources = [\"toggl\", \"github\", \"trakt\"]");
        let stream = generate(&toml.parse().unwrap(), 3);
        let of = |source: Source| stream.tellings.iter().filter(move |telling| telling.source == source);
        let counts = [Source::Toggl, Source::Github, Source::Trakt].map(|source| of(source).count());
        assert!(counts.iter().all(|count| *count > 1_000), "{counts:?}");
        let attributes = &stream.header.people[0].attributes;
        for telling in of(Source::Github).chain(of(Source::Trakt)) {
            let fed: Vec<_> = (0..attributes.len()).filter(|attribute| telling.feeds(*attribute)).collect();
            assert!(matches!(fed[..], [one] if attributes[one].source == telling.source), "{telling:?} feeds {fed:?}");
            assert_ne!(telling.state, State::Broken);
        }
        let mut newest: BTreeMap<u32, i64> = BTreeMap::new();
        for telling in of(Source::Github) {
            let held = newest.insert(telling.record, telling.version_us).unwrap_or(telling.version_us);
            let apart = (telling.version_us - held).abs();
            assert!(apart == 0 || apart >= Source::Github.tick_us(), "{apart} µs between versions of an issue");
        }
        let twice = of(Source::Trakt).filter(|telling| telling.state == State::There).count();
        let plays: std::collections::BTreeSet<u32> = of(Source::Trakt).map(|telling| telling.record).collect();
        assert!(twice == plays.len() && twice < counts[2], "a play is told once, and once more when it is gone");
    }
}
