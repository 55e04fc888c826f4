//! What telemetry costs: the same work with and without it, in turns, in processes of their own.
//!
//! With it: the metrics recorder, read as Prometheus would, JSON logs at `info`, and traces of the default share to
//! a collector that takes them. Without it: none of these. A process of its own for each measurement starts both
//! from the same point, and lets none of it stay behind.

use std::{
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use serde_json::json;
use telemetry::{LogFormat, Recorder, TraceOptions, Traces};
use tokio::{io::AsyncReadExt, process::Command};

use crate::{Options, as_f64, crowd::Crowd, meter, people::source_name, services::Services, stand::Stand};

/// Times that each is measured: without, with, with, without, and so on, so that a machine that gets slower or
/// faster does so to both. As often as it takes: one turn differs from the next by ten times what is sought.
const ROUNDS: usize = 24;
/// Records of one measurement before anything is measured: caches fill, people are met.
const WARM_UP_ITEMS: usize = 10_000;
/// How often the metrics are read: three times as often as the configuration in deploy/prometheus asks.
const SCRAPE_EVERY: Duration = Duration::from_secs(5);
/// One in so many is traced, as the settings' default has it.
const TRACE_ONE_IN: u32 = 100;
/// Before the line that tells the rate, among those of the log.
const RESULT: &str = "measured: ";

/// What one measurement found.
#[derive(Clone, Copy)]
struct Turn {
    per_second: f64,
    /// Of this program, producers included.
    cpu_us_per_item: f64,
}

/// What both came to, turn by turn, and what was told meanwhile.
struct Cost {
    with: Vec<Turn>,
    without: Vec<Turn>,
    spans_bytes: u64,
    log_bytes: u64,
}

/// Measures both in turns.
pub(crate) async fn compare(options: &Options) -> anyhow::Result<()> {
    let taken: Arc<AtomicU64> = Arc::default();
    let routes = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&taken));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("listening for spans")?;
    let collector = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, routes).await });

    let mut cost = Cost { with: Vec::new(), without: Vec::new(), spans_bytes: 0, log_bytes: 0 };
    for round in 0..ROUNDS {
        let turns = if round % 2 == 0 { [false, true] } else { [true, false] };
        for is_on in turns {
            let (turn, log_bytes) = child(options, is_on.then_some(collector.as_str())).await?;
            if is_on {
                cost.with.push(turn)
            } else {
                cost.without.push(turn)
            }
            cost.log_bytes += if is_on { log_bytes } else { 0 };
        }
    }
    cost.spans_bytes = taken.load(Ordering::Relaxed);
    cost.print(options);
    Ok(())
}

async fn take(State(taken): State<Arc<AtomicU64>>, body: Bytes) -> StatusCode {
    taken.fetch_add(body.len() as u64, Ordering::Relaxed);
    StatusCode::OK
}

/// Runs this program for one measurement, and reads its log as a container's runtime would.
async fn child(options: &Options, collector: Option<&str>) -> anyhow::Result<(Turn, u64)> {
    let mut command = Command::new(std::env::current_exe().context("finding this program")?);
    command.arg("--items").arg(options.items.to_string()).arg("--people").arg(options.people.to_string());
    command.args(options.aof.then_some("--aof"));
    command.arg("--telemetry-turn").arg(collector.unwrap_or("off"));
    // A collector or a filter of the caller's is no part of the comparison.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("OTEL_") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    let mut running = command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut said = String::new();
    running.stdout.take().context("it has an output")?.read_to_string(&mut said).await?;
    anyhow::ensure!(running.wait().await?.success(), "a measurement failed");
    let (log, result) = said.rsplit_once(RESULT).context("a measurement told nothing")?;
    let (per_second, cpu_us_per_item) = result.trim().split_once(' ').context("a measurement told half")?;
    let turn = Turn { per_second: per_second.parse()?, cpu_us_per_item: cpu_us_per_item.parse()? };
    Ok((turn, log.len() as u64))
}

