#![doc = include_str!("../README.md")]

mod cli; // the command line
mod commands; // what operators ask and change
mod dev; // everything in one process, for trials
mod import; // people and their connections, from a file
mod process; // a service as a process
mod sources; // the sources this release knows

use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser, error::ErrorKind};
use ledger::Pair;
use settings::{Settings, SettingsErrors};
use telemetry::LogFormat;
use tokio_util::sync::CancellationToken;

use cli::{Cli, Command, Connections, DeadLetters, SettingsArgs};
use commands::{
    Operator,
    audit::{self, Whose},
    connect::{self, Extra},
    connections,
    dead_letters::{self, Run, Which},
    explain, migrate, pause, recount, replay, status, top, transactions, zero,
};
use process::Service;

fn main() -> ExitCode {
    // Does nothing unless crash points are compiled in, for tests.
    let _crash_points = fail::FailScenario::setup();
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
    if cli.print_settings {
        println!("{}", settings.print());
        return ExitCode::SUCCESS;
    }
    let Some(command) = cli.command else {
        Cli::command().error(ErrorKind::MissingSubcommand, "a command is needed; --help lists them").exit();
    };
    let (settings, _embedded) = match embedded(&command, settings) {
        Ok(ready) => ready,
        Err(error) => {
            eprintln!("tributary: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tributary: starting the runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(command, settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<import::ImportErrors>() || error.is::<commands::AskedWrongly>() => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("tributary: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Threads of a process, unless `TOKIO_WORKER_THREADS` says another number. One brings more than Redis takes in; the
/// second goes on where something holds the first up. More cost memory, and time to wake each other.
const THREADS: usize = 2;

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        builder.worker_threads(THREADS);
    }
    builder.enable_all().build()
}

/// Starts a private Redis where `dev` asks for one: before the runtime, because a child started by one of
/// its threads would end with that thread.
fn embedded(command: &Command, mut settings: Settings) -> anyhow::Result<(Settings, Option<dev::Embedded>)> {
    match command {
        Command::Dev(options) if options.embedded => {
            let embedded = dev::Embedded::start()?;
            settings.redis_url = embedded.redis_url()?;
            Ok((settings, Some(embedded)))
        }
        _ => Ok((settings, None)),
    }
}

fn load(args: &SettingsArgs) -> Result<Settings, SettingsErrors> {
    Settings::load(settings::environment(), &args.set, args.config.as_deref())
}

async fn run(command: Command, settings: Settings) -> anyhow::Result<()> {
    match command {
        Command::Fetcher => serve(Service::Fetcher, settings).await,
        Command::Normaliser => serve(Service::Normaliser, settings).await,
        Command::ExistWriter => serve(Service::ExistWriter, settings).await,
        Command::Console => serve(Service::Console, settings).await,
        Command::Dev(options) => dev::run(options, settings).await,
        Command::Connections(command) => run_connections(command, settings).await,
        Command::Sync { user, source } => {
            let operator = Operator::to_change(settings).await?;
            connections::sync(&operator, &user, source.as_ref()).await
        }
        Command::Recount { user, source, days, wait } => {
            recount::recount(&Operator::to_change(settings).await?, &user, &source, &days, wait).await
        }
        Command::Zero { user, attribute, days, wait, consent } => {
            zero::zero(&Operator::to_change(settings).await?, &user, &attribute, days, wait, consent).await
        }
        Command::Audit { user, share, repair, output } => {
            let whose = Whose::of(user, share)?;
            audit::audit(&Operator::to_change(settings).await?, &whose, repair, output).await
        }
        Command::Migrate { from_totals, adopt, consent, output } => {
            migrate::from_totals(Operator::to_change(settings).await?, &from_totals, adopt, consent, output).await
        }
        Command::Pause { scope, reason, by } => {
            let scope = pause::scope(&scope, &settings)?;
            pause::pause(&Operator::to_change(settings).await?, &scope, &reason, by).await
        }
        Command::Resume { scope } => {
            let scope = pause::scope(&scope, &settings)?;
            pause::resume(&Operator::to_change(settings).await?, &scope).await
        }
        Command::Status(output) => status::status(&Operator::to_read(settings).await?, output).await,
        Command::Top { every } => {
            top::must_be_shown()?;
            top::top(&Operator::to_read(settings).await?, every).await
        }
        Command::Transactions { user, state, limit, output } => {
            let operator = Operator::to_read(settings).await?;
            transactions::transactions(&operator, &user, limit, state, output).await
        }
        Command::Explain { user, attribute, day, output } => {
            let operator = Operator::to_read(settings).await?;
            explain::explain(&operator, &user, Pair { attribute, day }, output).await
        }
        Command::Replay { which, apply, consent, output } => {
            let operator = match apply {
                true => Operator::to_change(settings).await?,
                false => Operator::to_read(settings).await?,
            };
            replay::replay(&operator, &which, replay::Apply { apply, consent }, output).await
        }
        Command::DeadLetters(command) => run_dead_letters(command, settings).await,
    }
}

async fn run_connections(command: Connections, settings: Settings) -> anyhow::Result<()> {
    match command {
        Connections::Import { file, adopt } => connections::import(settings, &file, adopt).await,
        Connections::Connect { peer, user, settings: file, credentials, output } => {
            let extra = Extra { settings: file, credentials };
            connect::connect(&Operator::to_change(settings).await?, &peer, &user, &extra, output).await
        }
        Connections::List(output) => connections::list(&Operator::to_read(settings).await?, output).await,
        Connections::Show { user, output } => {
            connections::show(&Operator::to_read(settings).await?, &user, output).await
        }
        Connections::Remove { user, consent } => {
            connections::remove(&Operator::to_change(settings).await?, &user, consent).await
        }
    }
}

async fn run_dead_letters(command: DeadLetters, settings: Settings) -> anyhow::Result<()> {
    match command {
        DeadLetters::List { filter, output } => {
            dead_letters::list(&Operator::to_read(settings).await?, &filter, output).await
        }
        DeadLetters::Show { id, output } => dead_letters::show(&Operator::to_read(settings).await?, id, output).await,
        DeadLetters::Redrive { ids, all_matching, filter, dry_run, consent, output } => {
            let which = Which::of(ids, all_matching, filter)?;
            let run = Run { dry: dry_run, consent, output };
            dead_letters::redrive(&Operator::to_change(settings).await?, &which, run).await
        }
        DeadLetters::Discard { ids, consent } => {
            dead_letters::discard(&Operator::to_change(settings).await?, ids, consent).await
        }
    }
}

async fn serve(service: Service, settings: Settings) -> anyhow::Result<()> {
    telemetry::init_logs(LogFormat::Json).context("starting the log")?;
    process::run(&[service], settings, CancellationToken::new()).await
}
