//! What a source said of one record: an entry of the raw stream.

use serde::{Deserialize, Serialize};

use crate::{ContentHash, ExternalId, SourceName, TransactionId, UserId, Version};

/// What the source said of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum RecordKind {
    /// It is there, and this is what it holds.
    Present,
    /// It is gone.
    Deleted,
    /// It is there, but we cannot read it: a dead letter.
    Malformed,
    /// No record: from here on the source is counted anew. The payload is the number of the first day.
    RecountBegun,
    /// No record: every record of the recount was told.
    RecountEnded,
}

/// Why we read the record now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Origin {
    /// A scheduled poll.
    Poll,
    /// The window read when a connection is new.
    BackFill,
    /// The source told us.
    Webhook,
    /// An operator put a dead letter back.
    Redrive,
    /// The source is counted anew: the window is read again, and what it brings replaces what we had.
    Recount,
}

macro_rules! as_byte {
    ($type:ident { $($variant:ident = $byte:literal),+ }) => {
        impl From<$type> for u8 {
            fn from(value: $type) -> u8 {
                match value { $($type::$variant => $byte),+ }
            }
        }
        impl TryFrom<u8> for $type {
            type Error = String;
            fn try_from(byte: u8) -> Result<Self, String> {
                match byte {
                    $($byte => Ok($type::$variant),)+
                    other => Err(format!("{other} is no {}", stringify!($type))),
                }
            }
        }
    };
}
pub(crate) use as_byte;

as_byte!(RecordKind { Present = 0, Deleted = 1, Malformed = 2, RecountBegun = 3, RecountEnded = 4 });
as_byte!(Origin { Poll = 0, BackFill = 1, Webhook = 2, Redrive = 3, Recount = 4 });

/// One telling of one record, as the fetcher appended it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawEvent {
    /// Whose record it is.
    pub user: UserId,
    /// Who recorded it.
    pub source: SourceName,
    /// Its id there.
    pub external_id: ExternalId,
    /// Its version there.
    pub version: Version,
    /// What this version says, as a hash.
    pub content: ContentHash,
    /// Present, deleted or malformed.
    pub kind: RecordKind,
    /// Why it was read.
    pub origin: Origin,
    /// The source says that the record existed before the previous read, so that we may have held
    /// it, and forgotten it since.
    pub seen_before: bool,
    /// When the read began, in milliseconds since 1970 by the fetcher's clock; for people to look at.
    pub read_at_ms: i64,
    /// The source's compact JSON of what counts, or the row as it came if it is malformed.
    pub payload: String,
    /// What is wrong, naming field and source; empty unless malformed.
    pub problem: String,
    /// The transaction this one repeats, when an operator put it back.
    pub replay_of: Option<TransactionId>,
}
