//! The list keeps its own rules, and others keep to the list.

mod artefacts; // dashboards and rules

use std::collections::BTreeSet;

use super::*;

/// Words that end a name in a unit that is no base unit.
const NOT_BASE: [&str; 10] =
    ["ms", "milliseconds", "minutes", "hours", "days", "kb", "mb", "kilobytes", "megabytes", "percent"];

#[test]
fn every_name_follows_the_rules() {
    let mut names = BTreeSet::new();
    for metric in ALL {
        let name = metric.name;
        assert!(names.insert(name), "{name} twice");
        assert!(name.starts_with("tributary_") || name.starts_with("process_"), "{name}: prefix");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}: spelling");
        assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}: _total on counters only");
        for part in name.split('_') {
            assert!(!NOT_BASE.contains(&part), "{name}: {part} is no base unit");
        }
        for taken in ["_sum", "_count", "_bucket"] {
            assert!(!name.ends_with(taken), "{name}: {taken} belongs to histograms");
        }
        assert!(!metric.help.is_empty() && !metric.help.ends_with('.'), "{name}: help is a phrase");
    }
}

#[test]
fn a_histogram_measures_seconds_in_rising_buckets_and_nothing_else_has_any() {
    for metric in ALL {
        let is_histogram = metric.kind == Kind::Histogram;
        assert_eq!(!metric.buckets.is_empty(), is_histogram, "{}", metric.name);
        assert!(metric.buckets.is_sorted_by(|a, b| a < b), "{}", metric.name);
        assert!(!is_histogram || metric.name.ends_with("_seconds"), "{}", metric.name);
    }
    assert!(END_TO_END_SECONDS.buckets.contains(&900.0), "the objective is read at this bucket");
}

#[test]
fn labels_are_named_once_and_name_nobody() {
    for metric in ALL {
        let names: BTreeSet<&str> = metric.labels.iter().map(|label| label.name).collect();
        assert_eq!(names.len(), metric.labels.len(), "{}", metric.name);
        for forbidden in ["user", "external_id", "entry", "address", "error", "token", "le", "quantile"] {
            assert!(!names.contains(forbidden), "{} {forbidden}", metric.name);
        }
        if names.contains("partition") {
            assert_eq!(metric.exporter, Exporter::Console, "{}: partitions are the console's", metric.name);
        }
    }
}

#[test]
fn a_label_admits_its_words_and_nothing_that_looks_like_a_person() {
    let outcome = &ENTRIES_SETTLED.labels[1];
    assert!(outcome.admits("acked") && !outcome.admits("Acked"));
    let stage = &ENTRIES_SETTLED.labels[0];
    assert!(stage.admits("write") && !stage.admits("exist-writer"));
    let script = &FENCED.labels[1];
    assert!(script.admits("lease/renew"));
    for value in ["", "alice@example.com", "connection refused", "ünïcode", &"x".repeat(65)] {
        assert!(!script.admits(value), "{value}");
    }
}
