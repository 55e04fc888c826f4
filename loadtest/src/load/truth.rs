//! What must come of a stream: every number at the end, and on the way when Exist has caught up with each telling.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{
    count::amounts_by_day,
    lateness::Lateness,
    source::{Source, mapping, tag},
    stream::{Header, State, Telling},
};
use crate::{
    github::{Issue, Member},
    judge::{Code, Numbers, Records, expected},
    toggl::Entry,
    trakt::{NewPlay, Play, What},
    world::Mapping,
};

/// The first record's id at the source; real ids are already above this.
const FIRST_ID: i64 = 3_700_000_000;
/// How long every film is.
const FILM_MINUTES: u32 = 100;

/// The newest version of every record, and what Exist was seen to hold.
pub(crate) struct Truth {
    pub(crate) anchor_s: i64,
    zones: Vec<TimeZone>,
    mappings: Vec<Vec<Mapping>>,
    known: Mutex<Known>,
    /// From a telling that changes a number until Exist holds it, or a later number.
    pub(crate) confirmed: Lateness,
}

#[derive(Default)]
struct Known {
    newest: Vec<HashMap<u32, Telling>>,
    pairs: HashMap<(u32, u8, Date), Pair>,
    /// Changes of numbers that Exist has not been seen to hold.
    waiting: u64,
}

/// One person's attribute on one day.
#[derive(Default)]
struct Pair {
    /// Of base units.
    sum: i64,
    /// What it was on the way and Exist was not seen to hold yet, in order.
    since: VecDeque<Change>,
}

struct Change {
    number: i64,
    due_us: Option<u64>,
}

/// What a telling is to what was told before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The first of its record.
    First,
    /// The newest version.
    News,
    /// The version that is the newest already.
    Again,
    /// An older one.
    Stale,
    /// Nothing that can be read.
    Broken,
}

impl Truth {
    pub(crate) fn new(header: &Header, anchor_s: i64) -> Truth {
        let zone = |name: &str| TimeZone::get(name).expect("the header was checked");
        let mappings = header.people.iter().map(|someone| {
            let attributes = someone.attributes.iter().enumerate();
            attributes.map(|(index, attribute)| mapping(index, attribute)).collect()
        });
        let newest = vec![HashMap::new(); header.people.len()];
        Truth {
            anchor_s,
            zones: header.people.iter().map(|someone| zone(&someone.timezone)).collect(),
            mappings: mappings.collect(),
            known: Mutex::new(Known { newest, ..Known::default() }),
            confirmed: Lateness::default(),
        }
    }

    /// Somebody's attributes.
    pub(crate) fn mappings(&self, person: usize) -> &[Mapping] {
        &self.mappings[person]
    }

    /// Something is told; `due_us` is when it was to be, none if nobody waits for it.
    pub(crate) fn tell(&self, telling: &Telling, due_us: Option<u64>) -> Standing {
        if telling.state == State::Broken {
            return Standing::Broken;
        }
        let person = place(telling.person);
        let mut known = self.known();
        let old = known.newest[person].get(&telling.record).copied();
        match old.map(|old| telling.version_us.cmp(&old.version_us)) {
            Some(std::cmp::Ordering::Equal) => return Standing::Again,
            Some(std::cmp::Ordering::Less) => return Standing::Stale,
            _ => {}
        }
        known.newest[person].insert(telling.record, *telling);
        let mut changes: BTreeMap<(u8, Date), i64> = BTreeMap::new();
        for (told, sign) in old.iter().map(|old| (old, -1)).chain([(telling, 1)]) {
            let days = amounts_by_day(&self.zones[person], self.anchor_s, told);
            for attribute in (0..self.mappings[person].len()).filter(|attribute| told.feeds(*attribute)) {
                let attribute = u8::try_from(attribute).expect("at most 16");
                for (day, amount) in &days {
                    *changes.entry((attribute, *day)).or_default() += sign * amount;
                }
            }
        }
        // What is asked for when its turn comes was due at no known moment.
        let due_us = due_us.filter(|_| telling.source.has_webhooks());
        let source = telling.source;
        for ((attribute, day), amount) in changes {
            let pair = known.pairs.entry((telling.person, attribute, day)).or_default();
            let before = source.number(pair.sum);
            pair.sum += amount;
            let after = source.number(pair.sum);
            if before != after {
                pair.since.push_back(Change { number: after, due_us });
                known.waiting += 1;
            }
        }
        if old.is_some() { Standing::News } else { Standing::First }
    }

