//! Who meets what.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use loadtest::{
    demo::Stage,
    exist::{DailyValue, Fault, Happening, ItemPick, Service},
    world::{PEOPLE_ZONES, Person},
};
use rust_decimal::Decimal;

/// Longer than the services wait for an answer, shorter than they let an unknown outcome settle.
const LATE: Duration = Duration::from_millis(1800);
/// What a 429 asks for.
const HINT: Duration = Duration::from_secs(4);
/// By what the user's edits change a day: no sum of pulses.
const EDITED_BY: i64 = 7919;
/// What nothing of ours must be near of, or a day would end in the middle of a test.
const DAYS_END: i64 = 90;

/// One person's bad luck.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    ZoneChange,
    Edit,
    EditAndLostReply,
    Refused,
    CommitThenReset,
    CommitThenHtml,
    Late,
    NeverSeen,
    Unordered,
    Stolen,
    Unauthorised,
    Limited,
    LimitedSilently,
}

impl Trouble {
    /// Those that speak of today come first: they get the people whose day is long enough yet.
    pub(crate) const ALL: [Trouble; 13] = [
        Trouble::ZoneChange,
        Trouble::Edit,
        Trouble::EditAndLostReply,
        Trouble::Refused,
        Trouble::CommitThenReset,
        Trouble::CommitThenHtml,
        Trouble::Late,
        Trouble::NeverSeen,
        Trouble::Unordered,
        Trouble::Stolen,
        Trouble::Unauthorised,
        Trouble::Limited,
        Trouble::LimitedSilently,
    ];

    /// What the person's first requests of any kind meet.
    pub(crate) fn at_first(self) -> Vec<Fault> {
        match self {
            Trouble::CommitThenReset => vec![Fault::CommitThenReset],
            Trouble::CommitThenHtml => vec![Fault::CommitThenStatus(502)],
            Trouble::NeverSeen => vec![Fault::ResetBeforeCommit],
            _ => Vec::new(),
        }
    }

    /// What all of the person's requests meet.
    pub(crate) fn always(self) -> Vec<Fault> {
        match self {
            Trouble::Unordered => vec![Fault::Shuffle, Fault::ExtraKey, Fault::NoSubgroup],
            _ => Vec::new(),
        }
    }

    /// What requests that carry values meet while the script goes on, one after the other.
    pub(crate) fn under_way(self) -> Vec<Fault> {
        let taken =
            |name: &str| Happening::OwnershipTaken { attribute: name.into(), by: Service::named("another-service") };
        match self {
            Trouble::CommitThenReset => vec![Fault::CommitThenReset, Fault::CommitThenReset],
            Trouble::CommitThenHtml => vec![Fault::CommitThenStatus(502), Fault::CommitThenStatus(504)],
            Trouble::Late => vec![Fault::CommitLate(LATE), Fault::AnswerLate(LATE)],
            Trouble::NeverSeen => vec![Fault::ResetBeforeCommit, Fault::Status(503)],
            Trouble::Stolen => vec![Fault::Before(taken("keystrokes")), Fault::Before(taken("uptime_min"))],
            Trouble::Unauthorised => vec![Fault::Unauthorised],
            Trouble::Limited => vec![Fault::TooManyRequests { retry_after: Some(HINT), detail: true }],
            Trouble::LimitedSilently => vec![Fault::TooManyRequests { retry_after: None, detail: false }],
            _ => Vec::new(),
        }
    }

    /// What the request meets that carries the `wave`-th pulse of a person who is otherwise at rest.
    pub(crate) fn at_rest(self, wave: usize, stage: &Stage, person: &Person) -> Vec<Fault> {
        let today = Timestamp::now().to_zoned(person.zone()).date();
        let edit = |name: &str| edited(stage, person, name, today);
        let fails = |code: &str, text: &str| Fault::FailItem {
            item: ItemPick::Dated("keystrokes".into(), today),
            code: code.into(),
            text: text.into(),
        };
        match (self, wave) {
            (Trouble::Edit, 0) => vec![Fault::Before(edit("mouse_clicks"))],
            (Trouble::Edit, 1) => vec![Fault::After(edit("keystrokes"))],
            (Trouble::EditAndLostReply, 0) => vec![Fault::Before(edit("keystrokes")), Fault::CommitThenReset],
            (Trouble::EditAndLostReply, 1) => vec![Fault::Before(edit("mouse_clicks")), Fault::ResetBeforeCommit],
            (Trouble::Refused, 0) => vec![fails("validation", "Value must be an integer")],
            (Trouble::Refused, 1) => vec![fails("moon_phase", "not while the moon is full")],
            _ => Vec::new(),
        }
    }

