//! The HTTP client we expect: one request means one request.

use std::time::Duration;

use reqwest::redirect::Policy;

use crate::ExistError;

/// Longest that connecting may take, if the whole call is allowed more.
pub const CONNECT_WAIT_MAX: Duration = Duration::from_secs(5);

/// How long an idle connection is kept: less than servers do (nginx: 75 s), since one that closes
/// under a request leaves its outcome unknown.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// Most idle connections kept.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// Makes the HTTP client for a [`Client`](crate::Client), once per process.
///
/// `timeout` is for a whole call, from connecting to the last byte of the answer. No redirects, no
/// retries, and HTTP/1.1 only: there, asking the fence and writing the request is one step, while in
/// HTTP/2 another task writes, later. Proxies are taken from the environment.
///
/// # Errors
/// [`ExistError::Setup`]: the system's certificates or proxy settings cannot be used.
///
/// # Panics
/// If the process has not installed rustls' crypto provider.
pub fn http_client(timeout: Duration) -> Result<reqwest::Client, ExistError> {
    reqwest::Client::builder()
        .user_agent(concat!("tributary/", env!("CARGO_PKG_VERSION")))
        .timeout(timeout)
        .connect_timeout(timeout.min(CONNECT_WAIT_MAX))
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .http1_only()
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .build()
        .map_err(ExistError::Setup)
}
