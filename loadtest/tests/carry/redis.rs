//! Other shapes of Redis, and one that dies.

use std::time::Duration;

use testkit::{Data, Redis, RedisCluster};
use tokio::time::sleep;

use crate::show::{Show, stage};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_three_masters_carries_the_same_numbers() {
    let cluster = RedisCluster::start(3).await;
    let stage = stage(41).await;
    let mut show = Show::open(&stage, stage.fleet().setting("TRIBUTARY_REDIS_URL", cluster.url())).await;
    show.play_on(Duration::from_secs(2)).await;
    show.until_right(Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_killed_and_restarted_with_its_data_loses_no_number() {
    let mut redis = Redis::builder().appendonly_everysec().start().await;
    let stage = stage(42).await;
    let mut show = Show::open(&stage, stage.fleet().setting("TRIBUTARY_REDIS_URL", redis.url())).await;
    sleep(Duration::from_secs(3)).await;
    for _ in 0..2 {
        show.play();
        sleep(Duration::from_millis(700)).await;
        // Whatever was written within the last second may be gone.
        redis.kill9();
        sleep(Duration::from_secs(1)).await;
        redis.restart(Data::Kept).await;
    }
    show.play_on(Duration::from_secs(2)).await;
    show.until_right(Duration::from_secs(60)).await;
    show.redis_url = Some(redis.url().to_owned());
    show.nothing_was_lost().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_was_emptied_under_load_is_noticed_and_filled_again() {
    let redis = Redis::start().await;
    let stage = stage(45).await;
    let mut show = Show::open(&stage, stage.fleet().setting("TRIBUTARY_REDIS_URL", redis.url())).await;
    show.until_right(Duration::from_secs(60)).await;
    show.play();
    let client = redis::Client::open(redis.url()).expect("an address");
    let mut link = client.get_multiplexed_async_connection().await.expect("Redis answers");
    let () = redis::cmd("FLUSHALL").query_async(&mut link).await.expect("it is emptied");
    show.play();
    // Nobody is left who could know the people: an operator connects them again.
    show.fleet.import(&stage.import_file()).await.expect("everybody is imported");
    show.play_on(Duration::from_secs(1)).await;
    show.until_right(Duration::from_secs(60)).await;
    let log = show.fleet.process("exist-writer-1").log().expect("a log");
    assert!(log.contains("Redis has lost everything it held"), "nobody raised an alarm");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_does_not_answer_for_a_while_is_waited_for() {
    let mut redis = Redis::start().await;
    let stage = stage(43).await;
    let mut show = Show::open(&stage, stage.fleet().setting("TRIBUTARY_REDIS_URL", redis.url())).await;
    sleep(Duration::from_secs(3)).await;
    show.play();
    redis.pause();
    // Longer than a lease: everybody has to take everything anew.
    sleep(Duration::from_secs(13)).await;
    redis.resume();
    show.play_on(Duration::from_secs(2)).await;
    show.until_right(Duration::from_secs(60)).await;
    show.redis_url = Some(redis.url().to_owned());
    show.nothing_was_lost().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn owners_that_lock_every_user_as_well_carry_the_same_numbers() {
    let stage = stage(44).await;
    let mut show = Show::open(&stage, stage.fleet().setting("TRIBUTARY_LOCK_MODE", "key")).await;
    show.play_on(Duration::from_secs(1)).await;
    show.until_right(Duration::from_secs(60)).await;
    // Somebody from outside comes between, too.
    show.fleet.run(&["replay", "--all", "--json"]).await.expect("nothing differs");
    show.nothing_was_lost().await;
}
