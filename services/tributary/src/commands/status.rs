//! Who owns what, how much waits and for how long.

use console::{Status, question};
use event::State;
use store::{Bounds, Memory};

use super::{Operator, pause, print_json, print_table, say};
use crate::cli::Output;

/// Prints the status of everything.
pub(crate) async fn status(operator: &Operator, output: Output) -> anyhow::Result<()> {
    let (_, status) = look(operator).await?;
    if output.json { print_json(&status) } else { print(&status) }
}

/// Everything as it is now, and when that is, in milliseconds since 1970 by Redis' clock.
pub(crate) async fn look(operator: &Operator) -> anyhow::Result<(u64, Status)> {
    let question = question(&operator.settings, Bounds::EVERYTHING)?;
    let look =
        store::look(&operator.redis, &operator.keys, operator.partitions, &question, &mut Memory::default()).await?;
    Ok((look.at_ms, Status::of(&look)))
}

fn print(status: &Status) -> anyhow::Result<()> {
    let stages: Vec<Vec<String>> = status
        .stages
        .iter()
        .map(|stage| {
            vec![
                stage.stage.to_owned(),
                format!("{} by {}", stage.owned, stage.owners.len()),
                stage.unowned.to_string(),
                stage.backlog.to_string(),
                stage.runnable.to_string(),
                stage.parked.to_string(),
                seconds(stage.oldest_ms),
            ]
        })
        .collect();
    print_table(&["stage", "owned", "unowned", "backlog", "runnable", "parked", "oldest"], &stages)?;
    say("")?;
    let head: Vec<&str> =
        std::iter::once("transactions").chain(State::ALL.iter().map(|state| state.as_str())).collect();
    let rows: Vec<Vec<String>> = status
        .transactions
        .iter()
        .map(|(source, states)| {
            let count = |state: &State| states.get(state.as_str()).copied().unwrap_or(0).to_string();
            std::iter::once(source.clone()).chain(State::ALL.iter().map(count)).collect()
        })
        .collect();
    print_table(&head, &rows)?;
    say("")?;
    let connections: Vec<Vec<String>> = status
        .connections
        .iter()
        .map(|(peer, states)| {
            let count = |state| states.get(state).copied().unwrap_or(0).to_string();
            vec![peer.clone(), count("on"), count("off")]
        })
        .collect();
    print_table(&["connections", "on", "off"], &connections)?;
    say("")?;
    if !status.paused.is_empty() {
        status.paused.iter().try_for_each(|paused| say(&pause::line(paused)))?;
        say("")?;
    }
    say(&format!("dead letters                 {}", status.dead_letters))?;
    say(&format!("users with something to send {}", status.users_due))?;
    say(&format!("of them without budget now   {}", status.users_limited))?;
    for lock in &status.key_locks {
        say(&format!("{} of {} is locked by {} for {}", lock.user, lock.stage, lock.who, seconds(lock.left_ms)))?;
    }
    say(&format!("longest overdue poll         {}", seconds(status.polls_overdue_ms)))
}

/// With one digit behind the point.
pub(crate) fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}
