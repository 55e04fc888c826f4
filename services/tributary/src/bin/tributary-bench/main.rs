//! What the pipeline does in a second and what it costs, beside the ceiling of the same run.
//!
//! Everything runs in this process against a private Redis: live producers, the normaliser and the
//! exist-writer, with leases, order, ledger and audit on. Figures are printed, never asserted.

mod ceiling; // what plain streams reach
mod crowd; // people, records and their producers
mod meter; // Redis' own counters, and ours
mod requests; // what reaches Exist for what changed
mod stand; // Redis, Exist and the services
mod telemetry_cost; // throughput with and without telemetry

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Parser;
use hdrhistogram::Histogram;

use crowd::Crowd;
use meter::Meter;
use stand::Stand;

/// Measures the pipeline from raw append to ledger.
#[derive(Debug, Parser)]
struct Options {
    /// Records for the throughput figures.
    #[arg(long, default_value_t = 100_000)]
    items: usize,
    /// People they belong to.
    #[arg(long, default_value_t = 1_000)]
    people: usize,
    /// Records a second for the latency figures.
    #[arg(long, default_value_t = 1_000)]
    rate: u32,
    /// Seconds of latency measurement.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Keep an append-only file, written to disk every second.
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
}

fn main() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider().install_default().ok().context("a second TLS provider")?;
    let options = Options::parse();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(&options))
}

async fn measure(options: &Options) -> anyhow::Result<()> {
    if let Some(collector) = &options.telemetry_turn {
        return telemetry_cost::turn(options, collector).await;
    }
    if options.telemetry {
        return telemetry_cost::compare(options).await;
    }
    let stand = Stand::start(options.aof).await?;
    let ceiling = ceiling::measure(&stand).await?;

    let crowd = Crowd::connect(&stand, options.people).await?;
    let waiting_bytes = waiting(&stand, &crowd).await?;
    let throughput = throughput(&stand, &crowd, options.items).await?;
    let latency = latency(&stand, &crowd, options).await?;
    let requests = requests::measure(&stand, &crowd).await?;
    let over_least = as_f64(requests.writes) / as_f64(requests.least.max(1));

    let share = throughput.per_second * 3.0 / ceiling.per_second;
    if options.json {
        let figures = serde_json::json!({
            "ceiling_per_second": ceiling.per_second, "ceiling_redis_cpu_us": ceiling.redis_cpu_us,
            "items": options.items, "people": options.people, "aof": options.aof,
            "items_per_second": throughput.per_second, "share_of_ceiling": share,
            "redis_cpu_us_per_item": throughput.redis_cpu_us, "redis_commands_per_item": throughput.commands,
            "worker_cpu_us_per_item": throughput.worker_cpu_us,
            "bytes_per_waiting_item": waiting_bytes, "bytes_per_settled_item": throughput.settled_bytes,
            "latency_rate": options.rate, "latency_us": {
                "p50": latency.value_at_quantile(0.5), "p99": latency.value_at_quantile(0.99),
                "p999": latency.value_at_quantile(0.999), "max": latency.max(),
            },
            "changed_values": requests.pairs, "value_requests": requests.writes, "requests": requests.all,
            "least_value_requests": requests.least, "value_requests_over_least": over_least,
            "rss_mb": meter::resident_mb(),
        });
        println!("{figures}");
        return Ok(());
    }
    let ms = |quantile| Duration::from_micros(latency.value_at_quantile(quantile)).as_secs_f64() * 1000.0;
    println!(
        "plain stream ceiling      {:>10.0} full cycles/s, {:.1} µs of Redis CPU each",
        ceiling.per_second, ceiling.redis_cpu_us
    );
    println!("three stages              {:>10.0} items/s (raw append → ledger, live producers)", throughput.per_second);
    println!("× 3 ÷ ceiling             {share:>10.3}");
    println!("Redis CPU per item        {:>10.1} µs", throughput.redis_cpu_us);
    println!("Redis commands per item   {:>10.1}", throughput.commands);
    println!("worker CPU per item       {:>10.1} µs (producers included)", throughput.worker_cpu_us);
    println!(
        "append → ledger           {:>10.2} ms p50, {:.2} p99, {:.2} p99.9 at {}/s",
        ms(0.5),
        ms(0.99),
        ms(0.999),
        options.rate
    );
    println!("bytes per waiting item    {waiting_bytes:>10.0} (300-byte payload, everything counted)");
    println!("bytes per settled item    {:>10.0} (held for the retention time)", throughput.settled_bytes);
    println!(
        "requests per changed value {:>9.3} ({} for {} values of {} to {} a person and flush window)",
        as_f64(requests.writes) / as_f64(requests.pairs.max(1)),
        requests.writes,
        requests.pairs,
        requests::fewest(),
        requests::most()
    );
    println!("× the least possible      {over_least:>10.3} ({} requests of at most 35 values)", requests.least);
    println!("resident memory           {:>10} MB (all services and producers in one process)", meter::resident_mb());
    Ok(())
}

