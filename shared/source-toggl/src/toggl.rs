//! The source: one read of one window, or of what changed.

use std::{sync::Arc, time::Duration};

use event::SourceName;
use jiff::Timestamp;
use reqwest::{Client, Url};
use serde_json::Value;
use source::{
    Account, CredentialsError, Cursor, Hooks, MappingError, Page, Read, Row, RulesByAttribute, Source, SourceError,
};

use crate::{
    api::{self, Entries, NAME},
    cursor::{Phase, State, Walk, asked_since, can_be_too_old},
    entry::{Entry, is_present},
    hooks::TogglHooks,
    mapping::Mapping,
    projects::Projects,
};

/// Rows at which the server cuts an answer: one with so many is not whole.
const ROWS_MAX: usize = 1_000;

/// Toggl Track: the time entries of a person.
#[derive(Debug, Clone)]
pub struct Toggl {
    http: Client,
    api: Url,
}

impl Toggl {
    /// A source below this base address; its path is kept, a trailing slash makes no difference.
    ///
    /// `http` should come from [`source::http::client`], which follows no redirect.
    #[must_use]
    pub fn new(http: Client, api: Url) -> Self {
        Self { http, api }
    }

    /// Reads one window of starts. A second more is asked for on both sides, because it is not known
    /// whether they are inclusive.
    async fn read_window(
        &self,
        account: &Account,
        mut state: State,
        walk: &Walk,
        read: &Read,
    ) -> Result<Page, SourceError> {
        let (begin, until, back_fill) = (walk.begin(), walk.until, walk.back_fill);
        let query = [("start_date", spelled(begin - 1)), ("end_date", spelled(until + 1))];
        let answer = api::entries(&self.http, &self.api, account, &query, read.now).await?;
        let (mut entries, date, not_before) = match answer {
            Entries::Rows { entries, date, not_before } => (entries, date, not_before),
            Entries::TooOld(_) if can_be_too_old(begin, read) => {
                let more = state.window_refused(read);
                if !more {
                    tracing::warn!(user = %account.user, "toggl gives out no entries from before {}", spelled(until));
                }
                return Ok(page(Vec::new(), &state, more, back_fill, None));
            }
            Entries::TooOld(refused) => return Err(refused),
        };
        if entries.len() >= ROWS_MAX {
            if !state.halve() {
                let detail = format!("{ROWS_MAX} entries start between {} and {}", spelled(begin), spelled(until));
                return Err(SourceError::Nonsense { source_name: NAME, detail });
            }
            return Ok(page(Vec::new(), &state, true, back_fill, not_before));
        }
        entries.retain(|entry| entry.start().is_none_or(|start| (begin..until).contains(&start)));
        let (told, news, projects_wait) = self.rows(account, &mut state, entries, read).await?;
        let more = state.window_read(read, date, &told);
        Ok(page(news, &state, more, back_fill, not_before.max(projects_wait)))
    }

    /// Reads what changed.
    async fn read_changes(
        &self,
        account: &Account,
        mut state: State,
        since: i64,
        read: &Read,
    ) -> Result<Page, SourceError> {
        let query = [("since", asked_since(since).to_string())];
        let answer = api::entries(&self.http, &self.api, account, &query, read.now).await?;
        let (entries, date, not_before) = match answer {
            Entries::Rows { entries, date, not_before } => (entries, date, not_before),
            Entries::TooOld(_) if can_be_too_old(since, read) => {
                state.walk(read, false);
                return Ok(page(Vec::new(), &state, true, false, None));
            }
            Entries::TooOld(refused) => return Err(refused),
        };
        let is_cut = entries.len() >= ROWS_MAX;
        let (told, news, projects_wait) = self.rows(account, &mut state, entries, read).await?;
        if is_cut {
            // What was cut off is found by its start; what is here is passed on, deletions above all.
            tracing::warn!(user = %account.user, "toggl cut its answer at {ROWS_MAX} changes; reading windows");
            state.changes_cut(read, date, &told);
        } else {
            state.changes_read(read, date, &told, !news.is_empty());
        }
        Ok(page(news, &state, is_cut, false, not_before.max(projects_wait)))
    }

