//! A reply: the status first, and only then what the body may be believed for.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde_json::error::Category;

use crate::{Action, Cause, ExistError, excerpt, retry_after::retry_after};

/// Most bytes of an answer that are read; the longest that Exist gives are a small part of it.
pub const RESPONSE_MAX: usize = 4 << 20;

/// What came back for one request.
pub(super) struct Reply {
    pub(super) action: Action,
    pub(super) status: StatusCode,
    retry_after: Option<Duration>,
    body: Result<Vec<u8>, Cause>,
}

impl Reply {
    /// Reads a response to its end, or to [`RESPONSE_MAX`].
    pub(super) async fn read(action: Action, response: Response) -> Self {
        let status = response.status();
        let retry_after = retry_after(response.headers(), Timestamp::now());
        Self { action, status, retry_after, body: bounded(response).await }
    }

    /// The body, however the status reads; empty if it did not arrive whole.
    pub(super) fn bytes(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    /// The body of a success.
    ///
    /// # Errors
    /// By status, see [`Reply::into_error`]; a success that did not arrive whole is `Unknown`.
    pub(super) fn success(self, secrets: &[&str]) -> Result<Vec<u8>, ExistError> {
        if !self.status.is_success() {
            return Err(self.into_error(secrets));
        }
        let action = self.action;
        self.body.map_err(|cause| ExistError::Unknown { action, cause })
    }

    /// What a reply that is no success says of the request.
    pub(super) fn into_error(self, secrets: &[&str]) -> ExistError {
        let Self { action, status, retry_after, .. } = self;
        let message = excerpt::of(self.bytes(), secrets);
        match status {
            StatusCode::UNAUTHORIZED => ExistError::Unauthorised { action },
            StatusCode::FORBIDDEN => ExistError::Forbidden { action, message },
            StatusCode::NOT_FOUND => ExistError::NotFound { action, message },
            StatusCode::TOO_MANY_REQUESTS => ExistError::RateLimited { action, retry_after },
            // A proxy's, which gave up on one side or the other.
            StatusCode::REQUEST_TIMEOUT => ExistError::Unknown { action, cause: Cause::Status { status, message } },
            status if status.is_client_error() => ExistError::Refused { action, status, message },
            status => ExistError::Unknown { action, cause: Cause::Status { status, message } },
        }
    }
}

/// Reads the body of a success.
///
/// # Errors
/// `Unknown`, saying where it failed and not what was there: serde's own text repeats what it met.
pub(super) fn parse<'a, T: Deserialize<'a>>(action: Action, body: &'a [u8]) -> Result<T, ExistError> {
    serde_json::from_slice(body).map_err(|error| {
        let problem = match error.classify() {
            Category::Data => "JSON of another shape",
            Category::Eof => "it ends too early",
            Category::Io | Category::Syntax => "not JSON",
        };
        let cause = Cause::Unreadable(format!("{problem}, line {} column {}", error.line(), error.column()));
        ExistError::Unknown { action, cause }
    })
}

async fn bounded(mut response: Response) -> Result<Vec<u8>, Cause> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > RESPONSE_MAX {
            return Err(Cause::Unreadable(format!("longer than {RESPONSE_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
