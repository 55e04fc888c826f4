//! What a webhook asks of the next poll.

use std::time::Duration;

use serde_json::json;
use source::Hint;
use store::intake::{Taken, Webhook, take};

use crate::{
    fake,
    stand::{Stand, id},
};

#[tokio::test]
async fn a_webhook_that_does_not_tell_it_all_has_the_record_fetched_at_once() {
    let stand = Stand::new().await;
    stand.connect("ada", json!({"webhook_secret": "s", "topics": ["t"]})).await;
    let fetcher = stand.fetcher().await;
    // The first poll is that of a new connection; the next would come after the poll interval, in minutes.
    stand.until_read(Hint::None).await;
    let answer = fetcher.hook("/hooks/fake", "s", "1", &json!({"topic": "t", "do": "ask", "hint": "window"})).await;
    assert_eq!((answer.status, stand.appended().await), (202, 0));
    stand.until_read(Hint::Window).await;
    fetcher.leave().await;
}

#[tokio::test]
async fn a_wish_for_the_window_is_never_lowered_and_each_wish_is_told_from_the_one_before() {
    let stand = Stand::new().await;
    stand.connect("ada", json!({"webhook_secret": "s"})).await;
    let (user, source, partition) = (id("ada"), fake::name(), stand.partition_of("ada"));
    let mut before = String::new();
    for (hint, expected) in [("recent", "recent"), ("window", "window"), ("recent", "window"), ("", "window")] {
        let webhook = Webhook { user: &user, source: &source, delivery: None, hint, events: &[] };
        let taken = take(&stand.redis, &stand.keys, partition, &webhook, 1, Duration::from_secs(9)).await.unwrap();
        assert_eq!(taken, Taken::Taken);
        let stored = stand.user("ada").await.hints[&source].clone();
        assert_eq!(stored.split_once('/').map(|(word, _)| word), Some(expected));
        assert_eq!(stored == before, hint.is_empty(), "{before} and then {stored}");
        before = stored;
    }
}

#[tokio::test]
async fn a_delivery_is_remembered_for_the_retention_time_at_least_and_twice_that_at_most() {
    let stand = Stand::new().await;
    stand.connect("ada", json!({"webhook_secret": "s"})).await;
    let (user, source, partition) = (id("ada"), fake::name(), stand.partition_of("ada"));
    let webhook = Webhook { user: &user, source: &source, delivery: Some("7"), hint: "", events: &[] };
    let hour_ms = 3_600_000;
    let now_ms = store::now_ms(&stand.redis).await.unwrap() / hour_ms * hour_ms + hour_ms / 2;
    let take_at = async |now_ms| {
        take(&stand.redis, &stand.keys, partition, &webhook, now_ms, Duration::from_secs(3600)).await.unwrap()
    };
    assert_eq!(take_at(now_ms).await, Taken::Taken);
    assert_eq!(take_at(now_ms + hour_ms).await, Taken::Duplicate);
    assert_eq!(take_at(now_ms + 2 * hour_ms).await, Taken::Taken);
    let generation = stand.keys.deliveries(partition, &source, now_ms / hour_ms);
    let left: i64 = redis::cmd("PTTL").arg(generation).query_async(&mut stand.redis.clone()).await.unwrap();
    let hour_ms = i64::try_from(hour_ms).unwrap();
    assert!((hour_ms..=2 * hour_ms).contains(&left), "the set goes as a whole, after {left} ms");
}
