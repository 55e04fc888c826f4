//! Hand-computed days.

use jiff::Timestamp;

use super::*;

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn entry(start: &str, stop: Option<&str>, project_id: Option<i64>, tags: &[&str]) -> Entry {
    Entry {
        id: 1,
        start: time(start),
        stop: stop.map(time),
        project_id,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        description: None,
        at: Timestamp::UNIX_EPOCH,
        deleted_at: None,
    }
}

fn pulse(date: &str, counts: Counts) -> Pulse {
    Pulse { id: 1, date: time(date), computer: "desk".into(), counts }
}

fn toggl(projects: &[i64], clients: &[i64], tags: &[&str]) -> Rule {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    Rule::Toggl { projects: projects.to_vec(), clients: clients.to_vec(), tags }
}

fn judged(zone: &str, mappings: &[Mapping], records: &Records) -> Vec<(String, String, String)> {
    let zone = TimeZone::get(zone).expect("a zone");
    let numbers = expected(&zone, mappings, records);
    numbers.into_iter().map(|((attribute, day), number)| (attribute, day.to_string(), number.to_string())).collect()
}

fn row(attribute: &str, day: &str, number: &str) -> (String, String, String) {
    (attribute.to_owned(), day.to_owned(), number.to_owned())
}

#[test]
fn rounding_is_half_away_from_zero_both_ways() {
    let minutes = [0, 29, 30, 31, 89, 90, -29, -30, -31, -90].map(|seconds| rounded_quotient(seconds, 60));
    assert_eq!(minutes, [0, 0, 1, 1, 1, 2, 0, -1, -1, -2]);
    let megabytes = [49, 50, 149, 150, -49, -50].map(|hundredths| rounded_quotient(hundredths, 100));
    assert_eq!(megabytes, [0, 1, 1, 2, 0, -1]);
}

#[test]
fn seconds_are_summed_before_they_are_rounded() {
    // Three times 20 s make one minute; rounded one by one they would make none.
    let spans = [("10:00:00", "10:00:20"), ("11:00:00", "11:00:20"), ("12:00:00", "12:00:20")];
    let entries = spans
        .iter()
        .map(|(from, to)| entry(&format!("2026-05-04T{from}Z"), Some(&format!("2026-05-04T{to}Z")), Some(7), &[]))
        .collect();
    let records = Records { entries, ..Records::default() };
    let mappings = [Mapping::template("productive_min", toggl(&[7], &[], &[]))];
    assert_eq!(judged("UTC", &mappings, &records), [row("productive_min", "2026-05-04", "1")]);
}

#[test]
fn two_pulses_of_the_same_second_and_counts_are_two_pulses() {
    let counts = Counts { keys: 500, download_centi_mb: 125, ..Counts::default() };
    let pulses = vec![pulse("2026-05-04T10:30:00Z", counts); 2];
    let records = Records { pulses, ..Records::default() };
    let mappings = [
        Mapping::template("keystrokes", Rule::WhatPulse(WhatPulseField::Keys)),
        Mapping::custom("Download MB", 0, Rule::WhatPulse(WhatPulseField::DownloadMb)),
        Mapping::custom("Exact MB", 1, Rule::WhatPulse(WhatPulseField::DownloadMb)),
    ];
    // 2.50 MB: three whole ones, or exactly that. It is already tomorrow on Kiritimati.
    assert_eq!(
        judged("Pacific/Kiritimati", &mappings, &records),
        [
            row("download_mb", "2026-05-05", "3"),
            row("exact_mb", "2026-05-05", "2.50"),
            row("keystrokes", "2026-05-05", "1000")
        ]
    );
}

#[test]
fn deleted_and_running_entries_count_nothing() {
    let mut deleted = entry("2026-05-04T10:00:00Z", Some("2026-05-04T11:00:00Z"), Some(7), &[]);
    deleted.deleted_at = Some(time("2026-05-04T12:00:00Z"));
    let running = entry("2026-05-04T10:00:00Z", None, Some(7), &[]);
    let records = Records { entries: vec![deleted, running], ..Records::default() };
    assert_eq!(judged("UTC", &[Mapping::template("productive_min", toggl(&[7], &[], &[]))], &records), []);
}

