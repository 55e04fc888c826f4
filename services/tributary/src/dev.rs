//! Everything in one process, for trials: the three services, and simulated peers unless real ones are set.

mod embedded; // a private Redis, gone with us
mod peers; // simulated Exist and sources, with people who use them

use clap::Args;
use settings::{ExposeSecret, Sealer, Settings};
use telemetry::LogFormat;
use tokio_util::sync::CancellationToken;

pub(crate) use embedded::Embedded;
use peers::Peers;

use crate::{
    commands::Operator,
    import,
    process::{self, Service},
};

/// Where health and metrics are served unless a setting says otherwise.
const ADMIN_ADDR: &str = "127.0.0.1:9464";

/// How the trial is run.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Start a private Redis for as long as this runs; nothing is kept.
    #[arg(long)]
    pub(crate) embedded: bool,
    /// Talk to the peers of the settings, whatever they are.
    #[arg(long)]
    no_simulators: bool,
}

/// Runs until told to stop.
///
/// # Errors
/// What is needed at start cannot be had.
pub(crate) async fn run(options: Options, mut settings: Settings) -> anyhow::Result<()> {
    telemetry::init_logs(LogFormat::Text)?;
    if settings.admin_addr.is_none() {
        settings.admin_addr = ADMIN_ADDR.parse().ok();
    }
    if settings.encryption_key.is_none() {
        let key = Sealer::generate_key();
        settings.encryption_key = Some(Sealer::from_keys(key.expose_secret())?);
        eprintln!("made an encryption key for this run; set TRIBUTARY_ENCRYPTION_KEY to keep connections over runs");
    }
    let stop = CancellationToken::new();
    if options.no_simulators || peers::are_real(&settings) {
        eprintln!("talking to the peers of the settings; Ctrl-C drains");
        return process::run(&Service::ALL, settings, stop).await;
    }
    let peers = Peers::start().await?;
    let settings = peers.point(settings)?;
    let operator = Operator::connect(settings.clone()).await?;
    let rows = peers.rows();
    let imported = import::import(
        &operator.redis,
        &operator.keys,
        &operator.settings,
        &operator.sources,
        "simulated people",
        &rows,
    )
    .await?;
    eprintln!("simulated Exist at {}", settings.peers.exist_api.as_str());
    eprintln!("simulated WhatPulse at {}", settings.peers.whatpulse_api.as_str());
    eprintln!("simulated Toggl Track at {}", settings.peers.toggl_api.as_str());
    eprintln!("{} people live there: {}", imported.users, peers.names());
    if let Some(addr) = settings.admin_addr {
        eprintln!("health and metrics at http://{addr}");
    }
    let redis = settings.redis_url.urls().first().map(|url| url.expose_secret().to_owned()).unwrap_or_default();
    eprintln!("try: TRIBUTARY_REDIS_URL={redis} tributary status");
    eprintln!("     TRIBUTARY_REDIS_URL={redis} tributary transactions {}", peers.first());
    eprintln!("Ctrl-C drains");
    tokio::select! {
        ended = process::run(&Service::ALL, settings, stop) => ended,
        ended = peers.play_on() => ended,
    }
}
