//! Each fault, seen from the client and from the judge.

use std::error::Error;
use std::io;
use std::time::Duration;

use loadtest::exist::{
    DailyValue, Endpoint, ExistConfig, ExistSim, Fault, Happening, ItemPick, Rule, Service, UserSpec,
};
use serde_json::{Value, json};

use super::{Bench, code, read};

const DAY: &str = "2026-03-27";

fn five() -> Value {
    json!([{"name": "tv_min", "date": DAY, "value": 5}])
}

/// Whether the connection was reset without a byte of an answer.
fn is_reset(error: &reqwest::Error) -> bool {
    let mut cause: Option<&dyn Error> = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::ConnectionReset) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[tokio::test]
async fn a_reset_after_the_commit_leaves_the_increment_applied() {
    let bench = Bench::owning().await;
    bench.sim.faults().next("sam", Fault::CommitThenReset, 1);
    // Reads do not meet it.
    assert_eq!(bench.get("attributes/owned/").await.0, 200);
    let error = bench.posting("increment", &five()).send().await.unwrap_err();
    assert!(is_reset(&error), "{error:?}");
    assert_eq!(bench.held("tv_min", DAY).as_deref(), Some("5"));
    let log = bench.sim.log();
    let last = log.entries().last().unwrap();
    assert_eq!((last.status, last.faults.as_slice()), (None, ["commit_then_reset"].as_slice()));
    // Once only.
    assert_eq!(bench.post("increment", five()).await.0, 200);
    assert_eq!(bench.writes("tv_min", DAY), 2);
}

#[tokio::test]
async fn what_others_put_on_a_day_is_told_apart_from_what_clients_write() {
    let bench = Bench::new().await;
    let day = DAY.parse().unwrap();
    bench.sim.keep_by_hand("sam", "tv_min", [(day, DailyValue::from(30))]);
    bench.own().await;
    let edit = |value: i64| Happening::UserEdit { attribute: "tv_min".into(), date: day, value: value.into() };
    assert_eq!(bench.post("increment", five()).await.0, 200);
    bench.sim.happen("sam", edit(32));
    assert_eq!(bench.post("increment", five()).await.0, 200);
    assert_eq!(bench.held("tv_min", DAY).as_deref(), Some("37"));
    // Thirty stood there, and the edit took three away; the other ten came from the client.
    let foreign = bench.sim.foreign("sam");
    assert_eq!(foreign[&("tv_min".to_owned(), day)], 27.into());
    assert_eq!(foreign.len(), 1, "{foreign:?}");
}

#[tokio::test]
async fn a_reset_before_the_commit_leaves_nothing() {
    let bench = Bench::owning().await;
    bench.sim.faults().next("sam", Fault::ResetBeforeCommit, 1);
    assert!(is_reset(&bench.posting("increment", &five()).send().await.unwrap_err()));
    assert_eq!(bench.writes("tv_min", DAY), 0);
}

#[tokio::test]
async fn a_bad_gateway_speaks_html_with_or_without_the_commit() {
    let bench = Bench::owning().await;
    for (fault, status, writes) in
        [(Fault::CommitThenStatus(502), 502, 1), (Fault::CommitThenStatus(504), 504, 2), (Fault::Status(503), 503, 2)]
    {
        bench.sim.faults().next("sam", fault, 1);
        let response = bench.posting("increment", &five()).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/html");
        let (got, body) = read(response).await;
        assert_eq!(got, status);
        assert!(body.as_str().unwrap().contains("nginx"));
        assert_eq!(bench.writes("tv_min", DAY), writes);
    }
}

#[tokio::test]
async fn a_late_commit_happens_although_the_client_hung_up() {
    let bench = Bench::owning().await;
    bench.sim.faults().next("sam", Fault::CommitLate(Duration::from_millis(400)), 1);
    let sent = bench.posting("increment", &five()).timeout(Duration::from_millis(100)).send().await;
    assert!(sent.unwrap_err().is_timeout());
    assert_eq!(bench.writes("tv_min", DAY), 0);
    bench.once(|| bench.writes("tv_min", DAY) == 1).await;
}

