//! A Trakt server with one account, made from the contract's examples.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use event::{ExternalId, UserId};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use source::{
    Account, Cursor, Hint, Page, Read, Row, RulesByAttribute, Source, SourceError,
    suite::{Fixture, Server},
};
use source_trakt::Trakt;

pub(crate) const TOKEN: &str = "b0b1c2d3e4f5a6978899aabbccddeeff";
const CLIENT_ID: &str = "our-application";

pub(crate) struct World {
    pub(crate) plays: Vec<Value>,
    pub(crate) now: Timestamp,
    /// When each list last changed.
    pub(crate) stamp: Timestamp,
    /// Changes of the list that move no stamp.
    pub(crate) silent: bool,
    /// Largest page.
    pub(crate) limit_max: usize,
    /// Whether `/sync/history` is there.
    pub(crate) bare: bool,
    /// A play that appears after the first page was served.
    pub(crate) between_pages: Option<Value>,
    /// What a lookup of a runtime finds.
    pub(crate) runtime: Option<u32>,
    pub(crate) unknown_fields: bool,
    next_id: i64,
}

type Shared = Arc<Mutex<World>>;

/// One account of Trakt.
pub(crate) struct Watcher {
    pub(crate) world: Shared,
    source: Trakt,
    server: Server,
}

impl Watcher {
    pub(crate) async fn start() -> Self {
        // Fails only where another test of this process has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let now: Timestamp = "2026-07-12T15:00:00Z".parse().unwrap();
        let world = Arc::new(Mutex::new(World {
            plays: Vec::new(),
            now,
            stamp: now,
            silent: false,
            limit_max: 250,
            bare: true,
            between_pages: None,
            runtime: None,
            unknown_fields: false,
            next_id: 9_007_199_254_740_993,
        }));
        let routes = Router::new()
            .route("/sync/last_activities", get(last_activities))
            .route("/sync/history", get(bare_history))
            .route("/users/me/history", get(history))
            .route("/shows/{show}/seasons/{season}/episodes/{episode}", get(episode))
            .with_state(world.clone());
        let server = Server::start(routes).await;
        let http = source::http::client(std::time::Duration::from_secs(5)).unwrap();
        let source = Trakt::new(http, server.base().clone(), CLIENT_ID.to_owned(), None);
        Self { world, source, server }
    }

    /// Adds a play and returns its id.
    pub(crate) fn watch(&self, watched_at: Timestamp, runtime: Option<u32>, show_runtime: Option<u32>) -> i64 {
        let mut world = self.world.lock().unwrap();
        let play = world.play(watched_at, runtime, show_runtime);
        let id = play["id"].as_i64().unwrap();
        world.plays.push(play);
        world.touch();
        id
    }

    /// Changes the list of plays, a millisecond after its last change.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Vec<Value>)) {
        let mut world = self.world.lock().unwrap();
        change(&mut world.plays);
        world.touch();
    }

    pub(crate) fn move_clock(&self, by: SignedDuration) {
        self.world.lock().unwrap().now += by;
    }

    /// Reads until there is no more, with a window of so many days.
    pub(crate) async fn drain(&self, cursor: &mut Cursor, days: i64) -> Result<Vec<Row>, SourceError> {
        let mut rows = Vec::new();
        loop {
            let page = self.read(cursor, days).await?;
            *cursor = page.cursor;
            rows.extend(page.rows);
            if !page.more {
                return Ok(rows);
            }
        }
    }

    pub(crate) async fn read(&self, cursor: &Cursor, days: i64) -> Result<Page, SourceError> {
        let now = self.now();
        let back_fill_from = now - SignedDuration::from_hours(24 * days);
        let read = Read { now, back_fill_from, zone: jiff::tz::TimeZone::UTC, hint: Hint::None };
        self.source.read(&self.account(), cursor, &read).await
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.server.requests()
    }
}

impl World {
    pub(crate) fn play(&mut self, watched_at: Timestamp, runtime: Option<u32>, show_runtime: Option<u32>) -> Value {
        let id = self.next_id;
        self.next_id += 1;
        json!({
            "id": id, "watched_at": spelled(watched_at), "action": "watch", "type": "episode",
            "episode": {"season": 1, "number": 1, "title": "Freedom Day", "ids": {"trakt": 5_165_667}, "runtime": runtime},
            "show": {"title": "Silo", "year": 2023, "ids": {"trakt": 180_770, "slug": "silo"}, "runtime": show_runtime}
        })
    }

    fn touch(&mut self) {
        self.now += SignedDuration::from_millis(1);
        if !self.silent {
            self.stamp = self.now;
        }
    }
}

/// A time as Trakt spells it.
pub(crate) fn spelled(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}

