//! From append to ledger at a steady rate.

use std::{sync::Arc, time::Duration};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::{as_f64, crowd::Crowd, observed::Observed, stand::Stand, steady};

/// How far a quantile may be off by chance, in standard deviations: 95 of 100 runs lie within.
const DEVIATIONS: f64 = 1.96;

/// Latencies at one rate.
#[derive(Debug, Clone)]
pub(crate) struct Latency {
    /// From when each append was to begin until its record was in the ledger, in microseconds.
    pub(crate) took: Histogram<u64>,
    /// How late appends began.
    pub(crate) late: Histogram<u64>,
}

pub(crate) async fn measure(
    stand: &Stand,
    crowd: &Arc<Crowd>,
    rate: u32,
    lasting: Duration,
) -> anyhow::Result<Latency> {
    let observed = Observed::start(stand).await?;
    let people = crowd.people();
    let whose = |number: u64| people[usize::try_from(number).unwrap_or(0) % people.len()].clone();
    let steady = steady::append(stand, crowd, rate, lasting, whose).await?;
    stand.until_applied(crowd.total(steady.appended)).await?;
    Ok(Latency { took: observed.stop().await?.all()?, late: steady.late })
}

/// Milliseconds at a quantile.
pub(crate) fn ms(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    as_f64(histogram.value_at_quantile(quantile)) / 1000.0
}

/// Between which milliseconds a quantile lies with so few samples, as far as they are independent.
pub(crate) fn bounds_ms(histogram: &Histogram<u64>, quantile: f64) -> (f64, f64) {
    let samples = as_f64(histogram.len().max(1));
    let off = DEVIATIONS * (quantile * (1.0 - quantile) / samples).sqrt();
    (ms(histogram, (quantile - off).max(0.0)), ms(histogram, (quantile + off).min(1.0)))
}

/// All that is told of a histogram of microseconds.
pub(crate) fn told(histogram: &Histogram<u64>) -> Value {
    let p = |quantile| histogram.value_at_quantile(quantile);
    let (low, high) = bounds_ms(histogram, 0.999);
    json!({
        "samples": histogram.len(), "p50": p(0.5), "p99": p(0.99), "p999": p(0.999), "max": histogram.max(),
        "p999_between": [low * 1000.0, high * 1000.0],
    })
}
