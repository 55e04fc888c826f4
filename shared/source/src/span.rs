//! Lengths of time, cut at local midnights.

use event::Day;
use jiff::{Timestamp, tz::TimeZone};

/// Longest span that is taken for real, in days: a forgotten timer runs up to 999 h.
pub(crate) const SPAN_DAYS_MAX: usize = 400;

/// The seconds of a span on each local day it touches, by the zone's calendar.
///
/// Days have 23, 24 or 25 hours, and a day may begin at one o'clock. The sum is the span's length in
/// whole seconds. A span that ends before it starts has none; one over 400 days is cut there.
#[must_use]
pub fn seconds_by_day(start: Timestamp, stop: Timestamp, zone: &TimeZone) -> Vec<(Day, i64)> {
    let mut days = Vec::new();
    let mut from = start;
    while from < stop && days.len() < SPAN_DAYS_MAX {
        let day = Day::at(from, zone);
        let until = day.next().start(zone).min(stop);
        if until <= from {
            break;
        }
        days.push((day, until.as_second() - from.as_second()));
        from = until;
    }
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(start: &str, stop: &str, zone: &str) -> Vec<(String, i64)> {
        let zone = TimeZone::get(zone).unwrap();
        let days = seconds_by_day(start.parse().unwrap(), stop.parse().unwrap(), &zone);
        days.into_iter().map(|(day, seconds)| (day.to_string(), seconds)).collect()
    }

    fn days(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
        expected.iter().map(|&(day, seconds)| (day.to_owned(), seconds)).collect()
    }

    #[test]
    fn a_day_of_25_hours_holds_25_hours() {
        // Berlin, 2026-10-25: clocks go back at 03:00.
        let whole = cut("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "Europe/Berlin");
        assert_eq!(whole, days(&[("2026-10-25", 25 * 3600)]));
    }

    #[test]
    fn a_day_of_23_hours_holds_23_hours() {
        let whole = cut("2026-03-28T22:00:00Z", "2026-03-29T23:00:00Z", "Europe/Berlin");
        assert_eq!(whole, days(&[("2026-03-28", 3600), ("2026-03-29", 23 * 3600), ("2026-03-30", 3600)]));
    }

    #[test]
    fn midnight_is_where_the_zone_says() {
        let span = ("2026-05-01T17:45:00Z", "2026-05-01T18:45:00Z");
        assert_eq!(cut(span.0, span.1, "Asia/Kathmandu"), days(&[("2026-05-01", 1800), ("2026-05-02", 1800)]));
        assert_eq!(cut(span.0, span.1, "Pacific/Kiritimati"), days(&[("2026-05-02", 3600)]));
        assert_eq!(cut("2026-05-01T18:45:00Z", "2026-05-01T17:45:00Z", "UTC"), days(&[]));
    }

    #[test]
    fn no_second_is_lost_over_many_days() {
        let zone = TimeZone::get("America/Santiago").unwrap();
        let (start, stop) =
            ("2026-01-03T05:06:07Z".parse().unwrap(), "2026-11-09T01:02:03Z".parse::<Timestamp>().unwrap());
        let sum: i64 = seconds_by_day(start, stop, &zone).iter().map(|(_, seconds)| seconds).sum();
        assert_eq!(sum, stop.as_second() - start.as_second());
    }
}
