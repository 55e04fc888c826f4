//! Lengths of time, cut at local midnights.

use std::collections::BTreeMap;

use event::Day;
use jiff::Timestamp;

use crate::Zones;

/// Longest span that is taken for real, in days: a forgotten timer runs up to 999 h.
pub(crate) const SPAN_DAYS_MAX: usize = 400;

/// The seconds of a span on each local day it touches, in order, by the calendar of the zone in force.
///
/// Days have 23, 24 or 25 hours, and a day may begin at one o'clock. Where the user changes zones, the
/// span goes on in the new one, whose day may be one that was there before. The sum is the span's length
/// in whole seconds. A span that ends before it starts has none; one over 400 days is cut there.
#[must_use]
pub fn seconds_by_day(start: Timestamp, stop: Timestamp, zones: &Zones) -> Vec<(Day, i64)> {
    let mut days: BTreeMap<Day, i64> = BTreeMap::new();
    let mut from = start;
    while from < stop && days.len() < SPAN_DAYS_MAX {
        let zone = zones.at(from);
        let day = Day::at(from, zone);
        let until = day.next().start(zone).min(stop);
        let until = zones.change_after(from).map_or(until, |change| until.min(change));
        if until <= from {
            break;
        }
        *days.entry(day).or_default() += until.as_second() - from.as_second();
        from = until;
    }
    days.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    fn cut(start: &str, stop: &str, zone: &str) -> Vec<(String, i64)> {
        let zones = Zones::always(TimeZone::get(zone).unwrap());
        texts(seconds_by_day(start.parse().unwrap(), stop.parse().unwrap(), &zones))
    }

    fn texts(days: Vec<(Day, i64)>) -> Vec<(String, i64)> {
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
        let zone = Zones::always(TimeZone::get("America/Santiago").unwrap());
        let (start, stop) =
            ("2026-01-03T05:06:07Z".parse().unwrap(), "2026-11-09T01:02:03Z".parse::<Timestamp>().unwrap());
        let sum: i64 = seconds_by_day(start, stop, &zone).iter().map(|(_, seconds)| seconds).sum();
        assert_eq!(sum, stop.as_second() - start.as_second());
    }

    #[test]
    fn a_span_over_a_change_of_zone_is_cut_at_the_change() {
        let zone = |name| TimeZone::get(name).unwrap();
        // From Tokyo to Honolulu at 03:00 UTC: noon of the 2nd there becomes the evening of the 1st here.
        let moved = "2026-05-02T03:00:00Z".parse().unwrap();
        let zones = Zones::new(zone("Asia/Tokyo"), vec![(moved, zone("Pacific/Honolulu"))]);
        let span =
            seconds_by_day("2026-05-02T01:00:00Z".parse().unwrap(), "2026-05-02T11:00:00Z".parse().unwrap(), &zones);
        assert_eq!(texts(span), days(&[("2026-05-01", 7 * 3600), ("2026-05-02", 3 * 3600)]));
    }
}
