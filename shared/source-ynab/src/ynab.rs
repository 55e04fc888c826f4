//! The source: what changed, or the window in full.

use std::sync::Arc;

use event::SourceName;
use jiff::{Timestamp, ToSpan};
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use source::{
    Account, CredentialsError, Cursor, Hint, MappingError, OAuth, Page, Read, Row, RulesByAttribute, Source,
    SourceError, oauth,
};

use crate::{
    api::{Api, NAME},
    cursor::State,
    mapping::Mapping,
    plan::Plan,
    transaction::Transaction,
};

/// YNAB: the money of one plan.
#[derive(Debug, Clone)]
pub struct Ynab {
    http: Client,
    api: Url,
    oauth: Option<OAuth>,
}

#[derive(Deserialize)]
struct Plans {
    plans: Vec<PlanRow>,
    default_plan: Option<PlanRow>,
}

#[derive(Deserialize)]
struct PlanRow {
    id: String,
    last_modified_on: Option<String>,
}

impl Ynab {
    /// A source below this base address; its path is kept, a trailing slash makes no difference.
    ///
    /// `http` should come from [`source::http::client`]; without `oauth` nobody's tokens are refreshed.
    #[must_use]
    pub fn new(http: Client, api: Url, oauth: Option<OAuth>) -> Self {
        Self { http, api, oauth }
    }

    fn api<'a>(&'a self, account: &'a Account, now: Timestamp) -> Api<'a> {
        Api { http: &self.http, base: &self.api, account, now }
    }
}

/// Reads rows; those whose legs do not make them up are read by themselves.
async fn whole(api: &Api<'_>, rows: &[Box<RawValue>]) -> Result<Vec<Result<Transaction, Box<Row>>>, SourceError> {
    let mut told = Vec::with_capacity(rows.len());
    for row in rows {
        let row = Transaction::of(row);
        let incomplete = row.as_ref().ok().filter(|row| row.is_incomplete()).map(|row| row.id.to_string());
        let alone = match incomplete {
            Some(id) => api.transaction(&id).await?,
            None => None,
        };
        told.push(alone.map_or(row, |alone| Transaction::of(&alone)));
    }
    Ok(told)
}

#[async_trait::async_trait]
impl Source for Ynab {
    fn name(&self) -> SourceName {
        SourceName::try_new(NAME).expect("a name of lower-case letters")
    }

    fn check_credentials(&self, credentials: &Value) -> Result<(), CredentialsError> {
        let mut problems = oauth::problems(credentials, "access_token");
        // `last-used` and `default` become another plan without a word.
        let is_plan = |value: &Value| oauth::is_word(value) && value != "last-used" && value != "default";
        if !credentials.get("plan_id").is_some_and(is_plan) {
            problems.push("plan_id must be the id of a plan".to_owned());
        }
        if problems.is_empty() { Ok(()) } else { Err(CredentialsError { problems }) }
    }

    fn compile(&self, rules: &RulesByAttribute) -> Result<Arc<dyn source::Mapping>, Vec<MappingError>> {
        Ok(Arc::new(Mapping::try_new(rules)?))
    }

    /// Reads what changed, or the window in full: one request, two more once an hour for accounts and
    /// categories, and one for each split whose legs did not all come.
    async fn read(&self, account: &Account, cursor: &Cursor, read: &Read) -> Result<Page, SourceError> {
        let api = self.api(account, read.now);
        let mut state: State = cursor.state().unwrap_or_default();
        state.move_on(read, read.hint == Hint::Window);
        if state.is_plan_old(read) {
            state.put_plan(Plan::read(&api).await?, read);
        }
        let back_fill = state.is_fresh();
        let full = state.knowledge.is_none();
        let changes = match state.knowledge {
            // A day more: whether the date is inclusive is not said.
            None => api.window(&state.from().saturating_sub(1.day()).to_string()).await?,
            Some(knowledge) => match api.since(knowledge).await? {
                Some(changes) if changes.knowledge >= knowledge => changes,
                _ => {
                    tracing::warn!(user = %account.user, "ynab's knowledge was lost or fell; the window is read in full");
                    state.knowledge = None;
                    return Ok(Page { more: true, ..page(Vec::new(), &state, false) });
                }
            },
        };
        let told = whole(&api, &changes.rows).await?;
        if told.iter().flatten().any(|row| row.is_unknown_to(&state.plan)) {
            let plan = Plan::read(&api).await?;
            if plan != state.plan {
                state.put_plan(plan, read);
                return Ok(Page { more: true, ..page(Vec::new(), &state, back_fill) });
            }
        }
        let rows = state.take(told, full, read);
        state.knowledge = Some(changes.knowledge);
        Ok(page(rows, &state, back_fill))
    }

    fn oauth(&self) -> Option<&OAuth> {
        self.oauth.as_ref()
    }

    /// Names the plan where none is named: the one the user chose while consenting, else the one last used.
    async fn complete(&self, account: &Account, now: Timestamp) -> Result<Value, SourceError> {
        let mut credentials = account.credentials.clone();
        if account.credential("plan_id").is_empty() {
            let Plans { mut plans, default_plan } = self.api(account, now).plans().await?;
            plans.sort_by(|a, b| a.last_modified_on.cmp(&b.last_modified_on));
            if let Some(plan) = default_plan.or_else(|| plans.pop()) {
                credentials["plan_id"] = json!(plan.id);
            }
        }
        Ok(credentials)
    }
}

fn page(rows: Vec<Row>, state: &State, back_fill: bool) -> Page {
    Page { rows, cursor: Cursor::of(state), more: false, back_fill, not_before: None }
}
