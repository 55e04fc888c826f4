//! Authorisation, the exchange, the refresh, expiry and revocation.

use std::time::Duration;

use loadtest::exist::{CODE_LIFE, Endpoint, ExistConfig, Happening, UserSpec};
use serde_json::json;

use super::Bench;

const CALLBACK: &str = "http://localhost:8000/oauth/exist/callback";

async fn authorize(bench: &Bench, scope: &str) -> (u16, String) {
    let url = format!("{}/authorize", bench.sim.oauth_url());
    let query = [
        ("response_type", "code"),
        ("client_id", "sim-client"),
        ("redirect_uri", CALLBACK),
        ("scope", scope),
        ("state", "s1"),
    ];
    let response = bench.http.get(url).query(&query).send().await.unwrap();
    let location = response.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), location.unwrap_or_default())
}

fn code_in(location: &str) -> String {
    let url = url::Url::parse(location).unwrap();
    url.query_pairs().find(|(key, _)| key == "code").unwrap().1.into_owned()
}

async fn exchange(bench: &Bench, code: &str) -> (u16, serde_json::Value) {
    bench
        .token_call(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("client_id", "sim-client"),
            ("client_secret", "sim-secret"),
            ("redirect_uri", CALLBACK),
        ])
        .await
}

async fn refresh(bench: &Bench, token: &str) -> (u16, serde_json::Value) {
    bench
        .token_call(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", "sim-client"),
            ("client_secret", "sim-secret"),
        ])
        .await
}

#[tokio::test]
async fn a_code_is_exchanged_once_for_a_pair_that_replaces_the_old_one() {
    let mut bench = Bench::new().await;
    let (status, location) = authorize(&bench, "media_write media_read").await;
    assert_eq!(status, 302);
    assert!(location.starts_with(CALLBACK) && location.ends_with("&state=s1"), "{location}");
    let code = code_in(&location);
    let (status, pair) = exchange(&bench, &code).await;
    assert_eq!(status, 200);
    assert_eq!(pair["token_type"], "Bearer");
    assert_eq!(pair["expires_in"], 31_535_999);
    assert_eq!(pair["scope"], "media_write media_read");
    assert_eq!(pair["access_token"].as_str().unwrap().len(), 40);
    assert_eq!(bench.get("accounts/profile/").await.0, 401);
    bench.token = pair["access_token"].as_str().unwrap().to_owned();
    assert_eq!(bench.get("accounts/profile/").await.0, 200);
    assert_eq!(exchange(&bench, &code).await, (400, json!({"error": "invalid_grant"})));
}

#[tokio::test]
async fn a_code_dies_after_ten_minutes() {
    let bench = Bench::new().await;
    let code = code_in(&authorize(&bench, "media_write").await.1);
    bench.sim.clock().advance(CODE_LIFE);
    assert_eq!(exchange(&bench, &code).await.1, json!({"error": "invalid_grant"}));
}

#[tokio::test]
async fn a_user_who_cancels_comes_back_with_access_denied() {
    let bench = Bench::new().await;
    bench.sim.at_the_browser("sam", false);
    let (_, location) = authorize(&bench, "media_write").await;
    assert_eq!(location, format!("{CALLBACK}?error=access_denied&state=s1"));
}

#[tokio::test]
async fn wrong_authorisations_stay_on_a_plain_page() {
    let bench = Bench::new().await;
    assert_eq!(authorize(&bench, "media_write+media_read").await, (400, String::new()));
    assert_eq!(authorize(&bench, "").await.0, 400);
    let config = ExistConfig { redirect_uri: Some("https://elsewhere.example/".to_owned()), ..ExistConfig::default() };
    let bench = Bench::with(config, UserSpec::named("sam")).await;
    assert_eq!(authorize(&bench, "media_write").await.0, 400);
}

#[tokio::test]
async fn a_refresh_kills_the_old_pair_at_once() {
    let mut bench = Bench::new().await;
    let (status, pair) = refresh(&bench, "sam-refresh").await;
    assert_eq!(status, 200);
    let (status, body) = bench.get("attributes/owned/").await;
    assert_eq!((status, body), (401, json!({"detail": "Invalid token"})));
    assert_eq!(refresh(&bench, "sam-refresh").await, (400, json!({"error": "invalid_grant"})));
    bench.token = pair["access_token"].as_str().unwrap().to_owned();
    assert_eq!(bench.get("attributes/owned/").await.0, 200);
    assert_eq!(refresh(&bench, pair["refresh_token"].as_str().unwrap()).await.0, 200);
    let log = bench.sim.log();
    assert_eq!(log.of("sam").counts()[&Endpoint::AccessToken], 2);
    assert_eq!(log.entries().iter().filter_map(|entry| entry.token).collect::<Vec<_>>(), [2]);
}

#[tokio::test]
async fn the_token_endpoint_names_what_is_wrong() {
    let bench = Bench::new().await;
    for (form, expected) in [
        (vec![], "invalid_request"),
        (vec![("grant_type", "refresh_token"), ("client_id", "sim-client"), ("client_secret", "no")], "invalid_client"),
        (
            vec![("grant_type", "refresh_token"), ("client_id", "sim-client"), ("client_secret", "sim-secret")],
            "invalid_request",
        ),
        (
            vec![("grant_type", "password"), ("client_id", "sim-client"), ("client_secret", "sim-secret")],
            "unsupported_grant_type",
        ),
    ] {
        assert_eq!(bench.token_call(&form).await, (400, json!({"error": expected})));
    }
}

#[tokio::test]
async fn an_expired_token_is_refused_and_still_refreshes() {
    let user = UserSpec { expires_in: Duration::from_secs(60), ..UserSpec::named("sam") };
    let bench = Bench::with(ExistConfig::default(), user).await;
    bench.sim.clock().advance(Duration::from_secs(59));
    assert_eq!(bench.get("accounts/profile/").await.0, 200);
    bench.sim.clock().advance(Duration::from_secs(1));
    let response = bench.getting("accounts/profile/").send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Bearer realm=\"api\"");
    assert_eq!(refresh(&bench, "sam-refresh").await.0, 200);
}

#[tokio::test]
async fn no_credentials_have_their_own_text() {
    let bench = Bench::new().await;
    let url = format!("{}/accounts/profile/", bench.sim.base_url());
    let (status, body) = super::read(bench.http.get(url).send().await.unwrap()).await;
    assert_eq!((status, body), (401, json!({"detail": "Authentication credentials were not provided."})));
}

#[tokio::test]
async fn revoking_kills_the_pair_and_leaves_attributes_unowned() {
    let bench = Bench::owning().await;
    bench.sim.happen("sam", Happening::Revoke);
    assert_eq!(bench.get("attributes/owned/").await.0, 401);
    assert_eq!(refresh(&bench, "sam-refresh").await.0, 400);
    let states = bench.sim.attributes("sam");
    assert!(states.values().all(|state| state.owner.is_none() && !state.active));
    let code = code_in(&authorize(&bench, "media_write").await.1);
    assert_eq!(exchange(&bench, &code).await.0, 200);
}
