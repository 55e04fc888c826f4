//! Every recorded payload is taken, or refused with a reason; skipped where the folder is not at hand.

use std::{env, fs, path::PathBuf};

use axum::{Router, extract::State, http::StatusCode, response::IntoResponse};
use event::RecordKind;
use jiff::{Timestamp, tz::TimeZone};
use reqwest::header::HeaderMap;
use serde_json::Value;
use source::{
    Account, Cursor, Hint, Read, Row, Source, SourceError,
    hooks::{Delivery, Hooked},
    suite::{Fixture, Server},
};
use source_github::Github;

use crate::fixture::Forge;

fn folder() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/contracts/samples");
    PathBuf::from(env::var_os("TRIBUTARY_SAMPLES").unwrap_or(beside.into())).join("github")
}

#[tokio::test]
async fn every_recorded_webhook_is_taken_or_refused_with_a_reason() {
    let Ok(files) = fs::read_dir(folder().join("webhooks")) else {
        println!("no samples in {}: skipped", folder().display());
        return;
    };
    let forge = Forge::start().await;
    let mut taken = 0;
    for path in files.map(|file| file.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let body = fs::read(&path).unwrap();
        let kind = name.split('.').next().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-github-event", kind.parse().unwrap());
        headers.insert("content-type", "application/json".parse().unwrap());
        let delivery = Delivery { headers: &headers, body: &body, now: forge.now() };
        // As the person who wrote what the payload is about.
        let json: Value = serde_json::from_slice(&body).unwrap();
        let author = ["comment", "pull_request", "issue", "sender"].iter().find_map(|part| {
            json.pointer(&format!("/{part}/user/id")).or_else(|| json.pointer(&format!("/{part}/id"))).cloned()
        });
        let mut account: Account = forge.account();
        account.credentials["user_id"] = author.unwrap();
        let hooks = forge.source().hooks().unwrap();
        let hooked = hooks.take(&delivery, &account).unwrap_or_else(|refused| panic!("{name}: {refused}"));
        println!("{name}: {hooked:?}");
        assert_eq!(hooks.topic(&delivery).unwrap().is_some(), json.get("repository").is_some(), "{name}");
        taken += usize::from(matches!(hooked, Hooked::Records { .. }));
    }
    assert!(taken >= 8, "only {taken} payloads bring records");
}

#[tokio::test]
async fn every_recorded_answer_is_read_or_refused_with_a_reason() {
    let Ok(files) = fs::read_dir(folder().join("rest")) else {
        println!("no samples in {}: skipped", folder().display());
        return;
    };
    for path in files.map(|file| file.unwrap().path()) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let recorded: Vec<Value> = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        // A recording of requests, of answers alone, or a list as it came.
        let answer = |one: &Value| {
            let of = |part: &str| one.pointer(&format!("/response/{part}")).or_else(|| one.get(part)).cloned();
            Some((of("status")?.as_u64()?, of("body").unwrap_or_default()))
        };
        let answers: Vec<(u64, Value)> = match recorded.iter().map(answer).collect() {
            Some(answers) => answers,
            None => vec![(200, recorded.into())],
        };
        for (status, body) in answers {
            match read(u16::try_from(status).unwrap(), body.clone()).await {
                Ok(rows) => {
                    let malformed = rows.iter().filter(|row| row.kind == RecordKind::Malformed);
                    let reasons: Vec<&str> = malformed.map(|row| row.problem.as_str()).collect();
                    assert!(reasons.iter().all(|reason| reason.starts_with("github: ")), "{name}: {reasons:?}");
                    println!("{name}: {} rows, {} of them refused", rows.len(), reasons.len());
                    assert!(reasons.is_empty() || !name.starts_with("issues"), "{name}: {reasons:?}");
                }
                Err(reason) => println!("{name}: {reason}"),
            }
        }
    }
}

/// Reads a repository whose every list is this.
async fn read(status: u16, body: Value) -> Result<Vec<Row>, SourceError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let answer = (StatusCode::from_u16(status).unwrap(), body.to_string());
    let routes = Router::new().fallback(|State(answer): State<(StatusCode, String)>| async { answer.into_response() });
    let server = Server::start(routes.with_state(answer)).await;
    let http = source::http::client(std::time::Duration::from_secs(5)).unwrap();
    let source = Github::new(http, server.base().clone(), None);
    let account = Forge::start().await.account();
    let now: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
    let read = Read { now, back_fill_from: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC, hint: Hint::None };
    // Its first list: the others have other rows.
    Ok(source.read(&account, &Cursor::fresh(), &read).await?.rows)
}
