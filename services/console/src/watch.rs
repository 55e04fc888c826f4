//! Looking again and again, and showing what was seen for as long as it is true.

use std::{sync::Arc, time::Duration};

use store::{Memory, Pool, Question, look};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{Context, Status, export};

/// How often Redis is looked at, whoever asks.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long one look may take.
const LOOK_WITHIN: Duration = Duration::from_secs(20);
/// How long what was seen is shown when nothing newer can be.
const STALE_AFTER: Duration = Duration::from_secs(30);

/// What a look found.
#[derive(Debug)]
pub(crate) struct Seen {
    /// When it began, in milliseconds since 1970 by Redis' clock.
    pub(crate) at_ms: u64,
    /// It, added up.
    pub(crate) status: Status,
}

/// What was seen last; none if it is too old.
pub(crate) type LastSeen = watch::Receiver<Option<Arc<Seen>>>;

/// Looks at Redis on every tick.
pub(crate) struct Watcher {
    context: Context,
    pool: Pool,
    question: Question,
    seen: watch::Sender<Option<Arc<Seen>>>,
    memory: Memory,
    first_at_ms: Option<u64>,
    last: Instant,
}

impl Watcher {
    pub(crate) fn new(context: Context, pool: Pool, question: Question) -> Self {
        context.health.set_check("look", false, "not yet");
        let (seen, _) = watch::channel(None);
        Self { context, pool, question, seen, memory: Memory::default(), first_at_ms: None, last: Instant::now() }
    }

    /// What was seen last, from now on.
    pub(crate) fn seen(&self) -> LastSeen {
        self.seen.subscribe()
    }

    /// Looks on every tick until told to drain.
    pub(crate) async fn run(mut self, drain: CancellationToken) {
        let mut tick = interval(LOOK_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! { () = drain.cancelled() => return, _ = tick.tick() => {} }
            self.context.health.tick();
            let looked = drain.run_until_cancelled(timeout(LOOK_WITHIN, self.run_once())).await;
            let said = match looked {
                None => return,
                Some(Ok(Ok(()))) => {
                    self.last = Instant::now();
                    self.context.health.set_check("look", true, "Redis was read");
                    continue;
                }
                Some(Ok(Err(error))) => telemetry::chain(&error),
                Some(Err(_)) => format!("it took longer than {} s", LOOK_WITHIN.as_secs()),
            };
            warn!(error = said, "looking at Redis failed; the next tick tries again");
            self.context.health.set_check("look", false, said);
            if self.last.elapsed() > STALE_AFTER {
                self.context.recorder.show(None);
                self.seen.send_replace(None);
            }
        }
    }

    /// Looks once, and shows what it saw.
    async fn run_once(&mut self) -> Result<(), store::StoreError> {
        let Context { keys, partitions, sources, recorder, .. } = &self.context;
        let redis = self.pool.get().await?;
        let look = look(&redis, keys, *partitions, &self.question, &mut self.memory).await?;
        let status = Status::of(&look);
        let first_at_ms = *self.first_at_ms.get_or_insert(look.at_ms);
        recorder.show(Some(export::page(&look, &status, first_at_ms, sources)));
        self.seen.send_replace(Some(Arc::new(Seen { at_ms: look.at_ms, status })));
        Ok(())
    }
}
