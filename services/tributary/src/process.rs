//! A service as a process: settings checked, Redis reached, probes answered, drained when told.

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::Context;
use event::PartitionCount;
use settings::Settings;
use store::{Keys, Redis, StoreError, now_ms, operate};
use telemetry::{Health, Recorder, TraceOptions, Traces};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use worker::{Backoff, StageContext, member_name};

use crate::sources::sources;

/// How often Redis is asked whether it is there, for `/readyz`.
const ASK_REDIS_EVERY: Duration = Duration::from_secs(2);
/// Between two attempts to reach Redis at start.
const REACH_REDIS: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(5));

/// One of the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Fetcher,
    Normaliser,
    ExistWriter,
    Console,
}

impl Service {
    pub(crate) const ALL: [Self; 4] = [Self::Fetcher, Self::Normaliser, Self::ExistWriter, Self::Console];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fetcher => "fetcher",
            Self::Normaliser => "normaliser",
            Self::ExistWriter => "exist-writer",
            Self::Console => "console",
        }
    }

    /// The stage it works in; the console only looks.
    const fn stage(self) -> Option<&'static str> {
        match self {
            Self::Fetcher => Some("fetch"),
            Self::Normaliser => Some("normalise"),
            Self::ExistWriter => Some("write"),
            Self::Console => None,
        }
    }
}

/// Runs services in this process until a signal or `stop`; each signal after the first ends it at once.
///
/// # Errors
/// The settings do not fit the Redis that is there, or something needed at start cannot be had.
pub(crate) async fn run(services: &[Service], settings: Settings, stop: CancellationToken) -> anyhow::Result<()> {
    let looks_only = services.iter().all(|service| service.stage().is_none());
    anyhow::ensure!(
        looks_only || settings.encryption_key.is_some(),
        "tokens are stored sealed: set TRIBUTARY_ENCRYPTION_KEY (or TRIBUTARY_ENCRYPTION_KEY_FILE)"
    );
    let settings = Arc::new(settings);
    let name = if let [only] = services { only.name() } else { "tributary" };
    let recorder = Recorder::install(name, env!("CARGO_PKG_VERSION")).context("installing the metrics recorder")?;
    let member = member_name();
    let traces = Traces::start(&TraceOptions {
        service: name,
        version: env!("CARGO_PKG_VERSION"),
        instance: member.clone(),
        endpoint: settings.otlp_endpoint.clone(),
        one_in: settings.trace_one_in,
    })
    .context("starting traces")?;
    let health = Health::new();
    let sources = sources(&settings)?;
    let names: Vec<&'static str> = sources.keys().map(|name| &*name.to_string().leak()).collect();
    for service in services {
        if let Some(stage) = service.stage() {
            telemetry::touch(stage, &names);
        }
        if services.len() > 1 {
            recorder.announce(service.name(), env!("CARGO_PKG_VERSION"));
        }
    }
    let background = CancellationToken::new();
    if let Some(addr) = settings.admin_addr {
        let admin = telemetry::AdminServer::bind(addr, health.clone(), recorder.clone()).await?;
        info!(addr = %admin.local_addr(), "health and metrics at http://{}", admin.local_addr());
        tokio::spawn(admin.serve(background.clone()));
    }
    let drain = stop.child_token();
    tokio::spawn(drain_on_signal(drain.clone(), health.clone()));

    let redis = reach(&settings, &drain).await?;
    let keys = Arc::new(Keys::default());
    if looks_only {
        operate::check_to_look(&redis, &keys, settings.partitions).await?;
    } else {
        operate::check(&redis, &keys, settings.partitions).await?;
    }
    health.started();
    tokio::spawn(background.clone().run_until_cancelled_owned(watch_redis(redis.clone(), health.clone())));

    let tick = {
        let health = health.clone();
        Arc::new(move || health.tick())
    };
    let context = StageContext {
        redis,
        keys,
        partitions: PartitionCount::try_new(settings.partitions).context("TRIBUTARY_PARTITIONS")?,
        member,
        tick,
    };
    let console = console::Context {
        keys: Arc::clone(&context.keys),
        partitions: context.partitions,
        sources: names.iter().map(|name| (*name).to_owned()).collect(),
        recorder,
        health: health.clone(),
    };
    let running = services.iter().map(|service| start(*service, &context, &console, &settings, &sources, &drain));
    let ended = futures::future::join_all(running).await;
    traces.shutdown().await;
    background.cancel();
    ended.into_iter().collect()
}

fn start(
    service: Service,
    context: &StageContext,
    console: &console::Context,
    settings: &Arc<Settings>,
    sources: &Arc<source::Sources>,
    drain: &CancellationToken,
) -> std::pin::Pin<Box<dyn Future<Output = anyhow::Result<()>> + Send>> {
    let (context, settings, sources, drain) =
        (context.clone(), Arc::clone(settings), Arc::clone(sources), drain.clone());
    info!("the {} starts", service.name());
    match service {
        Service::Fetcher => Box::pin(fetcher::run(context, settings, sources, drain)),
        Service::Normaliser => Box::pin(normaliser::run(context, settings, sources, drain)),
        Service::ExistWriter => Box::pin(exist_writer::run(context, settings, drain)),
        Service::Console => Box::pin(console::run(console.clone(), settings, drain)),
    }
}

/// Connects to Redis, however long it takes to be there.
async fn reach(settings: &Settings, drain: &CancellationToken) -> anyhow::Result<Redis> {
    let mut failures = 0;
    loop {
        match Redis::connect(&settings.redis_url).await {
            Ok(redis) => return Ok(redis),
            Err(error) => {
                failures += 1;
                warn!(error = telemetry::chain(&error), "Redis is not there yet");
            }
        }
        let waited = drain.run_until_cancelled(tokio::time::sleep(REACH_REDIS.after(failures))).await;
        waited.context("told to stop before Redis was there")?;
    }
}

async fn watch_redis(redis: Redis, health: Health) {
    loop {
        match now_ms(&redis).await {
            Ok(_) => health.set_check("redis", true, "answers"),
            Err(error @ StoreError::Redis { .. }) => health.set_check("redis", false, telemetry::chain(&error)),
            Err(error) => health.set_check("redis", false, error.to_string()),
        }
        tokio::time::sleep(ASK_REDIS_EVERY).await;
    }
}

/// The first signal drains; the second leaves at once.
async fn drain_on_signal(drain: CancellationToken, health: Health) {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        warn!("signals cannot be heard; stop this process by killing it");
        return;
    };
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    info!("draining: what is in hand is finished, the rest is handed over");
    health.set_draining();
    drain.cancel();
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    warn!("told twice: leaving now");
    std::process::exit(1);
}