/// One measurement, in a process of its own.
pub(crate) async fn turn(options: &Options, collector: &str) -> anyhow::Result<()> {
    let traces = match collector {
        "off" => None,
        collector => Some(start(collector)?),
    };
    let stand = Stand::start(options.aof).await?;
    let crowd = Crowd::connect(&stand, options.people).await?;
    let services = Services::start(stand.settings()?, None).await?;
    stand.until_balanced(1).await?;
    let appended = crowd.append(&stand, WARM_UP_ITEMS).await?;
    stand.until_applied(crowd.total(appended)).await?;
    let own_cpu_us = || meter::cpu_us(std::process::id());
    let (cpu_us, begun) = (own_cpu_us(), Instant::now());
    let appended = crowd.append(&stand, options.items).await?;
    stand.until_applied(crowd.total(appended)).await?;
    let items = as_f64(options.items as u64);
    let (rate, cpu_us) = (items / begun.elapsed().as_secs_f64(), own_cpu_us() - cpu_us);
    services.stop().await?;
    if let Some(traces) = traces {
        traces.shutdown().await;
    }
    println!("\n{RESULT}{rate} {}", cpu_us / items);
    Ok(())
}

fn start(collector: &str) -> anyhow::Result<Traces> {
    telemetry::init_logs(LogFormat::Json)?;
    let recorder = Recorder::install("tributary", env!("CARGO_PKG_VERSION"))?;
    let source: &'static str = source_name().to_string().leak();
    for stage in ["fetch", "normalise", "write"] {
        telemetry::touch(stage, &[source]);
    }
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(SCRAPE_EVERY);
        loop {
            tick.tick().await;
            std::hint::black_box(recorder.render());
        }
    });
    let options = TraceOptions {
        service: "tributary",
        version: env!("CARGO_PKG_VERSION"),
        instance: "bench".to_owned(),
        endpoint: Some(collector.to_owned()),
        one_in: TRACE_ONE_IN,
    };
    Ok(Traces::start(&options)?)
}

impl Cost {
    fn print(&self, options: &Options) {
        let rate = |turns: &[Turn]| median(turns.iter().map(|turn| turn.per_second));
        let cpu = |turns: &[Turn]| median(turns.iter().map(|turn| turn.cpu_us_per_item));
        // Those next to each other met the same machine.
        let pairs = || self.with.iter().zip(&self.without);
        let rates = median(pairs().map(|(with, without)| with.per_second / without.per_second));
        let cpus = median(pairs().map(|(with, without)| with.cpu_us_per_item / without.cpu_us_per_item));
        if options.json {
            let each = |turns: &[Turn]| turns.iter().map(|turn| turn.per_second).collect::<Vec<f64>>();
            let figures = json!({
                "items": options.items, "people": options.people, "rounds": ROUNDS, "trace_one_in": TRACE_ONE_IN,
                "telemetry_on_items_per_second": rate(&self.with),
                "telemetry_off_items_per_second": rate(&self.without), "telemetry_ratio": rates,
                "telemetry_on_worker_cpu_us_per_item": cpu(&self.with),
                "telemetry_off_worker_cpu_us_per_item": cpu(&self.without), "telemetry_cpu_ratio": cpus,
                "telemetry_on_runs": each(&self.with), "telemetry_off_runs": each(&self.without),
                "span_bytes": self.spans_bytes, "log_bytes": self.log_bytes,
            });
            println!("{figures}");
            return;
        }
        for (name, turns) in [("with telemetry", &self.with), ("without", &self.without)] {
            println!("{name:<25} {:>10.0} items/s, {:.1} µs of worker CPU each", rate(turns), cpu(turns));
        }
        println!(
            "with ÷ without            {rates:>10.3} of the rate, {cpus:.3} of the CPU (medians of {ROUNDS} pairs)"
        );
        println!(
            "spans sent                {:>10} bytes, logs {} bytes, of all runs",
            self.spans_bytes, self.log_bytes
        );
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => (sorted[even / 2 - 1] + sorted[even / 2]) / 2.0,
    }
}