    /// The rows of the entries, all of them and those that are news. Asks for the projects first where
    /// news belong to a project whose client is not known, or not any more for sure.
    async fn rows(
        &self,
        account: &Account,
        state: &mut State,
        entries: Vec<Entry>,
        read: &Read,
    ) -> Result<(Vec<(Entry, Row)>, Vec<Row>, Option<Duration>), SourceError> {
        let known = state.known();
        let rows = |projects: &Projects, entries: Vec<Entry>| -> Vec<_> {
            let row = |entry: Entry| {
                let row = entry.row(|project| projects.client_of(project));
                (entry, row)
            };
            entries.into_iter().map(row).collect()
        };
        let mut told = rows(&state.projects, entries);
        let mut not_before = None;
        let used: Vec<i64> = {
            let news = told.iter().filter(|(entry, row)| is_present(row) && !known.has(entry, row));
            news.filter_map(|(entry, _)| entry.project()).collect()
        };
        if state.projects.are_due(used.iter().copied(), read.now) {
            let (projects, wait) = api::projects(&self.http, &self.api, account, read.now).await?;
            not_before = wait;
            state.projects = Projects::of(projects, used, read.now);
            told = rows(&state.projects, told.into_iter().map(|(entry, _)| entry).collect());
            state.projects.shorten();
        }
        let mut news = Vec::new();
        for (entry, row) in told.iter().filter(|(entry, row)| !known.has(entry, row)) {
            news.push(Row { seen_before: known.may_have(entry, row), ..row.clone() });
        }
        news.sort_by_key(|row| row.version);
        Ok((told, news, not_before))
    }
}

#[async_trait::async_trait]
impl Source for Toggl {
    fn name(&self) -> SourceName {
        SourceName::try_new(NAME).expect("a name of lower-case letters")
    }

    fn check_credentials(&self, credentials: &Value) -> Result<(), CredentialsError> {
        let mut problems = Vec::new();
        if !credentials.is_object() {
            problems.push("must be an object".to_owned());
        }
        let token = credentials.get("api_token").and_then(Value::as_str);
        // It stands before a colon in a header.
        let is_token = |token: &str| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        if !token.is_some_and(is_token) {
            problems.push("api_token must be the text of a token".to_owned());
        }
        let given = |field: &str| credentials.get(field).filter(|value| !value.is_null());
        if given("webhook_secret").is_some_and(|secret| secret.as_str().is_none_or(str::is_empty)) {
            problems.push("webhook_secret must be a text".to_owned());
        }
        if given("user_id").is_some_and(|id| !id.is_i64()) {
            problems.push("user_id must be a whole number".to_owned());
        }
        let is_ids = |list: &Value| list.as_array().is_some_and(|list| list.iter().all(Value::is_i64));
        if given("webhook_subscriptions").is_some_and(|list| !is_ids(list)) {
            problems.push("webhook_subscriptions must be a list of whole numbers".to_owned());
        }
        if problems.is_empty() { Ok(()) } else { Err(CredentialsError { problems }) }
    }

    fn compile(&self, rules: &RulesByAttribute) -> Result<Arc<dyn source::Mapping>, Vec<MappingError>> {
        Ok(Arc::new(Mapping::try_new(rules)?))
    }

    fn hooks(&self) -> Option<&dyn Hooks> {
        Some(&TogglHooks)
    }

    /// Reads one window of the back-fill, or what changed since the last read: one request, and a
    /// second one for the projects at most once an hour or when an unknown project turns up.
    async fn read(&self, account: &Account, cursor: &Cursor, read: &Read) -> Result<Page, SourceError> {
        let mut state: State = cursor.state().unwrap_or_else(|| State::fresh(read));
        state.walk_if_old(read);
        match state.phase.clone() {
            Phase::Walk(walk) => self.read_window(account, state, &walk, read).await,
            Phase::Changes(since) => self.read_changes(account, state, since, read).await,
        }
    }
}

fn page(rows: Vec<Row>, state: &State, more: bool, back_fill: bool, not_before: Option<Duration>) -> Page {
    Page { rows, cursor: Cursor::of(state), more, back_fill, not_before }
}

/// A second as Toggl takes it: RFC 3339.
fn spelled(second: i64) -> String {
    Timestamp::from_second(second).unwrap_or_default().to_string()
}
