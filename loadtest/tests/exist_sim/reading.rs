//! Profile, templates, attributes, values and their pages.

use loadtest::exist::{DailyValue, ExistConfig, Happening, Service, UserSpec};
use serde_json::{Value, json};

use super::Bench;

#[tokio::test]
async fn the_profile_names_the_zone_and_shows_its_time() {
    let bench = Bench::with(ExistConfig::default(), UserSpec::named("sam").living_in("Asia/Kathmandu")).await;
    let (status, profile) = bench.get("accounts/profile/").await;
    assert_eq!(status, 200);
    assert_eq!(profile["username"], "sam");
    assert_eq!(profile["timezone"], "Asia/Kathmandu");
    assert_eq!(profile["local_time"], "2026-03-28T17:45:00.000000+05:45");
    assert_eq!(profile["delinquent"], false);
    bench.sim.happen("sam", Happening::ZoneChange("Pacific/Auckland".to_owned()));
    let (_, profile) = bench.get("accounts/profile/").await;
    assert_eq!(profile["local_time"], "2026-03-29T01:00:00.000000+13:00");
}

#[tokio::test]
async fn templates_come_in_pages_whose_links_lead_to_the_host_that_was_asked() {
    let bench = Bench::new().await;
    let (status, page) = bench.get("attributes/templates/?limit=2&groups=productivity").await;
    assert_eq!(status, 200);
    assert_eq!(page["count"], 10);
    assert_eq!(page["previous"], Value::Null);
    let base = format!("{}/attributes/templates/?groups=productivity&limit=2", bench.sim.base_url());
    assert_eq!(page["next"], format!("{base}&page=2"));
    assert_eq!(
        page["results"][0],
        json!({"name": "productive_min", "label": "Productive time",
            "group": {"name": "productivity", "label": "Productivity", "priority": 2},
            "priority": 1, "value_type": 3, "value_type_description": "Period (min)"})
    );
    let (_, second) = bench.get("attributes/templates/?limit=2&groups=productivity&page=2").await;
    assert_eq!(second["previous"], base);
    assert_eq!(second["next"], format!("{base}&page=3"));
    let (status, beyond) = bench.get("attributes/templates/?limit=2&groups=productivity&page=6").await;
    assert_eq!((status, beyond), (404, json!({"detail": "Invalid page."})));
    let (_, plain) = bench.get("attributes/templates/").await;
    assert_eq!(plain["results"].as_array().unwrap().len(), 20);
    let (_, all) = bench.get("attributes/templates/?limit=5000").await;
    assert_eq!(all["results"].as_array().unwrap().len(), 86);
}

#[tokio::test]
async fn attributes_have_the_recorded_keys_in_the_recorded_order() {
    let bench = Bench::owning().await;
    let url = "attributes/?include_inactive=true&limit=100&page=1";
    let text = bench.getting(url).send().await.unwrap().text().await.unwrap();
    let first = concat!(
        r#"{"count":3,"next":null,"previous":null,"results":[{"template":"keystrokes","name":"keystrokes","#,
        r#""label":"Keystrokes","subgroup":null,"group":{"name":"productivity","label":"Productivity","priority":2},"#,
        r#""service":{"name":"tributary1234","label":"Tributary"},"active":true,"priority":5,"manual":false,"#,
        r#""value_type":0,"value_type_description":"Integer","available_services":[]}"#
    );
    assert!(text.starts_with(first), "{text}");
}

#[tokio::test]
async fn the_name_filter_of_attributes_is_ignored_unless_configured() {
    for (name_filter, count) in [(false, 3), (true, 1)] {
        let config = ExistConfig { name_filter, ..ExistConfig::default() };
        let bench = Bench::with(config, UserSpec::named("sam")).await;
        bench.own().await;
        let (_, page) = bench.get("attributes/?attributes=tv_min").await;
        assert_eq!(page["count"], count);
    }
}

#[tokio::test]
async fn a_released_attribute_hides_and_its_values_are_not_found() {
    let bench = Bench::owning().await;
    bench.post("update", json!([{"name": "tv_min", "date": "2026-03-27", "value": 40}])).await;
    bench.post("release", json!([{"name": "tv_min"}])).await;
    let count = async |path: &str| bench.get(path).await.1["count"].clone();
    assert_eq!(count("attributes/").await, 2);
    assert_eq!(count("attributes/?include_inactive=true").await, 3);
    assert_eq!(count("attributes/owned/?include_inactive=true").await, 2);
    assert_eq!(count("attributes/with-values/?attributes=tv_min").await, 0);
    assert_eq!(bench.get("attributes/values/?attribute=tv_min").await.0, 404);
    bench.post("acquire", json!([{"name": "tv_min"}])).await;
    let (_, page) = bench.get("attributes/values/?attribute=tv_min").await;
    assert_eq!(page["results"][1], json!({"date": "2026-03-27", "value": 40}));
}

#[tokio::test]
async fn owned_lists_what_is_ours_whatever_may_be_read() {
    let user = UserSpec::named("sam").allowing("productivity_write media_write finance_write");
    let bench = Bench::with(ExistConfig::default(), user).await;
    bench.own().await;
    let taken = Happening::OwnershipTaken { attribute: "tv_min".to_owned(), by: Service::named("other") };
    bench.sim.happen("sam", taken);
    let (_, page) = bench.get("attributes/owned/?limit=100").await;
    let names: Vec<_> = page["results"].as_array().unwrap().iter().map(|a| &a["name"]).collect();
    assert_eq!(names, ["keystrokes", "money_spent"]);
    assert_eq!(bench.get("attributes/").await.1["count"], 0);
    assert_eq!(bench.get("attributes/with-values/").await.1["count"], 0);
    let (status, page) = bench.get("attributes/values/?attribute=keystrokes").await;
    assert_eq!((status, &page["count"]), (200, &json!(0)));
}

