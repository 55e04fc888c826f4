//! What became of an event: its sync transaction, its states and the line kept of each change.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Contribution, ExternalId, Partition, SourceName, UserId, Version, raw::as_byte};

/// Something that is no entry id or transaction id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {kind}")]
pub struct EntryIdError {
    kind: &'static str,
    text: String,
}

/// The id Redis gave an entry: milliseconds and a sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntryId {
    /// Redis' clock when it was appended, in milliseconds since 1970.
    pub ms: u64,
    /// Its place among the entries of that millisecond.
    pub seq: u64,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

impl FromStr for EntryId {
    type Err = EntryIdError;
    fn from_str(text: &str) -> Result<Self, EntryIdError> {
        let parse = || {
            let (ms, seq) = text.split_once('-')?;
            Some(Self { ms: ms.parse().ok()?, seq: seq.parse().ok()? })
        };
        parse().ok_or_else(|| EntryIdError { kind: "entry id", text: text.to_owned() })
    }
}

/// A sync transaction's id: the partition and the raw entry it began as. Sorts by arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TransactionId {
    /// Where the user lives.
    pub partition: Partition,
    /// The entry of the raw stream.
    pub entry: EntryId,
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.partition, self.entry)
    }
}

impl FromStr for TransactionId {
    type Err = EntryIdError;
    fn from_str(text: &str) -> Result<Self, EntryIdError> {
        let parse = || {
            let (partition, entry) = text.split_once('-')?;
            Some(Self { partition: Partition::from_index(partition.parse().ok()?), entry: entry.parse().ok()? })
        };
        parse().ok_or_else(|| EntryIdError { kind: "transaction id", text: text.to_owned() })
    }
}

/// How far a repetition's sequence number is from the one it repeats: beyond the entries of any millisecond.
const REPETITION: u64 = 1 << 48;

impl TransactionId {
    /// An id for this transaction put back once more without a new entry of the raw stream. It sorts where this
    /// one does: behind what arrived before it, and before what arrived in a later millisecond.
    ///
    /// `None` after 65,535 repetitions.
    #[must_use]
    pub fn repeated(self) -> Option<Self> {
        let seq = self.entry.seq.checked_add(REPETITION)?;
        Some(Self { entry: EntryId { seq, ..self.entry }, ..self })
    }
}

/// Which way a transaction carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Direction {
    /// A record from a source.
    Inbound,
    /// A daily value to Exist.
    Outbound,
}

/// The eight states of a sync transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum State {
    /// Waiting for its turn.
    Queued,
    /// Accepted; its values are on their way to Exist.
    Processing,
    /// Everything it changed stands in Exist, or it changed nothing.
    Completed,
    /// Set aside, with the cause.
    Errored,
    /// A newer version overtook it while it waited.
    Canceled,
    /// We know a newer version already.
    Dropped,
    /// We know this very version already.
    Duplicate,
    /// Its connection is off or paused; it waits for the connection's return.
    Disabled,
}

/// Why a transaction is in its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Reason {
    /// Accepted by the arrival rules.
    Accepted,
    /// Exist confirmed every value it changed.
    Confirmed,
    /// The record changed in nothing that counts.
    NoChange,
    /// The record counts for no attribute: nothing is mapped to it, or it has not ended yet.
    NotCounted,
    /// A newer version of the record is known.
    NewerKnown,
    /// This version of the record is known.
    SameVersion,
    /// A newer version arrived while this one waited.
    Superseded,
    /// A needed field is missing or of the wrong type.
    Malformed,
    /// Three deliveries ended in a crash.
    Poison,
    /// Exist refused the value for good.
    Refused,
    /// Nobody can tell whether Exist applied it.
    UnknownOutcome,
    /// The connection is off.
    ConnectionOff,
    /// Its day is older than the window we can still correct.
    TooOld,
    /// The user is not connected any more.
    Disconnected,
    /// An operator discarded it.
    Discarded,
    /// A recount of its source stands between: see its detail.
    Recounted,
    /// Exist held another value than we had left there.
    Drift,
    /// Its connection or its source is paused.
    Paused,
    /// An operator put it back: it repeats the transaction that is its cause.
    Replayed,
}

as_byte!(Direction { Inbound = 0, Outbound = 1 });
as_byte!(State {
    Queued = 0,
    Processing = 1,
    Completed = 2,
    Errored = 3,
    Canceled = 4,
    Dropped = 5,
    Duplicate = 6,
    Disabled = 7
});
as_byte!(Reason {
    Accepted = 0,
    Confirmed = 1,
    NoChange = 2,
    NotCounted = 3,
    NewerKnown = 4,
    SameVersion = 5,
    Superseded = 6,
    Malformed = 7,
    Poison = 8,
    Refused = 9,
    UnknownOutcome = 10,
    ConnectionOff = 11,
    TooOld = 12,
    Disconnected = 13,
    Discarded = 14,
    Recounted = 15,
    Drift = 16,
    Paused = 17,
    Replayed = 18
});

