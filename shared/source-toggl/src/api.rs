//! The two requests, and what their refusals mean.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, StatusCode, Url};
use serde_json::value::RawValue;
use source::{
    Account, SourceError,
    http::{Answer, below, send, wait},
};

use crate::{entry::Entry, projects::ProjectRow};

/// The source's name.
pub(crate) const NAME: &str = "toggl";

/// Toggl's leaky bucket lets about one request a second through; no answer says how long to wait.
const LIMITED: Duration = Duration::from_mins(1);

/// The quota is of an hour, so an answer that does not tell when it resets means an hour at most.
const QUOTA: Duration = Duration::from_hours(1);

/// The answer to a request for entries.
pub(crate) enum Entries {
    /// The rows, as they came.
    Rows {
        /// Each row, read as far as it can be.
        entries: Vec<Entry>,
        /// The server's clock.
        date: Option<Timestamp>,
        /// The quota is used up for so long.
        not_before: Option<Duration>,
    },
    /// The dates asked for are too old for the server.
    TooOld(SourceError),
}

/// Asks for time entries.
pub(crate) async fn entries(
    http: &Client,
    api: &Url,
    account: &Account,
    query: &[(&str, String)],
    now: Timestamp,
) -> Result<Entries, SourceError> {
    let mut url = below(api, &["me", "time_entries"]);
    url.query_pairs_mut().extend_pairs(query);
    let answer = get(http, url, account).await?;
    if answer.status() == StatusCode::BAD_REQUEST && speaks_of_dates(&answer) {
        return Ok(Entries::TooOld(SourceError::Refused { source_name: NAME, detail: answer.said() }));
    }
    let answer = accept(answer, now)?;
    // An empty list may come as null, as Toggl's server spells it elsewhere.
    let rows: Option<Vec<&RawValue>> = answer.json("a list of time entries")?;
    let entries = rows.unwrap_or_default().into_iter().map(Entry::of).collect();
    Ok(Entries::Rows { entries, date: answer.date(), not_before: spent(&answer) })
}

/// Asks for every project of the user, archived ones too.
pub(crate) async fn projects(
    http: &Client,
    api: &Url,
    account: &Account,
    now: Timestamp,
) -> Result<(Vec<ProjectRow>, Option<Duration>), SourceError> {
    let mut url = below(api, &["me", "projects"]);
    url.query_pairs_mut().append_pair("include_archived", "true");
    let answer = accept(get(http, url, account).await?, now)?;
    let rows: Option<Vec<ProjectRow>> = answer.json("a list of projects")?;
    Ok((rows.unwrap_or_default(), spent(&answer)))
}

async fn get(http: &Client, url: Url, account: &Account) -> Result<Answer, SourceError> {
    // The token stands where a user's name would, and its kind where the password would.
    let request = http.get(url).basic_auth(account.credential("api_token"), Some("api_token"));
    send(NAME, account, request.header("Accept", "application/json")).await
}

/// 402 is the hourly quota where a header says so, and a missing feature elsewhere.
fn accept(answer: Answer, now: Timestamp) -> Result<Answer, SourceError> {
    match answer.status() {
        StatusCode::PAYMENT_REQUIRED if is_spent(&answer) => Err(SourceError::Limited {
            source_name: NAME,
            retry_after: spent(&answer).or_else(|| answer.retry_after(now)).unwrap_or(QUOTA),
            detail: answer.said(),
        }),
        // Clients have met 403 for a wrong token; everything we ask for is the user's own.
        StatusCode::FORBIDDEN => Err(SourceError::Unauthorised { source_name: NAME, detail: answer.said() }),
        _ => answer.success(now, LIMITED),
    }
}

/// The quota may be overdrawn: then what remains is negative.
fn is_spent(answer: &Answer) -> bool {
    answer.header_number("x-toggl-quota-remaining").is_some_and(|remaining| remaining <= 0)
}

fn spent(answer: &Answer) -> Option<Duration> {
    let resets_in = is_spent(answer).then(|| answer.header_number("x-toggl-quota-resets-in")).flatten();
    resets_in.map(wait)
}

/// The text of a 400 about dates names the parameter, as in `'since' and 'before' can not be present
/// simultaneously` or `Invalid start date`.
fn speaks_of_dates(answer: &Answer) -> bool {
    let said = answer.said().to_ascii_lowercase();
    ["since", "start_date", "start date"].iter().any(|word| said.contains(word))
}
