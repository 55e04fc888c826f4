//! What came of a demo: a table for people, or JSON for programs.

use std::fmt;

use rust_decimal::Decimal;
use serde::Serialize;

use crate::{
    exist::{Endpoint, ExistSim},
    judge::{Row, Verdict},
    world::Played,
};

/// All there is to tell.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// What the script was made of.
    pub seed: u64,
    /// How many people.
    pub people: usize,
    /// Who lived through which clock change, or that nobody did.
    pub clock_change: String,
    /// What happened at the sources.
    pub events: Events,
    /// What reached Exist.
    pub traffic: Traffic,
    /// Milliseconds from the last step until every number was right for good; none when they never were.
    pub converged_ms: Option<u128>,
    /// Every number from both sides.
    pub verdict: Verdict,
}

/// What happened at the sources, in records.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Events {
    /// Pulses received and entries created.
    pub created: u32,
    /// Entries changed, stopped or restored.
    pub edited: u32,
    /// Entries deleted and pulses that vanished.
    pub deleted: u32,
}

/// What reached Exist.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Traffic {
    /// Requests of any kind.
    pub requests: usize,
    /// Requests that write daily values.
    pub writes: usize,
    /// Values in them.
    pub values: usize,
    /// The most values in one.
    pub largest: usize,
}

impl From<Played> for Events {
    fn from(Played { created, edited, deleted }: Played) -> Events {
        Events { created, edited, deleted }
    }
}

impl Traffic {
    pub(super) fn of(exist: &ExistSim) -> Traffic {
        let log = exist.log();
        let writes = log.only(|entry| matches!(entry.endpoint, Some(Endpoint::Update | Endpoint::Increment)));
        Traffic {
            requests: log.entries().len(),
            writes: writes.entries().len(),
            values: writes.entries().iter().map(|entry| entry.items).sum(),
            largest: writes.largest_write(),
        }
    }

    /// In tenths, so that no float is needed to print one decimal.
    fn tenths_per_write(self) -> usize {
        (self.values * 10).checked_div(self.writes).unwrap_or(0)
    }
}

impl Outcome {
    /// Whether every number is right, and stayed so.
    pub fn is_right(&self) -> bool {
        self.verdict.is_right() && self.converged_ms.is_some()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut person = "";
        for row in &self.verdict.rows {
            if row.person != person {
                person = &row.person;
                writeln!(f, "\n{person} · {}", row.timezone)?;
                writeln!(f, "  {:<18}{:<12}{:>12}{:>12}", "attribute", "day", "sources", "Exist")?;
            }
            write_row(f, row)?;
        }
        let (equal, all) = (self.verdict.equal(), self.verdict.rows.len());
        writeln!(f, "\n{}", self.clock_change)?;
        let Events { created, edited, deleted } = self.events;
        writeln!(f, "events:     {created} records created, {edited} edited, {deleted} deleted (seed {})", self.seed)?;
        let Traffic { requests, writes, values, largest } = self.traffic;
        let tenths = self.traffic.tenths_per_write();
        writeln!(f, "Exist:      {requests} requests, {writes} of them writes with {values} values")?;
        writeln!(f, "            {}.{} values per write, {largest} at most", tenths / 10, tenths % 10)?;
        match self.converged_ms {
            Some(ms) => writeln!(f, "converged:  {}.{} s after the last step", ms / 1000, ms % 1000 / 100)?,
            None => writeln!(f, "converged:  not in time")?,
        }
        let word = if self.is_right() { "every number is right" } else { "NOT every number is right" };
        writeln!(f, "verdict:    {equal} of {all} numbers equal: {word}")
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
    let number =
        |number: Option<Decimal>| number.map_or_else(|| "-".to_owned(), |number| number.normalize().to_string());
    let mark = if row.equal { "equal" } else { "NOT EQUAL" };
    let (expected, held) = (number(row.expected), number(row.held));
    writeln!(f, "  {:<18}{:<12}{expected:>12}{held:>12}  {mark}", row.attribute, row.day.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(held: i64) -> Outcome {
        let row = Row {
            person: "moana".into(),
            timezone: "Pacific/Kiritimati".into(),
            attribute: "keystrokes".into(),
            day: "2026-11-21".parse().expect("a date"),
            expected: Some(12_345.into()),
            held: Some(held.into()),
            equal: held == 12_345,
            listed: false,
        };
        Outcome {
            seed: 1,
            people: 1,
            clock_change: "no clock change".into(),
            events: Played { created: 3, edited: 2, deleted: 1 }.into(),
            traffic: Traffic { requests: 9, writes: 4, values: 70, largest: 35 },
            converged_ms: Some(2_345),
            verdict: Verdict { rows: vec![row] },
        }
    }

    #[test]
    fn the_table_groups_rows_by_person_and_marks_each() {
        let text = outcome(12_345).to_string();
        assert!(text.contains("moana · Pacific/Kiritimati"), "{text}");
        assert!(text.contains("keystrokes        2026-11-21         12345       12345  equal"), "{text}");
        assert!(text.contains("17.5 values per write, 35 at most"), "{text}");
        assert!(text.contains("converged:  2.3 s after the last step"), "{text}");
        assert!(text.contains("1 of 1 numbers equal: every number is right"), "{text}");
    }

    #[test]
    fn a_wrong_number_is_told_apart() {
        let text = outcome(12_344).to_string();
        assert!(text.contains("12344  NOT EQUAL"), "{text}");
        assert!(!outcome(12_344).is_right());
    }

    #[test]
    fn the_json_spells_numbers_exactly() {
        let json = serde_json::to_value(outcome(12_345)).expect("it has a JSON form");
        assert_eq!(json["verdict"]["rows"][0]["expected"], "12345");
        assert_eq!(json["converged_ms"], 2345);
    }
}
