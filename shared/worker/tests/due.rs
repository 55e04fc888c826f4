//! What a schedule says, on a real Redis, beside key locks: turns are finished, and none begins under a lock.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use event::{PartitionCount, UserId};
use store::{Commit, KeyLock, Keys, Lease, Owned, Redis, Stage, StoreError, Take};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use worker::{
    Ticket, Tickets,
    due::{self, DueHandler},
};

/// Longer than any test.
const LONG: Duration = Duration::from_secs(50);

/// Counts turns in Redis, by reading and setting, with something slow in between.
struct Slow {
    begun: watch::Sender<HashMap<String, usize>>,
    ended: watch::Sender<HashMap<String, usize>>,
    /// Users whose turns take a permit each before they end.
    gates: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Slow {
    fn new() -> Arc<Self> {
        let (begun, ended) = (watch::Sender::new(HashMap::new()), watch::Sender::new(HashMap::new()));
        Arc::new(Self { begun, ended, gates: Mutex::default() })
    }

    fn gate(&self, user: &str) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        self.gates.lock().unwrap().insert(user.to_owned(), Arc::clone(&gate));
        gate
    }
}

#[async_trait::async_trait]
impl DueHandler for Slow {
    fn zset(&self, owned: &Owned) -> String {
        owned.keys.due(owned.partition())
    }

    async fn handle(&self, owned: &Owned, key: &str, ticket: Option<&Ticket>) -> Result<(), StoreError> {
        if key.starts_with("payer") {
            ticket.map(Ticket::spend);
        }
        let turns = turns(owned, key).await;
        self.begun.send_modify(|begun| *begun.entry(key.to_owned()).or_default() += 1);
        let gate = self.gates.lock().unwrap().get(key).cloned();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        let mut commit = set(owned, key, turns + 1);
        commit.due_in(&self.zset(owned), key, Duration::from_millis(5));
        owned.commit(commit).await?;
        self.ended.send_modify(|ended| *ended.entry(key.to_owned()).or_default() += 1);
        Ok(())
    }
}

fn place(owned: &Owned, user: &str) -> String {
    owned.keys.sending(owned.partition(), &UserId::try_new(user).unwrap())
}

async fn turns(owned: &Owned, user: &str) -> usize {
    let mut command = redis::cmd("HGET");
    command.arg(place(owned, user)).arg("turns");
    let turns: Option<usize> = command.query_async(&mut owned.redis.clone()).await.unwrap();
    turns.unwrap_or(0)
}

fn set(owned: &Owned, user: &str, turns: usize) -> Commit {
    let mut commit = Commit::new();
    commit.set(&place(owned, user), "turns", turns.to_string().as_bytes());
    commit
}

async fn ask(owned: &Owned, user: &str) -> Take {
    let user = UserId::try_new(user).unwrap();
    KeyLock::take(&owned.redis, &owned.keys, owned.partition(), owned.stage(), &user, "a test", LONG).await.unwrap()
}

async fn take(owned: &Owned, user: &str) -> KeyLock {
    loop {
        if let Take::Taken(lock) = ask(owned, user).await {
            return lock;
        }
        tokio::task::yield_now().await;
    }
}

async fn reaches(counts: &watch::Sender<HashMap<String, usize>>, user: &str, count: usize) {
    let mut counts = counts.subscribe();
    drop(counts.wait_for(|counts| counts.get(user).is_some_and(|&turns| turns >= count)).await.unwrap());
}

async fn own() -> Owned {
    let url = [("TRIBUTARY_REDIS_URL".to_owned(), testkit::redis().url())];
    let redis = Redis::connect(&settings::Settings::load(url, &[], None).unwrap().redis_url).await.unwrap();
    let keys = Arc::new(Keys::with_prefix(&testkit::unique_prefix()));
    let partition = PartitionCount::try_new(1).unwrap().get_partition(0).unwrap();
    let lease = Lease::acquire(&redis, &keys, Stage::Write, partition, "us").await.unwrap().unwrap();
    Owned { redis, keys, lease }
}

