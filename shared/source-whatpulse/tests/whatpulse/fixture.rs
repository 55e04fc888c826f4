//! A WhatPulse server with one account, made from the published answers of both APIs.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use event::{ExternalId, UserId};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use source::{
    Account, RulesByAttribute, Source,
    suite::{Fixture, Server},
};
use source_whatpulse::{ApiKind, WhatPulse};

pub(crate) const KEY: &str = "eyJhbGciOi.s3cret-payload.s3cret-signature";

/// The account's pulses and the ways in which its server may be odd.
pub(crate) struct World {
    pub(crate) pulses: Vec<Value>,
    pub(crate) now: Timestamp,
    pub(crate) page_rows: usize,
    pub(crate) unknown_fields: bool,
    /// How many of the next pages tell of one more pulse than there is: the list grew on the way.
    pub(crate) growing: usize,
    next_id: i64,
}

type Shared = Arc<Mutex<World>>;

/// One account served by one of the two APIs.
pub(crate) struct Whatpulse {
    pub(crate) world: Shared,
    kind: ApiKind,
    source: WhatPulse,
    server: Server,
}

impl Whatpulse {
    pub(crate) async fn start(kind: ApiKind) -> Self {
        // Fails only where another test of this process has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let world = Arc::new(Mutex::new(World {
            pulses: Vec::new(),
            now: "2026-07-12T15:00:00Z".parse().unwrap(),
            page_rows: 2,
            unknown_fields: false,
            growing: 0,
            next_id: 990_001,
        }));
        let routes = Router::new()
            .route("/users/{id}/pulses", get(v1))
            .route("/pulses.php", get(legacy))
            .with_state(world.clone());
        let server = Server::start(routes).await;
        let http = source::http::client(std::time::Duration::from_secs(5)).unwrap();
        let source = WhatPulse::new(http, server.base().clone(), kind);
        Self { world, kind, source, server }
    }

    /// Adds a pulse of this date and returns its number.
    pub(crate) fn pulse(&self, date: Timestamp) -> i64 {
        let mut world = self.world.lock().unwrap();
        let id = world.next_id;
        world.next_id += 1;
        world.pulses.push(json!({
            "id": id, "date": date, "keys": 8421, "clicks": 3110, "download_mb": 1510.25, "upload_mb": 210.5,
            "uptime_seconds": 41230, "scrolls": null, "distance_miles": 0.84, "auto_pulse": true, "client_version": "6.2.0"
        }));
        id
    }

    pub(crate) fn on(&self, id: &ExternalId, change: impl FnOnce(&mut Vec<Value>, usize)) {
        let mut world = self.world.lock().unwrap();
        let number: i64 = id.as_str().trim_start_matches("Pulse-").parse().unwrap();
        let place = world.pulses.iter().position(|pulse| pulse["id"] == number).unwrap();
        change(&mut world.pulses, place);
    }

    pub(crate) fn id(&self, number: i64) -> ExternalId {
        let prefix = if self.kind == ApiKind::V1 { "" } else { "Pulse-" };
        ExternalId::try_new(&format!("{prefix}{number}")).unwrap()
    }
}

/// Hyphens and spellings of a rule.
pub(crate) fn rules(json: Value) -> RulesByAttribute {
    serde_json::from_value(json).unwrap()
}

