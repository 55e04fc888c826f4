//! The routes.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Extension, Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Repository, Shared, objects::account};
use crate::world::bearer::Caller;

/// Rows of a page at most.
const PER_PAGE_MAX: usize = 100;

type Asked = HashMap<String, String>;

pub(super) fn api() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v3/user", get(user))
        .route("/api/v3/repos/{owner}/{name}/issues/{number}", get(issue))
        .route("/api/v3/repos/{owner}/{name}/{*list}", get(named))
        .route("/api/v3/repositories/{id}/{*list}", get(numbered))
        .fallback(|| async { StatusCode::NOT_FOUND })
}

async fn user(State(shared): State<Arc<Shared>>, Extension(caller): Extension<Caller>) -> Json<Value> {
    Json(account(&shared.state().members[&caller.0]))
}

async fn issue(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Path((owner, name, number)): Path<(String, String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    // The list of all comments has an address that looks like an issue's.
    if number == "comments" {
        let list = "issues/comments".to_owned();
        return named(State(shared), headers, Path((owner, name, list)), Query(asked)).await;
    }
    let state = shared.state();
    let issues = state.repositories.get(&format!("{owner}/{name}")).map(|repository| &repository.issues);
    match issues.and_then(|issues| issues.values().find(|issue| issue.number.to_string() == number)) {
        Some(issue) => Json(issue.whole()).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({"message": "Not Found"}))).into_response(),
    }
}

async fn named(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Path((owner, name, list)): Path<(String, String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    let state = shared.state();
    let found = state.repositories.get(&format!("{owner}/{name}"));
    found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |found| listed(found, &headers, &list, &asked))
}

async fn numbered(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Path((id, list)): Path<(i64, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    let state = shared.state();
    let found = state.repositories.values().find(|repository| repository.id == id);
    found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |found| listed(found, &headers, &list, &asked))
}

/// One page, and the address of the next by the repository's number.
fn listed(repository: &Repository, headers: &HeaderMap, list: &str, asked: &Asked) -> Response {
    if !headers.contains_key("user-agent") {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Some(rows) = rows(repository, list, asked) else { return StatusCode::NOT_FOUND.into_response() };
    let number = |name: &str, default: usize| asked.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (page, per_page) = (number("page", 1).max(1), number("per_page", 30).clamp(1, PER_PAGE_MAX));
    let more = rows.len() > page * per_page;
    let rows: Vec<Value> = rows.into_iter().skip((page - 1) * per_page).take(per_page).collect();
    let mut response = Json(rows).into_response();
    if more {
        let host = headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
        let rest =
            asked.iter().filter(|(name, _)| *name != "page").map(|(name, value)| (name.as_str(), value.as_str()));
        let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(rest).finish();
        let next = format!(
            "<http://{host}/api/v3/repositories/{}/{list}?{query}&page={}>; rel=\"next\"",
            repository.id,
            page + 1
        );
        response.headers_mut().insert("link", next.parse().expect("an address is a header"));
    }
    response
}

/// All rows of a list, in its order; `None` if there is no such list.
fn rows(repository: &Repository, list: &str, asked: &Asked) -> Option<Vec<Value>> {
    let since = asked.get("since").and_then(|text| text.parse::<Timestamp>().ok()).unwrap_or(Timestamp::MIN);
    let mut dated: Vec<(Timestamp, Value)> = match list {
        "issues" => {
            let issues = repository.issues.values().map(|issue| (issue.updated_at, issue.row()));
            issues.chain(repository.pulls.values().map(|pull| (pull.updated_at, pull.as_issue()))).collect()
        }
        "issues/comments" => repository.comments.values().map(|comment| (comment.updated_at, comment.row())).collect(),
        "pulls" => {
            // This list knows no `since`.
            let mut pulls: Vec<_> = repository.pulls.values().map(|pull| (pull.updated_at, pull.row())).collect();
            pulls.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
            return Some(pulls.into_iter().map(|(_, row)| row).collect());
        }
        "branches" => {
            let row = |(name, commits): (&String, &Vec<super::Commit>)| json!({"name": name, "commit": {"sha": commits.last().map(|commit| &commit.sha)}, "protected": false});
            return Some(repository.branches.iter().map(row).collect());
        }
        "commits" => {
            let sha = asked.get("sha");
            let is_asked =
                |commits: &&Vec<super::Commit>| sha.is_none() || commits.last().map(|commit| &commit.sha) == sha;
            let commits = repository.branches.values().find(is_asked).into_iter().flatten();
            let by = asked.get("author");
            let is_by = |commit: &&super::Commit| {
                by.is_none_or(|by| commit.author.as_ref().is_some_and(|author| author.login == *by))
            };
            let found = commits.filter(is_by).filter(|commit| commit.authored_at >= since);
            return Some(found.map(super::Commit::row).collect::<Vec<_>>().into_iter().rev().collect());
        }
        _ => return None,
    };
    dated.retain(|(at, _)| *at >= since);
    dated.sort_by_key(|(at, _)| *at);
    Some(dated.into_iter().map(|(_, row)| row).collect())
}
