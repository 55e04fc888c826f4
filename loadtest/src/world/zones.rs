//! Where people live, and who among them has just had the clocks changed.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

/// Everybody's zone but one: the far ends of the day, the odd offsets, and ordinary places.
pub const PEOPLE_ZONES: [&str; 12] = [
    "Pacific/Kiritimati",  // +14
    "Pacific/Pago_Pago",   // -11
    "Asia/Kathmandu",      // +5:45
    "Australia/Lord_Howe", // +10:30, and half an hour of summer time
    "America/St_Johns",    // -3:30
    "Pacific/Chatham",     // +12:45
    "Europe/Paris",
    "America/Los_Angeles",
    "Asia/Tokyo",
    "Africa/Johannesburg",
    "America/Sao_Paulo",
    "Asia/Kolkata",
];

/// Zones that change their clocks, spread over the year.
const CHANGING: [&str; 12] = [
    "America/New_York",
    "Europe/Berlin",
    "America/Santiago",
    "Pacific/Auckland",
    "Africa/Cairo",
    "Australia/Sydney",
    "Asia/Jerusalem",
    "America/Havana",
    "America/Asuncion",
    "Africa/Casablanca",
    "Europe/Chisinau",
    "Asia/Beirut",
];

/// How far back the ordinary back-fill reaches with some days to spare.
const RECENT: SignedDuration = SignedDuration::from_hours(25 * 24);

/// How far back anything can be read.
const REACHABLE: SignedDuration = SignedDuration::from_hours(80 * 24);

/// A zone and the instant its clocks changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockChange {
    /// The IANA name.
    pub zone: String,
    /// When.
    pub instant: Timestamp,
    /// Seconds the clocks jumped ahead; negative when they fell back.
    pub jump_s: i32,
    /// Whether it lies within the ordinary back-fill of 30 days.
    pub recent: bool,
}

/// The latest clock change at least two days ago, within 25 days if there is one, else within 80.
///
/// None when no zone of the list changed its clocks in that time.
pub fn clock_change(now: Timestamp) -> Option<ClockChange> {
    // Two days, so that a whole local day after the change is over as well.
    let until = now - SignedDuration::from_hours(48);
    let latest = CHANGING
        .iter()
        .filter_map(|name| {
            let zone = TimeZone::get(name).ok()?;
            // A zone can also change its name or law without touching the clocks.
            let change = zone.preceding(until).take(8).find_map(|change| {
                let before = zone.to_offset(change.timestamp() - SignedDuration::from_secs(1)).seconds();
                let jump_s = change.offset().seconds() - before;
                (jump_s != 0).then_some((change.timestamp(), jump_s))
            })?;
            Some((change, *name))
        })
        // The earlier zone of the list wins a tie.
        .rev()
        .max_by_key(|((instant, _), _)| *instant)?;
    let ((instant, jump_s), zone) = latest;
    let age = now.duration_since(instant);
    (age <= REACHABLE).then(|| ClockChange { zone: zone.to_owned(), instant, jump_s, recent: age <= RECENT })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change_before(now: &str) -> Option<ClockChange> {
        clock_change(now.parse().expect("a time"))
    }

    #[test]
    fn in_late_november_it_is_new_york_falling_back() {
        let change = change_before("2026-11-21T01:00:00Z").expect("a change on the first of November");
        assert_eq!((change.zone.as_str(), change.jump_s, change.recent), ("America/New_York", -3600, true));
        assert_eq!(change.instant, "2026-11-01T06:00:00Z".parse().expect("a time"));
    }

    #[test]
    fn in_early_april_it_is_a_southern_or_eastern_zone() {
        let change = change_before("2026-04-20T00:00:00Z").expect("a change in early April");
        assert!(change.recent);
        assert!(change.instant > "2026-03-29T00:00:00Z".parse().expect("a time"));
    }

    #[test]
    fn a_change_is_found_on_three_days_in_four_and_never_a_fresh_one() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        let found = (0..365).filter_map(|day| {
            let now = start + SignedDuration::from_hours(24 * day);
            clock_change(now).map(|change| now.duration_since(change.instant))
        });
        let ages: Vec<SignedDuration> = found.collect();
        assert!(ages.iter().all(|age| *age >= SignedDuration::from_hours(48)));
        // No zone of the list changes between early November and early March, nor from May to August.
        assert!(ages.len() >= 270, "{} days", ages.len());
    }
}
