//! The routes.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Extension, Form, Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::{ToSpan, civil::Date, tz::TimeZone};
use serde_json::{Value, json};

use super::{ACCOUNTS, INFLOW, Plan, Shared};
use crate::world::bearer::Caller;

/// Two hours.
const TOKEN_LIFE_S: u64 = 7_200;

pub(super) fn api() -> Router<Arc<Shared>> {
    let mut router = Router::new();
    // The older name of a plan still answers.
    for word in ["plans", "budgets"] {
        router = router
            .route(&format!("/v1/{word}/{{plan}}/transactions"), get(transactions))
            .route(&format!("/v1/{word}/{{plan}}/transactions/{{id}}"), get(transaction))
            .route(&format!("/v1/{word}/{{plan}}/accounts"), get(accounts))
            .route(&format!("/v1/{word}/{{plan}}/categories"), get(categories));
    }
    router.fallback(|| async { error(StatusCode::NOT_FOUND, "404.1", "not_found") })
}

pub(super) fn oauth() -> Router<Arc<Shared>> {
    Router::new().route("/oauth/token", post(token))
}

fn error(status: StatusCode, id: &str, name: &str) -> Response {
    (status, Json(json!({"error": {"id": id, "name": name, "detail": name}}))).into_response()
}

/// The caller's plan, if that is the one named.
fn plan<T>(shared: &Shared, caller: &Caller, named: &str, answer: impl FnOnce(&Plan) -> T) -> Result<T, Box<Response>> {
    let state = shared.state();
    let plan = state.plans.get(&caller.0).filter(|plan| plan.id == named);
    plan.map(answer).ok_or_else(|| Box::new(error(StatusCode::NOT_FOUND, "404.2", "resource_not_found")))
}

async fn transactions(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(named): Path<String>,
    Query(asked): Query<HashMap<String, String>>,
) -> Response {
    // Without a date, what is older than a year is left out: of changes, too.
    let today = shared.clock.now().to_zoned(TimeZone::UTC).date();
    let since = match asked.get("since_date").map(|text| text.parse::<Date>()) {
        None => today - 1.year(),
        Some(Ok(date)) => date,
        Some(Err(_)) => return error(StatusCode::BAD_REQUEST, "400", "bad_request"),
    };
    let knowledge: Option<i64> = match asked.get("last_knowledge_of_server").map(|text| text.parse()) {
        None => None,
        Some(Ok(number)) => Some(number),
        Some(Err(_)) => return error(StatusCode::BAD_REQUEST, "400", "bad_request"),
    };
    let answer = plan(&shared, &caller, &named, |plan| {
        let found = plan.transactions.values().filter(|found| found.told.date >= since);
        // Deleted ones are only among changes.
        let found = found.filter(|found| knowledge.map_or(!found.deleted, |knowledge| found.log > knowledge));
        let rows: Vec<Value> = found.map(super::Transaction::row).collect();
        Json(json!({"data": {"transactions": rows, "server_knowledge": plan.knowledge}})).into_response()
    });
    answer.unwrap_or_else(|refused| *refused)
}

async fn transaction(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path((named, id)): Path<(String, String)>,
) -> Response {
    let found = plan(&shared, &caller, &named, |plan| plan.transactions.get(&id).map(super::Transaction::row));
    match found {
        Ok(Some(row)) => Json(json!({"data": {"transaction": row}})).into_response(),
        Ok(None) => error(StatusCode::NOT_FOUND, "404.2", "resource_not_found"),
        Err(refused) => *refused,
    }
}

async fn accounts(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(named): Path<String>,
) -> Response {
    let answer = plan(&shared, &caller, &named, |plan| {
        let row = |(id, on_budget): (&str, bool)| json!({"id": id, "name": id, "type": "checking", "on_budget": on_budget, "closed": false, "deleted": false});
        Json(json!({"data": {"accounts": ACCOUNTS.map(row), "server_knowledge": plan.knowledge}})).into_response()
    });
    answer.unwrap_or_else(|refused| *refused)
}

async fn categories(
    State(shared): State<Arc<Shared>>,
    Extension(caller): Extension<Caller>,
    Path(named): Path<String>,
) -> Response {
    let answer = plan(&shared, &caller, &named, |plan| {
        let category = |id: &str, name: &str, internal: bool| json!({"id": id, "name": name, "internal": internal, "deleted": false});
        let own: Vec<Value> = plan.categories.iter().map(|id| category(id, id, false)).collect();
        let ynabs =
            [category(INFLOW, "Inflow: Ready to Assign", true), category("uncategorized", "Uncategorized", true)];
        let groups = json!([
            {"id": "g0", "name": "Internal Master Category", "internal": true, "deleted": false, "categories": ynabs},
            {"id": "g1", "name": "Everyday", "internal": false, "deleted": false, "categories": own},
        ]);
        Json(json!({"data": {"category_groups": groups, "server_knowledge": plan.knowledge}})).into_response()
    });
    answer.unwrap_or_else(|refused| *refused)
}

async fn token(State(shared): State<Arc<Shared>>, Form(fields): Form<HashMap<String, String>>) -> Response {
    match shared.state().grants.grant(&fields) {
        Some(tokens) => Json(json!({
            "access_token": tokens.access, "token_type": "bearer", "expires_in": TOKEN_LIFE_S, "refresh_token": tokens.refresh,
        }))
        .into_response(),
        None => (StatusCode::BAD_REQUEST, Json(json!({"error": "invalid_grant", "error_description": "dead"}))).into_response(),
    }
}