#[tokio::test]
async fn a_late_answer_was_committed_first() {
    let bench = Bench::owning().await;
    bench.sim.faults().next("sam", Fault::AnswerLate(Duration::from_millis(300)), 1);
    let asked = five();
    let (answer, ()) = tokio::join!(bench.post("increment", asked), async {
        bench.once(|| bench.writes("tv_min", DAY) == 1).await;
        assert_eq!(bench.sim.log().entries().last().unwrap().status, None);
    });
    assert_eq!(answer.0, 200);
}

#[tokio::test]
async fn shuffled_answers_leave_no_item_in_its_place() {
    let bench = Bench::owning().await;
    bench.sim.faults().always(Fault::Shuffle);
    let items: Vec<_> =
        (1..=9).map(|n| json!({"name": "tv_min", "date": format!("2026-03-0{n}"), "value": n})).collect();
    let (_, body) = bench.post("update", json!(items)).await;
    let answered = body["success"].as_array().unwrap();
    assert!(items.iter().zip(answered).all(|(sent, got)| sent != got), "{body}");
    assert!(items.iter().all(|sent| answered.contains(sent)));
}

#[tokio::test]
async fn a_chosen_item_fails_with_any_code_and_the_rest_is_applied() {
    let bench = Bench::owning().await;
    for (item, code_sent) in [
        (ItemPick::Dated("tv_min".to_owned(), DAY.parse().unwrap()), "validation"),
        (ItemPick::Named("tv_min".to_owned()), "full_moon"),
        (ItemPick::At(1), "unauthorised"),
    ] {
        bench.sim.faults().next("sam", Fault::FailItem { item, code: code_sent.to_owned(), text: "No.".to_owned() }, 1);
        // A request without the item does not use the fault up.
        bench.post("update", json!([{"name": "keystrokes", "date": DAY, "value": 1}])).await;
        let items =
            json!([{"name": "keystrokes", "date": DAY, "value": 1}, {"name": "tv_min", "date": DAY, "value": 5}]);
        let (status, body) = bench.post("update", items).await;
        assert_eq!((status, code(&body)), (202, code_sent));
        assert_eq!(body["failed"][0]["error"], "No.");
        assert_eq!(body["success"].as_array().unwrap().len(), 1);
    }
    assert_eq!((bench.writes("keystrokes", DAY), bench.writes("tv_min", DAY)), (6, 0));
}

#[tokio::test]
async fn a_401_in_mid_run_passes() {
    let bench = Bench::owning().await;
    bench.sim.faults().next("sam", Fault::Unauthorised, 1);
    assert_eq!(bench.post("update", five()).await, (401, json!({"detail": "Invalid token"})));
    assert_eq!(bench.post("update", five()).await.0, 200);
    assert_eq!(bench.writes("tv_min", DAY), 1);
}

#[tokio::test]
async fn a_429_comes_with_or_without_a_wait_and_a_body() {
    let bench = Bench::owning().await;
    bench.sim.faults().next("sam", Fault::TooManyRequests { retry_after: None, detail: false }, 1);
    let response = bench.posting("update", &five()).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers().get("retry-after")), (429, None));
    assert_eq!(response.text().await.unwrap(), "");
    let wait = Some(Duration::from_secs(30));
    bench.sim.faults().next("sam", Fault::TooManyRequests { retry_after: wait, detail: true }, 1);
    let response = bench.posting("update", &five()).send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "30");
    assert_eq!(read(response).await.1, json!({"detail": "Request was throttled. Expected available in 30 seconds."}));
    bench.sim.clock().advance(Duration::from_secs(29));
    assert_eq!(bench.post("update", five()).await.0, 200);
    assert_eq!(bench.sim.log().too_early().entries().len(), 1);
}

#[tokio::test]
async fn the_world_changes_between_two_calls() {
    let bench = Bench::owning().await;
    let day = DAY.parse().unwrap();
    let edit =
        |value| Happening::UserEdit { attribute: "tv_min".to_owned(), date: day, value: DailyValue::from(value) };
    bench.sim.faults().next("sam", Fault::Before(edit(100)), 1);
    bench.sim.faults().next("sam", Fault::After(edit(7)), 1);
    let (_, body) = bench.post("increment", five()).await;
    assert_eq!(body["success"][0]["current"], 105);
    assert_eq!(bench.held("tv_min", DAY).as_deref(), Some("7"));
    let taken = Happening::OwnershipTaken { attribute: "tv_min".to_owned(), by: Service::named("other") };
    bench.sim.faults().next("sam", Fault::Before(taken), 1);
    assert_eq!(code(&bench.post("increment", five()).await.1), "unauthorised");
    bench.sim.faults().next("sam", Fault::Before(Happening::ZoneChange("Asia/Tokyo".to_owned())), 1);
    assert_eq!(bench.get("accounts/profile/").await.1["timezone"], "Asia/Tokyo");
    bench.sim.faults().next("sam", Fault::Before(Happening::Revoke), 1);
    assert_eq!(bench.get("accounts/profile/").await.0, 401);
}

