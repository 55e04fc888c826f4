//! Which zone decides a user's days, and since when.

use event::Day;
use jiff::{Timestamp, tz::TimeZone};

/// A user's zones over time: somebody who moves keeps the days they had before.
#[derive(Debug, Clone)]
pub struct Zones {
    first: TimeZone,
    /// From this instant on, in order.
    changes: Vec<(Timestamp, TimeZone)>,
}

impl Zones {
    /// One zone for all time.
    #[must_use]
    pub const fn always(zone: TimeZone) -> Self {
        Self { first: zone, changes: Vec::new() }
    }

    /// One zone, and others from an instant on each.
    #[must_use]
    pub fn new(first: TimeZone, mut changes: Vec<(Timestamp, TimeZone)>) -> Self {
        changes.sort_by_key(|(from, _)| *from);
        Self { first, changes }
    }

    /// The zone in force at an instant.
    #[must_use]
    pub fn at(&self, instant: Timestamp) -> &TimeZone {
        self.changes.iter().rev().find(|(from, _)| *from <= instant).map_or(&self.first, |(_, zone)| zone)
    }

    /// The zone in force since the last change.
    #[must_use]
    pub fn latest(&self) -> &TimeZone {
        self.changes.last().map_or(&self.first, |(_, zone)| zone)
    }

    /// The local day of an instant.
    #[must_use]
    pub fn day_of(&self, instant: Timestamp) -> Day {
        Day::at(instant, self.at(instant))
    }

    /// The next change after an instant.
    pub(crate) fn change_after(&self, instant: Timestamp) -> Option<Timestamp> {
        self.changes.iter().map(|(from, _)| *from).find(|from| *from > instant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn an_instant_belongs_to_the_zone_that_was_in_force() {
        let tokyo = TimeZone::get("Asia/Tokyo").unwrap();
        let zones = Zones::new(TimeZone::UTC, vec![(at("2026-05-01T12:00:00Z"), tokyo)]);
        let day = |text: &str| zones.day_of(at(text)).to_string();
        assert_eq!(day("2026-04-30T20:00:00Z"), "2026-04-30");
        assert_eq!(day("2026-05-01T11:59:59Z"), "2026-05-01");
        assert_eq!(day("2026-05-01T20:00:00Z"), "2026-05-02");
        assert_eq!(zones.latest().iana_name(), Some("Asia/Tokyo"));
    }
}
