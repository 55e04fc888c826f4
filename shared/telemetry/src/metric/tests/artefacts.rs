//! Dashboards, rules and the list hold each other: no metric is shown that nobody exports, and none is
//! exported that nobody looks at.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::super::{ALL, Kind, Metric};

/// Exported by others: Prometheus itself, kube-state-metrics, KEDA.
const FOREIGN: [&str; 4] = [
    "ALERTS",
    "kube_horizontalpodautoscaler_status_current_replicas",
    "kube_horizontalpodautoscaler_spec_max_replicas",
    "keda_scaler_detail_errors_total",
];
/// What every process has by custom, for whoever looks for it.
const BY_CUSTOM: [&str; 3] = ["process_virtual_memory_bytes", "process_max_fds", "process_start_time_seconds"];

/// The files that name metrics, with what stands in them.
fn files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut paths = vec![root.join("deploy/prometheus/tributary.rules.yaml")];
    paths.extend(fs::read_dir(root.join("dashboards")).unwrap().map(|entry| entry.unwrap().path()));
    paths.retain(|path| path.extension().is_some_and(|ending| ending != "md"));
    paths.iter().map(|path| (path.display().to_string(), fs::read_to_string(path).unwrap())).collect()
}

/// The names of metrics in a text: of ours and of what we use of others.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    let is_metric = |word: &&str| {
        ["tributary_", "process_", "kube_", "keda_"].iter().any(|prefix| word.starts_with(prefix)) || *word == "ALERTS"
    };
    words.filter(|word| !word.contains(':')).filter(is_metric).collect()
}

/// The names under which Prometheus knows a metric.
fn series(metric: &Metric) -> Vec<String> {
    match metric.kind {
        Kind::Histogram => ["bucket", "count", "sum"].iter().map(|part| format!("{}_{part}", metric.name)).collect(),
        _ => vec![metric.name.to_owned()],
    }
}

#[test]
fn what_dashboards_and_rules_name_is_in_the_list() {
    let listed: BTreeSet<String> = ALL.iter().flat_map(|metric| series(metric)).collect();
    for (file, text) in files() {
        for name in names(&text) {
            assert!(listed.contains(name) || FOREIGN.contains(&name), "{file}: nobody exports {name}");
        }
    }
}

#[test]
fn what_is_in_the_list_is_on_a_dashboard_or_in_a_rule() {
    let all: String = files().into_iter().map(|(_, text)| text).collect();
    let used = names(&all);
    for metric in ALL {
        let is_used = series(metric).iter().any(|name| used.contains(name.as_str()));
        assert!(is_used || BY_CUSTOM.contains(&metric.name), "nobody looks at {}", metric.name);
    }
}

/// `tributary_retries_total{class="transient"}`: the labels and values must be those of the list.
#[test]
fn labels_that_are_matched_are_of_the_list() {
    let by_name: BTreeMap<String, &Metric> =
        ALL.iter().flat_map(|metric| series(metric).into_iter().map(move |name| (name, *metric))).collect();
    let from_outside = ["namespace", "le", "instance", "job"];
    let mut matched = 0;
    for (file, text) in files() {
        let text = text.replace("\\\"", "\"");
        for (name, metric) in &by_name {
            for (at, _) in text.match_indices(&format!("{name}{{")) {
                let inner = text[at + name.len() + 1..].split('}').next().unwrap();
                for matcher in inner.split(',') {
                    let label = matcher.trim().split(['=', '!', '~']).next().unwrap();
                    let values = matcher.split('"').nth(1).unwrap_or_default();
                    let declared = metric.labels.iter().find(|declared| declared.name == label);
                    assert!(declared.is_some() || from_outside.contains(&label), "{file}: {name} has no label {label}");
                    for value in values.split('|').filter(|value| !value.contains(['$', '.'])) {
                        assert!(declared.is_none_or(|label| label.admits(value)), "{file}: {name} {label}={value}");
                        matched += 1;
                    }
                }
            }
        }
    }
    assert!(matched > 20, "only {matched} values were compared");
}
