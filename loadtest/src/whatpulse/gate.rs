//! What happens to a request before its handler: key, faults, limit; and after it: headers and log.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    extract::{ConnectInfo, Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::Shared;
use crate::world::{Fault, Malformed, fault, quota::Admission, request_log, server::Cutter};

/// Whose key a v1 request carried.
#[derive(Clone, Debug)]
pub(crate) struct KeyOwner(pub(crate) String);

/// The field a handler is told to spoil, if any.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToSpoil(pub(crate) Option<Malformed>);

pub(crate) async fn v1(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    request: Request,
    next: Next,
) -> Response {
    let owner = owner_of_key(&shared, request.headers());
    let fault = shared.faults.take(owner.as_deref());
    let mut logged = begin(&shared, &request, owner.clone(), fault.clone());
    let response = admit(&shared, owner, fault, &cutter, request, next).await;
    logged.status = (logged.fault != Some(Fault::Reset)).then(|| response.status().as_u16());
    shared.log.push(logged);
    response
}

async fn admit(
    shared: &Shared,
    owner: Option<String>,
    fault: Option<Fault>,
    cutter: &Cutter,
    mut request: Request,
    next: Next,
) -> Response {
    if let Some(fault) = &fault
        && let Some(response) = fault::answer(fault, cutter).await
    {
        return response;
    }
    let Some(owner) = owner.filter(|_| fault != Some(Fault::Unauthorised)) else {
        return message(StatusCode::UNAUTHORIZED, "Unauthenticated.");
    };
    match fault {
        Some(Fault::TooManyRequests { retry_after_s }) => return too_many(retry_after_s),
        Some(Fault::QuotaSpent { resets_in_s }) => return too_many(Some(resets_in_s)),
        Some(Fault::Malformed(malformed)) => request.extensions_mut().insert(ToSpoil(Some(malformed))),
        _ => request.extensions_mut().insert(ToSpoil(None)),
    };
    let (admission, limit) = count(shared, &owner);
    request.extensions_mut().insert(KeyOwner(owner));
    let mut response = if admission.admitted {
        next.run(request).await
    } else {
        too_many(shared.config.rate_headers.then_some(admission.resets_in_s))
    };
    if shared.config.rate_headers {
        let reset = shared.clock.now().as_second().saturating_add_unsigned(admission.resets_in_s);
        let headers = response.headers_mut();
        headers.insert("X-RateLimit-Limit", limit.into());
        headers.insert("X-RateLimit-Remaining", admission.remaining.into());
        headers.insert("X-RateLimit-Reset", reset.into());
    }
    response
}

/// The legacy API knows no keys; a request belongs to the user it names.
pub(crate) async fn legacy(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    Query(query): Query<HashMap<String, String>>,
    mut request: Request,
    next: Next,
) -> Response {
    let named = query.get("user").or_else(|| query.get("userid"));
    let name = named.and_then(|named| {
        shared.accounts().values().find(|account| account.is_called(named)).map(|account| account.spec.name.clone())
    });
    let fault = shared.faults.take(name.as_deref());
    let mut logged = begin(&shared, &request, name, fault.clone());
    let early = match &fault {
        Some(Fault::Unauthorised) => Some(StatusCode::UNAUTHORIZED.into_response()),
        Some(Fault::TooManyRequests { retry_after_s }) => Some(too_many(*retry_after_s)),
        Some(Fault::QuotaSpent { resets_in_s }) => Some(too_many(Some(*resets_in_s))),
        Some(fault) => fault::answer(fault, &cutter).await,
        None => None,
    };
    let spoil = match fault {
        Some(Fault::Malformed(malformed)) => ToSpoil(Some(malformed)),
        _ => ToSpoil(None),
    };
    let response = match early {
        Some(response) => response,
        None => {
            request.extensions_mut().insert(spoil);
            next.run(request).await
        }
    };
    logged.status = (logged.fault != Some(Fault::Reset)).then(|| response.status().as_u16());
    shared.log.push(logged);
    response
}

pub(crate) fn message(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({"message": text}))).into_response()
}

fn begin(shared: &Shared, request: &Request, account: Option<String>, fault: Option<Fault>) -> request_log::Request {
    request_log::Request {
        at: shared.clock.now(),
        account,
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        status: None,
        fault,
    }
}

fn owner_of_key(shared: &Shared, headers: &HeaderMap) -> Option<String> {
    let key = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    shared.accounts().values().find(|account| account.spec.api_key == key).map(|account| account.spec.name.clone())
}

fn count(shared: &Shared, owner: &str) -> (Admission, u32) {
    let now = shared.clock.now();
    let mut accounts = shared.accounts();
    let quota = &mut accounts.get_mut(owner).expect("the key was found in this account").quota;
    (quota.admit(now), quota.limit())
}

fn too_many(retry_after_s: Option<u64>) -> Response {
    let mut response = message(StatusCode::TOO_MANY_REQUESTS, "Too Many Attempts.");
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
