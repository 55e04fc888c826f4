//! Everything in one process, for trials: the services, and simulated peers unless real ones are set.

mod embedded; // a private Redis, gone with us
mod peers; // simulated Exist and sources, with people who use them

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use clap::Args;
use event::PartitionCount;
use settings::{ExposeSecret, Sealer, Settings};
use store::{Keys, Redis, user::names};
use telemetry::LogFormat;
use tokio_util::sync::CancellationToken;

pub(crate) use embedded::Embedded;
use peers::Peers;

use crate::{
    commands::Operator,
    import,
    process::{self, Service},
    sources::sources,
};

/// Where health and metrics are served unless a setting says otherwise.
const ADMIN_ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

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
        settings.admin_addr = Some(admin_addr());
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
    let Operator { redis, keys, partitions, .. } = Operator::to_change(settings.clone()).await?;
    refuse_others(&redis, &keys, partitions, &peers).await?;
    let sources = sources(&settings)?;
    let checked = import::check(&settings, &sources, "the invented people", &peers.rows())?;
    let imported = import::import(&redis, &keys, partitions, &sources, &checked).await?;
    eprintln!("simulated Exist at {}", settings.peers.exist_api.as_str());
    eprintln!("simulated WhatPulse at {}", settings.peers.whatpulse_api.as_str());
    eprintln!("simulated Toggl Track at {}", settings.peers.toggl_api.as_str());
    eprintln!("simulated Trakt at {}", settings.peers.trakt_api.as_str());
    eprintln!("simulated YNAB at {}", settings.peers.ynab_api.as_str());
    eprintln!("simulated GitHub at {}", settings.peers.github_api.as_str());
    eprintln!("{} people live there: {}", imported.users, peers.names());
    if let Some(addr) = settings.admin_addr {
        eprintln!("health and metrics at http://{addr}");
    }
    // Shown without its password, if it has one.
    let redis = &settings.redis_url;
    eprintln!("try: TRIBUTARY_REDIS_URL={redis} tributary status");
    eprintln!("     TRIBUTARY_REDIS_URL={redis} tributary transactions {}", peers.first());
    eprintln!("Ctrl-C drains");
    tokio::select! {
        ended = process::run(&Service::ALL, settings, stop) => ended,
        ended = peers.play_on() => ended,
    }
}

/// The usual address, or any other port where that one is taken.
fn admin_addr() -> SocketAddr {
    let any = SocketAddr::new(ADMIN_ADDR.ip(), 0);
    let free = |addr| TcpListener::bind(addr).and_then(|listener| listener.local_addr());
    free(ADMIN_ADDR).or_else(|_| free(any)).unwrap_or(any)
}

/// Real people must not be carried to simulated peers: their tokens would go there, and be refused.
///
/// # Errors
/// This Redis holds somebody else than the invented people.
async fn refuse_others(redis: &Redis, keys: &Keys, partitions: PartitionCount, peers: &Peers) -> anyhow::Result<()> {
    for partition in partitions.all() {
        let others = names(redis, keys, partition).await?.into_iter().any(|name| !peers.is_home_to(name.as_str()));
        anyhow::ensure!(
            !others,
            "this Redis holds people who do not live at the simulated peers: use --embedded, another \
             TRIBUTARY_REDIS_URL, or --no-simulators"
        );
    }
    Ok(())
}
