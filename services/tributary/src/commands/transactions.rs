//! What became of a user's records.

use std::collections::BTreeMap;

use event::{Direction, TransactionId, TransactionLine};
use serde::Serialize;
use store::lines_of;

use super::{Operator, print_json, print_table, time};

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
    read_at_ms: i64,
    arrived_at_ms: u64,
    changed_at_ms: i64,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
}

/// Prints a user's latest transactions, the newest last.
pub(crate) async fn transactions(
    operator: &Operator,
    name: &str,
    limit: usize,
    state: Option<&str>,
    json: bool,
) -> anyhow::Result<()> {
    let (user, partition, _) = operator.user(name).await?;
    let lines = lines_of(&operator.redis, &operator.keys, partition, &user, operator.settings.retention).await?;
    let mut shown: Vec<Shown> =
        latest(&lines).into_values().map(show).filter(|shown| state.is_none_or(|state| shown.state == state)).collect();
    let skipped = shown.len().saturating_sub(limit);
    shown.drain(..skipped);
    if json {
        return print_json(&serde_json::json!({ "transactions": shown, "older": skipped }));
    }
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|shown| {
            vec![
                shown.id.clone(),
                shown.source.clone(),
                shown.external_id.clone(),
                shown.state.to_owned(),
                shown.reason.to_owned(),
                shown.cause.clone().unwrap_or_default(),
                time(u64::try_from(shown.changed_at_ms).unwrap_or(0)),
                shown.detail.clone(),
            ]
        })
        .collect();
    print_table(&["transaction", "source", "record", "state", "reason", "cause", "since", "detail"], &rows)
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

fn show(line: TransactionLine) -> Shown {
    Shown {
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
