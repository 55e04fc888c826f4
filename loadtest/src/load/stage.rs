//! The peers, the people and the processes of a run.

use std::{
    collections::HashMap,
    net::TcpListener,
    path::PathBuf,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    peers::Peers,
    record::{Recording, Way},
    scenario::{Scenario, Via},
    source::Source,
    stream::Stream,
    tap::{Start, Tap},
    threads::Threads,
    truth::Truth,
};
use crate::{
    exist::{ExistConfig, ExistSim, RateLimit, TOKEN_LIFE, UserSpec},
    fleet::{Fleet, Role},
    judge::{Numbers, Verdict, verdict},
    toggl::TogglConfig,
};

/// Whatever the scenario asks, a source that is polled must not run out.
const GENEROUS: u32 = 10_000_000;
/// People in one import.
const IMPORT_MAX: usize = 1_000;
/// How long the processes may take to be ready.
const READY_MAX: Duration = Duration::from_secs(60);
/// Days that are read back when somebody connects.
const BACKFILL_DAYS: &str = "7";

/// What a run plays on.
pub(crate) struct Stage {
    pub(crate) truth: Arc<Truth>,
    pub(crate) exist: ExistSim,
    pub(crate) peers: Arc<Peers>,
    pub(crate) fleet: Fleet,
    pub(crate) hooks: Hooks,
    pub(crate) names: Arc<Vec<String>>,
    pub(crate) start: Start,
    /// Every process ever started.
    pub(crate) running: Arc<Mutex<Vec<(u32, Role)>>>,
    pub(crate) recording: Option<Recording>,
    timezones: Vec<String>,
    /// Everybody, as an import has them.
    rows: Vec<Value>,
    _tap: Tap,
    /// Last: everything above is served from there.
    _threads: Threads,
}

/// Where webhooks are taken now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hooks(Arc<Addresses>);

#[derive(Debug, Default)]
struct Addresses {
    /// Each fetcher's.
    all: RwLock<Vec<(String, String)>>,
    turn: AtomicUsize,
    /// Somebody who listens on the way, if anybody does.
    through: OnceLock<String>,
}

impl Hooks {
    /// Where the source sends to: the next fetcher, or who listens on the way.
    pub(crate) fn address(&self) -> Option<String> {
        self.0.through.get().cloned().or_else(|| self.next())
    }

    /// From now on everything is sent there, whence it comes to the fetchers.
    pub(crate) fn send_through(&self, address: String) {
        // Set once, before anything is sent.
        let _ = self.0.through.set(address);
    }

    /// The next fetcher's address, in turn; none while there is none.
    pub(crate) fn next(&self) -> Option<String> {
        let all = self.0.all.read().unwrap_or_else(PoisonError::into_inner);
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        all.get(turn.checked_rem(all.len())?).map(|(_, address)| address.clone())
    }

    fn add(&self, process: String, address: String) {
        self.0.all.write().unwrap_or_else(PoisonError::into_inner).push((process, address));
    }

    /// Nobody sends there any more, as when a service's endpoint is taken out before it is stopped.
    pub(crate) fn remove(&self, process: &str) {
        self.0.all.write().unwrap_or_else(PoisonError::into_inner).retain(|(name, _)| name != process);
    }
}

/// What the source and the services know of somebody.
pub(crate) fn name(person: usize) -> String {
    format!("person{person:06}")
}

