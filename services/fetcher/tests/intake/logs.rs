//! Nothing of a body, a secret or a token reaches a log.

use std::{
    io::Write,
    sync::{Mutex, OnceLock, PoisonError},
};

use serde_json::json;
use tracing::level_filters::LevelFilter;

use crate::{
    fake,
    stand::{Stand, id},
};

static LOGGED: OnceLock<Mutex<Vec<u8>>> = OnceLock::new();

#[derive(Clone)]
struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let log = LOGGED.get_or_init(Mutex::default);
        log.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn nothing_of_a_body_a_secret_or_a_token_reaches_a_log() {
    // For the whole test process: whatever level, whoever logs it, the HTTP server too.
    tracing_subscriber::fmt().with_max_level(LevelFilter::TRACE).with_writer(|| Log).init();
    let base = fake::token_server().await;
    let mut server = testkit::Redis::start().await;
    let stand = Stand::on(server.url(), &[], Some(fake::oauth(&base))).await;
    stand.connect("ada", json!({"webhook_secret": "planted-hook-5ecret", "topics": ["t"]})).await;
    let fetcher = stand.fetcher().await;
    let planted = |what: &str| json!({"topic": "t", "do": what, "planted": "planted-body-5ecret"});
    for (what, secret, status) in [
        ("row", "planted-hook-5ecret", 202),
        ("nothing", "planted-hook-5ecret", 202),
        ("dance", "planted-hook-5ecret", 422),
        ("row", "planted-guess-5ecret", 401),
    ] {
        assert_eq!(fetcher.hook("/hooks/fake", secret, "", &planted(what)).await.status, status, "{what}");
    }
    let unreadable = b"planted-body-5ecret".to_vec();
    assert_eq!(fetcher.post("/hooks/fake", None, "", unreadable).await.status, 400);
    for code in ["good", "planted-code-5ecret"] {
        let state =
            crate::consent::begin(&stand, "ada", "fake", json!({"webhook_secret": "planted-hook-5ecret"})).await;
        let answer = fetcher.get(&format!("/oauth/fake/callback?code={code}&state={state}")).await;
        assert_eq!(answer.status, if code == "good" { 200 } else { 502 }, "{}", answer.body);
        assert!(!answer.body.contains("5ecret"), "{}", answer.body);
    }
    assert_eq!(stand.credentials("ada").await["access_token"], fake::FRESH, "{}", id("ada"));
    server.kill9();
    assert_eq!(fetcher.hook("/hooks/fake", "planted-hook-5ecret", "", &planted("row")).await.status, 503);

    let log = LOGGED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner).clone();
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("cannot be taken now"), "it says what went wrong");
    // The HTTP libraries' own traces hold what tests send; ours is what our targets say.
    let ours = log.lines().filter(|line| {
        ["fetcher", "store", "source", "worker"].iter().any(|name| line.contains(&format!(" {name}::")))
    });
    let said: Vec<&str> = ours.filter(|line| line.contains("5ecret")).collect();
    assert_eq!(said, [""; 0]);
    let above_debug = |line: &&str| ["INFO", "WARN", "ERROR"].iter().any(|level| line.contains(level));
    let said: Vec<&str> = log.lines().filter(above_debug).filter(|line| line.contains("5ecret")).collect();
    assert_eq!(said, [""; 0], "whoever logs it");
}
