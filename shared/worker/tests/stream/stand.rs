//! A partition's stream on a real Redis, and a handler that writes down what it handled.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use event::{PartitionCount, Reason};
use settings::LockMode;
use store::{Bell, Commit, Entry, Keys, Lease, Owned, Redis, Stage, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use worker::stream::{self, Delivery, Handled, Moment, Park, StreamHandler};

/// Entries are `lane number`; handling one writes its number down behind its lane.
pub(crate) struct Recorder {
    pub(crate) handled: Arc<Mutex<HashMap<String, Vec<usize>>>>,
    pub(crate) buried: Arc<Mutex<Vec<(String, Reason)>>>,
    /// An entry that panics whenever it is handled.
    pub(crate) poison: Option<String>,
    /// A lane that must wait, and how often yet.
    pub(crate) parked: Option<(String, AtomicUsize)>,
    pub(crate) progress: watch::Sender<usize>,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self {
            handled: Arc::default(),
            buried: Arc::default(),
            poison: None,
            parked: None,
            progress: watch::Sender::new(0),
        }
    }
}

#[async_trait::async_trait]
impl StreamHandler for Recorder {
    type Item = String;
    type Memory = ();

    fn memory(&self) {}

    fn open(&self, entry: &Entry) -> Result<(String, String), String> {
        let text = String::from_utf8(entry.payload.clone()).map_err(|error| error.to_string())?;
        let lane = text.split_once(' ').ok_or("no lane")?.0.to_owned();
        Ok((lane, text))
    }

    async fn handle(
        &self,
        _owned: &Owned,
        (): &mut (),
        _moment: Moment,
        batch: &[Delivery<String>],
    ) -> Result<Handled, StoreError> {
        assert!(!batch.iter().any(|delivery| Some(&delivery.item) == self.poison.as_ref()), "poison");
        let mut parked = Vec::new();
        let mut done = 0;
        for delivery in batch {
            let (lane, number) = delivery.item.split_once(' ').unwrap();
            if let Some((waits, times)) = self.parked.as_ref().filter(|(waits, _)| waits == lane) {
                let left = times.load(Ordering::SeqCst);
                if left > 0 {
                    if parked.is_empty() {
                        times.store(left - 1, Ordering::SeqCst);
                        parked.push((waits.clone(), Park { class: "limited", delay: Duration::from_millis(200) }));
                    }
                    continue;
                }
                if !parked.is_empty() {
                    continue;
                }
            }
            self.handled.lock().unwrap().entry(lane.to_owned()).or_default().push(number.parse().unwrap());
            done += 1;
        }
        self.progress.send_modify(|progress| *progress += done);
        Ok(Handled { commit: Commit::new(), parked })
    }

    fn bury(&self, _: &Owned, _: Moment, entry: &Entry, cause: Reason, _: &str, _: u32) -> Commit {
        self.buried.lock().unwrap().push((String::from_utf8_lossy(&entry.payload).into_owned(), cause));
        self.progress.send_modify(|progress| *progress += 1);
        Commit::new()
    }
}

pub(crate) struct Stand {
    pub(crate) redis: Redis,
    pub(crate) keys: Arc<Keys>,
    pub(crate) bell: Bell,
    pub(crate) stop: CancellationToken,
    pub(crate) lock_mode: LockMode,
}

const PARTITIONS: u16 = 1;

impl Stand {
    /// One for each way to serialise what happens to one user.
    pub(crate) async fn in_both_modes() -> [Self; 2] {
        [Self::new(LockMode::Partition).await, Self::new(LockMode::Key).await]
    }

    pub(crate) async fn new(lock_mode: LockMode) -> Self {
        let url = testkit::redis().url().to_owned();
        let settings = settings::Settings::load([("TRIBUTARY_REDIS_URL".to_owned(), url)], &[], None).unwrap();
        let redis = Redis::connect(&settings.redis_url).await.unwrap();
        let keys = Arc::new(Keys::with_prefix(&testkit::unique_prefix()));
        let stop = CancellationToken::new();
        let count = PartitionCount::try_new(PARTITIONS).unwrap();
        let bell = Bell::listen(&redis, &keys, Stage::Normalise, count, stop.clone());
        Self { redis, keys, bell, stop, lock_mode }
    }

    pub(crate) async fn own(&self) -> Owned {
        let partition = PartitionCount::try_new(PARTITIONS).unwrap().get_partition(0).unwrap();
        let lease = Lease::acquire(&self.redis, &self.keys, Stage::Normalise, partition, "us").await.unwrap();
        let owned = Owned { redis: self.redis.clone(), keys: Arc::clone(&self.keys), lease: lease.unwrap() };
        owned.open_stream().await.unwrap();
        owned
    }

    pub(crate) async fn append(&self, owned: &Owned, entries: impl Iterator<Item = String>) {
        let mut commit = Commit::new();
        let stream = self.keys.raw(owned.partition());
        let mut added = 0;
        for entry in entries {
            commit.append(&stream, entry.as_bytes());
            added += 1;
        }
        owned.ring(&mut commit, Stage::Normalise, added);
        owned.commit(commit).await.unwrap();
    }

    /// Works until so many entries were handled or buried, then drains.
    pub(crate) async fn work(&self, handler: &Recorder, owned: &Owned, entries: usize) {
        let mut progress = handler.progress.subscribe();
        let enough = async move { drop(progress.wait_for(|&done| done >= entries).await.unwrap()) };
        self.work_until(handler, owned, enough).await;
    }

    /// Works until something happened, then drains.
    pub(crate) async fn work_until<H: StreamHandler>(
        &self,
        handler: &H,
        owned: &Owned,
        happened: impl Future<Output = ()>,
    ) {
        let drain = CancellationToken::new();
        let pace = stream::Pace { bell: self.bell.clone(), lock_mode: self.lock_mode };
        let work = stream::work(handler, owned.clone(), pace, drain.clone());
        let finish = async {
            tokio::time::timeout(Duration::from_secs(20), happened).await.expect("it stalled");
            drain.cancel();
        };
        let (worked, ()) = tokio::join!(work, finish);
        worked.unwrap();
    }

    pub(crate) async fn left(&self, owned: &Owned) -> (u64, usize) {
        (owned.raw_waiting().await.unwrap(), owned.overflowing_lanes().await.unwrap().len())
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn numbers(lane: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |number| format!("{lane} {number}"))
}
