//! Gauges of one moment, shown together and taken away together.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write};

use super::{Kind, Metric};

/// Gauges as they were at one moment, in Prometheus's text format.
///
/// A recorder's gauge stays at its last value for as long as the process lives, true or not. What stands on a
/// page is replaced as a whole by the next one, and gone when there is none.
#[derive(Debug, Default, Clone)]
pub struct Page {
    metrics: BTreeMap<&'static str, (&'static Metric, Vec<String>)>,
}

impl Page {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes down one gauge: its labels' values in the order of the list, then its value as a decimal number.
    ///
    /// # Panics
    /// When the list declares another kind or another number of labels.
    pub fn put<const N: usize>(
        &mut self,
        metric: &'static Metric,
        values: [Cow<'static, str>; N],
        value: impl std::fmt::Display,
    ) {
        assert!(metric.kind == Kind::Gauge && metric.labels.len() == N, "{} is another kind of metric", metric.name);
        let mut line = metric.name.to_owned();
        for (index, (label, value)) in metric.labels.iter().zip(values).enumerate() {
            // A label admits nothing that would have to be escaped.
            let (before, value) = (if index == 0 { '{' } else { ',' }, label.bounded(value));
            let _ = write!(line, "{before}{}=\"{value}\"", label.name);
        }
        let _ = write!(line, "{} {value}", if N == 0 { "" } else { "}" });
        self.metrics.entry(metric.name).or_insert_with(|| (metric, Vec::new())).1.push(line);
    }

    pub(crate) fn render(&self, out: &mut String) {
        for (metric, lines) in self.metrics.values() {
            let Metric { name, help, .. } = metric;
            let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
            for line in lines {
                let _ = writeln!(out, "{line}");
            }
            out.push('\n');
        }
    }
}
