//! A handler whose effects rest on what it read: it writes each lane's whole log anew, with the entry added.

use std::{collections::HashMap, sync::Arc, time::Duration};

use event::{Reason, UserId};
use store::{Commit, Entry, KeyLock, Owned, StoreError, Take};
use tokio::sync::{Semaphore, watch};
use worker::stream::{Delivery, Handled, Moment, StreamHandler};

/// Longer than any test.
pub(crate) const LONG: Duration = Duration::from_secs(50);

/// Logs entries `lane number`.
pub(crate) struct Scribe {
    /// How often a batch was read and not committed yet.
    pub(crate) read: watch::Sender<usize>,
    /// How many entries of each lane are committed.
    pub(crate) logged: watch::Sender<HashMap<String, usize>>,
    /// A batch is finished once there is a permit; each takes one.
    pub(crate) gate: Arc<Semaphore>,
    /// An entry that panics whenever it is handled.
    pub(crate) poison: Option<String>,
}

impl Scribe {
    pub(crate) fn new() -> Self {
        Self {
            read: watch::Sender::new(0),
            logged: watch::Sender::new(HashMap::new()),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            poison: None,
        }
    }

    /// Waits until so many entries of a lane are committed.
    pub(crate) async fn logged(&self, lane: &str, entries: usize) {
        let mut logged = self.logged.subscribe();
        drop(logged.wait_for(|logged| logged.get(lane).is_some_and(|&count| count >= entries)).await.unwrap());
    }

    pub(crate) fn count(&self, lane: &str) -> usize {
        self.logged.borrow().get(lane).copied().unwrap_or(0)
    }
}

#[async_trait::async_trait]
impl StreamHandler for Scribe {
    type Item = String;
    /// The logs as far as they are known: read once and kept.
    type Memory = HashMap<String, String>;

    fn memory(&self) -> Self::Memory {
        HashMap::new()
    }

    fn open(&self, entry: &Entry) -> Result<(String, String), String> {
        let text = String::from_utf8(entry.payload.clone()).map_err(|error| error.to_string())?;
        let lane = text.split_once(' ').ok_or("no lane")?.0.to_owned();
        Ok((lane, text))
    }

    async fn handle(
        &self,
        owned: &Owned,
        memory: &mut Self::Memory,
        _moment: Moment,
        batch: &[Delivery<String>],
    ) -> Result<Handled, StoreError> {
        assert!(!batch.iter().any(|delivery| Some(&delivery.item) == self.poison.as_ref()), "poison");
        let mut commit = Commit::new();
        for delivery in batch {
            let (lane, number) = delivery.item.split_once(' ').unwrap();
            if !memory.contains_key(lane) {
                memory.insert(lane.to_owned(), log(owned, lane).await);
            }
            let log = memory.get_mut(lane).unwrap();
            log.push_str(&format!(" {number}"));
            write(&mut commit, owned, lane, log);
        }
        self.read.send_modify(|read| *read += 1);
        self.gate.acquire().await.unwrap().forget();
        Ok(Handled { commit, parked: Vec::new() })
    }

    fn committed(&self, batch: &[Delivery<String>]) {
        self.logged.send_modify(|logged| {
            for delivery in batch {
                *logged.entry(delivery.item.split_once(' ').unwrap().0.to_owned()).or_default() += 1;
            }
        });
    }

    fn bury(&self, _: &Owned, _: Moment, _: &Entry, _: Reason, _: &str, _: u32) -> Commit {
        Commit::new()
    }
}

fn key(owned: &Owned, lane: &str) -> String {
    owned.keys.sending(owned.partition(), &UserId::try_new(lane).unwrap())
}

/// A lane's log as it stands.
pub(crate) async fn log(owned: &Owned, lane: &str) -> String {
    let mut command = redis::cmd("HGET");
    command.arg(key(owned, lane)).arg("log");
    let log: Option<String> = command.query_async(&mut owned.redis.clone()).await.unwrap();
    log.unwrap_or_default()
}

fn write(commit: &mut Commit, owned: &Owned, lane: &str, log: &str) {
    commit.set(&key(owned, lane), "log", log.as_bytes());
}

pub(crate) async fn ask(owned: &Owned, lane: &str, ttl: Duration) -> Take {
    let user = UserId::try_new(lane).unwrap();
    KeyLock::take(&owned.redis, &owned.keys, owned.partition(), owned.stage(), &user, "a test", ttl).await.unwrap()
}

/// Takes a lane's lock, however long that takes.
pub(crate) async fn take(owned: &Owned, lane: &str, ttl: Duration) -> KeyLock {
    loop {
        if let Take::Taken(lock) = ask(owned, lane, ttl).await {
            return lock;
        }
        tokio::task::yield_now().await;
    }
}

/// Adds a word to a lane's log from outside.
pub(crate) async fn add(lock: &KeyLock, word: &str) {
    let (owned, lane) = (lock.owned(), lock.user().as_str());
    let log = format!("{} {word}", log(owned, lane).await);
    let mut commit = Commit::new();
    write(&mut commit, owned, lane, &log);
    lock.commit(commit).await.unwrap();
}
