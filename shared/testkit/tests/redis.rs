//! A private server: what it keeps, how it is hurt, and that it never outlives its owner.

use std::path::Path;
use std::time::Duration;

use redis::AsyncCommands;
use testkit::{Data, Redis, TestkitError};

async fn get(redis: &Redis, key: &str) -> Option<String> {
    redis.connection().await.get(key).await.unwrap()
}

async fn set(redis: &Redis, key: &str, value: &str) {
    let () = redis.connection().await.set(key, value).await.unwrap();
}

#[tokio::test]
async fn it_answers_on_tcp_and_on_its_unix_socket_and_never_evicts() {
    let redis = Redis::start().await;
    set(&redis, "key", "value").await;
    let mut local = testkit::connect(&redis.unix_url()).await;
    assert_eq!(local.get::<_, String>("key").await.unwrap(), "value");
    let policy: (String, String) =
        redis::cmd("CONFIG").arg("GET").arg("maxmemory-policy").query_async(&mut local).await.unwrap();
    assert_eq!(policy.1, "noeviction");
}

#[tokio::test]
async fn dropping_it_ends_the_process_and_removes_the_directory() {
    let redis = Redis::start().await;
    let (pid, dir) = (redis.pid().unwrap(), redis.dir().to_owned());
    assert!(Path::new(&format!("/proc/{pid}")).exists() || !Path::new("/proc").exists());
    drop(redis);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
    assert!(!dir.exists());
}

#[tokio::test]
async fn a_killed_server_comes_back_at_the_same_address_without_what_it_held() {
    let mut redis = Redis::start().await;
    let url = redis.url();
    set(&redis, "key", "value").await;
    redis.kill9();
    assert!(redis.pid().is_none());
    redis.restart(Data::Kept).await;
    assert_eq!(redis.url(), url);
    assert_eq!(get(&redis, "key").await, None);
}

#[tokio::test]
async fn a_running_server_restarts_with_its_data_or_without_as_asked() {
    let mut redis = Redis::start().await;
    set(&redis, "key", "value").await;
    redis.restart(Data::Kept).await;
    assert_eq!(get(&redis, "key").await.as_deref(), Some("value"));
    redis.restart(Data::Lost).await;
    assert_eq!(get(&redis, "key").await, None);
}

#[tokio::test]
async fn an_appending_server_keeps_its_data_through_a_kill() {
    let mut redis = Redis::builder().appendonly_everysec().start().await;
    set(&redis, "key", "value").await;
    redis.kill9();
    redis.restart(Data::Kept).await;
    assert_eq!(get(&redis, "key").await.as_deref(), Some("value"));
    redis.restart(Data::Lost).await;
    assert_eq!(get(&redis, "key").await, None);
}

#[tokio::test]
async fn a_full_server_refuses_writes() {
    let redis = Redis::builder().maxmemory(4_000_000).start().await;
    let mut connection = redis.connection().await;
    let block = "x".repeat(1_000_000);
    let mut refused = None;
    for number in 0..10 {
        let written: redis::RedisResult<()> = connection.set(number, &block).await;
        refused = refused.or(written.err());
    }
    assert_eq!(refused.expect("ten blocks do not fit").code(), Some("OOM"));
}

#[tokio::test]
async fn a_paused_server_answers_nothing_until_it_is_resumed() {
    let mut redis = Redis::start().await;
    set(&redis, "key", "value").await;
    let mut connection = redis.connection().await;
    for _ in 0..2 {
        redis.pause();
        let asked = connection.get::<_, Option<String>>("key");
        assert!(tokio::time::timeout(Duration::from_millis(50), asked).await.is_err());
        redis.resume();
        assert_eq!(get(&redis, "key").await.as_deref(), Some("value"));
    }
    redis.pause();
    redis.restart(Data::Kept).await;
    assert_eq!(get(&redis, "key").await.as_deref(), Some("value"));
}

#[tokio::test]
async fn a_setting_it_refuses_is_named_in_the_error() {
    let refused = Redis::builder().setting("maxmemory", "plenty").try_start().await;
    let Err(TestkitError::Ended { log }) = refused else { panic!("{refused:?}") };
    assert!(log.contains("maxmemory"), "{log}");
}

#[tokio::test]
async fn the_shared_server_is_one_and_prefixes_are_never_the_same() {
    assert!(std::ptr::eq(testkit::redis(), testkit::redis()));
    let (one, two) = (testkit::unique_prefix(), testkit::unique_prefix());
    assert_ne!(one, two);
    set(testkit::redis(), &one, "value").await;
    assert_eq!(get(testkit::redis(), &two).await, None);
}
