//! What becomes of raw entries, on a real Redis: each state, with its reason and the transaction that
//! caused it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use event::{
    AttributeName, ContentHash, Contribution, Day, ExternalId, Origin, Partition, PartitionCount, RawEvent, Reason,
    RecordKind, SourceName, State, TransactionLine, Unit, UserId, Version,
};
use jiff::{Timestamp, tz::TimeZone};
use redis::AsyncCommands;
use settings::Settings;
use source::{
    Account, Counted, CredentialsError, Cursor, Malformed, Mapping, MappingError, Page, Read, RulesByAttribute, Source,
    SourceError, Sources, Zones,
};
use store::{
    Commit, Keys, Lease, Owned, Redis, Stage, lines_of, operate,
    user::{About, Connected, Generation, Recounted, SourceConnection, User, document, field, users},
};
use tokio_util::sync::CancellationToken;
use worker::StageContext;

/// A payload is an amount and how many days ago: `5 0`; `running` has not ended.
struct Plain;

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

fn attribute() -> AttributeName {
    AttributeName::try_new("keystrokes").unwrap()
}

struct Bench {
    url: String,
    redis: Redis,
    keys: Arc<Keys>,
    settings: Arc<Settings>,
    fetcher: Owned,
    user: UserId,
}

impl Bench {
    async fn new() -> Self {
        Self::at(&testkit::redis().url(), None).await
    }

    async fn at(url: &str, retention: Option<Duration>) -> Self {
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
        Self { url, redis, keys, settings: Arc::new(settings), fetcher, user: UserId::try_new("ada").unwrap() }
    }

    async fn connect(&self, zone: Option<&str>, connected: Connected) {
        let about = About { timezone: zone.map(str::to_owned) };
        let connection =
            SourceConnection { connected, credentials: String::new(), rules: BTreeMap::new(), last_chance: false };
        let documents =
            [(field::ABOUT.to_owned(), document(&about)), (field::source(&Plain.name()), document(&connection))];
        let sources = [Plain.name()];
        operate::connect(&self.redis, &self.keys, partition(), &self.user, &documents, &[], &sources).await.unwrap();
    }

    async fn user(&self) -> User {
        let found = users(&self.redis, &self.keys, partition(), std::slice::from_ref(&self.user)).await.unwrap();
        found.into_iter().next().unwrap()
    }

    async fn append(&self, events: &[RawEvent]) {
        let mut commit = Commit::new();
        self.fetcher.append_raw(&mut commit, events);
        self.fetcher.commit(commit).await.unwrap();
    }

    fn event(&self, id: &str, version: i64, payload: &str) -> RawEvent {
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
    async fn until_counted(&self, count: usize) {
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
    fn start(&self) -> (tokio::task::JoinHandle<anyhow::Result<()>>, CancellationToken) {
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
    async fn held(&self) -> usize {
        let mut link = self.link().await;
        let pattern = format!("{}*", self.keys.records(partition(), &self.user, 0).trim_end_matches('0'));
        let keys: Vec<String> = link.keys(pattern.replace('{', "\\{")).await.unwrap();
        let mut sum = 0;
        for key in keys {
            sum += link.hlen::<_, usize>(key).await.unwrap();
        }
        sum
    }

    async fn link(&self) -> redis::aio::MultiplexedConnection {
        redis::Client::open(self.url.as_str()).unwrap().get_multiplexed_async_connection().await.unwrap()
    }

    /// How many commands Redis has done, those of scripts too, but those of waiting.
    async fn commands(&self) -> i64 {
        let mut link = self.link().await;
        let text: String = redis::cmd("INFO").arg("commandstats").query_async(&mut link).await.unwrap();
        let counted = text.lines().filter(|line| !line.contains("_hgetall:") && !line.contains("_info:"));
        let calls = |line: &str| line.split_once("calls=")?.1.split(',').next()?.parse::<i64>().ok();
        counted.filter_map(calls).sum()
    }

    /// Normalises until so many lines were written about the user, and returns them.
    async fn until_lines(&self, count: usize) -> Vec<TransactionLine> {
        let (running, drain) = self.start();
        let lines = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                let retention = self.settings.retention;
                let lines = lines_of(&self.redis, &self.keys, partition(), &self.user, retention).await.unwrap();
                if lines.len() >= count {
                    return lines;
                }
                tokio::task::yield_now().await;
            }
        });
        let lines = lines.await.expect("the lines come");
        drain.cancel();
        running.await.unwrap().unwrap();
        lines
    }
}

