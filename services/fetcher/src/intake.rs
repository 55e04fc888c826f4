//! What comes from outside: webhooks of the sources, and people who come back from a consent page.

mod body; // a webhook's body, within bounds
mod callback; // somebody comes back
mod webhook; // a source tells

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use axum::{
    Router,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, header::RETRY_AFTER},
    response::{Html, IntoResponse, Json, Response},
    routing::{get, post},
};
use event::{SourceName, UserId};
use serde::Deserialize;
use settings::Settings;
use source::{OAuth, Sources};
use store::operate;
use telemetry::{
    counter,
    trace::{self, Instrument},
};
use tokio::{net::TcpListener, sync::Mutex, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use worker::StageContext;

use body::Room;
use webhook::Verdict;

/// How long a webhook may take once it is here: a source that gets no answer within 5 s counts it as failed.
const ANSWER_WITHIN: Duration = Duration::from_millis(4_500);
/// Share of Redis' memory limit, in per cent, from which nothing more is taken.
const MEMORY_MAX: u64 = 85;
/// How long a reading of the memory is good for.
const MEMORY_FRESH: Duration = Duration::from_secs(1);
/// When a source shall try again that we cannot take anything from now, in seconds.
const AGAIN_AFTER_S: u64 = 30;

/// What requests are answered from.
struct Intake {
    context: StageContext,
    settings: Arc<Settings>,
    sources: Arc<Sources>,
    exist: Option<OAuth>,
    room: Room,
    memory: Mutex<Option<(Instant, u64)>>,
}

/// Serves the routes until `drain`; the task that it returns ends when what is in hand then is finished.
///
/// # Errors
/// The address cannot be had.
pub(crate) async fn serve(
    addr: SocketAddr,
    context: StageContext,
    settings: Arc<Settings>,
    sources: Arc<Sources>,
    drain: CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    let exist = crate::grant::exist_oauth(&settings)?;
    let (room, memory) = (Room::new(), Mutex::default());
    let intake = Arc::new(Intake { context, settings, sources, exist, room, memory });
    let routes = Router::new()
        .route("/hooks/{source}", post(hook))
        .route("/hooks/{source}/{user}", post(hook_of_user))
        .route("/oauth/{peer}/callback", get(callback))
        .with_state(intake);
    let listener = TcpListener::bind(addr).await.with_context(|| format!("listening for webhooks at {addr}"))?;
    info!(addr = %listener.local_addr()?, "webhooks are taken at http://{}", listener.local_addr()?);
    Ok(tokio::spawn(async move {
        let served = axum::serve(listener, routes).with_graceful_shutdown(drain.cancelled_owned()).await;
        if let Err(error) = served {
            warn!(error = %error, "webhooks are taken no more");
        }
    }))
}

async fn hook(intake: State<Arc<Intake>>, Path(source): Path<String>, headers: HeaderMap, body: Body) -> Response {
    answer(&intake, &source, None, &headers, body).await
}

async fn hook_of_user(
    intake: State<Arc<Intake>>,
    Path((source, user)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    answer(&intake, &source, Some(&user), &headers, body).await
}

/// Nothing of a body is ever in a log: whatever is said of it is said by counters.
async fn answer(intake: &Intake, source: &str, user: Option<&str>, headers: &HeaderMap, body: Body) -> Response {
    let Some(source) = SourceName::try_new(source).ok().filter(|name| intake.sources.contains_key(name)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (verdict, span) = match intake.room.read(headers, body).await {
        Ok(read) => {
            let span = trace::webhook(source.as_str());
            (within_time(intake, &source, user, headers, &read.bytes).instrument(span.clone()).await, span)
        }
        Err(unread) => (unread.into(), trace::Span::none()),
    };
    trace::answered(&span, verdict.status().as_u16(), verdict.outcome());
    counter!(WEBHOOKS, source = source.to_string(), outcome = verdict.outcome()).increment(1);
    match (verdict.status(), verdict) {
        (status, Verdict::Ping(Some(answer))) => (status, Json(answer)).into_response(),
        (status, Verdict::Busy) => (status, [(RETRY_AFTER, AGAIN_AFTER_S)]).into_response(),
        (status, _) => status.into_response(),
    }
}

async fn within_time(
    intake: &Intake,
    source: &SourceName,
    user: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Verdict {
    // A name that can be nobody's is an unknown user.
    let Ok(user) = user.map(UserId::try_new).transpose() else { return Verdict::Unknown };
    match tokio::time::timeout(ANSWER_WITHIN, intake.take(source, user.as_ref(), headers, body)).await {
        Ok(Ok(verdict)) => verdict,
        Ok(Err(failed)) => {
            warn!(error = telemetry::chain(&failed), "a webhook of {source} cannot be taken now");
            Verdict::Busy
        }
        Err(_) => Verdict::Busy,
    }
}

#[derive(Deserialize)]
struct CameBack {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
}

async fn callback(intake: State<Arc<Intake>>, Path(peer): Path<String>, Query(back): Query<CameBack>) -> Response {
    let (status, said) = match intake.came_back(&peer, &back).await {
        Ok(said) => (StatusCode::OK, said),
        Err(refused) => (refused.status, refused.said),
    };
    let said = said.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let page = format!("<!doctype html><meta charset=utf-8><title>Tributary</title><p>{said}</p>");
    (status, Html(page)).into_response()
}

impl Intake {
    /// Whether Redis is too full to take anything more in.
    async fn is_full(&self) -> Result<bool, store::StoreError> {
        let mut memory = self.memory.lock().await;
        let used = match *memory {
            Some((read_at, used)) if read_at.elapsed() < MEMORY_FRESH => used,
            _ => {
                let used = operate::memory_used(&self.context.redis).await?.per_cent();
                *memory = Some((Instant::now(), used));
                used
            }
        };
        Ok(used >= MEMORY_MAX)
    }
}
