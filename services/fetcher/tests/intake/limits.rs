//! Too much, too slow, not now.

use std::time::Duration;

use serde_json::json;
use testkit::Data;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::stand::{Answer, Fetcher, SOON, Stand};

const BODY_MAX: usize = 25 << 20;

#[tokio::test]
async fn a_body_of_25_mib_is_taken_and_one_byte_more_is_not() {
    let stand = Stand::new().await;
    stand.connect("ada", json!({"webhook_secret": "s", "topics": ["t"]})).await;
    let fetcher = stand.fetcher().await;
    let body = |length: usize| {
        let mut body = json!({"topic": "t", "do": "nothing"}).to_string().into_bytes();
        body.resize(length, b' ');
        body
    };
    let (largest, larger) = (body(BODY_MAX), body(BODY_MAX + 1));
    let signature = crate::fake::signature("s", &largest);
    assert_eq!(fetcher.post("/hooks/fake", Some(&signature), "1", largest).await.status, 202);
    let signature = crate::fake::signature("s", &larger);
    assert_eq!(fetcher.post("/hooks/fake", Some(&signature), "1", larger).await.status, 413);
    assert_eq!(stand.appended().await, 0);
    fetcher.leave().await;
}

/// Sends the head of a webhook and some of its body.
async fn begin(fetcher: &Fetcher, body: &str, sent: usize) -> TcpStream {
    let host = fetcher.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let signature = crate::fake::signature("s", body.as_bytes());
    let head = format!(
        "POST /hooks/fake HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nX-Signature: {signature}\r\nContent-Length: {}\r\n\r\n{}",
        body.len(),
        &body[..sent]
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn status_of(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.expect("an answer").unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let stand = Stand::new().await;
    let fetcher = stand.fetcher().await;
    let begun = Instant::now();
    let stream = begin(&fetcher, &json!({"topic": "t", "do": "row"}).to_string(), 5).await;
    assert_eq!(status_of(stream).await, "HTTP/1.1 408 Request Timeout");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    fetcher.leave().await;
}

#[tokio::test]
async fn a_webhook_that_is_coming_in_when_the_process_drains_is_still_taken() {
    let stand = Stand::new().await;
    stand.connect("ada", json!({"webhook_secret": "s", "topics": ["t"]})).await;
    let fetcher = stand.fetcher().await;
    let body = json!({"topic": "t", "do": "row"}).to_string();
    let mut stream = begin(&fetcher, &body, 5).await;
    // Another one behind it is answered: the first is in hand by then.
    assert_eq!(fetcher.hook("/hooks/fake", "guessed", "", &json!({"topic": "t"})).await.status, 401);
    fetcher.drain.cancel();
    let host = fetcher.base.strip_prefix("http://").unwrap();
    let deadline = Instant::now() + SOON;
    while TcpStream::connect(host).await.is_ok() {
        assert!(Instant::now() < deadline, "it takes no new ones");
        sleep(Duration::from_millis(5)).await;
    }
    let mut fetcher = fetcher;
    let left = timeout(Duration::from_millis(500), &mut fetcher.running).await;
    assert!(left.is_err(), "it waits for what is in hand");
    stream.write_all(&body.as_bytes()[5..]).await.unwrap();
    assert_eq!(status_of(stream).await, "HTTP/1.1 202 Accepted");
    fetcher.leave().await;
    assert_eq!(stand.appended().await, 1);
}

/// Sends webhooks until one is answered so, each with a delivery of its own.
async fn until_status(fetcher: &Fetcher, status: u16) -> Answer {
    let deadline = Instant::now() + SOON;
    loop {
        let answer = fetcher.hook("/hooks/fake", "s", "", &json!({"topic": "t", "do": "row"})).await;
        if answer.status == status {
            return answer;
        }
        assert!(Instant::now() < deadline, "{answer:?} instead of {status}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_redis_that_is_almost_full_takes_no_webhooks_until_there_is_room() {
    let server = testkit::Redis::start().await;
    let stand = Stand::on(server.url(), &[], None).await;
    stand.connect("ada", json!({"webhook_secret": "s", "topics": ["t"]})).await;
    let fetcher = stand.fetcher().await;
    until_status(&fetcher, 202).await;
    let mut link = server.connection().await;
    let info: String = redis::cmd("INFO").arg("memory").query_async(&mut link).await.unwrap();
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap();
    let used: u64 = used.trim().parse().unwrap();
    let set = async |bytes: u64| {
        let mut link = server.connection().await;
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).exec_async(&mut link).await.unwrap();
    };
    // 100/115 of it is 87 % full: over the mark, and still far from refusing writes by itself.
    set(used * 115 / 100).await;
    let answer = until_status(&fetcher, 503).await;
    assert!(answer.retry_after.is_some_and(|seconds| seconds.parse::<u32>().unwrap() > 0));
    let appended = stand.appended().await;
    assert_eq!(fetcher.hook("/hooks/fake", "s", "", &json!({"topic": "t", "do": "row"})).await.status, 503);
    assert_eq!(stand.appended().await, appended);
    set(used * 2).await;
    until_status(&fetcher, 202).await;
    fetcher.leave().await;
}

#[tokio::test]
async fn a_redis_that_does_not_answer_is_503_within_five_seconds_and_nothing_is_lost_after() {
    let mut server = testkit::Redis::builder().appendonly_everysec().start().await;
    let stand = Stand::on(server.url(), &[], None).await;
    stand.connect("ada", json!({"webhook_secret": "s", "topics": ["t"]})).await;
    let fetcher = stand.fetcher().await;
    until_status(&fetcher, 202).await;
    server.kill9();
    for _ in 0..3 {
        let begun = Instant::now();
        let answer = fetcher.hook("/hooks/fake", "s", "again", &json!({"topic": "t", "do": "row"})).await;
        assert_eq!((answer.status, answer.retry_after.is_some()), (503, true));
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    server.restart(Data::Kept).await;
    let before = stand.raw("ada").await.len();
    until_status(&fetcher, 202).await;
    assert_eq!(fetcher.hook("/hooks/fake", "s", "again", &json!({"topic": "t", "do": "row"})).await.status, 202);
    assert!(stand.raw("ada").await.len() > before, "what was refused is taken when it comes again");
    fetcher.leave().await;
}
