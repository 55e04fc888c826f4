//! A normaliser on a real Redis, and a source that counts what it is told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use event::{
    AttributeName, ContentHash, Contribution, ExternalId, Origin, Partition, PartitionCount, RawEvent, Reason,
    RecordKind, SourceName, State, TransactionLine, Unit, UserId, Version,
};
use jiff::Timestamp;
use redis::AsyncCommands;
use settings::Settings;
use source::{
    Account, Counted, CredentialsError, Cursor, Malformed, Mapping, MappingError, Page, Read, RulesByAttribute, Source,
    SourceError, Sources, Zones,
};
use store::{
    Commit, Keys, Lease, Owned, Redis, Stage, lines_of, operate,
    user::{About, Connected, SourceConnection, User, document, field, users},
};
use tokio_util::sync::CancellationToken;
use worker::StageContext;

/// A payload is an amount and how many days ago: `5 0`; `running` has not ended.
pub(crate) struct Plain;

#[async_trait::async_trait]
impl Source for Plain {
    fn name(&self) -> SourceName {
        SourceName::try_new("plain").unwrap()
    }

    fn check_credentials(&self, _: &serde_json::Value) -> Result<(), CredentialsError> {
        Ok(())
    }

    fn compile(&self, _: &RulesByAttribute) -> Result<Arc<dyn Mapping>, Vec<MappingError>> {
        Ok(Arc::new(Amounts(vec![(attribute(), Unit::Count)])))
    }

    async fn read(&self, _: &Account, _: &Cursor, _: &Read) -> Result<Page, SourceError> {
        unreachable!("nothing is fetched here")
    }
}

struct Amounts(Vec<(AttributeName, Unit)>);

impl Mapping for Amounts {
    fn attributes(&self) -> &[(AttributeName, Unit)] {
        &self.0
    }

    fn count(&self, payload: &str, zones: &Zones) -> Result<Counted, Malformed> {
        if payload == "running" {
            return Ok(Counted::NotYet);
        }
        let (amount, ago) =
            payload.split_once(' ').ok_or_else(|| Malformed(format!("plain: {payload:?} is no amount")))?;
        let day = zones.day_of(Timestamp::now()).plus(-ago.parse::<i32>().unwrap());
        Ok(Counted::Adds(vec![Contribution { attribute: attribute(), day, amount: amount.parse().unwrap() }]))
    }
}

pub(crate) fn attribute() -> AttributeName {
    AttributeName::try_new("keystrokes").unwrap()
}

