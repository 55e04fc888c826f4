//! A source counted anew: the ledger makes room, then the window is read again from its first day.
//!
//! The reading begins only when the ledger has taken the old totals out: whatever was told before is in
//! what is read after.

use std::time::Duration;

use event::{ContentHash, Day, ExternalId, Origin, RawEvent, RecordKind, Version};
use store::{
    Commit, StoreError,
    user::{RecountAsked, Recounting, document, field},
};
use tracing::info;

use super::turn::Turn;

/// How long until we look again whether the ledger has made room; it calls us sooner.
pub(super) const ROOM_AGAIN: Duration = Duration::from_millis(500);
/// From one recount of a connection to the next.
const SPACING_MS: u64 = 10_000;

/// Where a connection's recount stands.
pub(super) enum Recount {
    /// There is none, or it is not due.
    None,
    /// One is asked for, from this day on.
    Begin { asked: RecountAsked, from: Day },
    /// The ledger has not taken the old totals out yet.
    MakingRoom,
    /// It has: the reading can start.
    Start,
    /// The window is being read, from this day on.
    Reading { from: Day },
}

impl Turn<'_> {
    /// What is to be done about a recount; `first_day` begins the back-fill window.
    pub(super) fn recount(&self, first_day: Day, today: Day) -> Recount {
        let latest = self.documents.recounted.get(self.name).map_or(0, |recounted| recounted.latest());
        match (self.documents.recounting.get(self.name), self.documents.recounts_asked.get(self.name)) {
            (Some(recounting), _) if recounting.reading => Recount::Reading { from: recounting.from },
            (Some(recounting), _) if latest >= recounting.generation => Recount::Start,
            (Some(_), _) => Recount::MakingRoom,
            (None, Some(asked)) if latest + SPACING_MS <= self.now_ms => {
                let from = asked.from.unwrap_or(first_day).clamp(first_day, today);
                Recount::Begin { asked: asked.clone(), from }
            }
            (None, _) => Recount::None,
        }
    }

    /// Asks the ledger to make room.
    pub(super) async fn begin_recount(&mut self, asked: &RecountAsked, from: Day) -> Result<(), StoreError> {
        info!("{} of {} is counted anew from {from} on: {}", self.name, self.user, asked.why);
        let recounting = Recounting { generation: self.now_ms, from, reading: false };
        let begun = self.marker(RecordKind::RecountBegun, recounting.generation, from.number().to_string());
        // Every record of the window is known again for the retention time.
        self.polled.first_ok_at_ms = self.now_ms;
        let mut commit = Commit::new();
        self.owned.append_raw(&mut commit, &[begun]);
        self.note_recounting(&mut commit, Some(&recounting));
        let hash = self.owned.keys.user(self.owned.partition(), self.user);
        commit.clear(&hash, &field::recount(self.name), &document(asked));
        commit.bump(&self.owned.keys.revision(self.owned.partition()));
        self.owned.note_polled(&mut commit, self.user, self.name, &self.polled);
        self.owned.poll_again(&mut commit, self.user, self.name, &self.seen("", ""), ROOM_AGAIN);
        self.owned.commit(commit).await.map(drop)
    }

    /// Starts to read the window.
    pub(super) async fn start_recount(&mut self) -> Result<(), StoreError> {
        let Some(recounting) = self.documents.recounting.get(self.name) else { return Ok(()) };
        let mut commit = Commit::new();
        self.owned.move_cursor(&mut commit, self.user, self.name, self.cursor, "");
        self.note_recounting(&mut commit, Some(&Recounting { reading: true, ..recounting.clone() }));
        self.again(&mut commit, Duration::ZERO);
        self.owned.commit(commit).await.map(drop)
    }

    /// Tells the ledger that all was told.
    pub(super) fn end_recount(&self, commit: &mut Commit) {
        let Some(recounting) = self.documents.recounting.get(self.name) else { return };
        let ended = self.marker(RecordKind::RecountEnded, recounting.generation, String::new());
        self.owned.append_raw(commit, &[ended]);
        self.note_recounting(commit, None);
    }

    fn note_recounting(&self, commit: &mut Commit, recounting: Option<&Recounting>) {
        let hash = self.owned.keys.user(self.owned.partition(), self.user);
        match recounting {
            Some(recounting) => commit.set(&hash, &field::recounting(self.name), document(recounting).as_bytes()),
            None => commit.unset(&hash, &field::recounting(self.name)),
        }
    }

    fn marker(&self, kind: RecordKind, generation: u64, payload: String) -> RawEvent {
        let name = if kind == RecordKind::RecountBegun { "recount-begun" } else { "recount-ended" };
        RawEvent {
            user: self.user.clone(),
            source: self.name.clone(),
            external_id: ExternalId::try_new(&format!("{name}:{generation}")).expect("letters, a colon and digits"),
            version: Version(i64::try_from(generation).unwrap_or(i64::MAX)),
            content: ContentHash::of(&payload),
            kind,
            origin: Origin::Recount,
            seen_before: false,
            read_at_ms: self.now().as_millisecond(),
            payload,
            problem: String::new(),
            replay_of: None,
        }
    }
}