impl Stage {
    /// Peers are up, everybody has an account, what stood before stands, and the processes are ready; nobody is
    /// connected yet.
    pub(crate) async fn set(
        scenario: &Scenario,
        stream: &Stream,
        anchor_s: i64,
        logs: Option<&PathBuf>,
        record: Option<&PathBuf>,
    ) -> Result<Stage> {
        let services = &scenario.services;
        let is_polled = stream.header.via == Via::Polls;
        let rate = RateLimit { requests: services.exist_requests_per_hour, window: Duration::from_secs(3600) };
        let config = ExistConfig { rate, retry_after: true, ..ExistConfig::default() };
        let threads = Threads::start("peers")?;
        let exist_config = config.clone();
        let exist = threads
            .run(async move { ExistSim::start(exist_config).await.context("starting the simulated Exist") })
            .await?;
        let quota = if is_polled { GENEROUS } else { services.source_requests_per_hour };
        let toggl = TogglConfig { me_quota: quota, workspace_quota: quota, burst: None, ..TogglConfig::default() };
        let truth = Arc::new(Truth::new(&stream.header, anchor_s));
        let names: Arc<Vec<String>> = Arc::new((0..stream.header.people.len()).map(name).collect());
        for (person, someone) in stream.header.people.iter().enumerate() {
            exist.add_user(UserSpec::named(&names[person]).living_in(&someone.timezone));
        }
        let start = Start::default();
        let places: HashMap<String, u32> = (0..).zip(names.iter()).map(|(place, name)| (name.clone(), place)).collect();
        let listener = Tap::start(exist.clone(), Arc::clone(&truth), places, start.clone());
        let tap = threads.run(listener).await?;
        let timezones: Vec<String> = stream.header.people.iter().map(|someone| someone.timezone.clone()).collect();
        let sources = stream.header.sources();
        let starting = Peers::start(
            sources.clone(),
            toggl,
            Arc::clone(&truth),
            Arc::clone(&names),
            timezones.clone(),
            stream.header.filler_bytes,
        );
        let peers = Arc::new(threads.run(starting).await?);
        let hooks = Hooks::default();
        let rows = (0..names.len()).map(|person| row(&peers, person, &timezones[person]));
        let recording = match record {
            Some(path) => {
                let takers = hooks.clone();
                ensure!(sources.iter().all(Source::is_toggl), "of the sources, only Toggl Track can be recorded");
                let taken_at = move || takers.next().map(|base| format!("{base}/toggl"));
                let way = Way { source: peers.toggl.api_url(), hooks: Box::new(taken_at) };
                let recording = Recording::start(&Value::Array(rows.clone().collect()), way, None, path).await?;
                hooks.send_through(recording.hooks_url().trim_end_matches("/toggl").to_owned());
                Some(recording)
            }
            None => None,
        };
        let rows = rows.collect();
        let toggl_url = recording.as_ref().map_or_else(|| peers.toggl.api_url(), Recording::source_url);
        let mut builder = Fleet::builder()
            .setting("TRIBUTARY_EXIST_API_URL", tap.base_url())
            .setting("TRIBUTARY_EXIST_OAUTH_URL", exist.oauth_url())
            .setting("TRIBUTARY_EXIST_CLIENT_ID", config.client_id)
            .setting("TRIBUTARY_EXIST_CLIENT_SECRET", config.client_secret)
            .setting("TRIBUTARY_EXIST_SETTLE", "3s")
            .setting("TRIBUTARY_TOGGL_API_URL", toggl_url)
            .setting("TRIBUTARY_TOGGL_POLL_INTERVAL", if is_polled { "1s" } else { "1h" })
            .setting("TRIBUTARY_FLUSH_AFTER", "1s")
            .setting("TRIBUTARY_BACKFILL_DAYS", BACKFILL_DAYS);
        builder = peers.settings(builder);
        for role in Role::CARRIERS {
            builder = builder.processes(role, 0);
        }
        for (name, value) in &scenario.settings {
            builder = builder.setting(name, value);
        }
        if let Some(logs) = logs {
            builder = builder.logs(logs);
        }
        let fleet = builder.start().await?;
        let running = Arc::default();
        let mut stage = Stage {
            truth,
            exist,
            peers,
            fleet,
            hooks,
            names,
            start,
            running,
            recording,
            timezones,
            rows,
            _tap: tap,
            _threads: threads,
        };
        if services.aof {
            let mut link = stage.link().await?;
            let set = redis::cmd("CONFIG").arg("SET").arg("appendonly").arg("yes").query_async::<()>(&mut link).await;
            set.context("switching the append-only file on")?;
        }
        let counts = [
            (Role::Fetcher, services.fetcher),
            (Role::Normaliser, services.normaliser),
            (Role::ExistWriter, services.exist_writer),
        ];
        for (role, count) in counts {
            for _ in 0..count {
                stage.spawn(role)?;
            }
        }
        stage.fleet.ready(READY_MAX).await?;
        Ok(stage)
    }

