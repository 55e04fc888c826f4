//! One simulated WhatPulse user: the pulses received and how they are spelled.

use std::{collections::BTreeMap, fmt};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Number, Value, json};

use super::WhatPulseConfig;
use crate::world::quota::Quota;

/// Where pulse ids start; they grow by one over all users of a simulator's account.
const FIRST_PULSE_ID: u64 = 990_001;

/// A user of the simulated service.
#[derive(Clone)]
pub struct WhatPulseAccount {
    /// Username, and the simulator's name for the account.
    pub name: String,
    /// Numeric user id.
    pub user_id: u64,
    /// The v1 key.
    pub api_key: String,
    /// How v1 spells the dates of this user's pulses.
    pub dates: DateSpelling,
}

impl fmt::Debug for WhatPulseAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhatPulseAccount")
            .field("name", &self.name)
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

/// The spellings of a v1 date that clients have met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateSpelling {
    /// `2026-07-12T21:58:03Z`
    Zulu,
    /// `2026-07-12T21:58:03+00:00`
    Offset,
    /// `2026-07-12T21:58:03.000000Z`
    Fraction,
    /// `2026-07-12 21:58:03`, which is UTC.
    Naive,
}

impl DateSpelling {
    /// All of them, so that a world can deal them out.
    pub const ALL: [DateSpelling; 4] =
        [DateSpelling::Zulu, DateSpelling::Offset, DateSpelling::Fraction, DateSpelling::Naive];

    fn spell(self, date: Timestamp) -> String {
        let format = match self {
            DateSpelling::Zulu => "%Y-%m-%dT%H:%M:%SZ",
            DateSpelling::Offset => "%Y-%m-%dT%H:%M:%S+00:00",
            DateSpelling::Fraction => "%Y-%m-%dT%H:%M:%S.000000Z",
            DateSpelling::Naive => "%Y-%m-%d %H:%M:%S",
        };
        date.strftime(format).to_string()
    }
}

/// What a computer counted since its previous pulse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Key presses.
    pub keys: i64,
    /// Mouse clicks.
    pub clicks: i64,
    /// Scroll steps; old clients do not count them.
    pub scrolls: Option<i64>,
    /// Hundredths of a mile of mouse travel; not always counted.
    pub distance_centimiles: Option<i64>,
    /// Hundredths of a megabyte received.
    pub download_centi_mb: i64,
    /// Hundredths of a megabyte sent.
    pub upload_centi_mb: i64,
    /// Seconds the computer was on.
    pub uptime_seconds: i64,
}

/// A pulse as the service holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// Grows with time.
    pub id: u64,
    /// When it was received, in whole seconds.
    pub date: Timestamp,
    /// The computer's name; v1 does not tell it.
    pub computer: String,
    /// What was counted.
    pub counts: Counts,
}

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) spec: WhatPulseAccount,
    pub(crate) pulses: BTreeMap<u64, Pulse>,
    pub(crate) computers: Vec<String>,
    pub(crate) private: bool,
    pub(crate) quota: Quota,
    next_id: u64,
}

impl Account {
    pub(crate) fn new(spec: WhatPulseAccount, config: &WhatPulseConfig) -> Account {
        Account {
            quota: Quota::new(config.requests_per_hour, std::time::Duration::from_secs(3600)),
            // Ids of different users differ, as they do where one table holds all pulses.
            next_id: FIRST_PULSE_ID + spec.user_id * 1_000_000,
            spec,
            pulses: BTreeMap::new(),
            computers: Vec::new(),
            private: false,
        }
    }

    pub(crate) fn receive(&mut self, computer: &str, date: Timestamp, counts: Counts) -> u64 {
        let newest = self.pulses.last_key_value().map(|(_, pulse)| pulse.date);
        assert!(newest.is_none_or(|newest| newest <= date), "a pulse is dated when it is received");
        if !self.computers.iter().any(|known| known == computer) {
            self.computers.push(computer.to_owned());
        }
        let id = self.next_id;
        self.next_id += 1;
        self.pulses.insert(id, Pulse { id, date, computer: computer.to_owned(), counts });
        id
    }

    pub(crate) fn is_called(&self, id_or_name: &str) -> bool {
        self.spec.name == id_or_name || self.spec.user_id.to_string() == id_or_name
    }

    /// The number v1 filters computers by.
    pub(crate) fn computer_id(&self, computer: &str) -> Option<u64> {
        let index = self.computers.iter().position(|known| known == computer)?;
        Some(self.spec.user_id * 10 + u64::try_from(index).ok()?)
    }

    pub(crate) fn total(&self, field: impl Fn(&Counts) -> i64) -> i64 {
        self.pulses.values().map(|pulse| field(&pulse.counts)).sum()
    }

    /// The pulse as v1 shows it.
    pub(crate) fn v1_row(&self, pulse: &Pulse) -> Value {
        let counts = &pulse.counts;
        json!({
            "id": pulse.id,
            "date": self.spec.dates.spell(pulse.date),
            "keys": counts.keys,
            "clicks": counts.clicks,
            "download_mb": hundredths(counts.download_centi_mb),
            "upload_mb": hundredths(counts.upload_centi_mb),
            "uptime_seconds": counts.uptime_seconds,
            "scrolls": counts.scrolls,
            "distance_miles": counts.distance_centimiles.map(hundredths),
            "auto_pulse": true,
            "client_version": "6.2.0",
        })
    }

    /// The pulse as the legacy API shows it: whole megabytes, numbers as strings.
    pub(crate) fn legacy_row(pulse: &Pulse) -> Value {
        let counts = &pulse.counts;
        json!({
            "Timedate": pulse.date.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string(),
            "Timestamp": pulse.date.as_second().to_string(),
            "Keys": counts.keys.to_string(),
            "Clicks": counts.clicks.to_string(),
            "DownloadMB": (counts.download_centi_mb / 100).to_string(),
            "UploadMB": (counts.upload_centi_mb / 100).to_string(),
            "UptimeSeconds": counts.uptime_seconds.to_string(),
            "Computer": pulse.computer,
        })
    }
}

/// `151025` as the JSON number 1510.25, without a detour over binary arithmetic.
pub(crate) fn hundredths(amount: i64) -> Number {
    let sign = if amount < 0 { "-" } else { "" };
    let (whole, part) = (amount.unsigned_abs() / 100, amount.unsigned_abs() % 100);
    format!("{sign}{whole}.{part:02}").parse().expect("digits around a point are a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hundredths_are_spelled_as_decimals() {
        let spelled = [0, 5, 50, 151_025, -7].map(|amount| hundredths(amount).to_string());
        assert_eq!(spelled, ["0.0", "0.05", "0.5", "1510.25", "-0.07"]);
    }

    #[test]
    fn a_date_has_four_spellings() {
        let date: Timestamp = "2026-07-12T21:58:03Z".parse().expect("a date");
        let spelled = DateSpelling::ALL.map(|spelling| spelling.spell(date));
        assert_eq!(
            spelled,
            ["2026-07-12T21:58:03Z", "2026-07-12T21:58:03+00:00", "2026-07-12T21:58:03.000000Z", "2026-07-12 21:58:03"]
        );
    }
}
