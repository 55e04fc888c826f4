//! Rows into the raw stream, together with the cursor.

use std::time::Duration;

use event::{Origin, RawEvent};
use settings::Settings;
use source::Page;
use store::{
    Commit, StoreError,
    user::{Polled, SourceConnection, document, field},
};
use telemetry::counter;

use super::{jittered, turn::Turn};

/// Most raw entries appended in one step: everybody else waits meanwhile.
const APPEND_MAX: usize = 100;
/// Between two pages of a back-fill.
pub(super) const NEXT_PAGE: Duration = Duration::from_millis(50);

impl Turn<'_> {
    /// Appends a page and moves the cursor in one step; of a long page, with its last rows. A crash in
    /// between brings the page again, and what was appended already turns out as duplicates.
    pub(super) async fn append(&mut self, page: Page, settings: &Settings) -> Result<(), StoreError> {
        let Page { rows, cursor, more, back_fill, not_before } = page;
        let is_recount = self.documents.recounting.contains_key(self.name);
        let origin = match (is_recount, back_fill) {
            (true, _) => Origin::Recount,
            (false, true) => Origin::BackFill,
            (false, false) => Origin::Poll,
        };
        let first_ok_at_ms = if self.polled.first_ok_at_ms == 0 { self.now_ms } else { self.polled.first_ok_at_ms };
        // A record seen before is one that we may have forgotten, but not before we could forget anything.
        let retention_ms = u64::try_from(settings.retention.as_millis()).unwrap_or(u64::MAX);
        let may_forget = self.now_ms.saturating_sub(first_ok_at_ms) >= retention_ms;
        let event = |row: source::Row| {
            let seen_before = row.seen_before && may_forget;
            RawEvent { seen_before, ..self.event(row, origin) }
        };
        let events: Vec<RawEvent> = rows.into_iter().map(event).collect();
        let mut chunks: Vec<&[RawEvent]> = events.chunks(APPEND_MAX).collect();
        let last = chunks.pop().unwrap_or(&[]);
        for chunk in chunks {
            let mut commit = Commit::new();
            self.owned.append_raw(&mut commit, chunk);
            self.owned.commit(commit).await?;
        }
        self.polled = Polled {
            first_ok_at_ms,
            ok_at_ms: self.now_ms,
            failures: 0,
            problem: String::new(),
            rows: self.polled.rows + u64::try_from(events.len()).unwrap_or(0),
            back_filling: back_fill && more,
        };
        let interval = if more { NEXT_PAGE } else { jittered(settings.poll_interval(self.name.as_str())) };
        let mut commit = Commit::new();
        self.owned.append_raw(&mut commit, last);
        self.owned.move_cursor(&mut commit, self.user, self.name, self.cursor, cursor.as_str());
        self.owned.note_polled(&mut commit, self.user, self.name, &self.polled);
        if is_recount && !more {
            self.end_recount(&mut commit);
        }
        self.prove_access(&mut commit);
        // While there is more to read, the hint has not been heard in full.
        let hint = if more { self.hint() } else { "" };
        if !more && !self.hint().is_empty() {
            let hash = self.owned.keys.user(self.owned.partition(), self.user);
            commit.clear(&hash, &field::hint(self.name), self.hint());
        }
        let (asked, wait) = (self.asked(), interval.max(not_before.unwrap_or_default()));
        self.owned.poll_again(&mut commit, self.user, self.name, &self.seen(hint, &asked), wait);
        self.owned.commit(commit).await?;
        counter!(ENTRIES_APPENDED, stage = "fetch", source = self.name.to_string())
            .increment(u64::try_from(events.len()).unwrap_or(0));
        self.ended("acked");
        Ok(())
    }

    /// A token that was refreshed because the one before was refused has proven itself.
    fn prove_access(&self, commit: &mut Commit) {
        if self.connection.last_chance {
            let hash = self.owned.keys.user(self.owned.partition(), self.user);
            let proven = SourceConnection { last_chance: false, ..self.connection.clone() };
            let (before, after) = (document(self.connection), document(&proven));
            commit.swap(&hash, &field::source(self.name), before.as_bytes(), after.as_bytes());
        }
    }
}