    /// One more process; a fetcher takes webhooks at an address of its own.
    pub(crate) fn spawn(&mut self, role: Role) -> Result<String> {
        if role != Role::Fetcher {
            let process = self.fleet.spawn(role)?;
            let (id, name) = (process.id(), process.name().to_owned());
            self.started(id, role);
            return Ok(name);
        }
        let listener = TcpListener::bind("127.0.0.1:0").context("finding a port for webhooks")?;
        let address = listener.local_addr().context("finding a port for webhooks")?.to_string();
        drop(listener);
        let process = self.fleet.spawn_with(role, &[("TRIBUTARY_WEBHOOK_ADDR", &address)])?;
        let (id, name) = (process.id(), process.name().to_owned());
        self.started(id, role);
        self.hooks.add(name.clone(), format!("http://{address}/hooks"));
        Ok(name)
    }

    fn started(&self, id: Option<u32>, role: Role) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).extend(id.map(|id| (id, role)));
    }

    /// A connection to Redis that the services know nothing of, served by whoever awaits it here.
    pub(crate) fn link(&mut self) -> impl Future<Output = Result<redis::aio::MultiplexedConnection>> + Send + use<> {
        let url = self.fleet.redis().map(|redis| redis.url());
        async move { link(&url.context("a run has a private Redis")?).await }
    }

    /// Connects everybody from the one place to the other.
    pub(crate) async fn import(&self, people: std::ops::Range<usize>) -> Result<()> {
        for rows in self.rows[people].chunks(IMPORT_MAX) {
            self.fleet.import(&Value::Array(rows.to_vec())).await?;
        }
        Ok(())
    }

    /// What must stand in Exist once everything that was told has come there.
    pub(crate) fn expected(&self) -> Vec<Numbers> {
        (0..self.names.len()).map(|person| self.truth.expected(person)).collect()
    }

    /// Both sides as they are now.
    pub(crate) fn verdict(&self, expected: &[Numbers]) -> Verdict {
        let rows = (0..self.names.len()).flat_map(|person| {
            let values = self.exist.values(&self.names[person]).into_iter();
            let held = values.filter_map(|(key, value)| Some((key, value.number()?))).collect();
            verdict(&self.names[person], &self.timezones[person], &expected[person], &held)
        });
        Verdict { rows: rows.collect() }
    }

    /// Waits until so many people have been read back for the first time and Exist holds what came of it; whether
    /// that was so within `limit`.
    pub(crate) async fn until_read_back(&self, people: usize, limit: Duration) -> bool {
        /// Windows of a read-back.
        const AT_LEAST: usize = 2;
        /// Polls of one person come closer to each other than this.
        const QUIET: Duration = Duration::from_millis(1_500);
        let deadline = tokio::time::Instant::now() + limit;
        let mut last = 0;
        while tokio::time::Instant::now() < deadline {
            tokio::time::sleep(QUIET).await;
            let asked = self.peers.toggl.requests().count();
            if asked >= AT_LEAST * people && asked == last && self.truth.waiting() == 0 {
                return true;
            }
            last = asked;
        }
        false
    }
}

async fn link(url: &str) -> Result<redis::aio::MultiplexedConnection> {
    let client = redis::Client::open(url).context("reading Redis' address")?;
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(20)));
    client.get_multiplexed_async_connection_with_config(&config).await.context("connecting to Redis")
}

/// Somebody, as an import has them.
fn row(peers: &Peers, person: usize, timezone: &str) -> Value {
    let (name, now_s) = (name(person), Timestamp::now().as_second());
    json!({
        "user": name, "timezone": timezone,
        "exist": {
            "access_token": format!("{name}-access"), "refresh_token": format!("{name}-refresh"),
            "expires_in": TOKEN_LIFE.as_secs(), "created_at": now_s, "adopt": false,
        },
        "connections": peers.connections(person, now_s),
    })
}
