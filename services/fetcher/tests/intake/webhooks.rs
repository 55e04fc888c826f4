//! What becomes of a webhook.

use event::Origin;
use serde_json::json;

use crate::stand::Stand;

#[tokio::test]
async fn a_signed_webhook_is_in_the_stream_when_it_is_answered() {
    let stand = Stand::new().await;
    stand.connect("ada", json!({"webhook_secret": "s", "topics": ["t"]})).await;
    let fetcher = stand.fetcher().await;
    let answer = fetcher.hook("/hooks/fake", "s", "1", &json!({"topic": "t", "do": "row"})).await;
    assert_eq!((answer.status, answer.body.as_str()), (202, ""));
    let raw = stand.raw("ada").await;
    assert_eq!(raw.len(), 1);
    assert_eq!((raw[0].origin, raw[0].external_id.as_str()), (Origin::Webhook, "one"));
    assert_eq!(stand.appended().await, 1);
    fetcher.leave().await;
}

#[tokio::test]
async fn a_forged_or_missing_signature_is_refused_and_nothing_is_appended() {
    let stand = Stand::new().await;
    stand.connect("ada", json!({"webhook_secret": "s", "topics": ["t"]})).await;
    let fetcher = stand.fetcher().await;
    let body = json!({"topic": "t", "do": "row"});
    for path in ["/hooks/fake", "/hooks/fake/ada"] {
        assert_eq!(fetcher.hook(path, "guessed", "1", &body).await.status, 401, "{path}");
        for signature in [None, Some("beef"), Some("no hexadecimal")] {
            let answer = fetcher.post(path, signature, "1", body.to_string().into_bytes()).await;
            assert_eq!(answer.status, 401, "{path} {signature:?}");
        }
        let another = crate::fake::signature("s", b"another body");
        assert_eq!(fetcher.post(path, Some(&another), "1", body.to_string().into_bytes()).await.status, 401);
    }
    assert_eq!(stand.appended().await, 0);
    assert_eq!(fetcher.hook("/hooks/fake", "s", "1", &body).await.status, 202, "a forged id blocks nobody");
    assert_eq!(stand.appended().await, 1);
    fetcher.leave().await;
}

#[tokio::test]
async fn a_connection_without_a_secret_takes_nothing() {
    let stand = Stand::new().await;
    stand.connect("ada", json!({"webhook_secret": "", "topics": ["t"]})).await;
    let fetcher = stand.fetcher().await;
    let answer = fetcher.hook("/hooks/fake/ada", "", "1", &json!({"topic": "t", "do": "row"})).await;
    assert_eq!((answer.status, stand.appended().await), (401, 0));
    fetcher.leave().await;
}

#[tokio::test]
async fn the_same_delivery_is_taken_once_whichever_process_it_reaches() {
    let stand = Stand::new().await;
    stand.connect("ada", json!({"webhook_secret": "s", "topics": ["t"]})).await;
    let (one, two) = (stand.fetcher().await, stand.fetcher().await);
    let body = json!({"topic": "t", "do": "row"});
    let together = [&one, &two, &one, &two].map(|fetcher| fetcher.hook("/hooks/fake", "s", "7", &body));
    for answer in futures::future::join_all(together).await {
        assert_eq!(answer.status, 202);
    }
    assert_eq!(stand.appended().await, 1, "the same delivery");
    for fetcher in [&one, &two] {
        assert_eq!(fetcher.hook("/hooks/fake/ada", "s", "7", &body).await.status, 202);
    }
    assert_eq!(stand.appended().await, 1, "and again by another route");
    assert_eq!(two.hook("/hooks/fake", "s", "8", &body).await.status, 202);
    assert_eq!(one.hook("/hooks/fake", "s", "", &body).await.status, 202);
    assert_eq!(one.hook("/hooks/fake", "s", "", &body).await.status, 202);
    assert_eq!(stand.appended().await, 4, "another delivery, and two that name none");
    one.leave().await;
    two.leave().await;
}

#[tokio::test]
async fn a_ping_is_answered_with_what_it_asks_for() {
    let stand = Stand::new().await;
    stand.connect("ada", json!({"webhook_secret": "s", "topics": ["t"]})).await;
    let fetcher = stand.fetcher().await;
    let ping = json!({"topic": "t", "do": "ping", "code": "abc"});
    for _ in 0..2 {
        let answer = fetcher.hook("/hooks/fake", "s", "1", &ping).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"code":"abc"}"#));
    }
    let answer = fetcher.hook("/hooks/fake", "s", "1", &json!({"topic": "t", "do": "ping"})).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(fetcher.hook("/hooks/fake", "guessed", "1", &ping).await.status, 401, "a stranger learns no code");
    assert_eq!(stand.appended().await, 0);
    fetcher.leave().await;
}

#[tokio::test]
async fn who_is_unknown_and_what_counts_nothing_is_accepted_and_not_appended() {
    let stand = Stand::new().await;
    stand.connect("ada", json!({"webhook_secret": "s", "topics": ["t"]})).await;
    let fetcher = stand.fetcher().await;
    let row = json!({"topic": "t", "do": "row"});
    for path in ["/hooks/fake/nobody", "/hooks/fake/no%20name"] {
        assert_eq!(fetcher.hook(path, "s", "1", &row).await.status, 202, "{path}");
    }
    assert_eq!(fetcher.hook("/hooks/fake", "s", "1", &json!({"topic": "other", "do": "row"})).await.status, 202);
    assert_eq!(fetcher.hook("/hooks/fake", "s", "1", &json!({"do": "row"})).await.status, 202, "it names nothing");
    assert_eq!(fetcher.hook("/hooks/fake", "s", "1", &json!({"topic": "t", "do": "nothing"})).await.status, 202);
    assert_eq!(fetcher.hook("/hooks/another", "s", "1", &row).await.status, 404, "we know no such source");
    assert_eq!(stand.appended().await, 0);
    fetcher.leave().await;
}

#[tokio::test]
async fn a_body_that_makes_no_sense_is_refused_for_good_once_its_signature_is_right() {
    let stand = Stand::new().await;
    stand.connect("ada", json!({"webhook_secret": "s", "topics": ["t"]})).await;
    let fetcher = stand.fetcher().await;
    let senseless = json!({"topic": "t", "do": "dance"});
    assert_eq!(fetcher.hook("/hooks/fake", "s", "1", &senseless).await.status, 422);
    assert_eq!(fetcher.hook("/hooks/fake", "guessed", "1", &senseless).await.status, 401);
    let signature = crate::fake::signature("s", b"no JSON");
    let post = async |path, signature| fetcher.post(path, signature, "1", b"no JSON".to_vec()).await.status;
    assert_eq!(post("/hooks/fake/ada", Some(signature.as_str())).await, 422);
    assert_eq!(post("/hooks/fake/ada", Some("beef")).await, 401, "a stranger's nonsense is a stranger's first");
    assert_eq!(post("/hooks/fake", Some(signature.as_str())).await, 400, "it does not even say whom it means");
    assert_eq!(stand.appended().await, 0);
    fetcher.leave().await;
}
