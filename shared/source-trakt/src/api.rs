//! The requests, and what their refusals mean.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use source::{
    Account, SourceError,
    http::{Answer, below, send},
};

use crate::play::Play;

/// The source's name.
pub(crate) const NAME: &str = "trakt";

/// Rows asked for at once. More than 250 are clamped without a word (contract, section 5).
const LIMIT: &str = "250";

/// Cloudflare in front of Trakt refuses without saying for how long.
const LIMITED: Duration = Duration::from_mins(1);

/// While a person must do something at Trakt: an account that is full, locked or not paid for.
const LOCKED: Duration = Duration::from_hours(1);

/// When a person's lists of watched things last changed, as Trakt spells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamps {
    pub(crate) movies: Option<String>,
    pub(crate) episodes: Option<String>,
}

/// One page of history.
pub(crate) struct History {
    pub(crate) plays: Vec<Play>,
    /// How many pages there are.
    pub(crate) pages: i64,
    /// How many plays there are on all of them.
    pub(crate) items: i64,
}

/// Asks on behalf of one account.
pub(crate) struct Api<'a> {
    pub(crate) http: &'a Client,
    pub(crate) base: &'a Url,
    pub(crate) client_id: &'a str,
    pub(crate) account: &'a Account,
    pub(crate) now: Timestamp,
}

#[derive(Deserialize)]
struct Activities {
    movies: Option<Area>,
    episodes: Option<Area>,
}

#[derive(Deserialize)]
struct Area {
    watched_at: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    runtime: Option<u32>,
}

impl Api<'_> {
    /// When the history last changed.
    pub(crate) async fn activities(&self) -> Result<Stamps, SourceError> {
        let answer = self.accept(self.get(below(self.base, &["sync", "last_activities"])).await?)?;
        let activities: Activities = answer.json("an object of activities")?;
        let stamp = |area: Option<Area>| area.and_then(|area| area.watched_at);
        Ok(Stamps { movies: stamp(activities.movies), episodes: stamp(activities.episodes) })
    }

    /// One page of what was watched from a second on; `None` where Trakt does not know the address.
    pub(crate) async fn history(&self, bare: bool, from: i64, page: i64) -> Result<Option<History>, SourceError> {
        let Some(answer) = self.history_answer(bare, from, &page.to_string(), LIMIT).await? else { return Ok(None) };
        let rows: Vec<&RawValue> = answer.json("a list of plays")?;
        let plays = rows.into_iter().map(Play::of).collect();
        let pages = answer.header_number("x-pagination-page-count").unwrap_or(1);
        Ok(Some(History { plays, pages, items: items(&answer)? }))
    }

    /// How many plays there are from a second on.
    pub(crate) async fn count(&self, bare: bool, from: i64) -> Result<Option<i64>, SourceError> {
        let answer = self.history_answer(bare, from, "1", "1").await?;
        answer.map(|answer| items(&answer)).transpose()
    }

    async fn history_answer(
        &self,
        bare: bool,
        from: i64,
        page: &str,
        limit: &str,
    ) -> Result<Option<Answer>, SourceError> {
        let path: &[&str] = if bare { &["sync", "history"] } else { &["users", "me", "history"] };
        let mut url = below(self.base, path);
        let from = Timestamp::from_second(from).unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%S.000Z").to_string();
        let query = [("start_at", from.as_str()), ("page", page), ("limit", limit), ("extended", "full")];
        url.query_pairs_mut().extend_pairs(query);
        let answer = self.get(url).await?;
        if bare && answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        self.accept(answer).map(Some)
    }

    /// The runtime of one film or episode in minutes; `None` where Trakt has none.
    pub(crate) async fn runtime(&self, item: &str) -> Result<Option<u32>, SourceError> {
        let mut url = below(self.base, &item.split('/').collect::<Vec<_>>());
        url.query_pairs_mut().append_pair("extended", "full");
        let answer = self.get(url).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let item: Item = self.accept(answer)?.json("an object with a runtime")?;
        Ok(item.runtime.filter(|minutes| *minutes > 0))
    }

    async fn get(&self, url: Url) -> Result<Answer, SourceError> {
        let request = self.http.get(url).bearer_auth(self.account.credential("access_token"));
        let request = request
            .header("content-type", "application/json")
            .header("trakt-api-version", "2")
            .header("trakt-api-key", self.client_id);
        send(NAME, self.account, request).await
    }

    fn accept(&self, answer: Answer) -> Result<Answer, SourceError> {
        let limited = |retry_after| SourceError::Limited { source_name: NAME, retry_after, detail: answer.said() };
        match answer.status().as_u16() {
            // Cloudflare's page for people; Trakt's own 403 is a wrong application key.
            403 if answer.first_byte() == Some(b'<') => Err(limited(LIMITED)),
            420 | 423 | 426 => Err(limited(LOCKED)),
            _ => answer.success(self.now, LIMITED),
        }
    }
}

fn items(answer: &Answer) -> Result<i64, SourceError> {
    answer
        .header_number("x-pagination-item-count")
        .ok_or_else(|| answer.nonsense("expected a header X-Pagination-Item-Count"))
}
