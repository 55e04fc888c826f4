//! `make demo`: invented people, simulated peers, real services, and a judge.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use loadtest::demo::{Options, Outcome, Progress, run};

/// Runs invented people's week through the real services and compares every number in Exist.
///
/// Everything is private to this run: Redis, the simulated Exist, WhatPulse and Toggl Track, and one
/// process each of fetcher, normaliser and exist-writer. Exit 0 only if every number is right.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  tributary-demo\n  tributary-demo --seed 7 --json > outcome.json\n  tributary-demo --logs .demo"
)]
struct Arguments {
    /// Decides who does what; the same seed at another time makes a similar week.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print the outcome as JSON instead of a table.
    #[arg(long)]
    json: bool,
    /// Leave the services' logs in this folder.
    #[arg(long)]
    logs: Option<PathBuf>,
    /// Use this Redis or cluster, empty of these people, instead of a private one.
    #[arg(long, env = "TRIBUTARY_REDIS_URL", hide_env_values = true)]
    redis_url: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options { seed: arguments.seed, logs: arguments.logs, redis_url: arguments.redis_url };
    match demo(&options).await.and_then(|outcome| print(&outcome, arguments.json)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("the demo failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C ends it too, and with it everything it started.
async fn demo(options: &Options) -> Result<Outcome> {
    let progress = Progress::new();
    let outcome = tokio::select! {
        outcome = run(options, &progress) => outcome,
        interrupted = tokio::signal::ctrl_c() => {
            Err(interrupted.err().map_or_else(|| anyhow::anyhow!("interrupted"), Into::into))
        }
    };
    progress.done();
    outcome
}

fn print(outcome: &Outcome, json: bool) -> Result<bool> {
    if json {
        println!("{}", serde_json::to_string_pretty(outcome).context("writing the outcome as JSON")?);
    } else {
        print!("{outcome}");
    }
    Ok(outcome.is_right())
}
