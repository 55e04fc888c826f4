#![doc = include_str!("../README.md")]

mod commands; // what operators ask and change
mod dev; // everything in one process, for trials
mod import; // people and their connections, from a file
mod process; // a service as a process
mod sources; // the sources this release knows

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use settings::{Settings, SettingsErrors};
use telemetry::LogFormat;
use tokio_util::sync::CancellationToken;

use commands::{
    Operator, connections,
    dead_letters::{self, Filter},
    explain, status, transactions,
};
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
    /// All of them in one process, with simulated peers unless real ones are set.
    Dev(dev::Options),
    /// People and their connections.
    #[command(subcommand)]
    Connections(Connections),
    /// Read a user's sources now.
    Sync {
        /// Whose.
        user: String,
        /// Which; all of them if none is named.
        source: Option<String>,
    },
    /// Who owns what, how much waits and for how long.
    Status {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// What became of a user's records, the newest last.
    Transactions {
        /// Whose.
        user: String,
        /// Only those in this state, such as `errored`.
        #[arg(long)]
        state: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        limit: usize,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Where a number comes from: records, versions, requests and answers.
    #[command(after_help = "Example: tributary explain alice productive_min 2026-03-29")]
    Explain {
        /// Whose.
        user: String,
        /// The attribute's name in Exist.
        attribute: String,
        /// The user's local day, as YYYY-MM-DD.
        day: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Entries set aside with their cause, for a person.
    #[command(subcommand)]
    DeadLetters(DeadLetters),
}

#[derive(Debug, Subcommand)]
enum Connections {
    /// Connect the people of a file; nothing is imported if any row is wrong.
    Import {
        /// The file; `-` for standard input.
        file: String,
    },
    /// Everybody.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// One user: connections, attributes, how polling goes. Never a token.
    Show {
        /// Whose.
        user: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Erase a user at once. What stands in Exist stays.
    Remove {
        /// Whose.
        user: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
enum DeadLetters {
    /// The oldest first.
    List {
        #[command(flatten)]
        filter: Filter,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// One, with its payload.
    Show {
        /// Its transaction.
        id: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put some back, each as a new transaction.
    #[command(
        after_help = "Example: tributary dead-letters redrive --all-matching --source toggl --since 2h --dry-run"
    )]
    Redrive {
        /// Their transactions.
        #[arg(required_unless_present = "all_matching", conflicts_with = "all_matching")]
        ids: Vec<String>,
        /// All that the filter takes.
        #[arg(long)]
        all_matching: bool,
        #[command(flatten)]
        filter: Filter,
        /// Only say which.
        #[arg(long)]
        dry_run: bool,
    },
    /// Throw some away for good.
    Discard {
        /// Their transactions.
        #[arg(required = true)]
        ids: Vec<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
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
    let (settings, _embedded) = match embedded(&cli.command, settings) {
        Ok(ready) => ready,
        Err(error) => {
            eprintln!("tributary: {error:#}");
            return ExitCode::FAILURE;
        }
    };
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
    let flags: Vec<(String, String)> = args
        .set
        .iter()
        .map(|flag| {
            flag.split_once('=')
                .map_or_else(|| (flag.clone(), String::new()), |(name, value)| (name.to_owned(), value.to_owned()))
        })
        .collect();
    Settings::load(settings::environment(), &flags, args.config.as_deref())
}

async fn run(command: Command, settings: Settings) -> anyhow::Result<()> {
    let operator = || Operator::connect(settings.clone());
    match command {
        Command::Fetcher => serve(Service::Fetcher, settings).await,
        Command::Normaliser => serve(Service::Normaliser, settings).await,
        Command::ExistWriter => serve(Service::ExistWriter, settings).await,
        Command::Dev(options) => dev::run(options, settings).await,
        Command::Connections(Connections::Import { file }) => connections::import(&operator().await?, &file).await,
        Command::Connections(Connections::List { json }) => connections::list(&operator().await?, json).await,
        Command::Connections(Connections::Show { user, json }) => {
            connections::show(&operator().await?, &user, json).await
        }
        Command::Connections(Connections::Remove { user, yes }) => {
            connections::remove(&operator().await?, &user, yes).await
        }
        Command::Sync { user, source } => connections::sync(&operator().await?, &user, source.as_deref()).await,
        Command::Status { json } => status::status(&operator().await?, json).await,
        Command::Transactions { user, state, limit, json } => {
            transactions::transactions(&operator().await?, &user, limit, state.as_deref(), json).await
        }
        Command::Explain { user, attribute, day, json } => {
            explain::explain(&operator().await?, &user, &attribute, &day, json).await
        }
        Command::DeadLetters(DeadLetters::List { filter, json }) => {
            dead_letters::list(&operator().await?, &filter, json).await
        }
        Command::DeadLetters(DeadLetters::Show { id, json }) => dead_letters::show(&operator().await?, &id, json).await,
        Command::DeadLetters(DeadLetters::Redrive { ids, all_matching, filter, dry_run }) => {
            let matching = all_matching.then_some(&filter);
            dead_letters::redrive(&operator().await?, &ids, matching, dry_run).await
        }
        Command::DeadLetters(DeadLetters::Discard { ids, yes }) => {
            dead_letters::discard(&operator().await?, &ids, yes).await
        }
    }
}

async fn serve(service: Service, settings: Settings) -> anyhow::Result<()> {
    telemetry::init_logs(LogFormat::Json).context("starting the log")?;
    process::run(&[service], settings, CancellationToken::new()).await
}
