//! The simulated Toggl Track over real HTTP.

use jiff::{SignedDuration, Timestamp};
use loadtest::{
    toggl::{Client as TogglClient, Edit, NewEntry, Project, TogglAccount, TogglConfig, TogglSim},
    world::{Fault, Malformed, Spoiled},
};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

const NOW: &str = "2026-07-12T12:00:00.034497Z";
const WORKSPACE: i64 = 2_000_001;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

async fn sim_with(config: TogglConfig) -> TogglSim {
    let sim = TogglSim::start(config).await.unwrap();
    sim.clock().set(time(NOW));
    for (name, user_id) in [("ada", 1_000_001), ("bob", 1_000_002)] {
        let (name, api_token) = (name.to_owned(), format!("{name}-token"));
        sim.add_account(TogglAccount { name, user_id, api_token, timezone: "Europe/Berlin".into() });
    }
    sim
}

/// Without limits, so that a test sees only what it is about.
async fn sim() -> TogglSim {
    sim_with(TogglConfig { me_quota: 10_000, workspace_quota: 10_000, burst: None, ..TogglConfig::default() }).await
}

fn request(sim: &TogglSim, method: Method, path: &str) -> RequestBuilder {
    // A second installation in the same process is refused, which is fine.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let address = format!("{}{path}", sim.api_url());
    Client::new().request(method, address).basic_auth("ada-token", Some("api_token"))
}

async fn get(sim: &TogglSim, path: &str) -> Response {
    request(sim, Method::GET, path).send().await.unwrap()
}

async fn rows(sim: &TogglSim, query: &str) -> Vec<Value> {
    let response = get(sim, &format!("/me/time_entries{query}")).await;
    assert_eq!(response.status(), StatusCode::OK, "{query}");
    response.json().await.unwrap()
}

async fn refusal(sim: &TogglSim, query: &str) -> String {
    let response = get(sim, &format!("/me/time_entries{query}")).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
    response.json().await.unwrap()
}

fn span(start: &str, stop: Option<&str>) -> NewEntry {
    NewEntry { start: time(start), stop: stop.map(time), project_id: None, tags: vec![], description: None }
}

#[tokio::test]
async fn a_row_is_spelled_as_recorded() {
    let sim = sim().await;
    let mut entry = span("2026-07-12T02:18:20Z", Some("2026-07-12T03:18:20Z"));
    entry.tags = vec!["deep".into()];
    let id = sim.create("ada", entry);
    assert_eq!(
        rows(&sim, "?since=1783857600").await,
        [json!({
            "id": id, "workspace_id": WORKSPACE, "project_id": null, "task_id": null, "billable": false,
            "start": "2026-07-12T02:18:20+00:00", "stop": "2026-07-12T03:18:20+00:00", "duration": 3600,
            "description": null, "tags": ["deep"], "tag_ids": [17_000_000], "duronly": true,
            "at": "2026-07-12T12:00:00.034497Z", "server_deleted_at": null,
            "user_id": 1_000_001, "uid": 1_000_001, "wid": WORKSPACE,
        })]
    );
}

#[tokio::test]
async fn the_old_project_twin_comes_with_a_project_only() {
    let sim = sim().await;
    sim.add_project("ada", Project { id: 42, label: "Writing".into(), client_id: None, deleted: false });
    let mut entry = span("2026-07-12T02:00:00Z", Some("2026-07-12T03:00:00Z"));
    entry.project_id = Some(42);
    sim.create("ada", entry);
    sim.create("ada", span("2026-07-12T01:00:00Z", Some("2026-07-12T01:30:00Z")));
    let rows = rows(&sim, "?since=1783857600").await;
    assert_eq!((rows[0].get("pid"), rows[1].get("pid")), (Some(&json!(42)), None));
}

#[tokio::test]
async fn deleted_rows_come_with_since_only_and_keep_their_duration() {
    let sim = sim().await;
    let id = sim.create("ada", span("2026-07-12T02:00:00Z", Some("2026-07-12T03:00:00Z")));
    assert!(sim.delete("ada", id));
    let row = &rows(&sim, "?since=1783857600").await[0];
    assert_eq!((&row["server_deleted_at"], &row["duration"]), (&json!("2026-07-12T12:00:00+00:00"), &json!(3600)));
    assert_eq!(rows(&sim, "").await, Vec::<Value>::new());
    let range = "?start_date=2026-07-01T00:00:00Z&end_date=2026-07-30T00:00:00Z";
    assert_eq!(rows(&sim, range).await, Vec::<Value>::new());
    assert_eq!(get(&sim, &format!("/me/time_entries/{id}")).await.status(), StatusCode::NOT_FOUND);
    assert!(sim.restore("ada", id));
    assert_eq!(rows(&sim, range).await.len(), 1);
}

