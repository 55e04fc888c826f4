//! The normalised stream into the ledger on a real Redis: read, applied and committed in batches.
//!
//! One partition with a backlog, so that every batch is full. The few milliseconds until its lease is taken
//! are in the time, and are spread over thousands of entries. Nothing is sent to Exist.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use event::{
    AttributeName, ContentHash, Contribution, Day, EntryId, ExternalId, NormalisedEvent, Partition, PartitionCount,
    SourceName, TransactionId, UserId, Version,
};
use settings::{ExposeSecret, Sealer, Settings};
use store::{
    Commit, Keys, Lease, Redis, Stage, operate,
    user::{About, document, field},
};
use tokio_util::sync::CancellationToken;
use worker::{StageContext, stream::BATCH_MAX};

const PEOPLE: usize = 40;
/// Most batches that wait at once: more would measure a Redis that runs full.
const BATCHES_MAX: u64 = 200;
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Longer than a sample.
const NEVER: &str = "30m";

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

fn counted(entry: u64) -> NormalisedEvent {
    let number = i32::try_from(entry % 5).expect("less than 5");
    let contribution = Contribution {
        attribute: AttributeName::try_new("productive_min").expect("letters and an underscore"),
        day: Day::from_number(today() - number),
        amount: 60,
    };
    NormalisedEvent {
        transaction: TransactionId { partition: partition(), entry: EntryId { ms: 1_780_000_000_000, seq: entry } },
        user: user(entry),
        source: SourceName::try_new("toggl").expect("letters"),
        external_id: ExternalId::try_new(&(4_000_000_000 + entry).to_string()).expect("digits"),
        version: Version(1_780_000_000_000_000),
        content: ContentHash::of(&entry.to_string()),
        read_at_ms: 1_780_000_000_000,
        contributions: vec![contribution],
        recount: None,
        replay_of: None,
    }
}

/// Days since 1970: an open one, so that it is kept as those of people are.
fn today() -> i32 {
    i32::try_from(jiff::Timestamp::now().as_second() / 86_400).expect("before the end of time")
}

/// People and their backlog.
struct Backlog {
    redis: Redis,
    keys: Arc<Keys>,
    settings: Arc<Settings>,
}

impl Backlog {
    async fn new(url: &str, entries: u64) -> Self {
        let key = Sealer::generate_key();
        let set = [
            ("TRIBUTARY_REDIS_URL", url),
            ("TRIBUTARY_PARTITIONS", "1"),
            ("TRIBUTARY_FLUSH_AFTER", NEVER),
            ("TRIBUTARY_ENCRYPTION_KEY", key.expose_secret()),
        ];
        let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let settings = Arc::new(Settings::load(set, &[], None).expect("the settings are right"));
        let redis = Redis::connect(&settings.redis_url).await.expect("Redis is there");
        redis::cmd("FLUSHALL").query_async::<()>(&mut redis.clone()).await.expect("Redis is ours");
        let keys = Arc::new(Keys::default());
        for person in 0..PEOPLE {
            let about = document(&About { timezone: Some("Europe/Vienna".into()) });
            let documents = [(field::ABOUT.to_owned(), about)];
            let user = user(person as u64);
            operate::connect(&redis, &keys, partition(), &user, &documents, &[], &[]).await.expect("Redis is there");
        }
        let stage = Stage::Normalise;
        let lease = Lease::acquire(&redis, &keys, stage, partition(), "bench").await.expect("Redis is there");
        let lease = lease.expect("nobody else is here");
        let stream = keys.normalised(partition());
        let all: Vec<u64> = (0..entries).collect();
        for page in all.chunks(BATCH_MAX) {
            let mut commit = Commit::new();
            page.iter().for_each(|&entry| commit.append(&stream, &event::encode(&counted(entry))));
            commit.run(&redis, &lease).await.expect("it is ours");
        }
        Self { redis, keys, settings }
    }

    /// How long it takes until nothing waits.
    async fn drain(self) -> Duration {
        let mut waiting = redis::cmd("XLEN");
        waiting.arg(self.keys.normalised(partition()));
        let mut link = self.redis.clone();
        let context = StageContext {
            redis: self.redis,
            keys: self.keys,
            partitions: count(),
            member: worker::member_name(),
            tick: Arc::new(|| {}),
        };
        let drain = CancellationToken::new();
        let begun = Instant::now();
        let running = tokio::spawn(exist_writer::run(context, self.settings, drain.clone()));
        while waiting.query_async::<u64>(&mut link).await.expect("Redis is there") > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let took = begun.elapsed();
        drain.cancel();
        running.await.expect("it does not panic").expect("it does not fail");
        took
    }
}

fn ledger(c: &mut Criterion) {
    rustls::crypto::ring::default_provider().install_default().expect("it is the first");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let server = runtime.block_on(testkit::Redis::start());
    let mut group = c.benchmark_group("ledger");
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

criterion_group!(benches, ledger);
criterion_main!(benches);
