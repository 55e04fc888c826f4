//! Spans cut at local midnights, by the zone's calendar.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

/// The seconds of a span that fall on each local day, in order.
///
/// A day is as long as its zone makes it: from its first instant to the first of the next day.
pub(super) fn seconds_by_day(zone: &TimeZone, start: Timestamp, stop: Timestamp) -> Vec<(Date, i64)> {
    let mut days = Vec::new();
    let mut from = start;
    while from < stop {
        let here = from.to_zoned(zone.clone());
        let next = here.tomorrow().and_then(|next| next.start_of_day()).expect("a day of this era").timestamp();
        assert!(next > from, "a day begins after the one before");
        let until = next.min(stop);
        days.push((here.date(), until.duration_since(from).as_secs()));
        from = until;
    }
    days
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(zone: &str, start: &str, stop: &str) -> Vec<(String, i64)> {
        let zone = TimeZone::get(zone).expect("a zone");
        let time = |text: &str| text.parse::<Timestamp>().expect("a time");
        seconds_by_day(&zone, time(start), time(stop))
            .into_iter()
            .map(|(day, seconds)| (day.to_string(), seconds))
            .collect()
    }

    fn day(date: &str, seconds: i64) -> (String, i64) {
        (date.to_owned(), seconds)
    }

    #[test]
    fn a_span_inside_a_day_stays_whole() {
        assert_eq!(cut("UTC", "2026-05-04T10:00:00Z", "2026-05-04T10:00:59Z"), [day("2026-05-04", 59)]);
    }

    #[test]
    fn an_empty_span_falls_on_no_day() {
        assert_eq!(cut("UTC", "2026-05-04T10:00:00Z", "2026-05-04T10:00:00Z"), []);
    }

    #[test]
    fn a_span_across_two_midnights_has_a_whole_day_in_the_middle() {
        let days = cut("Asia/Tokyo", "2026-05-04T14:30:00Z", "2026-05-05T15:10:05Z");
        // 23:30 to 00:10:05 two days on, nine hours ahead of UTC.
        assert_eq!(days, [day("2026-05-04", 1800), day("2026-05-05", 86_400), day("2026-05-06", 605)]);
    }

    #[test]
    fn a_span_that_ends_at_midnight_does_not_touch_the_next_day() {
        let days = cut("Asia/Kathmandu", "2026-05-04T17:15:00Z", "2026-05-04T18:15:00Z");
        assert_eq!(days, [day("2026-05-04", 3600)]);
    }

    #[test]
    fn the_day_the_clocks_fall_back_has_25_hours() {
        // Midnight to midnight in New York: from UTC-4 to UTC-5.
        let days = cut("America/New_York", "2026-11-01T03:00:00Z", "2026-11-02T06:00:00Z");
        assert_eq!(days, [day("2026-10-31", 3600), day("2026-11-01", 25 * 3600), day("2026-11-02", 3600)]);
    }

    #[test]
    fn the_day_the_clocks_spring_ahead_has_23_hours() {
        let days = cut("Europe/Berlin", "2026-03-28T22:00:00Z", "2026-03-29T23:00:00Z");
        assert_eq!(days, [day("2026-03-28", 3600), day("2026-03-29", 23 * 3600), day("2026-03-30", 3600)]);
    }

    #[test]
    fn half_an_hour_of_summer_time_makes_a_day_of_24_and_a_half_hours() {
        // Lord Howe goes from +11 to +10:30 on 5 April 2026.
        let days = cut("Australia/Lord_Howe", "2026-04-04T13:00:00Z", "2026-04-05T13:30:00Z");
        assert_eq!(days, [day("2026-04-05", 24 * 3600 + 1800)]);
    }

    #[test]
    fn a_day_without_a_midnight_begins_when_its_clocks_have_jumped() {
        // Santiago jumps from 24:00 to 01:00 on 6 September 2026, at 04:00 UTC.
        let days = cut("America/Santiago", "2026-09-06T03:00:00Z", "2026-09-07T03:00:00Z");
        assert_eq!(days, [day("2026-09-05", 3600), day("2026-09-06", 23 * 3600)]);
    }

    #[test]
    fn the_ends_of_the_earth_are_a_day_apart() {
        let span = ("2026-05-04T10:30:00Z", "2026-05-04T11:30:00Z");
        assert_eq!(cut("Pacific/Kiritimati", span.0, span.1), [day("2026-05-05", 3600)]);
        assert_eq!(cut("Pacific/Pago_Pago", span.0, span.1), [day("2026-05-03", 1800), day("2026-05-04", 1800)]);
    }
}
