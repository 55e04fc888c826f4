//! A duration over the days of a span, exactly.

use event::Day;
use jiff::Timestamp;
use source::{Zones, seconds_by_day};

/// The seconds of an entry on each local day it touches; their sum is always `duration`.
///
/// A span of another length than the duration is scaled, because users edit durations: each day gets
/// its share rounded down, and the seconds left over go to the days with the largest remainders, the
/// earlier one first among equals. A span without a length puts everything on the day it starts.
pub(crate) fn split(start: Timestamp, stop: Timestamp, duration: i64, zones: &Zones) -> Vec<(Day, i64)> {
    let span = seconds_by_day(start, stop, zones);
    let length: i64 = span.iter().map(|(_, seconds)| seconds).sum();
    if length == duration {
        return span;
    }
    if length <= 0 {
        return vec![(zones.day_of(start), duration)];
    }
    let scale = |seconds: i64| i128::from(seconds) * i128::from(duration);
    let share = |seconds: i64| i64::try_from(scale(seconds) / i128::from(length)).expect("a part of the duration");
    let mut days: Vec<_> = span.iter().map(|&(day, seconds)| (day, share(seconds))).collect();
    let left = duration - days.iter().map(|(_, seconds)| seconds).sum::<i64>();
    let mut order: Vec<_> = (0..span.len()).collect();
    order.sort_by_key(|&place| std::cmp::Reverse(scale(span[place].1) % i128::from(length)));
    // Each share lost less than one second, so there are fewer seconds left than days.
    for &place in order.iter().take(usize::try_from(left).expect("rounding down leaves no debt")) {
        days[place].1 += 1;
    }
    days
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn texts(days: Vec<(Day, i64)>) -> Vec<(String, i64)> {
        days.into_iter().map(|(day, seconds)| (day.to_string(), seconds)).collect()
    }

    #[test]
    fn an_entry_over_midnight_is_cut_there() {
        let days = split(at("2026-05-01T23:30:00Z"), at("2026-05-02T01:00:00Z"), 5_400, &Zones::always(TimeZone::UTC));
        assert_eq!(texts(days), [("2026-05-01".to_owned(), 1_800), ("2026-05-02".to_owned(), 3_600)]);
    }

    #[test]
    fn another_duration_than_the_span_is_shared_by_largest_remainder() {
        let (start, stop) = (at("2026-05-01T23:30:00Z"), at("2026-05-02T01:00:00Z"));
        let shares = |duration| {
            texts(split(start, stop, duration, &Zones::always(TimeZone::UTC)))
                .into_iter()
                .map(|(_, seconds)| seconds)
                .collect::<Vec<_>>()
        };
        // A third and two thirds: 1000 is 333⅓ and 666⅔.
        assert_eq!(shares(1_000), [333, 667]);
        assert_eq!(shares(1), [0, 1]);
        assert_eq!(shares(0), [0, 0]);
        assert_eq!(shares(10_800), [3_600, 7_200]);
    }

    #[test]
    fn a_span_without_length_puts_all_on_the_day_it_starts() {
        let start = at("2026-05-01T23:30:00Z");
        for stop in [start, at("2026-05-01T22:00:00Z")] {
            let days = split(start, stop, 60, &Zones::always(TimeZone::UTC));
            assert_eq!(texts(days), [("2026-05-01".to_owned(), 60)]);
        }
    }

    proptest! {
        #[test]
        fn the_days_always_sum_to_the_duration(
            start in 1_700_000_000i64..1_800_000_000,
            length in -10_000i64..4_000_000,
            duration in 0i64..4_000_000,
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Kiritimati", "Africa/Cairo"]),
        ) {
            let zones = Zones::always(TimeZone::get(zone).unwrap());
            let (from, to) = (Timestamp::from_second(start).unwrap(), Timestamp::from_second(start + length).unwrap());
            let days = split(from, to, duration, &zones);
            prop_assert_eq!(days.iter().map(|(_, seconds)| seconds).sum::<i64>(), duration);
            prop_assert!(days.iter().all(|&(_, seconds)| seconds >= 0));
            prop_assert!(days.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
}
