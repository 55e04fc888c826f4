//! What the pipeline does in a second and what it costs, beside its goals and the ceiling of the same run.
//!
//! Live producers append from here; the normaliser and the exist-writer run as processes of their own on a
//! private Redis, with leases, order, ledger and audit on. Figures are printed, never asserted.

mod ceiling; // what plain streams reach
mod crowd; // people, records and their producers
mod figures; // each figure beside its goal, as a table and as JSON
mod hot; // one user's flood, and what others notice of it
mod latency; // from append to ledger, at a steady rate
mod meter; // Redis' own counters, and the processes'
mod observed; // both stages in a child that tells how long each record took
mod people; // who is connected, and where they live
mod requests; // what reaches Exist for what changed
mod services; // both stages in this process
mod stand; // Redis and Exist
mod steady; // appends at their times, however long each takes
mod telemetry_cost; // throughput with and without telemetry
mod throughput; // as many records as possible, over 1, 2 and 4 processes a stage
mod workers; // processes of the services

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use clap::{Parser, Subcommand, ValueEnum};

use crowd::Crowd;
use figures::Figures;
use stand::Stand;

/// Measures the pipeline from raw append to ledger.
#[derive(Debug, Parser)]
struct Options {
    /// Measure these parts alone.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Part>,
    /// Records for each of the throughput figures.
    #[arg(long, default_value_t = 100_000)]
    items: usize,
    /// People they belong to.
    #[arg(long, default_value_t = 1_000)]
    people: usize,
    /// Records a second for the latency figures, one figure each.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 5_000])]
    rates: Vec<u32>,
    /// Seconds of latency at the first rate; a third of it at others.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Keep an append-only file, written to disk every second, in every part.
    #[arg(long)]
    aof: bool,
    /// Print JSON: see docs/performance.md for the fields.
    #[arg(long)]
    json: bool,
    /// Measure what telemetry costs instead: throughput with and without it, in turns.
    #[arg(long)]
    telemetry: bool,
    /// One measurement of `--telemetry`, in a process of its own: `off`, or a collector's address.
    #[arg(long, hide = true)]
    telemetry_turn: Option<String>,
    #[command(subcommand)]
    role: Option<Role>,
}

/// What can be measured by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Three stages with one process each: rate, Redis' CPU and commands, the services' CPU, bytes.
    Throughput,
    /// The rate with an append-only file.
    Aof,
    /// The rate and the memory of 1, 2 and 4 processes a stage.
    Processes,
    /// From append to ledger.
    Latency,
    /// What others notice of one user with 100,000 records waiting.
    Hot,
    /// Requests to Exist for what changed.
    Requests,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Both stages, until standard input ends; then the latencies, as JSON. The bench starts this itself.
    #[command(hide = true)]
    Observed,
}

impl Options {
    fn measures(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

fn main() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok().context("a second TLS provider")?;
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match (&options.role, &options.telemetry_turn) {
            (Some(Role::Observed), _) => observed::run().await,
            (None, Some(collector)) => telemetry_cost::turn(&options, collector).await,
            (None, None) if options.telemetry => telemetry_cost::compare(&options).await,
            (None, None) => {
                let figures = measure(&options).await?;
                println!("{}", if options.json { figures.json().to_string() } else { figures.to_string() });
                Ok(())
            }
        }
    })
}

async fn measure(options: &Options) -> anyhow::Result<Figures> {
    let stand = Stand::start(options.aof).await?;
    let mut figures = Figures::new(options, ceiling::measure(&stand).await?);
    let crowd = Arc::new(Crowd::connect(&stand, options.people).await?);
    if options.measures(Part::Throughput) {
        say("bytes of what waits");
        figures.waiting(throughput::waiting(&stand, &crowd).await?);
        say("three stages, one process each");
        figures.throughput(throughput::measure(&stand, &crowd, options.items, 1).await?);
    }
    if options.measures(Part::Aof) && !options.aof {
        say("the same with an append-only file");
        let stand = Stand::start(true).await?;
        let ceiling = ceiling::measure(&stand).await?;
        let crowd = Crowd::connect(&stand, options.people).await?;
        figures.aof(ceiling, throughput::measure(&stand, &crowd, options.items, 1).await?);
    }
    if options.measures(Part::Processes) {
        for processes in [1, 2, 4] {
            if processes > 1 || !options.measures(Part::Throughput) {
                say(&format!("three stages, {processes} processes each"));
                // Of people who have no records yet, as for one process: what is held of them costs Redis time.
                let stand = Stand::start(options.aof).await?;
                let crowd = Crowd::connect(&stand, options.people).await?;
                figures.processes(throughput::measure(&stand, &crowd, options.items, processes).await?);
            }
        }
    }
    if options.measures(Part::Latency) {
        for (place, &rate) in options.rates.iter().enumerate() {
            let seconds = if place == 0 { options.seconds } else { options.seconds.div_ceil(3) };
            say(&format!("append → ledger at {rate}/s"));
            figures.latency(rate, latency::measure(&stand, &crowd, rate, Duration::from_secs(seconds)).await?);
        }
    }
    if options.measures(Part::Requests) {
        say("requests to Exist");
        figures.requests(requests::measure(&stand, &crowd).await?);
    }
    drop(stand);
    if options.measures(Part::Hot) {
        say("one user with 100,000 records waiting");
        let stand = Stand::start(options.aof).await?;
        figures.hot(hot::measure(&stand, options.people).await?);
    }
    Ok(figures)
}

/// What is measured now, for whoever waits.
fn say(what: &str) {
    eprintln!("measuring: {what}");
}

/// For figures that people read: 2⁵³ is more than any of them.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn as_f64(number: u64) -> f64 {
    number as f64
}
