//! What a schedule says: each key by itself, keys side by side, until drained.

use std::{collections::HashSet, sync::Arc, time::Duration};

use store::{Bell, Commit, Owned, StoreError};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::{Ticket, Tickets};

/// Keys started at once beyond those already in hand.
const START_MAX: usize = 64;
/// A key whose handling panicked comes again after this long.
const AFTER_A_PANIC: Duration = Duration::from_secs(60);
/// A key whose handling failed in the store comes again after this long.
const AFTER_AN_ERROR: Duration = Duration::from_millis(500);

/// Handles keys when they are due.
#[async_trait::async_trait]
pub trait DueHandler: Send + Sync + 'static {
    /// The zset of keys and their due times.
    fn zset(&self, owned: &Owned) -> String;

    /// Handles one key, and moves or removes its due time before it returns.
    ///
    /// Never called for a key that is in hand already, nor for a user under somebody's key lock, which nobody gets
    /// before this returns: `owned` is the partition for this turn alone. The ticket is the one that let it begin,
    /// where the pace has any.
    ///
    /// # Errors
    /// [`StoreError`]: the key comes again soon; after the fence, the partition is dropped.
    async fn handle(&self, owned: &Owned, key: &str, ticket: Option<&Ticket>) -> Result<(), StoreError>;
}

/// How a partition's due loop waits.
#[derive(Clone)]
pub struct Pace {
    /// Rung when something becomes due out of turn.
    pub bell: Option<Bell>,
    /// How long it rests at most before it looks again.
    pub look_every: Duration,
    /// How many keys this process handles at once, over all partitions.
    pub in_hand: Arc<Semaphore>,
    /// What each turn needs one of to begin; `None` where nothing is limited.
    pub tickets: Option<Tickets>,
}

impl Pace {
    /// How many turns may begin now.
    fn room(&self) -> usize {
        let tickets = self.tickets.as_ref().map_or(usize::MAX, Tickets::left);
        START_MAX.min(self.in_hand.available_permits()).min(tickets)
    }

    /// Lets one turn begin, and counts it until what is returned is gone.
    fn begin(&self) -> Option<Begun> {
        let permit = Arc::clone(&self.in_hand).try_acquire_owned().ok()?;
        let ticket = match &self.tickets {
            Some(tickets) => Some(tickets.take()?),
            None => None,
        };
        Some(Begun { _permit: permit, ticket })
    }
}

/// A turn that was let begin.
struct Begun {
    _permit: OwnedSemaphorePermit,
    ticket: Option<Ticket>,
}

/// Works one partition's schedule until `drain`, then finishes what is in hand.
///
/// # Errors
/// [`StoreError`] of reading the schedule; what was in hand is dropped.
pub async fn work(
    handler: Arc<dyn DueHandler>,
    owned: Owned,
    pace: Pace,
    drain: CancellationToken,
) -> Result<(), StoreError> {
    let zset = handler.zset(&owned);
    let mut begin = Commit::new();
    owned.drop_turns(&mut begin);
    owned.commit(begin).await?;
    let mut tasks: JoinSet<(String, Result<(), StoreError>)> = JoinSet::new();
    let mut in_hand: HashSet<String> = HashSet::new();
    let mut by_task = std::collections::HashMap::new();
    // Not in hand any more, or never begun: said with the next look.
    let mut finished: Vec<String> = Vec::new();
    while !drain.is_cancelled() {
        let room = pace.room();
        let due = owned.due(&zset, in_hand.len() + room, &finished).await?;
        finished.clear();
        for key in due.members {
            if in_hand.contains(&key) {
                continue;
            }
            let Some(begun) = pace.begin() else {
                finished.push(key);
                continue;
            };
            in_hand.insert(key.clone());
            let (handler, owned, name) = (Arc::clone(&handler), owned.for_turn(&due.hand, &key), key.clone());
            let task = tasks.spawn(async move {
                let handled = handler.handle(&owned, &key, begun.ticket.as_ref()).await;
                drop(begun);
                (key, handled)
            });
            by_task.insert(task.id(), name);
        }
        let rest = due.next_in_ms.map_or(pace.look_every, Duration::from_millis).min(pace.look_every);
        tokio::select! {
            () = drain.cancelled() => {}
            Some(ended) = tasks.join_next_with_id() => {
                finished.extend(settle(&owned, &zset, ended, &mut in_hand, &mut by_task).await?);
                while let Some(ended) = tasks.try_join_next_with_id() {
                    finished.extend(settle(&owned, &zset, ended, &mut in_hand, &mut by_task).await?);
                }
            }
            () = wait(&pace, &owned, rest) => {}
        }
    }
    while let Some(ended) = tasks.join_next_with_id().await {
        finished.extend(settle(&owned, &zset, ended, &mut in_hand, &mut by_task).await?);
    }
    let mut end = Commit::new();
    owned.finish(&mut end, &finished);
    owned.commit(end).await.map(drop)
}

async fn wait(pace: &Pace, owned: &Owned, rest: Duration) {
    match &pace.bell {
        Some(bell) => drop(bell.wait(owned.partition(), Some(rest)).await),
        None => tokio::time::sleep(rest).await,
    }
}

type Ended = Result<(tokio::task::Id, (String, Result<(), StoreError>)), tokio::task::JoinError>;

/// A key that failed, or whose handling panicked, is put off: it must not spin. Returns the key.
async fn settle(
    owned: &Owned,
    zset: &str,
    ended: Ended,
    in_hand: &mut HashSet<String>,
    by_task: &mut std::collections::HashMap<tokio::task::Id, String>,
) -> Result<Option<String>, StoreError> {
    let (key, put_off) = match ended {
        Ok((task, (key, handled))) => {
            by_task.remove(&task);
            match handled {
                Ok(()) => (Some(key), None),
                Err(fenced @ StoreError::Fenced { .. }) => return Err(fenced),
                Err(failed) => {
                    warn!(error = telemetry::chain(&failed), "a due key failed; it comes again soon");
                    (Some(key), Some(AFTER_AN_ERROR))
                }
            }
        }
        Err(died) => {
            error!(error = %died, "handling a due key of {} panicked; it comes again later", owned.stage());
            (by_task.remove(&died.id()), Some(AFTER_A_PANIC))
        }
    };
    if let Some(key) = &key {
        if let Some(delay) = put_off {
            let mut commit = Commit::new();
            commit.due_again(zset, key, delay);
            owned.commit(commit).await?;
        }
        in_hand.remove(key);
    }
    Ok(key)
}
