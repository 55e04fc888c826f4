//! Whom a webhook means.

use std::time::Duration;

use serde_json::json;
use store::{
    intake::{self, Taken, Webhook},
    user::Connected,
};

use crate::{
    fake,
    stand::{Stand, id},
};

#[tokio::test]
async fn each_whose_secret_signs_gets_it_and_nobody_else() {
    let stand = Stand::new().await;
    for (user, secret) in [("ada", "one"), ("bea", "two"), ("cyd", "one"), ("dot", "one")] {
        let topic = if user == "dot" { "other" } else { "t" };
        stand.connect(user, json!({"webhook_secret": secret, "topics": [topic]})).await;
    }
    let fetcher = stand.fetcher().await;
    let body = json!({"topic": "t", "do": "row"});
    assert_eq!(fetcher.hook("/hooks/fake", "one", "1", &body).await.status, 202);
    assert_eq!(fetcher.hook("/hooks/fake", "two", "2", &body).await.status, 202);
    assert_eq!(fetcher.hook("/hooks/fake", "three", "3", &body).await.status, 401);
    for (user, entries) in [("ada", 1), ("bea", 1), ("cyd", 1), ("dot", 0)] {
        assert_eq!(stand.raw(user).await.len(), entries, "{user}");
    }
    fetcher.leave().await;
}

#[tokio::test]
async fn a_topic_is_learnt_from_what_the_secret_of_a_connection_without_topics_signs() {
    let stand = Stand::new().await;
    stand.connect("ada", json!({"webhook_secret": "s"})).await;
    let fetcher = stand.fetcher().await;
    let body = json!({"topic": "learnt", "do": "row"});
    assert_eq!(fetcher.hook("/hooks/fake", "guessed", "1", &body).await.status, 401);
    assert_eq!(fetcher.hook("/hooks/fake", "s", "2", &body).await.status, 202);
    // Now without being among those who may mean anything.
    intake::listen_no_more(&stand.redis, &stand.keys, &fake::name(), &id("ada"), &[]).await.unwrap();
    assert_eq!(fetcher.hook("/hooks/fake", "s", "3", &body).await.status, 202);
    assert_eq!(stand.raw("ada").await.len(), 2, "the forged one taught nothing, the signed one did");
    assert_eq!(fetcher.hook("/hooks/fake", "s", "4", &json!({"topic": "another", "do": "row"})).await.status, 202);
    assert_eq!(stand.raw("ada").await.len(), 2, "nobody is found by another topic");
    fetcher.leave().await;
}

#[tokio::test]
async fn a_connection_that_names_its_topics_learns_no_other() {
    let stand = Stand::new().await;
    stand.connect("ada", json!({"webhook_secret": "s", "topics": ["t"]})).await;
    let fetcher = stand.fetcher().await;
    let body = json!({"topic": "other", "do": "row"});
    assert_eq!(fetcher.hook("/hooks/fake/ada", "s", "1", &body).await.status, 202);
    assert_eq!(fetcher.hook("/hooks/fake", "s", "2", &body).await.status, 202);
    assert_eq!(stand.raw("ada").await.len(), 1, "the route with a user places it, the topic does not");
    fetcher.leave().await;
}

#[tokio::test]
async fn who_left_gets_nothing_although_the_index_still_knows_them() {
    let stand = Stand::new().await;
    stand.connect("ada", json!({"webhook_secret": "s", "topics": ["t"]})).await;
    let fetcher = stand.fetcher().await;
    let (partition, ada) = (stand.partition_of("ada"), id("ada"));
    store::operate::disconnect(&stand.redis, &stand.keys, partition, &ada, &[fake::name()], &[]).await.unwrap();
    for path in ["/hooks/fake", "/hooks/fake/ada"] {
        assert_eq!(fetcher.hook(path, "s", "1", &json!({"topic": "t", "do": "row"})).await.status, 202, "{path}");
    }
    // Nor does one who leaves after the webhook was placed, and before it is taken.
    let webhook = Webhook { user: &ada, source: &fake::name(), delivery: Some("2"), hint: "window", events: &[] };
    let taken = intake::take(&stand.redis, &stand.keys, partition, &webhook, 1, Duration::from_secs(9)).await.unwrap();
    assert_eq!(taken, Taken::Gone);
    assert!(stand.user("ada").await.hints.is_empty(), "nothing of them comes back");
    assert_eq!(stand.appended().await, 0);
    fetcher.leave().await;
}

#[tokio::test]
async fn a_connection_that_is_off_keeps_taking_what_the_normaliser_will_hold_for_its_return() {
    let stand = Stand::new().await;
    let off = Connected::Off { reason: "refused".to_owned(), since_ms: 1 };
    stand.connect_as("ada", json!({"webhook_secret": "s", "topics": ["t"]}), off).await;
    let fetcher = stand.fetcher().await;
    assert_eq!(fetcher.hook("/hooks/fake", "s", "1", &json!({"topic": "t", "do": "row"})).await.status, 202);
    assert_eq!(stand.raw("ada").await.len(), 1);
    fetcher.leave().await;
}

#[tokio::test]
async fn credentials_that_our_keys_do_not_open_are_our_fault_and_not_the_sources() {
    let stand = Stand::new().await;
    let credentials = json!({"webhook_secret": "s", "topics": ["t"]});
    stand.store("ada", &credentials, "sealed by nobody".to_owned(), Connected::On).await;
    let fetcher = stand.fetcher().await;
    let body = json!({"topic": "t", "do": "row"});
    let answer = fetcher.hook("/hooks/fake/ada", "s", "1", &body).await;
    assert_eq!(answer.status, 503, "it must come again when the key is there");
    assert!(answer.retry_after.is_some());
    stand.connect("bea", credentials).await;
    assert_eq!(fetcher.hook("/hooks/fake", "s", "2", &body).await.status, 202, "others are not held up");
    assert_eq!((stand.raw("ada").await.len(), stand.raw("bea").await.len()), (0, 1));
    fetcher.leave().await;
}