/// Bytes of Redis' memory for each raw entry that waits, with nobody to take it.
async fn waiting(stand: &Stand, crowd: &Crowd) -> anyhow::Result<f64> {
    const ITEMS: usize = 20_000;
    let before = stand.memory().await?;
    let appended = crowd.append(stand, ITEMS, crowd::BATCH).await?;
    let bytes = stand.memory().await?.saturating_sub(before);
    // They are settled before anything else is measured.
    let services = stand.services(None);
    stand.until_settled(crowd.total(appended)).await?;
    services.stop().await;
    Ok(as_f64(bytes) / as_f64(ITEMS as u64))
}

/// Longer latencies count as this long: a minute.
const LATENCY_MAX_US: u64 = 60_000_000;

struct Throughput {
    per_second: f64,
    redis_cpu_us: f64,
    commands: f64,
    worker_cpu_us: f64,
    settled_bytes: f64,
}

async fn throughput(stand: &Stand, crowd: &Crowd, items: usize) -> anyhow::Result<Throughput> {
    let memory = stand.memory().await?;
    let services = stand.services(None);
    stand.until_owned().await?;
    let meter = Meter::start(stand).await?;
    let begun = Instant::now();
    let appended = crowd.append(stand, items, crowd::BATCH).await?;
    stand.until_applied(crowd.total(appended)).await?;
    let took = begun.elapsed().as_secs_f64();
    let used = meter.stop(stand).await?;
    // Confirmed by Exist, so that nothing but what is kept for the retention time is left.
    stand.until_settled(crowd.total(appended)).await?;
    services.stop().await;
    let items = as_f64(items as u64);
    Ok(Throughput {
        per_second: items / took,
        redis_cpu_us: used.redis_cpu_us / items,
        commands: used.commands / items,
        worker_cpu_us: used.worker_cpu_us / items,
        settled_bytes: as_f64(stand.memory().await?.saturating_sub(memory)) / items,
    })
}

/// Microseconds from append to ledger, at a steady rate, measured from when each append was to start.
async fn latency(stand: &Stand, crowd: &Crowd, options: &Options) -> anyhow::Result<Histogram<u64>> {
    let started: Arc<Mutex<HashMap<String, Instant>>> = Arc::default();
    let histogram = Arc::new(Mutex::new(Histogram::<u64>::new_with_bounds(1, LATENCY_MAX_US, 3)?));
    let (waiting, recorded) = (Arc::clone(&started), Arc::clone(&histogram));
    let services = stand.services(Some(Arc::new(move |event| {
        let begun = waiting.lock().map(|mut waiting| waiting.remove(event.external_id.as_str()));
        if let (Ok(Some(begun)), Ok(mut histogram)) = (begun, recorded.lock()) {
            let took = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            histogram.saturating_record(took);
        }
    })));
    stand.until_owned().await?;
    let appended = crowd.append_steadily(stand, options.rate, Duration::from_secs(options.seconds), &started).await?;
    stand.until_applied(crowd.total(appended)).await?;
    services.stop().await;
    let histogram = histogram.lock().map_err(|_| anyhow::anyhow!("a recorder panicked"))?.clone();
    Ok(histogram)
}

/// For figures that people read: 2⁵³ is more than any of them.
#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn as_f64(number: u64) -> f64 {
    number as f64
}
