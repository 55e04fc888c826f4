//! Users under somebody's key lock: left alone, in order, and at nobody else's cost.

use std::{sync::Arc, time::Duration};

use event::EntryId;
use settings::LockMode;
use store::{Take, now_ms};
use tokio::sync::Semaphore;

use crate::{
    scribe::{LONG, Scribe, add, ask, log, take},
    stand::{Stand, numbers},
};

/// What a lane's log holds once so many entries are in it.
fn all(entries: usize) -> String {
    (0..entries).map(|number| format!(" {number}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_was_read_before_a_lock_was_taken_is_read_anew() {
    let (stand, mut scribe) = (Stand::new(LockMode::Partition).await, Scribe::new());
    scribe.gate = Arc::new(Semaphore::new(1));
    let owned = stand.own().await;
    stand.append(&owned, numbers("ada", 1)).await;
    stand
        .work_until(&scribe, &owned, async {
            scribe.logged("ada", 1).await;
            // The second batch has what the first left in memory, and waits with it.
            stand.append(&owned, ["ada 1".to_owned(), "bob 0".to_owned()].into_iter()).await;
            scribe.read.subscribe().wait_for(|&read| read == 2).await.unwrap();
            let lock = take(&owned, "ada", LONG).await;
            add(&lock, "outside").await;
            assert!(lock.release().await.unwrap());
            scribe.gate.add_permits(10);
            tokio::join!(scribe.logged("ada", 2), scribe.logged("bob", 1));
        })
        .await;
    assert_eq!(*scribe.read.borrow(), 3, "refused once");
    assert_eq!(log(&owned, "ada").await, " 0 outside 1");
    assert_eq!(log(&owned, "bob").await, all(1));
    assert_eq!(stand.left(&owned).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_in_hand_is_finished_before_somebody_gets_a_lock_of_it() {
    let (stand, mut scribe) = (Stand::new(LockMode::Key).await, Scribe::new());
    scribe.gate = Arc::new(Semaphore::new(0));
    let owned = stand.own().await;
    stand.append(&owned, numbers("ada", 2)).await;
    stand
        .work_until(&scribe, &owned, async {
            scribe.read.subscribe().wait_for(|&read| read == 1).await.unwrap();
            assert!(matches!(ask(&owned, "ada", LONG).await, Take::Busy { .. }));
            scribe.gate.add_permits(10);
            let lock = take(&owned, "ada", LONG).await;
            assert_eq!(log(&owned, "ada").await, all(2));
            add(&lock, "outside").await;
            stand.append(&owned, ["ada 2".to_owned()].into_iter()).await;
            assert!(lock.release().await.unwrap());
            scribe.logged("ada", 3).await;
        })
        .await;
    assert_eq!(*scribe.read.borrow(), 2);
    assert_eq!(log(&owned, "ada").await, " 0 1 outside 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_users_go_on_while_one_is_locked_and_the_locked_one_in_order_afterwards() {
    for stand in Stand::in_both_modes().await {
        let scribe = Scribe::new();
        let owned = stand.own().await;
        let lock = take(&owned, "ada", LONG).await;
        stand.append(&owned, numbers("ada", 300).chain(numbers("bob", 300))).await;
        stand
            .work_until(&scribe, &owned, async {
                scribe.logged("bob", 300).await;
                stand.append(&owned, numbers("cleo", 1)).await;
                scribe.logged("cleo", 1).await;
                assert_eq!(scribe.count("ada"), 0);
                add(&lock, "outside").await;
                assert_eq!(log(&owned, "ada").await, " outside");
                assert!(lock.release().await.unwrap());
                stand.append(&owned, (300..310).map(|number| format!("ada {number}"))).await;
                scribe.logged("ada", 310).await;
            })
            .await;
        assert_eq!(log(&owned, "ada").await, format!(" outside{}", all(310)));
        assert_eq!(log(&owned, "bob").await, all(300));
        assert_eq!(stand.left(&owned).await, (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_whose_holder_died_expires_and_its_lane_goes_on_in_order() {
    for stand in Stand::in_both_modes().await {
        let scribe = Scribe::new();
        let owned = stand.own().await;
        let ttl = Duration::from_millis(500);
        let taken_ms = now_ms(&owned.redis).await.unwrap();
        let dead = take(&owned, "ada", ttl).await;
        stand.append(&owned, numbers("ada", 200)).await;
        stand.work_until(&scribe, &owned, scribe.logged("ada", 200)).await;
        assert!(now_ms(&owned.redis).await.unwrap() >= taken_ms + 500);
        assert_eq!(log(&owned, "ada").await, all(200));
        assert!(!dead.release().await.unwrap());
        assert_eq!(stand.left(&owned).await, (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_owner_leaves_alone_whom_it_finds_locked_and_keeps_the_order() {
    for stand in Stand::in_both_modes().await {
        let scribe = Scribe::new();
        let past = stand.own().await;
        stand.append(&past, numbers("ada", 10).chain(numbers("bob", 2))).await;
        // The past owner is given some of them, has the users in hand, and dies.
        assert_eq!(past.read_after(EntryId { ms: 0, seq: 0 }, 4).await.unwrap().entries.len(), 4);
        past.hold(vec!["bob".to_owned()]).await.unwrap();
        let lock = take(&past, "ada", LONG).await;
        past.lease.release(&stand.redis).await.unwrap();

        let heir = stand.own().await;
        stand
            .work_until(&scribe, &heir, async {
                scribe.logged("bob", 2).await;
                assert_eq!(scribe.count("ada"), 0);
                add(&lock, "outside").await;
                assert!(lock.release().await.unwrap());
                scribe.logged("ada", 10).await;
            })
            .await;
        assert_eq!(log(&heir, "ada").await, format!(" outside{}", all(10)));
        assert_eq!(stand.left(&heir).await, (0, 0));
        assert!(matches!(ask(&heir, "bob", LONG).await, Take::Taken(_)), "nothing is left in hand");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_lane_keeps_its_order_beside_one_that_panics() {
    for stand in Stand::in_both_modes().await {
        let mut scribe = Scribe::new();
        scribe.poison = Some("bad 0".to_owned());
        let owned = stand.own().await;
        let lock = take(&owned, "ada", LONG).await;
        stand.append(&owned, numbers("ada", 20).chain(numbers("bad", 1)).chain(numbers("bob", 3))).await;
        stand
            .work_until(&scribe, &owned, async {
                scribe.logged("bob", 3).await;
                assert!(lock.release().await.unwrap());
                scribe.logged("ada", 20).await;
            })
            .await;
        assert_eq!(log(&owned, "ada").await, all(20));
        assert_eq!(log(&owned, "bob").await, all(3));
        assert_eq!(stand.left(&owned).await, (0, 0));
        assert!(matches!(ask(&owned, "bad", LONG).await, Take::Taken(_)), "what panicked is left in hand");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_owner_or_outsiders_is_lost_while_locks_come_and_go() {
    const ENTRIES: usize = 1000;
    const TIMES: usize = 30;
    let lanes = ["ada", "bob", "cleo"];
    for stand in Stand::in_both_modes().await {
        let scribe = Scribe::new();
        let owned = stand.own().await;
        stand.append(&owned, (0..ENTRIES).flat_map(|number| lanes.map(|lane| format!("{lane} {number}")))).await;
        let meddle = |lane: &'static str| {
            let owned = &owned;
            async move {
                for _ in 0..TIMES {
                    let lock = take(owned, lane, LONG).await;
                    add(&lock, "x").await;
                    assert!(lock.release().await.unwrap());
                }
            }
        };
        stand
            .work_until(&scribe, &owned, async {
                let logged = futures::future::join_all(lanes.map(|lane| scribe.logged(lane, ENTRIES)));
                tokio::join!(logged, meddle("ada"), meddle("bob"));
            })
            .await;
        for lane in lanes {
            let log = log(&owned, lane).await;
            let (outside, ours): (Vec<&str>, Vec<&str>) = log.split_whitespace().partition(|word| *word == "x");
            assert_eq!(outside.len(), if lane == "cleo" { 0 } else { TIMES }, "{lane}");
            let expected: Vec<String> = (0..ENTRIES).map(|number| number.to_string()).collect();
            assert_eq!(ours, expected, "{lane}");
        }
        assert_eq!(stand.left(&owned).await, (0, 0));
    }
}
