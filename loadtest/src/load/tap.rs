//! A way to the simulated Exist on which somebody listens: after each write it looks what Exist holds.
//!
//! What the services were answered does not count, only what stands there: a write whose answer is lost is as
//! good as any other.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Instant,
};

use anyhow::{Context, Result};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use jiff::civil::Date;
use rust_decimal::prelude::ToPrimitive;
use serde::Deserialize;

use super::truth::Truth;
use crate::{exist::ExistSim, world::server::Server};

/// When the stream began; nothing is late before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start(Arc<OnceLock<Instant>>);

impl Start {
    /// It begins now.
    pub(crate) fn begin(&self) -> Instant {
        *self.0.get_or_init(Instant::now)
    }

    /// Microseconds since; 0 before.
    pub(crate) fn now_us(&self) -> u64 {
        self.0.get().map_or(0, |start| u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }
}

pub(crate) struct Tap {
    server: Server,
}

struct Shared {
    origin: String,
    http: reqwest::Client,
    exist: ExistSim,
    truth: Arc<Truth>,
    people: HashMap<String, u32>,
    start: Start,
}

#[derive(Deserialize)]
struct Item {
    name: String,
    date: Date,
}

impl Tap {
    pub(crate) async fn start(
        exist: ExistSim,
        truth: Arc<Truth>,
        people: HashMap<String, u32>,
        start: Start,
    ) -> Result<Tap> {
        let origin = exist.base_url().trim_end_matches("/api/2").to_owned();
        let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
        let shared = Arc::new(Shared { origin, http, exist, truth, people, start });
        let router = Router::new().fallback(pass).with_state(shared);
        let server = Server::start(router).await.context("listening in front of the simulated Exist")?;
        Ok(Tap { server })
    }

    /// The base of Exist's API, this way.
    pub(crate) fn base_url(&self) -> String {
        format!("{}/api/2", self.server.origin())
    }
}

async fn pass(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let rest = uri.path_and_query().map_or("/", |rest| rest.as_str());
    let mut request = shared.http.request(method, format!("{}{rest}", shared.origin)).body(body.clone());
    for (name, value) in headers.iter().filter(|(name, _)| !is_ours(name)) {
        request = request.header(name, value);
    }
    let answer = request.send().await;
    let is_write = uri.path().ends_with("/update/") || uri.path().ends_with("/increment/");
    if is_write && let Some(person) = shared.whose(&headers) {
        shared.look(person, &body);
    }
    let Ok(answer) = answer else { return StatusCode::BAD_GATEWAY.into_response() };
    let (status, told) = (answer.status(), answer.headers().clone());
    let Ok(bytes) = answer.bytes().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let mut response = (status, bytes).into_response();
    let kept = told.iter().filter(|(name, _)| !is_ours(name));
    response.headers_mut().extend(kept.map(|(name, value)| (name.clone(), value.clone())));
    response
}

/// Headers that belong to one hop.
fn is_ours(name: &header::HeaderName) -> bool {
    [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::TRANSFER_ENCODING, header::ACCEPT_ENCODING]
        .contains(name)
}

impl Shared {
    fn whose(&self, headers: &HeaderMap) -> Option<(&str, u32)> {
        let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        let (name, person) = self.people.get_key_value(token.strip_suffix("-access")?)?;
        Some((name, *person))
    }

    /// What Exist holds where this was to be written.
    fn look(&self, (name, person): (&str, u32), body: &[u8]) {
        let items: Vec<Item> = serde_json::from_slice(body).unwrap_or_default();
        let values = self.exist.values(name);
        let now_us = self.start.now_us();
        for Item { name, date } in items {
            let place = usize::try_from(person).ok().and_then(|person| self.truth.attribute(person, &name));
            let held = values.get(&(name, date)).and_then(|value| value.number()?.to_i64());
            if let (Some(place), Some(held)) = (place, held) {
                self.truth.hears(person, place, date, held, now_us);
            }
        }
    }
}