#[tokio::test]
async fn with_values_gives_stored_days_only_newest_first() {
    let bench = Bench::owning().await;
    for (date, value) in [("2026-03-24", 4), ("2026-03-26", 6), ("2026-03-27", 7)] {
        bench.post("update", json!([{"name": "keystrokes", "date": date, "value": value}])).await;
    }
    let url = "attributes/with-values/?attributes=keystrokes&days=4&date_max=2026-03-27";
    let (_, page) = bench.get(url).await;
    let found = &page["results"][0];
    assert_eq!(
        found["values"],
        json!([{"date": "2026-03-27", "value": 7}, {"date": "2026-03-26", "value": 6}, {"date": "2026-03-24", "value": 4}])
    );
    assert_eq!(found.get("available_services"), None);
    let (_, page) = bench.get("attributes/with-values/?templates=keystrokes").await;
    // Seeded when it was acquired: nobody wrote this 0.
    assert_eq!(page["results"][0]["values"], json!([{"date": "2026-03-28", "value": 0}]));
    let (status, _) = bench.get("attributes/with-values/?date_max=yesterday").await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn every_day_is_listed_with_null_when_configured_so() {
    let config = ExistConfig { every_day: true, ..ExistConfig::default() };
    let bench = Bench::with(config, UserSpec::named("sam")).await;
    bench.own().await;
    bench.post("update", json!([{"name": "tv_min", "date": "2026-03-26", "value": 6}])).await;
    let all = json!([{"date": "2026-03-28", "value": 0}, {"date": "2026-03-27", "value": null}, {"date": "2026-03-26", "value": 6}]);
    let (_, page) = bench.get("attributes/with-values/?attributes=tv_min&days=3").await;
    assert_eq!(page["results"][0]["values"], all);
    let (_, page) = bench.get("attributes/values/?attribute=tv_min").await;
    assert_eq!(page["results"], all);
}

#[tokio::test]
async fn values_are_paged_and_bounded_by_date_max() {
    let bench = Bench::owning().await;
    for day in 20..=27 {
        let date = format!("2026-03-{day}");
        bench.post("update", json!([{"name": "keystrokes", "date": date, "value": day}])).await;
    }
    let (_, page) = bench.get("attributes/values/?limit=2&attribute=keystrokes&date_max=2026-03-24").await;
    assert_eq!(page["count"], 5);
    assert_eq!(page["results"], json!([{"date": "2026-03-24", "value": 24}, {"date": "2026-03-23", "value": 23}]));
    let next = page["next"].as_str().unwrap();
    assert!(next.ends_with("?attribute=keystrokes&date_max=2026-03-24&limit=2&page=2"), "{next}");
    assert_eq!(bench.get("attributes/values/").await.0, 400);
    assert_eq!(bench.get("attributes/values/?attribute=nothing").await.0, 404);
}

#[tokio::test]
async fn decimals_are_read_back_exactly() {
    let bench = Bench::owning().await;
    // Not representable as a double, and a spelling with more digits than it needs.
    let body = r#"[{"name":"money_spent","date":"2026-03-27","value":1234567890123456.07},
        {"name":"money_spent","date":"2026-03-26","value":42.50}]"#;
    let url = format!("{}/attributes/update/", bench.sim.base_url());
    let request = bench.http.post(url).bearer_auth(&bench.token).header("content-type", "application/json");
    let text = request.body(body).send().await.unwrap().text().await.unwrap();
    assert!(text.contains(r#""date":"2026-03-26","value":42.5}"#), "{text}");
    assert_eq!(bench.held("money_spent", "2026-03-27").as_deref(), Some("1234567890123456.07"));
    let url = "attributes/values/?attribute=money_spent&date_max=2026-03-27&limit=1";
    let text = bench.getting(url).send().await.unwrap().text().await.unwrap();
    assert!(text.contains(r#"{"date":"2026-03-27","value":1234567890123456.07}"#), "{text}");
}

#[tokio::test]
async fn a_user_s_edit_shows_and_counts_as_no_write() {
    let bench = Bench::owning().await;
    let edit = Happening::UserEdit {
        attribute: "tv_min".to_owned(),
        date: "2026-03-28".parse().unwrap(),
        value: DailyValue::from(90),
    };
    bench.sim.happen("sam", edit);
    let (_, page) = bench.get("attributes/values/?attribute=tv_min").await;
    assert_eq!(page["results"], json!([{"date": "2026-03-28", "value": 90}]));
    assert_eq!(bench.writes("tv_min", "2026-03-28"), 0);
}

#[tokio::test]
async fn a_path_without_its_slash_redirects_and_an_unknown_one_is_html() {
    let bench = Bench::new().await;
    let response = bench.getting("attributes/owned").send().await.unwrap();
    assert_eq!(response.status(), 301);
    assert_eq!(response.headers()["location"], "/api/2/attributes/owned/");
    let (status, body) = bench.get("nothing/").await;
    assert_eq!(status, 404);
    assert!(body.as_str().unwrap().starts_with("<html>"));
    let (status, body) = bench.get("attributes/update/").await;
    assert_eq!((status, body), (405, json!({"detail": "Method \"GET\" not allowed."})));
}
