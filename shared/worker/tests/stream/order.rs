//! Order, turns, overflow, parking, crashes and take-over, however what happens to one user is serialised.

use std::sync::{Mutex, atomic::AtomicUsize};

use event::{EntryId, Reason};
use settings::LockMode;
use store::{Commit, Entry, Owned, StoreError};
use tokio::sync::watch;
use worker::stream::{Delivery, Handled, Moment, StreamHandler};

use crate::stand::{Recorder, Stand, numbers};

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_one_lane_keeps_its_order_and_lets_others_pass() {
    for stand in Stand::in_both_modes().await {
        let handler = Recorder::new();
        let owned = stand.own().await;
        stand.append(&owned, numbers("hot", 1500)).await;
        stand.append(&owned, numbers("quiet", 3)).await;
        stand.append(&owned, numbers("hot", 500).map(|entry| entry.replace("hot ", "hot 1"))).await;
        stand.work(&handler, &owned, 2003).await;

        let handled = handler.handled.lock().unwrap().clone();
        let expected: Vec<usize> =
            (0..1500).chain((0..500).map(|number| format!("1{number}").parse().unwrap())).collect();
        assert_eq!(handled["hot"], expected);
        assert_eq!(handled["quiet"], [0, 1, 2]);
        assert_eq!(stand.left(&owned).await, (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_panics_three_times_is_set_aside_and_its_neighbours_go_on() {
    for stand in Stand::in_both_modes().await {
        let mut handler = Recorder::new();
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
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_must_wait_waits_alone_and_goes_on_in_order() {
    for stand in Stand::in_both_modes().await {
        let mut handler = Recorder::new();
        handler.parked = Some(("slow".to_owned(), AtomicUsize::new(2)));
        let owned = stand.own().await;
        stand.append(&owned, numbers("slow", 200).chain(numbers("other", 3))).await;
        stand.work(&handler, &owned, 203).await;

        let handled = handler.handled.lock().unwrap().clone();
        assert_eq!(handled["slow"], (0..200).collect::<Vec<_>>());
        assert_eq!(handled["other"], [0, 1, 2]);
        assert_eq!(stand.left(&owned).await, (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_finishes_what_the_last_one_was_given_before_anything_new() {
    for stand in Stand::in_both_modes().await {
        let past = stand.own().await;
        stand.append(&past, numbers("a", 10)).await;
        // The past owner is given four entries and dies with them.
        assert_eq!(past.read_after(EntryId { ms: 0, seq: 0 }, 4).await.unwrap().entries.len(), 4);
        past.lease.release(&stand.redis).await.unwrap();

        let (heir, handler) = (stand.own().await, Recorder::new());
        stand.work(&handler, &heir, 10).await;
        assert_eq!(handler.handled.lock().unwrap()["a"], (0..10).collect::<Vec<_>>());
        assert_eq!(stand.left(&heir).await, (0, 0));
    }
}

/// Notes of each entry how many of its deliveries were counted before it was begun.
struct Counts(Mutex<Vec<Option<u32>>>, watch::Sender<usize>);

#[async_trait::async_trait]
impl StreamHandler for Counts {
    type Item = String;
    type Memory = ();

    fn memory(&self) {}

    fn open(&self, entry: &Entry) -> Result<(String, String), String> {
        Recorder::new().open(entry)
    }

    async fn handle(
        &self,
        owned: &Owned,
        (): &mut (),
        _: Moment,
        batch: &[Delivery<String>],
    ) -> Result<Handled, StoreError> {
        for delivery in batch {
            let mut get = redis::cmd("HGET");
            get.arg(owned.keys.crashes(owned.partition(), owned.stage())).arg(delivery.id.to_string());
            let counted = get.query_async(&mut owned.redis.clone()).await.unwrap();
            self.0.lock().unwrap().push(counted);
        }
        self.1.send_modify(|handled| *handled += batch.len());
        Ok(Handled { commit: Commit::new(), parked: Vec::new() })
    }

    fn bury(&self, _: &Owned, _: Moment, _: &Entry, _: Reason, _: &str, _: u32) -> Commit {
        Commit::new()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_owner_may_have_had_in_hand_is_counted_before_it_is_begun() {
    for (died, counted) in [(true, Some(1)), (false, None)] {
        let stand = Stand::new(LockMode::Partition).await;
        let past = stand.own().await;
        stand.append(&past, numbers("a", 3)).await;
        past.lease.release(&stand.redis).await.unwrap();
        if died {
            let key = stand.keys.lease(past.partition(), past.stage());
            let mut left = redis::cmd("HSET");
            left.arg(key).arg(&[("owner", "past"), ("until", "0")]);
            left.query_async::<()>(&mut stand.redis.clone()).await.unwrap();
        }
        let (heir, handler) = (stand.own().await, Counts(Mutex::default(), watch::Sender::new(0)));
        let mut handled = handler.1.subscribe();
        let all = async move { drop(handled.wait_for(|&handled| handled == 3).await.unwrap()) };
        stand.work_until(&handler, &heir, all).await;
        assert_eq!(handler.0.lock().unwrap()[..], [counted; 3]);
        assert!(!heir.counts_deliveries().await.unwrap(), "what is settled is not counted any more");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_counted_deliveries_crashed_three_owners_is_set_aside_by_the_next() {
    for stand in Stand::in_both_modes().await {
        let mut owner = stand.own().await;
        stand.append(&owner, numbers("a", 2)).await;
        let first = EntryId { ms: 0, seq: 0 };
        for _crash in 0..3 {
            owner.lease.release(&stand.redis).await.unwrap();
            owner = stand.own().await;
            // Counted before it is begun; then the process is gone.
            let pending = owner.read_after(first, 10).await.unwrap().entries;
            owner.count_delivery(pending[0].id).await.unwrap();
        }
        owner.lease.release(&stand.redis).await.unwrap();
        let (next, handler) = (stand.own().await, Recorder::new());
        stand.work(&handler, &next, 2).await;
        assert_eq!(handler.buried.lock().unwrap()[..], [("a 0".to_owned(), Reason::Poison)]);
        assert_eq!(handler.handled.lock().unwrap()["a"], [1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_that_must_wait_keeps_its_order_beside_one_that_panics() {
    for stand in Stand::in_both_modes().await {
        let mut handler = Recorder::new();
        handler.poison = Some("bad 0".to_owned());
        handler.parked = Some(("slow".to_owned(), AtomicUsize::new(1)));
        let owned = stand.own().await;
        let entries = numbers("bad", 2).chain(numbers("slow", 20)).chain(numbers("other", 3));
        stand.append(&owned, entries).await;
        stand.work(&handler, &owned, 25).await;

        let handled = handler.handled.lock().unwrap().clone();
        assert_eq!(handled["slow"], (0..20).collect::<Vec<_>>());
        assert_eq!((&handled["bad"][..], &handled["other"][..]), (&[1][..], &[0, 1, 2][..]));
        assert_eq!(stand.left(&owned).await, (0, 0));
    }
}
