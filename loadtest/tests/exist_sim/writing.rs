//! Update and increment: values, codes, partial success.

use loadtest::exist::{ExistConfig, Happening, Service, UserSpec};
use serde_json::{Value, json};

use super::{Bench, code};

#[tokio::test]
async fn an_update_sets_the_total_and_repeating_it_changes_nothing() {
    let bench = Bench::owning().await;
    let items = json!([{"name": "keystrokes", "date": "2026-03-27", "value": 18250},
        {"name": "money_spent", "date": "2026-03-27", "value": 42.5}]);
    for times in 1..=2 {
        let (status, body) = bench.post("update", items.clone()).await;
        assert_eq!(status, 200);
        assert_eq!(body, json!({"success": items, "failed": []}));
        assert_eq!(bench.held("keystrokes", "2026-03-27").as_deref(), Some("18250"));
        assert_eq!(bench.writes("keystrokes", "2026-03-27"), times);
    }
}

#[tokio::test]
async fn an_increment_adds_and_tells_the_new_total() {
    let bench = Bench::owning().await;
    for (sent, current) in [(120, 120), (30, 150)] {
        let (status, body) =
            bench.post("increment", json!([{"name": "tv_min", "date": "2026-03-20", "value": sent}])).await;
        assert_eq!(status, 200);
        assert_eq!(
            body["success"],
            json!([{"name": "tv_min", "date": "2026-03-20", "value": sent, "current": current}])
        );
    }
    assert_eq!(bench.writes("tv_min", "2026-03-20"), 2);
}

#[tokio::test]
async fn an_increment_without_a_date_goes_to_the_user_s_local_day() {
    let user = UserSpec::named("sam").living_in("Pacific/Auckland");
    let bench = Bench::with(ExistConfig::default(), user).await;
    bench.own().await;
    let (_, body) = bench.post("increment", json!([{"name": "tv_min", "value": 5}])).await;
    assert_eq!(body["success"], json!([{"name": "tv_min", "value": 5, "current": 5}]));
    assert_eq!(bench.held("tv_min", "2026-03-29").as_deref(), Some("5"));
    assert_eq!(bench.held("tv_min", "2026-03-28"), None);
}

#[tokio::test]
async fn one_bad_item_fails_alone_with_its_echo() {
    let bench = Bench::owning().await;
    let mut items: Vec<Value> = (1..=34)
        .map(|n| json!({"name": "keystrokes", "date": format!("2026-02-{:02}", n % 28 + 1), "value": n}))
        .collect();
    items.insert(17, json!({"name": "tv_min", "date": "2026-03-27"}));
    let (status, body) = bench.post("update", json!(items)).await;
    assert_eq!(status, 202);
    assert_eq!(body["success"].as_array().unwrap().len(), 34);
    assert_eq!(
        body["failed"],
        json!([{"name": "tv_min", "date": "2026-03-27", "error_code": "missing_field",
            "error": "Object at index 17 missing field(s) 'value'"}])
    );
    assert_eq!(bench.sim.log().largest_write(), 35);
}

#[tokio::test]
async fn each_refusal_has_its_code_and_text() {
    let bench = Bench::owning().await;
    bench
        .post(
            "acquire",
            json!([{"template": "mood"}, {"template": "body_fat"}, {"template": "steps"}, {"template": "mood_note"}]),
        )
        .await;
    let taken = Happening::OwnershipTaken { attribute: "steps".to_owned(), by: Service::named("other") };
    bench.sim.happen("sam", taken);
    let float = "Cannot apply a float to an integer type";
    let cases = [
        (
            "update",
            json!({"name": "nope", "date": "2026-03-27", "value": 1}),
            "not_found",
            "User doesn't have an attribute named 'nope'",
        ),
        ("increment", json!({"name": "nope", "value": 1}), "not_found", "User doesn't have an attribute named 'nope'"),
        (
            "update",
            json!({"name": "steps", "date": "2026-03-27", "value": 1.5}),
            "unauthorised",
            "Attribute 'steps' does not belong to this service",
        ),
        (
            "increment",
            json!({"name": "steps", "value": 1}),
            "unauthorised",
            "Attribute 'steps' does not belong to this service",
        ),
        (
            "update",
            json!({"name": "keystrokes"}),
            "missing_field",
            "Object at index 0 missing field(s) 'date', 'value'",
        ),
        ("increment", json!({"name": "keystrokes"}), "missing_field", "Object at index 0 missing field(s) 'value'"),
        ("increment", json!({"name": "tv_min", "value": 9.0}), "validation", float),
        ("update", json!({"name": "tv_min", "date": "2026-03-27", "value": 9.0}), "validation", float),
        ("update", json!({"name": "keystrokes", "date": "2026-03-27", "value": "9"}), "validation", ""),
        ("update", json!({"name": "keystrokes", "date": "2026-03-27", "value": -9}), "validation", ""),
        ("update", json!({"name": "keystrokes", "date": "2026-03-27", "value": 2_147_483_648_i64}), "validation", ""),
        (
            "update",
            json!({"name": "body_fat", "date": "2026-03-27", "value": 20}),
            "validation",
            "Value must be a float between 0 and 1",
        ),
        ("update", json!({"name": "mood", "date": "2026-03-27", "value": 10}), "validation", ""),
        ("update", json!({"name": "mood_note", "date": "2026-03-27", "value": "x".repeat(1001)}), "validation", ""),
        ("increment", json!({"name": "mood", "value": 1}), "validation", ""),
        ("increment", json!({"name": "mood_note", "value": "x"}), "validation", ""),
        ("increment", json!({"name": "tv_min", "value": -5}), "validation", ""),
        ("increment", json!({"name": "money_spent", "value": -0.5}), "validation", ""),
        ("update", json!({"name": "keystrokes", "date": "2026-3-27", "value": 9}), "validation", ""),
        ("update", json!({"name": "keystrokes", "date": "2026-03-30", "value": 9}), "validation", ""),
        ("update", json!({"name": "keystrokes", "date": "2026-03-28", "value": null}), "validation", ""),
    ];
    for (verb, item, expected, text) in cases {
        let (status, body) = bench.post(verb, json!([item])).await;
        assert_eq!(status, 202, "{item}");
        assert_eq!(code(&body), expected, "{body}");
        let said = body["failed"][0]["error"].as_str().unwrap();
        assert!(text.is_empty() || said == text, "{said}");
        assert_eq!(body["success"], json!([]));
    }
    assert!(bench.sim.writes("sam").is_empty());
}

