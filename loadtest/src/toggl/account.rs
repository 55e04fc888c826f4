//! One simulated Toggl Track user: entries, projects, tags, and the clock that dates every change.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Range,
};

use jiff::{SignedDuration, Timestamp};

use super::TogglConfig;
use crate::world::{
    quota::{Bucket, Quota},
    whole_microsecond, whole_second,
};

/// Real ids are already above this.
const FIRST_ENTRY_ID: i64 = 3_700_000_001;

/// A user of the simulated service.
#[derive(Clone)]
pub struct TogglAccount {
    /// The simulator's name for the account.
    pub name: String,
    /// Numeric user id; the default workspace is this plus a million.
    pub user_id: i64,
    /// The API token.
    pub api_token: String,
    /// The profile's IANA zone.
    pub timezone: String,
}

impl TogglAccount {
    /// The one workspace of this user.
    pub fn workspace_id(&self) -> i64 {
        self.user_id + 1_000_000
    }
}

impl fmt::Debug for TogglAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TogglAccount").field("name", &self.name).field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

/// Whom projects are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub label: String,
}

/// What entries are filed under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its id.
    pub id: i64,
    /// Its name, any Unicode.
    pub label: String,
    /// The client it is for.
    pub client_id: Option<i64>,
    /// Whether it was deleted.
    pub deleted: bool,
}

/// An entry to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// When it started.
    pub start: Timestamp,
    /// When it stopped; none while it runs.
    pub stop: Option<Timestamp>,
    /// The project it is filed under.
    pub project_id: Option<i64>,
    /// Its tags' names.
    pub tags: Vec<String>,
    /// What the user wrote.
    pub description: Option<String>,
}

/// One change of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Starts then instead; a stopped entry keeps its length.
    Start(Timestamp),
    /// A stopped entry is this many seconds long.
    Seconds(i64),
    /// Filed under another project, or none.
    Project(Option<i64>),
    /// Carries these tags.
    Tags(Vec<String>),
    /// Described so.
    Description(Option<String>),
}

/// An entry as the service holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its id.
    pub id: i64,
    /// When it started, in whole seconds.
    pub start: Timestamp,
    /// When it stopped, in whole seconds; none while it runs.
    pub stop: Option<Timestamp>,
    /// The project it is filed under.
    pub project_id: Option<i64>,
    /// Its tags' names.
    pub tags: Vec<String>,
    /// What the user wrote.
    pub description: Option<String>,
    /// When it was last changed, in microseconds; no two changes of a user share one.
    pub at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) spec: TogglAccount,
    pub(crate) entries: BTreeMap<i64, Entry>,
    /// Entries whose rows are spelled as no client expects.
    pub(crate) unreadable: BTreeSet<i64>,
    /// The entries in the order of their starts.
    starts: BTreeSet<(Timestamp, i64)>,
    pub(crate) projects: BTreeMap<i64, Project>,
    pub(crate) clients: BTreeMap<i64, Client>,
    pub(crate) tags: BTreeMap<String, i64>,
    pub(crate) me_quota: Quota,
    pub(crate) workspace_quota: Quota,
    pub(crate) bucket: Option<Bucket>,
    changed: Timestamp,
}

impl Account {
    pub(crate) fn new(spec: TogglAccount, config: &TogglConfig, now: Timestamp) -> Account {
        Account {
            spec,
            entries: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            starts: BTreeSet::new(),
            projects: BTreeMap::new(),
            clients: BTreeMap::new(),
            tags: BTreeMap::new(),
            me_quota: Quota::new(config.me_quota, config.quota_window),
            workspace_quota: Quota::new(config.workspace_quota, config.quota_window),
            bucket: config.burst.map(|capacity| Bucket::new(capacity, now)),
            changed: Timestamp::UNIX_EPOCH,
        }
    }

    pub(crate) fn create(&mut self, entry: NewEntry, now: Timestamp) -> i64 {
        if entry.stop.is_none()
            && let Some(id) = self.running()
        {
            self.stop(id, now, now);
        }
        let offset = i64::try_from(self.entries.len()).expect("fewer than 2^63 entries");
        // Ids of different users differ, as they do where one table holds all entries.
        let id = FIRST_ENTRY_ID + self.spec.user_id * 100_000 + offset;
        let NewEntry { start, stop, project_id, tags, description } = entry;
        let (start, stop) = (whole_second(start), stop.map(whole_second));
        assert!(stop.is_none_or(|stop| stop >= start), "an entry stops after it starts");
        self.know_tags(&tags);
        let at = self.touch(now);
        self.hold(Entry { id, start, stop, project_id, tags, description, at, deleted_at: None });
        id
    }

    pub(crate) fn put(&mut self, entry: Entry) {
        if self.entries.get(&entry.id).is_none_or(|held| held.at < entry.at) {
            self.know_tags(&entry.tags);
            self.hold(entry);
        }
    }

    /// Entries that start then, deleted ones too.
    pub(crate) fn started(&self, within: &Range<Timestamp>) -> impl Iterator<Item = &Entry> {
        let range = (within.start, i64::MIN)..(within.end.max(within.start), i64::MIN);
        self.starts.range(range).map(|(_, id)| &self.entries[id])
    }

    fn hold(&mut self, entry: Entry) {
        self.starts.insert((entry.start, entry.id));
        let (id, start) = (entry.id, entry.start);
        if let Some(old) = self.entries.insert(id, entry)
            && old.start != start
        {
            self.starts.remove(&(old.start, id));
        }
    }

    pub(crate) fn edit(&mut self, id: i64, edits: &[Edit], now: Timestamp) -> bool {
        self.change(id, now, |entry| {
            if entry.deleted_at.is_some() {
                return false;
            }
            for edit in edits {
                entry.apply(edit.clone());
            }
            true
        }) && {
            let tags = self.entries[&id].tags.clone();
            self.know_tags(&tags);
            true
        }
    }

