//! A fetcher with its routes, and whoever is connected.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use event::{AttributeName, Partition, PartitionCount, RawEvent, UserId};
use reqwest::StatusCode;
use serde_json::{Value, json};
use settings::{ExposeSecret, SecretString, Settings};
use source::{Hint, OAuth, Source, Sources};
use store::{
    Keys, Redis, counts, operate,
    user::{About, Connected, SourceConnection, User, document, field, users},
};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use worker::StageContext;

use crate::fake::{self, Fake};

/// How long anything may take on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);
const PARTITIONS: u16 = 4;

pub(crate) struct Stand {
    pub(crate) redis: Redis,
    pub(crate) keys: Arc<Keys>,
    pub(crate) settings: Arc<Settings>,
    reads: Arc<Mutex<Vec<Hint>>>,
    oauth: Option<OAuth>,
}

/// One process of the service, as far as anybody outside can tell.
pub(crate) struct Fetcher {
    pub(crate) base: String,
    pub(crate) drain: CancellationToken,
    pub(crate) running: JoinHandle<anyhow::Result<()>>,
}

/// An answer, as a source sees it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: String,
}

impl Stand {
    /// On the Redis that all tests share, under keys of its own.
    pub(crate) async fn new() -> Self {
        Self::on(testkit::redis().url(), &[], None).await
    }

