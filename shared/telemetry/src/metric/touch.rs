//! Making counters exist before they count: `increase()` does not see a counter that is born at 1. A
//! histogram is counters, too.

use super::{ALL, Exporter, Kind, Metric, Values};

/// Touches every counter and histogram that a process of this stage exports, for every value of its labels.
///
/// Call it at start, once for each stage the process runs, with the sources it may meet. What has an
/// open label is left out: whoever knows the values calls [`touch_open`].
pub fn touch(stage: &'static str, sources: &[&'static str]) {
    let closed = |metric: &&&'static Metric| metric.labels.iter().all(|label| label.values != Values::Open);
    for metric in ALL.iter().filter(|metric| exports(metric.exporter, stage)).filter(closed) {
        touch_open(metric, stage, sources, &[]);
    }
}

/// Touches a counter or histogram with open labels: `open` gives each of them the values it may take.
///
/// Touches nothing if the metric is a gauge, or if an open label is left without values.
pub fn touch_open(
    metric: &'static Metric,
    stage: &'static str,
    sources: &[&'static str],
    open: &[(&str, &[&'static str])],
) {
    if metric.kind == Kind::Gauge {
        return;
    }
    let mut series: Vec<Vec<&'static str>> = vec![Vec::new()];
    for label in metric.labels {
        let given = open.iter().find(|(name, _)| *name == label.name).map(|(_, values)| *values);
        let values: &[&'static str] = match (given, label.values) {
            (Some(values), _) => values,
            (None, Values::Stage) => &[stage],
            (None, Values::Source) => sources,
            (None, Values::OneOf(words)) => words,
            (None, Values::Open) => &[],
        };
        series = series
            .iter()
            .flat_map(|before| values.iter().map(|value| before.iter().copied().chain([*value]).collect()))
            .collect();
    }
    for values in series {
        metric.touch(values);
    }
}

fn exports(exporter: Exporter, stage: &str) -> bool {
    match exporter {
        Exporter::All | Exporter::Worker => true,
        Exporter::Appender => stage != "write",
        Exporter::Fetcher => stage == "fetch",
        Exporter::ExistWriter => stage == "write",
        // The console counts nothing, and what is read at each scrape is always there.
        Exporter::Console | Exporter::System => false,
    }
}
