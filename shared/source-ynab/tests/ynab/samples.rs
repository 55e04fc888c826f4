//! Every recorded answer is read, or refused with a reason; skipped where the folder is not at hand.

use std::{env, fs, path::PathBuf};

use axum::{Json, Router, routing::get};
use event::{RecordKind, UserId};
use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};
use source::{Account, Cursor, Hint, Read, Row, Source, SourceError, suite::Server};
use source_ynab::Ynab;

fn folder() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/contracts/samples");
    PathBuf::from(env::var_os("TRIBUTARY_SAMPLES").unwrap_or(beside.into())).join("ynab")
}

/// Reads a plan whose answers are these.
async fn read(accounts: Value, categories: Value, transactions: Value) -> Result<Vec<Row>, SourceError> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let serve = |body: Value| get(move || async move { Json(body) });
    let single = json!({"data": {"transaction": null}});
    let routes = Router::new()
        .route("/plans/{plan}/accounts", serve(accounts))
        .route("/plans/{plan}/categories", serve(categories))
        .route("/plans/{plan}/transactions", serve(transactions))
        .route("/plans/{plan}/transactions/{id}", serve(single));
    let server = Server::start(routes).await;
    let http = source::http::client(std::time::Duration::from_secs(5)).unwrap();
    let source = Ynab::new(http, server.base().clone(), None);
    let credentials = json!({"access_token": "key-for-tests", "plan_id": "aa11"});
    let account = Account { user: UserId::try_new("alice").unwrap(), credentials };
    let (now, back_fill_from): (Timestamp, Timestamp) =
        ("2027-01-01T00:00:00Z".parse().unwrap(), "2000-01-01T00:00:00Z".parse().unwrap());
    let read = Read { now, back_fill_from, zone: TimeZone::UTC, hint: Hint::None };
    Ok(source.read(&account, &Cursor::fresh(), &read).await?.rows)
}

#[tokio::test]
async fn every_recorded_answer_is_read_or_refused_with_a_reason() {
    let folder = folder();
    if !folder.is_dir() {
        println!("no samples in {}: skipped", folder.display());
        return;
    }
    let sample =
        |name: &str| -> Value { serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap() };
    let (accounts, categories) = (sample("accounts.list.json"), sample("categories.list.json"));
    let empty = json!({"data": {"transactions": [], "server_knowledge": 1}});
    let files = |folder: &PathBuf| -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file()).collect()
    };
    for path in files(&folder).into_iter().chain(files(&folder.join("recorded"))) {
        let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(".json") {
            continue;
        }
        let recorded = sample(&name);
        let body = recorded.pointer("/response/body").cloned().unwrap_or(recorded);
        let answer = match name.trim_start_matches("recorded/").split_once('.').unwrap().0 {
            "accounts" => read(body, categories.clone(), empty.clone()).await,
            "categories" => read(accounts.clone(), body, empty.clone()).await,
            _ => read(accounts.clone(), categories.clone(), body).await,
        };
        match answer {
            Ok(rows) => {
                let of = |kind| rows.iter().filter(|row| row.kind == kind).count();
                println!("{name}: {} present, {} malformed", of(RecordKind::Present), of(RecordKind::Malformed));
                let malformed = rows.iter().filter(|row| row.kind == RecordKind::Malformed);
                assert!(malformed.clone().all(|row| row.problem.starts_with("ynab: ")), "{name}: {rows:?}");
                assert!(malformed.count() == 0 || name.ends_with("_null.json"), "{name}: {rows:?}");
            }
            Err(reason) => {
                let is_ours = [
                    "transactions.list.json",
                    "transactions.list_delta.json",
                    "accounts.list.json",
                    "categories.list.json",
                ];
                assert!(!is_ours.contains(&name.as_str()), "{name}: {reason}");
                println!("{name}: {reason}");
            }
        }
    }
}
