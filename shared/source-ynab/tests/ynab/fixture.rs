//! A YNAB server with one plan, made from the contract's examples.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use event::{ExternalId, UserId};
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Value, json};
use source::{
    Account, Cursor, Hint, Read, Row, RulesByAttribute, Source,
    suite::{Fixture, Server},
};
use source_ynab::Ynab;

pub(crate) const TOKEN: &str = "personal-access-token-0123456789";
const PLAN: &str = "aa111111-1111-1111-1111-111111111111";

pub(crate) struct World {
    /// Each with `log`, the knowledge of its last change.
    pub(crate) rows: Vec<Value>,
    pub(crate) accounts: Value,
    pub(crate) knowledge: i64,
    /// Changed legs only, in answers about changes.
    pub(crate) partial_legs: bool,
    pub(crate) now: Timestamp,
    pub(crate) unknown_fields: bool,
}

type Shared = Arc<Mutex<World>>;

/// One plan.
pub(crate) struct Budget {
    pub(crate) world: Shared,
    source: Ynab,
    server: Server,
}

impl Budget {
    pub(crate) async fn start() -> Self {
        // Fails only where another test of this process has installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let account = |id: &str, on_budget: bool| json!({"id": id, "name": id, "type": "checking", "on_budget": on_budget, "deleted": false});
        let world = Arc::new(Mutex::new(World {
            rows: Vec::new(),
            accounts: json!([account("checking", true), account("savings", true), account("house", false)]),
            knowledge: 100,
            partial_legs: false,
            now: "2026-07-12T15:00:00Z".parse().unwrap(),
            unknown_fields: false,
        }));
        let routes = Router::new()
            .route("/plans/{plan}/transactions", get(transactions))
            .route("/plans/{plan}/transactions/{id}", get(transaction))
            .route("/plans/{plan}/accounts", get(accounts))
            .route("/plans/{plan}/categories", get(categories))
            .route("/plans", get(plans))
            .with_state(world.clone());
        let server = Server::start(routes).await;
        let http = source::http::client(std::time::Duration::from_secs(5)).unwrap();
        let source = Ynab::new(http, server.base().clone(), None);
        Self { world, source, server }
    }

    /// Adds a row of the checking account and returns its id.
    pub(crate) fn spend(&self, date: &str, amount: i64, category: &str) -> String {
        let mut world = self.world.lock().unwrap();
        let id = format!("tr{}", world.rows.len());
        let row = json!({
            "id": id, "date": date, "amount": amount, "memo": "", "cleared": "cleared", "approved": true,
            "account_id": "checking", "account_name": "Checking", "payee_id": null, "category_id": category,
            "category_name": category, "transfer_account_id": null, "transfer_transaction_id": null,
            "matched_transaction_id": null, "import_id": null, "deleted": false, "subtransactions": []
        });
        world.rows.push(row);
        drop(world);
        self.change(&id, |_| {});
        id
    }

    /// Changes a row.
    pub(crate) fn change(&self, id: &str, change: impl FnOnce(&mut Value)) {
        let mut world = self.world.lock().unwrap();
        world.knowledge += 1;
        world.now += SignedDuration::from_millis(1);
        let knowledge = world.knowledge;
        let row = world.rows.iter_mut().find(|row| row["id"] == id).unwrap();
        change(row);
        row["log"] = json!(knowledge);
    }

    pub(crate) fn move_clock(&self, by: SignedDuration) {
        self.world.lock().unwrap().now += by;
    }

    /// Reads until there is no more.
    pub(crate) async fn drain(&self, cursor: &mut Cursor) -> Vec<Row> {
        let mut rows = Vec::new();
        loop {
            let now = self.now();
            let back_fill_from = now - SignedDuration::from_hours(24 * 30);
            let read = Read { now, back_fill_from, zone: TimeZone::UTC, hint: Hint::None };
            let page = self.source.read(&self.account(), cursor, &read).await.unwrap();
            *cursor = page.cursor;
            rows.extend(page.rows);
            if !page.more {
                return rows;
            }
        }
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.server.requests()
    }
}

#[async_trait::async_trait]
impl Fixture for Budget {
    fn source(&self) -> &dyn Source {
        &self.source
    }

    fn server(&self) -> &Server {
        &self.server
    }

    fn account(&self) -> Account {
        let credentials = json!({"access_token": TOKEN, "plan_id": PLAN});
        Account { user: UserId::try_new("alice").unwrap(), credentials }
    }

