//! One user's ledger put right beside live traffic: under the user's lock, and read anew under it.

use std::time::Duration;

use anyhow::{bail, ensure};
use event::{Partition, UserId};
use ledger::Buckets;
use store::{KeyLock, Stage, Take};
use tokio::time::{Instant, sleep};

use super::{Operator, Which, examine};

/// How long the lock lasts if we die; reading and one commit take far less.
const LOCK_TTL: Duration = Duration::from_secs(30);
/// How long we ask for it: longer than a request to Exist may take.
const ASK_MAX: Duration = Duration::from_secs(60);
/// How often.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Puts right what differs; returns how many differences that were.
///
/// # Errors
/// The lock is somebody else's, or was lost, or something still differs: nothing was changed but in the last case.
pub(super) async fn repair(
    operator: &Operator,
    partition: Partition,
    user: &UserId,
    which: &Which,
) -> anyhow::Result<usize> {
    let lock = take(operator, partition, user).await?;
    let repaired = repair_under(&lock, operator, partition, user, which).await;
    let released = lock.release().await;
    let repaired = repaired?;
    released?;
    Ok(repaired)
}

async fn repair_under(
    lock: &KeyLock,
    operator: &Operator,
    partition: Partition,
    user: &UserId,
    which: &Which,
) -> anyhow::Result<usize> {
    let examined = examine(operator, partition, user, which).await?;
    let (Some(rebuilt), false) = (&examined.rebuilt, examined.differences.is_empty()) else { return Ok(0) };
    let buckets = Buckets::new(operator.settings.retention);
    let commit = examined.kept.repair(&operator.keys, partition, user, rebuilt, &examined.differences, buckets);
    lock.commit(commit).await?;
    // Under the lock still: what waits to be sent is not compared, everything else must be right now.
    let again = examine(operator, partition, user, which).await?;
    ensure!(again.differences.is_empty(), "{} differences are still there", again.differences.len());
    Ok(examined.differences.len())
}

async fn take(operator: &Operator, partition: Partition, user: &UserId) -> anyhow::Result<KeyLock> {
    let asked = Instant::now();
    let who = format!("tributary replay, process {}", std::process::id());
    loop {
        let Operator { redis, keys, .. } = operator;
        match KeyLock::take(redis, keys, partition, Stage::Write, user, &who, LOCK_TTL).await? {
            Take::Taken(lock) => return Ok(lock),
            Take::Held { who, .. } if asked.elapsed() > ASK_MAX => bail!("{who} holds the lock"),
            Take::Busy { .. } if asked.elapsed() > ASK_MAX => {
                bail!("the exist-writer has the user in hand all the time")
            }
            Take::Held { .. } | Take::Busy { .. } => sleep(ASK_EVERY).await,
        }
    }
}