    /// Exist holds this number of somebody's attribute on a day now: whatever was told before truth last
    /// said so is confirmed.
    pub(crate) fn hears(&self, person: u32, attribute: usize, day: Date, held: i64, now_us: u64) {
        let Ok(attribute) = u8::try_from(attribute) else { return };
        let mut known = self.known();
        let Some(pair) = known.pairs.get_mut(&(person, attribute, day)) else { return };
        let Some(last) = pair.since.iter().rposition(|change| change.number == held) else { return };
        let confirmed: Vec<Change> = pair.since.drain(..=last).collect();
        known.waiting -= u64::try_from(confirmed.len()).unwrap_or(0);
        for due in confirmed.into_iter().filter_map(|change| change.due_us) {
            self.confirmed.note(due, now_us);
        }
    }

    /// Changes of numbers that Exist has not been seen to hold.
    pub(crate) fn waiting(&self) -> u64 {
        self.known().waiting
    }

    /// At the end, when every number is right: what Exist never had to be told is not waited for. Returns how many.
    pub(crate) fn settle(&self) -> u64 {
        let mut known = self.known();
        for pair in known.pairs.values_mut() {
            pair.since.clear();
        }
        std::mem::take(&mut known.waiting)
    }

    /// The place of somebody's attribute of this name.
    pub(crate) fn attribute(&self, person: usize, name: &str) -> Option<usize> {
        self.mappings.get(person)?.iter().position(|mapping| mapping.attribute == name)
    }

    /// What Exist must hold for somebody: the judge's sum over the newest versions, whatever else we believe.
    pub(crate) fn expected(&self, person: usize) -> Numbers {
        let known = self.known();
        let mut records = Records::default();
        let me = Member { login: String::new(), user_id: 0 };
        records.code = Code { user_id: me.user_id, ..Code::default() };
        for telling in known.newest[person].values() {
            match telling.source {
                Source::Toggl => records.entries.push(self.entry(telling)),
                // At these, what was deleted is not there any more.
                _ if telling.state == State::Gone => {}
                Source::Github => records.code.issues.push(self.issue(telling, me.clone())),
                Source::Trakt => records.plays.push(self.play(telling)),
            }
        }
        expected(&self.zones[person], &self.mappings[person], &records)
    }

    /// A telling as the source holds it.
    pub(crate) fn entry(&self, telling: &Telling) -> Entry {
        let at = self.version(telling);
        Entry {
            id: FIRST_ID + i64::from(telling.record),
            start: self.second(telling.start_s),
            stop: telling.seconds.map(|seconds| self.second(telling.start_s + i64::from(seconds))),
            project_id: None,
            tags: (0..self.mappings[place(telling.person)].len())
                .filter(|index| telling.feeds(*index))
                .map(tag)
                .collect(),
            description: None,
            at,
            deleted_at: (telling.state == State::Gone).then_some(at),
        }
    }

    /// A telling as an issue that somebody opened.
    pub(crate) fn issue(&self, telling: &Telling, author: Member) -> Issue {
        let (created_at, updated_at) = (self.second(telling.start_s), self.version(telling));
        let id = FIRST_ID + i64::from(telling.record);
        Issue {
            id,
            number: i64::from(telling.record),
            author,
            created_at,
            updated_at,
            closed_at: None,
            closed_by: None,
        }
    }

