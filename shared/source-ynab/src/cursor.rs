//! How far a connection was read: the knowledge, the plan, and the rows of the window.

use std::collections::{BTreeMap, BTreeSet};

use event::{ContentHash, ExternalId, Version};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use source::{Read, Row};

use crate::{plan::Plan, transaction::Transaction};

/// From one full read of the window to the next, in seconds: a week.
const FULL_EVERY: i64 = 7 * 86_400;

/// How long accounts and categories are good for, in seconds: an hour.
const PLAN_EVERY: i64 = 3_600;

/// Everything that is remembered between two reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// YNAB's number of the last change that was read; none while the window has to be read in full.
    pub(crate) knowledge: Option<i64>,
    pub(crate) plan: Plan,
    /// When the plan was read, in seconds; 0 for never.
    plan_at: i64,
    /// The first date of the window.
    from: Option<Date>,
    /// The rows of the window, by id.
    rows: BTreeMap<ExternalId, Known>,
    /// Rows that cannot be read, by the hash of what they say.
    malformed: BTreeSet<u64>,
    /// When the window was last read in full, in seconds; 0 for never.
    full_at: i64,
}

/// A row of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    date: Date,
    /// What it says, as a hash.
    says: u64,
}

impl State {
    /// It is the first read of the connection.
    pub(crate) const fn is_fresh(&self) -> bool {
        self.full_at == 0
    }

    pub(crate) fn is_plan_old(&self, read: &Read) -> bool {
        read.now.as_second() - self.plan_at >= PLAN_EVERY
    }

    /// Takes a plan that was read just now: one that differs may count rows differently.
    pub(crate) fn put_plan(&mut self, plan: Plan, read: &Read) {
        if self.plan != plan {
            self.knowledge = None;
        }
        self.plan = plan;
        self.plan_at = read.now.as_second();
    }

    /// Asks for a full read where one is due.
    pub(crate) fn move_on(&mut self, read: &Read, window: bool) {
        if self.is_fresh() {
            self.from = Some(read.back_fill_from.to_zoned(read.zone.clone()).date());
        }
        if window || read.now.as_second() - self.full_at >= FULL_EVERY {
            self.knowledge = None;
        }
    }

    /// The first date of the window.
    pub(crate) fn from(&self) -> Date {
        self.from.unwrap_or(Date::MIN)
    }

    /// The window's beginning follows the read's: what lies before it is let go of without a word, because
    /// its days stay as they are.
    fn follow(&mut self, read: &Read) {
        let from = self.from().max(read.back_fill_from.to_zoned(read.zone.clone()).date());
        self.from = Some(from);
        self.rows.retain(|_, known| known.date >= from);
    }

    /// What changed among these rows; with `full`, what is missing among them is gone.
    pub(crate) fn take(&mut self, told: Vec<Result<Transaction, Box<Row>>>, full: bool, read: &Read) -> Vec<Row> {
        let fresh = self.is_fresh();
        let mut rows = Vec::new();
        let here: BTreeSet<String> =
            told.iter().flatten().filter(|row| !row.deleted).map(|row| row.id.to_string()).collect();
        let mut seen = BTreeSet::new();
        let mut malformed = BTreeSet::new();
        for row in told {
            match row {
                Ok(row) => {
                    seen.insert(row.id.clone());
                    rows.extend(self.told(&row, &here, fresh, read));
                }
                Err(row) => {
                    // A row that cannot be read any more is not gone.
                    seen.insert(row.external_id.clone());
                    let hash = row.content().0;
                    if malformed.insert(hash) && self.malformed.insert(hash) {
                        rows.push(*row);
                    }
                }
            }
        }
        if full {
            self.malformed = malformed;
            let gone: Vec<ExternalId> = self.rows.keys().filter(|id| !seen.contains(*id)).cloned().collect();
            for id in gone {
                self.rows.remove(&id);
                rows.push(Row { seen_before: true, ..Row::deleted(id, version(read)) });
            }
            self.follow(read);
            self.full_at = read.now.as_second();
        }
        rows
    }

    /// A row as it was told now; a row of ours if it is news.
    fn told(&mut self, told: &Transaction, here: &BTreeSet<String>, fresh: bool, read: &Read) -> Option<Row> {
        let known = self.rows.get(&told.id).copied();
        if told.deleted || told.date < self.from() {
            let was_known = self.rows.remove(&told.id).is_some();
            return was_known.then(|| Row { seen_before: true, ..Row::deleted(told.id.clone(), version(read)) });
        }
        let is_here = |id: &str| here.contains(id) || self.rows.keys().any(|known| known.as_str() == id);
        let counts = told.counts(&self.plan, is_here);
        let payload = serde_json::to_string(&counts).expect("counts are plain JSON");
        let now = Known { date: told.date, says: ContentHash::of(&payload).0 };
        self.rows.insert(told.id.clone(), now);
        let is_news = known.map_or(!counts.parts.is_empty(), |known| known != now);
        let seen_before = known.is_some() && !fresh;
        is_news.then(|| Row { seen_before, ..Row::present(told.id.clone(), version(read), payload) })
    }
}

/// YNAB dates no change: a later read is a newer version.
fn version(read: &Read) -> Version {
    Version(read.now.as_millisecond())
}
