//! The audit: a line for each change of a transaction's state, in blocks by the hour.

use std::time::Duration;

use event::{Partition, TransactionLine, UserId};
use redis::Value;

use crate::{Commit, Keys, Owned, Redis, StoreError, entry};

const HOUR_MS: u64 = 3_600_000;
/// Blocks asked for at once when the audit is read.
const BLOCKS_MAX: usize = 500;

impl Owned {
    /// Writes lines down, in one block, and counts the states that transactions entered and left.
    ///
    /// The block expires one retention time after its hour.
    pub fn write_audit(&self, commit: &mut Commit, now_ms: u64, retention: Duration, lines: &[TransactionLine]) {
        if lines.is_empty() {
            return;
        }
        let hour = now_ms / HOUR_MS;
        let key = self.keys.audit(self.partition(), hour);
        commit.append(&key, &event::encode(&lines));
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
/// [`StoreError::Redis`]: no answer. [`StoreError::Decode`]: a block of an incompatible release.
pub async fn lines_of(
    redis: &Redis,
    keys: &Keys,
    partition: Partition,
    user: &UserId,
    retention: Duration,
) -> Result<Vec<TransactionLine>, StoreError> {
    let now_ms = crate::clock::now_ms(redis).await?;
    let kept_ms = u64::try_from(retention.as_millis()).unwrap_or(0) + HOUR_MS;
    let mut found = Vec::new();
    for hour in now_ms.saturating_sub(kept_ms) / HOUR_MS..=now_ms / HOUR_MS {
        let key = keys.audit(partition, hour);
        let mut from = "-".to_owned();
        loop {
            let mut command = redis::cmd("XRANGE");
            command.arg(&key).arg(&from).arg("+").arg("COUNT").arg(BLOCKS_MAX);
            let blocks: Vec<(String, Value)> = redis.run("reading the audit", &command).await?;
            let last = blocks.last().map(|(id, _)| format!("({id}"));
            for block in blocks.into_iter().filter_map(entry::entry) {
                let lines: Vec<TransactionLine> =
                    event::decode(&block.payload).map_err(|source| StoreError::Decode { key: key.clone(), source })?;
                found.extend(lines.into_iter().filter(|line| line.user == *user));
            }
            match last {
                Some(last) => from = last,
                None => break,
            }
        }
    }
    Ok(found)
}
