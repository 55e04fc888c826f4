//! The source: one page of one list of one repository at a time.

use std::sync::Arc;

use event::SourceName;
use jiff::Timestamp;
use reqwest::{Client, Url};
use serde_json::{Value, json, value::RawValue};
use source::{
    Account, CredentialsError, Cursor, Fields, Hooks, MappingError, OAuth, Page, Read, Row, RulesByAttribute, Source,
    SourceError, text,
};

use crate::{
    account::{self, Me},
    api::{Api, Listed, NAME},
    cursor::{List, Pass, State},
    hooks::GithubHooks,
    mapping::Mapping,
    object::{self, Closer, Issue},
};

/// GitHub: issues, comments, pull requests and commits of a person.
#[derive(Debug, Clone)]
pub struct Github {
    http: Client,
    api: Url,
    oauth: Option<OAuth>,
}

impl Github {
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

/// One read: the next page of the pass.
struct Reading<'a> {
    api: Api<'a>,
    me: Me,
    read: &'a Read,
    state: State,
    rows: Vec<Row>,
}

impl Reading<'_> {
    /// Reads the next page. `repository` is the present one.
    async fn page(&mut self, repository: &str) -> Result<(), SourceError> {
        let pass = self.state.pass.as_ref().expect("a pass was begun");
        let list = pass.list;
        let url = match &pass.next {
            Some(next) => next.parse().ok().filter(|url| self.api.is_ours(url)).ok_or_else(|| {
                SourceError::Nonsense { source_name: NAME, detail: "the next page is at another host".to_owned() }
            })?,
            None => self.first_page(repository, list),
        };
        let Some(Listed { rows, next, date }) = self.api.list(url).await? else {
            self.missing(repository, list);
            return Ok(());
        };
        self.state.begun(date, self.read);
        let mut is_over = next.is_none();
        for row in &rows {
            match list {
                List::Issues => self.issue(repository, row).await?,
                List::Comments => self.object(repository, "comment", row, object::comment(row, &self.me)),
                List::PullRequests => is_over |= self.pull_request(repository, row),
                List::Branches => self.branch(repository, row),
                List::Commits => self.object(repository, "commit", row, object::commit(row, &self.me)),
            }
        }
        self.list_read(repository, next.filter(|_| !is_over));
        Ok(())
    }

    /// A list is not there: issues can be switched off, a repository be empty, or not ours to see.
    fn missing(&mut self, repository: &str, list: List) {
        let pass = self.state.pass.as_mut().expect("a pass was begun");
        match list {
            List::Commits => {}
            // Without branches, the commits of the default one.
            List::Branches => pass.heads.push((String::new(), String::new())),
            List::Issues | List::Comments | List::PullRequests => {
                tracing::warn!(user = %self.api.account.user, repository, ?list, "github has no such list, or we may not see it");
                pass.is_incomplete = true;
            }
        }
        self.list_read(repository, None);
    }

    fn first_page(&self, repository: &str, list: List) -> Url {
        let since = Timestamp::from_second(self.state.since(repository, self.read)).unwrap_or_default().to_string();
        let window = self.read.back_fill_from.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let head = self.state.pass.as_ref().and_then(|pass| pass.heads.last()).map_or("", |(_, sha)| sha);
        let (path, query): (&[&str], &[(&str, &str)]) = match list {
            List::Issues => {
                (&["issues"], &[("state", "all"), ("sort", "updated"), ("direction", "asc"), ("since", &since)])
            }
            List::Comments => {
                (&["issues", "comments"], &[("sort", "updated"), ("direction", "asc"), ("since", &since)])
            }
            List::PullRequests => (&["pulls"], &[("state", "all"), ("sort", "updated"), ("direction", "desc")]),
            List::Branches => (&["branches"], &[]),
            // A branch may be pushed long after its commits were made.
            List::Commits if head.is_empty() => (&["commits"], &[("author", &self.me.login), ("since", &window)]),
            List::Commits => (&["commits"], &[("sha", head), ("author", &self.me.login), ("since", &window)]),
        };
        self.api.list_of(repository, path, query)
    }

    /// Goes to the next page of the list, or to the next list.
    fn list_read(&mut self, repository: &str, next: Option<String>) {
        let pass = self.state.pass.as_mut().expect("a pass was begun");
        pass.next = next;
        if pass.next.is_some() {
            return;
        }
        let list = match pass.list {
            List::Issues => List::Comments,
            List::Comments => List::PullRequests,
            List::PullRequests => List::Branches,
            List::Branches => List::Commits,
            List::Commits => {
                let read = pass.heads.pop();
                self.state.heads_read(repository, read);
                List::Commits
            }
        };
        self.state.pass.as_mut().expect("it is still under way").list = list;
        let is_over = |pass: &Pass| pass.list == List::Commits && pass.heads.is_empty();
        if self.state.pass.as_ref().is_some_and(is_over) {
            self.rows.extend(self.state.repository_read(self.read));
        }
    }

    async fn issue(&mut self, repository: &str, row: &RawValue) -> Result<(), SourceError> {
        let issue = match Issue::of(row, &self.me) {
            // Pull requests have a list of their own.
            Ok(issue) if issue.is_pull_request => return Ok(()),
            Ok(issue) => issue,
            Err(problem) => {
                self.rows.extend(self.state.malformed(object::malformed("issue", row, &problem)));
                return Ok(());
            }
        };
        let closed_at = issue.closed_at.map(Timestamp::as_second);
        let mine = match (closed_at, issue.closer) {
            (None, _) => None,
            (Some(_), Closer::Known(closer)) => Some(closer == Some(self.me.user_id)),
            (Some(at), Closer::Unknown) => match self.state.closer(&issue.object.id, at) {
                Some(mine) => Some(mine),
                None => Some(self.closer(repository, issue.number).await? == Some(self.me.user_id)),
            },
        };
        let closer = mine.filter(|mine| *mine).map(|_| self.me.user_id);
        let object = issue.closed_by(closer, &self.me);
        self.rows.extend(self.state.told(repository, &object, closed_at.zip(mine)));
        Ok(())
    }

    /// Who closed an issue: only the answer about it alone says so.
    async fn closer(&self, repository: &str, number: i64) -> Result<Option<i64>, SourceError> {
        let single = self.api.issue(repository, number).await?;
        let issue = single.and_then(|issue| Issue::of(&issue, &self.me).ok());
        Ok(issue.and_then(|issue| if let Closer::Known(closer) = issue.closer { closer } else { None }))
    }

    /// A pull request; `true` if it and those behind it were changed too long ago.
    fn pull_request(&mut self, repository: &str, row: &RawValue) -> bool {
        match object::pull_request(row, &self.me) {
            Ok((updated_at, _)) if updated_at < self.state.since(repository, self.read) => true,
            Ok((_, object)) => {
                self.object(repository, "pr", row, Ok(object));
                false
            }
            Err(problem) => {
                self.object(repository, "pr", row, Err(problem));
                false
            }
        }
    }

    fn object(&mut self, repository: &str, what: &str, row: &RawValue, told: Result<Option<object::Object>, String>) {
        match told {
            Ok(Some(object)) => self.rows.extend(self.state.told(repository, &object, None)),
            Ok(None) => {}
            Err(problem) => self.rows.extend(self.state.malformed(object::malformed(what, row, &problem))),
        }
    }

    /// A branch; its commits are listed if its head is news.
    fn branch(&mut self, repository: &str, row: &RawValue) {
        let read = || {
            let fields = Fields::of(row).ok()?;
            let commit: &RawValue = serde_json::from_str(fields.raw("commit")?).ok()?;
            let sha = Fields::of(commit).ok()?.raw("sha").and_then(text)?.into_owned();
            Some((fields.raw("name").and_then(text)?.into_owned(), sha))
        };
        match read() {
            Some((name, sha)) if self.state.is_new_head(repository, &name, &sha) => {
                self.state.pass.as_mut().expect("a pass was begun").heads.push((name, sha));
            }
            Some(_) => {}
            None => {
                tracing::warn!(user = %self.api.account.user, repository, "github lists a branch that cannot be read")
            }
        }
    }
}

