//! Acquire, release, create.

use loadtest::exist::{ExistConfig, Happening, Service, UserSpec, ValueType};
use serde_json::{Value, json};

use super::{Bench, code, read};

async fn full(bench: &Bench, verb: &str, items: Value) -> (u16, Value) {
    read(bench.posting(verb, &items).query(&[("success_objects", "1")]).send().await.unwrap()).await
}

#[tokio::test]
async fn acquiring_a_template_creates_and_seeds_what_the_user_lacks() {
    let bench = Bench::new().await;
    let (status, body) =
        full(&bench, "acquire", json!([{"template": "keystrokes", "manual": false}, {"template": "mood"}])).await;
    assert_eq!(status, 200);
    assert_eq!(
        body["success"][0],
        json!({"template": "keystrokes", "name": "keystrokes", "label": "Keystrokes", "subgroup": null,
            "group": {"name": "productivity", "label": "Productivity", "priority": 2},
            "service": {"name": "tributary1234", "label": "Tributary"}, "active": true, "priority": 5,
            "manual": false, "value_type": 0, "value_type_description": "Integer", "available_services": []})
    );
    let (_, page) = bench.get("attributes/with-values/").await;
    let seeds: Vec<_> = page["results"].as_array().unwrap().iter().map(|a| &a["values"][0]["value"]).collect();
    assert_eq!(seeds, [&json!(0), &Value::Null]);
    let states = bench.sim.attributes("sam");
    assert_eq!(states["keystrokes"].owner.as_deref(), Some("tributary1234"));
    assert!(!states["keystrokes"].manual && states["mood"].manual);
    assert_eq!(states["mood"].value_type, ValueType::Scale);
}

#[tokio::test]
async fn acquiring_again_is_harmless_and_echoes_the_request() {
    let bench = Bench::owning().await;
    bench.post("update", json!([{"name": "tv_min", "date": "2026-03-28", "value": 7}])).await;
    let items = json!([{"template": "tv_min"}, {"name": "keystrokes", "manual": true}]);
    let (status, body) = bench.post("acquire", items.clone()).await;
    assert_eq!((status, body), (200, json!({"success": items, "failed": []})));
    assert_eq!(bench.held("tv_min", "2026-03-28").as_deref(), Some("7"));
    assert!(!bench.sim.attributes("sam")["tv_min"].manual);
    assert!(bench.sim.attributes("sam")["keystrokes"].manual);
}

#[tokio::test]
async fn acquiring_takes_it_from_another_service() {
    let bench = Bench::owning().await;
    let taken = Happening::OwnershipTaken { attribute: "tv_min".to_owned(), by: Service::named("other") };
    bench.sim.happen("sam", taken);
    let item = json!([{"name": "tv_min", "date": "2026-03-28", "value": 7}]);
    assert_eq!(code(&bench.post("update", item.clone()).await.1), "unauthorised");
    bench.post("acquire", json!([{"name": "tv_min"}])).await;
    assert_eq!(bench.post("update", item).await.0, 200);
}

#[tokio::test]
async fn each_refusal_to_acquire_has_its_code() {
    let user = UserSpec::named("sam").allowing("media_write productivity_write productivity_read");
    let bench = Bench::with(ExistConfig::default(), user).await;
    full(&bench, "create", json!([{"label": "Keystrokes", "group": "productivity", "value_type": 3}])).await;
    for (item, expected, text) in [
        (json!({"manual": false}), "missing_field", "Object at index 0 missing field(s) 'name'"),
        (json!({"name": "nope"}), "not_found", "Attribute matching query does not exist."),
        (json!({"name": "tv_min"}), "not_found", "Attribute matching query does not exist."),
        (json!({"template": "nope"}), "not_found", "Attribute matching query does not exist."),
        (
            json!({"template": "steps", "manual": false}),
            "not_allowed",
            "No permission to write to attributes in group 'activity'",
        ),
        (json!({"template": "keystrokes"}), "exists", ""),
        (json!({"template": "tv_min", "name": "tv_min"}), "validation", ""),
        (json!({"template": "tv_min", "manual": "no"}), "validation", ""),
    ] {
        let (status, body) = bench.post("acquire", json!([item])).await;
        assert_eq!((status, code(&body)), (202, expected), "{body}");
        let said = body["failed"][0]["error"].as_str().unwrap();
        assert!(text.is_empty() || said == text, "{said}");
    }
}

