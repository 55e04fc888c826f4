//! Every published answer is read, or refused with a reason; skipped where the folder is not at hand.

use std::{env, fs, path::PathBuf};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse};
use event::{RecordKind, UserId};
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use source::{Account, Cursor, Page, Read, Source, SourceError, suite::Server};
use source_whatpulse::{ApiKind, WhatPulse};

fn folder() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/contracts/samples");
    PathBuf::from(env::var_os("TRIBUTARY_SAMPLES").unwrap_or(beside.into())).join("whatpulse")
}

/// Reads an account whose server answers only this.
async fn read(kind: ApiKind, status: u16, body: &Value) -> Result<Page, SourceError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = (StatusCode::from_u16(status).unwrap(), body.to_string());
    let routes = Router::new().fallback(|State(answer): State<(StatusCode, String)>| async { answer.into_response() });
    let server = Server::start(routes.with_state(answer)).await;
    let http = source::http::client(std::time::Duration::from_secs(5)).unwrap();
    let source = WhatPulse::new(http, server.base().clone(), kind);
    let credentials = json!({"api_key": "key-for-tests", "user_id": 54321});
    let account = Account { user: UserId::try_new("alice").unwrap(), credentials };
    let back_fill_from = "2026-07-01T00:00:00Z".parse().unwrap();
    let read = Read {
        now: "2026-07-13T08:00:00Z".parse().unwrap(),
        back_fill_from,
        zone: TimeZone::UTC,
        hint: source::Hint::None,
    };
    let mut page = source.read(&account, &Cursor::fresh(), &read).await?;
    while page.more {
        let next = source.read(&account, &page.cursor, &read).await?;
        page = Page { rows: [page.rows, next.rows].concat(), ..next };
    }
    Ok(page)
}

#[tokio::test]
async fn every_published_answer_is_read_or_refused_with_a_reason() {
    let Ok(files) = fs::read_dir(folder()) else {
        println!("no samples in {}: skipped", folder().display());
        return;
    };
    for path in files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|is| is == "json")) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let body: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        let kind = if name.starts_with("legacy") { ApiKind::Legacy } else { ApiKind::V1 };
        if let Some(errors) = body.as_array() {
            for error in errors {
                let status = u16::try_from(error["status"].as_u64().unwrap()).unwrap();
                match read(kind, status, &error["body"]).await {
                    Ok(page) => {
                        assert!(page.rows.is_empty() && error["body"]["error"] == "No pulses found!", "{error}")
                    }
                    Err(reason) => println!("{name}: {reason}"),
                }
            }
            continue;
        }
        // A page that names a next one brings the same page again here, so it is cut off.
        let mut body = body;
        if body["links"]["next"].is_string() {
            body["links"]["next"] = Value::Null;
        }
        match read(kind, 200, &body).await {
            Ok(page) if name.contains("pulses") => {
                println!("{name}: {} rows", page.rows.len());
                assert_eq!(page.rows.len(), 2, "{name}");
                assert!(page.rows.iter().all(|row| row.kind == RecordKind::Present), "{name}: {:?}", page.rows);
            }
            Ok(page) => {
                let present = page.rows.iter().filter(|row| row.kind == RecordKind::Present).count();
                assert_eq!(present, 0, "{name} holds no pulses");
            }
            Err(reason) => println!("{name}: {reason}"),
        }
    }
}