#[async_trait::async_trait]
impl Fixture for Watcher {
    fn source(&self) -> &dyn Source {
        &self.source
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn account(&self) -> Account {
        Account { user: UserId::try_new("alice").unwrap(), credentials: json!({"access_token": TOKEN}) }
    }

    fn rules(&self) -> RulesByAttribute {
        serde_json::from_value(json!({
            "tv_min": {"from": "episode_minutes", "template": "tv_min", "mode": "total"},
            "episodes_watched": {"from": "episodes", "label": "Episodes", "group": "media", "value_type": 0},
        }))
        .unwrap()
    }

    fn wrong_rules(&self) -> RulesByAttribute {
        serde_json::from_value(json!({"a": {"from": "shows"}, "b": {"label": "b"}, "c": 3})).unwrap()
    }

    fn now(&self) -> Timestamp {
        self.world.lock().unwrap().now
    }

    async fn create(&self) -> ExternalId {
        let watched_at = self.now() - SignedDuration::from_hours(2);
        ExternalId::try_new(&self.watch(watched_at, Some(45), None).to_string()).unwrap()
    }

    async fn edit(&self, id: &ExternalId) {
        let id: i64 = id.as_str().parse().unwrap();
        self.change(|plays| {
            let play = plays.iter_mut().find(|play| play["id"] == id).unwrap();
            let at: Timestamp = play["watched_at"].as_str().unwrap().parse().unwrap();
            play["watched_at"] = json!(spelled(at - SignedDuration::from_secs(1)));
        });
    }

    async fn delete(&self, id: &ExternalId) {
        let id: i64 = id.as_str().parse().unwrap();
        self.change(|plays| plays.retain(|play| play["id"] != id));
    }

    async fn break_row(&self, id: &ExternalId) {
        let id: i64 = id.as_str().parse().unwrap();
        self.change(|plays| plays.iter_mut().find(|play| play["id"] == id).unwrap()["watched_at"] = Value::Null);
    }

    async fn add_unknown_fields(&self) {
        self.world.lock().unwrap().unknown_fields = true;
    }
}

fn is_ours(headers: &HeaderMap) -> bool {
    let has = |name: &str, value: &str| headers.get(name).and_then(|found| found.to_str().ok()) == Some(value);
    has("authorization", &format!("Bearer {TOKEN}"))
        && has("trakt-api-key", CLIENT_ID)
        && has("trakt-api-version", "2")
        && has("content-type", "application/json")
}

async fn last_activities(State(world): State<Shared>, headers: HeaderMap) -> Response {
    if !is_ours(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let world = world.lock().unwrap();
    let stamp = world.stamp.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    let mut body =
        json!({"all": stamp, "movies": {"watched_at": stamp, "rated_at": null}, "episodes": {"watched_at": stamp}});
    if world.unknown_fields {
        body["vinyl"] = json!({"played_at": null});
    }
    Json(body).into_response()
}

#[derive(Deserialize)]
struct HistoryQuery {
    start_at: Timestamp,
    page: usize,
    limit: usize,
}

async fn bare_history(world: State<Shared>, headers: HeaderMap, query: Query<HistoryQuery>) -> Response {
    let is_there = world.lock().unwrap().bare;
    if is_there { history(world, headers, query).await } else { StatusCode::NOT_FOUND.into_response() }
}

async fn history(State(world): State<Shared>, headers: HeaderMap, Query(query): Query<HistoryQuery>) -> Response {
    if !is_ours(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let mut world = world.lock().unwrap();
    let at = |play: &Value| play["watched_at"].as_str().map(|text| text.parse::<Timestamp>().unwrap());
    let is_asked = |play: &&Value| at(play).is_none_or(|at| at >= query.start_at);
    let mut found: Vec<Value> = world.plays.iter().filter(is_asked).cloned().collect();
    found.sort_by_key(|play| std::cmp::Reverse((at(play), play["id"].as_i64())));
    if world.unknown_fields {
        found.iter_mut().for_each(|play| play["unheard_of"] = json!({"x": [1, null]}));
    }
    let limit = query.limit.min(world.limit_max);
    let page: Vec<&Value> = found.iter().skip((query.page - 1) * limit).take(limit).collect();
    let mut response = Json(&page).into_response();
    let pages = found.len().div_ceil(limit).max(1);
    for (name, value) in [("page", query.page), ("limit", limit), ("page-count", pages), ("item-count", found.len())] {
        let name: axum::http::HeaderName = format!("x-pagination-{name}").parse().unwrap();
        response.headers_mut().insert(name, value.into());
    }
    let late = world.between_pages.take_if(|_| query.limit > 1);
    world.plays.extend(late);
    response
}

async fn episode(State(world): State<Shared>, Path(path): Path<(i64, i64, i64)>) -> Response {
    assert_eq!(path, (180_770, 1, 1));
    Json(json!({"season": 1, "number": 1, "runtime": world.lock().unwrap().runtime})).into_response()
}
