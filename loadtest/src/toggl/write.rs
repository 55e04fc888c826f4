//! What a workspace takes: entries created, changed, stopped and deleted.

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{patch, post, put},
};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::{
    Shared,
    account::{Account, Edit, NewEntry},
    gate::Caller,
    read::refused,
    row::{Spelling, row},
};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v9/workspaces/{workspace}/time_entries", post(create))
        .route("/api/v9/workspaces/{workspace}/time_entries/{id}", put(change).delete(delete))
        .route("/api/v9/workspaces/{workspace}/time_entries/{id}/stop", patch(stop))
}

/// A body of POST or PUT; what is absent stays as it is.
#[derive(Debug, Deserialize)]
struct Body {
    workspace_id: Option<i64>,
    start: Option<Timestamp>,
    stop: Option<Timestamp>,
    duration: Option<i64>,
    #[serde(default, deserialize_with = "given")]
    project_id: Option<Option<i64>>,
    tags: Option<Vec<String>>,
    #[serde(default, deserialize_with = "given")]
    description: Option<Option<String>>,
}

/// Tells null from absent.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(workspace): Path<i64>,
    Json(body): Json<Body>,
) -> Response {
    let now = shared.clock.now();
    in_workspace(&shared, &caller, workspace, |account| {
        if body.workspace_id.is_some_and(|named| named != workspace) {
            return *refused("workspace_id does not match");
        }
        let Some(start) = body.start else { return *refused("Start time is required") };
        // Neither a stop nor a duration: answered with 0 seconds and no stop, read back with both.
        let (stop, echo) = match (body.stop, body.duration) {
            (Some(stop), _) => (Some(stop), None),
            (None, Some(duration @ ..=-1)) => (None, Some(duration)),
            (None, Some(seconds)) => (Some(start + jiff::SignedDuration::from_secs(seconds)), None),
            (None, None) => (Some(start), Some(0)),
        };
        if stop.is_some_and(|stop| stop < start) {
            return *refused("Stop time must be after start time");
        }
        let entry = NewEntry {
            start,
            stop,
            project_id: body.project_id.flatten(),
            tags: body.tags.unwrap_or_default(),
            description: body.description.flatten(),
        };
        let id = account.create(entry, now);
        Json(row(account, &account.entries[&id], Spelling::Created { echo })).into_response()
    })
}

async fn change(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path((workspace, id)): Path<(i64, i64)>,
    Json(body): Json<Body>,
) -> Response {
    let now = shared.clock.now();
    in_workspace(&shared, &caller, workspace, |account| {
        let Some(entry) = account.entries.get(&id) else { return not_found() };
        let start = body.start.unwrap_or(entry.start);
        let seconds = match (body.stop, body.duration) {
            (Some(stop), _) => Some(stop.duration_since(start).as_secs()),
            (None, Some(seconds @ 0..)) => Some(seconds),
            _ => None,
        };
        if seconds.is_some_and(i64::is_negative) {
            return *refused("Stop time must be after start time");
        }
        let edits: Vec<Edit> = [
            body.start.map(Edit::Start),
            seconds.map(Edit::Seconds),
            body.project_id.map(Edit::Project),
            body.tags.map(Edit::Tags),
            body.description.map(Edit::Description),
        ]
        .into_iter()
        .flatten()
        .collect();
        if account.edit(id, &edits, now) { changed(account, id) } else { not_found() }
    })
}

async fn stop(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path((workspace, id)): Path<(i64, i64)>,
) -> Response {
    let now = shared.clock.now();
    in_workspace(&shared, &caller, workspace, |account| {
        if !account.entries.contains_key(&id) {
            not_found()
        } else if account.stop(id, now, now) {
            changed(account, id)
        } else {
            (StatusCode::CONFLICT, Json("Time entry already stopped")).into_response()
        }
    })
}

async fn delete(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path((workspace, id)): Path<(i64, i64)>,
) -> Response {
    let now = shared.clock.now();
    in_workspace(&shared, &caller, workspace, |account| {
        if account.delete(id, now) { StatusCode::OK.into_response() } else { not_found() }
    })
}

fn in_workspace(
    shared: &Shared,
    caller: &Caller,
    workspace: i64,
    work: impl FnOnce(&mut Account) -> Response,
) -> Response {
    shared.with(&caller.0, |account| {
        if account.spec.workspace_id() == workspace {
            work(account)
        } else {
            (StatusCode::FORBIDDEN, Json("User does not have access to this resource.")).into_response()
        }
    })
}

fn changed(account: &Account, id: i64) -> Response {
    Json(row(account, &account.entries[&id], Spelling::Changed)).into_response()
}

fn not_found() -> Response {
    (StatusCode::NOT_FOUND, Json("Time entry not found/accessible")).into_response()
}
