//! The owner: what it read too early is refused, what it has in hand makes others wait.

use std::time::Duration;

use store::{Commit, Stage, StoreError, Take};

use crate::stand::{LONG, Stand, is_locked, partition, user};

#[tokio::test]
async fn what_the_owner_read_before_a_lock_was_taken_is_refused_even_after_it_was_released() {
    let (stand, ada) = (Stand::new(Stage::Write).await, user("ada"));
    let seen = stand.owned.key_locks().await.unwrap().taken;
    let read = stand.number(&ada).await;
    let lock = stand.take(&ada).await;
    lock.commit(stand.set(&ada, 10)).await.unwrap();
    assert!(lock.release().await.unwrap());

    assert!(is_locked(stand.owned.unless_locked_since(seen).commit(stand.set(&ada, read + 1)).await));
    assert_eq!(stand.number(&ada).await, 10);
    let seen = stand.owned.key_locks().await.unwrap();
    assert!(seen.users.is_empty());
    stand.owned.unless_locked_since(seen.taken).commit(stand.set(&ada, 11)).await.unwrap();
    assert_eq!(stand.number(&ada).await, 11);
}

#[tokio::test]
async fn the_owner_learns_who_is_locked_and_for_how_long() {
    let (stand, ada) = (Stand::new(Stage::Write).await, user("ada"));
    let before = stand.owned.commit(Commit::new()).await.unwrap().locks_taken;
    let lock = stand.take(&ada).await;
    let after = stand.owned.commit(Commit::new()).await.unwrap().locks_taken;
    assert!(before < after && after == lock.token());
    let locks = stand.owned.key_locks().await.unwrap();
    assert_eq!((locks.taken, locks.users.len()), (after, 1));
    assert!(locks.users[0].0 == "ada" && locks.users[0].1 <= LONG);
    assert!(lock.release().await.unwrap());
    let locks = stand.owned.key_locks().await.unwrap();
    assert_eq!((locks.taken, locks.users.len()), (after, 0));
}

#[tokio::test]
async fn a_turn_under_way_stores_its_outcome_and_whoever_waited_is_next() {
    let (stand, ada) = (Stand::new(Stage::Write).await, user("ada"));
    stand.make_due(&["ada", "bob"]).await;
    let due = stand.owned.due(&stand.schedule(), 10, &[]).await.unwrap();
    assert_eq!(due.members, ["ada", "bob"]);
    let turn = stand.owned.for_turn(&due.hand, "ada");
    turn.commit(stand.set(&ada, 1)).await.unwrap();
    assert!(matches!(stand.ask(&ada, "us", LONG).await, Take::Busy { .. }));
    // The answer of a request comes, and is stored.
    turn.commit(stand.set(&ada, 2)).await.unwrap();

    // Both turns end, and both are due again; only bob's begins, because somebody asked for ada.
    let ended = ["ada".to_owned(), "bob".to_owned()];
    let due = stand.owned.due(&stand.schedule(), 10, &ended).await.unwrap();
    assert_eq!(due.members, ["bob"]);
    let lock = stand.take(&ada).await;
    assert!(is_locked(turn.commit(stand.set(&ada, 3)).await), "a turn that is over went on");
    lock.commit(stand.set(&ada, 4)).await.unwrap();
    // Looked at again soon, and never begun while it is locked.
    stand.outlast(Duration::from_millis(200)).await;
    let due = stand.owned.due(&stand.schedule(), 10, &[]).await.unwrap();
    assert!(due.members.is_empty() && due.next_in_ms.is_some_and(|next| next <= 200), "{due:?}");
    assert!(lock.release().await.unwrap());
    stand.outlast(Duration::from_millis(200)).await;
    let due = stand.owned.due(&stand.schedule(), 10, &[]).await.unwrap();
    assert_eq!(due.members, ["ada"]);
    assert_eq!(stand.number(&ada).await, 4);
}

#[tokio::test]
async fn a_turn_that_outlasted_its_time_goes_on_unless_somebody_took_the_lock() {
    let (stand, ada) = (Stand::new(Stage::Write).await, user("ada"));
    stand.make_due(&["ada"]).await;
    let due = stand.owned.due(&stand.schedule(), 10, &[]).await.unwrap();
    let turn = stand.owned.for_turn(&due.hand, "ada");
    // As if it had begun long ago.
    let hand = stand.owned.keys.hand(partition(), Stage::Write);
    let mut redis = stand.owned.redis.clone();
    let mark: String = redis::cmd("HGET").arg(&hand).arg("t:ada").query_async(&mut redis).await.unwrap();
    let expired = format!("{} 1", mark.split_once(' ').unwrap().0);
    let () = redis::cmd("HSET").arg(&hand).arg("t:ada").arg(expired).query_async(&mut redis).await.unwrap();

    turn.commit(stand.set(&ada, 1)).await.unwrap();
    assert!(stand.owned.due(&stand.schedule(), 10, &[]).await.unwrap().members.is_empty(), "begun twice");
    let lock = stand.take(&ada).await;
    assert!(is_locked(turn.commit(stand.set(&ada, 2)).await));
    assert!(lock.release().await.unwrap());
    assert!(is_locked(turn.commit(stand.set(&ada, 2)).await), "the lock was given back, but it was taken");
}

