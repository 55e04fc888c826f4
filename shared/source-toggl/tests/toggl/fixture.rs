//! A Toggl server with one account, made from recorded answers.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use event::{ExternalId, UserId};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Value, json};
use source::{
    Account, RulesByAttribute, Source,
    suite::{Fixture, Server},
};
use source_toggl::Toggl;

pub(crate) const TOKEN: &str = "1971800d4d82861d8f2c1651fea4d212";

/// Refuses older dates, in days.
const AGE_MAX: i64 = 90;

pub(crate) struct World {
    pub(crate) entries: Vec<Value>,
    pub(crate) projects: Vec<Value>,
    pub(crate) now: Timestamp,
    /// Rows at which an answer is cut.
    pub(crate) rows_max: usize,
    /// The headers of the hourly quota, if it is told.
    pub(crate) quota: Option<(i64, i64)>,
    pub(crate) unknown_fields: bool,
    next_id: i64,
}

type Shared = Arc<Mutex<World>>;

/// One account of Toggl Track.
pub(crate) struct Track {
    pub(crate) world: Shared,
    source: Toggl,
    server: Server,
}

impl Track {
    pub(crate) async fn start() -> Self {
        // Fails only where another test of this process has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let world = Arc::new(Mutex::new(World {
            entries: Vec::new(),
            projects: vec![json!({"id": 42, "client_id": 9}), json!({"id": 43, "client_id": null})],
            now: "2026-07-12T15:00:00Z".parse().unwrap(),
            rows_max: 1000,
            quota: None,
            unknown_fields: false,
            next_id: 3_731_531_776,
        }));
        let routes = Router::new()
            .route("/me/time_entries", get(time_entries))
            .route("/me/projects", get(projects))
            .layer(from_fn_with_state(world.clone(), headers))
            .with_state(world.clone());
        let server = Server::start(routes).await;
        let http = source::http::client(std::time::Duration::from_secs(5)).unwrap();
        let source = Toggl::new(http, server.base().clone());
        Self { world, source, server }
    }

    /// Adds an entry of an hour and returns its id.
    pub(crate) fn entry(&self, start: Timestamp) -> i64 {
        let mut world = self.world.lock().unwrap();
        let id = world.next_id;
        world.next_id += 1;
        let (at, start, stop) = (world.now, spelled(start), spelled(start + SignedDuration::from_hours(1)));
        world.entries.push(json!({
            "id": id, "workspace_id": 2_000_001, "project_id": 42, "task_id": null, "billable": false,
            "start": start, "stop": stop, "duration": 3600, "description": "Inbox Zero", "tags": [], "tag_ids": [],
            "duronly": true, "at": at, "server_deleted_at": null, "user_id": 1_000_001, "uid": 1_000_001
        }));
        id
    }

    /// Changes an entry, a microsecond after the last change of the world.
    pub(crate) fn change(&self, id: i64, change: impl FnOnce(&mut Value)) {
        let mut world = self.world.lock().unwrap();
        world.now += SignedDuration::from_micros(1);
        let now = world.now;
        let entry = world.entries.iter_mut().find(|entry| entry["id"] == id).unwrap();
        entry["at"] = json!(now);
        change(entry);
    }

    pub(crate) fn move_clock(&self, by: SignedDuration) {
        self.world.lock().unwrap().now += by;
    }

    pub(crate) fn asked(&self, path: &str) -> Vec<String> {
        let path = format!("/base/path{path}");
        self.server.requests().into_iter().filter_map(|uri| uri.strip_prefix(&path).map(str::to_owned)).collect()
    }
}

