//! How far a connection was read: the plays of the window, and the walk that compares them.

use std::collections::{BTreeMap, BTreeSet};

use event::{ExternalId, Version};
use serde::{Deserialize, Serialize};
use source::{Read, Row};

use crate::{
    api::{History, Stamps},
    play::{Counts, Play, What},
};

/// From one walk to the next where nothing seems to change, in seconds: a week.
const WALK_EVERY: i64 = 7 * 86_400;

/// From one lookup of a runtime to the next, in seconds: a day.
const LOOK_UP_EVERY: i64 = 86_400;

/// How long a missing runtime is looked up, in seconds: a week.
const LOOK_UP_FOR: i64 = 7 * 86_400;

/// Everything that is remembered between two reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// The stamps before the last walk.
    stamps: Stamps,
    /// The second from which on plays are known.
    pub(crate) from: i64,
    /// The plays of the window, by id.
    plays: BTreeMap<i64, Known>,
    /// Rows of the window that cannot be read, by the hash of what they say.
    malformed: BTreeSet<u64>,
    /// When the last walk ended, in seconds; 0 if none did.
    walked_at: i64,
    /// The walk under way.
    pub(crate) walk: Option<Walk>,
    /// Trakt knows the history only as `/users/me/history`.
    pub(crate) elsewhere: bool,
}

/// One play.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    /// When it was watched, in seconds.
    at: i64,
    what: What,
    /// In minutes; 0 where nobody knows.
    minutes: u32,
    /// Where its runtime can be looked up, and when that is worth it next, in seconds; none if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    look_up: Option<LookUp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LookUp {
    item: String,
    next: i64,
    until: i64,
}

/// All pages of the window, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Walk {
    /// The next page, from 1.
    pub(crate) page: i64,
    /// Plays on all pages when it began.
    items: Option<i64>,
    /// The stamps before it began.
    stamps: Stamps,
    /// What was on the pages so far.
    seen: BTreeSet<i64>,
    seen_malformed: BTreeSet<u64>,
    /// It is the first of the connection.
    pub(crate) back_fill: bool,
}

impl State {
    /// Lets go of what lies before the window.
    pub(crate) fn move_on(&mut self, read: &Read) {
        let from = read.back_fill_from.as_second();
        // A window that begins earlier than ours is walked as new.
        if self.walk.is_none() && from > self.from {
            self.from = from;
            self.plays.retain(|_, play| play.at >= from);
        }
    }

    /// Whether the window has to be walked, as far as can be told without asking for more.
    pub(crate) fn is_walk_due(&self, stamps: &Stamps, read: &Read) -> bool {
        *stamps != self.stamps || read.now.as_second() - self.walked_at >= WALK_EVERY
    }

    /// How many plays of the window are known, those included that cannot be read.
    pub(crate) fn known(&self) -> i64 {
        i64::try_from(self.plays.len() + self.malformed.len()).unwrap_or(i64::MAX)
    }

    /// Begins to walk the window.
    pub(crate) fn begin_walk(&mut self, stamps: Stamps, read: &Read) {
        let back_fill = self.walked_at == 0;
        if back_fill {
            self.from = read.back_fill_from.as_second();
        }
        let (seen, seen_malformed) = (BTreeSet::new(), BTreeSet::new());
        self.walk = Some(Walk { page: 1, items: None, stamps, seen, seen_malformed, back_fill });
    }