async fn make_due(slow: &Slow, owned: &Owned, users: &[&str]) {
    let mut commit = Commit::new();
    users.iter().for_each(|user| commit.due_in(&slow.zset(owned), user, Duration::ZERO));
    owned.commit(commit).await.unwrap();
}

fn start(
    slow: &Arc<Slow>,
    owned: &Owned,
    in_hand: usize,
    drain: &CancellationToken,
) -> impl Future<Output = Result<(), StoreError>> {
    start_with(slow, owned, in_hand, None, drain)
}

fn start_with(
    slow: &Arc<Slow>,
    owned: &Owned,
    in_hand: usize,
    tickets: Option<Tickets>,
    drain: &CancellationToken,
) -> impl Future<Output = Result<(), StoreError>> {
    let in_hand = Arc::new(Semaphore::new(in_hand));
    let pace = due::Pace { bell: None, look_every: Duration::from_millis(5), in_hand, tickets };
    let handler: Arc<dyn DueHandler> = Arc::clone(slow) as Arc<dyn DueHandler>;
    due::work(handler, owned.clone(), pace, drain.clone())
}

/// Works the schedule of these users until something happened, then drains.
async fn work(slow: &Arc<Slow>, owned: &Owned, users: &[&str], in_hand: usize, happened: impl Future<Output = ()>) {
    make_due(slow, owned, users).await;
    let drain = CancellationToken::new();
    let work = start(slow, owned, in_hand, &drain);
    let finish = async {
        tokio::time::timeout(Duration::from_secs(20), happened).await.expect("it stalled");
        drain.cancel();
    };
    let (worked, ()) = tokio::join!(work, finish);
    worked.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_under_way_is_stored_before_somebody_gets_the_lock_and_none_begins_under_it() {
    let (owned, slow) = (own().await, Slow::new());
    let gate = slow.gate("ada");
    work(&slow, &owned, &["ada", "bob"], 8, async {
        reaches(&slow.begun, "ada", 1).await;
        assert!(matches!(ask(&owned, "ada").await, Take::Busy { .. }));
        gate.add_permits(1);
        let lock = take(&owned, "ada").await;
        assert_eq!(turns(&owned, "ada").await, 1, "the turn's outcome is stored");
        lock.commit(set(&owned, "ada", 10)).await.unwrap();
        // Somebody else has many turns meanwhile.
        let bobs = slow.ended.borrow().get("bob").copied().unwrap_or(0);
        reaches(&slow.ended, "bob", bobs + 20).await;
        assert_eq!(slow.begun.borrow()["ada"], 1);
        gate.add_permits(100);
        assert!(lock.release().await.unwrap());
        reaches(&slow.ended, "ada", 3).await;
    })
    .await;
    assert_eq!(turns(&owned, "ada").await, 9 + slow.ended.borrow()["ada"]);
    assert_eq!(turns(&owned, "bob").await, slow.ended.borrow()["bob"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_refuses_nothing_of_a_turn_of_somebody_else() {
    let (owned, slow) = (own().await, Slow::new());
    let gate = slow.gate("ada");
    work(&slow, &owned, &["ada"], 8, async {
        reaches(&slow.begun, "ada", 1).await;
        let lock = take(&owned, "bob").await;
        gate.add_permits(1);
        reaches(&slow.ended, "ada", 1).await;
        gate.add_permits(100);
        assert!(lock.release().await.unwrap());
    })
    .await;
    assert_eq!(turns(&owned, "ada").await, slow.ended.borrow()["ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_in_hand_by_a_drained_owner_or_a_full_house() {
    let (owned, slow) = (own().await, Slow::new());
    let gate = slow.gate("ada");
    // One at a time: the other is due, and not begun.
    work(&slow, &owned, &["ada", "bob"], 1, async {
        reaches(&slow.begun, "ada", 1).await;
        let lock = take(&owned, "bob").await;
        assert!(lock.release().await.unwrap());
        gate.add_permits(100);
        reaches(&slow.ended, "bob", 1).await;
    })
    .await;
    for user in ["ada", "bob"] {
        assert!(matches!(ask(&owned, user).await, Take::Taken(_)), "{user} is in hand");
        assert_eq!(turns(&owned, user).await, slow.ended.borrow()[user]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_turns_or_outsiders_is_lost_while_locks_come_and_go() {
    let (owned, slow) = (own().await, Slow::new());
    const TIMES: usize = 50;
    work(&slow, &owned, &["ada", "bob"], 8, async {
        for user in ["ada", "bob"].repeat(TIMES) {
            let lock = take(&owned, user).await;
            lock.commit(set(&owned, user, turns(&owned, user).await + 1)).await.unwrap();
            assert!(lock.release().await.unwrap());
        }
        reaches(&slow.ended, "ada", 3).await;
    })
    .await;
    for user in ["ada", "bob"] {
        assert_eq!(turns(&owned, user).await, TIMES + slow.ended.borrow()[user]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_turn_that_outlasted_its_time_is_refused_once_somebody_had_the_lock_and_comes_again() {
    let (owned, slow) = (own().await, Slow::new());
    let gate = slow.gate("ada");
    work(&slow, &owned, &["ada"], 8, async {
        reaches(&slow.begun, "ada", 1).await;
        // As if the turn had taken too long: nothing is in hand.
        let mut command = redis::cmd("DEL");
        command.arg(owned.keys.hand(owned.partition(), owned.stage()));
        let () = command.query_async(&mut owned.redis.clone()).await.unwrap();
        let lock = take(&owned, "ada").await;
        lock.commit(set(&owned, "ada", 10)).await.unwrap();
        gate.add_permits(100);
        assert!(lock.release().await.unwrap());
        reaches(&slow.ended, "ada", 1).await;
    })
    .await;
    assert!(slow.begun.borrow()["ada"] > slow.ended.borrow()["ada"], "nothing was refused");
    assert_eq!(turns(&owned, "ada").await, 10 + slow.ended.borrow()["ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_begins_again_begins_what_was_in_hand_again() {
    let (owned, slow) = (own().await, Slow::new());
    let gate = slow.gate("ada");
    make_due(&slow, &owned, &["ada"]).await;
    let drain = CancellationToken::new();
    // Dropped with the turn in hand, as after an error of Redis.
    tokio::select! {
        _ = start(&slow, &owned, 8, &drain) => panic!("it ended by itself"),
        () = reaches(&slow.begun, "ada", 1) => {}
    }
    gate.add_permits(100);
    work(&slow, &owned, &[], 8, reaches(&slow.ended, "ada", 1)).await;
    assert_eq!(turns(&owned, "ada").await, slow.ended.borrow()["ada"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_turn_begins_without_a_ticket_and_one_that_paid_for_nothing_gives_it_back() {
    let (owned, slow, tickets) = (own().await, Slow::new(), Tickets::new(1));
    let payers = ["payer1", "payer2", "payer3"];
    let begun = |slow: &Slow| payers.iter().filter(|payer| slow.begun.borrow().contains_key(**payer)).count();
    let drain = CancellationToken::new();
    let work = start_with(&slow, &owned, 8, Some(tickets.clone()), &drain);
    let happens = async {
        make_due(&slow, &owned, &["idle"]).await;
        reaches(&slow.ended, "idle", 5).await;
        make_due(&slow, &owned, &payers).await;
        for paid in 1..=2 {
            while begun(&slow) < paid {
                tokio::task::yield_now().await;
            }
            assert_eq!((begun(&slow), tickets.left()), (paid, 0));
            tickets.issue();
        }
        drain.cancel();
    };
    let both = async { tokio::join!(work, happens) };
    let (worked, ()) = tokio::time::timeout(Duration::from_secs(20), both).await.expect("it stalled");
    worked.unwrap();
}
