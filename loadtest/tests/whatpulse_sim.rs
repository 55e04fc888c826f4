//! The simulated WhatPulse over real HTTP.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use loadtest::{
    whatpulse::{Counts, DateSpelling, WhatPulseAccount, WhatPulseConfig, WhatPulseSim},
    world::{Fault, Malformed, Spoiled},
};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

const NOW: &str = "2026-07-12T21:58:03Z";

fn client() -> Client {
    // A second installation in the same process is refused, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::new()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn account(name: &str, user_id: u64) -> WhatPulseAccount {
    WhatPulseAccount { name: name.into(), user_id, api_key: format!("{name}-key"), dates: DateSpelling::Zulu }
}

fn counts(keys: i64) -> Counts {
    Counts {
        keys,
        clicks: 3110,
        scrolls: Some(15220),
        distance_centimiles: Some(84),
        download_centi_mb: 151_025,
        upload_centi_mb: 21_050,
        uptime_seconds: 41_230,
    }
}

async fn sim(config: WhatPulseConfig) -> WhatPulseSim {
    let sim = WhatPulseSim::start(config).await.unwrap();
    sim.clock().set(time(NOW));
    sim.add_account(account("ada", 54_321));
    sim
}

async fn get(sim: &WhatPulseSim, path: &str) -> Response {
    client().get(format!("{}{path}", sim.api_url())).bearer_auth("ada-key").send().await.unwrap()
}

async fn legacy(sim: &WhatPulseSim, path: &str) -> String {
    let response = client().get(format!("{}{path}", sim.legacy_url())).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.text().await.unwrap()
}

