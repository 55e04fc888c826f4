//! A server on the loopback that passes requests on, or fails as it is told.

use std::{
    io::{Error, ErrorKind},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use futures::stream;
use reqwest::Url;

use crate::http::BODY_BYTES_MAX;

/// How an answer goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// This status; the text repeats the key of the request and what [`Server::repeat`] was given.
    Status(u16),
    /// 429 with this `Retry-After`, in seconds.
    Limited(u32),
    /// 200, and a page for people.
    Html,
    /// The connection breaks in the middle of the answer.
    Reset,
    /// 200, but only half of the JSON.
    Truncated,
}

#[derive(Default)]
struct Inner {
    failure: Mutex<Option<Failure>>,
    requests: Mutex<Vec<String>>,
    keys: Mutex<Vec<String>>,
    repeated: Mutex<String>,
}

/// A fixture's routes on a free port of the loopback, until the test's runtime ends.
pub struct Server {
    base: Url,
    inner: Arc<Inner>,
}

impl Server {
    /// Serves the routes below `/base/path`, so that a client that forgets the base's path fails.
    ///
    /// # Panics
    /// When the loopback has no free port.
    pub async fn start(routes: Router) -> Self {
        let inner = Arc::new(Inner::default());
        let router = Router::new().nest("/base/path", routes).layer(from_fn_with_state(inner.clone(), answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("the loopback has a free port");
        let address = listener.local_addr().expect("a bound listener has an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base: format!("http://{address}/base/path/").parse().expect("an address is a URL"), inner }
    }

    /// The base address, with a trailing slash.
    #[must_use]
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Fails every request from now on, or none.
    ///
    /// # Panics
    /// When a handler panicked.
    pub fn fail(&self, failure: Option<Failure>) {
        *self.inner.failure.lock().expect("no handler panics") = failure;
    }

    /// Puts this text into the answer of each failing status, as a careless server would.
    ///
    /// # Panics
    /// When a handler panicked.
    pub fn repeat(&self, text: &str) {
        text.clone_into(&mut self.inner.repeated.lock().expect("no handler panics"));
    }

    /// What followed the scheme in each `Authorization` so far.
    ///
    /// # Panics
    /// When a handler panicked.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.inner.keys.lock().expect("no handler panics").clone()
    }

    /// The path and query of each request so far.
    ///
    /// # Panics
    /// When a handler panicked.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.inner.requests.lock().expect("no handler panics").clone()
    }
}

async fn answer(State(inner): State<Arc<Inner>>, request: Request, next: Next) -> Response {
    inner.requests.lock().expect("no handler panics").push(request.uri().to_string());
    let failure = *inner.failure.lock().expect("no handler panics");
    let key = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = key.and_then(|text| text.split_once(' ')).map_or("", |(_, key)| key);
    if !key.is_empty() {
        inner.keys.lock().expect("no handler panics").push(key.to_owned());
    }
    let repeated = inner.repeated.lock().expect("no handler panics").clone();
    let said = format!("{{\"message\": \"refused {key} {repeated} for {}\"}}", request.uri());
    match failure {
        None => next.run(request).await,
        Some(Failure::Status(status)) => {
            (StatusCode::from_u16(status).expect("a test names a status"), said).into_response()
        }
        Some(Failure::Limited(seconds)) => {
            let mut response = (StatusCode::TOO_MANY_REQUESTS, said).into_response();
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            response
        }
        Some(Failure::Html) => "<!doctype html><title>Just a moment...</title>".into_response(),
        Some(failure @ (Failure::Reset | Failure::Truncated)) => {
            let response = next.run(request).await;
            let whole = to_bytes(response.into_body(), BODY_BYTES_MAX).await.expect("a fixture's answer is bounded");
            let half = whole.slice(..whole.len() / 2);
            if failure == Failure::Truncated {
                return half.into_response();
            }
            Body::from_stream(stream::iter([Ok(half), Err(Error::from(ErrorKind::ConnectionReset))])).into_response()
        }
    }
}
