//! The API with a key: pulses by dates, page after page.

use std::{collections::BTreeMap, time::Duration};

use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::value::RawValue;
use source::{
    Account, Read, SourceError,
    http::{Answer, below, send, wait},
};

use crate::{
    cursor::Window,
    pulse::Pulse,
    whatpulse::{Fetched, NAME},
};

/// Rows of a page; more are refused with 422.
const PAGE_ROWS: usize = 100;

/// Most pages of one window; a longer one is read in halves. 20 of the 100 requests of an hour.
const PAGES_MAX: i64 = 20;

/// How often a window is read again because it changed on the way.
const WALKS_MAX: usize = 3;

/// How long a 429 that names no time lasts, by the contract.
const LIMITED: Duration = Duration::from_mins(15);

#[derive(Deserialize)]
struct PageAnswer<'a> {
    #[serde(borrow)]
    pulses: Option<Vec<&'a RawValue>>,
    /// What the introduction of the API calls the list; its clients read `pulses`.
    #[serde(borrow)]
    data: Option<Vec<&'a RawValue>>,
    pagination: Option<Pagination>,
    links: Option<Links>,
}

#[derive(Deserialize)]
struct Pagination {
    total: Option<i64>,
    last_page: Option<i64>,
}

#[derive(Deserialize)]
struct Links {
    next: Option<String>,
}

/// What the walk over one window's pages came to.
enum Walked {
    Done(Fetched),
    Changed,
}

/// Reads every pulse of a window. One day more is asked for on both sides, because it is not known
/// whether the dates are inclusive and in which zone they are.
pub(crate) async fn fetch(
    http: &Client,
    api: &Url,
    account: &Account,
    window: &Window,
    read: &Read,
) -> Result<Fetched, SourceError> {
    let (first, last) = (window.first_day().plus(-1).to_string(), window.day_after().to_string());
    let mut url = below(api, &["users", &account.credential("user_id"), "pulses"]);
    url.query_pairs_mut()
        .append_pair("date_from", &first)
        .append_pair("date_to", &last)
        .append_pair("per_page", &PAGE_ROWS.to_string());
    for _ in 0..WALKS_MAX {
        if let Walked::Done(fetched) = walk(http, &url, account, read).await? {
            return Ok(fetched);
        }
    }
    let detail = format!("the pages of {first} to {last} changed during each of {WALKS_MAX} walks");
    Err(SourceError::Transient { source_name: NAME, detail, cause: None })
}

async fn walk(http: &Client, url: &Url, account: &Account, read: &Read) -> Result<Walked, SourceError> {
    // A pulse may stand on two pages when another one came in between.
    let mut pulses = BTreeMap::new();
    let (mut page, mut sizes) = (1, None);
    let not_before = loop {
        let mut url = url.clone();
        if page > 1 {
            url.query_pairs_mut().append_pair("page", &page.to_string());
        }
        let request = http.get(url).bearer_auth(account.credential("api_key"));
        let request = request.header("Accept", "application/json");
        let answer = accept(send(NAME, account, request).await?, read)?;
        let body: PageAnswer<'_> = answer.json("a page of pulses")?;
        let rows = body.pulses.or(body.data).ok_or_else(|| answer.nonsense("neither `pulses` nor `data`"))?;
        let size = body.pagination.as_ref().map(|pagination| (pagination.total, pagination.last_page));
        if *sizes.get_or_insert(size) != size {
            return Ok(Walked::Changed);
        }
        let last_page = body.pagination.as_ref().and_then(|pagination| pagination.last_page);
        if last_page.unwrap_or(page) > PAGES_MAX {
            return Ok(Walked::Done(Fetched::TooMuch));
        }
        for row in rows {
            let pulse = Pulse::of_v1(row);
            pulses.insert(pulse.row.external_id.to_string(), pulse);
        }
        page = match next(body.links.as_ref(), page, last_page) {
            None => break spent(&answer, read),
            Some(next) if next <= page => return Err(answer.nonsense(&format!("page {next} after page {page}"))),
            Some(next) if next > PAGES_MAX => return Ok(Walked::Done(Fetched::TooMuch)),
            Some(next) => next,
        };
    };
    let total = sizes.flatten().and_then(|(total, _)| total);
    let complete = total.is_none_or(|total| i64::try_from(pulses.len()) == Ok(total));
    Ok(Walked::Done(Fetched::Pulses { pulses: pulses.into_values().collect(), complete, not_before }))
}

/// The number of the next page. Only the number is taken from the link: its host is not ours to follow.
fn next(links: Option<&Links>, page: i64, last_page: Option<i64>) -> Option<i64> {
    let Some(links) = links else { return last_page.filter(|&last| last > page).map(|_| page + 1) };
    let link = links.next.as_ref()?;
    let query = link.split_once('?').map_or("", |(_, query)| query.split('#').next().unwrap_or(""));
    let pair = query.split('&').find_map(|pair| pair.strip_prefix("page="));
    Some(pair.and_then(|number| number.parse().ok()).unwrap_or(page + 1))
}

/// A 429 tells when it ends in one of two headers, or in none.
fn accept(answer: Answer, read: &Read) -> Result<Answer, SourceError> {
    let limited = until_reset(&answer, read).unwrap_or(LIMITED);
    answer.success(read.now, limited)
}

/// How long to wait when this answer used up the limit.
fn spent(answer: &Answer, read: &Read) -> Option<Duration> {
    let is_spent = answer.header_number("x-ratelimit-remaining").is_some_and(|remaining| remaining <= 0);
    is_spent.then(|| until_reset(answer, read)).flatten()
}

fn until_reset(answer: &Answer, read: &Read) -> Option<Duration> {
    let reset = answer.header_number("x-ratelimit-reset")?;
    // The server's clock set the end, so its clock measures it.
    let now = answer.date().unwrap_or(read.now).as_second();
    Some(wait(reset.saturating_sub(now))).filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(next: Option<&str>) -> Links {
        Links { next: next.map(str::to_owned) }
    }

    #[test]
    fn only_the_page_number_of_a_link_is_taken() {
        let elsewhere = links(Some("https://elsewhere.example/api?per_page=2&page=3#x"));
        assert_eq!(next(Some(&elsewhere), 1, None), Some(3));
        assert_eq!(next(Some(&links(Some("https://host/api?cursor=abc"))), 4, None), Some(5));
        assert_eq!(next(Some(&links(None)), 1, Some(2)), None);
        assert_eq!(next(None, 1, Some(2)), Some(2));
        assert_eq!(next(None, 2, Some(2)), None);
        assert_eq!(next(None, 2, None), None);
    }
}
