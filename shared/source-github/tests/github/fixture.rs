//! A GitHub server with one repository, made from the contract's examples.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use event::{ExternalId, UserId};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Value, json};
use source::{
    Account, Cursor, Hint, Read, Row, RulesByAttribute, Source,
    suite::{Fixture, Server},
};
use source_github::Github;

pub(crate) const TOKEN: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";
pub(crate) const ME: i64 = 1_000_001;

#[derive(Default)]
pub(crate) struct World {
    pub(crate) issues: Vec<Value>,
    pub(crate) comments: Vec<Value>,
    pub(crate) pulls: Vec<Value>,
    /// Each branch's name and its commits, the newest first.
    pub(crate) branches: Vec<(String, Vec<Value>)>,
    pub(crate) per_page: usize,
    /// The repository has moved to its numeric address.
    pub(crate) moved: bool,
    pub(crate) now: Timestamp,
    pub(crate) unknown_fields: bool,
}

type Shared = Arc<Mutex<World>>;

/// One repository.
pub(crate) struct Forge {
    pub(crate) world: Shared,
    source: Github,
    server: Server,
}

impl Forge {
    pub(crate) async fn start() -> Self {
        // Fails only where another test of this process has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let now = "2026-07-12T15:00:00Z".parse().unwrap();
        let world = Arc::new(Mutex::new(World { now, per_page: 100, ..World::default() }));
        let lists = Router::new()
            .route("/issues", get(issues))
            .route("/issues/{number}", get(issue))
            .route("/issues/comments", get(comments))
            .route("/pulls", get(pulls))
            .route("/branches", get(branches))
            .route("/commits", get(commits));
        let routes = Router::new()
            .nest("/repos/octo/demo", lists.clone())
            .nest("/repositories/1000", lists)
            .route("/user", get(|| async { Json(json!({"id": ME, "login": "Octo"})) }))
            .with_state(world.clone());
        let server = Server::start(routes).await;
        let http = source::http::client(std::time::Duration::from_secs(5)).unwrap();
        let source = Github::new(http, server.base().clone(), None);
        Self { world, source, server }
    }

