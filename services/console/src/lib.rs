#![doc = include_str!("../README.md")]
#![deny(clippy::float_arithmetic)]

mod api; // questions over HTTP
mod export; // what Prometheus is told
mod letters; // dead letters, as they are told
mod status; // who owns what, how much waits
mod transactions; // what became of a user's records
mod watch; // looking again and again

pub use api::{API_MAX, openapi};
pub use letters::LetterRow;
pub use status::{LockRow, PartitionRow, Paused, StageStatus, Status, question};
pub use transactions::{TransactionRow, replays, rows};
pub use watch::LOOK_EVERY;

use std::sync::Arc;

use anyhow::Context as _;
use event::PartitionCount;
use settings::Settings;
use store::{Keys, Pool};
use telemetry::{Health, Recorder};
use tokio_util::sync::CancellationToken;
use tracing::info;

use watch::Watcher;

/// The name its connections are counted under.
const SERVICE: &str = "console";

/// How much a look of the console reads of each partition, see [`store::Bounds`].
///
/// With 25 users a look, what is told of people is up to date every five seconds while a partition has no more of
/// them, and every five minutes with 1,500.
pub const BOUNDS: store::Bounds = store::Bounds { lanes: 200, polls: 100, users: 25, letters: 200 };

/// What a console is run with.
#[derive(Clone)]
pub struct Context {
    /// Every key's name.
    pub keys: Arc<Keys>,
    /// How many partitions there are.
    pub partitions: PartitionCount,
    /// Names of the sources, which have gauges from the start.
    pub sources: Vec<String>,
    /// Where gauges are shown.
    pub recorder: Recorder,
    /// Told whether looking works, and that we are alive.
    pub health: Health,
}

/// Looks at Redis and tells what it saw, until `drain`.
///
/// # Errors
/// The address of the API cannot be had, its token is too short, or a cluster does not answer. What else fails is
/// tried again.
pub async fn run(context: Context, settings: Arc<Settings>, drain: CancellationToken) -> anyhow::Result<()> {
    let service = [("service", [SERVICE].as_slice())];
    telemetry::touch_open(&telemetry::metric::REDIS_POOL_WAIT_SECONDS, "", &[], &service);
    let pool = Pool::connect(&settings.redis_url, SERVICE).await.context("preparing to talk to Redis")?;
    let watcher = Watcher::new(context.clone(), pool.clone(), question(&settings, BOUNDS)?);
    let server = match settings.console_addr {
        Some(addr) => {
            let server = api::Server::bind(addr, &context, &settings, pool, watcher.seen()).await?;
            info!(addr = %server.local_addr(), "the API is at http://{}/api/v1", server.local_addr());
            Some(tokio::spawn(server.serve(drain.clone())))
        }
        None => None,
    };
    watcher.run(drain).await;
    match server {
        Some(server) => server.await.context("serving the API")?,
        None => Ok(()),
    }
}
