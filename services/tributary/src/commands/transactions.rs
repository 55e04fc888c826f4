//! What became of a user's records.

use std::collections::BTreeMap;

use event::{Direction, State, TransactionId, TransactionLine, UserId};
use serde::Serialize;
use store::lines_of;

use super::{Operator, print_json, print_table, time};
use crate::cli::Output;

/// One transaction, as its lines tell.
#[derive(Serialize)]
struct Shown {
    id: String,
    source: String,
    external_id: String,
    version: i64,
    state: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay_of: Option<String>,
    read_at_ms: i64,
    arrived_at_ms: u64,
    changed_at_ms: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
}

/// Prints a user's latest transactions, the newest last.
pub(crate) async fn transactions(
    operator: &Operator,
    user: &UserId,
    limit: usize,
    state: Option<State>,
    output: Output,
) -> anyhow::Result<()> {
    let (partition, _) = operator.user(user).await?;
    let lines = lines_of(&operator.redis, &operator.keys, partition, user, operator.settings.retention).await?;
    let wanted = |line: &TransactionLine| state.is_none_or(|state| line.state == state);
    let repeats = replays(&lines);
    let shown = |line: TransactionLine| show(&repeats, line);
    let mut shown: Vec<Shown> = latest(&lines).into_values().filter(wanted).map(shown).collect();
    let older = shown.len().saturating_sub(limit);
    shown.drain(..older);
    if output.json {
        return print_json(&serde_json::json!({ "transactions": shown, "older": older }));
    }
    let moment = |ms: i64| time(u64::try_from(ms).unwrap_or(0));
    let row = |shown: &Shown| {
        let repeats = shown.replay_of.iter().filter(|old| Some(*old) != shown.cause.as_ref());
        let repeats: String = repeats.map(|old| format!("repeats {old}; ")).collect();
        vec![
            shown.id.clone(),
            shown.source.clone(),
            shown.external_id.clone(),
            shown.version.to_string(),
            shown.state.to_owned(),
            shown.reason.to_owned(),
            shown.cause.clone().unwrap_or_default(),
            moment(shown.read_at_ms),
            moment(shown.changed_at_ms),
            format!("{repeats}{}", shown.detail),
        ]
    };
    let rows: Vec<Vec<String>> = shown.iter().map(row).collect();
    let head = ["transaction", "source", "record", "version", "state", "reason", "cause", "read", "since", "detail"];
    print_table(&head, &rows)?;
    if older > 0 {
        eprintln!("{older} older ones are not shown; --limit shows more");
    }
    Ok(())
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
pub(crate) fn replays(lines: &[TransactionLine]) -> BTreeMap<TransactionId, TransactionId> {
    lines.iter().filter_map(|line| Some((line.id, line.replay_of()?))).collect()
}

fn show(repeats: &BTreeMap<TransactionId, TransactionId>, line: TransactionLine) -> Shown {
    Shown {
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
    use event::{EntryId, ExternalId, PartitionCount, Reason, SourceName, Version};

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
        let shown: Vec<Shown> = latest(&lines).into_values().map(|line| show(&replays(&lines), line)).collect();
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
        let shown: Vec<Shown> = latest(&lines).into_values().map(|line| show(&replays(&lines), line)).collect();
        let told: Vec<_> = shown.iter().map(|shown| (shown.cause.as_deref(), shown.replay_of.as_deref())).collect();
        assert_eq!(told, [(Some("00-3-0"), Some("00-1-0")), (Some("00-3-0"), None)]);
    }
}
