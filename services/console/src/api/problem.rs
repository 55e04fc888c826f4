//! Why there is no answer, as RFC 9457 writes problems down.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use store::StoreError;
use tracing::warn;
use utoipa::ToSchema;

/// Why there is no answer (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Problem {
    /// The code of the answer.
    status: u16,
    /// What the code means.
    title: String,
    /// What is wrong here.
    detail: String,
}

impl Problem {
    fn new(code: StatusCode, detail: impl Into<String>) -> Self {
        let title = code.canonical_reason().unwrap_or_default().to_owned();
        Self { status: code.as_u16(), title, detail: detail.into() }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn unauthorised(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub(super) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "this API only answers GET: nothing can be changed here")
    }

    pub(super) fn unavailable(detail: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}

impl From<StoreError> for Problem {
    /// What exactly went wrong is for the log: it may name keys, and with them people.
    fn from(error: StoreError) -> Self {
        warn!(error = telemetry::chain(&error), "a question to the API could not be answered");
        match error {
            StoreError::Redis { .. } | StoreError::Pool { .. } | StoreError::Connect { .. } => {
                Self::unavailable("Redis does not answer; try again")
            }
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "what stands in Redis cannot be read; the log says more"),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (code, Json(self)).into_response();
        let problem = header::HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, problem);
        if code == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        response
    }
}
