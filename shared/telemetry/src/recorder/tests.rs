//! Tests of what the recorder renders; the installed one is tested over HTTP.

use crate::metric::{self, ALL, Kind};
use crate::{Recorder, counter, gauge, histogram};

/// Renders what happens in `work`, on a recorder of its own.
fn rendered(work: impl FnOnce()) -> String {
    let (recorder, handle) = Recorder::build();
    metrics::with_local_recorder(&recorder, || {
        metric::describe_all();
        work();
    });
    handle.render()
}

fn series<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(&format!("{name}{{"))).collect()
}

#[test]
fn a_touched_counter_is_there_at_zero_for_every_value() {
    let text = rendered(|| metric::touch("normalise", &["toggl", "whatpulse"]));
    assert_eq!(series(&text, "tributary_entries_settled_total").len(), 4);
    assert_eq!(series(&text, "tributary_retries_total").len(), 7);
    assert_eq!(series(&text, "tributary_dead_lettered_total").len(), 6);
    assert_eq!(series(&text, "tributary_transactions_total").len(), 2 * 8);
    assert_eq!(series(&text, "tributary_entries_appended_total").len(), 2);
    assert_eq!(series(&text, "tributary_heals_total").len(), 4);
    let line = "tributary_dead_lettered_total{stage=\"normalise\",cause=\"poison\"} 0";
    assert!(text.contains(line), "{text}");
    let line = "tributary_queue_wait_seconds_count{stage=\"normalise\"} 0";
    assert!(text.contains(line), "a histogram is counters, too: {text}");
    assert!(!text.contains("tributary_drift_total{"), "the writer's alone");
    assert!(!text.contains("tributary_webhooks_total{"), "the fetcher's alone");
}

#[test]
fn each_stage_touches_what_it_alone_exports() {
    let write = rendered(|| metric::touch("write", &["toggl"]));
    assert_eq!(series(&write, "tributary_exist_values_total").len(), 2 * 4);
    assert_eq!(series(&write, "tributary_drift_total").len(), 2);
    assert!(series(&write, "tributary_entries_appended_total").is_empty());
    let fetch = rendered(|| metric::touch("fetch", &["toggl"]));
    assert_eq!(series(&fetch, "tributary_webhooks_total").len(), 9);
}

#[test]
fn a_counter_with_open_labels_is_touched_by_whoever_knows_their_values() {
    let text = rendered(|| {
        let open: [(&str, &[&str]); 2] = [("peer", &["exist"]), ("operation", &["update", "values"])];
        metric::touch_open(&metric::PEER_REQUESTS, "write", &["none"], &open);
        metric::touch_open(&metric::FENCED, "write", &[], &[]);
    });
    assert_eq!(series(&text, "tributary_peer_requests_total").len(), 2 * 6);
    assert!(series(&text, "tributary_fenced_total").is_empty());
}

#[test]
fn every_metric_comes_out_under_its_own_name_and_kind() {
    let text = rendered(|| {
        for metric in ALL.iter().filter(|metric| metric.exporter != metric::Exporter::System) {
            let first = |label: &metric::Label| match label.values {
                metric::Values::Stage => "write",
                metric::Values::OneOf(words) => words[0],
                metric::Values::Source | metric::Values::Open => "x",
            };
            let key = metric.key(metric.labels.iter().map(|label| first(label).into()));
            metrics::with_recorder(|recorder| {
                let about = metrics::Metadata::new("test", metrics::Level::INFO, None);
                match metric.kind {
                    Kind::Counter => recorder.register_counter(&key, &about).increment(1),
                    Kind::Gauge => recorder.register_gauge(&key, &about).set(1),
                    Kind::Histogram => recorder.register_histogram(&key, &about).record(1),
                }
            });
        }
    });
    // What is read at each scrape is tested over HTTP, where there is a runtime.
    for metric in ALL.iter().filter(|metric| metric.exporter != metric::Exporter::System) {
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        assert!(text.contains(&format!("# TYPE {} {kind}\n", metric.name)), "{} in:\n{text}", metric.name);
        assert!(text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{}", metric.name);
        if metric.kind == Kind::Histogram {
            let buckets = text.lines().filter(|line| line.starts_with(&format!("{}_bucket{{", metric.name)));
            assert_eq!(buckets.count(), metric.buckets.len() + 1, "{}: its buckets and +Inf", metric.name);
        }
    }
    assert!(!text.contains(" summary\n"), "{text}");
}

#[test]
fn the_macros_record_what_they_are_given() {
    let text = rendered(|| {
        counter!(ENTRIES_SETTLED, stage = "write", outcome = "acked").increment(2);
        gauge!(RUNNABLE_ENTRIES, stage = "fetch", partition = format!("{:02}", 7)).set(5);
        histogram!(QUEUE_WAIT_SECONDS, stage = "write").record(0.25);
        gauge!(RATE_LIMITED_USERS).set(0);
    });
    for line in [
        "tributary_entries_settled_total{stage=\"write\",outcome=\"acked\"} 2\n",
        "tributary_runnable_entries{stage=\"fetch\",partition=\"07\"} 5\n",
        "tributary_queue_wait_seconds_bucket{stage=\"write\",le=\"0.5\"} 1\n",
        "tributary_queue_wait_seconds_bucket{stage=\"write\",le=\"0.1\"} 0\n",
        "tributary_rate_limited_users 0\n",
    ] {
        assert!(text.contains(line), "{line} in:\n{text}");
    }
}

/// Where debug assertions are on, the slip stops the test instead.
#[cfg(not(debug_assertions))]
#[test]
fn a_value_outside_its_label_is_counted_as_other() {
    let text = rendered(|| {
        counter!(ENTRIES_SETTLED, stage = "write", outcome = "exploded").increment(1);
        counter!(FENCED, stage = "write", script = "alice@example.com".to_owned()).increment(1);
    });
    assert!(text.contains("tributary_entries_settled_total{stage=\"write\",outcome=\"other\"} 1\n"), "{text}");
    assert!(text.contains("tributary_fenced_total{stage=\"write\",script=\"other\"} 1\n"), "{text}");
    assert!(!text.contains("alice"), "{text}");
}

#[test]
fn a_page_takes_the_place_of_the_one_before_and_can_be_taken_away() {
    let (_recorder, handle) = Recorder::build();
    let page = |partition: &'static str, value: u64| {
        let mut page = metric::Page::new();
        page.put(&metric::RUNNABLE_ENTRIES, ["write".into(), partition.into()], value);
        page.put(&metric::RATE_LIMITED_USERS, [], 3);
        page
    };
    handle.show(Some(page("07", 1)));
    let text = handle.render();
    assert!(text.contains("# TYPE tributary_runnable_entries gauge\n"), "{text}");
    assert!(text.contains("\ntributary_runnable_entries{stage=\"write\",partition=\"07\"} 1\n"), "{text}");
    assert!(text.contains("\ntributary_rate_limited_users 3\n"), "{text}");
    handle.show(Some(page("08", 2)));
    let text = handle.render();
    assert!(!text.contains("partition=\"07\"") && text.contains("partition=\"08\"} 2\n"), "{text}");
    handle.show(None);
    assert!(!handle.render().contains("tributary_runnable_entries"));
}
