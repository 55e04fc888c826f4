//! What a stream brings: read under the fence, taken in turns by lane, handled in batches, settled with
//! the effects in one commit.

mod locks; // whom others hold a key lock of
mod overflow; // lanes with more than fits in memory, and lanes that wait
mod session; // one owner's work on one partition

use std::time::Duration;

use event::{EntryId, Reason};
use settings::LockMode;
use store::{Bell, Commit, Entry, Owned, StoreError};
use telemetry::trace::Span;
use tokio_util::sync::CancellationToken;

/// Most entries of a partition in memory.
pub const WINDOW_MAX: usize = 384;
/// Most entries of one lane in memory; more go to its overflow.
pub const LANE_MAX: usize = 128;
/// Most entries handled in one commit.
pub const BATCH_MAX: usize = 128;
/// Most entries read at once.
pub const READ_MAX: usize = 128;
/// Deliveries that may end in a crash before an entry is set aside.
pub const DELIVERIES_MAX: u32 = 3;

/// One entry, delivered to us and not yet settled.
#[derive(Debug, Clone)]
pub struct Delivery<T> {
    /// Its id in the stream it was appended to.
    pub id: EntryId,
    /// What it holds.
    pub item: T,
    /// The bytes it was read as: what an overflow, a parking place or a dead letter keeps.
    pub payload: Vec<u8>,
    /// What is done about it, if it is traced; what follows from it is a part of that.
    pub span: Span,
}

/// Why a lane waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Park {
    /// The class of the cause: `limited` uses no attempt.
    pub class: &'static str,
    /// For how long.
    pub delay: Duration,
}

/// What became of a batch.
pub struct Handled {
    /// All effects of the batch. Acknowledging it is added by the engine.
    pub commit: Commit,
    /// Lanes that cannot go on yet: none of their entries in this batch had an effect.
    pub parked: Vec<(String, Park)>,
}

/// When an entry is handled: Redis' clock and what may be cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Redis' clock, in milliseconds since 1970.
    pub now_ms: u64,
    /// How often users' documents of this partition have changed.
    pub revision: u64,
}

/// Handles a stream's entries.
#[async_trait::async_trait]
pub trait StreamHandler: Send + Sync + 'static {
    /// What an entry holds.
    type Item: Send + Sync + 'static;
    /// What is remembered of a partition while it is ours. After any error it starts anew.
    type Memory: Send;

    /// An empty memory.
    fn memory(&self) -> Self::Memory;

    /// Reads an entry: whose turn it takes, and what it holds. `Err` says what is wrong with it.
    fn open(&self, entry: &Entry) -> Result<(String, Self::Item), String>;

    /// Handles a batch: entries of one lane in their order, lanes in any. It comes again, with an empty
    /// memory, if somebody took a key lock while it was handled. A lane is one user's, by name.
    ///
    /// Everything decided here must rest on what was read under this lease, and must become effective
    /// through the commit alone.
    ///
    /// # Errors
    /// [`StoreError`]: nothing happened; the batch comes again.
    async fn handle(
        &self,
        owned: &Owned,
        memory: &mut Self::Memory,
        moment: Moment,
        batch: &[Delivery<Self::Item>],
    ) -> Result<Handled, StoreError>;

    /// A batch and its effects are committed.
    fn committed(&self, _batch: &[Delivery<Self::Item>]) {}

    /// Sets an entry aside: one that cannot be read, or whose deliveries ended in crashes.
    fn bury(&self, owned: &Owned, moment: Moment, entry: &Entry, cause: Reason, why: &str, deliveries: u32) -> Commit;
}

/// How a partition's stream is waited for.
#[derive(Clone)]
pub struct Pace {
    /// Rung when entries come.
    pub bell: Bell,
    /// Whether the owner takes the key lock of each user of a batch as well.
    pub lock_mode: LockMode,
}

/// Works one partition's stream until `drain`. Entries in memory that were not begun stay pending for
/// the next owner.
///
/// # Errors
/// [`StoreError`]; everything in memory is to be dropped, the work may begin again.
pub async fn work<H: StreamHandler>(
    handler: &H,
    owned: Owned,
    pace: Pace,
    drain: CancellationToken,
) -> Result<(), StoreError> {
    session::Session::new(handler, owned, pace.lock_mode).run(&pace, &drain).await
}