    /// A second passes; the answer is the time.
    pub(crate) fn tick(&self) -> String {
        let mut world = self.world.lock().unwrap();
        world.now += SignedDuration::from_secs(1);
        world.now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// Opens an issue and returns its id, which is its number as well.
    pub(crate) fn open_issue(&self, by: i64) -> i64 {
        let now = self.tick();
        let mut world = self.world.lock().unwrap();
        let id = 900 + i64::try_from(world.issues.len()).unwrap();
        world.issues.push(
            json!({"id": id, "number": id, "title": "private", "user": {"id": by, "login": "x"}, "state": "open",
            "body": null, "comments": 0, "created_at": now, "updated_at": now, "closed_at": null, "closed_by": null}),
        );
        id
    }

    pub(crate) fn change_issue(&self, id: i64, change: impl FnOnce(&mut Value, &str)) {
        let now = self.tick();
        let mut world = self.world.lock().unwrap();
        let issue = world.issues.iter_mut().find(|issue| issue["id"] == id).unwrap();
        issue["updated_at"] = json!(now);
        change(issue, &now);
    }

    pub(crate) fn close_issue(&self, id: i64, by: i64) {
        self.change_issue(id, |issue, now| {
            issue["state"] = json!("closed");
            issue["closed_at"] = json!(now);
            issue["closed_by"] = json!({"id": by, "login": "x"});
        });
    }

    /// Reads until there is no more.
    pub(crate) async fn drain(&self, cursor: &mut Cursor, hint: Hint) -> Vec<Row> {
        let mut rows = Vec::new();
        for _ in 0..200 {
            let now = self.now();
            let back_fill_from = now - SignedDuration::from_hours(24 * 30);
            let read = Read { now, back_fill_from, zone: TimeZone::UTC, hint };
            let page = self.source.read(&self.account(), cursor, &read).await.unwrap();
            *cursor = page.cursor;
            rows.extend(page.rows);
            if !page.more {
                return rows;
            }
        }
        panic!("200 reads and still more to read");
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.server.requests()
    }
}

#[async_trait::async_trait]
impl Fixture for Forge {
    fn source(&self) -> &dyn Source {
        &self.source
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn account(&self) -> Account {
        let credentials = json!({"token": TOKEN, "login": "mona", "user_id": ME, "repositories": ["octo/demo"]});
        Account { user: UserId::try_new("alice").unwrap(), credentials }
    }

    fn rules(&self) -> RulesByAttribute {
        serde_json::from_value(json!({
            "issues_opened": {"from": "issues_opened", "label": "Issues opened", "group": "productivity", "value_type": 0},
        }))
        .unwrap()
    }

    fn wrong_rules(&self) -> RulesByAttribute {
        serde_json::from_value(json!({"a": {"from": "stars"}, "b": {"label": "b"}, "c": 3})).unwrap()
    }

    fn now(&self) -> Timestamp {
        self.world.lock().unwrap().now
    }

    /// One of several repositories may be missing.
    fn refuses_what_is_missing(&self) -> bool {
        false
    }

    async fn create(&self) -> ExternalId {
        ExternalId::try_new(&format!("issue:{}", self.open_issue(ME))).unwrap()
    }

    async fn edit(&self, id: &ExternalId) {
        let id = number(id);
        let is_open =
            self.world.lock().unwrap().issues.iter().any(|issue| issue["id"] == id && issue["state"] == "open");
        if is_open {
            self.close_issue(id, ME);
        } else {
            self.change_issue(id, |issue, _| {
                issue["state"] = json!("open");
                issue["closed_at"] = Value::Null;
                issue["closed_by"] = Value::Null;
            });
        }
    }

    async fn delete(&self, id: &ExternalId) {
        let id = number(id);
        let mut world = self.world.lock().unwrap();
        world.issues.retain(|issue| issue["id"] != id);
        // Nothing tells of a deletion but the hourly reading of the window.
        world.now += SignedDuration::from_hours(1);
    }

    async fn break_row(&self, id: &ExternalId) {
        self.change_issue(number(id), |issue, _| issue["created_at"] = Value::Null);
    }

    async fn add_unknown_fields(&self) {
        self.world.lock().unwrap().unknown_fields = true;
    }
}

fn number(id: &ExternalId) -> i64 {
    id.as_str().split_once(':').unwrap().1.parse().unwrap()
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    since: Option<Timestamp>,
    page: Option<usize>,
    sha: Option<String>,
    author: Option<String>,
}

/// One page, and the address of the next by the repository's number.
fn listed(world: &World, headers: &HeaderMap, path: &str, asked: &Asked, mut rows: Vec<Value>) -> Response {
    if headers.get("authorization").and_then(|value| value.to_str().ok()) != Some(&format!("Bearer {TOKEN}")) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let here = headers.get("host").unwrap().to_str().unwrap();
    let numeric = format!("http://{here}/base/path/repositories/1000/{path}");
    let since = asked.since.map(|since| format!("&since={since}")).unwrap_or_default();
    let sha = asked.sha.as_ref().map(|sha| format!("&sha={sha}")).unwrap_or_default();
    let author = asked.author.as_ref().map(|author| format!("&author={author}")).unwrap_or_default();
    if world.unknown_fields {
        rows.iter_mut().for_each(|row| row["unheard_of"] = json!({"x": [1, null]}));
    }
    let page = asked.page.unwrap_or(1);
    let next = rows.len() > page * world.per_page;
    let rows: Vec<Value> = rows.into_iter().skip((page - 1) * world.per_page).take(world.per_page).collect();
    let mut response = Json(rows).into_response();
    if next {
        let link = format!("<{numeric}?page={}{since}{sha}{author}>; rel=\"next\"", page + 1);
        response.headers_mut().insert("link", link.parse().unwrap());
    }
    let date = world.now.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    response.headers_mut().insert("date", date.parse().unwrap());
    response
}

fn updated_since(rows: &[Value], asked: &Asked) -> Vec<Value> {
    let at = |row: &Value| row["updated_at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    let mut rows: Vec<Value> =
        rows.iter().filter(|row| asked.since.is_none_or(|since| at(row) >= since)).cloned().collect();
    rows.sort_by_key(at);
    rows
}

async fn issues(
    State(world): State<Shared>,
    headers: HeaderMap,
    uri: axum::http::Uri,
    Query(asked): Query<Asked>,
) -> Response {
    let world = world.lock().unwrap();
    if world.moved && uri.path() == "/issues" && !headers.contains_key("x-moved") && asked.page.is_none() {
        let to = format!("/base/path/repositories/1000/issues?page=1&since={}", asked.since.unwrap());
        return (StatusCode::MOVED_PERMANENTLY, [("location", to)]).into_response();
    }
    let mut rows = updated_since(&world.issues, &asked);
    // Lists do not say who closed.
    rows.iter_mut().for_each(|row| drop(row.as_object_mut().unwrap().remove("closed_by")));
    listed(&world, &headers, "issues", &asked, rows)
}

async fn issue(State(world): State<Shared>, Path(number): Path<i64>) -> Response {
    let world = world.lock().unwrap();
    match world.issues.iter().find(|issue| issue["number"] == number) {
        Some(issue) => Json(issue).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn comments(State(world): State<Shared>, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let world = world.lock().unwrap();
    let rows = updated_since(&world.comments, &asked);
    listed(&world, &headers, "issues/comments", &asked, rows)
}

async fn pulls(State(world): State<Shared>, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let world = world.lock().unwrap();
    let rows = updated_since(&world.pulls, &asked).into_iter().rev().collect();
    listed(&world, &headers, "pulls", &asked, rows)
}

async fn branches(State(world): State<Shared>, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let world = world.lock().unwrap();
    let row = |(name, commits): &(String, Vec<Value>)| json!({"name": name, "commit": {"sha": commits[0]["sha"]}});
    let rows = world.branches.iter().map(row).collect();
    listed(&world, &headers, "branches", &asked, rows)
}

async fn commits(State(world): State<Shared>, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let world = world.lock().unwrap();
    assert_eq!(asked.author.as_deref(), Some("mona"));
    let branch = world.branches.iter().find(|(_, commits)| asked.sha.as_deref() == commits[0]["sha"].as_str());
    let rows = branch.map(|(_, commits)| commits.clone()).unwrap_or_default();
    listed(&world, &headers, "commits", &asked, rows)
}