async fn json(response: Response) -> Value {
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn a_pulse_has_the_documented_fields() {
    let sim = sim(WhatPulseConfig::default()).await;
    let id = sim.pulse("ada", "desk", counts(8421));
    let body = json(get(&sim, "/users/54321/pulses").await).await;
    assert_eq!(
        body["pulses"],
        json!([{
            "id": id, "date": NOW, "keys": 8421, "clicks": 3110, "download_mb": 1510.25, "upload_mb": 210.5,
            "uptime_seconds": 41230, "scrolls": 15220, "distance_miles": 0.84, "auto_pulse": true,
            "client_version": "6.2.0",
        }])
    );
    assert_eq!(body["pagination"]["total"], 1);
    assert_eq!(body["links"]["next"], Value::Null);
}

#[tokio::test]
async fn a_user_goes_by_number_and_by_name() {
    let sim = sim(WhatPulseConfig::default()).await;
    for path in ["/users/54321", "/users/ada"] {
        assert_eq!(json(get(&sim, path).await).await["user"]["id"], 54_321);
    }
    let missing = get(&sim, "/users/nobody").await;
    assert_eq!((missing.status(), json(missing).await), (StatusCode::NOT_FOUND, json!({"message": "User not found"})));
}

#[tokio::test]
async fn scrolls_and_distance_can_be_null() {
    let sim = sim(WhatPulseConfig::default()).await;
    sim.pulse("ada", "desk", Counts { scrolls: None, distance_centimiles: None, ..counts(1) });
    let row = &json(get(&sim, "/users/ada/pulses").await).await["pulses"][0];
    assert_eq!((&row["scrolls"], &row["distance_miles"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn two_computers_pulse_in_the_same_second_and_are_told_apart_by_id_alone() {
    let sim = sim(WhatPulseConfig::default()).await;
    let ids = [sim.pulse("ada", "desk", counts(5)), sim.pulse("ada", "laptop", counts(5))];
    let body = json(get(&sim, "/users/ada/pulses").await).await;
    let found: Vec<u64> = (0..2).filter_map(|row| body["pulses"][row]["id"].as_u64()).collect();
    assert_eq!(found, [ids[1], ids[0]]);
    assert_eq!(body["pulses"][0]["date"], body["pulses"][1]["date"]);
    let computers = json(get(&sim, "/users/ada/computers").await).await;
    let laptop = computers["computers"][1]["id"].as_u64().unwrap();
    let only = json(get(&sim, &format!("/users/ada/pulses?computer_id={laptop}")).await).await;
    assert_eq!(only["pulses"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn pages_are_newest_first_and_their_absolute_links_lead_through_all_of_them() {
    let sim = sim(WhatPulseConfig::default()).await;
    for minute in 0..250 {
        sim.pulse_dated("ada", "desk", time(NOW) + SignedDuration::from_mins(minute), counts(minute));
    }
    let mut next = Some(format!("{}/users/ada/pulses?date_from=2026-07-01&per_page=100", sim.api_url()));
    let mut keys = Vec::new();
    let mut pages = 0;
    while let Some(address) = next {
        assert!(address.starts_with(&sim.api_url()), "{address}");
        let body = json(client().get(&address).bearer_auth("ada-key").send().await.unwrap()).await;
        keys.extend(body["pulses"].as_array().unwrap().iter().map(|row| row["keys"].as_i64().unwrap()));
        assert_eq!(body["filters"]["date_from"], "2026-07-01");
        next = body["links"]["next"].as_str().map(str::to_owned);
        pages += 1;
    }
    assert_eq!((pages, keys), (3, (0..250).rev().collect()));
}

#[tokio::test]
async fn an_empty_page_has_no_from_and_no_to() {
    let sim = sim(WhatPulseConfig::default()).await;
    let body = json(get(&sim, "/users/ada/pulses?page=4").await).await;
    assert_eq!((&body["pagination"]["from"], &body["pagination"]["to"]), (&Value::Null, &Value::Null));
    assert_eq!(body["pulses"], json!([]));
}

#[tokio::test]
async fn more_than_a_hundred_a_page_is_422_with_the_field_named() {
    let sim = sim(WhatPulseConfig::default()).await;
    let refused = get(&sim, "/users/ada/pulses?per_page=101").await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(json(refused).await["errors"]["per_page"][0], "The per page field must not be greater than 100.");
    assert_eq!(get(&sim, "/users/ada/pulses?per_page=100").await.status(), StatusCode::OK);
    assert_eq!(get(&sim, "/users/ada/pulses?date_from=soon").await.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn the_last_day_of_a_range_is_outside_unless_switched_in() {
    for (date_to_inclusive, rows) in [(false, 1), (true, 2)] {
        let sim = sim(WhatPulseConfig { date_to_inclusive, ..WhatPulseConfig::default() }).await;
        sim.pulse_dated("ada", "desk", time("2026-07-11T00:00:00Z"), counts(1));
        sim.pulse_dated("ada", "desk", time("2026-07-12T00:00:00Z"), counts(2));
        let body = json(get(&sim, "/users/ada/pulses?date_from=2026-07-11&date_to=2026-07-12").await).await;
        assert_eq!(body["pulses"].as_array().unwrap().len(), rows);
    }
}

#[tokio::test]
async fn a_vanished_pulse_is_in_no_answer() {
    let sim = sim(WhatPulseConfig::default()).await;
    let id = sim.pulse("ada", "desk", counts(1));
    assert!(sim.vanish("ada", id));
    assert!(!sim.vanish("ada", id));
    assert_eq!(json(get(&sim, "/users/ada/pulses").await).await["pulses"], json!([]));
}

#[tokio::test]
async fn an_unknown_and_a_replaced_key_are_401() {
    let sim = sim(WhatPulseConfig::default()).await;
    let without = client().get(format!("{}/users/ada", sim.api_url())).send().await.unwrap();
    assert_eq!(without.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(json(without).await, json!({"message": "Unauthenticated."}));
    sim.set_api_key("ada", "another");
    assert_eq!(get(&sim, "/users/ada").await.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_private_profile_answers_its_own_key_only() {
    let sim = sim(WhatPulseConfig::default()).await;
    sim.add_account(account("bob", 7));
    sim.set_private("bob", true);
    assert_eq!(get(&sim, "/users/bob/pulses").await.status(), StatusCode::FORBIDDEN);
    sim.set_private("ada", true);
    assert_eq!(get(&sim, "/users/ada/pulses").await.status(), StatusCode::OK);
    assert!(legacy(&sim, "/pulses.php?user=ada&format=json").await.contains("error"));
}

#[tokio::test]
async fn the_time_series_needs_premium() {
    let sim = sim(WhatPulseConfig::default()).await;
    assert_eq!(get(&sim, "/users/ada/time-series").await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_hundred_and_first_request_of_an_hour_is_429_with_headers_or_without() {
    for rate_headers in [true, false] {
        let sim = sim(WhatPulseConfig { rate_headers, ..WhatPulseConfig::default() }).await;
        for _ in 0..100 {
            assert_eq!(get(&sim, "/users/ada").await.status(), StatusCode::OK);
        }
        sim.clock().advance(SignedDuration::from_secs(600));
        let refused = get(&sim, "/users/ada").await;
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        let header = |name: &str| refused.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let expected = rate_headers.then(|| "3000".to_owned());
        assert_eq!(header("Retry-After"), expected);
        assert_eq!(header("X-RateLimit-Remaining"), rate_headers.then(|| "0".to_owned()));
        sim.clock().advance(SignedDuration::from_secs(3000));
        assert_eq!(get(&sim, "/users/ada").await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn legacy_is_xml_unless_asked_and_its_numbers_are_strings() {
    let sim = sim(WhatPulseConfig::default()).await;
    let id = sim.pulse("ada", "desk", counts(8421));
    assert!(legacy(&sim, "/pulses.php?user=ada").await.starts_with("<?xml"));
    let body: Value = serde_json::from_str(&legacy(&sim, "/pulses.php?user=ada&format=json").await).unwrap();
    assert_eq!(
        body[format!("Pulse-{id}")],
        json!({
            "Timedate": "2026-07-12 21:58:03", "Timestamp": "1783893483", "Keys": "8421", "Clicks": "3110",
            "DownloadMB": "1510", "UploadMB": "210", "UptimeSeconds": "41230", "Computer": "desk",
        })
    );
    assert!(legacy(&sim, "/pulses.php?user=ada&format=json&formatted=yes").await.contains("8,421"));
}

#[tokio::test]
async fn legacy_errors_come_with_200() {
    let sim = sim(WhatPulseConfig::default()).await;
    assert_eq!(legacy(&sim, "/pulses.php?user=ada&format=json").await, r#"{"error":"No pulses found!"}"#);
    assert_eq!(legacy(&sim, "/pulses.php?user=eve&format=json").await, r#"{"error":"Unknown UserID given!"}"#);
}

#[tokio::test]
async fn legacy_ignores_half_a_range_and_repeats_itself_for_an_hour() {
    let sim = sim(WhatPulseConfig::default()).await;
    sim.pulse_dated("ada", "desk", time("2026-07-01T00:00:00Z"), counts(1));
    let half = "/pulses.php?user=ada&format=json&start=1783800000";
    assert!(legacy(&sim, half).await.contains("Pulse-"));
    let whole = "/pulses.php?user=ada&format=json&start=1783800000&end=1783987200";
    assert!(legacy(&sim, whole).await.contains("No pulses found!"));
    sim.pulse("ada", "desk", counts(2));
    sim.clock().advance(SignedDuration::from_secs(3599));
    assert!(legacy(&sim, whole).await.contains("No pulses found!"));
    sim.clock().advance(SignedDuration::from_secs(1));
    assert!(legacy(&sim, whole).await.contains("Pulse-"));
}

#[tokio::test]
async fn legacy_shows_an_empty_map_as_an_array() {
    let sim = sim(WhatPulseConfig::default()).await;
    let body: Value = serde_json::from_str(&legacy(&sim, "/user.php?user=54321&format=json").await).unwrap();
    assert_eq!(body["Computers"], json!([]));
}

#[tokio::test]
async fn faults_strike_as_told_and_are_logged() {
    let sim = sim(WhatPulseConfig::default()).await;
    sim.pulse("ada", "desk", counts(1));
    let faults = sim.faults();
    faults.next(Some("ada"), Fault::Html(502), 1);
    let page = get(&sim, "/users/ada/pulses").await;
    assert_eq!(page.status(), StatusCode::BAD_GATEWAY);
    assert!(page.text().await.unwrap().starts_with("<html>"));
    faults.next(None, Fault::Unauthorised, 1);
    assert_eq!(get(&sim, "/users/ada").await.status(), StatusCode::UNAUTHORIZED);
    faults.next(None, Fault::TooManyRequests { retry_after_s: Some(7) }, 1);
    assert_eq!(get(&sim, "/users/ada").await.headers()["Retry-After"], "7");
    for (how, spoiled) in [
        (Spoiled::Missing, None),
        (Spoiled::Null, Some(Value::Null)),
        (Spoiled::WrongType, Some(json!({"unexpected": true}))),
    ] {
        faults.next(None, Fault::Malformed(Malformed { field: "keys".into(), how }), 1);
        let body = json(get(&sim, "/users/ada/pulses").await).await;
        assert_eq!(body["pulses"][0].get("keys"), spoiled.as_ref());
    }
    let statuses: Vec<Option<u16>> = sim.requests().of("ada").iter().map(|request| request.status).collect();
    assert_eq!(statuses, [Some(502), Some(401), Some(429), Some(200), Some(200), Some(200)]);
}

#[tokio::test]
async fn a_reset_leaves_the_client_without_an_answer_and_the_next_request_works() {
    let sim = sim(WhatPulseConfig::default()).await;
    sim.faults().next(Some("ada"), Fault::Reset, 1);
    let cut = client().get(format!("{}/users/ada", sim.api_url())).bearer_auth("ada-key").send().await;
    assert!(cut.is_err(), "{cut:?}");
    assert_eq!(sim.requests().all()[0].status, None);
    assert_eq!(get(&sim, "/users/ada").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_slow_answer_outlasts_an_impatient_client() {
    let sim = sim(WhatPulseConfig::default()).await;
    sim.faults().next(None, Fault::Slow(Duration::from_secs(30)), 1);
    let request = client().get(format!("{}/users/ada", sim.api_url())).bearer_auth("ada-key");
    let late = request.timeout(Duration::from_millis(100)).send().await.unwrap_err();
    assert!(late.is_timeout(), "{late:?}");
}
