//! What became of a user's records, as the command and the API tell it.

use std::collections::BTreeMap;

use event::{Direction, State, TransactionId, TransactionLine};
use serde::Serialize;
use utoipa::ToSchema;

/// One transaction, as its lines tell.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TransactionRow {
    /// Its id.
    pub id: String,
    /// From which source.
    pub source: String,
    /// The record's id there.
    pub external_id: String,
    /// Which version of it.
    pub version: i64,
    /// The state it is in.
    #[schema(value_type = String)]
    pub state: &'static str,
    /// Why it is in it.
    #[schema(value_type = String)]
    pub reason: &'static str,
    /// The transaction that it is a duplicate of, was dropped for, was canceled by, or repeats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The transaction that it repeats, where an operator put it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<String>,
    /// When the source was read, in milliseconds since 1970.
    pub read_at_ms: i64,
    /// When it was appended, in milliseconds since 1970.
    pub arrived_at_ms: u64,
    /// Since when it is in this state, in milliseconds since 1970.
    pub changed_at_ms: i64,
    /// More of why.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// A user's transactions in one state, or in all, the newest last.
#[must_use]
pub fn rows(lines: &[TransactionLine], state: Option<State>) -> Vec<TransactionRow> {
    let repeats = replays(lines);
    let wanted = |line: &TransactionLine| state.is_none_or(|state| line.state == state);
    latest(lines).into_values().filter(wanted).map(|line| row(&repeats, line)).collect()
}

/// The latest line of each inbound transaction; the cause is kept from whichever line named one.
fn latest(lines: &[TransactionLine]) -> BTreeMap<TransactionId, TransactionLine> {
    let mut latest: BTreeMap<TransactionId, TransactionLine> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.direction == Direction::Inbound) {
        let cause = line.cause.or_else(|| latest.get(&line.id).and_then(|before| before.cause));
        latest.insert(line.id, TransactionLine { cause, ..line.clone() });
    }
    latest
}

/// The transactions that repeat another, with the one that each repeats.
#[must_use]
pub fn replays(lines: &[TransactionLine]) -> BTreeMap<TransactionId, TransactionId> {
    lines.iter().filter_map(|line| Some((line.id, line.replay_of()?))).collect()
}

fn row(repeats: &BTreeMap<TransactionId, TransactionId>, line: TransactionLine) -> TransactionRow {
    TransactionRow {
        replay_of: repeats.get(&line.id).map(TransactionId::to_string),
        id: line.id.to_string(),
        source: line.source.to_string(),
        external_id: line.external_id.to_string(),
        version: line.version.0,
        state: line.state.as_str(),
        reason: line.reason.as_str(),
        cause: line.cause.map(|cause| cause.to_string()),
        read_at_ms: line.read_at_ms,
        arrived_at_ms: line.id.entry.ms,
        changed_at_ms: line.at_ms,
        detail: line.detail,
    }
}

#[cfg(test)]
mod tests {
    use event::{EntryId, ExternalId, PartitionCount, Reason, SourceName, UserId, Version};

    use super::*;

    fn line(
        transaction: u64,
        direction: Direction,
        state: State,
        reason: Reason,
        cause: Option<u64>,
    ) -> TransactionLine {
        let partition = PartitionCount::try_new(1).unwrap().get_partition(0).unwrap();
        let id = |ms| TransactionId { partition, entry: EntryId { ms, seq: 0 } };
        TransactionLine {
            id: id(transaction),
            direction,
            user: UserId::try_new("alice").unwrap(),
            source: SourceName::try_new("toggl").unwrap(),
            external_id: ExternalId::try_new("1").unwrap(),
            version: Version(7),
            state,
            reason,
            cause: cause.map(id),
            read_at_ms: 3,
            at_ms: 4,
            contributions: Vec::new(),
            detail: String::new(),
        }
    }

    #[test]
    fn a_transaction_is_shown_once_in_its_latest_state_and_keeps_its_cause() {
        use Direction::{Inbound, Outbound};
        let lines = [
            line(2, Inbound, State::Processing, Reason::Accepted, Some(1)),
            line(9, Outbound, State::Completed, Reason::Confirmed, None),
            line(1, Inbound, State::Duplicate, Reason::SameVersion, None),
            line(2, Inbound, State::Completed, Reason::Confirmed, None),
        ];
        let shown = rows(&lines, None);
        let told: Vec<_> = shown.iter().map(|shown| (shown.id.as_str(), shown.state, shown.cause.as_deref())).collect();
        assert_eq!(told, [("00-1-0", "duplicate", None), ("00-2-0", "completed", Some("00-1-0"))]);
        assert_eq!(shown[1].replay_of.as_deref(), Some("00-1-0"));
    }

    #[test]
    fn what_a_transaction_lost_against_is_not_what_it_repeats() {
        use Direction::Inbound;
        let lines = [
            line(5, Inbound, State::Queued, Reason::Replayed, Some(1)),
            line(5, Inbound, State::Dropped, Reason::NewerKnown, Some(3)),
            line(6, Inbound, State::Duplicate, Reason::SameVersion, Some(3)),
        ];
        let shown = rows(&lines, None);
        let told: Vec<_> = shown.iter().map(|shown| (shown.cause.as_deref(), shown.replay_of.as_deref())).collect();
        assert_eq!(told, [(Some("00-3-0"), Some("00-1-0")), (Some("00-3-0"), None)]);
    }
}
