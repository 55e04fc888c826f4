//! The numbers that must stand in Exist, worked out from the sources' final records and nothing else.

mod day; // spans cut at local midnights
mod pastime; // films, money and code
mod verdict; // what is expected beside what is held

use std::collections::BTreeMap;

use jiff::{civil::Date, tz::TimeZone};
use rust_decimal::Decimal;

pub use pastime::Code;
pub use verdict::{Pair, Row, Verdict, verdict};

use crate::{
    toggl::{Entry, Project, TogglSim},
    trakt::Play,
    whatpulse::{Counts, Pulse, WhatPulseSim},
    world::{Kind, Mapping, Mode, Pastimes, Person, Rule, TraktWord, WhatPulseField},
    ynab::Transaction,
};

/// One person's numbers, by attribute and local day.
pub type Numbers = BTreeMap<(String, Date), Decimal>;

/// The records of one person, as their sources hold them.
#[derive(Clone, Debug, Default)]
pub struct Records {
    /// Pulses that are there.
    pub pulses: Vec<Pulse>,
    /// Entries, the deleted ones included.
    pub entries: Vec<Entry>,
    /// Projects, the deleted ones included.
    pub projects: Vec<Project>,
    /// Plays that are there.
    pub plays: Vec<Play>,
    /// Transactions, the deleted ones included.
    pub transactions: Vec<Transaction>,
    /// What is at GitHub.
    pub code: Code,
}

impl Records {
    /// What the simulators hold of this person now.
    pub fn of(person: &Person, whatpulse: &WhatPulseSim, toggl: &TogglSim) -> Records {
        let name = &person.name;
        let (pulses, entries, projects) = (whatpulse.pulses(name), toggl.entries(name), toggl.projects(name));
        Records { pulses, entries, projects, ..Records::default() }
    }

    /// What they did beside work, too.
    #[must_use]
    pub fn with(self, person: &Person, pastimes: &Pastimes) -> Records {
        let (issues, comments, pulls, commits) = pastimes.github.holds(&person.repository);
        Records {
            plays: pastimes.trakt.plays(&person.name),
            transactions: pastimes.ynab.transactions(&person.name),
            code: Code { user_id: person.user_id.into(), issues, comments, pulls, commits },
            ..self
        }
    }
}

/// What Exist must hold for a person: whole base units summed over all records, cut at the local
/// midnights of `zone`, converted once, half away from zero.
///
/// Days to which no record counts are absent; a day whose records sum to nothing is 0.
pub fn expected(zone: &TimeZone, mappings: &[Mapping], records: &Records) -> Numbers {
    // Several mappings may feed one attribute; they are summed before anything is rounded.
    let mut sums: BTreeMap<(String, Date), i64> = BTreeMap::new();
    let mut units: BTreeMap<&str, Unit> = BTreeMap::new();
    for mapping in mappings {
        units.insert(&mapping.attribute, Unit::of(mapping));
        for (day, amount) in amounts(zone, &mapping.rule, records) {
            *sums.entry((mapping.attribute.clone(), day)).or_default() += amount;
        }
    }
    sums.into_iter()
        .map(|((attribute, day), sum)| {
            let number = units[attribute.as_str()].convert(sum);
            ((attribute, day), number)
        })
        .collect()
}

/// What Exist must hold where some attributes are added to rather than overwritten: there, what others put on a
/// day stays on it, under what the records make.
#[must_use]
pub fn beside(mut expected: Numbers, mappings: &[Mapping], foreign: &Numbers) -> Numbers {
    let added_to = |name: &str| {
        let mut feeding = mappings.iter().filter(|mapping| mapping.attribute == name);
        feeding.any(|mapping| mapping.mode == Mode::Increment)
    };
    for (key, number) in foreign.iter().filter(|((attribute, _), _)| added_to(attribute)) {
        *expected.entry(key.clone()).or_default() += *number;
    }
    expected
}

