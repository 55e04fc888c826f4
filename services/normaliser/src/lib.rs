#![doc = include_str!("../README.md")]
#![deny(clippy::float_arithmetic)]

mod batch; // a batch judged and counted: what follows from it
mod handler; // entries in, one commit out
mod people; // who somebody is, compiled once

use std::sync::Arc;

use settings::Settings;
use source::Sources;
use store::{Bell, Owned, Stage, StoreError};
use tokio_util::sync::CancellationToken;
use worker::{PartitionWork, StageContext, stream};

use handler::Normaliser;

/// Owns a share of the raw streams and normalises what comes, until `drain`.
///
/// # Errors
/// None at present; what fails is tried again.
pub async fn run(
    context: StageContext,
    settings: Arc<Settings>,
    sources: Arc<Sources>,
    drain: CancellationToken,
) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let bell = Bell::listen(&context.redis, &context.keys, Stage::Normalise, context.partitions, stop.clone());
    let pace = stream::Pace { bell, lock_mode: settings.lock_mode };
    let work = Work { normaliser: Normaliser::new(&settings, sources), pace };
    worker::run(context, Stage::Normalise, Arc::new(work), drain).await;
    stop.cancel();
    Ok(())
}

struct Work {
    normaliser: Normaliser,
    pace: stream::Pace,
}

#[async_trait::async_trait]
impl PartitionWork for Work {
    async fn work(&self, owned: Owned, drain: CancellationToken) -> Result<(), StoreError> {
        stream::work(&self.normaliser, owned, self.pace.clone(), drain).await
    }
}