    /// What the request meets by which a deleted record leaves its day.
    pub(crate) fn on_taking_back(self) -> Option<Fault> {
        match self {
            Trouble::CommitThenReset => Some(Fault::CommitThenReset),
            Trouble::CommitThenHtml => Some(Fault::CommitThenStatus(502)),
            Trouble::Late => Some(Fault::CommitLate(LATE)),
            Trouble::NeverSeen => Some(Fault::ResetBeforeCommit),
            Trouble::Limited => Some(Fault::TooManyRequests { retry_after: Some(HINT), detail: true }),
            _ => None,
        }
    }

    /// What the log calls the faults that requests with values must have met.
    pub(crate) fn shows(self) -> &'static [&'static str] {
        match self {
            Trouble::CommitThenReset => &["commit_then_reset"],
            Trouble::CommitThenHtml => &["commit_then_status"],
            Trouble::Late => &["commit_late", "answer_late"],
            Trouble::NeverSeen => &["reset_before_commit", "status"],
            Trouble::Unordered => &["shuffle", "extra_key", "no_subgroup"],
            Trouble::Stolen => &["before"],
            Trouble::Unauthorised => &["unauthorised"],
            Trouble::Limited | Trouble::LimitedSilently => &["too_many_requests"],
            Trouble::Edit => &["before", "after"],
            Trouble::EditAndLostReply => &["before", "commit_then_reset", "reset_before_commit"],
            Trouble::Refused => &["fail_item"],
            Trouble::ZoneChange => &[],
        }
    }
}

/// The user types another number over what stands there.
pub(crate) fn edited(stage: &Stage, person: &Person, name: &str, date: Date) -> Happening {
    let attribute = name.to_owned();
    let held = stage.exist.values(&person.name).get(&(attribute.clone(), date)).and_then(DailyValue::number);
    let value = DailyValue::Number(held.unwrap_or_default() + Decimal::from(EDITED_BY));
    Happening::UserEdit { attribute, date, value }
}

/// Everybody's trouble.
pub(crate) fn cast(people: &[Person], now: Timestamp) -> BTreeMap<Trouble, usize> {
    let mut free: Vec<usize> = (0..people.len()).collect();
    free.sort_by_key(|index| !is_far_from_midnight(&people[*index].zone(), now));
    let mut cast = BTreeMap::new();
    for trouble in Trouble::ALL {
        let fits = |index: &usize| trouble != Trouble::ZoneChange || elsewhere(&people[*index], now).is_some();
        match free.iter().position(fits) {
            Some(place) => cast.insert(trouble, free.remove(place)),
            // In a year without a clock change there is one person less: the two kinds of 429 share one.
            None => cast.insert(trouble, cast[&Trouble::Limited]),
        };
    }
    cast
}

fn is_far_from_midnight(zone: &TimeZone, now: Timestamp) -> bool {
    let date = |minutes| (now + SignedDuration::from_mins(minutes)).to_zoned(zone.clone()).date();
    date(-DAYS_END) == date(DAYS_END)
}

/// Another zone for someone whose zone Exist tells, where it is the same day: only a past that is cut anew
/// would show.
pub(crate) fn elsewhere(person: &Person, now: Timestamp) -> Option<&'static str> {
    let dates = |zone: &TimeZone| {
        [-5 * 60, DAYS_END].map(|minutes| (now + SignedDuration::from_mins(minutes)).to_zoned(zone.clone()).date())
    };
    let here = person.zone();
    let offset = |zone: &TimeZone| zone.to_offset(now).seconds();
    let mut zones = PEOPLE_ZONES.iter().filter(|_| !person.timezone_in_import);
    zones
        .find(|name| {
            let zone = TimeZone::get(name).expect("zones of the compiled-in database");
            dates(&zone) == dates(&here) && offset(&zone).abs_diff(offset(&here)) >= 3 * 3600
        })
        .copied()
}
