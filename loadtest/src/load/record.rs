//! A live stream, written down on the way from the source to the services.
//!
//! Whatever passes is passed on unchanged. Of entries that a poll's answer or a webhook brings, the file gets who,
//! when, how long and which attributes they feed: no token, no name, no text.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use axum::{
    Router,
    body::Bytes,
    extract::State as Shared,
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{
    scenario::Via,
    source::Source,
    stream::{Attribute, FEEDS_MAX, Header, Someone, State, Telling, Writer},
};

/// Most bytes of a body that is passed on.
const BODY_MAX: usize = 32 << 20;

/// Where what passes is passed on to.
pub(crate) struct Way {
    /// The base of the source's API.
    pub(crate) source: String,
    /// The address at which the services take webhooks now.
    pub(crate) hooks: Box<dyn Fn() -> Option<String> + Send + Sync>,
}

/// A recording that goes on until it is finished.
pub struct Recording {
    address: SocketAddr,
    path_of_source: String,
    recorder: Arc<Recorder>,
    server: JoinHandle<()>,
}

struct Recorder {
    way: Way,
    http: reqwest::Client,
    people: People,
    begun: Instant,
    anchor_s: i64,
    written: Mutex<Written>,
}

struct Written {
    writer: Option<Writer>,
    records: HashMap<(u32, i64), u32>,
    /// What polls have told: they tell the same again for a while.
    polled: HashSet<(u32, i64, i64)>,
    count: u64,
    failed: Option<anyhow::Error>,
}

/// Whom tokens and numbers belong to.
#[derive(Default)]
struct People {
    by_token: HashMap<String, u32>,
    by_number: HashMap<i64, u32>,
    by_name: HashMap<String, u32>,
    /// For each attribute of each: the projects and tags that feed it.
    rules: Vec<Vec<(HashSet<i64>, HashSet<String>)>>,
}

#[derive(Deserialize)]
struct Row {
    id: i64,
    at: Timestamp,
    start: Timestamp,
    stop: Option<Timestamp>,
    duration: i64,
    project_id: Option<i64>,
    tags: Option<Vec<String>>,
    server_deleted_at: Option<Timestamp>,
}

/// Records a Toggl Track stream until `until` resolves: point `TRIBUTARY_TOGGL_API_URL` and the webhooks here.
/// Returns how many tellings there are.
///
/// `import` is the file that the people were connected from: it says whose tokens these are and what counts.
///
/// # Errors
/// When the address cannot be had, the import makes no sense, or the file cannot be written.
pub async fn record(
    import: &Value,
    source: String,
    hooks: Option<String>,
    listen: SocketAddr,
    path: &Path,
    until: impl Future<Output = ()>,
) -> Result<u64> {
    let way = Way { source, hooks: Box::new(move || hooks.clone()) };
    let recording = Recording::start(import, way, Some(listen), path).await?;
    eprintln!(
        "recording: set TRIBUTARY_TOGGL_API_URL={} and send webhooks to {}",
        recording.source_url(),
        recording.hooks_url()
    );
    until.await;
    recording.finish()
}

