//! What happens to a request before its handler: token, faults, quotas; and after it: headers and log.

use std::sync::Arc;

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::Shared;
use crate::world::{Fault, Malformed, fault, quota::Admission, request_log, server::Cutter};

/// Whose token a request carried.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) String);

/// The field a handler is told to spoil, if any.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToSpoil(pub(crate) Option<Malformed>);

pub(crate) async fn gate(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    request: Request,
    next: Next,
) -> Response {
    let caller = caller(&shared, request.headers());
    let fault = shared.faults.take(caller.as_deref());
    let mut logged = request_log::Request {
        at: shared.clock.now(),
        account: caller.clone(),
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        status: None,
        fault: fault.clone(),
    };
    let response = admit(&shared, caller, fault, &cutter, request, next).await;
    logged.status = (logged.fault != Some(Fault::Reset)).then(|| response.status().as_u16());
    shared.log.push(logged);
    response
}

async fn admit(
    shared: &Shared,
    caller: Option<String>,
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
    let Some(caller) = caller.filter(|_| fault != Some(Fault::Unauthorised)) else {
        return (StatusCode::UNAUTHORIZED, [("X-Authorization-Missing", "true")]).into_response();
    };
    let spoil = match fault {
        Some(Fault::TooManyRequests { retry_after_s }) => return too_many(retry_after_s),
        Some(Fault::QuotaSpent { resets_in_s }) => return quota_spent(resets_in_s),
        Some(Fault::Malformed(malformed)) => ToSpoil(Some(malformed)),
        _ => ToSpoil(None),
    };
    let path = request.uri().path().to_owned();
    // Asking for the quota costs none of it.
    if path == "/api/v9/me/quota" {
        request.extensions_mut().insert(Caller(caller));
        return next.run(request).await;
    }
    let Some(admission) = count(shared, &caller, path.starts_with("/api/v9/me")) else { return too_many(None) };
    if !admission.admitted {
        return quota_spent(admission.resets_in_s);
    }
    request.extensions_mut().insert(Caller(caller));
    request.extensions_mut().insert(spoil);
    let mut response = next.run(request).await;
    response.headers_mut().insert("X-Service-Level", HeaderValue::from_static("GREEN"));
    if shared.config.quota_headers {
        add_quota(response.headers_mut(), admission.remaining, admission.resets_in_s);
    }
    response
}

/// The name of the account whose token came as the user of HTTP Basic.
fn caller(shared: &Shared, headers: &HeaderMap) -> Option<String> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let token = decoded.strip_suffix(":api_token")?;
    shared.by_token(token)
}

/// Counts the request; none when it comes too fast.
fn count(shared: &Shared, caller: &str, is_me: bool) -> Option<Admission> {
    let now = shared.clock.now();
    shared.with(caller, |account| {
        if account.bucket.as_mut().is_some_and(|bucket| !bucket.admit(now)) {
            return None;
        }
        let quota = if is_me { &mut account.me_quota } else { &mut account.workspace_quota };
        Some(quota.admit(now))
    })
}

fn too_many(retry_after_s: Option<u64>) -> Response {
    let mut response = (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests").into_response();
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn quota_spent(resets_in_s: u64) -> Response {
    let text = "You have hit your hourly limit for API calls. Please upgrade your plan or wait.";
    let mut response = (StatusCode::PAYMENT_REQUIRED, text).into_response();
    add_quota(response.headers_mut(), 0, resets_in_s);
    response
}

fn add_quota(headers: &mut HeaderMap, remaining: u32, resets_in_s: u64) {
    headers.insert("X-Toggl-Quota-Remaining", remaining.into());
    headers.insert("X-Toggl-Quota-Resets-In", resets_in_s.into());
}
