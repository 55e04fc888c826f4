//! The source: has anything changed, and if so, one page of the walk.

use std::sync::Arc;

use event::SourceName;
use reqwest::{Client, Url};
use serde_json::Value;
use source::{
    Account, CredentialsError, Cursor, Hint, MappingError, OAuth, Page, Read, Row, RulesByAttribute, Source,
    SourceError, oauth,
};

use crate::{
    api::{Api, NAME},
    cursor::State,
    mapping::Mapping,
};

/// Most runtimes looked up in one read.
const LOOK_UPS_MAX: usize = 10;

/// Trakt: what a person watched.
#[derive(Debug, Clone)]
pub struct Trakt {
    http: Client,
    api: Url,
    client_id: String,
    oauth: Option<OAuth>,
}

impl Trakt {
    /// A source below this base address; its path is kept, a trailing slash makes no difference.
    ///
    /// `http` should come from [`source::http::client`]. `client_id` is our application's, sent with every
    /// request; without `oauth` nobody's tokens are refreshed.
    #[must_use]
    pub fn new(http: Client, api: Url, client_id: String, oauth: Option<OAuth>) -> Self {
        Self { http, api, client_id, oauth }
    }

    /// Looks up runtimes that are missing. What Trakt does not tell now must not hold up the rest.
    async fn look_up(&self, api: &Api<'_>, state: &mut State, read: &Read) -> Vec<Row> {
        let mut rows = Vec::new();
        for _ in 0..LOOK_UPS_MAX {
            let Some(item) = state.to_look_up(read) else { break };
            match api.runtime(&item).await {
                Ok(minutes) => rows.extend(state.looked_up(&item, minutes, read)),
                Err(error) => {
                    tracing::warn!(error = %error, "trakt does not tell a runtime; it is asked again tomorrow");
                    rows.extend(state.looked_up(&item, None, read));
                }
            }
        }
        rows
    }

    /// Whether the window has to be walked, and the stamps that say so.
    async fn is_walk_due(&self, api: &Api<'_>, state: &mut State, read: &Read) -> Result<bool, SourceError> {
        let stamps = api.activities().await?;
        let mut due = state.is_walk_due(&stamps, read) || read.hint == Hint::Window;
        if !due {
            // Nobody promises that a removal moves a stamp.
            due = match api.count(!state.elsewhere, state.from).await? {
                Some(count) => count != state.known(),
                None => true,
            };
        }
        if due {
            state.begin_walk(stamps, read);
        }
        Ok(due)
    }
}

#[async_trait::async_trait]
impl Source for Trakt {
    fn name(&self) -> SourceName {
        SourceName::try_new(NAME).expect("a name of lower-case letters")
    }

    fn check_credentials(&self, credentials: &Value) -> Result<(), CredentialsError> {
        let problems = oauth::problems(credentials, "access_token");
        if problems.is_empty() { Ok(()) } else { Err(CredentialsError { problems }) }
    }

    fn compile(&self, rules: &RulesByAttribute) -> Result<Arc<dyn source::Mapping>, Vec<MappingError>> {
        Ok(Arc::new(Mapping::try_new(rules)?))
    }

    /// Asks whether anything changed (two requests), and if so reads one page of the window's history
    /// (250 plays at most); a walk that is under way goes on with its next page.
    async fn read(&self, account: &Account, cursor: &Cursor, read: &Read) -> Result<Page, SourceError> {
        let mut state: State = cursor.state().unwrap_or_default();
        let api = Api { http: &self.http, base: &self.api, client_id: &self.client_id, account, now: read.now };
        state.move_on(read);
        if state.walk.is_none() && !self.is_walk_due(&api, &mut state, read).await? {
            let rows = self.look_up(&api, &mut state, read).await;
            return Ok(page(rows, &state, false));
        }
        let walk = state.walk.as_ref().expect("one is under way, or has just begun");
        let (number, back_fill) = (walk.page, walk.back_fill);
        let history = match api.history(!state.elsewhere, state.from, number).await? {
            Some(history) => history,
            None => {
                tracing::info!("trakt answers 404 for /sync/history; asking /users/me/history from now on");
                state.elsewhere = true;
                return Ok(Page { more: true, ..page(Vec::new(), &state, back_fill) });
            }
        };
        let rows = state.page_read(history, read).unwrap_or_else(|| {
            tracing::info!(user = %account.user, "trakt's history changed while it was walked; it is walked again");
            Vec::new()
        });
        let mut page_read = page(rows, &state, back_fill);
        if state.walk.is_none() {
            page_read.rows.extend(self.look_up(&api, &mut state, read).await);
            page_read.cursor = Cursor::of(&state);
        }
        page_read.more = state.walk.is_some();
        Ok(page_read)
    }

    fn oauth(&self) -> Option<&OAuth> {
        self.oauth.as_ref()
    }
}

fn page(rows: Vec<Row>, state: &State, back_fill: bool) -> Page {
    Page { rows, cursor: Cursor::of(state), more: false, back_fill, not_before: None }
}