#[test]
fn an_entry_counts_once_for_an_attribute_and_once_for_each_of_several() {
    let entries = vec![entry("2026-05-04T10:00:00Z", Some("2026-05-04T11:00:00Z"), Some(7), &["deep", "acme"])];
    let projects = vec![Project { id: 7, label: "Writing".into(), client_id: Some(50), deleted: false }];
    let records = Records { entries, projects, ..Records::default() };
    let mappings = [
        Mapping::template("productive_min", toggl(&[7], &[], &[])),
        Mapping::custom("Time acme", 3, toggl(&[7], &[50], &["acme", "deep"])),
    ];
    assert_eq!(
        judged("UTC", &mappings, &records),
        [row("productive_min", "2026-05-04", "60"), row("time_acme", "2026-05-04", "60")]
    );
}

#[test]
fn two_rules_that_feed_one_attribute_are_summed_before_rounding() {
    let entries = vec![
        entry("2026-05-04T10:00:00Z", Some("2026-05-04T10:00:29Z"), Some(7), &[]),
        entry("2026-05-04T11:00:00Z", Some("2026-05-04T11:00:29Z"), None, &["tv"]),
    ];
    let records = Records { entries, ..Records::default() };
    let by = |rule| Mapping::template("tv_min", rule);
    let mappings = [by(toggl(&[7], &[], &[])), by(toggl(&[], &[], &["tv"]))];
    assert_eq!(judged("UTC", &mappings, &records), [row("tv_min", "2026-05-04", "1")]);
}

#[test]
fn an_entry_over_the_change_counts_the_hours_that_were_lived() {
    // 23:00 to 03:00 in New York on the night the clocks fall back at 02:00: one hour and four.
    let entries = vec![entry("2026-11-01T03:00:00Z", Some("2026-11-01T08:00:00Z"), Some(7), &[])];
    let records = Records { entries, ..Records::default() };
    let mappings = [Mapping::template("productive_min", toggl(&[7], &[], &[]))];
    assert_eq!(
        judged("America/New_York", &mappings, &records),
        [row("productive_min", "2026-10-31", "60"), row("productive_min", "2026-11-01", "240")]
    );
}

#[test]
fn what_others_put_on_a_day_stays_under_an_attribute_that_is_added_to_and_under_no_other() {
    let key = |attribute: &str, day: &str| (attribute.to_owned(), day.parse().expect("a date"));
    let added_to = Mapping { mode: Mode::Increment, ..Mapping::template("commits", toggl(&[], &[], &[])) };
    let mappings = [added_to, Mapping::template("tv_min", toggl(&[], &[], &[]))];
    let expected = Numbers::from([(key("commits", "2026-05-04"), 3.into()), (key("tv_min", "2026-05-04"), 5.into())]);
    let foreign = Numbers::from([
        (key("commits", "2026-05-04"), 7.into()),
        (key("commits", "2026-05-05"), (-1).into()),
        (key("tv_min", "2026-05-04"), 100.into()),
    ]);
    let both = beside(expected, &mappings, &foreign);
    assert_eq!(both[&key("commits", "2026-05-04")], 10.into());
    assert_eq!(both[&key("commits", "2026-05-05")], (-1).into());
    assert_eq!(both[&key("tv_min", "2026-05-04")], 5.into());
}

#[test]
fn other_projects_count_nothing() {
    let entries = vec![entry("2026-05-04T10:00:00Z", Some("2026-05-04T11:00:00Z"), Some(8), &["deeper"])];
    let records = Records { entries, ..Records::default() };
    assert_eq!(judged("UTC", &[Mapping::template("productive_min", toggl(&[7], &[50], &["deep"]))], &records), []);
}