fn partition() -> Partition {
    PartitionCount::try_new(1).unwrap().get_partition(0).unwrap()
}

fn told(lines: &[TransactionLine]) -> Vec<(&str, State, Reason)> {
    lines.iter().map(|line| (line.external_id.as_str(), line.state, line.reason)).collect()
}

fn states(lines: &[TransactionLine]) -> Vec<(State, Reason)> {
    lines.iter().map(|line| (line.state, line.reason)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_version_ends_in_the_state_that_the_arrival_rules_give_it() {
    let bench = Bench::new().await;
    bench.connect(Some("Asia/Kathmandu"), Connected::On).await;
    bench
        .append(&[bench.event("held", 5, "1 0"), bench.event("waits", 1, "1 0"), bench.event("waits", 2, "2 0")])
        .await;
    let first = bench.until_lines(3).await;
    assert_eq!(
        told(&first),
        [
            ("held", State::Processing, Reason::Accepted),
            ("waits", State::Canceled, Reason::Superseded),
            ("waits", State::Processing, Reason::Accepted),
        ]
    );
    assert_eq!(first[1].cause, Some(first[2].id), "canceled by the newer one");

    bench
        .append(&[
            bench.event("held", 5, "1 0"),
            bench.event("held", 4, "9 0"),
            bench.event("runs", 1, "running"),
            bench.event("broken", 1, "nonsense"),
            bench.event("ancient", 1, "1 400"),
        ])
        .await;
    let lines = bench.until_lines(8).await;
    let second = &lines[3..];
    assert_eq!(
        told(second),
        [
            ("held", State::Duplicate, Reason::SameVersion),
            ("held", State::Dropped, Reason::NewerKnown),
            ("runs", State::Completed, Reason::NotCounted),
            ("broken", State::Errored, Reason::Malformed),
            ("ancient", State::Dropped, Reason::TooOld),
        ]
    );
    assert_eq!((second[0].cause, second[1].cause), (Some(first[0].id), Some(first[0].id)));
    assert!(second[3].detail.contains("plain"), "{}", second[3].detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_record_is_not_added_again_but_asks_for_a_recount() {
    let bench = Bench::new().await;
    bench.connect(Some("UTC"), Connected::On).await;
    let seen = |id: &str, payload: &str| RawEvent { seen_before: true, ..bench.event(id, 1, payload) };
    let deleted = |id: &str| RawEvent { kind: RecordKind::Deleted, ..seen(id, "") };
    bench.append(&[bench.event("new", 1, "1 10"), deleted("deleted")]).await;
    let lines = bench.until_lines(2).await;
    let (added, forgotten) = ((State::Processing, Reason::Accepted), (State::Dropped, Reason::Recounted));
    assert_eq!(states(&lines), [added, forgotten]);
    assert!(bench.user().await.recounts_asked.contains_key(&Plain.name()));

    // On an old day, on a recent one to which it was moved, and counting nothing any more.
    bench.append(&[seen("old", "1 10"), seen("moved", "1 1"), seen("untagged", "running"), seen("new", "2 10")]).await;
    let lines = bench.until_lines(6).await;
    assert_eq!(states(&lines[2..5]), [forgotten; 3]);
    let held = (State::Duplicate, Reason::SameVersion);
    assert_ne!(states(&lines[5..]), [held], "another content is news");
    assert_eq!(states(&lines[5..]), [added], "a record that is held is not forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_before_a_recount_began_asks_for_no_other() {
    let bench = Bench::new().await;
    bench.connect(Some("UTC"), Connected::On).await;
    let begun = Recounted {
        generations: vec![Generation { number: 1_000, from: Day::from_number(0) }],
        ..Recounted::default()
    };
    let documents = [(field::recounted(&Plain.name()), document(&begun))];
    operate::connect(&bench.redis, &bench.keys, partition(), &bench.user, &documents, &[], &[]).await.unwrap();
    let read = |id: &str, read_at_ms| RawEvent { seen_before: true, read_at_ms, ..bench.event(id, 1, "1 1") };
    bench.append(&[read("before", 999), read("after", 1_000)]).await;
    let lines = bench.until_lines(2).await;
    let expected = [(State::Processing, Reason::Accepted), (State::Dropped, Reason::Recounted)];
    assert_eq!(states(&lines), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recount_tells_known_versions_again() {
    let bench = Bench::new().await;
    bench.connect(Some("UTC"), Connected::On).await;
    bench.append(&[bench.event("a", 5, "1 0")]).await;
    bench.until_lines(1).await;
    let again = |id: &str, version| RawEvent { origin: Origin::Recount, ..bench.event(id, version, "1 0") };
    bench.append(&[again("a", 5), again("a", 4), bench.event("a", 5, "1 0")]).await;
    let lines = bench.until_lines(4).await;
    let expected = [
        (State::Processing, Reason::Accepted),
        (State::Dropped, Reason::NewerKnown),
        (State::Duplicate, Reason::SameVersion),
    ];
    assert_eq!(states(&lines[1..]), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_a_connection_was_off_counts_when_it_returns() {
    let bench = Bench::new().await;
    let off = Connected::Off { reason: "revoked".into(), since_ms: 1 };
    bench.connect(Some("UTC"), off).await;
    bench.append(&[bench.event("a", 1, "1 0"), bench.event("a", 2, "2 0")]).await;
    let disabled = bench.until_lines(2).await;
    assert!(disabled.iter().all(|line| (line.state, line.reason) == (State::Disabled, Reason::ConnectionOff)));

    bench.connect(Some("UTC"), Connected::On).await;
    let lines = bench.until_lines(4).await;
    assert_eq!(
        told(&lines[2..]),
        [("a", State::Canceled, Reason::Superseded), ("a", State::Processing, Reason::Accepted)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn records_wait_until_the_zone_is_known() {
    let bench = Bench::new().await;
    bench.connect(None, Connected::On).await;
    bench.append(&[bench.event("a", 1, "1 0")]).await;
    let told_zone = async {
        // The lane is parked by the time a second look would have come.
        tokio::time::sleep(Duration::from_millis(500)).await;
        bench.connect(Some("Pacific/Kiritimati"), Connected::On).await;
    };
    let (lines, ()) = tokio::join!(bench.until_lines(1), told_zone);
    assert_eq!(told(&lines), [("a", State::Processing, Reason::Accepted)]);
    let zone = TimeZone::get("Pacific/Kiritimati").unwrap();
    assert_eq!(lines[0].contributions[0].day, Day::at(Timestamp::now(), &zone));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_held_of_a_user_stays_flat_while_weeks_go_by() {
    const EACH: usize = 40;
    let retention = Duration::from_millis(1_200);
    let bench = Bench::at(&testkit::redis().url(), Some(retention)).await;
    bench.connect(Some("UTC"), Connected::On).await;
    let (mut told, mut held) = (0, Vec::new());
    // Each round is a sixth of the retention time: twelve times three days, if it were three days.
    for round in 0..72 {
        let id = |index: usize| format!("{round}-{index}");
        let events: Vec<RawEvent> = (0..EACH).map(|index| bench.event(&id(index), 1, "1 0")).collect();
        let begun = tokio::time::Instant::now();
        bench.append(&events).await;
        told += EACH;
        bench.until_counted(told).await;
        held.push(bench.held().await);
        tokio::time::sleep_until(begun + retention / 6).await;
    }
    let most = held.iter().copied().max().unwrap();
    assert!(held[8] >= EACH * 5, "records are held for the retention time: {held:?}");
    assert!(most <= EACH * 16, "at most as many as come in two retention times and a bucket are held: {held:?}");
    assert!(held[71] <= held[14] * 2, "the last round holds no more than an early one: {held:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_costs_the_same_commands_after_many_thousands_of_others() {
    const HISTORY: usize = 20_000;
    const SAMPLE: usize = 200;
    let server = testkit::Redis::start().await;
    let bench = Bench::at(&server.url(), None).await;
    bench.connect(Some("UTC"), Connected::On).await;
    let run = async |from: usize, count: usize| {
        let before = bench.commands().await;
        let ids = from..from + count;
        let events: Vec<RawEvent> = ids.map(|id| bench.event(&id.to_string(), 1, "1 0")).collect();
        for page in events.chunks(500) {
            bench.append(page).await;
        }
        bench.until_counted(from + count).await;
        bench.commands().await - before
    };
    let young = run(0, SAMPLE).await;
    run(SAMPLE, HISTORY).await;
    let old = run(SAMPLE + HISTORY, SAMPLE).await;
    // What a process asks for by itself while it is up differs from run to run.
    assert!(old <= young * 2, "{SAMPLE} events cost {young} commands without a history, {old} with {HISTORY}");
}