#[tokio::test]
async fn since_is_about_modification_and_start_dates_about_starts() {
    let sim = sim().await;
    let old = sim.create("ada", span("2026-05-01T02:00:00Z", Some("2026-05-01T03:00:00Z")));
    sim.create("ada", span("2026-07-11T02:00:00Z", Some("2026-07-11T03:00:00Z")));
    sim.clock().set(time("2026-07-12T13:00:00Z"));
    let after = "?since=1783861200";
    assert_eq!(rows(&sim, after).await, Vec::<Value>::new());
    assert!(sim.edit("ada", old, &[Edit::Seconds(60)]));
    let changed = rows(&sim, after).await;
    assert_eq!((changed.len(), &changed[0]["id"], &changed[0]["duration"]), (1, &json!(old), &json!(60)));
    let range = rows(&sim, "?start_date=2026-07-11&end_date=2026-07-12").await;
    assert_eq!(range.len(), 1);
    assert_eq!(rows(&sim, "?start_date=2026-07-10&end_date=2026-07-11").await, Vec::<Value>::new());
}

#[tokio::test]
async fn since_includes_its_own_second() {
    let sim = sim().await;
    sim.clock().set(time("2026-07-12T12:00:00Z"));
    sim.create("ada", span("2026-07-12T02:00:00Z", Some("2026-07-12T03:00:00Z")));
    assert_eq!(rows(&sim, "?since=1783857600").await.len(), 1);
    assert_eq!(rows(&sim, "?since=1783857601").await.len(), 0);
}

#[tokio::test]
async fn what_cannot_be_asked_is_400_with_a_json_string() {
    let sim = sim().await;
    assert_eq!(
        refusal(&sim, "?since=1783857600&before=2026-07-12").await,
        "'since' and 'before' can not be present simultaneously"
    );
    // 91 days before now.
    assert!(refusal(&sim, "?since=1775995200").await.contains("'since'"));
    assert!(refusal(&sim, "?start_date=2026-04-01&end_date=2026-04-10").await.contains("'start_date'"));
    refusal(&sim, "?start_date=2026-07-01").await;
    assert_eq!(refusal(&sim, "?start_date=soon&end_date=2026-07-10").await, "Invalid start date");
}

#[tokio::test]
async fn an_answer_is_newest_first_and_cut_at_a_thousand_rows() {
    let sim = sim().await;
    for minute in 0..1005 {
        let start = time("2026-07-11T00:00:00Z") + SignedDuration::from_mins(minute);
        let stop = Some(start + SignedDuration::from_secs(30));
        sim.create("ada", NewEntry { start, stop, project_id: None, tags: vec![], description: None });
    }
    let rows = rows(&sim, "?since=1783800000").await;
    let starts: Vec<&str> = rows.iter().map(|row| row["start"].as_str().unwrap()).collect();
    assert_eq!(
        (starts.len(), starts[0], starts[999]),
        (1000, "2026-07-11T16:44:00+00:00", "2026-07-11T00:05:00+00:00")
    );
    assert!(starts.is_sorted_by(|one, next| one > next));
}

#[tokio::test]
async fn a_running_entry_is_minus_its_start_and_for_one_in_three_a_second_more() {
    let sim = sim().await;
    let mut offsets = Vec::new();
    for _ in 0..6 {
        let id = sim.create("ada", span("2026-07-12T11:00:00Z", None));
        let row: Value = get(&sim, &format!("/me/time_entries/{id}")).await.json().await.unwrap();
        assert_eq!(row["stop"], Value::Null);
        offsets.push(row["duration"].as_i64().unwrap() + time("2026-07-12T11:00:00Z").as_second());
    }
    offsets.sort_unstable();
    assert_eq!(offsets, [-1, -1, 0, 0, 0, 0]);
}

#[tokio::test]
async fn current_is_the_running_entry_or_the_literal_null() {
    let sim = sim().await;
    let none = get(&sim, "/me/time_entries/current").await;
    assert_eq!((none.status(), none.text().await.unwrap().as_str()), (StatusCode::OK, "null"));
    let id = sim.create("ada", span("2026-07-12T11:00:00Z", None));
    let row: Value = get(&sim, "/me/time_entries/current").await.json().await.unwrap();
    assert_eq!(row["id"], id);
}

