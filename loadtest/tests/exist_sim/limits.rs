//! The sliding window of requests, and what the log tells about it.

use std::time::Duration;

use loadtest::exist::{Endpoint, ExistConfig, RateLimit, UserSpec};
use serde_json::json;

use super::Bench;

const MINUTE: Duration = Duration::from_secs(60);

fn three_a_minute() -> ExistConfig {
    ExistConfig { rate: RateLimit { requests: 3, window: MINUTE }, ..ExistConfig::default() }
}

async fn status(bench: &Bench) -> u16 {
    bench.get("attributes/owned/").await.0
}

#[tokio::test]
async fn three_hundred_an_hour_and_no_more() {
    let bench = Bench::new().await;
    for _ in 0..300 {
        assert_eq!(status(&bench).await, 200);
    }
    let response = bench.getting("attributes/owned/").send().await.unwrap();
    assert_eq!(response.status(), 429);
    assert_eq!(response.headers().get("retry-after"), None);
    assert_eq!(response.text().await.unwrap(), "");
    bench.sim.clock().advance(Duration::from_secs(3599));
    assert_eq!(status(&bench).await, 429);
    bench.sim.clock().advance(Duration::from_secs(1));
    assert_eq!(status(&bench).await, 200);
    // All that was seen counts, let through or not.
    assert_eq!(bench.sim.log().busiest(Duration::from_secs(3600)), 302);
    assert_eq!(bench.sim.log().counts()[&Endpoint::Owned], 303);
}

#[tokio::test]
async fn the_window_slides_and_refused_requests_take_no_room() {
    let bench = Bench::with(three_a_minute(), UserSpec::named("sam")).await;
    let clock = bench.sim.clock();
    // At 0 s, 20 s, 40 s and 50 s; the first leaves the window at 60 s.
    for (wait, expected) in [(0, 200), (20, 200), (20, 200), (10, 429), (9, 429), (1, 200), (19, 429), (1, 200)] {
        clock.advance(Duration::from_secs(wait));
        assert_eq!(status(&bench).await, expected);
    }
    let room_at = bench.sim.log().entries()[3].room_at;
    assert_eq!(room_at, Some("2026-03-28T12:01:00Z".parse().unwrap()));
}

#[tokio::test]
async fn a_429_can_say_how_long_and_who_comes_earlier_is_found_out() {
    let config = ExistConfig { retry_after: true, throttle_detail: true, ..three_a_minute() };
    let bench = Bench::with(config, UserSpec::named("sam")).await;
    for _ in 0..3 {
        status(&bench).await;
    }
    bench.sim.clock().advance(Duration::from_millis(12_500));
    let response = bench.getting("attributes/owned/").send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "48");
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body, json!({"detail": "Request was throttled. Expected available in 48 seconds."}));
    assert_eq!(bench.sim.log().too_early().entries().len(), 0);
    bench.sim.clock().advance(Duration::from_secs(47));
    status(&bench).await;
    assert_eq!(bench.sim.log().too_early().entries().len(), 1);
    bench.sim.clock().advance(Duration::from_secs(1));
    assert_eq!(status(&bench).await, 200);
    // The second 429 asked until 60.5 s too: who waits that long is on time.
    assert_eq!(bench.sim.log().too_early().entries().len(), 1);
}

#[tokio::test]
async fn each_token_has_its_own_window() {
    let bench = Bench::with(three_a_minute(), UserSpec::named("sam")).await;
    bench.sim.add_user(UserSpec::named("kim"));
    for _ in 0..4 {
        status(&bench).await;
    }
    assert_eq!(status(&bench).await, 429);
    let url = format!("{}/accounts/profile/", bench.sim.base_url());
    let response = bench.http.get(url).bearer_auth("kim-access").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(bench.sim.log().of("kim").busiest(MINUTE), 1);
    assert_eq!(bench.sim.log().busiest(MINUTE), 5);
}
