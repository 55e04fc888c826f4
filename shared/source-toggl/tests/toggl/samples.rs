//! Every recorded answer is read, or refused with a reason; skipped where the folder is not at hand.

use std::{env, fs, path::PathBuf};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse};
use event::{RecordKind, UserId};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use source::{Account, Cursor, Page, Read, Source, SourceError, suite::Server};
use source_toggl::Toggl;

fn folder() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/contracts/samples");
    PathBuf::from(env::var_os("TRIBUTARY_SAMPLES").unwrap_or(beside.into())).join("toggl/recorded")
}

/// Reads an account whose server answers only this, two days before and after the recording.
async fn read(status: u16, body: &Value, now: Timestamp) -> Result<Page, SourceError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = (StatusCode::from_u16(status).unwrap(), body.to_string());
    let routes = Router::new()
        .route("/me/projects", axum::routing::get(|| async { "null" }))
        .fallback(|State(answer): State<(StatusCode, String)>| async { answer.into_response() });
    let server = Server::start(routes.with_state(answer)).await;
    let http = source::http::client(std::time::Duration::from_secs(5)).unwrap();
    let source = Toggl::new(http, server.base().clone());
    let credentials = json!({"api_token": "key-for-tests"});
    let account = Account { user: UserId::try_new("alice").unwrap(), credentials };
    let back_fill_from = now - jiff::SignedDuration::from_hours(30 * 24);
    let read = Read { now, back_fill_from, zone: TimeZone::UTC, hint: source::Hint::None };
    let mut page = source.read(&account, &Cursor::fresh(), &read).await?;
    while page.more {
        let next = source.read(&account, &page.cursor, &read).await?;
        page = Page { rows: [page.rows, next.rows].concat(), ..next };
    }
    Ok(page)
}

#[tokio::test]
async fn every_recorded_answer_is_read_or_refused_with_a_reason() {
    let Ok(files) = fs::read_dir(folder()) else {
        println!("no samples in {}: skipped", folder().display());
        return;
    };
    for path in files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|is| is == "json")) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let recorded: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let response = recorded.get("response");
        let status = response.map_or(200, |response| u16::try_from(response["status"].as_u64().unwrap()).unwrap());
        let body = response.map_or(&recorded, |response| &response["body"]);
        let now = "2024-12-17T00:00:00Z".parse().unwrap();
        // An answer to a write, or about the running entry, is one entry of a list.
        let is_entry = name.starts_with("time_entries") && body.is_object();
        let body = if is_entry { json!([body]) } else { body.clone() };
        let page = match read(status, &body, now).await {
            Ok(page) => page,
            Err(reason) => {
                assert!(!name.starts_with("time_entries"), "{name}: {reason}");
                println!("{name}: {reason}");
                continue;
            }
        };
        let of = |kind| page.rows.iter().filter(|row| row.kind == kind).count();
        println!("{name}: {} present, {} deleted", of(RecordKind::Present), of(RecordKind::Deleted));
        if name.starts_with("time_entries") {
            assert_eq!(of(RecordKind::Malformed), 0, "{name}: {:?}", page.rows);
            // A deleted row comes in every window that is asked of so simple a server.
            let ids: std::collections::BTreeSet<_> = page.rows.iter().map(|row| &row.external_id).collect();
            assert_eq!(ids.len(), body.as_array().map_or(0, Vec::len), "{name}");
        } else {
            assert_eq!(of(RecordKind::Present), 0, "{name} holds no entries");
        }
    }
}

#[tokio::test]
async fn every_recorded_webhook_is_taken_or_refused_with_a_reason() {
    let Ok(files) = fs::read_dir(folder().join("..")) else {
        println!("no samples in {}: skipped", folder().display());
        return;
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = source::http::client(std::time::Duration::from_secs(5)).unwrap();
    let source = Toggl::new(http, "https://toggl.example".parse().unwrap());
    let hooks = source.hooks().unwrap();
    let account = Account { user: UserId::try_new("alice").unwrap(), credentials: json!({"user_id": 1_000_001}) };
    let paths = files.map(|file| file.unwrap().path());
    for path in paths.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("webhook.")) {
        let recorded: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let events = recorded.as_array().cloned().unwrap_or_else(|| vec![recorded]);
        for event in events {
            let body = event["raw_body"].as_str().map_or_else(|| event.to_string(), str::to_owned);
            let headers = reqwest::header::HeaderMap::new();
            let delivery =
                source::hooks::Delivery { headers: &headers, body: body.as_bytes(), now: Timestamp::UNIX_EPOCH };
            match hooks.take(&delivery, &account) {
                Ok(hooked) => println!("{name}: {hooked:?}"),
                Err(reason) => {
                    assert!(!name.contains("events.constructed") && !name.contains("ping"), "{name}: {reason}");
                    assert!(reason.0.starts_with("toggl: "), "{name}: {reason}");
                }
            }
        }
    }
}
