//! What became of a user's records.

use console::{TransactionRow, rows};
use event::{State, UserId};
use store::lines_of;

use super::{Operator, print_json, print_table, time};
use crate::cli::Output;

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
    let mut shown = rows(&lines, state);
    let older = shown.len().saturating_sub(limit);
    shown.drain(..older);
    if output.json {
        return print_json(&serde_json::json!({ "transactions": shown, "older": older }));
    }
    let moment = |ms: i64| time(u64::try_from(ms).unwrap_or(0));
    let row = |shown: &TransactionRow| {
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