#[tokio::test]
async fn turns_of_a_dead_owner_keep_nobody_waiting_once_there_is_a_new_one() {
    let (stand, ada) = (Stand::new(Stage::Write).await, user("ada"));
    stand.make_due(&["ada"]).await;
    stand.owned.due(&stand.schedule(), 10, &[]).await.unwrap();
    stand.owned.hold(vec!["ada".to_owned()]).await.unwrap();
    let (redis, keys) = (stand.owned.redis.clone(), &stand.owned.keys);
    stand.owned.lease.release(&redis).await.unwrap();
    let lease = store::Lease::acquire(&redis, keys, Stage::Write, partition(), "the heir").await.unwrap().unwrap();
    let heir = store::Owned { redis: redis.clone(), keys: keys.clone(), lease };
    assert_eq!(heir.due(&stand.schedule(), 10, &[]).await.unwrap().members, ["ada"], "left as if in hand");
    assert!(matches!(stand.owned.due(&stand.schedule(), 10, &[]).await, Err(StoreError::Fenced { .. })));

    let mut commit = Commit::new();
    heir.drop_turns(&mut commit);
    heir.commit(commit).await.unwrap();
    assert!(matches!(stand.ask(&ada, "us", LONG).await, Take::Busy { .. }), "the batch is in hand");
    let mut commit = Commit::new();
    heir.drop_batches(&mut commit);
    heir.commit(commit).await.unwrap();
    stand.take(&ada).await.release().await.unwrap();
}

#[tokio::test]
async fn a_batch_in_hand_makes_others_wait_and_lets_go_with_its_commit() {
    let (stand, ada) = (Stand::new(Stage::Normalise).await, user("ada"));
    let lock = stand.take(&user("bob")).await;
    let holding = stand.owned.hold(vec!["ada".to_owned(), "bob".to_owned()]).await.unwrap();
    assert_eq!(holding.locked, ["bob"]);
    assert_eq!(holding.locks_taken, lock.token());
    assert!(matches!(stand.ask(&ada, "us", LONG).await, Take::Busy { .. }));
    let batch = stand.owned.for_batch(&holding.hand);
    batch.commit(stand.set(&ada, 1)).await.unwrap();
    assert!(is_locked(batch.commit(stand.set(&ada, 2)).await), "a batch has one commit");
    let ada_lock = stand.take(&ada).await;

    // One that was given up lets go as well.
    assert!(ada_lock.release().await.unwrap());
    let holding = stand.owned.hold(vec!["ada".to_owned()]).await.unwrap();
    stand.owned.let_go(&holding.hand).await.unwrap();
    assert!(is_locked(stand.owned.for_batch(&holding.hand).commit(stand.set(&ada, 3)).await));
    stand.take(&ada).await.release().await.unwrap();
    assert_eq!(stand.number(&ada).await, 1);
}

#[tokio::test]
async fn one_connection_in_hand_keeps_its_users_lock_and_nobody_elses() {
    let stand = Stand::new(Stage::Fetch).await;
    stand.make_due(&["ada/toggl", "ada/trakt", "adam/toggl"]).await;
    let due = stand.owned.due(&stand.schedule(), 1, &[]).await.unwrap();
    assert_eq!(due.members, ["ada/toggl"]);
    assert!(matches!(stand.ask(&user("ada"), "us", LONG).await, Take::Busy { .. }));
    let adam = stand.take(&user("adam")).await;
    // Neither ada's other connection begins, because somebody waits for ada, nor adam's.
    let due = stand.owned.due(&stand.schedule(), 10, &["ada/toggl".to_owned()]).await.unwrap();
    assert!(due.members.is_empty(), "{due:?}");
    let ada = stand.take(&user("ada")).await;
    assert!(ada.release().await.unwrap() && adam.release().await.unwrap());
    stand.outlast(Duration::from_millis(200)).await;
    let mut due = stand.owned.due(&stand.schedule(), 10, &[]).await.unwrap();
    due.members.sort();
    assert_eq!(due.members, ["ada/toggl", "ada/trakt", "adam/toggl"]);
}
