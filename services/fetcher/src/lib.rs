#![doc = include_str!("../README.md")]
#![deny(clippy::float_arithmetic)]

mod grant; // somebody on the way to a consent page
mod intake; // what comes from outside
mod poll; // one poll of one connection
mod pressure; // whether fetching should pause

pub use grant::{EXIST, GRANT_LIVES, Grant, exist_oauth};

use std::{sync::Arc, time::Duration};

use settings::Settings;
use source::Sources;
use store::{
    Bell, Commit, Owned, Stage, StoreError,
    user::{names, users},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use worker::{PartitionWork, StageContext, due};

use poll::Poller;

/// Most connections polled at once by one process.
const IN_HAND_MAX: usize = 64;
/// How often a schedule is looked at that nobody rings.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long webhooks that are in hand may take once the rest of the service has left: one that comes in slowly
/// and is then taken slowly.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// Owns a share of the schedules and polls what is due, until `drain`.
///
/// Takes webhooks beside it, where an address is set: those of all users, whoever owns their partition.
///
/// # Errors
/// The address for webhooks cannot be had. What else fails is tried again.
pub async fn run(
    context: StageContext,
    settings: Arc<Settings>,
    sources: Arc<Sources>,
    drain: CancellationToken,
) -> anyhow::Result<()> {
    let intake = match settings.webhook_addr {
        Some(addr) => {
            let (context, settings, sources) = (context.clone(), Arc::clone(&settings), Arc::clone(&sources));
            Some(intake::serve(addr, context, settings, sources, drain.clone()).await?)
        }
        None => None,
    };
    let stop = CancellationToken::new();
    let bell = Bell::listen(&context.redis, &context.keys, Stage::Fetch, context.partitions, stop.clone());
    let in_hand = Arc::new(Semaphore::new(IN_HAND_MAX));
    let pace = due::Pace { bell: Some(bell), look_every: LOOK_EVERY, in_hand, tickets: None };
    let work = Work { poller: Arc::new(Poller::new(settings, sources)), pace };
    worker::run(context, Stage::Fetch, Arc::new(work), drain).await;
    stop.cancel();
    if let Some(intake) = intake
        && tokio::time::timeout(LAST_ANSWERS, intake).await.is_err()
    {
        warn!("some webhooks were not answered before this process left");
    }
    Ok(())
}

struct Work {
    poller: Arc<Poller>,
    pace: due::Pace,
}

#[async_trait::async_trait]
impl PartitionWork for Work {
    async fn work(&self, owned: Owned, drain: CancellationToken) -> Result<(), StoreError> {
        let poller: Arc<dyn due::DueHandler> = Arc::clone(&self.poller) as Arc<dyn due::DueHandler>;
        due::work(poller, owned, self.pace.clone(), drain).await
    }

    /// Cursors went back together with what they had brought. What webhooks brought may be gone, and was
    /// answered for: every window is read again.
    async fn after_loss(&self, owned: &Owned) -> Result<(), StoreError> {
        for user in names(&owned.redis, &owned.keys, owned.partition()).await? {
            let documents = users(&owned.redis, &owned.keys, owned.partition(), std::slice::from_ref(&user)).await?;
            let mut commit = Commit::new();
            for source in documents.first().into_iter().flat_map(|documents| documents.sources.keys()) {
                owned.ask_for_window(&mut commit, &user, source, "redis");
            }
            owned.commit(commit).await?;
        }
        Ok(())
    }
}
