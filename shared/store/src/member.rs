//! Who is there: the processes of a stage, as advice about who should own what.

use std::time::Duration;

use crate::{Keys, Redis, Stage, StoreError, clock};

/// A member that was not seen for so long does not count.
pub const MEMBER_TTL: Duration = Duration::from_secs(6);

/// Says that we are there, and asks who else is. Sorted, ourselves included.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn announce(redis: &Redis, keys: &Keys, stage: Stage, member: &str) -> Result<Vec<String>, StoreError> {
    const DOING: &str = "announcing a member";
    let now_ms = clock::now_ms(redis).await?;
    let oldest = now_ms.saturating_sub(u64::try_from(MEMBER_TTL.as_millis()).unwrap_or(0));
    let key = keys.members(stage);
    let mut pipeline = redis::pipe();
    pipeline.cmd("ZADD").arg(&key).arg(now_ms).arg(member).ignore();
    pipeline.cmd("ZREMRANGEBYSCORE").arg(&key).arg("-inf").arg(format!("({oldest}")).ignore();
    pipeline.cmd("ZRANGE").arg(&key).arg(0).arg(-1);
    let (mut members,): (Vec<String>,) = redis.run_all(DOING, &pipeline).await?;
    members.sort();
    Ok(members)
}

/// Who was there within the last seconds, sorted.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn members(redis: &Redis, keys: &Keys, stage: Stage) -> Result<Vec<String>, StoreError> {
    let now_ms = clock::now_ms(redis).await?;
    let oldest = now_ms.saturating_sub(u64::try_from(MEMBER_TTL.as_millis()).unwrap_or(0));
    let mut command = redis::cmd("ZRANGEBYSCORE");
    command.arg(keys.members(stage)).arg(oldest).arg("+inf");
    let mut members: Vec<String> = redis.run("asking for members", &command).await?;
    members.sort();
    Ok(members)
}

/// Says that we leave.
///
/// # Errors
/// [`StoreError::Redis`]: no answer; we stop counting after [`MEMBER_TTL`].
pub async fn leave(redis: &Redis, keys: &Keys, stage: Stage, member: &str) -> Result<(), StoreError> {
    let mut command = redis::cmd("ZREM");
    command.arg(keys.members(stage)).arg(member);
    let _removed: u64 = redis.run("leaving", &command).await?;
    Ok(())
}
