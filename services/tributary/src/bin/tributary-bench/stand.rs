//! A private Redis, a simulated Exist and the services, in one process.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use event::{PartitionCount, State};
use exist_writer::Observer;
use loadtest::{
    exist::{ExistConfig, ExistSim, Logged, UserSpec},
    fleet::PrivateRedis,
};
use settings::{Sealer, SecretString, Settings};
use source::Sources;
use store::{Keys, Lease, Redis, Stage, counts};
use tokio_util::sync::CancellationToken;
use worker::StageContext;

use crate::crowd::{Bench, name};

/// How often progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long anything may take before the bench gives up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(300);

pub(crate) struct Stand {
    pub(crate) redis: Redis,
    pub(crate) keys: Arc<Keys>,
    pub(crate) partitions: PartitionCount,
    settings: Arc<Settings>,
    sealer: Sealer,
    exist: ExistSim,
    url: String,
    /// Dropped last: it takes Redis with it.
    _server: PrivateRedis,
}

/// The normaliser and the exist-writer, until stopped.
pub(crate) struct Services {
    drain: CancellationToken,
    tasks: Vec<tokio::task::JoinHandle<anyhow::Result<()>>>,
}

impl Services {
    pub(crate) async fn stop(self) {
        self.drain.cancel();
        for task in self.tasks {
            let _ended = task.await;
        }
    }
}

impl Stand {
    pub(crate) async fn start(aof: bool) -> anyhow::Result<Self> {
        let server = PrivateRedis::start().await.context("starting Redis")?;
        let exist = ExistSim::start(ExistConfig::default()).await.context("starting Exist")?;
        let key = Sealer::generate_key();
        let sealer = Sealer::from_keys(settings::ExposeSecret::expose_secret(&key))?;
        let url = server.url();
        let set = [
            ("TRIBUTARY_REDIS_URL", url.clone()),
            ("TRIBUTARY_EXIST_API_URL", exist.base_url()),
            ("TRIBUTARY_EXIST_OAUTH_URL", exist.oauth_url()),
            ("TRIBUTARY_ENCRYPTION_KEY", settings::ExposeSecret::expose_secret(&key).to_owned()),
        ];
        let settings = Settings::load(set.map(|(name, value)| (name.to_owned(), value)), &[], None)?;
        let redis = Redis::connect(&settings.redis_url).await?;
        let stand = Self {
            redis,
            keys: Arc::new(Keys::default()),
            partitions: PartitionCount::try_new(settings.partitions)?,
            settings: Arc::new(settings),
            sealer,
            exist,
            url,
            _server: server,
        };
        if aof {
            let mut link = stand.plain_connection().await?;
            redis::cmd("CONFIG").arg("SET").arg("appendonly").arg("yes").query_async::<()>(&mut link).await?;
        }
        Ok(stand)
    }

    pub(crate) async fn plain_connection(&self) -> anyhow::Result<redis::aio::MultiplexedConnection> {
        let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
        let client = redis::Client::open(self.url.as_str())?;
        Ok(client.get_multiplexed_async_connection_with_config(&config).await?)
    }

    pub(crate) async fn info(&self, section: &str) -> anyhow::Result<String> {
        let mut link = self.plain_connection().await?;
        Ok(redis::cmd("INFO").arg(section).query_async(&mut link).await?)
    }

    pub(crate) async fn memory(&self) -> anyhow::Result<u64> {
        Ok(store::operate::memory_used(&self.redis).await?.bytes)
    }

    /// A user of the simulated Exist, and the token to write for them.
    pub(crate) fn exist_token(&self, user: &str) -> SecretString {
        let spec = UserSpec::named(user);
        let token = SecretString::from(spec.access_token.clone());
        self.exist.add_user(spec);
        token
    }

    /// Every request that the simulated Exist saw so far.
    pub(crate) fn exist_log(&self) -> Vec<Logged> {
        self.exist.log().entries().to_vec()
    }

    pub(crate) fn seal(&self, token: &SecretString, context: &str) -> String {
        self.sealer.seal(token, context)
    }

    pub(crate) fn services(&self, observer: Option<Observer>) -> Services {
        let drain = CancellationToken::new();
        let source: Arc<dyn source::Source> = Arc::new(Bench);
        let sources: Arc<Sources> = Arc::new([(name(), source)].into_iter().collect());
        let context = StageContext {
            redis: self.redis.clone(),
            keys: Arc::clone(&self.keys),
            partitions: self.partitions,
            member: worker::member_name(),
            tick: Arc::new(|| {}),
        };
        let tasks = vec![
            tokio::spawn(normaliser::run(context.clone(), Arc::clone(&self.settings), sources, drain.clone())),
            tokio::spawn(exist_writer::run_observed(context, Arc::clone(&self.settings), drain.clone(), observer)),
        ];
        Services { drain, tasks }
    }

    /// Waits until both stages own every partition.
    pub(crate) async fn until_owned(&self) -> anyhow::Result<()> {
        let all: Vec<_> = self.partitions.all().collect();
        self.until("every partition is owned", || async {
            for stage in [Stage::Normalise, Stage::Write] {
                let leases = Lease::look(&self.redis, &self.keys, stage, &all).await?;
                if leases.iter().any(|lease| lease.owner.is_none()) {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    /// Waits until so many records are in the ledger.
    pub(crate) async fn until_applied(&self, records: u64) -> anyhow::Result<()> {
        self.until("every record is in the ledger", || async {
            for partition in self.partitions.all() {
                for stage in [Stage::Normalise, Stage::Write] {
                    let mut length = redis::cmd("XLEN");
                    length.arg(self.keys.stream(partition, stage));
                    if length.query_async::<u64>(&mut self.redis.clone()).await? > 0 {
                        return Ok(false);
                    }
                }
            }
            Ok(self.in_states(&State::ALL).await? >= records)
        })
        .await
    }

    /// Waits until Exist holds every record's day.
    pub(crate) async fn until_settled(&self, records: u64) -> anyhow::Result<()> {
        self.until("Exist holds everything", || async { Ok(self.in_states(&[State::Completed]).await? >= records) })
            .await
    }

    async fn in_states(&self, states: &[State]) -> anyhow::Result<u64> {
        let mut sum = 0;
        for partition in self.partitions.all() {
            let counts = counts(&self.redis, &self.keys, partition).await?;
            let counted = counts.states.iter().filter(|((_, state), _)| states.contains(state));
            sum += counted.map(|(_, count)| u64::try_from(*count).unwrap_or(0)).sum::<u64>();
        }
        Ok(sum)
    }

    async fn until<F: Future<Output = anyhow::Result<bool>>>(
        &self,
        what: &str,
        holds: impl Fn() -> F,
    ) -> anyhow::Result<()> {
        let begun = std::time::Instant::now();
        while !holds().await? {
            anyhow::ensure!(begun.elapsed() < GIVE_UP_AFTER, "gave up waiting until {what}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}
