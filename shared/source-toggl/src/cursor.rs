//! How far a connection was read.

use std::collections::BTreeSet;

use event::RecordKind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use source::{Read, Row};

use crate::{entry::Entry, projects::Projects};

/// Longest window of starts, in seconds: 14 days.
const WINDOW: i64 = 14 * 86_400;

/// Shortest window, in seconds: one that is still too full cannot be read.
const WINDOW_MIN: i64 = 60;

/// Shortest window, in seconds, that is tried again in halves when it is refused as too old: one day.
const WINDOW_REFUSED_MIN: i64 = 86_400;

/// How far ahead entries are looked for, in seconds: people plan up to two weeks in their calendar.
const AHEAD: i64 = 15 * 86_400;

/// How far polls reach back behind the last change, in seconds: `since` has whole seconds, and
/// whether it is inclusive is not known.
const OVERLAP: i64 = 120;

/// How far behind the server's clock an answer without news moves us, in seconds.
const BEHIND: i64 = 60;

/// Oldest `since` that is sent, in seconds: 60 days. The server refuses about three months.
const AGE_MAX: i64 = 60 * 86_400;

/// Youngest `since` whose refusal can be about its age, in seconds: one day.
const AGE_REFUSED_MIN: i64 = 86_400;

/// Most rows of the overlap that are remembered; a forgotten one comes again, which does no harm.
const RECENT_MAX: usize = 2_000;

/// Everything that is remembered between two reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// What to ask for next.
    pub(crate) phase: Phase,
    /// Which client each project belongs to.
    pub(crate) projects: Projects,
    /// The rows that the next poll's overlap will bring again.
    recent: BTreeSet<Seen>,
    /// The greatest id so far.
    highest: i64,
}

/// What to ask for next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    /// Windows of starts, backwards.
    Walk(Walk),
    /// What changed since this second.
    Changes(i64),
}

/// A span of starts that is read from its end to its beginning, one window after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Walk {
    /// The end of the next window, in seconds; not part of it.
    pub(crate) until: i64,
    /// Where the walk ends, in seconds.
    pub(crate) from: i64,
    /// How long the next window is, in seconds.
    length: i64,
    /// Where polls go on when the walk is done: before its first window. None before that was read.
    since: Option<i64>,
    /// The greatest id when it began: what is above is new.
    highest: i64,
    /// It is the first of the connection.
    pub(crate) back_fill: bool,
}

impl Walk {
    /// The next window's first second.
    pub(crate) fn begin(&self) -> i64 {
        self.from.max(self.until - self.length)
    }
}

/// A row that was passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Seen(
    /// Its id, or 0.
    i64,
    /// Its last change in microseconds, or 0.
    i64,
    /// The hash of its content.
    u64,
);

impl State {
    pub(crate) fn fresh(read: &Read) -> Self {
        let mut fresh =
            Self { phase: Phase::Changes(0), projects: Projects::default(), recent: BTreeSet::new(), highest: 0 };
        fresh.walk(read, true);
        fresh
    }

    /// Reads the window of starts again before the next poll.
    pub(crate) fn walk(&mut self, read: &Read, back_fill: bool) {
        let until = read.now.as_second() + AHEAD;
        let from = read.back_fill_from.as_second().min(read.now.as_second());
        let highest = self.highest;
        self.phase = Phase::Walk(Walk { until, from, length: WINDOW, since: None, highest, back_fill });
    }

    /// Walks again where `since` has become so old that the server would not take it.
    pub(crate) fn walk_if_old(&mut self, read: &Read) {
        if matches!(self.phase, Phase::Changes(since) if read.now.as_second() - since > AGE_MAX) {
            self.walk(read, false);
        }
    }

    /// What is known of the rows that were passed on.
    pub(crate) fn known(&self) -> Known {
        let (highest, back_fill) = match &self.phase {
            Phase::Walk(walk) => (walk.highest, walk.back_fill),
            Phase::Changes(_) => (self.highest, false),
        };
        Known { recent: self.recent.clone(), highest, back_fill }
    }

    /// Takes the next window half as long; `false` if it is too short for that.
    pub(crate) fn halve(&mut self) -> bool {
        let Phase::Walk(walk) = &mut self.phase else { return false };
        let length = walk.until - walk.begin();
        walk.length = length / 2;
        length > WINDOW_MIN
    }

