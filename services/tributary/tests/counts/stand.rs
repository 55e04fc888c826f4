//! People in one partition, their records, and the services, a stage at a time.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use event::{
    AttributeName, ContentHash, ExternalId, Origin, Partition, PartitionCount, RawEvent, RecordKind, State, Unit,
    UserId, Version,
};
use jiff::{Timestamp, ToSpan};
use loadtest::exist::{ExistConfig, ExistSim, UserSpec};
use redis::{AsyncCommands, aio::MultiplexedConnection, streams::StreamInfoStreamReply};
use settings::{ExposeSecret, Sealer, SecretString, Settings};
use source::{Source, Sources};
use source_toggl::Toggl;
use store::{
    Commit, Keys, Lease, Owned, Redis, Stage, operate,
    user::{About, Acquire, Adopt, Attribute, Connected, ExistConnection, Mode, SourceConnection, document, field},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use worker::StageContext;

/// Enough that what is done once or by the clock does not show.
pub(crate) const EVENTS: u64 = 4_000;
const PEOPLE: u64 = 40;
/// Appended in one step, as a page of a source is.
const PAGE: u64 = 100;
/// What a record's payload is filled up to.
const PAYLOAD_BYTES: usize = 300;
/// Days back that records lie.
const DAYS: u64 = 3;
const ATTRIBUTES: [&str; 3] = ["distracting_min", "neutral_min", "productive_min"];
/// Longest wait for anything.
const WAIT_MAX: Duration = Duration::from_secs(60);

pub(crate) struct Stand {
    settings: Arc<Settings>,
    redis: Redis,
    keys: Arc<Keys>,
    sources: Arc<Sources>,
    fetcher: Owned,
    link: MultiplexedConnection,
    told: std::sync::atomic::AtomicU64,
    _exist: ExistSim,
    /// Its counters are counted, so that nobody else may use it.
    _server: testkit::Redis,
}

/// How far a stage is let run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Nothing waits for it.
    Handled,
    /// Exist holds it all.
    Confirmed,
}

/// Services at work.
pub(crate) struct Running {
    drain: CancellationToken,
    tasks: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.drain.cancel();
        for task in self.tasks {
            task.await.unwrap().unwrap();
        }
    }
}

impl Stand {
    pub(crate) async fn start(flush_after: Duration) -> Self {
        // Another test of this process may have been first.
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let (server, exist) = (testkit::Redis::start().await, ExistSim::start(ExistConfig::default()).await.unwrap());
        let key = Sealer::generate_key();
        let set = [
            ("TRIBUTARY_REDIS_URL", server.url()),
            ("TRIBUTARY_PARTITIONS", "1".to_owned()),
            ("TRIBUTARY_FLUSH_AFTER", format!("{}ms", flush_after.as_millis())),
            ("TRIBUTARY_EXIST_API_URL", exist.base_url()),
            ("TRIBUTARY_EXIST_OAUTH_URL", exist.oauth_url()),
            ("TRIBUTARY_ENCRYPTION_KEY", key.expose_secret().to_owned()),
        ];
        let settings = Settings::load(set.map(|(name, value)| (name.to_owned(), value)), &[], None).unwrap();
        let redis = Redis::connect(&settings.redis_url).await.unwrap();
        let keys = Arc::new(Keys::default());
        let sealer = Sealer::from_keys(key.expose_secret()).unwrap();
        for person in 0..PEOPLE {
            connect(&redis, &keys, &exist, &sealer, &name(person)).await;
        }
        let lease = Lease::acquire(&redis, &keys, Stage::Fetch, partition(), "test").await.unwrap().unwrap();
        let http = source::http::client(WAIT_MAX).unwrap();
        let toggl: Arc<dyn Source> = Arc::new(Toggl::new(http, settings.peers.toggl_api.url()));
        Self {
            settings: Arc::new(settings),
            fetcher: Owned { redis: redis.clone(), keys: Arc::clone(&keys), lease },
            redis,
            keys,
            sources: Arc::new([(toggl.name(), toggl)].into_iter().collect()),
            link: server.connection().await,
            told: 0.into(),
            _exist: exist,
            _server: server,
        }
    }

    pub(crate) fn link(&self) -> MultiplexedConnection {
        self.link.clone()
    }

    /// Appends records in pages.
    pub(crate) async fn append(&self, events: u64) {
        for page in 0..events.div_ceil(PAGE) {
            self.append_page(PAGE.min(events - page * PAGE)).await;
        }
    }

    /// Appends records, each once the one before is in the ledger.
    pub(crate) async fn append_one_by_one(&self, events: u64) {
        for _ in 0..events {
            let before = self.last_normalised().await;
            self.append_page(1).await;
            self.until("the event is in the ledger", || async {
                self.is_empty(Stage::Normalise).await
                    && self.last_normalised().await != before
                    && self.is_empty(Stage::Write).await
            })
            .await;
        }
    }

    async fn append_page(&self, events: u64) {
        let events: Vec<RawEvent> = (0..events).map(|_| self.event()).collect();
        let mut commit = Commit::new();
        self.fetcher.append_raw(&mut commit, &events);
        self.fetcher.commit(commit).await.unwrap();
    }