#[tokio::test]
async fn an_answer_to_a_write_says_z_and_null_tags_where_a_read_says_offset_and_none() {
    let sim = sim().await;
    let path = format!("/workspaces/{WORKSPACE}/time_entries");
    let body = json!({"created_with": "test", "start": "2026-07-12T13:31:14.086355+02:00", "workspace_id": WORKSPACE, "duration": -1});
    let created: Value = request(&sim, Method::POST, &path).json(&body).send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&created["start"], &created["tags"], &created["tag_ids"]),
        (&json!("2026-07-12T11:31:14Z"), &Value::Null, &Value::Null)
    );
    assert_eq!((&created["duration"], &created["stop"]), (&json!(-1), &Value::Null));
    let id = created["id"].as_i64().unwrap();
    let stop = format!("{path}/{id}/stop");
    let stopped: Value = request(&sim, Method::PATCH, &stop).send().await.unwrap().json().await.unwrap();
    assert_eq!((&stopped["stop"], &stopped["tags"]), (&json!("2026-07-12T12:00:00Z"), &json!([])));
    assert_eq!(stopped["duration"], 28 * 60 + 46);
    assert_eq!(rows(&sim, "").await[0]["stop"], "2026-07-12T12:00:00+00:00");
}

#[tokio::test]
async fn an_entry_without_stop_and_duration_is_read_back_with_both() {
    let sim = sim().await;
    let path = format!("/workspaces/{WORKSPACE}/time_entries");
    let body = json!({"created_with": "test", "start": "2026-07-12T11:00:00Z"});
    let created: Value = request(&sim, Method::POST, &path).json(&body).send().await.unwrap().json().await.unwrap();
    assert_eq!((&created["duration"], &created["stop"]), (&json!(0), &Value::Null));
    let row = &rows(&sim, "").await[0];
    assert_eq!((&row["duration"], &row["stop"]), (&json!(0), &row["start"]));
}