/// What each record adds to which day, in base units: counts, hundredths of a megabyte, seconds.
fn amounts(zone: &TimeZone, rule: &Rule, records: &Records) -> Vec<(Date, i64)> {
    match rule {
        Rule::WhatPulse(field) => {
            let day = |pulse: &Pulse| pulse.date.to_zoned(zone.clone()).date();
            records.pulses.iter().map(|pulse| (day(pulse), count(*field, &pulse.counts))).collect()
        }
        Rule::Toggl { projects, clients, tags } => records
            .entries
            .iter()
            .filter(|entry| entry.deleted_at.is_none())
            .filter(|entry| {
                let client = || records.projects.iter().find(|project| Some(project.id) == entry.project_id)?.client_id;
                entry.project_id.is_some_and(|project| projects.contains(&project))
                    || client().is_some_and(|client| clients.contains(&client))
                    || entry.tags.iter().any(|tag| tags.contains(tag))
            })
            // A running entry has no stop, and counts nothing yet.
            .filter_map(|entry| Some((entry.start, entry.stop?)))
            .flat_map(|(start, stop)| day::seconds_by_day(zone, start, stop))
            .collect(),
        Rule::Trakt(word) => pastime::plays(zone, *word, &records.plays),
        Rule::Ynab { categories, .. } => pastime::money(Some(categories), &records.transactions),
        Rule::YnabEarned => pastime::money(None, &records.transactions),
        Rule::Github(word) => pastime::code(zone, *word, &records.code),
    }
}

fn count(field: WhatPulseField, counts: &Counts) -> i64 {
    match field {
        WhatPulseField::Keys => counts.keys,
        WhatPulseField::Clicks => counts.clicks,
        WhatPulseField::DownloadMb => counts.download_centi_mb,
        WhatPulseField::UploadMb => counts.upload_centi_mb,
        WhatPulseField::UptimeSeconds => counts.uptime_seconds,
    }
}

/// How a sum of base units becomes a number of Exist's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Count,
    /// From seconds.
    Minutes,
    /// From hundredths.
    WholeMegabytes,
    /// From hundredths; a decimal attribute shows them all.
    Megabytes,
    /// From thousandths, with two decimals; a negative day is written as 0.
    Money,
}

impl Unit {
    fn of(mapping: &Mapping) -> Unit {
        use WhatPulseField::{Clicks, DownloadMb, Keys, UploadMb, UptimeSeconds};
        let is_decimal = matches!(mapping.kind, Kind::Custom { value_type: 1, .. });
        match mapping.rule {
            Rule::WhatPulse(Keys | Clicks) => Unit::Count,
            Rule::WhatPulse(DownloadMb | UploadMb) if is_decimal => Unit::Megabytes,
            Rule::WhatPulse(DownloadMb | UploadMb) => Unit::WholeMegabytes,
            Rule::WhatPulse(UptimeSeconds) | Rule::Toggl { .. } => Unit::Minutes,
            Rule::Trakt(TraktWord::EpisodeMinutes | TraktWord::MovieMinutes) => Unit::Minutes,
            Rule::Trakt(TraktWord::Episodes | TraktWord::Movies) | Rule::Github(_) => Unit::Count,
            Rule::Ynab { .. } | Rule::YnabEarned => Unit::Money,
        }
    }

    fn convert(self, sum: i64) -> Decimal {
        match self {
            Unit::Count => Decimal::from(sum),
            Unit::Minutes => Decimal::from(rounded_quotient(sum, 60)),
            Unit::WholeMegabytes => Decimal::from(rounded_quotient(sum, 100)),
            Unit::Megabytes => Decimal::new(sum, 2),
            Unit::Money => Decimal::new(rounded_quotient(sum, 10).max(0), 2),
        }
    }
}

/// The quotient, rounded half away from zero.
fn rounded_quotient(sum: i64, by: i64) -> i64 {
    let (whole, rest) = (sum / by, sum % by);
    let away = if rest.abs() * 2 >= by { sum.signum() } else { 0 };
    whole + away
}

#[cfg(test)]
mod tests;
