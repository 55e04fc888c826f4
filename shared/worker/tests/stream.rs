//! What a stream brings, on a real Redis: order, turns, overflow, parking, crashes and take-over.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use event::{EntryId, PartitionCount, Reason};
use store::{Bell, Commit, Entry, Keys, Lease, Owned, Redis, Stage, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use worker::stream::{self, Delivery, Handled, Moment, Park, StreamHandler};

/// Entries are `lane number`; handling one writes its number down behind its lane.
struct Recorder {
    handled: Arc<Mutex<HashMap<String, Vec<usize>>>>,
    buried: Arc<Mutex<Vec<(String, Reason)>>>,
    /// An entry that panics whenever it is handled.
    poison: Option<String>,
    /// A lane that must wait, and how often yet.
    parked: Option<(String, AtomicUsize)>,
    progress: watch::Sender<usize>,
}

impl Recorder {
    fn new() -> Self {
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

struct Stand {
    redis: Redis,
    keys: Arc<Keys>,
    bell: Bell,
    stop: CancellationToken,
}

const PARTITIONS: u16 = 1;

impl Stand {
    async fn new() -> Self {
        let url = testkit::redis().url().to_owned();
        let settings = settings::Settings::load([("TRIBUTARY_REDIS_URL".to_owned(), url)], &[], None).unwrap();
        let redis = Redis::connect(&settings.redis_url).await.unwrap();
        let keys = Arc::new(Keys::with_prefix(&testkit::unique_prefix()));
        let stop = CancellationToken::new();
        let count = PartitionCount::try_new(PARTITIONS).unwrap();
        let bell = Bell::listen(&redis, &keys, Stage::Normalise, count, stop.clone());
        Self { redis, keys, bell, stop }
    }

    async fn own(&self) -> Owned {
        let partition = PartitionCount::try_new(PARTITIONS).unwrap().get_partition(0).unwrap();
        let lease = Lease::acquire(&self.redis, &self.keys, Stage::Normalise, partition, "us").await.unwrap();
        let owned = Owned { redis: self.redis.clone(), keys: Arc::clone(&self.keys), lease: lease.unwrap() };
        owned.open_stream().await.unwrap();
        owned
    }

    async fn append(&self, owned: &Owned, entries: impl Iterator<Item = String>) {
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
    async fn work(&self, handler: &Recorder, owned: &Owned, entries: usize) {
        let drain = CancellationToken::new();
        let mut progress = handler.progress.subscribe();
        let pace = stream::Pace { bell: self.bell.clone() };
        let work = stream::work(handler, owned.clone(), pace, drain.clone());
        let finish = async {
            let enough = progress.wait_for(|&done| done >= entries);
            tokio::time::timeout(Duration::from_secs(20), enough).await.expect("it stalled").unwrap();
            drain.cancel();
        };
        let (worked, ()) = tokio::join!(work, finish);
        worked.unwrap();
    }

    async fn left(&self, owned: &Owned) -> (u64, usize) {
        (owned.raw_waiting().await.unwrap(), owned.overflowing_lanes().await.unwrap().len())
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn numbers(lane: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |number| format!("{lane} {number}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_lane_keeps_its_order_and_lets_others_pass() {
    let (stand, handler) = (Stand::new().await, Recorder::new());
    let owned = stand.own().await;
    stand.append(&owned, numbers("hot", 1500)).await;
    stand.append(&owned, numbers("quiet", 3)).await;
    stand.append(&owned, numbers("hot", 500).map(|entry| entry.replace("hot ", "hot 1"))).await;
    stand.work(&handler, &owned, 2003).await;

    let handled = handler.handled.lock().unwrap().clone();
    let expected: Vec<usize> = (0..1500).chain((0..500).map(|number| format!("1{number}").parse().unwrap())).collect();
    assert_eq!(handled["hot"], expected);
    assert_eq!(handled["quiet"], [0, 1, 2]);
    assert_eq!(stand.left(&owned).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_panics_three_times_is_set_aside_and_its_neighbours_go_on() {
    let (stand, mut handler) = (Stand::new().await, Recorder::new());
    handler.poison = Some("b 1".to_owned());
    let owned = stand.own().await;
    stand.append(&owned, numbers("a", 5).chain(numbers("b", 4)).chain(["unreadable".to_owned()])).await;
    stand.work(&handler, &owned, 10).await;

    let handled = handler.handled.lock().unwrap().clone();
    assert_eq!(handled["a"], [0, 1, 2, 3, 4]);
    assert_eq!(handled["b"], [0, 2, 3]);
    let mut buried = handler.buried.lock().unwrap().clone();
    buried.sort();
    assert_eq!(buried, [("b 1".to_owned(), Reason::Poison), ("unreadable".to_owned(), Reason::Malformed)]);
    assert_eq!(stand.left(&owned).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_must_wait_waits_alone_and_goes_on_in_order() {
    let (stand, mut handler) = (Stand::new().await, Recorder::new());
    handler.parked = Some(("slow".to_owned(), AtomicUsize::new(2)));
    let owned = stand.own().await;
    stand.append(&owned, numbers("slow", 200).chain(numbers("other", 3))).await;
    stand.work(&handler, &owned, 203).await;

    let handled = handler.handled.lock().unwrap().clone();
    assert_eq!(handled["slow"], (0..200).collect::<Vec<_>>());
    assert_eq!(handled["other"], [0, 1, 2]);
    assert_eq!(stand.left(&owned).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_finishes_what_the_last_one_was_given_before_anything_new() {
    let stand = Stand::new().await;
    let past = stand.own().await;
    stand.append(&past, numbers("a", 10)).await;
    // The past owner is given four entries and dies with them.
    assert_eq!(past.read_new(4).await.unwrap().entries.len(), 4);
    past.lease.release(&stand.redis).await.unwrap();

    let (heir, handler) = (stand.own().await, Recorder::new());
    stand.work(&handler, &heir, 10).await;
    assert_eq!(handler.handled.lock().unwrap()["a"], (0..10).collect::<Vec<_>>());
    assert_eq!(stand.left(&heir).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_crashed_three_owners_is_set_aside_by_the_fourth() {
    let stand = Stand::new().await;
    let mut owner = stand.own().await;
    stand.append(&owner, numbers("a", 2)).await;
    owner.read_new(1).await.unwrap();
    let first = EntryId { ms: 0, seq: 0 };
    for _crash in 0..2 {
        owner.lease.release(&stand.redis).await.unwrap();
        owner = stand.own().await;
        // Counted before it is begun; then the process is gone.
        let pending = owner.read_pending(first, 10).await.unwrap().entries;
        owner.count_delivery(pending[0].id).await.unwrap();
    }
    owner.lease.release(&stand.redis).await.unwrap();
    let (fourth, handler) = (stand.own().await, Recorder::new());
    stand.work(&handler, &fourth, 2).await;
    assert_eq!(handler.buried.lock().unwrap()[..], [("a 0".to_owned(), Reason::Poison)]);
    assert_eq!(handler.handled.lock().unwrap()["a"], [1]);
}
