//! Which client a project belongs to: entries carry only their project.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Most projects that are remembered between reads; the newest are kept.
pub(crate) const PROJECTS_MAX: usize = 2_000;

/// How long the list is believed, in seconds. A project that it lacks is asked for at once.
const BELIEVED: i64 = 3_600;

/// A row of `/me/projects`, as far as we need it.
#[derive(Debug, Deserialize)]
pub(crate) struct ProjectRow {
    id: i64,
    client_id: Option<i64>,
}

/// The projects as they were last read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Projects {
    /// When, in seconds.
    read_at: i64,
    /// Each project's client, none for projects without one and for those that the list lacks.
    client_of: BTreeMap<i64, Option<i64>>,
}

impl Projects {
    /// The client of a project, as far as we know.
    pub(crate) fn client_of(&self, project: i64) -> Option<i64> {
        self.client_of.get(&project).copied().flatten()
    }

    /// Whether the list must be read before entries of these projects can be passed on.
    pub(crate) fn are_due(&self, used: impl IntoIterator<Item = i64>, now: Timestamp) -> bool {
        let is_old = now.as_second() - self.read_at > BELIEVED;
        used.into_iter().any(|project| is_old || !self.client_of.contains_key(&project))
    }

    /// The list as it was just read. A project in use that it lacks, such as one that is hidden from
    /// the user, has no client; it is not asked for again until the list is due.
    pub(crate) fn of(rows: Vec<ProjectRow>, used: impl IntoIterator<Item = i64>, now: Timestamp) -> Self {
        let mut client_of: BTreeMap<_, _> = rows.into_iter().map(|row| (row.id, row.client_id)).collect();
        for project in used {
            client_of.entry(project).or_default();
        }
        Self { read_at: now.as_second(), client_of }
    }

    /// Forgets the oldest projects of very many: an entry of one of them asks for the list again.
    pub(crate) fn shorten(&mut self) {
        while self.client_of.len() > PROJECTS_MAX {
            self.client_of.pop_first();
        }
    }
}
