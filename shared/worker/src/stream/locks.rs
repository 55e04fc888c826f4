//! Whom others hold a key lock of, as far as a session knows.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use store::{Owned, StoreError};
use tokio::time::Instant;

use crate::meter;

/// How long a locked lane waits before it is looked at again.
pub(super) const LOCKED_AGAIN: Duration = Duration::from_millis(200);

/// What a session knows of key locks.
pub(super) struct Locks {
    /// How often one was taken when we looked last. What was read since then is true unless this changed.
    taken: u64,
    /// Since when we know of each.
    users: HashMap<String, Instant>,
    looked: Instant,
}

impl Locks {
    /// Nothing is known yet.
    pub(super) fn unknown() -> Self {
        Self { taken: 0, users: HashMap::new(), looked: Instant::now() }
    }

    /// How often one was taken when we looked last.
    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// Looks. `true`: one was taken since we looked last, and what was remembered is to be dropped.
    pub(super) async fn look(&mut self, owned: &Owned) -> Result<bool, StoreError> {
        let locks = owned.key_locks().await?;
        let held: HashSet<String> = locks.users.into_iter().map(|(user, _)| user).collect();
        self.users.retain(|user, since| {
            let is_held = held.contains(user);
            if !is_held {
                meter::key_lock_gone(owned.stage(), since.elapsed());
            }
            is_held
        });
        self.note(held);
        let is_news = self.taken != locks.taken;
        self.taken = locks.taken;
        Ok(is_news)
    }

    /// These are locked, too, although we did not look.
    pub(super) fn note(&mut self, users: impl IntoIterator<Item = String>) {
        self.looked = Instant::now();
        for user in users {
            self.users.entry(user).or_insert(self.looked);
        }
    }

    /// Whether the lane was locked when we looked last.
    pub(super) fn hold(&self, lane: &str) -> bool {
        self.users.contains_key(lane)
    }

    /// Whether anybody was, and it is time to look again.
    pub(super) fn are_due(&self) -> bool {
        !self.users.is_empty() && self.looked.elapsed() >= LOCKED_AGAIN
    }
}
