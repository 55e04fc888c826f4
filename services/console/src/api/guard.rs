//! Who may ask, and for how long an answer may be worked on.

use std::time::Duration;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::{Api, Problem};

/// The shortest token that is taken, in bytes.
const TOKEN_MIN: usize = 16;
/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What operators show.
pub(super) struct Token(SecretString);

impl Token {
    /// # Errors
    /// It is too short to keep anybody out.
    pub(super) fn try_new(token: &SecretString) -> anyhow::Result<Self> {
        let is_long = token.expose_secret().len() >= TOKEN_MIN;
        anyhow::ensure!(is_long, "TRIBUTARY_CONSOLE_TOKEN is shorter than {TOKEN_MIN} characters");
        Ok(Self(token.clone()))
    }

    /// Takes the same time wherever the first difference is.
    fn is(&self, shown: &str) -> bool {
        self.0.expose_secret().as_bytes().ct_eq(shown.as_bytes()).into()
    }
}

/// Lets those pass who show the token.
pub(super) async fn authorised(State(api): State<Api>, request: Request, next: Next) -> Response {
    let Some(token) = &api.token else {
        return Problem::unauthorised("no token is set: the API answers nobody without TRIBUTARY_CONSOLE_TOKEN")
            .into_response();
    };
    match shown(request.headers()) {
        Some(shown) if token.is(shown) => {
            let mut response = next.run(request).await;
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Some(_) => Problem::unauthorised("this is not the operators' token").into_response(),
        None => Problem::unauthorised("send `Authorization: Bearer …` with the operators' token").into_response(),
    }
}

fn shown(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Gives up on an answer that takes too long.
pub(super) async fn in_time(request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(ANSWER_WITHIN, next.run(request)).await;
    answer.unwrap_or_else(|_| Problem::unavailable("the answer took too long; ask for less").into_response())
}
