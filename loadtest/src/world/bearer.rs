//! What happens to a request with a bearer token before its handler: whose it is, faults; and after it: the log.

use std::sync::Arc;

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Clock, Fault, Faults, RequestLog, fault, request_log, server::Cutter};

/// A service whose callers show bearer tokens.
pub(crate) trait Bearers: Send + Sync + 'static {
    /// The name of the account that a token belongs to.
    fn account_of(&self, token: &str) -> Option<String>;
    /// What goes wrong.
    fn faults(&self) -> &Faults;
    /// What was asked.
    fn log(&self) -> &RequestLog;
    /// What time it is.
    fn clock(&self) -> &Clock;
}

/// Whose token a request carried.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) String);

/// Lets nobody through without a token that is known.
pub(crate) async fn gate<S: Bearers>(
    State(shared): State<Arc<S>>,
    ConnectInfo(cutter): ConnectInfo<Cutter>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = token(request.headers()).and_then(|token| shared.account_of(token));
    let fault = shared.faults().take(caller.as_deref());
    let mut logged = request_log::Request {
        at: shared.clock().now(),
        account: caller.clone(),
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        status: None,
        fault: fault.clone(),
    };
    let early = match &fault {
        Some(fault) => fault::answer(fault, &cutter).await,
        None => None,
    };
    let response = match (early, caller, &fault) {
        (Some(response), _, _) => response,
        (None, None, _) | (None, _, Some(Fault::Unauthorised)) => StatusCode::UNAUTHORIZED.into_response(),
        (None, _, Some(Fault::TooManyRequests { retry_after_s })) => too_many(*retry_after_s),
        (None, _, Some(Fault::QuotaSpent { resets_in_s })) => too_many(Some(*resets_in_s)),
        (None, Some(caller), _) => {
            request.extensions_mut().insert(Caller(caller));
            next.run(request).await
        }
    };
    logged.status = (fault != Some(Fault::Reset)).then(|| response.status().as_u16());
    shared.log().push(logged);
    response
}

fn token(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

fn too_many(retry_after_s: Option<u64>) -> Response {
    let mut response = StatusCode::TOO_MANY_REQUESTS.into_response();
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
