//! Redis' clock: the only one that two processes compare by.

use crate::{Redis, StoreError};

/// Milliseconds since 1970 by Redis' clock.
///
/// # Errors
/// [`StoreError::Redis`]: no answer.
pub async fn now_ms(redis: &Redis) -> Result<u64, StoreError> {
    let (seconds, micros): (u64, u64) = redis.run("reading the clock", &redis::cmd("TIME")).await?;
    Ok(seconds * 1000 + micros / 1000)
}
