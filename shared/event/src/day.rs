//! A calendar date in a user's own zone.

use std::{fmt, str::FromStr};

use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// A date is not one that a calendar has, or not spelled `YYYY-MM-DD`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a date (YYYY-MM-DD)")]
pub struct DayError {
    text: String,
}

/// A user's local date, as days since 1970-01-01.
///
/// It carries no zone: the zone decided which day it is, and a later move does not change it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(i32);

const EPOCH: Date = Date::constant(1970, 1, 1);

impl Day {
    /// The day with this many days since 1970-01-01.
    #[must_use]
    pub const fn from_number(days: i32) -> Self {
        Self(days)
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The local date at this instant.
    #[must_use]
    pub fn at(instant: Timestamp, zone: &TimeZone) -> Self {
        Self::from_date(zone.to_datetime(instant).date())
    }

    /// The same date.
    #[must_use]
    pub fn from_date(date: Date) -> Self {
        Self(date.since(EPOCH).map_or(0, |span| span.get_days()))
    }

    /// The same date; days outside the calendar of years −9999 to 9999 become 1970-01-01.
    #[must_use]
    pub fn date(self) -> Date {
        EPOCH.checked_add(Span::new().try_days(self.0).unwrap_or_default()).unwrap_or(EPOCH)
    }

    /// The day after.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// This many days later, or earlier when negative.
    #[must_use]
    pub const fn plus(self, days: i32) -> Self {
        Self(self.0 + days)
    }

    /// The first instant of this day in a zone (not always midnight: some zones skip it).
    #[must_use]
    pub fn start(self, zone: &TimeZone) -> Timestamp {
        self.date().to_zoned(zone.clone()).map_or(Timestamp::UNIX_EPOCH, |zoned| zoned.timestamp())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date())
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Day({self})")
    }
}

impl FromStr for Day {
    type Err = DayError;
    fn from_str(text: &str) -> Result<Self, DayError> {
        let strict = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let date = text.parse::<Date>().ok().filter(|_| strict);
        date.map(Self::from_date).ok_or_else(|| DayError { text: text.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_instant_is_another_day_in_another_zone() {
        let instant: Timestamp = "2026-03-28T11:30:00Z".parse().unwrap();
        let day = |zone| Day::at(instant, &TimeZone::get(zone).unwrap()).to_string();
        assert_eq!(day("Pacific/Kiritimati"), "2026-03-29");
        assert_eq!(day("Pacific/Pago_Pago"), "2026-03-28");
        assert_eq!(day("Asia/Kathmandu"), "2026-03-28");
    }

    #[test]
    fn a_day_starts_at_one_where_midnight_is_skipped() {
        // Cairo moves from 00:00 to 01:00 on 2026-04-24.
        let zone = TimeZone::get("Africa/Cairo").unwrap();
        let day: Day = "2026-04-24".parse().unwrap();
        assert_eq!(day.start(&zone).to_string(), "2026-04-23T22:00:00Z");
        assert_eq!(Day::at(day.start(&zone), &zone), day);
    }

    #[test]
    fn a_date_has_ten_characters_and_exists() {
        for text in ["2026-3-01", "2026-02-30", "20260301", "2026-03-01T00:00"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn number_and_text_both_come_back(number in -100_000..100_000i32) {
            let day = Day::from_number(number);
            proptest::prop_assert_eq!(Day::from_date(day.date()), day);
            if number >= 0 {
                proptest::prop_assert_eq!(day.to_string().parse::<Day>().unwrap(), day);
            }
        }
    }
}
