//! How far a connection was read: what is known of the window, and the pass under way.

use std::collections::{BTreeMap, BTreeSet};

use event::ExternalId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use source::{Hint, Read, Row};

use crate::object::{Object, Teller, deleted};

/// From one reading of the whole window to the next, in seconds: an hour.
const WINDOW_EVERY: i64 = 3_600;

/// How far a pass reaches back behind the last, in seconds: `since` has whole seconds.
const OVERLAP: i64 = 60;

/// Everything that is remembered between two reads.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// From when on each repository is read next, in seconds. Missing: the whole window.
    since: BTreeMap<String, i64>,
    /// The head of each branch that was read, by repository.
    heads: BTreeMap<String, BTreeMap<String, String>>,
    /// The records of the window that counted.
    known: BTreeMap<ExternalId, Known>,
    /// Rows that cannot be read, by the hash of what they say.
    malformed: BTreeSet<u64>,
    /// When the whole window was read last, in seconds; 0 for never.
    window_at: i64,
    /// The pass under way.
    pub(crate) pass: Option<Pass>,
}

/// A record that counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    repository: String,
    /// When it was changed last, in seconds; of a commit, when it was authored.
    updated_at: i64,
    /// What it says, as a hash.
    says: u64,
    /// When it was closed as far as we asked by whom, in seconds, and whether by this user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed: Option<(i64, bool)>,
}

/// What of a repository is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum List {
    Issues,
    Comments,
    PullRequests,
    Branches,
    Commits,
}

/// All lists of all repositories, one page after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pass {
    /// Repositories that are left, the present one last.
    pub(crate) repositories: Vec<String>,
    pub(crate) list: List,
    /// The next page of the list; none for its first.
    pub(crate) next: Option<String>,
    /// Heads whose commits are left to list: branch and commit.
    pub(crate) heads: Vec<(String, String)>,
    /// The server's clock, or ours if it is behind, when the repository's first page came.
    begun: Option<i64>,
    /// The whole window is read and compared.
    pub(crate) window: bool,
    /// A webhook told something: what REST says follows, even if it is not news.
    recent: bool,
    /// It is the first of the connection.
    pub(crate) back_fill: bool,
    /// A list of the present repository was not there.
    pub(crate) is_incomplete: bool,
    /// What a reading of the window found of the present repository.
    seen: BTreeSet<ExternalId>,
}

impl State {
    /// The pass to go on with; begins one if none is under way.
    pub(crate) fn pass(&mut self, repositories: &[String], read: &Read) -> &mut Pass {
        let back_fill = self.window_at == 0;
        let now = read.now.as_second();
        let window = back_fill || read.hint == Hint::Window || now - self.window_at >= WINDOW_EVERY;
        let known_from = read.back_fill_from.as_second();
        self.pass.get_or_insert_with(|| {
            self.known.retain(|_, known| known.updated_at >= known_from);
            Pass {
                repositories: repositories.iter().rev().cloned().collect(),
                list: List::Issues,
                next: None,
                heads: Vec::new(),
                begun: None,
                window,
                recent: read.hint != Hint::None,
                back_fill,
                is_incomplete: false,
                seen: BTreeSet::new(),
            }
        })
    }

    /// From when on a repository is read, in seconds.
    pub(crate) fn since(&self, repository: &str, read: &Read) -> i64 {
        let from = read.back_fill_from.as_second();
        let is_window = self.pass.as_ref().is_some_and(|pass| pass.window);
        self.since.get(repository).filter(|_| !is_window).map_or(from, |since| (since - OVERLAP).max(from))
    }

    /// Notes when the reading of a repository began: what changes meanwhile is read next time.
    pub(crate) fn begun(&mut self, date: Option<Timestamp>, read: &Read) {
        if let Some(pass) = &mut self.pass {
            pass.begun.get_or_insert(read.now.min(date.unwrap_or(read.now)).as_second());
        }
    }

    /// Whether this closing's author is known: `Some(true)` if it is the user.
    pub(crate) fn closer(&self, id: &ExternalId, closed_at: i64) -> Option<bool> {
        let (at, mine) = self.known.get(id)?.closed?;
        (at == closed_at).then_some(mine)
    }

    /// A record as REST tells it now; a row if it is news. `closed` is what was found out about its closing.
    pub(crate) fn told(&mut self, repository: &str, object: &Object, closed: Option<(i64, bool)>) -> Option<Row> {
        let pass = self.pass.as_mut().expect("rows come in a pass");
        pass.seen.insert(object.id.clone());
        let row = object.row(Teller::Rest);
        let says = row.content().0;
        let before = self.known.get(&object.id);
        let is_news = match before {
            Some(before) => before.says != says || (pass.recent && before.updated_at != object.at()),
            None => !object.counts.counts.is_empty(),
        };
        let seen_before = before.is_some() && !pass.back_fill;
        if before.is_some() || is_news || closed.is_some() {
            let known = Known { repository: repository.to_owned(), updated_at: object.at(), says, closed };
            self.known.insert(object.id.clone(), known);
        }
        is_news.then_some(Row { seen_before, ..row })
    }

    /// A row that cannot be read; passed on once.
    pub(crate) fn malformed(&mut self, row: Row) -> Option<Row> {
        if let Some(pass) = &mut self.pass {
            // It cannot be read any more, but it is not gone.
            pass.seen.insert(row.external_id.clone());
        }
        self.malformed.insert(row.content().0).then_some(row)
    }

    /// Whether a branch's head is news.
    pub(crate) fn is_new_head(&self, repository: &str, branch: &str, sha: &str) -> bool {
        self.heads.get(repository).and_then(|heads| heads.get(branch)).is_none_or(|head| head != sha)
    }

    /// The commits of a head were read. One without a name is listed each time.
    pub(crate) fn heads_read(&mut self, repository: &str, read: Option<(String, String)>) {
        let named = read.filter(|(branch, _)| !branch.is_empty());
        self.heads.entry(repository.to_owned()).or_default().extend(named);
    }

    /// The present repository was read to its end. Returns the deletions a reading of the window shows; none
    /// where a list was missing.
    pub(crate) fn repository_read(&mut self, read: &Read) -> Vec<Row> {
        let Some(pass) = &mut self.pass else { return Vec::new() };
        let Some(repository) = pass.repositories.pop() else { return Vec::new() };
        let seen = std::mem::take(&mut pass.seen);
        let begun = pass.begun.take();
        let is_whole = !std::mem::take(&mut pass.is_incomplete);
        (pass.list, pass.next) = (List::Issues, None);
        let mut rows = Vec::new();
        if is_whole {
            self.since.insert(repository.clone(), begun.unwrap_or(read.now.as_second()));
            let from = read.back_fill_from.as_second();
            let can_vanish = |id: &ExternalId| id.as_str().starts_with("issue:") || id.as_str().starts_with("comment:");
            let is_gone = |id: &ExternalId, known: &Known| {
                known.repository == repository && known.updated_at >= from && can_vanish(id) && !seen.contains(id)
            };
            if pass.window {
                let gone: Vec<ExternalId> =
                    self.known.iter().filter(|(id, known)| is_gone(id, known)).map(|(id, _)| id.clone()).collect();
                for id in gone {
                    self.known.remove(&id);
                    rows.push(deleted(id, read.now.as_second()));
                }
            }
        }
        if pass.repositories.is_empty() {
            if pass.window {
                self.window_at = read.now.as_second();
            }
            self.pass = None;
        }
        rows
    }
}
