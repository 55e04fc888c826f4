//! What one telling adds to which day: written apart from the judge's own sum, which has the last word.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::stream::{State, Telling};

/// What a telling adds to each local day, seconds or a count of one; the same for every attribute that it feeds.
pub(crate) fn amounts_by_day(zone: &TimeZone, anchor_s: i64, telling: &Telling) -> Vec<(Date, i64)> {
    let (State::There, Some(seconds)) = (telling.state, telling.seconds) else { return Vec::new() };
    let second = |second: i64| Timestamp::from_second(second).expect("a second of this era");
    if !telling.source.is_toggl() {
        return vec![(second(anchor_s + telling.start_s).to_zoned(zone.clone()).date(), 1)];
    }
    let mut from = anchor_s + telling.start_s;
    let stop = from + i64::from(seconds);
    let mut days = Vec::new();
    while from < stop {
        let here = second(from).to_zoned(zone.clone());
        let midnight = here.date().tomorrow().and_then(|next| next.to_zoned(zone.clone())).expect("a day of this era");
        let until = midnight.timestamp().as_second().min(stop);
        days.push((here.date(), until - from));
        from = until;
    }
    days
}

/// Seconds as Exist shows them: whole minutes, rounded half away from zero.
pub(crate) fn minutes(seconds: i64) -> i64 {
    (seconds + 30).div_euclid(60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::source::Source;

    #[test]
    fn a_span_over_midnight_is_cut_there_and_one_that_goes_on_counts_nothing() {
        let telling = Telling {
            at_us: None,
            person: 0,
            record: 1,
            version_us: 0,
            start_s: -600,
            seconds: Some(1_000),
            feeds: 1,
            state: State::There,
            source: Source::Toggl,
        };
        let zone = TimeZone::get("Asia/Tokyo").unwrap();
        // Midnight in Tokyo.
        let anchor = "2026-05-04T15:00:00Z".parse::<Timestamp>().unwrap().as_second();
        let days = amounts_by_day(&zone, anchor, &telling);
        assert_eq!(
            days.iter().map(|(day, n)| (day.to_string(), *n)).collect::<Vec<_>>(),
            [("2026-05-04".into(), 600), ("2026-05-05".into(), 400)]
        );
        let film = amounts_by_day(&zone, anchor, &Telling { source: Source::Trakt, ..telling });
        assert_eq!(film.iter().map(|(day, n)| (day.to_string(), *n)).collect::<Vec<_>>(), [("2026-05-04".into(), 1)]);
        assert!(amounts_by_day(&zone, anchor, &Telling { seconds: None, ..telling }).is_empty());
        assert!(amounts_by_day(&zone, anchor, &Telling { state: State::Gone, ..telling }).is_empty());
    }

    #[test]
    fn half_a_minute_is_one() {
        assert_eq!([0, 29, 30, 89, 90].map(minutes), [0, 0, 1, 1, 2]);
    }
}
