//! The routes.

use std::{cmp::Reverse, collections::HashMap, sync::Arc};

use axum::{
    Extension, Json, Router,
    body::Bytes,
    extract::{Query, State},
    http::{HeaderMap, HeaderName, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Play, Shared};
use crate::world::bearer::Caller;

/// Seven days, as it was last seen to be.
const TOKEN_LIFE_S: u64 = 7 * 86_400;

pub(super) fn api() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/sync/last_activities", get(last_activities))
        .route("/api/sync/history", get(bare_history))
        .route("/api/users/me/history", get(history))
        .fallback(|| async { StatusCode::NOT_FOUND })
}

pub(super) fn oauth() -> Router<Arc<Shared>> {
    Router::new().route("/auth/oauth/token", post(token))
}

fn is_well_formed(headers: &HeaderMap) -> bool {
    let has = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    has("trakt-api-version") == Some("2")
        && has("trakt-api-key").is_some()
        && has("content-type") == Some("application/json")
}

async fn last_activities(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Extension(caller): Extension<Caller>,
) -> Response {
    if !is_well_formed(&headers) {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    let changed = shared.state().accounts[&caller.0].changed.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    let area = json!({"watched_at": changed, "collected_at": changed, "rated_at": changed});
    Json(json!({"all": changed, "movies": area, "episodes": area, "account": {"settings_at": changed}})).into_response()
}

type Asked = Query<HashMap<String, String>>;

async fn bare_history(
    shared: State<Arc<Shared>>,
    headers: HeaderMap,
    caller: Extension<Caller>,
    asked: Asked,
) -> Response {
    if shared.config.bare_history {
        history(shared, headers, caller, asked).await
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}

async fn history(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Extension(caller): Extension<Caller>,
    Query(asked): Asked,
) -> Response {
    if !is_well_formed(&headers) {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    let number = |name: &str, default: usize| asked.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let instant = |name: &str| asked.get(name).and_then(|text| text.parse::<Timestamp>().ok());
    let (from, until) = (instant("start_at").unwrap_or(Timestamp::MIN), instant("end_at").unwrap_or(Timestamp::MAX));
    let (page, limit) = (number("page", 1).max(1), number("limit", shared.config.page_limit_default));
    let limit = limit.clamp(1, shared.config.page_limit_max);
    let state = shared.state();
    let mut found: Vec<&Play> =
        state.accounts[&caller.0].plays.values().filter(|play| (from..=until).contains(&play.watched_at)).collect();
    found.sort_by_key(|play| Reverse((play.watched_at, play.id)));
    let extended = asked.get("extended").map(String::as_str) == Some("full");
    let rows: Vec<Value> = found.iter().skip((page - 1) * limit).take(limit).map(|play| row(play, extended)).collect();
    let mut response = Json(rows).into_response();
    let pages = found.len().div_ceil(limit).max(1);
    for (name, value) in [("page", page), ("limit", limit), ("page-count", pages), ("item-count", found.len())] {
        let name: HeaderName = format!("x-pagination-{name}").parse().expect("letters and dashes");
        response.headers_mut().insert(name, value.into());
    }
    response
}

/// Runtimes come only with the whole.
fn row(play: &Play, extended: bool) -> Value {
    let mut row = play.row();
    if !extended {
        for part in ["episode", "show", "movie"] {
            if let Some(fields) = row.get_mut(part).and_then(Value::as_object_mut) {
                fields.remove("runtime");
            }
        }
    }
    row
}

async fn token(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let fields: HashMap<String, String> =
        serde_json::from_slice(&body).unwrap_or_else(|_| url::form_urlencoded::parse(&body).into_owned().collect());
    let now = shared.clock.now();
    match shared.state().grants.grant(&fields) {
        Some(tokens) => Json(json!({
            "access_token": tokens.access, "token_type": "bearer", "expires_in": TOKEN_LIFE_S,
            "refresh_token": tokens.refresh, "scope": "public", "created_at": now.as_second(),
        }))
        .into_response(),
        None => {
            let body =
                json!({"error": "invalid_grant", "error_description": "The grant is invalid, expired or revoked."});
            (StatusCode::BAD_REQUEST, Json(body)).into_response()
        }
    }
}
