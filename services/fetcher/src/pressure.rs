//! Whether fetching should pause, so that what waits stays within bounds.

use std::time::Duration;

use store::{Owned, StoreError, operate};
use tokio::{sync::Mutex, time::Instant};

/// Most raw entries of a partition that wait before its polls pause.
const BACKLOG_MAX: u64 = 20_000;
/// Share of Redis' memory limit, in per cent, above which polls pause.
const MEMORY_MAX: u64 = 70;
/// How long a reading of the memory is good for.
const MEMORY_FRESH: Duration = Duration::from_secs(2);

/// Remembers how full Redis is.
#[derive(Default)]
pub(crate) struct Pressure {
    memory: Mutex<Option<(Instant, u64)>>,
}

impl Pressure {
    /// Why nothing should be fetched for this partition now; `None` if it may be.
    pub(crate) async fn reason(&self, owned: &Owned) -> Result<Option<String>, StoreError> {
        let waiting = owned.raw_waiting().await?;
        if waiting > BACKLOG_MAX {
            return Ok(Some(format!("{waiting} raw entries wait in partition {}", owned.partition())));
        }
        let mut memory = self.memory.lock().await;
        let used = match *memory {
            Some((read_at, used)) if read_at.elapsed() < MEMORY_FRESH => used,
            _ => {
                let used = operate::memory_used(&owned.redis).await?.per_cent();
                *memory = Some((Instant::now(), used));
                used
            }
        };
        Ok((used > MEMORY_MAX).then(|| format!("Redis' memory is {used} % full")))
    }
}