#[async_trait::async_trait]
impl Source for Github {
    fn name(&self) -> SourceName {
        SourceName::try_new(NAME).expect("a name of lower-case letters")
    }

    fn check_credentials(&self, credentials: &Value) -> Result<(), CredentialsError> {
        account::check(credentials)
    }

    fn compile(&self, rules: &RulesByAttribute) -> Result<Arc<dyn source::Mapping>, Vec<MappingError>> {
        Ok(Arc::new(Mapping::try_new(rules)?))
    }

    /// Reads one page of one list: one request, and one more for each issue of it that was closed by
    /// somebody not known yet. A pass over all lists of all repositories is as many reads as it has pages.
    async fn read(&self, account: &Account, cursor: &Cursor, read: &Read) -> Result<Page, SourceError> {
        let mut state: State = cursor.state().unwrap_or_default();
        let me = Me::of(account);
        let pass = state.pass(&me.repositories, read);
        let (back_fill, repository) = (pass.back_fill, pass.repositories.last().cloned());
        let mut reading = Reading { api: self.api(account, read.now), me, read, state, rows: Vec::new() };
        match repository {
            Some(repository) => reading.page(&repository).await?,
            None => reading.state.pass = None,
        }
        let Reading { state, rows, .. } = reading;
        let (more, cursor) = (state.pass.is_some(), Cursor::of(&state));
        Ok(Page { rows, cursor, more, back_fill, not_before: None })
    }

    fn oauth(&self) -> Option<&OAuth> {
        self.oauth.as_ref()
    }

    fn token_field(&self) -> &'static str {
        "token"
    }

    /// Says whose token it is.
    async fn complete(&self, account: &Account, now: Timestamp) -> Result<Value, SourceError> {
        let (user_id, login) = self.api(account, now).user().await?;
        let mut credentials = account.credentials.clone();
        credentials["user_id"] = json!(user_id);
        credentials["login"] = json!(login);
        Ok(credentials)
    }

    fn hooks(&self) -> Option<&dyn Hooks> {
        Some(&GithubHooks)
    }
}
