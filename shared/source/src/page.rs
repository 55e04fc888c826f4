//! What one read asked for and what it brought.

use std::time::Duration;

use event::{ContentHash, ExternalId, RecordKind, Version};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::http::cut;

/// Longest payload of a malformed row, in bytes; the rest of it is cut off.
pub const PAYLOAD_BYTES_MAX: usize = 16 << 10;

/// How far a connection has been read: JSON that only its source understands.
///
/// Bounded by the source's window: a cursor may hold the ids of the window to find what vanished.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cursor(String);

impl Cursor {
    /// Nothing was read yet.
    #[must_use]
    pub fn fresh() -> Self {
        Self::default()
    }

    /// What was stored; empty means fresh.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The state as JSON.
    ///
    /// # Panics
    /// If the state is no JSON value, such as a map with keys that are no text.
    pub fn of<T: Serialize>(state: &T) -> Self {
        Self(serde_json::to_string(state).expect("a cursor is plain JSON"))
    }

    /// The state, or `None` when fresh or written by an incompatible release: both mean the window
    /// is read again, which is always safe.
    #[must_use]
    pub fn state<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(&self.0).ok()
    }

    /// The text to store.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a read is about, apart from the account and the cursor.
#[derive(Debug, Clone)]
pub struct Read {
    /// The time of the read, by Redis' clock: it never falls behind that of an earlier read, whichever
    /// process reads. The only clock a source knows.
    pub now: Timestamp,
    /// Where the back-fill window begins.
    pub back_fill_from: Timestamp,
    /// The user's zone.
    pub zone: TimeZone,
    /// What webhooks since the last read ask for.
    pub hint: Hint,
}

/// What a webhook asks of the next read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hint {
    /// Nothing: what changed since the cursor is enough.
    #[default]
    None,
    /// A webhook told of a record. Rows that the overlap brings again are passed on again, so that the
    /// source's own word follows a webhook that came late or told only a part.
    Recent,
    /// A webhook told of something that no read since a cursor shows: the whole window is read and
    /// compared with what is known of it.
    Window,
}

/// One record in a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The record's id; for a malformed row without one, `row:` and its content hash.
    pub external_id: ExternalId,
    /// The record's version; 0 if it cannot be read.
    pub version: Version,
    /// Present, deleted or malformed.
    pub kind: RecordKind,
    /// The record existed before the previous read (see [`event::RawEvent::seen_before`]).
    pub seen_before: bool,
    /// Compact JSON of what counts; the row as it came if malformed (cut at 16 KiB); empty if deleted.
    pub payload: String,
    /// What is wrong, naming field and source; empty unless malformed.
    pub problem: String,
}

impl Row {
    /// A record that is there; `payload` is compact JSON of what counts.
    #[must_use]
    pub fn present(external_id: ExternalId, version: Version, payload: String) -> Self {
        Self { external_id, version, kind: RecordKind::Present, seen_before: false, payload, problem: String::new() }
    }

    /// A record that is gone.
    #[must_use]
    pub fn deleted(external_id: ExternalId, version: Version) -> Self {
        let (payload, problem) = (String::new(), String::new());
        Self { external_id, version, kind: RecordKind::Deleted, seen_before: false, payload, problem }
    }

    /// A row that we cannot read, as it came. Without an id of its own it is `row:` and its hash.
    ///
    /// # Panics
    /// Never: a hash in hexadecimal is an id.
    #[must_use]
    pub fn malformed(external_id: Option<ExternalId>, version: Option<Version>, row: &str, problem: String) -> Self {
        let payload = cut(row, PAYLOAD_BYTES_MAX).to_owned();
        let external_id = external_id.unwrap_or_else(|| {
            let id = format!("row:{:016x}", ContentHash::of(row).0);
            ExternalId::try_new(&id).expect("a hash in hexadecimal is an id")
        });
        let version = version.unwrap_or(Version(0));
        Self { external_id, version, kind: RecordKind::Malformed, seen_before: false, payload, problem }
    }

    /// What the row says, as a hash.
    #[must_use]
    pub fn content(&self) -> ContentHash {
        if self.kind == RecordKind::Deleted { ContentHash::deleted() } else { ContentHash::of(&self.payload) }
    }
}

/// What one read brought.
#[derive(Debug, Clone)]
pub struct Page {
    /// Changed records, the oldest version first where the source tells.
    pub rows: Vec<Row>,
    /// Where to go on. Stored with the rows in one step.
    pub cursor: Cursor,
    /// There is more to read now.
    pub more: bool,
    /// The rows belong to the first read of a new connection.
    pub back_fill: bool,
    /// The source asks to be left alone for at least so long.
    pub not_before: Option<Duration>,
}
