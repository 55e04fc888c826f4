//! Lines of Prometheus's text format, for numbers that the recorder's integers cannot hold.

use std::fmt::{Display, Write};

use crate::metric::{Kind, Metric};

/// Writes a metric that has no labels.
pub(super) fn line(out: &mut String, metric: &Metric, value: impl Display) {
    let kind = match metric.kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
        // One number is never a histogram; untyped is the format's word for "only a number".
        Kind::Histogram => "untyped",
    };
    let Metric { name, help, .. } = metric;
    let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n");
}