    /// Moves behind a window that was read; `true` while there is more of the walk.
    pub(crate) fn window_read(&mut self, read: &Read, date: Option<Timestamp>, rows: &[(Entry, Row)]) -> bool {
        let Phase::Walk(walk) = &mut self.phase else { return false };
        // Changes during the walk must be polled for.
        let since = *walk.since.get_or_insert(now(read, date) - BEHIND);
        walk.until = walk.begin();
        walk.length = (walk.length * 2).min(WINDOW);
        let more = walk.until > walk.from;
        if !more {
            self.phase = Phase::Changes(since);
        }
        self.remember(rows, since);
        more
    }

    /// Moves on where the server refuses a window as too old: to a shorter one, so that as little as
    /// possible is left out, or to the end of the walk. `true` while there is more of it.
    pub(crate) fn window_refused(&mut self, read: &Read) -> bool {
        let Phase::Walk(walk) = &mut self.phase else { return false };
        let length = walk.until - walk.begin();
        if length > WINDOW_REFUSED_MIN {
            walk.length = length / 2;
            return true;
        }
        self.phase = Phase::Changes(walk.since.unwrap_or(read.now.as_second() - BEHIND));
        false
    }

    /// Moves behind an answer about changes. Without news we follow the server's clock, so that a
    /// connection at rest does not grow old.
    pub(crate) fn changes_read(&mut self, read: &Read, date: Option<Timestamp>, rows: &[(Entry, Row)], news: bool) {
        let Phase::Changes(since) = self.phase else { return };
        let now = now(read, date);
        let latest = rows.iter().filter_map(|(entry, _)| entry.at).max().map(|micros| micros.div_euclid(1_000_000));
        // A change ahead of the server's clock must not carry us past those to come.
        let next = latest.filter(|_| news).map_or(now - BEHIND, |latest| latest.min(now));
        let since = since.max(next);
        self.phase = Phase::Changes(since);
        self.recent.clear();
        self.remember(rows, since);
    }

    /// Walks again after an answer that the server cut off.
    pub(crate) fn changes_cut(&mut self, read: &Read, date: Option<Timestamp>, rows: &[(Entry, Row)]) {
        self.walk(read, false);
        self.remember(rows, now(read, date) - BEHIND);
    }

    /// Remembers the rows that a poll from this second brings again; those whose time of change
    /// cannot be read may be among them.
    fn remember(&mut self, rows: &[(Entry, Row)], since: i64) {
        let begin = (since - OVERLAP) * 1_000_000;
        let again = rows.iter().filter(|(entry, _)| entry.at.is_none_or(|at| at >= begin));
        self.recent.extend(again.map(|(entry, row)| Seen::of(entry, row)));
        while self.recent.len() > RECENT_MAX {
            self.recent.pop_first();
        }
        let highest = rows.iter().filter_map(|(entry, _)| entry.id).max();
        self.highest = self.highest.max(highest.unwrap_or(0));
    }
}

impl Seen {
    fn of(entry: &Entry, row: &Row) -> Self {
        Self(entry.id.unwrap_or(0), entry.at.unwrap_or(0), row.content().0)
    }
}

/// What is known of the rows that were passed on.
pub(crate) struct Known {
    recent: BTreeSet<Seen>,
    highest: i64,
    back_fill: bool,
}

impl Known {
    /// Whether this very row was passed on.
    pub(crate) fn has(&self, entry: &Entry, row: &Row) -> bool {
        self.recent.contains(&Seen::of(entry, row))
    }

    /// Whether the record was there before the previous read. Ids grow with time.
    pub(crate) fn may_have(&self, entry: &Entry, row: &Row) -> bool {
        let is_old = entry.id.is_some_and(|id| id <= self.highest);
        !self.back_fill && (is_old || row.kind == RecordKind::Deleted)
    }
}

/// The server's clock or ours, in seconds, whichever is behind: too early only repeats.
fn now(read: &Read, date: Option<Timestamp>) -> i64 {
    read.now.min(date.unwrap_or(read.now)).as_second()
}

/// The second from which changes are asked for.
pub(crate) fn asked_since(since: i64) -> i64 {
    (since - OVERLAP).max(0)
}

/// Whether a refusal of this `since` can be about its age: otherwise walking would not help.
pub(crate) fn can_be_too_old(since: i64, read: &Read) -> bool {
    read.now.as_second() - since > AGE_REFUSED_MIN
}
