//! Which windows were read, and which pulses they held.

use std::collections::{BTreeMap, BTreeSet};

use event::{Day, Version};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use source::{Read, Row};

use crate::{ApiKind, pulse::Pulse};

/// Seconds of a UTC day.
const DAY: i64 = 86_400;

/// Everything that is remembered between two reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Through which API the pulses were read: their ids differ.
    pub(crate) api: ApiKind,
    /// The walk that is under way, if the last read left windows to read.
    walk: Option<Walk>,
    /// The UTC day on which the last whole walk began; none before the first.
    read_on: Option<i32>,
    /// The pulses of the days that are read again and again.
    held: BTreeMap<String, Held>,
    /// The greatest pulse number so far.
    highest: i64,
}

/// A pulse that was passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Held(
    /// Its date in seconds, if it could be read.
    Option<i64>,
    /// The hash of its row.
    u64,
    /// Its number, or 0.
    i64,
);

/// A span of time that is read from its end to its beginning, one window after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Walk {
    /// The UTC day on which it began.
    today: i32,
    /// Where it ends, in seconds.
    from: i64,
    /// The day before which all is read; none at first: pulses with a date ahead of us are taken too.
    before: Option<i32>,
    /// How many days the next window has.
    days: i32,
    /// The greatest pulse number when it began: what is above is new.
    highest: i64,
    /// It is the first of the connection.
    back_fill: bool,
}

/// What one read asks for: pulses from `begin`, before the day `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Its first second.
    pub(crate) begin: i64,
    /// The day after its last; none for the newest window.
    pub(crate) end: Option<Day>,
    /// The UTC day on which the walk began.
    pub(crate) today: Day,
    /// It belongs to the first walk of the connection.
    pub(crate) back_fill: bool,
}

impl Window {
    /// Its first UTC day.
    pub(crate) fn first_day(&self) -> Day {
        Day::from_number(day_of(self.begin))
    }

    /// The day after its last; the newest window ends after today.
    pub(crate) fn day_after(&self) -> Day {
        self.end.unwrap_or(self.today.next())
    }

    fn holds(&self, date: i64) -> bool {
        date >= self.begin && self.end.is_none_or(|end| date < second_of(end))
    }
}

impl State {
    pub(crate) fn fresh(api: ApiKind) -> Self {
        Self { api, walk: None, read_on: None, held: BTreeMap::new(), highest: 0 }
    }

    /// The window to read now; begins a walk where none is under way.
    ///
    /// A walk goes back a few days before the last one, or to the beginning of the back-fill window:
    /// after an outage of weeks nothing is left out.
    pub(crate) fn window(&mut self, read: &Read) -> Window {
        let today = Day::at(read.now, &TimeZone::UTC);
        let (api, read_on, highest) = (self.api, self.read_on, self.highest);
        let walk = self.walk.get_or_insert_with(|| {
            let again = |day: i32| i64::from(day.min(today.number()) - api.days_again()) * DAY;
            let from = read_on.map_or_else(|| read.back_fill_from.as_second().min(second_of(today)), again);
            let back_fill = read_on.is_none();
            Walk { today: today.number(), from, before: None, days: api.window_days(), highest, back_fill }
        });
        let today = Day::from_number(walk.today);
        let end = walk.before.map(Day::from_number);
        let begin = second_of(end.unwrap_or(today.next()).plus(-walk.days)).max(walk.from);
        Window { begin, end, today, back_fill: walk.back_fill }
    }

    /// Takes the next window half as long; `false` if it has only one day already.
    pub(crate) fn halve(&mut self) -> bool {
        let Some(walk) = self.walk.as_mut().filter(|walk| walk.days > 1) else { return false };
        walk.days /= 2;
        true
    }

    /// Moves behind a window that was read, and says which of its rows are news.
    ///
    /// `complete` says that the answer was read to its end. Only then is a pulse that we hold and the
    /// answer lacks a deleted one, and only where every row told its id: the lacking pulse may be the
    /// row that did not.
    pub(crate) fn take(&mut self, window: &Window, pulses: Vec<Pulse>, complete: bool) -> (Vec<Row>, bool) {
        let seen: BTreeSet<String> = pulses.iter().map(|pulse| pulse.row.external_id.to_string()).collect();
        let ids_known = pulses.iter().all(|pulse| !pulse.row.external_id.as_str().starts_with("row:"));
        let (before, highest) = (self.held.clone(), self.walk.as_ref().map_or(self.highest, |walk| walk.highest));
        // Undated rows are remembered for as long as the newest window has them.
        self.held.retain(|id, held| held.0.is_some() || window.end.is_some() || seen.contains(id));

        let mut rows = Vec::new();
        for Pulse { mut row, number, date } in pulses {
            let held = before.get(row.external_id.as_str());
            let date = date.or(held.and_then(|held| held.0));
            let is_ours = held.is_some() || date.is_none_or(|date| window.holds(date));
            let hash = row.content().0;
            if !is_ours || self.held.get(row.external_id.as_str()).is_some_and(|held| held.1 == hash) {
                continue;
            }
            row.seen_before = !window.back_fill && (held.is_some() || number.is_some_and(|number| number <= highest));
            self.highest = self.highest.max(number.unwrap_or(0));
            self.held.insert(row.external_id.to_string(), Held(date, hash, number.unwrap_or(0)));
            rows.push(row);
        }
        if complete && ids_known {
            rows.extend(self.vanished(window, &seen));
        }
        rows.sort_by_key(|row| row.version);
        (rows, self.advance(window))
    }

    /// The pulses that we hold and the window lacks. Dates behind today are left for tomorrow: the
    /// answer may not reach so far.
    fn vanished(&mut self, window: &Window, seen: &BTreeSet<String>) -> Vec<Row> {
        let until = second_of(window.day_after());
        let gone = self.held.extract_if(.., |id, held| {
            held.0.is_some_and(|date| window.holds(date) && date < until) && !seen.contains(id)
        });
        let row = |(id, held): (String, Held)| {
            let mut row = Row::deleted(id.parse().expect("only ids are held"), Version(held.2));
            row.seen_before = true;
            row
        };
        gone.map(row).collect()
    }

    /// Moves the walk behind the window; `true` while there is more of it.
    fn advance(&mut self, window: &Window) -> bool {
        let Some(walk) = self.walk.as_mut() else { return false };
        // What no later walk reads again is not remembered. A walk after an outage still needs it, to
        // find what vanished meanwhile.
        let again = i64::from(walk.today - self.api.days_again()) * DAY;
        self.held.retain(|_, held| !walk.back_fill || held.0.is_none_or(|date| date >= again));
        if window.begin > walk.from {
            walk.before = Some(day_of(window.begin));
            walk.days = (walk.days * 2).min(self.api.window_days());
            return true;
        }
        self.held.retain(|_, held| held.0.is_none_or(|date| date >= again));
        self.read_on = Some(walk.today);
        self.walk = None;
        false
    }
}

/// The UTC day of a second.
fn day_of(second: i64) -> i32 {
    i32::try_from(second.div_euclid(DAY)).expect("a timestamp's day fits")
}

fn second_of(day: Day) -> i64 {
    i64::from(day.number()) * DAY
}