#[tokio::test]
async fn an_entry_is_changed_and_deleted_in_its_own_workspace_only() {
    let sim = sim().await;
    let id = sim.create("ada", span("2026-07-12T09:00:00Z", Some("2026-07-12T10:00:00Z")));
    let before = rows(&sim, "").await[0]["at"].clone();
    let path = format!("/workspaces/{WORKSPACE}/time_entries/{id}");
    let body = json!({"start": "2026-07-10T09:00:00Z", "tags": ["deep"], "description": null});
    let changed: Value = request(&sim, Method::PUT, &path).json(&body).send().await.unwrap().json().await.unwrap();
    assert_eq!((&changed["stop"], &changed["tags"]), (&json!("2026-07-10T10:00:00Z"), &json!(["deep"])));
    assert!(time(changed["at"].as_str().unwrap()) > time(before.as_str().unwrap()));
    let other = format!("/workspaces/2000002/time_entries/{id}");
    assert_eq!(request(&sim, Method::DELETE, &other).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(request(&sim, Method::DELETE, &path).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(request(&sim, Method::DELETE, &path).send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_user_sees_their_own_entries_only() {
    let sim = sim().await;
    sim.create("bob", span("2026-07-12T09:00:00Z", Some("2026-07-12T10:00:00Z")));
    assert_eq!(rows(&sim, "").await, Vec::<Value>::new());
}

#[tokio::test]
async fn the_profile_tells_the_zone_and_a_bad_token_gets_an_empty_401() {
    let sim = sim().await;
    let me: Value = get(&sim, "/me").await.json().await.unwrap();
    assert_eq!((&me["timezone"], &me["default_workspace_id"]), (&json!("Europe/Berlin"), &json!(WORKSPACE)));
    sim.set_timezone("ada", "Asia/Tokyo");
    assert_eq!(get(&sim, "/me").await.json::<Value>().await.unwrap()["timezone"], "Asia/Tokyo");
    sim.set_api_token("ada", "another");
    let refused = get(&sim, "/me").await;
    assert_eq!(
        (refused.status(), refused.headers()["X-Authorization-Missing"].to_str().unwrap()),
        (StatusCode::UNAUTHORIZED, "true")
    );
    assert_eq!(refused.text().await.unwrap(), "");
}

#[tokio::test]
async fn projects_name_their_client_and_deleted_ones_come_with_since_only() {
    let sim = sim().await;
    sim.add_client("ada", TogglClient { id: 50, label: "Acme".into() });
    sim.add_project("ada", Project { id: 42, label: "Writing 📝".into(), client_id: Some(50), deleted: false });
    let id = sim
        .create("ada", NewEntry { project_id: Some(42), ..span("2026-07-12T09:00:00Z", Some("2026-07-12T10:00:00Z")) });
    let projects: Value = get(&sim, "/me/projects").await.json().await.unwrap();
    assert_eq!((&projects[0]["name"], &projects[0]["client_id"]), (&json!("Writing 📝"), &json!(50)));
    assert_eq!(rows(&sim, "?meta=true").await[0]["client_name"], "Acme");
    let at = rows(&sim, "").await[0]["at"].clone();
    sim.delete_project("ada", 42, false);
    assert_eq!(get(&sim, "/me/projects").await.json::<Value>().await.unwrap(), json!([]));
    let deleted: Value = get(&sim, "/me/projects?since=1783800000").await.json().await.unwrap();
    assert_ne!(deleted[0]["server_deleted_at"], Value::Null);
    let row: Value = get(&sim, &format!("/me/time_entries/{id}")).await.json().await.unwrap();
    assert_eq!((&row["project_id"], &row["at"]), (&Value::Null, &at));
}

#[tokio::test]
async fn the_thirty_first_request_of_an_hour_is_402_with_the_quota_in_headers() {
    let sim = sim_with(TogglConfig { burst: None, ..TogglConfig::default() }).await;
    for left in (0..30).rev() {
        let answer = get(&sim, "/me").await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["X-Toggl-Quota-Remaining"], left.to_string().as_str());
    }
    sim.clock().advance(SignedDuration::from_secs(600));
    let refused = get(&sim, "/me/time_entries").await;
    assert_eq!(refused.status(), StatusCode::PAYMENT_REQUIRED);
    assert_eq!(refused.headers()["X-Toggl-Quota-Remaining"], "0");
    assert_eq!(refused.headers()["X-Toggl-Quota-Resets-In"], "3000");
    let quota: Value = get(&sim, "/me/quota").await.json().await.unwrap();
    assert_eq!(quota[0], json!({"organization_id": null, "remaining": 0, "resets_in_secs": 3000, "total": 30}));
    assert_eq!(quota[1]["remaining"], 30);
    sim.clock().advance(SignedDuration::from_secs(3000));
    assert_eq!(get(&sim, "/me").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_burst_is_429_without_a_word_on_when_to_come_back() {
    let sim = sim_with(TogglConfig { burst: Some(3), ..TogglConfig::default() }).await;
    for _ in 0..3 {
        assert_eq!(get(&sim, "/me").await.status(), StatusCode::OK);
    }
    let refused = get(&sim, "/me").await;
    assert_eq!((refused.status(), refused.headers().get("Retry-After")), (StatusCode::TOO_MANY_REQUESTS, None));
    sim.clock().advance(SignedDuration::from_secs(1));
    assert_eq!(get(&sim, "/me").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn faults_strike_as_told_and_are_logged() {
    let sim = sim().await;
    sim.create("ada", span("2026-07-12T09:00:00Z", Some("2026-07-12T10:00:00Z")));
    let faults = sim.faults();
    faults.next(Some("bob"), Fault::Status(500), 1);
    faults.next(Some("ada"), Fault::QuotaSpent { resets_in_s: 9 }, 1);
    let refused = get(&sim, "/me").await;
    assert_eq!(
        (refused.status(), refused.headers()["X-Toggl-Quota-Resets-In"].to_str().unwrap()),
        (StatusCode::PAYMENT_REQUIRED, "9")
    );
    faults.next(None, Fault::Malformed(Malformed { field: "at".into(), how: Spoiled::WrongType }), 1);
    assert!(rows(&sim, "").await[0]["at"].is_object());
    faults.next(None, Fault::Reset, 1);
    assert!(request(&sim, Method::GET, "/me").send().await.is_err());
    let fates: Vec<Option<u16>> = sim.requests().of("ada").iter().map(|request| request.status).collect();
    assert_eq!(fates, [Some(402), Some(200), None]);
    assert_eq!(sim.requests().all()[1].path, "/api/v9/me/time_entries");
}
