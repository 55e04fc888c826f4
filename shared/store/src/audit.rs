//! The audit: a line for each change of a transaction's state, in blocks by the hour.

use std::{collections::HashMap, time::Duration};

use event::{Ended, Partition, TransactionId, TransactionLine, UserId};
use redis::Value;

use crate::{Commit, Keys, Owned, Redis, StoreError, entry, pack::Packed};

mod pack; // how few bytes that takes

const HOUR_MS: u64 = 3_600_000;
/// Blocks asked for at once when the audit is read.
const BLOCKS_MAX: usize = 500;

/// What is kept together: lines, and what ended alike.
#[derive(Debug, Default, PartialEq, Eq)]
struct Block {
    lines: Vec<TransactionLine>,
    ended: Vec<Ended>,
}

impl Owned {
    /// Writes lines down, and what ended alike, in one block.
    ///
    /// The block expires one retention time after its hour.
    pub fn write_audit(
        &self,
        commit: &mut Commit,
        now_ms: u64,
        retention: Duration,
        lines: Vec<TransactionLine>,
        ended: Vec<Ended>,
    ) {
        if lines.is_empty() && ended.is_empty() {
            return;
        }
        let hour = now_ms / HOUR_MS;
        let key = self.keys.audit(self.partition(), hour);
        commit.append(&key, &Block { lines, ended }.pack(hour * HOUR_MS));
        commit.expire_at(&key, audit_expires_at_ms(hour, retention));
    }
}

/// When an hour's audit expires: one retention time after the hour ends.
fn audit_expires_at_ms(hour: u64, retention: Duration) -> u64 {
    (hour + 1) * HOUR_MS + u64::try_from(retention.as_millis()).unwrap_or(u64::MAX / 4)
}

/// All lines of one user that are still kept, oldest first.
///
/// # Errors
/// [`StoreError::Redis`]: no answer. [`StoreError::Packed`]: a block of an incompatible release.
pub async fn lines_of(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    user: &UserId,
    retention: Duration,
) -> Result<Vec<TransactionLine>, StoreError> {
    let now_ms = crate::clock::now_ms(redis).await?;
    let kept_ms = u64::try_from(retention.as_millis()).unwrap_or(0) + HOUR_MS;
    let mut found: Vec<TransactionLine> = Vec::new();
    let mut accepted: HashMap<TransactionId, usize> = HashMap::new();
    for hour in now_ms.saturating_sub(kept_ms) / HOUR_MS..=now_ms / HOUR_MS {
        let key = keys.audit(partition, hour);
        let mut from = "-".to_owned();
        loop {
            let mut command = redis::cmd("XRANGE");
            command.arg(&key).arg(&from).arg("+").arg("COUNT").arg(BLOCKS_MAX);
            let blocks: Vec<(String, Value)> = redis.run("reading the audit", &command).await?;
            let last = blocks.last().map(|(id, _)| format!("({id}"));
            for block in blocks.into_iter().filter_map(entry::entry) {
                let unreadable = || StoreError::Packed { key: key.clone() };
                let Block { lines, ended } =
                    Block::unpack(&block.payload, partition, hour * HOUR_MS).ok_or_else(unreadable)?;
                for line in lines.into_iter().filter(|line| line.user == *user) {
                    accepted.insert(line.id, found.len());
                    found.push(line);
                }
                for ended in ended.into_iter().filter(|ended| ended.user == *user) {
                    let lines = ended.transactions.iter().filter_map(|id| accepted.get(id));
                    let lines: Vec<TransactionLine> = lines.map(|line| end(&found[*line], &ended)).collect();
                    found.extend(lines);
                }
            }
            match last {
                Some(last) => from = last,
                None => break,
            }
        }
    }
    Ok(found)
}

/// The line of a transaction that ended like others.
fn end(accepted: &TransactionLine, ended: &Ended) -> TransactionLine {
    TransactionLine {
        state: ended.state,
        reason: ended.reason,
        at_ms: ended.at_ms,
        contributions: Vec::new(),
        detail: String::new(),
        ..accepted.clone()
    }
}
