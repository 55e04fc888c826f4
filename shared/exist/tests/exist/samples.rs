//! Recorded answers, where somebody keeps them: each through the call of its path.

use std::path::{Path, PathBuf};

use exist::{
    Acquire, AttributeFilter, Batch, Client, Create, Days, ExistError, Fate, Item, Number, Rows, Value, ValueType,
};
use jiff::civil::{Date, date};
use serde_json::Value as Json;

use crate::server::{Reply, Server, token};

/// Where the recordings lie; `TRIBUTARY_SAMPLES` names another place.
fn folder() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/contracts/samples");
    std::env::var_os("TRIBUTARY_SAMPLES").map_or_else(beside, PathBuf::from).join("exist")
}

#[tokio::test]
async fn every_recorded_answer_can_be_read() {
    let folder = folder();
    let Ok(entries) = std::fs::read_dir(&folder) else {
        println!("skipped: no recordings in {}", folder.display());
        return;
    };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|extension| extension == "json") {
            let sample: Json = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
            let read = read(&sample).await.unwrap_or_else(|why| panic!("{}: {why}", path.display()));
            println!("{}: {read}", path.file_name().unwrap().display());
        }
    }
}

/// Answers the sample to the call of its path; says what was read of it.
async fn read(sample: &Json) -> Result<String, String> {
    let answer = &sample["response"];
    let status = u16::try_from(sample["status"].as_u64().unwrap_or(200)).unwrap();
    let server = Server::answering([Reply::new(status, answer.to_string())]).await;
    let client = server.client();
    let path = sample["request"]["path"].as_str().unwrap();
    let read = match path {
        "/api/2/accounts/profile/" => client.profile(&token()).await.map(|profile| profile.username),
        "/api/2/attributes/" | "/api/2/attributes/owned/" => attributes(&client, path).await,
        "/api/2/attributes/values/" => values(&client).await,
        "/api/2/attributes/with-values/" => with_values(&client).await,
        "/api/2/attributes/update/" => {
            let batch = batch(answer, |echo| {
                let value = Number::Whole(echo["value"].as_i64().unwrap_or(1));
                Value { name: text(echo, "name"), date: text(echo, "date").parse::<Date>().unwrap(), value }
            });
            fates(answer, client.update(&token(), &batch, || true).await)
        }
        "/api/2/attributes/acquire/" | "/api/1/attributes/acquire/" => {
            let batch = batch(answer, |echo| match echo["template"].as_str() {
                Some(template) => Acquire::Template(template.to_owned()),
                None => Acquire::Name(echo["name"].as_str().or(echo["title"].as_str()).unwrap().to_owned()),
            });
            fates(answer, client.acquire(&token(), &batch).await)
        }
        "/api/2/attributes/create/" => {
            let create = |echo: &Json| Create {
                label: text(echo, "label"),
                group: "media".to_owned(),
                value_type: ValueType::Integer,
            };
            fates(answer, client.create(&token(), &batch(answer, create)).await)
        }
        "/oauth2/access_token" => {
            client.refresh(&"r".into(), || true).await.map(|tokens| format!("{:?}", tokens.expires_in.unwrap()))
        }
        _ => return Ok(format!("{path} is not among our calls")),
    };
    match (read, status) {
        (Ok(read), 200..=299) => Ok(read),
        (Err(ExistError::Unauthorised { .. }), 401) => Ok("unauthorised".to_owned()),
        (read, status) => Err(format!("{status} was read as {read:?}")),
    }
}

async fn attributes(client: &Client, path: &str) -> Result<String, ExistError> {
    let filter = AttributeFilter::default();
    let page = if path.ends_with("owned/") {
        client.owned(&token(), &filter, 1).await?
    } else {
        client.attributes(&token(), &filter, 1).await?
    };
    assert!(page.results.iter().all(|one| one.value_type.is_some() && one.active.is_some() && one.group.is_some()));
    Ok(format!("{} attributes", page.results.len()))
}

async fn values(client: &Client) -> Result<String, ExistError> {
    let page = client.values(&token(), "a", date(2026, 10, 7), Rows::MAX, 1).await?;
    assert!(page.results.iter().all(|row| row.value != exist::Reading::Other));
    Ok(format!("{} days, next page {:?}", page.results.len(), page.next))
}

async fn with_values(client: &Client) -> Result<String, ExistError> {
    let page = client.with_values(&token(), &[], Days::MAX, date(2026, 10, 7), 1).await?;
    assert!(page.results.iter().all(|one| one.attribute.value_type.is_some()));
    Ok(format!("{} attributes, next page {:?}", page.results.len(), page.next))
}

fn text(object: &Json, key: &str) -> String {
    object[key].as_str().unwrap().to_owned()
}

/// A batch of what the answer speaks of.
fn batch<T: Item>(answer: &Json, item: impl Fn(&Json) -> T) -> Batch<T> {
    let said = ["success", "failed"].into_iter().filter_map(|array| answer[array].as_array()).flatten();
    Batch::try_new(said.map(item).collect()).unwrap()
}

/// Every success was matched as applied and every failure as refused, in the order of the batch above.
fn fates<T: Item>(answer: &Json, read: Result<exist::Answer<T>, ExistError>) -> Result<String, ExistError> {
    let settled = read?.settled;
    let applied = answer["success"].as_array().map_or(0, Vec::len);
    let (done, refused) = settled.split_at(applied);
    assert!(done.iter().all(|one| matches!(one.fate, Fate::Applied(_))), "{done:?}");
    assert!(refused.iter().all(|one| matches!(one.fate, Fate::Refused(_))), "{refused:?}");
    Ok(format!("{} applied, {} refused", done.len(), refused.len()))
}