impl State {
    /// Every state, in the order of a transaction's life.
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Processing,
        Self::Completed,
        Self::Errored,
        Self::Canceled,
        Self::Dropped,
        Self::Duplicate,
        Self::Disabled,
    ];

    /// Whether nothing more will happen to the transaction by itself.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Completed | Self::Errored | Self::Canceled | Self::Dropped | Self::Duplicate)
    }

    /// The word used in keys, metrics, logs and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Errored => "errored",
            Self::Canceled => "canceled",
            Self::Dropped => "dropped",
            Self::Duplicate => "duplicate",
            Self::Disabled => "disabled",
        }
    }
}

impl Reason {
    /// The word used in keys, logs and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Confirmed => "confirmed",
            Self::NoChange => "no_change",
            Self::NotCounted => "not_counted",
            Self::NewerKnown => "newer_known",
            Self::SameVersion => "same_version",
            Self::Superseded => "superseded",
            Self::Malformed => "malformed",
            Self::Poison => "poison",
            Self::Refused => "refused",
            Self::UnknownOutcome => "unknown_outcome",
            Self::ConnectionOff => "connection_off",
            Self::TooOld => "too_old",
            Self::Disconnected => "disconnected",
            Self::Discarded => "discarded",
            Self::Recounted => "recounted",
            Self::Drift => "drift",
            Self::Paused => "paused",
            Self::Replayed => "replayed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One change of one transaction's state, as the audit keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionLine {
    /// Which transaction. An outbound one bears the id of its request.
    pub id: TransactionId,
    /// Inbound: a record. Outbound: a daily value.
    pub direction: Direction,
    /// Whose.
    pub user: UserId,
    /// The source, or `exist` for an outbound one.
    pub source: SourceName,
    /// The record's id, or `attribute@day` for an outbound one.
    pub external_id: ExternalId,
    /// The record's version at its source; 0 for an outbound one.
    pub version: Version,
    /// The state it entered.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// The transaction that caused this: `duplicate_of`, `dropped_for`, `canceled_by`, `replay_of`.
    pub cause: Option<TransactionId>,
    /// When the source was read, in milliseconds since 1970; 0 where it does not apply.
    pub read_at_ms: i64,
    /// When the state changed, in milliseconds since 1970.
    pub at_ms: i64,
    /// What the record's version adds, on the line that accepted it; the value sent, on an outbound one.
    pub contributions: Vec<Contribution>,
    /// The request that carried it, its answer, or what was wrong; empty when there is nothing to say.
    pub detail: String,
}

impl TransactionLine {
    /// The transaction that this one repeats, if this line says so: its cause, unless the cause is a version
    /// that it lost against.
    #[must_use]
    pub fn replay_of(&self) -> Option<TransactionId> {
        let lost = matches!(self.reason, Reason::NewerKnown | Reason::SameVersion | Reason::Superseded);
        self.cause.filter(|_| !lost && self.direction == Direction::Inbound)
    }
}

/// Transactions of one user that ended alike, at the same moment and with nothing more to say: what the
/// audit keeps instead of a line for each. Their records stand on the lines that accepted them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Whose.
    pub user: UserId,
    /// The state they entered.
    pub state: State,
    /// Why.
    pub reason: Reason,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Which.
    pub transactions: Vec<TransactionId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_id_reads_back_and_sorts_by_arrival() {
        let id: TransactionId = "07-1763687000000-12".parse().unwrap();
        assert_eq!(id.to_string(), "07-1763687000000-12");
        assert!(id < "07-1763687000000-13".parse().unwrap());
        assert!("07-x".parse::<TransactionId>().is_err());
    }

    #[test]
    fn a_repetition_has_an_id_of_its_own_and_the_place_of_what_it_repeats() {
        let id: TransactionId = "07-1763687000000-12".parse().unwrap();
        let (once, later) = (id.repeated().unwrap(), "07-1763687000001-0".parse().unwrap());
        assert!(id < once && once < later);
        assert!(once < once.repeated().unwrap() && once.repeated().unwrap() < later);
        let worn_out = std::iter::successors(Some(id), |id| id.repeated()).last().unwrap();
        assert_eq!((worn_out.entry.ms, worn_out.repeated()), (id.entry.ms, None));
    }

    #[test]
    fn every_state_has_its_own_byte_and_word() {
        for state in State::ALL {
            assert_eq!(State::try_from(u8::from(state)), Ok(state));
        }
        let words: std::collections::BTreeSet<_> = State::ALL.iter().map(|state| state.as_str()).collect();
        assert_eq!(words.len(), 8);
    }
}