#[async_trait::async_trait]
impl Fixture for Whatpulse {
    fn source(&self) -> &dyn Source {
        &self.source
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn account(&self) -> Account {
        let credentials = match self.kind {
            ApiKind::V1 => json!({"api_key": KEY, "user_id": 54321}),
            ApiKind::Legacy => json!({"user_id": "sample-user"}),
        };
        Account { user: UserId::try_new("alice").unwrap(), credentials }
    }

    fn rules(&self) -> RulesByAttribute {
        rules(json!({
            "keystrokes": {"field": "keys", "template": "keystrokes", "mode": "total"},
            "download_mb": {"field": "download_mb", "label": "Download", "group": "productivity", "value_type": 0},
        }))
    }

    fn wrong_rules(&self) -> RulesByAttribute {
        rules(json!({"a": {"field": "scrolls"}, "b": {"label": "b"}, "c": "keys"}))
    }

    fn now(&self) -> Timestamp {
        self.world.lock().unwrap().now
    }

    async fn create(&self) -> ExternalId {
        let now = {
            let mut world = self.world.lock().unwrap();
            world.now += 1.minute();
            world.now
        };
        self.id(self.pulse(now))
    }

    async fn edit(&self, id: &ExternalId) {
        self.on(id, |pulses, place| {
            let keys = pulses[place]["keys"].as_i64().unwrap();
            pulses[place]["keys"] = json!(keys + 1);
        });
    }

    async fn delete(&self, id: &ExternalId) {
        self.on(id, |pulses, place| drop(pulses.remove(place)));
    }

    async fn break_row(&self, id: &ExternalId) {
        self.on(id, |pulses, place| pulses[place]["date"] = Value::Null);
    }

    async fn add_unknown_fields(&self) {
        self.world.lock().unwrap().unknown_fields = true;
    }
}

#[derive(Deserialize)]
struct V1Query {
    date_from: String,
    date_to: String,
    per_page: usize,
    page: Option<usize>,
}

async fn v1(
    State(world): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Query(query): Query<V1Query>,
) -> Response {
    let message = |status, message: &str| (status, Json(json!({"message": message}))).into_response();
    if headers.get("authorization").and_then(|value| value.to_str().ok()) != Some(&format!("Bearer {KEY}")) {
        return message(StatusCode::UNAUTHORIZED, "Unauthenticated.");
    }
    if id != "54321" {
        return message(StatusCode::NOT_FOUND, "User not found");
    }
    if query.per_page > 100 {
        return message(StatusCode::UNPROCESSABLE_ENTITY, "The per page field must not be greater than 100.");
    }
    let mut world = world.lock().unwrap();
    let (pulses, mut total) = {
        let day = |pulse: &Value| pulse["date"].as_str().map(|date| date[..10].to_owned());
        let inside = |pulse: &&Value| day(pulse).is_none_or(|day| day >= query.date_from && day <= query.date_to);
        let mut inside: Vec<_> = world.pulses.iter().filter(inside).cloned().collect();
        inside.reverse();
        let total = inside.len();
        (inside, total)
    };
    let (rows, page) = (world.page_rows.min(query.per_page), query.page.unwrap_or(1));
    let last_page = total.div_ceil(rows).max(1);
    if page > 1 && world.growing > 0 {
        world.growing -= 1;
        total += 1;
    }
    let mut rows: Vec<_> = pulses.into_iter().skip((page - 1) * rows).take(rows).collect();
    if world.unknown_fields {
        rows.iter_mut().for_each(|row| row["unheard_of"] = json!({"x": [1, null]}));
    }
    // As in the real service, links are absolute; these lead elsewhere.
    let next =
        (page < last_page).then(|| format!("http://elsewhere.invalid/api/v1/users/54321/pulses?page={}", page + 1));
    Json(json!({
        "pulses": rows,
        "pagination": {"current_page": page, "per_page": query.per_page, "total": total, "last_page": last_page, "from": null, "to": null},
        "links": {"first": "http://elsewhere.invalid/", "last": "", "prev": null, "next": next},
        "filters": {"computer_id": null, "date_from": query.date_from, "date_to": query.date_to},
    }))
    .into_response()
}

#[derive(Deserialize)]
struct LegacyQuery {
    user: String,
    format: Option<String>,
    start: i64,
    end: i64,
}

async fn legacy(State(world): State<Shared>, Query(query): Query<LegacyQuery>) -> Response {
    if query.format.as_deref() != Some("json") {
        return "<?xml version=\"1.0\"?><Pulses/>".into_response();
    }
    if query.user != "sample-user" {
        return Json(json!({"error": "Unknown UserID given!"})).into_response();
    }
    let world = world.lock().unwrap();
    let mut found = Map::new();
    for pulse in &world.pulses {
        let date: Option<Timestamp> = pulse["date"].as_str().map(|date| date.parse().unwrap());
        if date.is_some_and(|date| date.as_second() < query.start || date.as_second() > query.end) {
            continue;
        }
        let naive = date.map(|date| date.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string());
        let mut row = json!({
            "Timedate": naive, "Timestamp": date.map(|date| date.as_second().to_string()),
            "Keys": pulse["keys"].to_string(), "Clicks": pulse["clicks"].to_string(), "DownloadMB": "1510",
            "UploadMB": "210", "UptimeSeconds": pulse["uptime_seconds"].to_string(), "Computer": "desk"
        });
        if world.unknown_fields {
            row["UnheardOf"] = json!([{}]);
        }
        found.insert(format!("Pulse-{}", pulse["id"]), row);
    }
    if found.is_empty() {
        return Json(json!({"error": "No pulses found!"})).into_response();
    }
    Json(Value::Object(found)).into_response()
}