    /// Takes a page of the walk; `None` if the history changed since its first page, and it begins again.
    pub(crate) fn page_read(&mut self, history: History, read: &Read) -> Option<Vec<Row>> {
        let mut walk = self.walk.take()?;
        if walk.items.is_some_and(|items| items != history.items) {
            self.begin_walk(walk.stamps, read);
            return None;
        }
        walk.items = Some(history.items);
        let mut rows = Vec::new();
        for play in history.plays {
            match play {
                Play::Told { id, counts, item } => {
                    walk.seen.insert(id);
                    rows.extend(self.told(id, counts, item, read, walk.back_fill));
                }
                Play::Malformed(row) => {
                    // A play that cannot be read any more is not gone.
                    walk.seen.extend(row.external_id.as_str().parse::<i64>().ok());
                    let hash = row.content().0;
                    if walk.seen_malformed.insert(hash) && self.malformed.insert(hash) {
                        rows.push(*row);
                    }
                }
            }
        }
        walk.page += 1;
        if walk.page <= history.pages {
            self.walk = Some(walk);
            return Some(rows);
        }
        self.malformed = walk.seen_malformed;
        let gone: Vec<i64> = self.plays.keys().filter(|id| !walk.seen.contains(id)).copied().collect();
        for id in gone {
            self.plays.remove(&id);
            rows.push(Row { seen_before: true, ..Row::deleted(external_id(id), version(read)) });
        }
        self.stamps = walk.stamps;
        self.walked_at = read.now.as_second();
        Some(rows)
    }

    /// A play as the page has it; a row if it is news.
    fn told(&mut self, id: i64, counts: Counts, item: Option<String>, read: &Read, back_fill: bool) -> Option<Row> {
        let at = counts.watched_at.as_second();
        let now = read.now.as_second();
        let before = self.plays.get(&id);
        // What is known stays; what was missing may have come.
        let minutes = before.map(|known| known.minutes).filter(|minutes| *minutes > 0).or(counts.minutes).unwrap_or(0);
        let look_up = match before.and_then(|known| known.look_up.clone()) {
            _ if minutes > 0 => None,
            Some(look_up) => Some(look_up),
            None => item.map(|item| LookUp { item, next: now, until: now + LOOK_UP_FOR }),
        };
        let known = Known { at, what: counts.what, minutes, look_up };
        let is_news = before.is_none_or(|before| (before.at, before.minutes) != (at, minutes));
        let seen_before = before.is_some() && !back_fill;
        let row = is_news.then(|| Row { seen_before, ..row(id, &known, read) });
        self.plays.insert(id, known);
        row
    }

    /// The next item whose runtime is worth a lookup.
    pub(crate) fn to_look_up(&self, read: &Read) -> Option<String> {
        let now = read.now.as_second();
        let mut worth = self.plays.values().filter_map(|play| play.look_up.as_ref());
        worth.find(|look_up| look_up.next <= now && now < look_up.until).map(|look_up| look_up.item.clone())
    }

    /// Takes the answer of a lookup: every play of the item has its minutes now, or waits a day.
    pub(crate) fn looked_up(&mut self, item: &str, minutes: Option<u32>, read: &Read) -> Vec<Row> {
        let mut rows = Vec::new();
        for (id, play) in &mut self.plays {
            let Some(look_up) = play.look_up.as_mut().filter(|look_up| look_up.item == item) else { continue };
            match minutes {
                Some(minutes) => {
                    play.minutes = minutes;
                    play.look_up = None;
                    rows.push(Row { seen_before: true, ..row(*id, play, read) });
                }
                None => look_up.next = read.now.as_second() + LOOK_UP_EVERY,
            }
        }
        rows
    }
}

fn row(id: i64, play: &Known, read: &Read) -> Row {
    let watched_at = jiff::Timestamp::from_second(play.at).unwrap_or_default();
    let counts = Counts { what: play.what, watched_at, minutes: Some(play.minutes).filter(|minutes| *minutes > 0) };
    let payload = serde_json::to_string(&counts).expect("counts are plain JSON");
    Row::present(external_id(id), version(read), payload)
}

fn external_id(id: i64) -> ExternalId {
    ExternalId::try_new(&id.to_string()).expect("a number is an id")
}

/// Trakt dates no change: a later read is a newer version.
fn version(read: &Read) -> Version {
    Version(read.now.as_millisecond())
}
