//! What differs, for people and programs.

use std::collections::BTreeSet;

use anyhow::bail;
use event::{Contribution, Day, Partition, UserId};
use ledger::{Difference, Held, RecordId, Telling};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    super::{print_json, print_table, say},
    Examined,
};
use crate::cli::Output;

/// Most records that a row of the table names; `--json` names them all.
const NAMED_MAX: usize = 5;

/// What a replay found, gathered user by user.
#[derive(Default, Serialize)]
pub(super) struct Report {
    /// Ledgers that were rebuilt.
    users: usize,
    /// Users of whom nothing is archived.
    unarchived: usize,
    events: usize,
    records: usize,
    /// Parts of totals.
    totals: usize,
    archived_bytes: u64,
    differences: Vec<Shown>,
    unreadable: Vec<Problem>,
    /// Whether anything was to be put right.
    applied: bool,
    repaired: usize,
    unrepaired: Vec<Problem>,
    #[serde(skip)]
    wrong: Vec<(UserId, Partition)>,
}

#[derive(Serialize)]
struct Problem {
    user: String,
    problem: String,
}

/// One difference.
#[derive(Serialize)]
struct Shown {
    user: String,
    /// `record`, `total` or `exist`.
    what: &'static str,
    /// `null` where it is a sum over sources.
    source: Option<String>,
    attribute: Option<String>,
    /// The records that it is about, as `source/id`.
    records: Vec<String>,
    days: Vec<String>,
    found: Value,
    expected: Value,
}

impl Report {
    pub(super) fn take(&mut self, user: &UserId, partition: Partition, examined: &Examined) {
        let Some(rebuilt) = &examined.rebuilt else {
            self.unarchived += 1;
            return;
        };
        self.users += 1;
        self.events += examined.kept.archive.events.len();
        self.records += examined.records;
        self.totals += rebuilt.sums.keys().filter(|(_, pair)| examined.kept.days.contains(&pair.day)).count();
        self.archived_bytes += examined.kept.packed_bytes;
        if !examined.differences.is_empty() {
            self.wrong.push((user.clone(), partition));
            self.differences.extend(examined.differences.iter().map(|difference| Shown::of(user, difference)));
        }
    }

    pub(super) fn unreadable(&mut self, user: &UserId, error: &anyhow::Error) {
        self.unreadable.push(Problem { user: user.to_string(), problem: format!("{error:#}") });
    }

    /// What became of an attempt to put a ledger right.
    pub(super) fn tried(&mut self, user: &UserId, result: anyhow::Result<usize>) {
        self.applied = true;
        match result {
            Ok(repaired) => self.repaired += repaired,
            Err(error) => {
                self.unrepaired.push(Problem { user: user.to_string(), problem: format!("{error:#}") });
            }
        }
    }

    pub(super) const fn records(&self) -> usize {
        self.records
    }

    pub(super) const fn is_unreadable(&self) -> bool {
        !self.unreadable.is_empty()
    }

    pub(super) const fn differs(&self) -> bool {
        !self.differences.is_empty()
    }

    /// Whose ledgers differ.
    pub(super) fn wrong(&self) -> Vec<(UserId, Partition)> {
        self.wrong.clone()
    }

    /// Prints what differs, for people: before they are asked.
    pub(super) fn differ(&self, output: Output) -> anyhow::Result<()> {
        if output.json || self.differences.is_empty() {
            return Ok(());
        }
        let rows: Vec<Vec<String>> = self.differences.iter().map(Shown::row).collect();
        print_table(&["user", "what", "of", "days", "found", "expected", "records"], &rows)
    }

    /// Prints the rest.
    ///
    /// # Errors
    /// Something differs and was not put right, or could not be read.
    pub(super) fn finish(&self, output: Output) -> anyhow::Result<()> {
        if output.json {
            print_json(self)?;
        } else {
            say(&format!(
                "{} ledgers rebuilt from {} events in {} bytes: {} records and {} totals compared, {} differ",
                self.users,
                self.events,
                self.archived_bytes,
                self.records,
                self.totals,
                self.differences.len()
            ))?;
            if self.unarchived > 0 {
                say(&format!("nothing is archived of {} users", self.unarchived))?;
            }
            for Problem { user, problem } in &self.unreadable {
                say(&format!("{user} cannot be read: {problem}"))?;
            }
            if self.repaired > 0 {
                say(&format!("{} were put right", self.repaired))?;
            }
            for Problem { user, problem } in &self.unrepaired {
                say(&format!("{user} was not put right: {problem}"))?;
            }
        }
        if !self.unreadable.is_empty() || !self.unrepaired.is_empty() {
            bail!("{} ledgers cannot be read, {} not put right", self.unreadable.len(), self.unrepaired.len());
        }
        if !self.applied && !self.differences.is_empty() {
            bail!("{} things differ; --apply puts them right", self.differences.len());
        }
        Ok(())
    }
}

impl Shown {
    fn of(user: &UserId, difference: &Difference) -> Self {
        let (what, source, attribute, records, found, expected) = match difference {
            Difference::Record { record, found, expected, .. } => {
                let found = found.as_ref().map_or(Value::Null, telling);
                ("record", Some(&record.0), None, vec![name(record)], found, telling(expected))
            }
            Difference::Total { source, pair, found, expected, records } => {
                let records = records.iter().map(|id| format!("{source}/{id}")).collect();
                ("total", Some(source), Some(&pair.attribute), records, json!(found), json!(expected))
            }
            Difference::Exist { pair, found, expected, records } => {
                let value = |held: &Held| held.value.map_or_else(|| json!("unknown"), |value| json!(value.to_string()));
                let found = found.as_ref().map_or(Value::Null, value);
                let records = records.iter().map(name).collect();
                ("exist", None, Some(&pair.attribute), records, found, json!(expected.to_string()))
            }
        };
        Self {
            user: user.to_string(),
            what,
            source: source.map(ToString::to_string),
            attribute: attribute.map(ToString::to_string),
            records,
            days: difference.days().iter().map(Day::to_string).collect(),
            found,
            expected,
        }
    }

    fn row(&self) -> Vec<String> {
        let mut records = self.records.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(" ");
        if self.records.len() > NAMED_MAX {
            records.push_str(&format!(" and {} more", self.records.len() - NAMED_MAX));
        }
        let of = [&self.attribute, &self.source].into_iter().flatten().map(String::as_str).collect::<Vec<_>>();
        vec![
            self.user.clone(),
            self.what.to_owned(),
            of.join(" from "),
            self.days.join(" "),
            brief(&self.found),
            brief(&self.expected),
            records,
        ]
    }
}

fn name((source, id): &RecordId) -> String {
    format!("{source}/{id}")
}

fn telling(telling: &Telling) -> Value {
    let adds =
        |adds: &Contribution| json!({"attribute": adds.attribute, "day": adds.day.to_string(), "amount": adds.amount});
    let adds: Vec<Value> = telling.contributions.iter().map(adds).collect();
    json!({"version": telling.version, "transaction": telling.transaction.to_string(), "adds": adds})
}

/// A value in a cell.
fn brief(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        Value::Object(telling) => {
            let amounts: BTreeSet<String> = telling["adds"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|adds| format!("{} {}", adds["amount"], adds["attribute"].as_str().unwrap_or_default()))
                .collect();
            let adds = amounts.into_iter().collect::<Vec<_>>().join(", ");
            format!("version {}: {}", telling["version"], if adds.is_empty() { "nothing" } else { &adds })
        }
        other => other.to_string(),
    }
}