    /// A telling as a film that somebody watched.
    pub(crate) fn play(&self, telling: &Telling) -> Play {
        let film = NewPlay {
            what: What::Movie,
            watched_at: self.second(telling.start_s),
            runtime: Some(FILM_MINUTES),
            show_runtime: None,
            show_is_null: false,
        };
        Play::new(FIRST_ID + i64::from(telling.record), film)
    }

    fn second(&self, second: i64) -> Timestamp {
        Timestamp::from_second(self.anchor_s + second).expect("a second of this era")
    }

    fn version(&self, telling: &Telling) -> Timestamp {
        let micros = self.anchor_s * 1_000_000 + telling.version_us;
        Timestamp::from_microsecond(micros).expect("a moment of this era")
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(person: u32) -> usize {
    usize::try_from(person).expect("a place in a list")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{
        scenario::Via,
        stream::{Attribute, Someone},
    };

    const NOON: i64 = 1_780_000_000;

    fn truth() -> Truth {
        let attributes =
            vec![Attribute { name: "tv_min".into(), template: true, increment: false, source: Source::Toggl }];
        let people = vec![Someone { timezone: "UTC".into(), attributes }];
        Truth::new(&Header::new("one".into(), Via::Webhooks, people), NOON)
    }

    fn telling(record: u32, version_us: i64, seconds: u32) -> Telling {
        let (start_s, feeds) = (-40_000, 1);
        Telling {
            at_us: Some(0),
            person: 0,
            record,
            version_us,
            start_s,
            seconds: Some(seconds),
            feeds,
            state: State::There,
            source: Source::Toggl,
        }
    }

    fn day() -> Date {
        Timestamp::from_second(NOON - 40_000).unwrap().to_zoned(TimeZone::UTC).date()
    }

    #[test]
    fn a_telling_is_news_again_or_stale_by_its_version() {
        let truth = truth();
        assert_eq!(truth.tell(&telling(1, 5, 600), None), Standing::First);
        assert_eq!(truth.tell(&telling(1, 6, 600), None), Standing::News);
        assert_eq!(truth.tell(&telling(1, 6, 600), None), Standing::Again);
        assert_eq!(truth.tell(&telling(1, 4, 60), None), Standing::Stale);
        assert_eq!(truth.tell(&Telling { state: State::Broken, ..telling(2, 9, 60) }, None), Standing::Broken);
        assert_eq!(truth.expected(0), [(("tv_min".to_owned(), day()), 10.into())].into());
    }

    #[test]
    fn a_number_confirms_what_was_told_before_truth_last_made_it() {
        let truth = truth();
        truth.tell(&telling(1, 1, 600), Some(1_000));
        truth.tell(&telling(2, 2, 300), Some(2_000));
        truth.tell(&telling(3, 3, 60), Some(3_000));
        truth.hears(0, 0, day(), 99, 4_000);
        assert_eq!((truth.waiting(), truth.confirmed.count()), (3, 0), "no telling ever made 99");
        truth.hears(0, 0, day(), 15, 5_000);
        assert_eq!((truth.waiting(), truth.confirmed.count()), (1, 2));
        assert_eq!(truth.confirmed.whole().max_us / 100, 40);
        truth.hears(0, 0, day(), 16, 6_000);
        assert_eq!(truth.waiting(), 0);
    }

    #[test]
    fn an_edit_that_comes_back_to_what_stood_there_waits_for_it_anew() {
        let truth = truth();
        truth.tell(&telling(1, 1, 600), Some(0));
        truth.hears(0, 0, day(), 10, 1);
        truth.tell(&telling(1, 2, 60), Some(2));
        truth.tell(&telling(1, 3, 600), Some(3));
        assert_eq!(truth.waiting(), 2);
        truth.hears(0, 0, day(), 10, 9);
        assert_eq!(truth.waiting(), 0);
    }
}
