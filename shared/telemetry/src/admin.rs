//! The server that probes and Prometheus ask.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::error::TelemetryError;
use crate::health::Health;
use crate::recorder::Recorder;

/// The version of the text format is part of its content type: Prometheus 3 insists on it.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Listens for probes and scrapes; [`AdminServer::serve`] answers them.
///
/// Answers anybody who can reach it: it belongs on a private network.
#[derive(Debug)]
pub struct AdminServer {
    listener: TcpListener,
    addr: SocketAddr,
    asked: Asked,
}

/// What the answers are made from.
#[derive(Debug, Clone)]
struct Asked {
    health: Health,
    recorder: Recorder,
}

#[derive(Serialize)]
struct Answer {
    status: &'static str,
}

impl AdminServer {
    /// Takes the address; port 0 takes a free port.
    ///
    /// # Errors
    /// [`TelemetryError::Bind`]: somebody else has it, or it is not ours to take.
    pub async fn bind(addr: SocketAddr, health: Health, recorder: Recorder) -> Result<Self, TelemetryError> {
        let bind = |source| TelemetryError::Bind { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        Ok(Self { listener, addr, asked: Asked { health, recorder } })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers `/startupz`, `/livez`, `/readyz` and `/metrics` until told to stop.
    ///
    /// Stop it last: `/readyz` says `draining` to whoever asks while the process leaves.
    ///
    /// # Errors
    /// [`TelemetryError::Serve`]: the listener failed.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), TelemetryError> {
        let router = Router::new()
            .route("/startupz", get(startup))
            .route("/livez", get(live))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self.asked);
        axum::serve(self.listener, router)
            .with_graceful_shutdown(shutdown.cancelled_owned())
            .await
            .map_err(TelemetryError::Serve)
    }
}

/// [`AdminServer::bind`] and [`AdminServer::serve`] in one.
///
/// # Errors
/// Those of the two.
pub async fn serve(
    addr: SocketAddr,
    health: Health,
    recorder: Recorder,
    shutdown: CancellationToken,
) -> Result<(), TelemetryError> {
    AdminServer::bind(addr, health, recorder).await?.serve(shutdown).await
}

async fn startup(State(asked): State<Asked>) -> Response {
    match asked.health.is_started() {
        true => (StatusCode::OK, Json(Answer { status: "started" })),
        false => (StatusCode::SERVICE_UNAVAILABLE, Json(Answer { status: "starting" })),
    }
    .into_response()
}

async fn live(State(asked): State<Asked>) -> Response {
    match asked.health.is_live() {
        true => (StatusCode::OK, Json(Answer { status: "alive" })),
        false => (StatusCode::SERVICE_UNAVAILABLE, Json(Answer { status: "stalled" })),
    }
    .into_response()
}

async fn ready(State(asked): State<Asked>) -> Response {
    let readiness = asked.health.readiness();
    let code = if readiness.status == "ready" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(readiness)).into_response()
}

async fn metrics(State(asked): State<Asked>) -> Response {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], asked.recorder.render()).into_response()
}
