//! Requests, pages, and what refusals mean.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, StatusCode, Url, header::LINK};
use serde_json::value::RawValue;
use source::{
    Account, SourceError,
    http::{Answer, below, send, wait},
};

/// The source's name.
pub(crate) const NAME: &str = "github";

/// Rows of a page; GitHub gives no more.
const PER_PAGE: &str = "100";

/// A secondary limit that does not say for how long (contract, section 7).
const LIMITED: Duration = Duration::from_mins(1);

/// Most moves of a repository that one request follows.
const MOVES_MAX: usize = 3;

/// One page of a list.
pub(crate) struct Listed {
    pub(crate) rows: Vec<Box<RawValue>>,
    /// The address of the next page, as GitHub gave it.
    pub(crate) next: Option<String>,
    /// The server's clock.
    pub(crate) date: Option<Timestamp>,
}

/// Asks on behalf of one account.
pub(crate) struct Api<'a> {
    pub(crate) http: &'a Client,
    pub(crate) base: &'a Url,
    pub(crate) account: &'a Account,
    pub(crate) now: Timestamp,
}

impl Api<'_> {
    /// The address of a list of a repository, its first page.
    pub(crate) fn list_of(&self, repository: &str, list: &[&str], query: &[(&str, &str)]) -> Url {
        let mut path = vec!["repos"];
        path.extend(repository.split('/'));
        path.extend(list);
        let mut url = below(self.base, &path);
        url.query_pairs_mut().extend_pairs(query).append_pair("per_page", PER_PAGE);
        url
    }

    /// One page of a list; `None` if it is not there, or empty of the kind that GitHub refuses.
    pub(crate) async fn list(&self, url: Url) -> Result<Option<Listed>, SourceError> {
        let Some(answer) = self.get(url).await? else { return Ok(None) };
        let rows: Vec<&RawValue> = answer.json("a list")?;
        let rows = rows.into_iter().map(ToOwned::to_owned).collect();
        let next = answer.header(LINK.as_str()).and_then(next_of);
        Ok(Some(Listed { rows, next, date: answer.date() }))
    }

    /// One issue with everything; `None` if it is gone.
    pub(crate) async fn issue(&self, repository: &str, number: i64) -> Result<Option<Box<RawValue>>, SourceError> {
        let url = self.list_of(repository, &["issues", &number.to_string()], &[]);
        let Some(answer) = self.get(url).await? else { return Ok(None) };
        answer.json::<&RawValue>("an issue").map(|issue| Some(issue.to_owned()))
    }

    /// Whose token it is.
    pub(crate) async fn user(&self) -> Result<(i64, String), SourceError> {
        #[derive(serde::Deserialize)]
        struct User {
            id: i64,
            login: String,
        }
        let url = below(self.base, &["user"]);
        let answer = self.get(url).await?;
        let refused = || SourceError::Refused { source_name: NAME, detail: "404 for /user".to_owned() };
        let User { id, login } = answer.ok_or_else(refused)?.json("an account")?;
        Ok((id, login))
    }

    /// Asks, and follows a repository that was renamed or moved; never to another host, which must not see
    /// the token. `None` if there is nothing at the address.
    async fn get(&self, mut url: Url) -> Result<Option<Answer>, SourceError> {
        for _ in 0..=MOVES_MAX {
            let request = self.http.get(url.clone()).bearer_auth(self.account.credential("token"));
            let request =
                request.header("accept", "application/vnd.github+json").header("x-github-api-version", "2022-11-28");
            let answer = send(NAME, self.account, request).await?;
            let moved = match answer.status().as_u16() {
                301 | 302 | 307 | 308 => answer.header("location").and_then(|to| url.join(to).ok()),
                _ => None,
            };
            match moved.filter(|to| self.is_ours(to)) {
                Some(to) => url = to,
                None => return self.accept(answer),
            }
        }
        Err(SourceError::Refused { source_name: NAME, detail: "moved again and again".to_owned() })
    }

    /// Whether an address that GitHub gave is one of the API's own.
    pub(crate) fn is_ours(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    fn accept(&self, answer: Answer) -> Result<Option<Answer>, SourceError> {
        match answer.status() {
            StatusCode::NOT_FOUND
            | StatusCode::GONE
            | StatusCode::CONFLICT
            | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => Ok(None),
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => Err(self.limited(answer)?),
            _ => answer.success(self.now, LIMITED).map(Some),
        }
    }

    /// A 403 means four different things: the headers tell a limit from the others.
    fn limited(&self, answer: Answer) -> Result<SourceError, SourceError> {
        let until_reset = || {
            let is_spent = answer.header_number("x-ratelimit-remaining") == Some(0);
            let reset = answer.header_number("x-ratelimit-reset").filter(|_| is_spent)?;
            let now = answer.date().unwrap_or(self.now).as_second();
            Some(wait(reset - now).max(Duration::from_secs(1)))
        };
        let is_limit =
            answer.status() == StatusCode::TOO_MANY_REQUESTS || answer.said().to_lowercase().contains("rate limit");
        match answer.retry_after(self.now).or_else(until_reset).or_else(|| is_limit.then_some(LIMITED)) {
            Some(retry_after) => Ok(SourceError::Limited { source_name: NAME, retry_after, detail: answer.said() }),
            None => Err(SourceError::Refused { source_name: NAME, detail: answer.said() }),
        }
    }
}

/// The address with `rel="next"` of a `Link` header.
fn next_of(header: &str) -> Option<String> {
    header.split(',').find_map(|link| {
        let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        parameters.contains("rel=\"next\"").then(|| address.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_the_one_that_says_so() {
        let header = r#"<https://api.github.com/repositories/1/issues?page=1>; rel="prev", <https://api.github.com/repositories/1/issues?page=3>; rel="next""#;
        assert_eq!(next_of(header).as_deref(), Some("https://api.github.com/repositories/1/issues?page=3"));
        assert_eq!(next_of(r#"<https://api.github.com/x?page=1>; rel="first""#), None);
    }
}