impl Recording {
    pub(crate) async fn start(import: &Value, way: Way, listen: Option<SocketAddr>, path: &Path) -> Result<Recording> {
        let (people, someones) = people(import)?;
        let source: reqwest::Url = way.source.parse().with_context(|| format!("reading the address {}", way.source))?;
        let path_of_source = source.path().trim_end_matches('/').to_owned();
        let anchor_s = Timestamp::now().as_second();
        let mut header = Header::new("recorded".to_owned(), Via::Webhooks, someones);
        header.anchor_s = Some(anchor_s);
        let writer = Some(Writer::create(path, &header)?);
        let (records, polled) = (HashMap::new(), HashSet::new());
        let recorder = Arc::new(Recorder {
            way,
            http: reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?,
            people,
            begun: Instant::now(),
            anchor_s,
            written: Mutex::new(Written { writer, records, polled, count: 0, failed: None }),
        });
        let listen = listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let listener = TcpListener::bind(listen).await.with_context(|| format!("listening at {listen}"))?;
        let address = listener.local_addr().context("finding our own address")?;
        let router = Router::new().fallback(pass).with_state(Arc::clone(&recorder));
        let router = router.layer(axum::extract::DefaultBodyLimit::max(BODY_MAX));
        let server = tokio::spawn(async move {
            // It only ends with the task.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Recording { address, path_of_source, recorder, server })
    }

    /// The base of the source's API, this way.
    pub fn source_url(&self) -> String {
        format!("http://{}{}", self.address, self.path_of_source)
    }

    /// Where the source may send webhooks; a user's name may follow.
    pub fn hooks_url(&self) -> String {
        format!("http://{}/hooks/toggl", self.address)
    }

    /// Nothing passes any more and the file is whole; returns how many tellings there are.
    ///
    /// # Errors
    /// When anything could not be written.
    pub fn finish(self) -> Result<u64> {
        self.server.abort();
        let mut written = self.recorder.written();
        if let Some(failed) = written.failed.take() {
            return Err(failed);
        }
        written.writer.take().context("it was finished before")?.finish()?;
        Ok(written.count)
    }
}

async fn pass(
    Shared(recorder): Shared<Arc<Recorder>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let rest = uri.path_and_query().map_or("/", |rest| rest.as_str());
    let hook = uri.path().strip_prefix("/hooks/toggl").map(|rest| rest.trim_start_matches('/').to_owned());
    let target = match &hook {
        Some(user) => (recorder.way.hooks)().map(|base| if user.is_empty() { base } else { format!("{base}/{user}") }),
        None => origin(&recorder.way.source).map(|origin| format!("{origin}{rest}")),
    };
    let Some(target) = target else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    let mut request = recorder.http.request(method, target).body(body.clone());
    for (name, value) in headers.iter().filter(|(name, _)| !of_one_hop(name)) {
        request = request.header(name, value);
    }
    let Ok(answer) = request.send().await else { return StatusCode::BAD_GATEWAY.into_response() };
    let (status, told) = (answer.status(), answer.headers().clone());
    let Ok(bytes) = answer.bytes().await else { return StatusCode::BAD_GATEWAY.into_response() };
    if status.is_success() {
        match &hook {
            Some(user) => recorder.hook(user, &body),
            None if uri.path().ends_with("/me/time_entries") => recorder.poll(&headers, uri.query(), &bytes),
            None => {}
        }
    }
    let mut response = (status, bytes).into_response();
    let kept = told.iter().filter(|(name, _)| !of_one_hop(name));
    response.headers_mut().extend(kept.map(|(name, value)| (name.clone(), value.clone())));
    response
}

fn origin(url: &str) -> Option<String> {
    Some(url.parse::<reqwest::Url>().ok()?.origin().ascii_serialization())
}

fn of_one_hop(name: &header::HeaderName) -> bool {
    [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::TRANSFER_ENCODING, header::ACCEPT_ENCODING]
        .contains(name)
}

impl Recorder {
    /// An answer about entries: by their start, and it stood before; by their change, and it is told now.
    fn poll(&self, headers: &HeaderMap, query: Option<&str>, answer: &[u8]) {
        let Some(person) = token(headers).and_then(|token| self.people.by_token.get(&token).copied()) else { return };
        let is_back_fill = query.is_some_and(|query| query.contains("start_date"));
        let at_us = (!is_back_fill).then(|| self.now_us());
        for row in serde_json::from_slice::<Option<Vec<Value>>>(answer).ok().flatten().unwrap_or_default() {
            // One that cannot be read is nobody's loss: the services set it aside as well.
            let Ok(row) = serde_json::from_value::<Row>(row) else { continue };
            if self.written().polled.insert((person, row.id, row.at.as_microsecond())) {
                self.tell(person, &row, at_us);
            }
        }
    }

    fn hook(&self, user: &str, body: &[u8]) {
        let Ok(body) = serde_json::from_slice::<Value>(body) else { return };
        if body["metadata"]["model"] != "time_entry" {
            return;
        }
        let by_number = || body["payload"]["user_id"].as_i64().and_then(|id| self.people.by_number.get(&id));
        let Some(person) = self.people.by_name.get(user).or_else(by_number).copied() else { return };
        match serde_json::from_value::<Row>(body["payload"].clone()) {
            Ok(row) => self.tell(person, &row, Some(self.now_us())),
            Err(_) => self.broken(person),
        }
    }

    fn tell(&self, person: u32, row: &Row, at_us: Option<u64>) {
        let tags = row.tags.as_deref().unwrap_or_default();
        let rules = self.people.rules[usize::try_from(person).expect("a place")].iter().enumerate();
        let feeds = rules.filter(|(_, (projects, named))| {
            row.project_id.is_some_and(|id| projects.contains(&id)) || tags.iter().any(|tag| named.contains(tag))
        });
        let seconds = row.stop.filter(|_| row.duration >= 0).map(|stop| stop.duration_since(row.start).as_secs());
        let mut written = self.written();
        let next = u32::try_from(written.records.len() + 1).unwrap_or(u32::MAX);
        let telling = Telling {
            at_us,
            person,
            record: *written.records.entry((person, row.id)).or_insert(next),
            version_us: row.at.as_microsecond() - self.anchor_s * 1_000_000,
            start_s: row.start.as_second() - self.anchor_s,
            seconds: seconds.and_then(|seconds| u32::try_from(seconds).ok()),
            feeds: feeds.fold(0, |bits, (place, _)| bits | 1 << place),
            state: if row.server_deleted_at.is_some() { State::Gone } else { State::There },
            source: Source::Toggl,
        };
        written.write(&telling);
    }

    fn broken(&self, person: u32) {
        let mut written = self.written();
        let record = u32::try_from(written.records.len() + 1).unwrap_or(u32::MAX);
        written.records.insert((person, -i64::from(record)), record);
        let at_us = Some(self.now_us());
        // It says nothing that can be read; what is told now was changed just now.
        let version_us = Timestamp::now().as_microsecond() - self.anchor_s * 1_000_000;
        let telling = Telling {
            at_us,
            person,
            record,
            version_us,
            start_s: version_us / 1_000_000 - 60,
            seconds: None,
            feeds: 0,
            state: State::Broken,
            source: Source::Toggl,
        };
        written.write(&telling);
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    fn write(&mut self, telling: &Telling) {
        if let Some(writer) = &mut self.writer {
            self.count += 1;
            if let Err(error) = writer.write(telling) {
                self.failed.get_or_insert(error);
            }
        }
    }
}

fn token(headers: &HeaderMap) -> Option<String> {
    let encoded = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    Some(decoded.split_once(':')?.0.to_owned())
}

/// Whom an import names, and who they are in the file.
fn people(import: &Value) -> Result<(People, Vec<Someone>)> {
    let (mut people, mut someones) = (People::default(), Vec::new());
    for row in import.as_array().context("an import is a list of people")? {
        let connections = row["connections"].as_array().into_iter().flatten();
        let Some(toggl) = connections.into_iter().find(|connection| connection["source"] == "toggl") else { continue };
        let user = row["user"].as_str().context("a row without `user`")?;
        let timezone = row["timezone"].as_str().with_context(|| format!("{user} has no `timezone` in the import"))?;
        let person = u32::try_from(someones.len()).context("more people than can be numbered")?;
        let credentials = &toggl["credentials"];
        let token = credentials["api_token"].as_str().with_context(|| format!("{user} has no `api_token`"))?;
        people.by_token.insert(token.to_owned(), person);
        people.by_name.insert(user.to_owned(), person);
        people.by_number.extend(credentials["user_id"].as_i64().map(|id| (id, person)));
        let map: BTreeMap<String, Value> = serde_json::from_value(toggl["settings"]["map"].clone())
            .with_context(|| format!("{user} has no `map` of Toggl Track"))?;
        ensure!(map.len() <= FEEDS_MAX, "{user} has more than {FEEDS_MAX} attributes of Toggl Track");
        let (mut rules, mut attributes) = (Vec::new(), Vec::new());
        for (index, (name, rule)) in map.iter().enumerate() {
            if rule["clients"].as_array().is_some_and(|clients| !clients.is_empty()) {
                bail!("{user}'s {name} goes by client, which entries do not tell: it cannot be recorded");
            }
            let ids = rule["projects"].as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
            let tags = rule["tags"].as_array().into_iter().flatten().filter_map(|tag| Some(tag.as_str()?.to_owned()));
            rules.push((ids, tags.collect()));
            let template = rule["template"].as_str();
            // What people call their own attributes is a text of theirs.
            let name = template.map_or_else(|| format!("attribute_{index}"), str::to_owned);
            let increment = rule["mode"] == "increment";
            attributes.push(Attribute { name, template: template.is_some(), increment, source: Source::Toggl });
        }
        people.rules.push(rules);
        someones.push(Someone { timezone: timezone.to_owned(), attributes });
    }
    ensure!(!someones.is_empty(), "nobody in the import has Toggl Track");
    Ok((people, someones))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn import() -> Value {
        json!([{"user": "alice", "timezone": "Asia/Tokyo", "connections": [{"source": "toggl",
            "credentials": {"api_token": "sesame", "user_id": 7, "webhook_secret": "hush"},
            "settings": {"map": {"neutral_min": {"tags": ["secret plan"], "template": "neutral_min"},
                "affair": {"projects": [424_242_424_242_i64], "label": "Affair", "group": "social", "value_type": 3}}}}]}])
    }

    #[tokio::test]
    async fn what_passes_is_written_without_tokens_names_and_texts() {
        let _already = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recorded.jsonl");
        let taken = Router::new().fallback(|uri: Uri| async move {
            let rows = json!([{"id": 9_001_900_190_019_i64, "at": "2026-05-04T10:00:00Z", "start": "2026-05-04T09:00:00Z", "stop": "2026-05-04T09:30:00Z",
                "duration": 1800, "project_id": 424_242_424_242_i64, "tags": ["secret plan"], "description": "with Bob", "server_deleted_at": null}]);
            if uri.path().starts_with("/hooks") { StatusCode::ACCEPTED.into_response() } else { axum::Json(rows).into_response() }
        });
        let peer = crate::world::server::Server::start(taken).await.unwrap();
        let hooks = format!("{}/hooks/toggl", peer.origin());
        let way = Way { source: format!("{}/api/v9", peer.origin()), hooks: Box::new(move || Some(hooks.clone())) };
        let recording = Recording::start(&import(), way, None, &path).await.unwrap();
        let http = reqwest::Client::new();
        for query in ["start_date=2026-05-01", "since=1", "since=2"] {
            let url = format!("{}/me/time_entries?{query}", recording.source_url());
            assert!(http.get(url).basic_auth("sesame", Some("api_token")).send().await.unwrap().status().is_success());
        }
        let gone = json!({"metadata": {"model": "time_entry"}, "payload": {"id": 9_001_900_190_019_i64, "user_id": 7, "at": "2026-05-04T11:00:00Z",
            "start": "2026-05-04T09:00:00Z", "stop": null, "duration": 1800, "project_id": null, "tags": null,
            "description": "with Bob", "server_deleted_at": "2026-05-04T11:00:00Z"}});
        for url in [recording.hooks_url(), format!("{}/alice", recording.hooks_url())] {
            assert_eq!(http.post(url).body(gone.to_string()).send().await.unwrap().status(), 202);
        }
        assert_eq!(recording.finish().unwrap(), 3, "polls repeat themselves, webhooks count each time");
        let text = std::fs::read_to_string(&path).unwrap();
        for secret in
            ["sesame", "hush", "alice", "secret plan", "affair", "Affair", "Bob", "9001900190019", "424242424242"]
        {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
        let stream = super::super::stream::Stream::read(&path).unwrap();
        let states: Vec<_> =
            stream.tellings.iter().map(|told| (told.record, told.state, told.at_us.is_some())).collect();
        assert_eq!(states, [(1, State::There, false), (1, State::Gone, true), (1, State::Gone, true)]);
        assert_eq!((stream.tellings[0].feeds, stream.tellings[0].seconds), (0b11, Some(1800)));
    }

    #[test]
    fn who_cannot_be_recorded_is_said() {
        let mut by_client = import();
        by_client[0]["connections"][0]["settings"]["map"]["neutral_min"] = json!({"clients": [1]});
        let said = people(&by_client).err().unwrap().to_string();
        assert!(said.contains("goes by client"), "{said}");
        assert!(people(&json!([])).is_err());
    }
}