#[tokio::test]
async fn what_is_allowed_at_the_edges_is_taken() {
    let bench = Bench::owning().await;
    bench.post("acquire", json!([{"template": "mood"}])).await;
    let (status, body) = bench
        .post(
            "update",
            json!([
                {"name": "mood", "date": "2026-03-28", "value": null},
                {"name": "mood", "date": "2026-03-29", "value": 9},
                {"name": "keystrokes", "date": "1999-12-31", "value": 2_147_483_647},
                {"name": "money_spent", "date": "2026-03-28", "value": 12},
                {"name": "money_spent", "date": "2026-03-27", "value": -3.25},
            ]),
        )
        .await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn negative_increments_are_taken_when_configured_but_never_for_durations() {
    let config = ExistConfig { negative_increments: true, ..ExistConfig::default() };
    let bench = Bench::with(config, UserSpec::named("sam")).await;
    bench.own().await;
    let (status, body) = bench
        .post(
            "increment",
            json!([{"name": "money_spent", "date": "2026-03-27", "value": -0.1},
            {"name": "tv_min", "date": "2026-03-27", "value": -1}]),
        )
        .await;
    assert_eq!(status, 202);
    assert_eq!(body["success"][0]["current"], -0.1);
    assert_eq!(code(&body), "validation");
}

#[tokio::test]
async fn a_body_that_is_no_list_or_too_long_changes_nothing() {
    let bench = Bench::owning().await;
    let item = json!({"name": "keystrokes", "date": "2026-03-27", "value": 1});
    for bad in [item.clone(), json!([]), json!([1]), json!(vec![item.clone(); 36])] {
        let (status, body) = bench.post("update", bad).await;
        assert_eq!(status, 400);
        assert!(body["detail"].is_string(), "{body}");
    }
    let request = bench.posting("update", &json!([])).body("[{");
    assert_eq!(request.send().await.unwrap().status(), 400);
    let url = format!("{}/attributes/update/", bench.sim.base_url());
    let request = bench.http.post(url).bearer_auth(&bench.token).body(json!([item]).to_string());
    assert_eq!(request.send().await.unwrap().status(), 415);
    assert!(bench.sim.writes("sam").is_empty());
}

#[tokio::test]
async fn thirty_six_items_pass_where_the_limit_is_set_so() {
    let config = ExistConfig { batch_max: 36, ..ExistConfig::default() };
    let bench = Bench::with(config, UserSpec::named("sam")).await;
    bench.own().await;
    let item = json!({"name": "keystrokes", "date": "2026-03-27", "value": 1});
    assert_eq!(bench.post("update", json!(vec![item; 36])).await.0, 200);
    // Both counted, and noticed.
    assert_eq!(bench.sim.log().repeating().entries()[0].repeated.len(), 35);
}

#[tokio::test]
async fn a_lost_write_scope_shows_per_item() {
    let bench = Bench::owning().await;
    let narrower = UserSpec { access_token: "later".to_owned(), ..UserSpec::named("sam").allowing("media_write") };
    bench.sim.add_user(narrower);
    let request = bench.http.post(format!("{}/attributes/update/", bench.sim.base_url())).bearer_auth("later");
    let items = json!([{"name": "keystrokes", "date": "2026-03-27", "value": 1}, {"name": "tv_min", "date": "2026-03-27", "value": 1}]);
    let (status, body) = super::read(request.json(&items).send().await.unwrap()).await;
    assert_eq!((status, code(&body)), (202, "not_allowed"));
    assert_eq!(body["failed"][0]["error"], "No permission to write to attributes in group 'productivity'");
}