pub(crate) struct Bench {
    pub(crate) url: String,
    pub(crate) redis: Redis,
    pub(crate) keys: Arc<Keys>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) fetcher: Owned,
    pub(crate) user: UserId,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::at(&testkit::redis().url(), None).await
    }

    pub(crate) async fn at(url: &str, retention: Option<Duration>) -> Self {
        let set = [("TRIBUTARY_REDIS_URL", url), ("TRIBUTARY_PARTITIONS", "1")];
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut settings = Settings::load(set, &[], None).unwrap();
        // Shorter than a setting may be, so that weeks pass in seconds.
        settings.retention = retention.unwrap_or(settings.retention);
        let redis = Redis::connect(&settings.redis_url).await.unwrap();
        let keys = Arc::new(Keys::with_prefix(&testkit::unique_prefix()));
        let lease = Lease::acquire(&redis, &keys, Stage::Fetch, partition(), "test").await.unwrap().unwrap();
        let fetcher = Owned { redis: redis.clone(), keys: Arc::clone(&keys), lease };
        let url = url.to_owned();
        Self { url, redis, keys, settings: Arc::new(settings), fetcher, user: Self::name() }
    }

    pub(crate) fn name() -> UserId {
        UserId::try_new("ada").unwrap()
    }

    pub(crate) async fn connect(&self, zone: Option<&str>, connected: Connected) {
        let about = About { timezone: zone.map(str::to_owned) };
        let connection =
            SourceConnection { connected, credentials: String::new(), rules: BTreeMap::new(), last_chance: false };
        let documents =
            [(field::ABOUT.to_owned(), document(&about)), (field::source(&Plain.name()), document(&connection))];
        let sources = [Plain.name()];
        operate::connect(&self.redis, &self.keys, partition(), &self.user, &documents, &[], &sources).await.unwrap();
    }

    pub(crate) async fn user(&self) -> User {
        let found = users(&self.redis, &self.keys, partition(), std::slice::from_ref(&self.user)).await.unwrap();
        found.into_iter().next().unwrap()
    }

    pub(crate) async fn append(&self, events: &[RawEvent]) {
        let mut commit = Commit::new();
        self.fetcher.append_raw(&mut commit, events);
        self.fetcher.commit(commit).await.unwrap();
    }

    pub(crate) fn event(&self, id: &str, version: i64, payload: &str) -> RawEvent {
        RawEvent {
            user: self.user.clone(),
            source: Plain.name(),
            external_id: ExternalId::try_new(id).unwrap(),
            version: Version(version),
            content: ContentHash::of(payload),
            kind: RecordKind::Present,
            origin: Origin::Poll,
            seen_before: false,
            read_at_ms: 0,
            payload: payload.to_owned(),
            problem: String::new(),
            replay_of: None,
        }
    }

    /// Normalises until so many transactions have a state.
    pub(crate) async fn until_counted(&self, count: usize) {
        let (running, drain) = self.start();
        let counted = async {
            loop {
                let counts = store::counts(&self.redis, &self.keys, partition()).await.unwrap();
                let sum: i64 = counts.states.values().sum();
                if sum >= i64::try_from(count).unwrap() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), counted).await.expect("all of them get a state");
        drain.cancel();
        running.await.unwrap().unwrap();
    }

    /// Begins to normalise.
    pub(crate) fn start(&self) -> (tokio::task::JoinHandle<anyhow::Result<()>>, CancellationToken) {
        let source: Arc<dyn Source> = Arc::new(Plain);
        let sources: Sources = [(source.name(), source)].into_iter().collect();
        let context = StageContext {
            redis: self.redis.clone(),
            keys: Arc::clone(&self.keys),
            partitions: PartitionCount::try_new(1).unwrap(),
            member: worker::member_name(),
            tick: Arc::new(|| {}),
        };
        let drain = CancellationToken::new();
        let settings = Arc::clone(&self.settings);
        (tokio::spawn(normaliser::run(context, settings, Arc::new(sources), drain.clone())), drain)
    }

    /// How many records are held of the user.
    pub(crate) async fn held(&self) -> usize {
        let mut link = self.link().await;
        let pattern = format!("{}*", self.keys.records(partition(), &self.user, 0).trim_end_matches('0'));
        let keys: Vec<String> = link.keys(pattern.replace('{', "\\{")).await.unwrap();
        let mut sum = 0;
        for key in keys {
            sum += link.hlen::<_, usize>(key).await.unwrap();
        }
        sum
    }

    pub(crate) async fn link(&self) -> redis::aio::MultiplexedConnection {
        redis::Client::open(self.url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap()
    }

    /// How many commands Redis has done, those of scripts too, but those of waiting.
    pub(crate) async fn commands(&self) -> i64 {
        let mut link = self.link().await;
        let text: String = redis::cmd("INFO").arg("commandstats").query_async(&mut link).await.unwrap();
        let counted = text.lines().filter(|line| !line.contains("_hgetall:") && !line.contains("_info:"));
        let calls = |line: &str| line.split_once("calls=")?.1.split(',').next()?.parse::<i64>().ok();
        counted.filter_map(calls).sum()
    }

    /// Waits until so many lines were written about the user.
    pub(crate) async fn lines(&self, count: usize) -> Vec<TransactionLine> {
        loop {
            let retention = self.settings.retention;
            let lines = lines_of(&self.redis, &self.keys, partition(), &self.user, retention).await.unwrap();
            if lines.len() >= count {
                return lines;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Normalises until so many lines were written about the user, and returns them.
    pub(crate) async fn until_lines(&self, count: usize) -> Vec<TransactionLine> {
        let (running, drain) = self.start();
        let lines = tokio::time::timeout(Duration::from_secs(20), self.lines(count)).await.expect("the lines come");
        drain.cancel();
        running.await.unwrap().unwrap();
        lines
    }
}

pub(crate) fn partition() -> Partition {
    PartitionCount::try_new(1).unwrap().get_partition(0).unwrap()
}

pub(crate) fn told(lines: &[TransactionLine]) -> Vec<(&str, State, Reason)> {
    lines.iter().map(|line| (line.external_id.as_str(), line.state, line.reason)).collect()
}

pub(crate) fn states(lines: &[TransactionLine]) -> Vec<(State, Reason)> {
    lines.iter().map(|line| (line.state, line.reason)).collect()
}
