//! What the fetcher changes: raw entries together with the cursor, and when a connection is due.

use std::time::Duration;

use event::{RawEvent, SourceName, UserId};

use crate::{
    Commit, Counting, Owned, Stage, StoreError,
    user::{Polled, document, field},
};

impl Owned {
    /// Appends raw entries, and rings the normaliser.
    pub fn append_raw(&self, commit: &mut Commit, events: &[RawEvent]) {
        let stream = self.keys.raw(self.partition());
        let mut counting = Counting::new();
        for event in events {
            commit.append(&stream, &event::encode(event));
            counting.appended(&event.source, 1);
        }
        counting.write(commit, self);
        if !events.is_empty() {
            self.ring(commit, Stage::Normalise, events.len());
        }
    }

    /// How many raw entries of this partition wait to be normalised.
    ///
    /// # Errors
    /// [`StoreError::Redis`]: no answer.
    pub async fn raw_waiting(&self) -> Result<u64, StoreError> {
        let mut command = redis::cmd("XLEN");
        command.arg(self.keys.raw(self.partition()));
        self.redis.run("counting what waits", &command).await
    }

    /// Moves a connection's cursor, if it is still where it was read: an operator may have taken it away
    /// so that the window is read again.
    pub fn move_cursor(&self, commit: &mut Commit, user: &UserId, source: &SourceName, from: &str, to: &str) {
        let hash = self.keys.user(self.partition(), user);
        commit.swap(&hash, &field::cursor(source), from.as_bytes(), to.as_bytes());
    }

    /// Notes how polling a connection goes.
    pub fn note_polled(&self, commit: &mut Commit, user: &UserId, source: &SourceName, polled: &Polled) {
        let hash = self.keys.user(self.partition(), user);
        commit.set(&hash, &field::polled(source), document(polled).as_bytes());
    }

    /// A connection's next poll is due after so long.
    pub fn poll_again(&self, commit: &mut Commit, user: &UserId, source: &SourceName, delay: Duration) {
        commit.due_in(&self.keys.schedule(self.partition()), &format!("{user}/{source}"), delay);
    }

    /// A connection is not polled any more.
    pub fn poll_no_more(&self, commit: &mut Commit, member: &str) {
        commit.not_due(&self.keys.schedule(self.partition()), member);
    }
}
