#![doc = include_str!("../README.md")]
#![deny(clippy::float_arithmetic)]

mod apply; // normalised entries into the ledger
mod crash; // where a test may make us die
mod next; // the one next thing to do for a user
mod politeness; // how often Exist is asked at most
mod recount; // a source counted anew
mod redrive; // what an operator put back
mod sender; // doing it

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use settings::Settings;
use store::{Bell, Commit, Owned, Stage, StoreError, user::names};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use worker::{PartitionWork, StageContext, due, stream};

pub use apply::Observer;

use apply::Applier;
use sender::Sender;

/// Most users whose Exist is talked to at once by one process.
const IN_HAND_MAX: usize = 128;
/// How often the users that are due are looked at.
const LOOK_EVERY_MAX: Duration = Duration::from_millis(250);

/// Owns a share of the normalised streams, keeps the ledger and writes to Exist, until `drain`.
///
/// # Errors
/// The HTTP client cannot be built; nothing was started.
pub async fn run(context: StageContext, settings: Arc<Settings>, drain: CancellationToken) -> anyhow::Result<()> {
    run_observed(context, settings, drain, None).await
}

/// Like [`run`], and tells `observer` of each event as soon as it is in the ledger: for benchmarks.
///
/// # Errors
/// As [`run`].
pub async fn run_observed(
    context: StageContext,
    settings: Arc<Settings>,
    drain: CancellationToken,
    observer: Option<Observer>,
) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let bell = Bell::listen(&context.redis, &context.keys, Stage::Write, context.partitions, stop.clone());
    let sender = Sender::new(Arc::clone(&settings)).context("preparing to talk to Exist")?;
    let polite = sender.politeness();
    tokio::spawn(polite.clone().issue(stop.clone()));
    tokio::spawn(polite.clone().tell(stop.clone()));
    let work = Work {
        applier: Applier::new(&settings, observer),
        sender: Arc::new(sender),
        stream_pace: stream::Pace { bell, lock_mode: settings.lock_mode },
        due_pace: due::Pace {
            bell: None,
            look_every: (settings.flush_after / 4).clamp(Duration::from_millis(20), LOOK_EVERY_MAX),
            in_hand: Arc::new(Semaphore::new(IN_HAND_MAX)),
            tickets: Some(polite.tickets()),
        },
    };
    worker::run(context, Stage::Write, Arc::new(work), drain).await;
    stop.cancel();
    Ok(())
}

struct Work {
    applier: Applier,
    sender: Arc<Sender>,
    stream_pace: stream::Pace,
    due_pace: due::Pace,
}

#[async_trait::async_trait]
impl PartitionWork for Work {
    async fn work(&self, owned: Owned, drain: CancellationToken) -> Result<(), StoreError> {
        let sender: Arc<dyn due::DueHandler> = Arc::clone(&self.sender) as Arc<dyn due::DueHandler>;
        tokio::try_join!(
            stream::work(&self.applier, owned.clone(), self.stream_pace.clone(), drain.clone()),
            due::work(sender, owned.clone(), self.due_pace.clone(), drain.clone()),
        )?;
        Ok(())
    }

    /// Exist may be ahead of our books: it is read before it is written, for every user, once the sources have
    /// told again what they know.
    async fn after_loss(&self, owned: &Owned) -> Result<(), StoreError> {
        let now_ms = owned.now_ms().await?;
        for user in names(&owned.redis, &owned.keys, owned.partition()).await? {
            let mut commit = Commit::new();
            owned.unsure(&mut commit, &user, now_ms);
            owned.commit(commit).await?;
        }
        Ok(())
    }
}