#[tokio::test]
async fn releasing_makes_inactive_or_hands_over() {
    let bench = Bench::owning().await;
    bench.sim.offer("sam", "keystrokes", Service::named("whatpulse9"));
    let (_, page) = bench.get("attributes/").await;
    assert_eq!(page["results"][0]["available_services"], json!([{"name": "whatpulse9", "label": "whatpulse9"}]));
    let (status, body) = bench.post("release", json!([{"name": "keystrokes"}, {"name": "tv_min"}])).await;
    assert_eq!(status, 200);
    assert_eq!(
        body["success"],
        json!([{"name": "keystrokes", "service": "whatpulse9", "active": true}, {"name": "tv_min", "service": "", "active": false}])
    );
    let (_, body) = bench.post("release", json!([{"name": "tv_min"}, {"name": "nope"}, {}])).await;
    let codes: Vec<_> = body["failed"].as_array().unwrap().iter().map(|item| &item["error_code"]).collect();
    assert_eq!(codes, ["unauthorised", "not_found", "missing_field"]);
}

#[tokio::test]
async fn creating_names_by_the_label_and_defaults_to_manual() {
    let bench = Bench::new().await;
    let item = json!({"label": "Mouse  clicks!", "group": "productivity", "value_type": 0, "manual": false});
    let (status, body) = bench.post("create", json!([item])).await;
    assert_eq!(status, 200);
    assert_eq!(
        body["success"],
        json!([{"label": "Mouse  clicks!", "group": "productivity", "value_type": 0, "manual": false,
            "name": "mouse_clicks", "priority": 9}])
    );
    let (_, body) = full(
        &bench,
        "create",
        json!([{"label": "Deep Work", "group": "custom", "value_type": 7}, {"template": "facebook_reactions"}]),
    )
    .await;
    let tag = &body["success"][0];
    assert_eq!((&tag["name"], &tag["label"], &tag["priority"]), (&json!("deep_work"), &json!("deep work"), &json!(2)));
    assert_eq!(tag["manual"], true);
    assert_eq!(tag["group"], json!({"name": "custom", "label": "Daily tags", "priority": 3}));
    assert_eq!(body["success"][1]["template"], "facebook_reactions");
    assert_eq!(bench.held("mouse_clicks", "2026-03-28").as_deref(), Some("0"));
}

#[tokio::test]
async fn each_refusal_to_create_has_its_code() {
    let bench = Bench::with(ExistConfig::default(), UserSpec::named("sam").allowing("media_write manual_write")).await;
    let item = json!([{"label": "Time reading", "group": "media", "value_type": 3, "manual": false}]);
    assert_eq!(bench.post("create", item.clone()).await.0, 200);
    bench.post("release", json!([{"name": "time_reading"}])).await;
    let (status, body) = bench.post("create", item).await;
    assert_eq!((status, code(&body)), (202, "exists"));
    assert_eq!(body["failed"][0]["name"], "time_reading");
    for (item, expected) in [
        (json!({"label": "A", "group": "media"}), "missing_field"),
        (json!({"label": "", "group": "media", "value_type": 0}), "validation"),
        (json!({"label": "☕", "group": "media", "value_type": 0}), "validation"),
        (json!({"label": "A", "group": "nope", "value_type": 0}), "validation"),
        (json!({"label": "A", "group": "media", "value_type": 6}), "validation"),
        (json!({"label": "A", "group": "media", "value_type": 9}), "validation"),
        (json!({"label": "A", "group": "custom", "value_type": 0}), "validation"),
        (json!({"label": "A", "group": "sleep", "value_type": 0, "manual": false}), "not_allowed"),
        (json!({"template": "nope"}), "not_found"),
        (json!({"template": "steps", "manual": false}), "not_allowed"),
    ] {
        let (status, body) = bench.post("create", json!([item])).await;
        assert_eq!((status, code(&body)), (202, expected), "{body}");
    }
    // Manual attributes can be made in any group with manual_write.
    assert_eq!(bench.post("create", json!([{"label": "A", "group": "sleep", "value_type": 0}])).await.0, 200);
}
