//! The REST API: users, their computers, their pulses.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Extension, Json, Router,
    extract::{OriginalUri, Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::{civil::Date, tz::TimeZone};
use serde_json::{Value, json};

use super::{
    Pulse, Shared,
    account::{Account, hundredths},
    gate::{KeyOwner, ToSpoil, message},
    page::{Page, invalid},
};

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/v1/users", get(search))
        .route("/api/v1/users/{id}", get(user))
        .route("/api/v1/users/{id}/pulses", get(pulses))
        .route("/api/v1/users/{id}/computers", get(computers))
        .route("/api/v1/users/{id}/time-series", get(time_series))
}

type Asked = Query<HashMap<String, String>>;

async fn search(State(shared): State<Arc<Shared>>, Query(asked): Asked) -> Response {
    let wanted = asked.get("search").map(|text| text.to_lowercase()).unwrap_or_default();
    let accounts = shared.accounts();
    let found = accounts.values().filter(|account| account.spec.name.to_lowercase().contains(&wanted));
    let users: Vec<Value> =
        found.map(|account| json!({"id": account.spec.user_id, "username": account.spec.name})).collect();
    Json(json!({"users": users})).into_response()
}

async fn user(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Extension(owner): Extension<KeyOwner>,
) -> Response {
    shown(&shared, &id, &owner, |account| {
        let day = |pulse: &Pulse| pulse.date.to_zoned(TimeZone::UTC).date().to_string();
        let last = account.pulses.values().next_back();
        let body = json!({"user": {
            "id": account.spec.user_id,
            "username": account.spec.name,
            "date_joined": "2012-03-04",
            "first_pulse_date": account.pulses.values().next().map(day),
            "last_pulse_date": last.map(day),
            "pulses": account.pulses.len(),
            "team_id": null,
            "team_is_manager": false,
            "country_id": 150,
            "is_premium": false,
            "referrals": 0,
            "last_referral_date": null,
            "avatar": null,
            "totals": {
                "keys": account.total(|counts| counts.keys),
                "clicks": account.total(|counts| counts.clicks),
                "download_mb": hundredths(account.total(|counts| counts.download_centi_mb)),
                "upload_mb": hundredths(account.total(|counts| counts.upload_centi_mb)),
                "uptime_seconds": account.total(|counts| counts.uptime_seconds),
                "scrolls": account.total(|counts| counts.scrolls.unwrap_or(0)),
                "distance_miles": hundredths(account.total(|counts| counts.distance_centimiles.unwrap_or(0))),
            },
            "ranks": {},
            "include_in_rankings": true,
            "distance_system": "metric",
            "last_pulse": last.map(|pulse| account.v1_row(pulse)),
        }});
        Json(body).into_response()
    })
}

async fn computers(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Extension(owner): Extension<KeyOwner>,
) -> Response {
    shown(&shared, &id, &owner, |account| {
        let row = |computer: &String| json!({"id": account.computer_id(computer), "name": computer, "client_version": "6.2.0", "os": "linux", "is_archived": false});
        Json(json!({"computers": account.computers.iter().map(row).collect::<Vec<Value>>()})).into_response()
    })
}

/// Nobody here has Premium.
async fn time_series(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Extension(owner): Extension<KeyOwner>,
) -> Response {
    shown(&shared, &id, &owner, |_| message(StatusCode::FORBIDDEN, "This action is unauthorized."))
}

async fn pulses(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    Query(asked): Asked,
    Extension(owner): Extension<KeyOwner>,
    Extension(spoil): Extension<ToSpoil>,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
) -> Response {
    let parameter = |name: &str| asked.get(name).map(String::as_str);
    let read = || -> Result<(Page, Option<Date>, Option<Date>), Box<Response>> {
        let page = Page::read(parameter("page"), parameter("per_page"))?;
        Ok((page, day(&asked, "date_from")?, day(&asked, "date_to")?))
    };
    let (page, from, to) = match read() {
        Ok(read) => read,
        Err(refusal) => return *refusal,
    };
    shown(&shared, &id, &owner, |account| {
        let inside = |pulse: &&Pulse| {
            let day = pulse.date.to_zoned(TimeZone::UTC).date();
            let until = |to| if shared.config.date_to_inclusive { day <= to } else { day < to };
            from.is_none_or(|from| day >= from) && to.is_none_or(until)
        };
        let of_computer = |pulse: &&Pulse| {
            parameter("computer_id").is_none_or(|wanted| {
                account.computer_id(&pulse.computer).map(|id| id.to_string()).as_deref() == Some(wanted)
            })
        };
        let newest_first = account.pulses.values().rev().filter(inside).filter(of_computer);
        let rows: Vec<Value> = newest_first.map(|pulse| account.v1_row(pulse)).collect();
        let (mut rows, pagination, links) = page.cut(&rows, &headers, &uri);
        if let (Some(malformed), Some(row)) = (&spoil.0, rows.first_mut()) {
            malformed.spoil(row);
        }
        let filters = json!({
            "computer_id": parameter("computer_id"), "date_from": parameter("date_from"), "date_to": parameter("date_to"),
        });
        Json(json!({"pulses": rows, "pagination": pagination, "links": links, "filters": filters})).into_response()
    })
}

/// Runs `show` on the user named in the path, if the key's owner may see them.
fn shown(shared: &Shared, id: &str, owner: &KeyOwner, show: impl FnOnce(&Account) -> Response) -> Response {
    let accounts = shared.accounts();
    match accounts.values().find(|account| account.is_called(id)) {
        None => message(StatusCode::NOT_FOUND, "User not found"),
        Some(account) if account.private && account.spec.name != owner.0 => {
            message(StatusCode::FORBIDDEN, "This action is unauthorized.")
        }
        Some(account) => show(account),
    }
}

fn day(asked: &HashMap<String, String>, name: &str) -> Result<Option<Date>, Box<Response>> {
    let Some(text) = asked.get(name) else { return Ok(None) };
    match Date::strptime("%Y-%m-%d", text) {
        Ok(day) => Ok(Some(day)),
        Err(_) => Err(invalid(name, &format!("The {} field must be a valid date.", name.replace('_', " ")))),
    }
}
