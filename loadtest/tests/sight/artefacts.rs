//! Dashboards, rules and runbooks as they are committed.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::boards;

/// The repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every dashboard as it is committed, by file name.
pub(crate) fn dashboards() -> Vec<(String, Value)> {
    let mut found: Vec<(String, Value)> = fs::read_dir(root().join("dashboards"))
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name"))
        .filter(|name| name.ends_with(".json"))
        .map(|name| {
            let json = serde_json::from_str(&text(&format!("dashboards/{name}")));
            let json = json.unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, json)
        })
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

/// A dashboard's panels, without the headings of rows.
pub(crate) fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().expect("panels").iter().filter(|panel| panel["type"] != "row")
}

#[test]
fn the_committed_dashboards_are_what_their_source_makes() {
    for board in boards::all() {
        let made = format!("{:#}\n", board.json());
        let path = format!("dashboards/{}.json", board.name);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(root().join(&path), &made).expect("it can be written");
        }
        assert_eq!(text(&path), made, "{path}: `make dashboards` writes it anew");
    }
    assert_eq!(dashboards().len(), boards::all().len(), "a dashboard that no source makes");
}

#[test]
fn every_dashboard_can_be_imported_and_every_panel_says_what_to_do() {
    let mut uids = BTreeSet::new();
    for (name, board) in dashboards() {
        assert!(uids.insert(board["uid"].as_str().expect("a uid").to_owned()), "{name}: its uid is another's, too");
        assert!(board.get("id").is_none(), "{name}: an id belongs to one Grafana");
        assert!([41, 42].contains(&board["schemaVersion"].as_u64().expect("a schema")), "{name}");
        assert_eq!((&board["editable"], &board["timezone"]), (&Value::from(false), &Value::from("utc")), "{name}");
        let variables = board["templating"]["list"].as_array().expect("variables").iter();
        let variables: Vec<&str> = variables.filter_map(|variable| variable["name"].as_str()).collect();
        assert_eq!(variables, ["datasource", "namespace", "stage", "source", "partition"], "{name}");

        let all = board["panels"].as_array().expect("panels");
        let ids: BTreeSet<u64> = all.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
        assert_eq!(ids.len(), all.len(), "{name}: an id twice");
        let mut taken = BTreeSet::new();
        for panel in all {
            let side = |side: &str| panel["gridPos"][side].as_u64().expect("a place");
            for x in side("x")..side("x") + side("w") {
                for y in side("y")..side("y") + side("h") {
                    assert!(x < 24 && taken.insert((x, y)), "{name}: {} lies on another panel", panel["title"]);
                }
            }
        }
        for panel in panels(&board) {
            let what = format!("{name}: {}", panel["title"]);
            assert!(panel["description"].as_str().is_some_and(|advice| advice.len() > 20), "{what}: no advice");
            assert!(panel["fieldConfig"]["defaults"]["unit"].as_str().is_some_and(|unit| !unit.is_empty()), "{what}");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{what}");
            let targets = panel["targets"].as_array().expect("queries");
            assert!(!targets.is_empty(), "{what}: no query");
            for target in targets {
                let expr = target["expr"].as_str().expect("an expression");
                assert!(
                    !expr.contains("rate(")
                        || expr.contains("[$__rate_interval]")
                        || expr.contains("m]")
                        || expr.contains("h]"),
                    "{what}: {expr}"
                );
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{what}");
            }
        }
    }
}

#[test]
fn alerts_and_runbooks_correspond_one_to_one() {
    let rules = text("deploy/prometheus/tributary.rules.yaml");
    let after = |word: &str| -> Vec<String> {
        rules.lines().filter_map(|line| Some(line.trim().strip_prefix(word)?.trim().to_owned())).collect()
    };
    let alerts = after("- alert:");
    let linked: Vec<String> = alerts.iter().map(|alert| format!("docs/runbooks/{alert}.md")).collect();
    assert_eq!(after("runbook_url:"), linked, "every alert links its own runbook");
    assert_eq!(after("severity:").len(), alerts.len());
    let files: BTreeSet<String> = fs::read_dir(root().join("docs/runbooks"))
        .expect("runbooks")
        .map(|entry| format!("docs/runbooks/{}", entry.expect("an entry").file_name().to_string_lossy()))
        .collect();
    assert_eq!(files, linked.iter().cloned().collect());
    for (alert, path) in alerts.iter().zip(&linked) {
        let book = text(path);
        assert!(book.starts_with(&format!("# {alert}\n")), "{path}: its title");
        let sections: Vec<&str> = book.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(sections, ["Meaning", "Impact", "Diagnosis", "Mitigation"], "{path}");
        let first = book.split('`').nth(1).unwrap_or_default();
        let diagnosis = book.split("## Diagnosis").nth(1).and_then(|rest| rest.split('`').nth(1)).unwrap_or(first);
        assert!(diagnosis.starts_with("tributary status"), "{path}: the first command is {diagnosis}");
    }
}
