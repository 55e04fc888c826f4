#![doc = include_str!("../README.md")]

mod import; // people and their connections, from a file
mod process; // a service as a process
mod sources; // the sources this release knows

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use settings::{Settings, SettingsErrors};
use store::{Keys, Redis, operate};
use telemetry::LogFormat;
use tokio_util::sync::CancellationToken;

use process::Service;

/// Carries people's activity into their Exist accounts, one exact number per attribute and day.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct SettingsArgs {
    /// A TOML file of settings; a variable of the environment wins over it.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, such as `flush-after=5s`; wins over the environment.
    #[arg(long = "set", global = true, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Show every setting, where it comes from, and stop.
    #[arg(long, global = true)]
    print_settings: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Ask each source what changed.
    Fetcher,
    /// Turn records into contributions.
    Normaliser,
    /// Write totals to Exist.
    ExistWriter,
    /// People and their connections.
    #[command(subcommand)]
    Connections(Connections),
}

#[derive(Debug, Subcommand)]
enum Connections {
    /// Connect the people of a file; nothing is imported if any row is wrong.
    Import {
        /// The file; `-` for standard input.
        file: String,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("tributary: another TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    let settings = match load(&cli.settings) {
        Ok(settings) => settings,
        Err(errors) => {
            eprintln!("{errors}");
            return ExitCode::from(2);
        }
    };
    if cli.settings.print_settings {
        println!("{}", settings.print());
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tributary: starting the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli.command, settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tributary: {error:#}");
            if error.is::<import::ImportErrors>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn load(args: &SettingsArgs) -> Result<Settings, SettingsErrors> {
    let flags: Vec<(String, String)> = args
        .set
        .iter()
        .map(|flag| flag.split_once('=').map_or_else(|| (flag.clone(), String::new()), |(name, value)| (name.to_owned(), value.to_owned())))
        .collect();
    Settings::load(settings::environment(), &flags, args.config.as_deref())
}

async fn run(command: Command, settings: Settings) -> anyhow::Result<()> {
    match command {
        Command::Fetcher => serve(Service::Fetcher, settings).await,
        Command::Normaliser => serve(Service::Normaliser, settings).await,
        Command::ExistWriter => serve(Service::ExistWriter, settings).await,
        Command::Connections(Connections::Import { file }) => {
            let text = import::read(&file)?;
            let sources = sources::sources(&settings)?;
            let redis = Redis::connect(&settings.redis_url).await?;
            let keys = Keys::default();
            operate::check(&redis, &keys, settings.partitions).await?;
            let imported = import::import(&redis, &keys, &settings, &sources, &file, &text).await?;
            println!("imported {} users with {} connections", imported.users, imported.connections);
            Ok(())
        }
    }
}

async fn serve(service: Service, settings: Settings) -> anyhow::Result<()> {
    telemetry::init_logs(LogFormat::Json).context("starting the log")?;
    process::run(&[service], settings, CancellationToken::new()).await
}
