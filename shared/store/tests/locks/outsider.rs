//! Whoever does not own the partition: taking a lock, losing it, seeing who has one.

use std::time::Duration;

use store::{HeldLock, KeyLock, LOCK_TTL_MAX, Stage, StoreError, Take};

use crate::stand::{LONG, Stand, connect, is_lost, partition, user};

const SHORT: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_lock_has_one_holder_and_its_token_only_grows() {
    let (stand, ada) = (Stand::new(Stage::Write).await, user("ada"));
    let first = stand.take(&ada).await;
    let Take::Held { who, left } = stand.ask(&ada, "another", LONG).await else { panic!("it was given away") };
    assert_eq!(who, "a test");
    assert!(left > Duration::ZERO && left <= LONG);
    // Somebody else's user is free, and so is this user in another stage.
    let other = stand.take(&user("adam")).await;
    assert!(other.token() > first.token());
    let taken =
        KeyLock::take(&stand.owned.redis, &stand.owned.keys, partition(), Stage::Normalise, &ada, "us", LONG).await;
    assert!(matches!(taken.unwrap(), Take::Taken(_)));

    let token = first.token();
    assert!(first.release().await.unwrap());
    assert!(stand.take(&ada).await.token() > token);
}

#[tokio::test]
async fn an_expired_lock_changes_nothing_and_cannot_be_renewed() {
    let (stand, ada) = (Stand::new(Stage::Write).await, user("ada"));
    let Take::Taken(lock) = stand.ask(&ada, "us", SHORT).await else { panic!("nobody has it") };
    lock.commit(stand.set(&ada, 1)).await.unwrap();
    stand.outlast(SHORT).await;
    assert!(is_lost(lock.commit(stand.set(&ada, 2)).await));
    assert!(!lock.renew(LONG).await.unwrap());
    assert!(is_lost(lock.commit(stand.set(&ada, 2)).await));
    assert_eq!(stand.number(&ada).await, 1);
}

#[tokio::test]
async fn a_past_holder_changes_nothing_after_somebody_else_took_it() {
    let (stand, ada) = (Stand::new(Stage::Write).await, user("ada"));
    let Take::Taken(past) = stand.ask(&ada, "the past", SHORT).await else { panic!("nobody has it") };
    stand.outlast(SHORT).await;
    let present = stand.take(&ada).await;
    assert!(is_lost(past.commit(stand.set(&ada, 1)).await));
    assert!(!past.renew(LONG).await.unwrap());
    assert!(!past.release().await.unwrap());
    present.commit(stand.set(&ada, 2)).await.unwrap();
    assert!(present.release().await.unwrap());
    assert_eq!(stand.number(&ada).await, 2);
}

#[tokio::test]
async fn a_renewed_lock_lasts_and_none_lasts_longer_than_a_minute() {
    let (stand, ada) = (Stand::new(Stage::Write).await, user("ada"));
    let Take::Taken(lock) = stand.ask(&ada, "us", Duration::from_millis(200)).await else { panic!("nobody has it") };
    assert!(lock.renew(Duration::from_secs(3600)).await.unwrap());
    stand.outlast(Duration::from_millis(200)).await;
    lock.commit(stand.set(&ada, 1)).await.unwrap();
    let Take::Held { left, .. } = stand.ask(&ada, "another", LONG).await else { panic!("it was given away") };
    assert!(left <= LOCK_TTL_MAX, "{left:?}");
}

#[tokio::test]
async fn a_lock_is_no_lease() {
    let (stand, ada) = (Stand::new(Stage::Write).await, user("ada"));
    let lock = stand.take(&ada).await;
    assert_eq!(lock.owned().lease.time_left(), Duration::ZERO);
    assert!(!lock.owned().lease.renew(&stand.owned.redis).await.unwrap());
    // A new owner changes nothing about it.
    stand.owned.lease.release(&stand.owned.redis).await.unwrap();
    assert!(matches!(stand.owned.lease.renew(&stand.owned.redis).await, Ok(false)));
    lock.commit(stand.set(&ada, 1)).await.unwrap();
}

#[tokio::test]
async fn who_holds_locks_is_listed_and_who_waits_or_is_late_is_not() {
    let stand = Stand::new(Stage::Write).await;
    let (ada, bob, cleo) = (user("ada"), user("bob"), user("cleo"));
    let lock = stand.take(&ada).await;
    let _expires = stand.ask(&bob, "somebody who dies", SHORT).await;
    stand.owned.hold(vec![cleo.to_string()]).await.unwrap();
    assert!(matches!(stand.ask(&cleo, "too early", LONG).await, Take::Busy { .. }));
    stand.outlast(SHORT).await;

    let held = KeyLock::held(&stand.owned.redis, &stand.owned.keys, Stage::Write, &[partition()]).await.unwrap();
    let [HeldLock { partition: at, user, who, token, left }] = &held[..] else { panic!("{held:?}") };
    assert_eq!((*at, user.as_str(), who.as_str(), *token), (partition(), "ada", "a test", lock.token()));
    assert!(*left <= LONG);
}

#[tokio::test]
async fn a_redis_that_forgot_a_lock_refuses_its_holder_and_gives_out_no_token_twice() {
    let (stand, ada) = (Stand::new(Stage::Write).await, user("ada"));
    let lock = stand.take(&ada).await;
    let keys = &stand.owned.keys;
    let mut command = redis::cmd("DEL");
    command.arg(keys.lease(partition(), Stage::Write)).arg(keys.locks(partition(), Stage::Write));
    let () = command.query_async(&mut stand.owned.redis.clone()).await.unwrap();
    assert!(is_lost(lock.commit(stand.set(&ada, 1)).await));
    stand.outlast(Duration::ZERO).await;
    assert!(stand.take(&ada).await.token() > lock.token());
}

#[tokio::test]
async fn in_a_cluster_a_lock_is_taken_used_and_given_back() {
    let cluster = testkit::RedisCluster::start(3).await;
    let stand = Stand::under(&connect(cluster.url()).await, Stage::Write).await;
    let ada = user("ada");
    let seen = stand.owned.key_locks().await.unwrap().taken;
    let lock = stand.take(&ada).await;
    lock.commit(stand.set(&ada, 1)).await.unwrap();
    assert_eq!(stand.owned.key_locks().await.unwrap().users[0].0, "ada");
    let held = KeyLock::held(&stand.owned.redis, &stand.owned.keys, Stage::Write, &[partition()]).await.unwrap();
    assert_eq!(held.len(), 1);
    assert!(lock.renew(LONG).await.unwrap() && lock.release().await.unwrap());
    let refused = stand.owned.unless_locked_since(seen).commit(stand.set(&ada, 2)).await;
    assert!(matches!(refused, Err(StoreError::Locked { .. })));
    let holding = stand.owned.hold(vec!["ada".to_owned()]).await.unwrap();
    stand.owned.for_batch(&holding.hand).commit(stand.set(&ada, 3)).await.unwrap();
    stand.make_due(&["ada"]).await;
    let due = stand.owned.due(&stand.schedule(), 10, &[]).await.unwrap();
    stand.owned.for_turn(&due.hand, "ada").commit(stand.set(&ada, 4)).await.unwrap();
    assert_eq!(stand.number(&ada).await, 4);
}
