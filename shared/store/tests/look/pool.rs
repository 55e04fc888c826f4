//! A pool lends so many connections, makes the next one wait, and outlives a Redis that was away.

use settings::Settings;
use store::{POOL_MAX, Pool, StoreError, now_ms};
use testkit::Data;

async fn pool(url: String) -> Pool {
    let settings = Settings::load([("TRIBUTARY_REDIS_URL".to_owned(), url)], &[], None).unwrap();
    Pool::connect(&settings.redis_url, "test").await.unwrap()
}

#[tokio::test]
async fn no_more_than_so_many_are_lent_and_one_that_is_given_back_is_lent_again() {
    let server = testkit::Redis::start().await;
    let pool = pool(server.url()).await;
    let mut lent = Vec::new();
    for _ in 0..POOL_MAX {
        lent.push(pool.get().await.unwrap());
    }
    assert!(matches!(pool.get().await, Err(StoreError::Pool { .. })), "the next one waits in vain");
    lent.pop();
    let again = pool.get().await.unwrap();
    now_ms(&again).await.unwrap();
}

#[tokio::test]
async fn a_redis_that_was_away_is_reached_again() {
    let mut server = testkit::Redis::start().await;
    let pool = pool(server.url()).await;
    now_ms(&pool.get().await.unwrap()).await.unwrap();
    server.kill9();
    assert!(matches!(pool.get().await, Err(StoreError::Pool { .. })));
    server.restart(Data::Lost).await;
    now_ms(&pool.get().await.unwrap()).await.unwrap();
}