    fn rules(&self) -> RulesByAttribute {
        serde_json::from_value(json!({
            "money_spent": {"flow": "spent", "categories": ["food"], "template": "money_spent", "mode": "total"},
        }))
        .unwrap()
    }

    fn wrong_rules(&self) -> RulesByAttribute {
        serde_json::from_value(json!({"a": {"flow": "lost"}, "b": {"flow": "spent"}, "c": 3})).unwrap()
    }

    fn now(&self) -> Timestamp {
        self.world.lock().unwrap().now
    }

    async fn create(&self) -> ExternalId {
        ExternalId::try_new(&self.spend("2026-07-12", -12_340, "food")).unwrap()
    }

    async fn edit(&self, id: &ExternalId) {
        self.change(id.as_str(), |row| row["amount"] = json!(row["amount"].as_i64().unwrap() - 10));
    }

    async fn delete(&self, id: &ExternalId) {
        self.change(id.as_str(), |row| row["deleted"] = json!(true));
    }

    async fn break_row(&self, id: &ExternalId) {
        self.change(id.as_str(), |row| row["amount"] = Value::Null);
    }

    async fn add_unknown_fields(&self) {
        self.world.lock().unwrap().unknown_fields = true;
    }
}

fn is_ours(headers: &HeaderMap) -> bool {
    headers.get("authorization").and_then(|value| value.to_str().ok()) == Some(&format!("Bearer {TOKEN}"))
}

#[derive(Deserialize)]
struct Asked {
    since_date: Option<Date>,
    last_knowledge_of_server: Option<i64>,
}

async fn transactions(
    State(world): State<Shared>,
    headers: HeaderMap,
    Path(plan): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    if !is_ours(&headers) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    assert_eq!(plan, PLAN);
    let world = world.lock().unwrap();
    // Without a date YNAB leaves out what is older than a year, changes too.
    let today = world.now.to_zoned(TimeZone::UTC).date();
    let since = asked.since_date.unwrap_or(today - jiff::Span::new().years(1));
    let is_asked = |row: &&Value| {
        let date: Date = row["date"].as_str().unwrap().parse().unwrap();
        let is_new = asked.last_knowledge_of_server.is_none_or(|knowledge| row["log"].as_i64().unwrap() > knowledge);
        let is_there = row["deleted"] == false || asked.last_knowledge_of_server.is_some();
        date >= since && is_new && is_there
    };
    let mut rows: Vec<Value> = world.rows.iter().filter(is_asked).cloned().collect();
    if world.partial_legs && asked.last_knowledge_of_server.is_some() {
        rows.iter_mut().filter_map(|row| row["subtransactions"].as_array_mut()).for_each(|legs| legs.truncate(1));
    }
    if world.unknown_fields {
        rows.iter_mut().for_each(|row| row["unheard_of"] = json!({"x": [1, null]}));
    }
    let knowledge = world.knowledge;
    Json(json!({"data": {"transactions": rows, "server_knowledge": knowledge}})).into_response()
}

async fn transaction(State(world): State<Shared>, Path((_, id)): Path<(String, String)>) -> Response {
    let world = world.lock().unwrap();
    match world.rows.iter().find(|row| row["id"] == id.as_str()) {
        Some(row) => Json(json!({"data": {"transaction": row}})).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn accounts(State(world): State<Shared>) -> Json<Value> {
    Json(json!({"data": {"accounts": world.lock().unwrap().accounts, "server_knowledge": 7}}))
}

async fn categories() -> Json<Value> {
    let category = |id: &str, name: &str, internal: bool| json!({"id": id, "name": name, "internal": internal});
    Json(json!({"data": {"category_groups": [
        {"id": "g1", "name": "Internal Master Category", "categories": [
            category("in", "Inflow: Ready to Assign", true), category("none", "Uncategorized", true)]},
        {"id": "g2", "name": "Everyday", "internal": false, "categories": [category("food", "Food", false), category("fun", "Fun", false)]},
    ], "server_knowledge": 8}}))
}

async fn plans() -> Json<Value> {
    let plan = |id: &str, on: &str| json!({"id": id, "name": id, "last_modified_on": on});
    Json(
        json!({"data": {"plans": [plan(PLAN, "2026-07-01T00:00:00Z"), plan("old", "2026-06-01T00:00:00Z")], "default_plan": null}}),
    )
}
