//! Questions over HTTP: JSON answers for whoever shows the operators' token. Nothing can be changed here.

mod answer; // what is answered, and how much at most
mod guard; // who may ask, for how long
mod problem; // why there is no answer
mod read; // the questions

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::{Json, Router, middleware, routing::get};
use event::PartitionCount;
use ledger::Buckets;
use settings::Settings;
use store::{Keys, Pool};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

pub use answer::API_MAX;

use crate::{Context, watch::LastSeen};
use guard::Token;
use problem::Problem;

/// What the answers are made from.
#[derive(Clone)]
struct Api {
    seen: LastSeen,
    pool: Pool,
    keys: Arc<Keys>,
    partitions: PartitionCount,
    buckets: Buckets,
    retention: Duration,
    token: Option<Arc<Token>>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tributary",
        description = "What stands in Redis, for operators. Read-only. Times that end in `_at_ms` or `since_ms` are \
                       milliseconds since 1970, other `_ms` are lengths of time. An error is a problem (RFC 9457).",
        license(name = "MIT OR Apache-2.0")
    ),
    paths(read::status, read::partitions, read::dead_letters, read::transactions),
    security(("token" = [])),
    modifiers(&Bearer)
)]
struct Described;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let about = "TRIBUTARY_CONSOLE_TOKEN of the console.";
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(about)).build();
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The description of the API, as it is served and as it stands in `services/console/openapi.json`.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    Described::openapi()
}

/// Listens for questions.
pub(crate) struct Server {
    listener: TcpListener,
    addr: SocketAddr,
    api: Api,
}

impl Server {
    /// Takes the address.
    ///
    /// # Errors
    /// Somebody else has it, or the token is too short.
    pub(crate) async fn bind(
        addr: SocketAddr,
        context: &Context,
        settings: &Settings,
        pool: Pool,
        seen: LastSeen,
    ) -> anyhow::Result<Self> {
        let api = Api {
            seen,
            pool,
            keys: Arc::clone(&context.keys),
            partitions: context.partitions,
            buckets: Buckets::new(settings.retention),
            retention: settings.retention,
            token: settings.console_token.as_ref().map(Token::try_new).transpose()?.map(Arc::new),
        };
        let taking = || format!("taking TRIBUTARY_CONSOLE_ADDR {addr}");
        let listener = TcpListener::bind(addr).await.with_context(taking)?;
        let addr = listener.local_addr().with_context(taking)?;
        Ok(Self { listener, addr, api })
    }

    /// Where it listens.
    pub(crate) const fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers until told to drain.
    ///
    /// # Errors
    /// The listener failed.
    pub(crate) async fn serve(self, drain: CancellationToken) -> anyhow::Result<()> {
        let serving = axum::serve(self.listener, router(self.api)).with_graceful_shutdown(drain.cancelled_owned());
        serving.await.context("serving the API")
    }
}

fn router(api: Api) -> Router {
    Router::new()
        .route("/api/v1/status", get(read::status))
        .route("/api/v1/partitions", get(read::partitions))
        .route("/api/v1/dead-letters", get(read::dead_letters))
        .route("/api/v1/users/{id}/transactions", get(read::transactions))
        .route_layer(middleware::from_fn(guard::in_time))
        .route_layer(middleware::from_fn_with_state(api.clone(), guard::authorised))
        // What can be asked is no secret.
        .route("/api/v1/openapi.json", get(async || Json(openapi())))
        .fallback(async || Problem::not_found("there is nothing here; /api/v1/openapi.json says what is"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .with_state(api)
}