/// A time as range answers have it.
pub(crate) fn spelled(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

#[async_trait::async_trait]
impl Fixture for Track {
    fn source(&self) -> &dyn Source {
        &self.source
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn account(&self) -> Account {
        Account { user: UserId::try_new("alice").unwrap(), credentials: json!({"api_token": TOKEN}) }
    }

    fn rules(&self) -> RulesByAttribute {
        serde_json::from_value(json!({
            "productive_min": {"projects": [42], "template": "productive_min", "mode": "total"},
            "time_client": {"clients": [9], "label": "Client", "group": "productivity", "value_type": 3},
        }))
        .unwrap()
    }

    fn wrong_rules(&self) -> RulesByAttribute {
        serde_json::from_value(json!({"a": {"projects": ["42"]}, "b": {"label": "b"}, "c": 3})).unwrap()
    }

    fn now(&self) -> Timestamp {
        self.world.lock().unwrap().now
    }

    async fn create(&self) -> ExternalId {
        self.move_clock(SignedDuration::from_millis(1_700));
        let start = self.now() - SignedDuration::from_hours(2);
        ExternalId::try_new(&self.entry(start).to_string()).unwrap()
    }

    async fn edit(&self, id: &ExternalId) {
        self.change(id.as_str().parse().unwrap(), |entry| {
            entry["duration"] = json!(entry["duration"].as_i64().unwrap() + 1);
        });
    }

    async fn delete(&self, id: &ExternalId) {
        let now = self.now();
        self.change(id.as_str().parse().unwrap(), |entry| entry["server_deleted_at"] = json!(spelled(now)));
    }

    async fn break_row(&self, id: &ExternalId) {
        self.change(id.as_str().parse().unwrap(), |entry| entry["start"] = Value::Null);
    }

    async fn add_unknown_fields(&self) {
        self.world.lock().unwrap().unknown_fields = true;
    }
}

/// The token, the server's clock and the quota.
async fn headers(
    State(world): State<Shared>,
    headers: HeaderMap,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    // base64 of TOKEN and ":api_token".
    let basic = "Basic MTk3MTgwMGQ0ZDgyODYxZDhmMmMxNjUxZmVhNGQyMTI6YXBpX3Rva2Vu";
    let (quota, now) = {
        let world = world.lock().unwrap();
        (world.quota, world.now)
    };
    let mut response = if headers.get("authorization").and_then(|value| value.to_str().ok()) != Some(basic) {
        (StatusCode::UNAUTHORIZED, [("x-authorization-missing", "true")]).into_response()
    } else {
        next.run(request).await
    };
    let date = now.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    response.headers_mut().insert("date", date.parse().unwrap());
    if let Some((remaining, resets_in)) = quota {
        response.headers_mut().insert("x-toggl-quota-remaining", remaining.into());
        response.headers_mut().insert("x-toggl-quota-resets-in", resets_in.into());
    }
    response
}

#[derive(Deserialize)]
struct EntriesQuery {
    since: Option<i64>,
    start_date: Option<Timestamp>,
    end_date: Option<Timestamp>,
}

async fn time_entries(State(world): State<Shared>, Query(query): Query<EntriesQuery>) -> Response {
    let world = world.lock().unwrap();
    let oldest = world.now.as_second() - AGE_MAX * 86_400;
    let time = |entry: &Value, field: &str| entry[field].as_str().map(|text| text.parse::<Timestamp>().unwrap());
    let is_asked = |entry: &&Value| match (query.since, query.start_date, query.end_date) {
        (Some(since), _, _) => time(entry, "at").is_none_or(|at| at.as_second() >= since),
        (None, Some(from), Some(to)) => {
            let is_inside = time(entry, "start").is_none_or(|start| start >= from && start < to);
            is_inside && entry["server_deleted_at"].is_null()
        }
        _ => panic!("neither since nor a window"),
    };
    if query.since.or(query.start_date.map(Timestamp::as_second)).is_some_and(|from| from < oldest) {
        let word = if query.since.is_some() { "since" } else { "start_date" };
        return (StatusCode::BAD_REQUEST, Json(json!(format!("{word} must not be that old")))).into_response();
    }
    let mut rows: Vec<_> = world.entries.iter().filter(is_asked).cloned().collect();
    rows.sort_by_key(|entry| std::cmp::Reverse(entry["start"].as_str().map(str::to_owned)));
    rows.truncate(world.rows_max);
    if world.unknown_fields {
        rows.iter_mut().for_each(|row| row["unheard_of"] = json!({"x": [1, null]}));
    }
    Json(rows).into_response()
}

async fn projects(State(world): State<Shared>) -> Response {
    let world = world.lock().unwrap();
    let mut projects = world.projects.clone();
    if world.unknown_fields {
        projects.iter_mut().for_each(|row| row["unheard_of"] = json!("x"));
    }
    Json(projects).into_response()
}