    fn event(&self) -> RawEvent {
        let number = self.told.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let place = usize::try_from(number).unwrap() % ATTRIBUTES.len();
        let start = Timestamp::now() - i64::try_from(24 * (number / PAGE % DAYS)).unwrap().hours();
        let (project, seconds) = (place + 1, number % 3_600 + 1);
        let mut payload = format!(r#"{{"start":"{start:.0}","duration":{seconds},"project_id":{project},"fill":""#);
        payload.extend(std::iter::repeat_n('x', PAYLOAD_BYTES.saturating_sub(payload.len() + 2)));
        payload.push_str("\"}");
        RawEvent {
            user: name(number % PEOPLE),
            source: self.sources.keys().next().expect("there is one").clone(),
            external_id: ExternalId::try_new(&(4_000_000_000 + number).to_string()).unwrap(),
            version: Version(Timestamp::now().as_microsecond()),
            content: ContentHash::of(&payload),
            kind: RecordKind::Present,
            origin: Origin::Poll,
            seen_before: false,
            read_at_ms: Timestamp::now().as_millisecond(),
            payload,
            problem: String::new(),
            replay_of: None,
        }
    }

    pub(crate) async fn normalise(&self, until: Until) {
        let mut running = Running { drain: CancellationToken::new(), tasks: Vec::new() };
        self.begin_normaliser(&mut running);
        self.until_done(Stage::Normalise, until).await;
        running.stop().await;
    }

    pub(crate) async fn write(&self, until: Until) {
        let mut running = Running { drain: CancellationToken::new(), tasks: Vec::new() };
        self.begin_writer(&mut running);
        self.until_done(Stage::Write, until).await;
        running.stop().await;
    }

    pub(crate) fn begin_both(&self) -> Running {
        let mut running = Running { drain: CancellationToken::new(), tasks: Vec::new() };
        self.begin_normaliser(&mut running);
        self.begin_writer(&mut running);
        running
    }

    fn begin_normaliser(&self, running: &mut Running) {
        let (settings, sources) = (Arc::clone(&self.settings), Arc::clone(&self.sources));
        running.tasks.push(tokio::spawn(normaliser::run(self.context(), settings, sources, running.drain.clone())));
    }

    fn begin_writer(&self, running: &mut Running) {
        let settings = Arc::clone(&self.settings);
        running.tasks.push(tokio::spawn(exist_writer::run(self.context(), settings, running.drain.clone())));
    }

    fn context(&self) -> StageContext {
        StageContext {
            redis: self.redis.clone(),
            keys: Arc::clone(&self.keys),
            partitions: PartitionCount::try_new(1).unwrap(),
            member: worker::member_name(),
            tick: Arc::new(|| {}),
        }
    }

    async fn until_done(&self, stage: Stage, until: Until) {
        match until {
            Until::Handled => self.until("the stage has handled all", || self.is_empty(stage)).await,
            Until::Confirmed => self.until("Exist holds all", || self.is_confirmed()).await,
        }
    }

    /// By a command that no service uses, so that it can be told from theirs.
    async fn stream(&self, stage: Stage) -> StreamInfoStreamReply {
        self.link().xinfo_stream(self.keys.stream(partition(), stage)).await.unwrap_or_default()
    }

    async fn is_empty(&self, stage: Stage) -> bool {
        self.stream(stage).await.length == 0
    }

    async fn last_normalised(&self) -> String {
        self.stream(Stage::Write).await.last_generated_id
    }

    async fn is_confirmed(&self) -> bool {
        let counts = store::counts(&self.redis, &self.keys, partition()).await.unwrap();
        let completed = counts.states.iter().filter(|((_, state), _)| *state == State::Completed);
        let completed: i64 = completed.map(|(_, count)| count).sum();
        completed >= i64::try_from(self.told.load(std::sync::atomic::Ordering::Relaxed)).unwrap()
    }

    async fn until<F: Future<Output = bool>>(&self, what: &str, holds: impl Fn() -> F) {
        let wait = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(WAIT_MAX, wait).await.unwrap_or_else(|_| panic!("waited too long until {what}"));
    }
}

/// Everything of a person that the two services need, as an import leaves it.
async fn connect(redis: &Redis, keys: &Keys, sim: &ExistSim, sealer: &Sealer, user: &UserId) {
    let spec = UserSpec::named(user.as_str());
    let token = SecretString::from(spec.access_token.clone());
    sim.add_user(spec);
    let exist = ExistConnection {
        connected: Connected::On,
        access_token: sealer.seal(&token, &format!("{user}/exist")),
        refresh_token: None,
        expires_at: None,
        adopt: Adopt::Unset,
        last_chance: false,
    };
    let attribute = |name: &str| AttributeName::try_new(name).unwrap();
    let attributes: BTreeMap<AttributeName, Attribute> = ATTRIBUTES
        .map(|name| {
            let acquire = Acquire::Template(name.to_owned());
            (attribute(name), Attribute { acquire, mode: Mode::Total, unit: Unit::Seconds })
        })
        .into();
    let rule = |(place, name): (usize, &str)| (attribute(name), serde_json::json!({"projects": [place + 1]}));
    let connection = SourceConnection {
        connected: Connected::On,
        credentials: String::new(),
        rules: ATTRIBUTES.into_iter().enumerate().map(rule).collect(),
        last_chance: false,
    };
    let toggl = event::SourceName::try_new("toggl").unwrap();
    let documents = [
        (field::ABOUT.to_owned(), document(&About { timezone: Some("Europe/Vienna".into()) })),
        (field::EXIST.to_owned(), document(&exist)),
        (field::ATTRIBUTES.to_owned(), document(&attributes)),
        (field::source(&toggl), document(&connection)),
    ];
    operate::connect(redis, keys, partition(), user, &documents, &[], &[]).await.unwrap();
}

fn name(person: u64) -> UserId {
    UserId::try_new(&format!("person{person:02}")).unwrap()
}

fn partition() -> Partition {
    PartitionCount::try_new(1).unwrap().get_partition(0).unwrap()
}
