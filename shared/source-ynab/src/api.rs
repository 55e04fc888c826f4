//! The requests, and what their refusals mean.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, StatusCode, Url};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use source::{
    Account, SourceError,
    http::{Answer, below, send},
};

/// The source's name.
pub(crate) const NAME: &str = "ynab";

/// YNAB says of a refusal neither when it ends nor how much is left (contract, section 7).
const LIMITED: Duration = Duration::from_mins(15);

/// Earlier than anything: without it YNAB leaves out what is older than a year.
const EARLY: &str = "2000-01-01";

/// Asks on behalf of one account.
pub(crate) struct Api<'a> {
    pub(crate) http: &'a Client,
    pub(crate) base: &'a Url,
    pub(crate) account: &'a Account,
    pub(crate) now: Timestamp,
}

/// Every answer that is none of an error.
#[derive(Deserialize)]
struct Envelope<T> {
    data: T,
}

#[derive(Deserialize)]
struct Transactions<'a> {
    #[serde(borrow)]
    transactions: Vec<&'a RawValue>,
    server_knowledge: i64,
}

#[derive(Deserialize)]
struct Single<'a> {
    #[serde(borrow)]
    transaction: &'a RawValue,
}

/// Transactions, as they came.
pub(crate) struct Changes {
    pub(crate) rows: Vec<Box<RawValue>>,
    pub(crate) knowledge: i64,
}

impl Api<'_> {
    /// The transactions from a date on, all of them.
    pub(crate) async fn window(&self, since_date: &str) -> Result<Changes, SourceError> {
        changes(&self.accept(self.get(&["transactions"], &[("since_date", since_date)]).await?)?)
    }

    /// The transactions that changed since this knowledge; `None` if YNAB does not take it.
    pub(crate) async fn since(&self, knowledge: i64) -> Result<Option<Changes>, SourceError> {
        let query = [("since_date", EARLY), ("last_knowledge_of_server", &knowledge.to_string())];
        let answer = self.get(&["transactions"], &query).await?;
        if answer.status() == StatusCode::BAD_REQUEST {
            return Ok(None);
        }
        changes(&self.accept(answer)?).map(Some)
    }

    /// One transaction with all its legs; `None` if it is gone.
    pub(crate) async fn transaction(&self, id: &str) -> Result<Option<Box<RawValue>>, SourceError> {
        let answer = self.get(&["transactions", id], &[]).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = self.accept(answer)?;
        let single: Envelope<Single<'_>> = answer.json("a transaction")?;
        Ok(Some(single.data.transaction.to_owned()))
    }

    /// A whole list of the plan: `accounts` or `categories`.
    pub(crate) async fn list<T: DeserializeOwned>(&self, what: &str) -> Result<T, SourceError> {
        let answer = self.accept(self.get(&[what], &[]).await?)?;
        answer.json::<Envelope<T>>(what).map(|envelope| envelope.data)
    }

    /// The plans of the account.
    pub(crate) async fn plans<T: DeserializeOwned>(&self) -> Result<T, SourceError> {
        let answer = self.accept(self.send(below(self.base, &["plans"])).await?)?;
        answer.json::<Envelope<T>>("a list of plans").map(|envelope| envelope.data)
    }

    async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Answer, SourceError> {
        let plan = self.account.credential("plan_id");
        let mut url = below(self.base, &[&["plans", plan.as_str()], path].concat());
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.send(url).await
    }

    async fn send(&self, url: Url) -> Result<Answer, SourceError> {
        send(NAME, self.account, self.http.get(url).bearer_auth(self.account.credential("access_token"))).await
    }

    fn accept(&self, answer: Answer) -> Result<Answer, SourceError> {
        answer.success(self.now, LIMITED)
    }
}

fn changes(answer: &Answer) -> Result<Changes, SourceError> {
    let envelope: Envelope<Transactions<'_>> = answer.json("transactions and server_knowledge")?;
    let Transactions { transactions, server_knowledge } = envelope.data;
    Ok(Changes { rows: transactions.into_iter().map(ToOwned::to_owned).collect(), knowledge: server_knowledge })
}
