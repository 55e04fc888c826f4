//! What a user may read about themselves: profile, quota, projects, and the feed of entries.

use std::{cmp::Reverse, collections::HashMap, ops::Range, sync::Arc};

use axum::{
    Extension, Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde_json::{Value, json};

use super::{
    Shared,
    account::{Account, Entry, Project},
    gate::{Caller, ToSpoil},
    row::{Spelling, add_meta, modified, row},
};

/// How far back an answer without any parameter reaches.
const RECENT_DAYS: i64 = 9;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v9/me", get(me))
        .route("/api/v9/me/logged", get(|| async { StatusCode::OK }))
        .route("/api/v9/me/quota", get(quota))
        .route("/api/v9/me/time_entries", get(entries))
        .route("/api/v9/me/time_entries/current", get(current))
        .route("/api/v9/me/time_entries/{id}", get(entry))
        .route("/api/v9/me/projects", get(projects))
        .route("/api/v9/me/clients", get(clients))
        .route("/api/v9/me/tags", get(tags))
}

type Asked = Query<HashMap<String, String>>;
type Refusal = Box<Response>;

async fn me(State(shared): State<Arc<Shared>>, Extension(caller): Extension<Caller>) -> Response {
    let now = shared.clock.now();
    shared.with(&caller.0, |account| {
        let spec = &account.spec;
        Json(json!({
            "id": spec.user_id, "api_token": spec.api_token, "email": format!("{}@example.com", spec.name),
            "fullname": spec.name, "timezone": spec.timezone, "default_workspace_id": spec.workspace_id(),
            "beginning_of_week": 1, "created_at": "2016-03-20T20:40:08.017845Z", "updated_at": modified(now),
            "openid_email": null, "openid_enabled": false, "country_id": null, "has_password": true, "at": modified(now),
        }))
        .into_response()
    })
}

async fn quota(State(shared): State<Arc<Shared>>, Extension(caller): Extension<Caller>) -> Response {
    let now = shared.clock.now();
    shared.with(&caller.0, |account| {
        let organisation = account.spec.user_id + 2_000_000;
        let (me, workspace) = (account.me_quota.look(now), account.workspace_quota.look(now));
        let line = |id: Option<i64>, left: crate::world::quota::Admission, total: u32| {
            json!({"organization_id": id, "remaining": left.remaining, "resets_in_secs": left.resets_in_s, "total": total})
        };
        let body = json!([
            line(None, me, account.me_quota.limit()),
            line(Some(organisation), workspace, account.workspace_quota.limit()),
        ]);
        Json(body).into_response()
    })
}

async fn current(State(shared): State<Arc<Shared>>, Extension(caller): Extension<Caller>) -> Json<Value> {
    shared.with(&caller.0, |account| {
        let running = account.running().map(|id| row(account, &account.entries[&id], Spelling::Read));
        Json(running.unwrap_or(Value::Null))
    })
}

async fn entry(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<i64>,
) -> Response {
    shared.with(&caller.0, |account| match account.entries.get(&id).filter(|entry| entry.deleted_at.is_none()) {
        Some(entry) => Json(row(account, entry, Spelling::Read)).into_response(),
        None => (StatusCode::NOT_FOUND, Json("Time entry not found/accessible")).into_response(),
    })
}

async fn entries(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Extension(spoil): Extension<ToSpoil>,
    Query(asked): Asked,
) -> Response {
    let wanted = match Wanted::read(&asked, shared.clock.now(), shared.config.reach_days) {
        Ok(wanted) => wanted,
        Err(refusal) => return *refusal,
    };
    let meta = asked.get("meta").map(String::as_str) == Some("true");
    shared.with(&caller.0, |account| {
        let mut found: Vec<&Entry> = match &wanted {
            Wanted::Since(since) => account.entries.values().filter(|entry| entry.at >= *since).collect(),
            Wanted::Started(within) => account.started(within).filter(|entry| entry.deleted_at.is_none()).collect(),
        };
        found.sort_by_key(|entry| Reverse((entry.start, entry.id)));
        found.truncate(shared.config.rows_max);
        let mut rows: Vec<Value> = found.iter().map(|entry| shown(account, entry, meta)).collect();
        if let (Some(malformed), Some(first)) = (&spoil.0, rows.first_mut()) {
            malformed.spoil(first);
        }
        Json(rows).into_response()
    })
}

