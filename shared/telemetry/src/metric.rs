//! Every metric we emit is declared here once and recorded through here only.

mod label;
mod list;
mod page;
mod record;
mod touch;

pub use label::{Label, OTHER, STAGES, Values};
pub use list::*;
pub use page::Page;
pub use touch::{touch, touch_open};

use metrics::Unit;

/// What a metric measures with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only ever grows; its name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
}

/// Who exports a metric. Whoever it is, a gauge dies with its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exporter {
    /// Every process.
    All,
    /// Every process, read from the system at each scrape: nobody records it.
    System,
    /// The stages that read a stream and settle its entries: fetch, normalise, write.
    Worker,
    /// The stages that append to a stream: fetch and normalise.
    Appender,
    /// The fetcher alone.
    Fetcher,
    /// The exist-writer alone.
    ExistWriter,
    /// The console, from what Redis knows, so that the number outlives the workers.
    Console,
}

/// One metric, as declared.
#[derive(Debug)]
pub struct Metric {
    /// Its full name: what Prometheus, the dashboards and the alerts call it.
    pub name: &'static str,
    /// What it measures with.
    pub kind: Kind,
    /// Its labels, in the order in which they are given when it is recorded.
    pub labels: &'static [Label],
    /// Who exports it.
    pub exporter: Exporter,
    /// What it counts, in a phrase.
    pub help: &'static str,
    /// The upper bounds of a histogram's buckets, in its unit; empty for the other kinds.
    pub buckets: &'static [f64],
}

/// Buckets for work and calls, in seconds.
pub static CALL_BUCKETS: [f64; 15] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Buckets for waiting, in seconds.
pub static WAIT_BUCKETS: [f64; 12] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];
/// Buckets from a record seen to its value confirmed, in seconds; the objective is read at 900.
pub static END_TO_END_BUCKETS: [f64; 14] =
    [1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 21600.0, 86400.0];

impl Metric {
    const fn counter_of(name: &'static str, labels: &'static [Label], exporter: Exporter, help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, labels, exporter, help, buckets: &[] }
    }

    const fn gauge_of(name: &'static str, labels: &'static [Label], exporter: Exporter, help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, labels, exporter, help, buckets: &[] }
    }

    const fn histogram_of(
        name: &'static str,
        labels: &'static [Label],
        exporter: Exporter,
        buckets: &'static [f64],
        help: &'static str,
    ) -> Self {
        Self { name, kind: Kind::Histogram, labels, exporter, help, buckets }
    }

    /// The unit, which is the end of the name.
    pub fn unit(&self) -> Unit {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        match name.rsplit('_').next() {
            Some("seconds") => Unit::Seconds,
            Some("bytes") => Unit::Bytes,
            // What the exporter calls a percentage, it writes as a ratio.
            Some("ratio") => Unit::Percent,
            _ => Unit::Count,
        }
    }
}

/// Tells the recorder what every metric of the list means.
pub fn describe_all() {
    for metric in ALL {
        let (name, help, unit) = (metric.name, metric.help, metric.unit());
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(name, unit, help),
            Kind::Gauge => metrics::describe_gauge!(name, unit, help),
            Kind::Histogram => metrics::describe_histogram!(name, unit, help),
        }
    }
}

#[cfg(test)]
mod tests;
