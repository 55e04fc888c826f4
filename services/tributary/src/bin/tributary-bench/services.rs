//! Both stages in this process, until stopped.

use std::{sync::Arc, time::Duration};

use event::PartitionCount;
use exist_writer::Observer;
use settings::Settings;
use source::{Source, Sources};
use store::{Keys, Redis};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use worker::StageContext;

use crate::people::source_name;

/// Nothing is asked of the source.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// The normaliser and the exist-writer.
pub(crate) struct Services {
    drain: CancellationToken,
    tasks: [JoinHandle<anyhow::Result<()>>; 2],
}

impl Services {
    pub(crate) async fn start(settings: Settings, observer: Option<Observer>) -> anyhow::Result<Self> {
        let settings = Arc::new(settings);
        let context = StageContext {
            redis: Redis::connect(&settings.redis_url).await?,
            keys: Arc::new(Keys::default()),
            partitions: PartitionCount::try_new(settings.partitions)?,
            member: worker::member_name(),
            tick: Arc::new(|| {}),
        };
        let http = source::http::client(ANSWER_WITHIN)?;
        let source: Arc<dyn Source> = Arc::new(source_toggl::Toggl::new(http, settings.peers.toggl_api.url()));
        let sources: Arc<Sources> = Arc::new([(source_name(), source)].into_iter().collect());
        let drain = CancellationToken::new();
        let normaliser = normaliser::run(context.clone(), Arc::clone(&settings), sources, drain.clone());
        let writer = exist_writer::run_observed(context, settings, drain.clone(), observer);
        Ok(Self { drain, tasks: [tokio::spawn(normaliser), tokio::spawn(writer)] })
    }

    /// Drains them.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.drain.cancel();
        for task in self.tasks {
            task.await??;
        }
        Ok(())
    }
}