fn shown(account: &Account, entry: &Entry, meta: bool) -> Value {
    let mut row = row(account, entry, Spelling::Read);
    if account.unreadable.contains(&entry.id) {
        row["start"] = json!({"unexpected": true});
    }
    if meta {
        add_meta(account, entry, &mut row);
    }
    row
}

/// Which entries a request asks for.
enum Wanted {
    /// Modified then or later, deleted ones included.
    Since(Timestamp),
    /// Not deleted, started at or after the one, before the other.
    Started(Range<Timestamp>),
}

impl Wanted {
    fn read(asked: &HashMap<String, String>, now: Timestamp, reach_days: i64) -> Result<Wanted, Refusal> {
        let oldest = now - SignedDuration::from_hours(24 * reach_days);
        let has = |name: &str| asked.contains_key(name);
        if has("since") {
            for other in ["before", "start_date", "end_date"] {
                if has(other) {
                    return Err(refused(&format!("'since' and '{other}' can not be present simultaneously")));
                }
            }
            let second = asked["since"].parse::<i64>().ok().and_then(|second| Timestamp::from_second(second).ok());
            let since = second.ok_or_else(|| refused("Invalid since"))?;
            return if since < oldest {
                Err(refused("'since' must be less than 3 months ago"))
            } else {
                Ok(Wanted::Since(since))
            };
        }
        if has("start_date") || has("end_date") {
            let (Some(start), Some(end)) = (asked.get("start_date"), asked.get("end_date")) else {
                return Err(refused("'start_date' and 'end_date' must both be present"));
            };
            let start = instant(start).ok_or_else(|| refused("Invalid start date"))?;
            let end = instant(end).ok_or_else(|| refused("Invalid end date"))?;
            if start < oldest {
                return Err(refused("'start_date' must be less than 3 months ago"));
            }
            return if end < start { Err(refused("Invalid end date")) } else { Ok(Wanted::Started(start..end)) };
        }
        if let Some(before) = asked.get("before") {
            let before = instant(before).ok_or_else(|| refused("Invalid before date"))?;
            return Ok(Wanted::Started(oldest..before));
        }
        Ok(Wanted::Started(now - SignedDuration::from_hours(24 * RECENT_DAYS)..Timestamp::MAX))
    }
}

/// RFC 3339, or a date, which stands for its midnight in UTC.
fn instant(text: &str) -> Option<Timestamp> {
    let midnight = || {
        let date = Date::strptime("%Y-%m-%d", text).ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    text.parse().ok().or_else(midnight)
}

/// A 400 whose body is a JSON string.
pub(crate) fn refused(text: &str) -> Refusal {
    Box::new((StatusCode::BAD_REQUEST, Json(text)).into_response())
}

async fn projects(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Query(asked): Asked,
) -> Response {
    shared.with(&caller.0, |account| {
        let deleted_too = asked.contains_key("since");
        let workspace = account.spec.workspace_id();
        let row = |project: &Project| {
            json!({
                "id": project.id, "workspace_id": workspace, "wid": workspace, "client_id": project.client_id,
                "cid": project.client_id, "name": project.label, "active": !project.deleted, "status": "active",
                "is_private": true, "at": "2026-01-01T00:00:00+00:00", "created_at": "2026-01-01T00:00:00+00:00",
                "server_deleted_at": project.deleted.then_some("2026-01-02T00:00:00+00:00"),
                "color": "#0b83d9", "billable": null, "actual_seconds": null, "start_date": "2026-01-01",
            })
        };
        let shown = account.projects.values().filter(|project| deleted_too || !project.deleted);
        Json(shown.map(row).collect::<Vec<Value>>()).into_response()
    })
}

async fn clients(State(shared): State<Arc<Shared>>, Extension(caller): Extension<Caller>) -> Response {
    shared.with(&caller.0, |account| {
        let workspace = account.spec.workspace_id();
        let rows =
            account.clients.values().map(|client| json!({"id": client.id, "wid": workspace, "name": client.label}));
        Json(rows.collect::<Vec<Value>>()).into_response()
    })
}

async fn tags(State(shared): State<Arc<Shared>>, Extension(caller): Extension<Caller>) -> Response {
    shared.with(&caller.0, |account| {
        let workspace = account.spec.workspace_id();
        let rows = account.tags.iter().map(|(name, id)| json!({"id": id, "workspace_id": workspace, "name": name}));
        Json(rows.collect::<Vec<Value>>()).into_response()
    })
}