    pub(crate) async fn on(url: String, more: &[(&str, &str)], oauth: Option<OAuth>) -> Self {
        let _already = rustls::crypto::ring::default_provider().install_default();
        let partitions = PARTITIONS.to_string();
        let set = [
            ("TRIBUTARY_REDIS_URL", url.as_str()),
            ("TRIBUTARY_PARTITIONS", &partitions),
            ("TRIBUTARY_ENCRYPTION_KEY", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
        ];
        let set = set.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let settings = Settings::load(set, &[], None).unwrap();
        let redis = Redis::connect(&settings.redis_url).await.unwrap();
        let keys = Arc::new(Keys::with_prefix(&testkit::unique_prefix()));
        Self { redis, keys, settings: Arc::new(settings), reads: Arc::default(), oauth }
    }

    /// Starts one more process and waits until its routes answer.
    pub(crate) async fn fetcher(&self) -> Fetcher {
        let deadline = Instant::now() + SOON;
        loop {
            // Free a moment ago, but maybe not any more: then somebody else would answer in its place.
            let addr = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let drain = CancellationToken::new();
            let running = self.start(addr, &drain);
            while !running.is_finished() {
                let answers = tokio::net::TcpStream::connect(addr).await.is_ok();
                if answers && !running.is_finished() {
                    return Fetcher { base: format!("http://{addr}"), drain, running };
                }
                sleep(Duration::from_millis(5)).await;
            }
            assert!(Instant::now() < deadline, "it takes an address: {:?}", running.await);
        }
    }

    fn start(&self, addr: SocketAddr, drain: &CancellationToken) -> JoinHandle<anyhow::Result<()>> {
        let mut settings = (*self.settings).clone();
        settings.webhook_addr = Some(addr);
        let source: Arc<dyn Source> = Arc::new(Fake { oauth: self.oauth.clone(), reads: Arc::clone(&self.reads) });
        let sources: Sources = [(source.name(), source)].into_iter().collect();
        let context = StageContext {
            redis: self.redis.clone(),
            keys: Arc::clone(&self.keys),
            partitions: PartitionCount::try_new(PARTITIONS).unwrap(),
            member: worker::member_name(),
            tick: Arc::new(|| {}),
        };
        tokio::spawn(fetcher::run(context, Arc::new(settings), Arc::new(sources), drain.clone()))
    }

    pub(crate) fn partition_of(&self, user: &str) -> Partition {
        PartitionCount::try_new(PARTITIONS).unwrap().of(&id(user))
    }

    /// Connects somebody, as an import does.
    pub(crate) async fn connect(&self, user: &str, credentials: Value) {
        self.connect_as(user, credentials, Connected::On).await;
    }

    pub(crate) async fn connect_as(&self, user: &str, credentials: Value, connected: Connected) {
        let sealer = self.settings.encryption_key.as_ref().unwrap();
        let sealed = sealer.seal(&SecretString::from(credentials.to_string()), &format!("{user}/fake"));
        self.store(user, &credentials, sealed, connected).await;
    }

    /// Stores a connection whose credentials may be sealed with anything.
    pub(crate) async fn store(&self, user: &str, credentials: &Value, sealed: String, connected: Connected) {
        let rules = BTreeMap::from([(AttributeName::try_new("keystrokes").unwrap(), json!({"of": 1}))]);
        let connection = SourceConnection { connected, credentials: sealed, rules, last_chance: false };
        let topics = Fake { oauth: None, reads: Arc::default() }.hooks().unwrap().topics(credentials);
        let documents = [
            (field::ABOUT.to_owned(), document(&About { timezone: Some("UTC".to_owned()) })),
            (field::source(&fake::name()), document(&connection)),
            (field::topics(&fake::name()), document(&topics)),
        ];
        store::intake::listen(&self.redis, &self.keys, &fake::name(), &id(user), &topics).await.unwrap();
        let (partition, sources) = (self.partition_of(user), [fake::name()]);
        operate::connect(&self.redis, &self.keys, partition, &id(user), &documents, &[], &sources).await.unwrap();
    }

    pub(crate) async fn user(&self, user: &str) -> User {
        let found = users(&self.redis, &self.keys, self.partition_of(user), &[id(user)]).await.unwrap();
        found.into_iter().next().unwrap()
    }

    /// A connection's credentials, opened.
    pub(crate) async fn credentials(&self, user: &str) -> Value {
        let sealed = self.user(user).await.sources[&fake::name()].credentials.clone();
        let opened = self.settings.encryption_key.as_ref().unwrap().open(&sealed, &format!("{user}/fake")).unwrap();
        serde_json::from_str(opened.expose_secret()).unwrap()
    }

    /// The raw entries of a user that wait, oldest first.
    pub(crate) async fn raw(&self, user: &str) -> Vec<RawEvent> {
        let mut command = redis::cmd("XRANGE");
        command.arg(self.keys.raw(self.partition_of(user))).arg("-").arg("+");
        type Entry = (String, Vec<(String, Vec<u8>)>);
        let entries: Vec<Entry> = command.query_async(&mut self.redis.clone()).await.unwrap();
        let events = entries.iter().map(|(_, fields)| event::decode::<RawEvent>(&fields[0].1).unwrap());
        events.filter(|event| event.user == id(user)).collect()
    }

    /// How many entries were ever appended, over all partitions.
    pub(crate) async fn appended(&self) -> i64 {
        let mut sum = 0;
        for partition in PartitionCount::try_new(PARTITIONS).unwrap().all() {
            let counts = counts(&self.redis, &self.keys, partition).await.unwrap();
            sum += counts.appended.get(&fake::name()).copied().unwrap_or(0);
        }
        sum
    }

    /// How many reads there were.
    pub(crate) fn reads(&self) -> usize {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Waits until a read was asked for what `wanted` says.
    pub(crate) async fn until_read(&self, wanted: Hint) {
        let deadline = Instant::now() + SOON;
        while !self.reads.lock().unwrap_or_else(PoisonError::into_inner).contains(&wanted) {
            assert!(Instant::now() < deadline, "no read was asked for {wanted:?}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Fetcher {
    /// Sends a webhook that `secret` signs.
    pub(crate) async fn hook(&self, path: &str, secret: &str, delivery: &str, body: &Value) -> Answer {
        let body = body.to_string();
        self.post(path, Some(&fake::signature(secret, body.as_bytes())), delivery, body.into_bytes()).await
    }

    pub(crate) async fn post(&self, path: &str, signature: Option<&str>, delivery: &str, body: Vec<u8>) -> Answer {
        let mut request = reqwest::Client::new().post(format!("{}{path}", self.base)).body(body);
        for (name, value) in [("x-signature", signature), ("x-delivery", Some(delivery))] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                request = request.header(name, value);
            }
        }
        answer(request.send().await.expect("an answer")).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(reqwest::get(format!("{}{path}", self.base)).await.expect("an answer")).await
    }

    /// Drains it, as a SIGTERM does, and waits until it has left.
    pub(crate) async fn leave(self) {
        self.drain.cancel();
        tokio::time::timeout(SOON, self.running).await.expect("it leaves").unwrap().unwrap();
    }
}

async fn answer(response: reqwest::Response) -> Answer {
    let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let status: StatusCode = response.status();
    Answer { status: status.as_u16(), retry_after, body: response.text().await.unwrap() }
}

pub(crate) fn id(user: &str) -> UserId {
    UserId::try_new(user).unwrap()
}
