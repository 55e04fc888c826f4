//! Every recorded payload is taken, or refused with a reason; skipped where the folder is not at hand.

use std::{env, fs, path::PathBuf};

use reqwest::header::HeaderMap;
use serde_json::Value;
use source::{
    Account,
    hooks::{Delivery, Hooked},
    suite::Fixture,
};

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