    pub(crate) fn stop(&mut self, id: i64, stop: Timestamp, now: Timestamp) -> bool {
        self.change(id, now, |entry| {
            let runs = entry.stop.is_none() && entry.deleted_at.is_none();
            if runs {
                entry.stop = Some(whole_second(stop).max(entry.start));
            }
            runs
        })
    }

    pub(crate) fn delete(&mut self, id: i64, now: Timestamp) -> bool {
        self.change(id, now, |entry| {
            let lives = entry.deleted_at.is_none();
            entry.deleted_at.get_or_insert(whole_second(now));
            lives
        })
    }

    pub(crate) fn restore(&mut self, id: i64, now: Timestamp) -> bool {
        self.change(id, now, |entry| entry.deleted_at.take().is_some())
    }

    pub(crate) fn delete_project(&mut self, project: i64, touches: bool, now: Timestamp) {
        if let Some(project) = self.projects.get_mut(&project) {
            project.deleted = true;
        }
        let filed: Vec<i64> =
            self.entries.values().filter(|entry| entry.project_id == Some(project)).map(|entry| entry.id).collect();
        for id in filed {
            if touches {
                self.change(id, now, |entry| entry.project_id.take().is_some());
            } else if let Some(entry) = self.entries.get_mut(&id) {
                entry.project_id = None;
            }
        }
    }

    pub(crate) fn running(&self) -> Option<i64> {
        self.entries.values().find(|entry| entry.stop.is_none() && entry.deleted_at.is_none()).map(|entry| entry.id)
    }

    pub(crate) fn client_of(&self, project_id: Option<i64>) -> Option<&Client> {
        self.clients.get(&self.projects.get(&project_id?)?.client_id?)
    }

    fn change(&mut self, id: i64, now: Timestamp, change: impl FnOnce(&mut Entry) -> bool) -> bool {
        let Some(mut entry) = self.entries.get(&id).cloned() else { return false };
        let changed = change(&mut entry);
        if changed {
            entry.at = self.touch(now);
            self.hold(entry);
        }
        changed
    }

    /// The time of a change: now, or a microsecond after the last one of this user.
    fn touch(&mut self, now: Timestamp) -> Timestamp {
        self.changed = whole_microsecond(now).max(self.changed + SignedDuration::from_micros(1));
        self.changed
    }

    fn know_tags(&mut self, tags: &[String]) {
        for tag in tags {
            let next = 17_000_000 + i64::try_from(self.tags.len()).expect("fewer than 2^63 tags");
            self.tags.entry(tag.clone()).or_insert(next);
        }
    }
}

impl Entry {
    fn apply(&mut self, edit: Edit) {
        match edit {
            Edit::Start(start) => {
                let start = whole_second(start);
                self.stop = self.stop.map(|stop| start + stop.duration_since(self.start));
                self.start = start;
            }
            Edit::Seconds(seconds) => {
                assert!(seconds >= 0, "an entry stops after it starts");
                self.stop = Some(self.start + SignedDuration::from_secs(seconds));
            }
            Edit::Project(project) => self.project_id = project,
            Edit::Tags(tags) => self.tags = tags,
            Edit::Description(description) => self.description = description,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn account() -> Account {
        let spec = TogglAccount { name: "ada".into(), user_id: 1, api_token: "t".into(), timezone: "UTC".into() };
        Account::new(spec, &TogglConfig::default(), Timestamp::UNIX_EPOCH)
    }

    fn span(start: &str, stop: Option<&str>) -> NewEntry {
        NewEntry { start: time(start), stop: stop.map(time), project_id: None, tags: vec![], description: None }
    }

    #[test]
    fn changes_at_one_instant_are_still_dated_one_after_the_other() {
        let (mut account, now) = (account(), time("2026-03-01T10:00:00.5Z"));
        let id = account.create(span("2026-03-01T08:00:00Z", Some("2026-03-01T09:00:00Z")), now);
        let created = account.entries[&id].at;
        assert!(account.edit(id, &[Edit::Seconds(60)], now));
        assert!(account.entries[&id].at > created);
    }

    #[test]
    fn starting_a_timer_stops_the_running_one_at_the_moment_of_the_call() {
        let (mut account, now) = (account(), time("2026-03-01T10:00:00Z"));
        let first = account.create(span("2026-03-01T08:00:00Z", None), now);
        let second = account.create(span("2026-03-01T07:00:00Z", None), now);
        assert_eq!(account.entries[&first].stop, Some(now));
        assert_eq!(account.running(), Some(second));
    }

    #[test]
    fn a_moved_entry_keeps_its_length() {
        let (mut account, now) = (account(), time("2026-03-01T10:00:00Z"));
        let id = account.create(span("2026-03-01T08:00:00Z", Some("2026-03-01T08:30:00Z")), now);
        account.edit(id, &[Edit::Start(time("2026-02-27T20:00:00Z"))], now);
        assert_eq!(account.entries[&id].stop, Some(time("2026-02-27T20:30:00Z")));
    }

    #[test]
    fn a_deleted_entry_can_be_restored_but_not_edited() {
        let (mut account, now) = (account(), time("2026-03-01T10:00:00Z"));
        let id = account.create(span("2026-03-01T08:00:00Z", Some("2026-03-01T08:30:00Z")), now);
        assert!(account.delete(id, now));
        assert!(!account.delete(id, now));
        assert!(!account.edit(id, &[Edit::Seconds(1)], now));
        assert!(account.restore(id, now));
        assert!(account.edit(id, &[Edit::Seconds(1)], now));
    }
}
