//! A private Redis and a simulated Exist, the settings that lead to them, and questions about how far things are.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use event::{Partition, PartitionCount, State};
use loadtest::{
    exist::{ExistConfig, ExistSim, Logged, UserSpec},
    fleet::PrivateRedis,
};
use settings::{ExposeSecret, Sealer, SecretString, Settings};
use store::{Keys, Lease, Redis, Stage, counts};

/// How often progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How long anything may take before the bench gives up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(300);
/// Leases that did not move for so long do not move any more: members look twice a second.
const BALANCED_FOR: Duration = Duration::from_millis(1_500);

pub(crate) struct Stand {
    pub(crate) redis: Redis,
    pub(crate) keys: Arc<Keys>,
    pub(crate) partitions: PartitionCount,
    /// The variables of every process of ours.
    pub(crate) variables: Vec<(String, String)>,
    sealer: Sealer,
    exist: ExistSim,
    url: String,
    /// Commands that were ours, asked to know how far things are.
    asked: AtomicU64,
    /// Dropped last: it takes Redis with it.
    _server: PrivateRedis,
}

impl Stand {
    pub(crate) async fn start(aof: bool) -> anyhow::Result<Self> {
        let server = PrivateRedis::start().await.context("starting Redis")?;
        let exist = ExistSim::start(ExistConfig::default()).await.context("starting Exist")?;
        let key = Sealer::generate_key();
        let sealer = Sealer::from_keys(key.expose_secret())?;
        let url = server.url();
        let variables = [
            ("TRIBUTARY_REDIS_URL", url.clone()),
            ("TRIBUTARY_EXIST_API_URL", exist.base_url()),
            ("TRIBUTARY_EXIST_OAUTH_URL", exist.oauth_url()),
            ("TRIBUTARY_ENCRYPTION_KEY", key.expose_secret().to_owned()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let settings = Settings::load(variables.clone(), &[], None)?;
        let redis = Redis::connect(&settings.redis_url).await?;
        let stand = Self {
            redis,
            keys: Arc::new(Keys::default()),
            partitions: PartitionCount::try_new(settings.partitions)?,
            variables,
            sealer,
            exist,
            url,
            asked: AtomicU64::new(0),
            _server: server,
        };
        if aof {
            let mut link = stand.plain_connection().await?;
            redis::cmd("CONFIG").arg("SET").arg("appendonly").arg("yes").query_async::<()>(&mut link).await?;
        }
        Ok(stand)
    }

    /// What the variables say, for services of this process.
    pub(crate) fn settings(&self) -> anyhow::Result<Settings> {
        Ok(Settings::load(self.variables.clone(), &[], None)?)
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

    /// How many commands were ours so far.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
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

    /// Waits until so many processes of each stage share all partitions, and none moves any more.
    pub(crate) async fn until_balanced(&self, processes: usize) -> anyhow::Result<()> {
        let begun = Instant::now();
        let (mut since, mut before) = (Instant::now(), Vec::new());
        loop {
            let mut owners = Vec::new();
            for stage in [Stage::Normalise, Stage::Write] {
                let all: Vec<_> = self.partitions.all().collect();
                let leases = Lease::look(&self.redis, &self.keys, stage, &all).await?;
                let names: Vec<Option<String>> = leases.into_iter().map(|lease| lease.owner).collect();
                let distinct: BTreeSet<&Option<String>> = names.iter().collect();
                let is_whole = distinct.len() == processes && !distinct.contains(&None);
                owners.push(is_whole.then_some(names));
            }
            if owners != before || owners.contains(&None) {
                (since, before) = (Instant::now(), owners);
            } else if since.elapsed() >= BALANCED_FOR {
                return Ok(());
            }
            anyhow::ensure!(begun.elapsed() < GIVE_UP_AFTER, "gave up waiting until every partition is owned");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until so many records, of all that were ever appended, are in the ledger.
    pub(crate) async fn until_applied(&self, records: u64) -> anyhow::Result<()> {
        // One command at a time: what is asked must not slow down what is measured. What left a stage's stream
        // stands in the next one's, unless it had to wait in a list.
        for partition in self.partitions.all() {
            for stage in [Stage::Normalise, Stage::Write] {
                let mut length = redis::cmd("XLEN");
                length.arg(self.keys.stream(partition, stage));
                self.until("every record is in the ledger", || async {
                    self.asked.fetch_add(1, Ordering::Relaxed);
                    Ok(length.query_async::<u64>(&mut self.redis.clone()).await? == 0)
                })
                .await?;
            }
        }
        self.until("every record is in the ledger", || async { Ok(self.in_states(&State::ALL).await? >= records) })
            .await
    }

    /// Waits until Exist holds every record's day.
    pub(crate) async fn until_settled(&self, records: u64) -> anyhow::Result<()> {
        self.until_applied(records).await?;
        self.until("Exist holds everything", || async { Ok(self.in_states(&[State::Completed]).await? >= records) })
            .await
    }

    async fn in_states(&self, states: &[State]) -> anyhow::Result<u64> {
        let mut sum = 0;
        for partition in self.partitions.all() {
            sum += self.of_partition(partition, states).await?;
        }
        Ok(sum)
    }

    /// How many transactions of a partition are in one of these states.
    pub(crate) async fn of_partition(&self, partition: Partition, states: &[State]) -> anyhow::Result<u64> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let counts = counts(&self.redis, &self.keys, partition).await?;
        let counted = counts.states.iter().filter(|((_, state), _)| states.contains(state));
        Ok(counted.map(|(_, count)| u64::try_from(*count).unwrap_or(0)).sum())
    }

    async fn until<F: Future<Output = anyhow::Result<bool>>>(
        &self,
        what: &str,
        holds: impl Fn() -> F,
    ) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !holds().await? {
            anyhow::ensure!(begun.elapsed() < GIVE_UP_AFTER, "gave up waiting until {what}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}