#[tokio::test]
async fn unknown_keys_appear_and_subgroup_disappears() {
    let bench = Bench::owning().await;
    bench.sim.faults().always(Fault::ExtraKey);
    bench.sim.faults().always(Fault::NoSubgroup);
    let (_, page) = bench.get("attributes/").await;
    assert!(page["results"][0].get("colour").is_some() && page["results"][0].get("subgroup").is_none());
    let (_, body) = bench.post("update", five()).await;
    assert!(body["success"][0].get("colour").is_some());
    bench.sim.faults().clear();
    let (_, page) = bench.get("attributes/").await;
    assert!(page["results"][0].get("colour").is_none() && page["results"][0].get("subgroup").is_some());
}

#[tokio::test]
async fn a_lost_answer_to_a_refresh_has_killed_the_pair() {
    let bench = Bench::new().await;
    bench.sim.faults().add(Rule::new(Fault::CommitThenReset).of("sam").on([Endpoint::AccessToken]).times(1));
    let url = format!("{}/access_token", bench.sim.oauth_url());
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", "sam-refresh"),
        ("client_id", "sim-client"),
        ("client_secret", "sim-secret"),
    ];
    assert!(is_reset(&bench.http.post(url).form(&form).send().await.unwrap_err()));
    assert_eq!(bench.token_call(&form).await, (400, json!({"error": "invalid_grant"})));
}

#[tokio::test]
async fn a_fault_of_one_user_spares_the_others() {
    let bench = Bench::new().await;
    bench.sim.add_user(UserSpec::named("kim"));
    bench.sim.faults().add(Rule::new(Fault::Status(500)).of("kim"));
    assert_eq!(bench.get("accounts/profile/").await.0, 200);
    let url = format!("{}/accounts/profile/", bench.sim.base_url());
    assert_eq!(bench.http.get(url).bearer_auth("kim-access").send().await.unwrap().status(), 500);
}

#[tokio::test]
async fn chances_follow_the_seed() {
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let bench = Bench::with(ExistConfig { seed, ..ExistConfig::default() }, UserSpec::named("sam")).await;
        bench.sim.faults().chance(300, Fault::Status(502));
        let mut statuses = Vec::new();
        for _ in 0..60 {
            statuses.push(bench.get("accounts/profile/").await.0);
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    let failed = runs[0].iter().filter(|status| **status == 502).count();
    assert!((5..40).contains(&failed), "{failed} of 60 at 300 in 1000");
}

#[tokio::test]
async fn a_refusal_and_a_lost_answer_are_met_by_two_requests() {
    let bench = Bench::owning().await;
    bench.sim.faults().next("sam", Fault::CommitThenReset, 1);
    bench.sim.faults().next("sam", Fault::Status(500), 1);
    assert_eq!(bench.sim.faults().left(), 2);
    assert!(bench.posting("update", &five()).send().await.is_err());
    assert_eq!(bench.post("update", five()).await.0, 500);
    assert_eq!((bench.sim.faults().left(), bench.writes("tv_min", DAY)), (0, 1));
}

#[tokio::test]
async fn dropping_the_last_handle_cuts_every_connection() {
    let bench = Bench::new().await;
    let Bench { sim, http, .. } = bench;
    let url = format!("{}/accounts/profile/", sim.base_url());
    let second: ExistSim = sim.clone();
    drop(sim);
    assert_eq!(http.get(&url).bearer_auth("sam-access").send().await.unwrap().status(), 200);
    second.faults().always(Fault::AnswerLate(Duration::from_secs(3600)));
    let asked = http.get(&url).bearer_auth("sam-access").send();
    let (answer, ()) = tokio::join!(asked, async move {
        second.until(|sim| sim.log().entries().len() == 2).await;
    });
    assert!(answer.is_err());
}
