//! What the fetcher changes: raw entries together with the cursor, and when a connection is due.

use std::time::Duration;

use event::{RawEvent, SourceName, UserId};

use crate::{
    Commit, Counting, Owned, Stage, StoreError,
    traced::{append_raw, carried},
    user::{Polled, RecountAsked, document, field},
};

/// What a poll knew of the wishes of others, and leaves as it is.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// When it looked, by Redis' clock.
    pub at_ms: u64,
    /// The hint that it leaves; empty for none.
    pub hint: &'a str,
    /// The recount that it leaves asked for, as stored; empty for none.
    pub recount: &'a str,
}

impl Owned {
    /// Appends raw entries, and rings the normaliser.
    pub fn append_raw(&self, commit: &mut Commit, events: &[RawEvent]) {
        let stream = self.keys.raw(self.partition());
        let mut counting = Counting::new();
        let appended = append_raw(&stream, self.partition(), events.len());
        for (place, event) in events.iter().enumerate() {
            commit.append(&stream, &event::encode_traced(event, carried(appended.as_ref(), place)));
            counting.appended(&event.source, 1);
        }
        commit.spans.extend(appended.map(|appended| appended.span));
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

    /// Asks the fetcher to count a source anew, as soon as it looks.
    pub fn ask_for_recount(&self, commit: &mut Commit, user: &UserId, source: &SourceName, asked: &RecountAsked) {
        let hash = self.keys.user(self.partition(), user);
        commit.set(&hash, &field::recount(source), document(asked).as_bytes());
        self.poll_now(commit, user, source);
    }

    /// Asks for a poll of the whole window, and says who asks.
    pub fn ask_for_window(&self, commit: &mut Commit, user: &UserId, source: &SourceName, who: &str) {
        let hash = self.keys.user(self.partition(), user);
        commit.set(&hash, &field::hint(source), format!("window/{who}").as_bytes());
        self.poll_now(commit, user, source);
    }

    /// A connection's next poll is due now.
    pub fn poll_now(&self, commit: &mut Commit, user: &UserId, source: &SourceName) {
        let (schedule, member) = (self.keys.schedule(self.partition()), format!("{user}/{source}"));
        commit.due_at_the_latest(&schedule, &member, Duration::ZERO);
    }

    /// Notes how polling a connection goes.
    pub fn note_polled(&self, commit: &mut Commit, user: &UserId, source: &SourceName, polled: &Polled) {
        let hash = self.keys.user(self.partition(), user);
        commit.set(&hash, &field::polled(source), document(polled).as_bytes());
    }

    /// A connection that was looked at since `seen.at_ms` is due again after so long, or at once if it was
    /// asked for anything that was not seen then.
    pub fn poll_again(
        &self,
        commit: &mut Commit,
        user: &UserId,
        source: &SourceName,
        seen: &Seen<'_>,
        delay: Duration,
    ) {
        let (schedule, hash) = (self.keys.schedule(self.partition()), self.keys.user(self.partition(), user));
        let news = [(field::hint(source), seen.hint), (field::recount(source), seen.recount)];
        commit.again(&schedule, &hash, &format!("{user}/{source}"), seen.at_ms, delay, &news);
    }

    /// A connection that was looked at since `seen_ms` is not polled any more, unless it was connected again
    /// meanwhile.
    pub fn poll_no_more(&self, commit: &mut Commit, member: &str, seen_ms: u64) {
        commit.not_due_since(&self.keys.schedule(self.partition()), member, seen_ms);
    }
}
