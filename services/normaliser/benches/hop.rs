//! The hop from the raw to the normalised stream on a real Redis: read, judged, counted and committed in batches.
//!
//! One partition with a backlog, so that every batch is full. The few milliseconds until its lease is taken
//! are in the time, and are spread over thousands of entries.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use event::{
    AttributeName, ContentHash, Contribution, ExternalId, Origin, Partition, PartitionCount, RawEvent, RecordKind,
    SourceName, Unit, UserId, Version,
};
use jiff::Timestamp;
use settings::Settings;
use source::{
    Account, Counted, CredentialsError, Cursor, Malformed, Mapping, MappingError, Page, Read, RulesByAttribute, Source,
    SourceError, Zones,
};
use store::{
    Commit, Keys, Lease, Owned, Redis, Stage, operate,
    user::{About, Connected, SourceConnection, document, field},
};
use tokio_util::sync::CancellationToken;
use worker::{StageContext, stream::BATCH_MAX};

const PEOPLE: usize = 40;
const PAYLOAD_BYTES: usize = 300;
/// Most batches that wait at once: more would measure a Redis that runs full.
const BATCHES_MAX: u64 = 200;
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A record of any payload counts a minute for today: what a source makes of it is not measured here.
struct Minute;

#[async_trait::async_trait]
impl Source for Minute {
    fn name(&self) -> SourceName {
        SourceName::try_new("minute").expect("letters")
    }

    fn check_credentials(&self, _: &serde_json::Value) -> Result<(), CredentialsError> {
        Ok(())
    }

    fn compile(&self, _: &RulesByAttribute) -> Result<Arc<dyn Mapping>, Vec<MappingError>> {
        Ok(Arc::new(Minutes(vec![(attribute(), Unit::Seconds)])))
    }

    async fn read(&self, _: &Account, _: &Cursor, _: &Read) -> Result<Page, SourceError> {
        unreachable!("nothing is fetched here")
    }
}

struct Minutes(Vec<(AttributeName, Unit)>);

impl Mapping for Minutes {
    fn attributes(&self) -> &[(AttributeName, Unit)] {
        &self.0
    }

    fn count(&self, _: &str, zones: &Zones) -> Result<Counted, Malformed> {
        let day = zones.day_of(Timestamp::now());
        Ok(Counted::Adds(vec![Contribution { attribute: attribute(), day, amount: 60 }]))
    }
}

fn attribute() -> AttributeName {
    AttributeName::try_new("productive_min").expect("letters and an underscore")
}

fn count() -> PartitionCount {
    PartitionCount::try_new(1).expect("at least 1")
}

fn partition() -> Partition {
    count().get_partition(0).expect("there is one")
}

fn user(entry: u64) -> UserId {
    let person = usize::try_from(entry).expect("64 bits") % PEOPLE;
    UserId::try_new(&format!("person{person:02}")).expect("letters and digits")
}

fn told(entry: u64) -> RawEvent {
    let payload = format!("{entry:0PAYLOAD_BYTES$}");
    RawEvent {
        user: user(entry),
        source: Minute.name(),
        external_id: ExternalId::try_new(&(4_000_000_000 + entry).to_string()).expect("digits"),
        version: Version(1_780_000_000_000_000),
        content: ContentHash::of(&payload),
        kind: RecordKind::Present,
        origin: Origin::Poll,
        seen_before: false,
        read_at_ms: 1_780_000_000_000,
        payload,
        problem: String::new(),
        replay_of: None,
    }
}

/// People and their backlog, under names of its own.
struct Backlog {
    redis: Redis,
    keys: Arc<Keys>,
    settings: Arc<Settings>,
    fetcher: Owned,
}

impl Backlog {
    async fn new(url: &str, entries: u64) -> Self {
        let set = [("TRIBUTARY_REDIS_URL", url), ("TRIBUTARY_PARTITIONS", "1")];
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Arc::new(Settings::load(set, &[], None).expect("the settings are right"));
        let redis = Redis::connect(&settings.redis_url).await.expect("Redis is there");
        redis::cmd("FLUSHALL").query_async::<()>(&mut redis.clone()).await.expect("Redis is ours");
        let keys = Arc::new(Keys::default());
        for person in 0..PEOPLE {
            let connection = SourceConnection {
                connected: Connected::On,
                credentials: String::new(),
                rules: BTreeMap::new(),
                last_chance: false,
            };
            let documents = [
                (field::ABOUT.to_owned(), document(&About { timezone: Some("Europe/Vienna".into()) })),
                (field::source(&Minute.name()), document(&connection)),
            ];
            let user = user(person as u64);
            operate::connect(&redis, &keys, partition(), &user, &documents, &[], &[]).await.expect("Redis is there");
        }
        let lease = Lease::acquire(&redis, &keys, Stage::Fetch, partition(), "bench").await.expect("Redis is there");
        let lease = lease.expect("nobody else is here");
        let fetcher = Owned { redis: redis.clone(), keys: Arc::clone(&keys), lease };
        let all: Vec<RawEvent> = (0..entries).map(told).collect();
        for page in all.chunks(100) {
            let mut commit = Commit::new();
            fetcher.append_raw(&mut commit, page);
            fetcher.commit(commit).await.expect("it is ours");
        }
        Self { redis, keys, settings, fetcher }
    }

    /// How long it takes until nothing waits.
    async fn drain(self) -> Duration {
        let source: Arc<dyn Source> = Arc::new(Minute);
        let sources = Arc::new([(source.name(), source)].into_iter().collect());
        let context = StageContext {
            redis: self.redis,
            keys: self.keys,
            partitions: count(),
            member: worker::member_name(),
            tick: Arc::new(|| {}),
        };
        let drain = CancellationToken::new();
        let begun = Instant::now();
        let running = tokio::spawn(normaliser::run(context, self.settings, sources, drain.clone()));
        while self.fetcher.raw_waiting().await.expect("Redis is there") > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let took = begun.elapsed();
        drain.cancel();
        running.await.expect("it does not panic").expect("it does not fail");
        took
    }
}

fn hop(c: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let server = runtime.block_on(testkit::Redis::start());
    let mut group = c.benchmark_group("hop");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(BATCH_MAX as u64));
    group.bench_function("a full batch", |b| {
        b.to_async(&runtime).iter_custom(|batches| {
            let url = server.url();
            async move {
                let mut took = Duration::ZERO;
                let mut left = batches;
                while left > 0 {
                    let now = left.min(BATCHES_MAX);
                    left -= now;
                    took += Backlog::new(&url, now * BATCH_MAX as u64).await.drain().await;
                }
                took
            }
        });
    });
    group.finish();
}

criterion_group!(benches, hop);
criterion_main!(benches);
