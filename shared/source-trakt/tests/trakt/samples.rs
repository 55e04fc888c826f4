//! Every recorded answer is read, or refused with a reason; skipped where the folder is not at hand.

use std::{env, fs, path::PathBuf};

use axum::{Json, Router, http::HeaderMap, routing::get};
use event::{RecordKind, UserId};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use source::{Account, Cursor, Hint, Read, Row, Source, SourceError, suite::Server};
use source_trakt::Trakt;

fn folder() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/contracts/samples");
    PathBuf::from(env::var_os("TRIBUTARY_SAMPLES").unwrap_or(beside.into())).join("trakt")
}

/// Reads an account whose activities and history are these.
async fn read(activities: Value, history: Value) -> Result<Vec<Row>, SourceError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let items = history.as_array().map_or(0, Vec::len);
    let routes = Router::new().route("/sync/last_activities", get(|| async { Json(activities) })).route(
        "/sync/history",
        get(move || async move {
            let mut headers = HeaderMap::new();
            headers.insert("x-pagination-item-count", items.into());
            headers.insert("x-pagination-page-count", 1.into());
            (headers, Json(history))
        }),
    );
    let server = Server::start(routes).await;
    let http = source::http::client(std::time::Duration::from_secs(5)).unwrap();
    let source = Trakt::new(http, server.base().clone(), "us".to_owned(), None);
    let account =
        Account { user: UserId::try_new("alice").unwrap(), credentials: json!({"access_token": "key-for-tests"}) };
    let (now, back_fill_from): (Timestamp, Timestamp) =
        ("2027-01-01T00:00:00Z".parse().unwrap(), "2000-01-01T00:00:00Z".parse().unwrap());
    let read = Read { now, back_fill_from, zone: TimeZone::UTC, hint: Hint::None };
    Ok(source.read(&account, &Cursor::fresh(), &read).await?.rows)
}

#[tokio::test]
async fn every_recorded_answer_is_read_or_refused_with_a_reason() {
    let Ok(files) = fs::read_dir(folder()) else {
        println!("no samples in {}: skipped", folder().display());
        return;
    };
    let activities = json!({"all": "2026-01-01T00:00:00.000Z"});
    for path in files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|is| is == "json")) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let recorded: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let body = recorded.pointer("/response/body").or_else(|| recorded.get("body")).unwrap_or(&recorded).clone();
        let is_history = name.starts_with("sync.history") && body.is_array();
        let answer = if name == "sync.last_activities.json" {
            read(body, json!([])).await
        } else {
            read(activities.clone(), body.clone()).await
        };
        match answer {
            Ok(rows) => {
                let of = |kind| rows.iter().filter(|row| row.kind == kind).count();
                println!("{name}: {} present, {} malformed", of(RecordKind::Present), of(RecordKind::Malformed));
                if is_history {
                    assert_eq!(of(RecordKind::Malformed), 0, "{name}: {rows:?}");
                } else {
                    assert_eq!(of(RecordKind::Present), 0, "{name} holds no plays");
                }
            }
            Err(reason) => {
                assert!(!is_history && name != "sync.last_activities.json", "{name}: {reason}");
                println!("{name}: {reason}");
            }
        }
    }
}
